"""Where tensors live: `auto` -> a device, its precision, the seeds."""

from __future__ import annotations

import ctypes
import os
import random
import sys
from contextlib import AbstractContextManager

import numpy as np
import torch

from segformer_cli.errors import EnvironmentLacksError, UsageError
from segformer_cli.threads import cores


def choose_device(name: str) -> torch.device:
    """The device called `name`; `auto` is CUDA, else Apple's GPU, else the CPU.

    Raises:
        EnvironmentLacksError: this machine has no such device.
        UsageError: there is no such kind of device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"there is no device {name!r}", hint="use auto, cpu, cuda, cuda:1 or mps")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise EnvironmentLacksError(
            f"device {name} is not here: this machine shows {count} CUDA devices to torch {torch.__version__}",
            hint="use --device cpu, or install the CUDA build of torch",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise EnvironmentLacksError("device mps is not here", hint="use --device cpu")
    return device


def choose_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of the network's arithmetic; `auto` is bf16 on a GPU that has it, else fp32.

    Raises:
        EnvironmentLacksError: the device cannot compute in it.
    """
    if precision == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else torch.float32
    if precision == "fp16" and device.type == "cpu":
        raise EnvironmentLacksError("fp16 is not for the CPU", hint="use --precision bf16 or fp32")
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def seed_everything(seed: int, *, deterministic: bool = False) -> None:
    """Python's, NumPy's and torch's generators set; with `deterministic`, operations that can differ are refused."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    if deterministic:
        fix_workspaces()
        torch.use_deterministic_algorithms(True)


def fix_workspaces() -> None:
    """Products of matrices on CUDA come out the same each time; asked for before the first: torch looks but once."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def forked_draws(device: torch.device) -> AbstractContextManager[None]:
    """Around work that draws: the generators of the CPU and of this GPU are then as they were; no other is touched."""
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def default_workers(processes: int = 1) -> int:
    """Reading processes for training: one a core but one for the network, at most 8; none on a single core.

    Args:
        processes: those that share the cores, each with readers of its own.
    """
    return min(8, max(0, cores() // processes - 1))


def keep_freed_memory() -> None:
    """Blocks freed by tensors stay with the process, where the C library lets one ask for that (glibc).

    By default it returns every block above 32 MiB to the system at once and fetches fresh, zeroed pages
    for the next one: a quarter of a training step's time on a CPU.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""The names of two of its parameters in malloc.h."""
