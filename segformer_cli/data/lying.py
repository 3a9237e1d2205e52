"""What lies beside the pictures and masks of a data set without belonging to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from segformer_cli.data.findings import Fault
from segformer_cli.data.own_masks import OWN_MASK_SUFFIXES
from segformer_cli.data.pairs import Pair
from segformer_cli.images import PICTURE_SUFFIXES
from segformer_cli.places import Place

UNREAD_SUFFIXES = (".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".svg", ".dng", ".raw", ".psd")
"""Of pictures in formats that no data set is read from."""


def passed_over(pairs: Iterable[Pair]) -> Iterator[Fault]:
    """Pictures in formats that are not read, and folders named like pictures, in the folders of the pictures."""
    for entry in _beside({pair.image.parent: None for pair in pairs}):
        suffix = entry.suffix.lower()
        if suffix in UNREAD_SUFFIXES:
            yield Fault("passed_over", entry, f"{suffix} is no format that is read")
        elif suffix in PICTURE_SUFFIXES and entry.is_dir():
            yield Fault("passed_over", entry, "a folder named like a picture")


def masks_alone(pairs: Sequence[Pair]) -> Iterator[Fault]:
    """Files called like masks of the data whose picture is not there.

    Args:
        pairs: those of all splits.
    """
    used, endings = set(), set()
    for pair in pairs:
        if pair.mask is not None and pair.mask != pair.image:
            used.add(pair.mask)
            stem = PurePosixPath(pair.key).name
            if pair.mask.name.startswith(stem):
                endings.add(pair.mask.name[len(stem) :])
    endings = {ending for ending in endings if ending.lower().endswith(OWN_MASK_SUFFIXES)}
    folders = {pair.mask.parent: None for pair in pairs if pair.mask is not None and pair.mask != pair.image}
    if not endings:
        return
    stems = _stems(pairs)
    for entry in _beside(folders):
        ending = next((each for each in endings if entry.name.endswith(each)), None)
        if ending is None or entry in used:
            continue
        if (stem := entry.name[: -len(ending)]) not in stems:
            yield Fault("mask_alone", entry, f"no picture is called {stem}")


def _stems(pairs: Sequence[Pair]) -> set[str]:
    """How masks may be called: as what lies beside the pictures, without the endings that pictures have."""
    endings = {*PICTURE_SUFFIXES, *UNREAD_SUFFIXES}
    for pair in pairs:
        endings.add(pair.image.name.removeprefix(PurePosixPath(pair.key).name))
    names = [entry.name for entry in _beside({pair.image.parent: None for pair in pairs})]
    return {name[: -len(ending)] for name in names for ending in endings if ending and name.lower().endswith(ending)}


def _beside(folders: Iterable[Place]) -> Iterator[Place]:
    """What lies in folders, hidden files apart, in order of names."""
    for folder in folders:
        lying: list[Place] = sorted(folder.iterdir(), key=str) if folder.is_dir() else []
        yield from (entry for entry in lying if not entry.name.startswith("."))
