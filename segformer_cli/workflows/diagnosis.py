"""What this machine and this installation can do, for `segformer doctor`."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from segformer_cli import __version__
from segformer_cli.data.sample import cache_folder
from segformer_cli.engine.device import choose_device
from segformer_cli.model.segformer import SegFormer
from segformer_cli.model.variants import get_variant
from segformer_cli.progress import Progress, ProgressListener, ignore_progress

PACKAGE = "segformer-cli"
FORWARD_SIZE_HW = (512, 512)


@dataclass(frozen=True)
class Extra:
    """An optional set of packages: which of them are absent, and the line that installs it."""

    name: str
    missing: tuple[str, ...]
    install: str


@dataclass(frozen=True)
class Folder:
    """A place that files are written to."""

    use: str
    path: str
    writable: bool


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    `forward_ms` is the best of three of a B0 on one picture; `single_thread_ms` the same on one thread of the
    CPU, None on another device.
    """

    versions: dict[str, str]
    system: str
    threads: int
    cores: int
    bf16: str
    gpus: tuple[str, ...]
    extras: tuple[Extra, ...]
    folders: tuple[Folder, ...]
    device: str
    forward_ms: float
    single_thread_ms: float | None
    forward_size_hw: tuple[int, int]
    problems: tuple[str, ...]


def diagnose(progress: ProgressListener = ignore_progress) -> Diagnosis:
    """Looks at the machine and runs one small network on its best device."""
    device = choose_device("auto")
    folders = (
        _folder("cache of weights", _hub_cache()),
        _folder("cache of scenes", cache_folder(sys.platform, os.environ)),
        _folder("runs", Path("runs")),
    )
    versions = _versions()
    progress(Progress("one B0 forward", 0, 1))
    forward_ms, single_thread_ms = _forward_ms(device)
    progress(Progress("one B0 forward", 1, 1))
    return Diagnosis(
        versions=versions,
        system=f"{platform.system()} {platform.release()}, {platform.machine()}, Python {platform.python_version()}",
        threads=torch.get_num_threads(),
        cores=os.cpu_count() or 1,
        bf16=_bf16(),
        gpus=_gpus(),
        extras=_extras(),
        folders=folders,
        device=str(device),
        forward_ms=forward_ms,
        single_thread_ms=single_thread_ms,
        forward_size_hw=FORWARD_SIZE_HW,
        problems=(*_problems(versions, folders), *_thread_problem(forward_ms, single_thread_ms)),
    )


def _versions() -> dict[str, str]:
    """Of this package and of what it stands on; a package that is absent is left out."""
    found = {PACKAGE: __version__}
    for name, extra in _requirements():
        if extra is None:
            version = _version(name)
            found[name] = version if version is not None else "absent"
    return found


def _requirements() -> list[tuple[str, str | None]]:
    """Each required package with the extra that asks for it; None for the core."""
    try:
        lines = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return [("torch", None)]
    found = []
    for line in lines:
        name = re.match(r"[\w.-]+", line)
        extra = re.search(r"""extra == ["']([\w-]+)["']""", line)
        if name:
            found.append((name.group(), extra.group(1) if extra else None))
    return found


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extras() -> tuple[Extra, ...]:
    asked: dict[str, list[str]] = {}
    for name, extra in _requirements():
        if extra is not None:
            asked.setdefault(extra, []).append(name)
    return tuple(
        Extra(extra, tuple(name for name in names if _version(name) is None), f'pip install "{PACKAGE}[{extra}]"')
        for extra, names in asked.items()
    )


def _gpus() -> tuple[str, ...]:
    found = []
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory
        found.append(f"cuda:{index} {torch.cuda.get_device_name(index)}, {memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps")
    return tuple(found)


def _bf16() -> str:
    """Where bfloat16 runs in hardware; the CPU's flags are readable on Linux only."""
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        return "yes, on the GPU"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "not known for this CPU"
    fast = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags]
    return f"yes, on the CPU ({fast[0]})" if fast else "not in hardware: fp32 is faster on this CPU"


def _hub_cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _folder(use: str, path: Path) -> Folder:
    """Whether files can be written there, tried in the nearest folder that exists."""
    nearest = path.absolute()
    while not nearest.is_dir():
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            writable = True
    except OSError:
        writable = False
    return Folder(use, str(path.absolute()), writable)


def _forward_ms(device: torch.device) -> tuple[float, float | None]:
    variant = get_variant("b0")
    model = SegFormer(
        widths=variant.widths, depths=variant.depths, head_width=variant.head_width, num_classes=19
    ).to(device)
    model.eval()
    images = torch.zeros(1, 3, *FORWARD_SIZE_HW, device=device)

    def forward() -> None:
        with torch.inference_mode():
            model(images).sum().item()

    forward()
    best = 1000 * min(_seconds(forward) for _ in range(3))
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        return best, None
    torch.set_num_threads(1)
    try:
        return best, 1000 * min(_seconds(forward) for _ in range(3))
    finally:
        torch.set_num_threads(threads)


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _thread_problem(forward_ms: float, single_thread_ms: float | None) -> tuple[str, ...]:
    """Threads wait for each other: where other work holds a core, all of them are slower than one."""
    if single_thread_ms is None or single_thread_ms * 1.5 > forward_ms:
        return ()
    text = (
        f"one thread is faster ({single_thread_ms:.0f} ms) than {torch.get_num_threads()} ({forward_ms:.0f} ms), "
        "most likely because other programs use these cores; set OMP_NUM_THREADS=1 until they are done"
    )
    return (text,)


def _problems(versions: dict[str, str], folders: tuple[Folder, ...]) -> tuple[str, ...]:
    said = [f"{name} is not installed" for name, version in versions.items() if version == "absent"]
    said += [f"no file can be written to {folder.path} ({folder.use})" for folder in folders if not folder.writable]
    if _version("opencv-python-headless") is not None and _version("opencv-python") is not None:
        said.append("opencv-python and opencv-python-headless overwrite each other: uninstall one")
    return tuple(said)
