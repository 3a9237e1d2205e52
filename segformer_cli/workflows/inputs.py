"""The pictures that people name: files, folders, globs, lists, archives and what lies in them, `sample`."""

from __future__ import annotations

import glob
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from segformer_cli.bands import ARRAY_SUFFIX
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import ImageError
from segformer_cli.images import PICTURE_SUFFIXES
from segformer_cli.places import ARCHIVES, ArchivePath, Place, files_below, name_below, open_place

SAMPLE = "sample"
STANDARD_INPUT = "-"
"""In place of a name: the names come from there, one a line."""

LISTS = (".txt", ".lst")
"""Endings of files that name pictures, one a line; what follows a # is passed over."""

Found = tuple[Place, Path]
"""A picture, and its path below whatever it was found through: its outputs mirror that."""


def find_pictures(inputs: Sequence[str]) -> list[Found]:
    """Every picture that the inputs name, in their order, each once however often it was named.

    Raises:
        ImageError: an input names nothing.
        DataError: an archive cannot be read.
    """
    found: dict[str, Found] = {}
    for text in inputs:
        for place, relative in _named(text):
            found.setdefault(str(place), (place, relative))
    return list(found.values())


def named_apart(pictures: Sequence[Found]) -> list[Found]:
    """The pictures with the names of their masks; a.jpg beside a.png keep their endings: a.jpg.png, a.png.png."""
    stems = Counter(relative.with_suffix("") for _, relative in pictures)
    return [
        (picture, relative.with_suffix(".png" if stems[relative.with_suffix("")] == 1 else f"{relative.suffix}.png"))
        for picture, relative in pictures
    ]


def _named(text: str) -> Iterator[Found]:
    path = Path(text).expanduser()
    if text == SAMPLE and not path.exists():
        yield from ((pair.image, Path(pair.image.name)) for pair in open_data(SAMPLE, "val").pairs)
    elif text == STANDARD_INPUT:
        yield from _listed(sys.stdin.read(), Path(), "standard input")
    elif path.is_dir() or (path.is_file() and path.suffix.lower() in ARCHIVES):
        yield from _below(open_place(path), text)
    elif path.is_file() and path.suffix.lower() in LISTS:
        yield from _listed(_text_of(path), path.parent, text)
    elif path.exists():
        yield path, Path(path.name)
    elif (inside := _inside_archive(path)) is not None:
        yield from _below(inside, text) if inside.is_dir() else ((inside, Path(inside.name)),)
    else:
        yield from _matching(path, text)


def _below(folder: Place, text: str) -> Iterator[Found]:
    """All pictures below a folder or in an archive; hidden ones are passed over.

    Arrays beside pictures are something else, such as scores; alone they are pictures of many bands.
    """
    files = sorted((each for each in files_below(folder) if not each.name.startswith(".")), key=str)
    for endings in (PICTURE_SUFFIXES, (ARRAY_SUFFIX,)):
        inside = [each for each in files if each.suffix.lower() in endings]
        if inside:
            yield from ((each, Path(name_below(each, folder))) for each in inside)
            return
    kind = "folder" if isinstance(folder, Path) else "archive"
    where = str(folder.absolute())
    raise ImageError(f"there are no pictures in the {kind} {text}", where=where, hint=_suffixes())


def _listed(lines: str, home: Path, text: str) -> Iterator[Found]:
    """The pictures of a list; names begin in its folder or here."""
    names = [line.partition("#")[0].strip() for line in lines.splitlines()]
    if not any(names):
        raise ImageError(f"{text} names no picture", where=str(home.absolute()), hint="write one a line")
    for number, name in enumerate(names, 1):
        if not name:
            continue
        tried = [home / name, Path(name).expanduser()]
        place = next((each for each in tried if each.is_file()), None) or _inside_archive(tried[0])
        if place is None or not place.is_file():
            raise ImageError(
                f"there is no picture {name}", where=f"{text}, line {number}", hint=f"looked for {tried[0].absolute()}"
            )
        upwards = Path(name).is_absolute() or ".." in Path(name).parts
        yield place, Path(place.name) if upwards else Path(name)


def _inside_archive(path: Path) -> ArchivePath | None:
    """`scenes.zip/day/a.jpg` as a place; None where no part of the path is an archive that holds the rest."""
    for parent in path.parents:
        if parent.suffix.lower() in ARCHIVES and parent.is_file():
            place = ArchivePath(parent) / path.relative_to(parent).as_posix()
            return place if place.exists() else None
    return None


def _matching(path: Path, text: str) -> Iterator[Found]:
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    matches = [match for match in matches if match.is_file()]
    if not matches:
        raise ImageError(f"there is no picture {text}", where=str(path.absolute()))
    yield from ((match, Path(match.name)) for match in matches)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{path.name} is no list of pictures: {error}", where=str(path)) from error


def _suffixes() -> str:
    return "pictures end in " + ", ".join(PICTURE_SUFFIXES)
