"""Variants of a data set without copies of its masks: they are linked into each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from segformer_cli.data.pairs import Split
from segformer_cli.places import ArchivePath, Place
from segformer_cli.robustness.protocols import Cell


def linked(split: Split, out: Path, cells: Sequence[Cell]) -> Iterator[str]:
    """The masks and the lists beside them, now linked into every variant: each is a data set then; why not, if not."""
    if not split.labelled:
        return
    root = split.root
    if isinstance(root, ArchivePath):
        yield f"masks are not linked: they lie in {root.archive.name}"
        return
    masks = _tops_of_masks(split, root)
    if isinstance(masks, str):
        yield f"masks are not linked: {masks}"
        return
    lists = [Path(path.name) for path in sorted(root.glob("*.txt"))]
    try:
        for corruption, severity in cells:
            for relative in (*masks, *lists):
                _link(out / corruption / str(severity) / relative, (root / relative).resolve())
    except (NotImplementedError, OSError) as error:
        yield f"masks are not linked: {error}; copy {', '.join(map(str, masks))} into every variant"


def _link(link: Path, target: Path) -> None:
    if link.exists():
        return
    link.unlink(missing_ok=True)                # of an earlier call, before the data was moved away
    link.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(target, link, target_is_directory=target.is_dir())


def _tops_of_masks(split: Split, root: Path) -> tuple[Path, ...] | str:
    """The uppermost folders, from the root on, that hold masks and no picture; or why there are none."""
    pictures = {parent for pair in split.pairs for parent in (_below(pair.image, root) or Path()).parents} | {Path()}
    found: dict[Path, None] = {}
    for pair in split.pairs:
        mask = None if pair.mask is None else _below(pair.mask, root)
        if mask is None:
            return f"{pair.mask} lies outside of {root}"
        top = next((place for place in reversed(mask.parents) if place not in pictures), None)
        if top is None:
            return "they lie in one folder with the pictures"
        found[top] = None
    return tuple(found)


def _below(place: Place, root: Path) -> Path | None:
    """The way from a folder to a file that lies below it, links as they are named."""
    whole, top = Path(os.path.abspath(str(place))), os.path.abspath(root)
    return whole.relative_to(top) if whole.is_relative_to(top) else None
