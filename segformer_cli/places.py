"""Where files lie: in folders, or in a zip or tar file, which is read in place as if it were a folder."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from segformer_cli.errors import DataError

ARCHIVES = (".zip", ".tar")
_SQUEEZED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".7z", ".rar")
_LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a member of a zip file: before its bytes come 30 of these, its name and a field of its own length."""

_OPEN_ARCHIVES = 16


@dataclass(frozen=True)
class _Member:
    """Where a member's bytes begin in the archive's file, and how they are stored."""

    offset: int
    stored: int
    size: int
    deflated: bool = False
    crc: int | None = None


@dataclass(frozen=True)
class _Archive:
    """What lies in an archive: its files by their whole names, and what each folder holds."""

    members: dict[str, _Member]
    folders: dict[str, tuple[str, ...]] = field(repr=False)


@dataclass(frozen=True, order=True)
class ArchivePath:
    """A file or folder in an archive; has of `pathlib.Path` what readers of data sets need.

    The archive's list of members is read once a process, its file opened anew for each read: any number of processes
    and threads can share it.
    """

    archive: Path
    inner: PurePosixPath = field(default_factory=PurePosixPath)

    @property
    def name(self) -> str:
        """The last part; of the archive's top that of its file."""
        return self.inner.name or self.archive.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return Path(self.name).stem

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> ArchivePath:
        """The folder it lies in; the top is its own."""
        return ArchivePath(self.archive, self.inner.parent)

    def __truediv__(self, name: str | PurePosixPath) -> ArchivePath:
        return ArchivePath(self.archive, self.inner / name)

    def __str__(self) -> str:
        return str(Path(self.archive, *self.inner.parts))

    def absolute(self) -> ArchivePath:
        """The same with the archive's whole path."""
        return ArchivePath(self.archive.absolute(), self.inner)

    def with_name(self, name: str) -> ArchivePath:
        """What is called so beside it."""
        return ArchivePath(self.archive, self.inner.with_name(name))

    def relative_to(self, other: ArchivePath | Path) -> PurePosixPath:
        """The way from a folder of the same archive."""
        if not isinstance(other, ArchivePath) or other.archive != self.archive:
            raise ValueError(f"{self} does not lie in {other}")
        return self.inner.relative_to(other.inner)

    def exists(self) -> bool:
        """Whether the archive holds it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether it is a file of the archive."""
        return self._key in self._content.members

    def is_dir(self) -> bool:
        """Whether it is a folder of the archive."""
        return self._key in self._content.folders

    def iterdir(self) -> Iterator[ArchivePath]:
        """What lies in the folder, in order of names."""
        for name in self._content.folders.get(self._key, ()):
            yield self / name

    def glob(self, pattern: str) -> Iterator[ArchivePath]:
        """What matches the pattern below it, a part of the pattern for each folder; `**` is not known."""
        first, _, rest = pattern.partition("/")
        for entry in self.iterdir():
            if fnmatch.fnmatchcase(entry.name, first):
                if not rest:
                    yield entry
                elif entry.is_dir():
                    yield from entry.glob(rest)

    def size(self) -> int:
        """Bytes of the file."""
        return self._member().size

    def read_bytes(self) -> bytes:
        """What the file holds.

        Raises:
            FileNotFoundError: there is none.
            IsADirectoryError: it is a folder.
            DataError: it is damaged.
        """
        member = self._member()
        try:
            with self.archive.open("rb") as file:
                file.seek(member.offset)
                if self.archive.suffix.lower() == ".zip":
                    header = file.read(_LOCAL_HEADER.size)
                    file.seek(sum(_LOCAL_HEADER.unpack(header)), os.SEEK_CUR)
                data = file.read(min(member.stored, bytes_of(self.archive)))
            if member.deflated:
                # Never more than was promised: a few bytes may unpack to any size.
                data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, member.size + 1)
        except (OSError, ValueError, struct.error, zlib.error) as error:
            raise DataError(f"{self.name} is damaged: {error}", where=str(self)) from error
        if len(data) != member.size or (member.crc is not None and zlib.crc32(data) != member.crc):
            raise DataError(f"{self.name} is damaged: its checksum or size differs", where=str(self))
        return data

    def read_text(self, encoding: str = "utf-8") -> str:
        """What the file holds, as text."""
        return self.read_bytes().decode(encoding)

    @property
    def _key(self) -> str:
        return "" if self.inner == PurePosixPath() else self.inner.as_posix()

    @property
    def _content(self) -> _Archive:
        return _content(self.archive)

    def _member(self) -> _Member:
        try:
            return self._content.members[self._key]
        except KeyError:
            kind = IsADirectoryError if self.is_dir() else FileNotFoundError
            raise kind(2, f"no file {self._key!r} in the archive", str(self)) from None


Place = Path | ArchivePath
"""A file or folder that can be read, wherever it lies."""


def open_place(path: Path) -> Place:
    """The folder itself, or the top of an archive; where all of that lies in one folder, that folder.

    Raises:
        DataError: it is a file and no archive, or an archive that cannot be read in place.
    """
    if not path.is_file():
        return path
    if path.name.lower().endswith(_SQUEEZED):
        raise DataError(
            f"{path.name} is packed as a whole: each picture would mean unpacking all before it",
            where=str(path),
            hint="unpack it, or pack it as .zip or .tar, which are read in place",
        )
    if path.suffix.lower() not in ARCHIVES:
        raise DataError(f"{path.name} is a file, no data set", where=str(path), hint="name the folder it lies in")
    place = ArchivePath(path)
    while len(lying := [entry for entry in place.iterdir() if entry.name != "__MACOSX"]) == 1 and lying[0].is_dir():
        place = lying[0]
    return place


def files_below(folder: Place) -> Iterator[Place]:
    """All files below a folder, each folder's in order of names; links to folders are not followed."""
    if isinstance(folder, ArchivePath):
        for entry in folder.iterdir():
            if entry.is_dir():
                yield from files_below(entry)
            else:
                yield entry
        return
    for top, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            yield Path(top) / name


def name_below(place: Place, folder: Place) -> str:
    """The way from a folder to what lies in it, with slashes.

    >>> name_below(Path("data/images/a.jpg"), Path("data"))
    'images/a.jpg'
    """
    if isinstance(place, ArchivePath):
        return place.relative_to(folder).as_posix()
    assert isinstance(folder, Path)
    return place.relative_to(folder).as_posix()


def beginning_of(place: Place, count: int) -> bytes:
    """The first bytes of a file."""
    if isinstance(place, ArchivePath):
        return place.read_bytes()[:count]
    with place.open("rb") as file:
        return file.read(count)


def changed_at(place: Place) -> tuple[int, int, int]:
    """What changes with a file: its size, when it was last written and when anything of it was, in ns.

    The last cannot be set back, as programs that unpack or copy do with the other. Of a member, those of its archive.
    """
    found = (place.archive if isinstance(place, ArchivePath) else place).stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns


def bytes_of(place: Place) -> int:
    """The size of a file."""
    return place.size() if isinstance(place, ArchivePath) else place.stat().st_size


def sha256_of(file: Path) -> str:
    """The hash of what a file holds, in hex."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _content(archive: Path) -> _Archive:
    try:
        found = archive.stat()
    except OSError as error:
        raise DataError(f"cannot read {archive.name}: {error.strerror}", where=str(archive)) from error
    return _listed(archive, found.st_mtime_ns, found.st_size)


@lru_cache(_OPEN_ARCHIVES)
def _listed(archive: Path, modified: int, size: int) -> _Archive:
    """The archive's members as of a time and a size of its file."""
    try:
        members = dict(_of_zip(archive) if archive.suffix.lower() == ".zip" else _of_tar(archive))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, ValueError, NotImplementedError, struct.error) as (
        error
    ):
        raise DataError(f"{archive.name} is no archive that can be read: {error}", where=str(archive)) from error
    folders: dict[str, dict[str, None]] = {"": {}}
    for name in members:
        parts = PurePosixPath(name).parts
        for depth, part in enumerate(parts):
            folders.setdefault("/".join(parts[:depth]), {})[part] = None
    return _Archive(members, {name: tuple(sorted(entries)) for name, entries in folders.items()})


def _of_zip(archive: Path) -> Iterator[tuple[str, _Member]]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.is_dir():
                continue
            _refuse_escaping(info.filename, archive)
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                how = "encrypted" if info.flag_bits & 1 else "packed in a way that is not read here"
                raise DataError(f"{info.filename} is {how}", where=str(archive), hint="unpack the archive")
            deflated = info.compress_type == zipfile.ZIP_DEFLATED
            yield info.filename, _Member(info.header_offset, info.compress_size, info.file_size, deflated, info.CRC)


def _of_tar(archive: Path) -> Iterator[tuple[str, _Member]]:
    with tarfile.open(archive, "r:") as file:
        for info in file:
            if not info.isdir():
                _refuse_escaping(info.name, archive)
            if info.isreg():
                yield str(PurePosixPath(info.name)), _Member(info.offset_data, info.size, info.size)


def _refuse_escaping(name: str, archive: Path) -> None:
    """Nothing of an archive lies outside of it."""
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        raise DataError(
            f"{archive.name} names a file outside of itself: {name}",
            where=str(archive),
            hint="such an archive is damaged or meant to harm; pack it anew",
        )
