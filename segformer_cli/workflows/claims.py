"""One process at a time in a folder: a lock that goes with its process, however that ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segformer_cli.errors import SegFormerError

LOCK = "lock"

PATIENCE_S = 1.0
"""How long a lock is asked for: who only looks whether a folder is claimed holds it for an instant."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, made if it is absent, kept from other processes while the body runs; left empty, it goes again.

    Raises:
        SegFormerError: another process has it, or it cannot be made.
    """
    fresh = not folder.parent.exists()
    handle = _taken(folder)
    try:
        yield
    finally:
        with suppress(OSError):                      # where the folder holds something
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
            if fresh:
                folder.parent.rmdir()
        os.close(handle)


def is_claimed(folder: Path) -> bool:
    """Whether a process is at work there."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(handle, alone=False)
    finally:
        os.close(handle)


def _taken(folder: Path) -> int:
    """A handle that holds the lock of a folder.

    Raises:
        SegFormerError: another process has it, or it cannot be made.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        handle = _opened(folder)
        # Who had it may have removed the file since: a lock on what is not there any more keeps nobody out.
        if _lock(handle, alone=True) and _lies_at(handle, folder / LOCK):
            return handle
        os.close(handle)
        if time.monotonic() > deadline:
            raise SegFormerError(
                f"another process is at work in {folder.parent}",
                where=str(folder.absolute()),
                hint="wait for it, or name another folder with -o",
            )
        time.sleep(PATIENCE_S / 50)


def _opened(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SegFormerError(f"cannot write to {folder}: {reason}", where=str(folder.absolute())) from error


def _lies_at(handle: int, path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(handle: int, *, alone: bool) -> bool:
    """Whether the lock could be had; closing the handle gives it back. Windows lacks such locks: there it always is.

    Args:
        alone: False is enough to look whether another has it, and lets others look too.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
