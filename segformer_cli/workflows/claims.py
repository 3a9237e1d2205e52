"""One process at a time in a folder: a lock that goes with its process, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segformer_cli.errors import SegFormerError

LOCK = "lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder, made if it is absent, kept from other processes while the body runs; left empty, it goes again.

    Raises:
        SegFormerError: another process has it, or it cannot be made.
    """
    fresh = not folder.parent.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SegFormerError(f"cannot write to {folder}: {reason}", where=str(folder.absolute())) from error
    try:
        if not _lock(handle):
            raise SegFormerError(
                f"another process is at work in {folder.parent}",
                where=str(folder.absolute()),
                hint="wait for it, or name another folder with -o",
            )
        try:
            yield
        finally:
            (folder / LOCK).unlink(missing_ok=True)
            with suppress(OSError):                  # where it holds something
                folder.rmdir()
                if fresh:
                    folder.parent.rmdir()
    finally:
        os.close(handle)


def is_claimed(folder: Path) -> bool:
    """Whether a process is at work there."""
    if not (folder / LOCK).is_file():
        return False
    handle = os.open(folder / LOCK, os.O_RDWR)
    try:
        return not _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether the lock could be had; closing the handle gives it back. Windows lacks such locks: there it always is."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
