"""Memory: the most that a piece of work held at one time, and what is left of a device's."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import torch

_KIB = 1024
_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FORGET_THE_PEAK = "5"
_GROUPS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Where a container says how much it may hold, how much it does, and how much of that are files read: version 2, 1."""

_CONTROL = Path("/sys/fs/cgroup")

_SIGNS = ("can't allocate memory", "Insufficient memory", "not enough memory", "Unable to allocate", "out of memory")
"""Of messages of torch, cv2, numpy and onnxruntime; torch has no class of its own for the main memory."""


def peak_during(work: Callable[[], object], device: torch.device) -> int | None:
    """Bytes that `work` held at its peak, less those held before it; None where the system does not tell.

    On a CPU it is memory of this process (Linux alone tells), on CUDA what torch's tensors hold.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    tells = device.type == "cpu" and _forget_the_peak()
    before = _resident("VmRSS") if tells else 0
    work()
    return max(0, _resident("VmHWM") - before) if tells else None


def held_bytes(device: torch.device) -> int | None:
    """What this process holds now, of a CPU's memory or a GPU's; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return _resident("VmRSS") if device.type == "cpu" and _forget_the_peak() else None


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that there was not memory enough."""
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(sign in str(error) for sign in _SIGNS)


def free_bytes(device: torch.device) -> int | None:
    """What is left of the device's memory; of a CPU, of the machine's and of this container's. None: unknown."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    if device.type != "cpu":
        return None
    found = [left for left in (_left_of_machine(), *map(_left_of_group, _GROUPS)) if left is not None]
    return min(found, default=None)


def _forget_the_peak() -> bool:
    """Whether the system counts this process's peak anew from here; what it holds without need is given back first."""
    if not sys.platform.startswith("linux"):
        return False
    # What the C library keeps of freed blocks would hide as much of what the work asks for.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    try:
        _REFERENCES.write_text(_FORGET_THE_PEAK)
    except OSError:
        return False
    return True


def _resident(name: str) -> int:
    """Bytes from a line of this process's status."""
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * _KIB


def _left_of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable")), None)


def _left_of_group(files: tuple[str, str, str]) -> int | None:
    *numbers, cached = files
    try:
        limit, used = ((_CONTROL / name).read_text(encoding="utf-8").strip() for name in numbers)
        lines = (_CONTROL / numbers[0]).with_name("memory.stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    # Files that were read count as held until someone needs the room.
    held = int(used) - sum(int(line.split()[1]) for line in lines if line.split()[0] == cached)
    return max(0, int(limit) - held) if limit.isdigit() else None
