"""Where files lie: in folders, or in a zip or tar file, which is read in place as if it were a folder."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import posixpath
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

_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, struct.error, EOFError, OSError, ValueError, OverflowError,
    NotImplementedError,
)
"""What the readers of archives raise of damaged ones."""


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
        except (*_DAMAGED, zlib.error) as error:
            raise DataError(f"{self.name} cannot be read: {error}", where=str(self)) from error
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
    while True:
        # macOS packs .DS_Store and __MACOSX beside what was meant.
        lying = [entry for entry in place.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith(".")]
        if len(lying) != 1 or not lying[0].is_dir():
            return place
        place = lying[0]


def files_below(folder: Place) -> Iterator[Place]:
    """All files below a folder, each folder's in order of names; links are followed, but not into what holds them.

    Raises:
        DataError: a folder may not be read.
    """
    if isinstance(folder, ArchivePath):
        for entry in folder.iterdir():
            if entry.is_dir():
                yield from files_below(entry)
            else:
                yield entry
        return
    yield from _walked(folder, frozenset())


def _walked(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """All files below a folder that lies in those whose device and number are given."""
    try:
        found = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"the folder {folder.name} cannot be read: {error.strerror}", where=str(folder)) from error
    if (found.st_dev, found.st_ino) in above:
        return
    folders = {entry.name for entry in entries if _is_folder(entry)}
    yield from (folder / entry.name for entry in entries if entry.name not in folders)
    for name in sorted(folders):
        yield from _walked(folder / name, above | {(found.st_dev, found.st_ino)})


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or leads to one; a link to itself does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def name_below(place: Place, folder: Place) -> str:
    """The way from a folder to what lies in it, with slashes.

    >>> name_below(Path("data/images/a.jpg"), Path("data"))
    'images/a.jpg'
    """
    if isinstance(place, ArchivePath):
        return place.relative_to(folder).as_posix()
    assert isinstance(folder, Path)
    return place.relative_to(folder).as_posix()


def swapped(place: Place, part: str, other: str) -> Place | None:
    """The place with the last `part` of its path made `other`; None where it has none.

    >>> swapped(Path("images/a/images/train"), "images", "masks").as_posix()
    'images/a/masks/train'
    """
    parts = place.inner.parts if isinstance(place, ArchivePath) else place.parts
    old, new = PurePosixPath(part).parts, PurePosixPath(other).parts
    starts = [at for at in range(len(parts) - len(old) + 1) if parts[at : at + len(old)] == old]
    if not starts:
        return None
    changed = (*parts[: starts[-1]], *new, *parts[starts[-1] + len(old) :])
    return ArchivePath(place.archive, PurePosixPath(*changed)) if isinstance(place, ArchivePath) else Path(*changed)


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
        members = dict(_of_zip(archive)) if archive.suffix.lower() == ".zip" else _of_tar(archive)
    except _DAMAGED as error:
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
            name = info.filename.replace("\\", "/")         # as some programs on Windows write it
            if name.endswith("/"):
                continue
            _refuse_escaping(info.filename, archive)
            if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                how = "encrypted" if info.flag_bits & 1 else "packed in a way that is not read here"
                raise DataError(f"{info.filename} is {how}", where=str(archive), hint="unpack the archive")
            stored, size, deflated = info.compress_size, info.file_size, info.compress_type == zipfile.ZIP_DEFLATED
            yield str(PurePosixPath(name)), _Member(info.header_offset, stored, size, deflated, info.CRC)


def _of_tar(archive: Path) -> dict[str, _Member]:
    members: dict[str, _Member] = {}
    links: dict[str, str] = {}
    with tarfile.open(archive, "r:") as file:
        for info in file:
            name = str(PurePosixPath(info.name))
            if not info.isdir():
                _refuse_escaping(info.name, archive)
            if info.isreg():
                members[name] = _Member(info.offset_data, info.size, info.size)
            elif info.islnk() or info.issym():
                beside = posixpath.dirname(name) if info.issym() else ""
                links[name] = posixpath.normpath(posixpath.join(beside, info.linkname))
    return _linked(members, links)


def _linked(members: dict[str, _Member], links: dict[str, str]) -> dict[str, _Member]:
    """The members with those that links lead to, files and folders; links that lead nowhere are left out."""
    found = dict(members)
    while links:
        below: dict[str, list[str]] = {}
        for name in found:
            for folder in PurePosixPath(name).parents:
                below.setdefault(str(folder), []).append(name)
        led = {name: target for name, target in links.items() if target in found or target in below}
        for name, target in led.items():
            if target in found:
                found[name] = found[target]
            else:
                found |= {f"{name}/{posixpath.relpath(each, target)}": found[each] for each in below[target]}
        links = {name: target for name, target in links.items() if name not in led}
        if not led:
            break
    return found


def _refuse_escaping(name: str, archive: Path) -> None:
    """Nothing of an archive lies outside of it."""
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
        raise DataError(
            f"{archive.name} names a file outside of itself: {name}",
            where=str(archive),
            hint="such an archive is damaged or meant to harm; pack it anew",
        )
