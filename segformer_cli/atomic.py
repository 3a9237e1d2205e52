"""Files that appear whole or not at all: written beside their place, flushed to disk, then moved over it."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from segformer_cli.errors import SegFormerError

_UMASK = os.umask(0o022)
os.umask(_UMASK)
_MODE = 0o666 & ~_UMASK
"""What any new file gets; some writers would leave theirs readable by its owner alone."""


_DRAFT = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part(\.\w+)?")
"""The name of a file while it is written: the stem and the suffix that it is to have."""


@contextmanager
def replacing(path: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path in the folder of `path`; what the body writes there becomes `path` when it ends well.

    The folder is made if it is absent. Another reader sees the old file or the new one, never a part.

    Raises:
        SegFormerError: `path` exists and `force` is not given, or it cannot be written.
    """
    refuse_existing(path, force=force)
    # The suffix stays last, since some writers choose their format by it.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.chmod(_MODE)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise SegFormerError(f"cannot write {path.name}: {error.strerror or error}", where=str(path)) from error
    finally:
        with suppress(OSError):     # where a file stands in the way of the folder, there is nothing to remove
            temporary.unlink(missing_ok=True)


def remove_drafts(paths: Iterable[Path]) -> None:
    """What a process that was killed left of these files; of one that is writing them now, too."""
    wanted = {*paths}
    for folder in {path.parent for path in wanted}:
        with suppress(OSError):
            for entry in folder.iterdir():
                draft = _DRAFT.fullmatch(entry.name)
                if draft is not None and folder / f"{draft[1]}{draft[2]}" in wanted:
                    entry.unlink(missing_ok=True)


def move_together(pairs: Sequence[tuple[Path, Path]]) -> None:
    """Files that belong together, moved to their places; the last one names them, and is there only with the others.

    Raises:
        SegFormerError: a place cannot be written.
    """
    naming = pairs[-1][1]
    try:
        for source, _ in pairs:
            _flush(source)
            source.chmod(_MODE)
        if len(pairs) > 1:
            naming.unlink(missing_ok=True)
        for source, place in pairs:
            os.replace(source, place)
        _flush_folder(naming.parent)
    except OSError as error:
        raise SegFormerError(f"cannot write {naming.name}: {error.strerror or error}", where=str(naming)) from error


def refuse_existing(path: Path, *, force: bool) -> None:
    """Nothing where `path` may be written.

    Raises:
        SegFormerError: `path` exists and `force` is not given, or it is a folder.
    """
    if path.is_dir():
        raise SegFormerError(f"{path.name} is a folder, a file is to be written there", where=str(path))
    if path.exists() and not force:
        hint = "add --force to overwrite it; from Python, force=True"
        raise SegFormerError(f"{path.name} exists already", where=str(path), hint=hint)


def refuse_unwritable(paths: Iterable[Path], *, force: bool) -> None:
    """Nothing where every one of these files may and can be written: to be known before hours are spent.

    The nearest folder that exists is tried, once each: a file without a name is made in it and is gone again. To ask
    for its rights would not do, since they say nothing to root, of disks that are read-only, or of /proc.

    Raises:
        SegFormerError: as `refuse_existing`, or a folder takes no file.
    """
    tried = set()
    for path in paths:
        refuse_existing(path, force=force)
        folder = next((place for place in path.parents if place.exists()), Path())
        if not folder.is_dir():
            raise SegFormerError(f"cannot write {path}: {folder} is a file", where=str(folder.absolute()))
        if folder not in tried:
            tried.add(folder)
            _try_folder(folder, path)


def _try_folder(folder: Path, path: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SegFormerError(
            f"cannot write {path}: no file can be made in {folder} ({reason})", where=str(folder.absolute())
        ) from error


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """The new name reaches the disk too, where the system lets a folder be opened (not on Windows)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
