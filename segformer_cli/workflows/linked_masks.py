"""Variants of a data set without copies of its masks: they are linked into each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from segformer_cli.data.pairs import Split
from segformer_cli.places import ArchivePath, name_below
from segformer_cli.robustness.protocols import Cell


def linked(split: Split, out: Path, cells: Sequence[Cell]) -> Iterator[str]:
    """The masks and the lists beside them, now linked into every variant: each is a data set then; why not, if not."""
    if not split.labelled:
        return
    root = split.root
    if isinstance(root, ArchivePath):
        yield f"masks are not linked: they lie in {root.archive.name}"
        return
    masks = _top_of_masks(split)
    if masks is None:
        yield "masks are not linked: they lie in one folder with the pictures"
        return
    lists = [Path(path.name) for path in sorted(root.glob("*.txt"))]
    for corruption, severity in cells:
        for relative in (masks, *lists):
            link, target = out / corruption / str(severity) / relative, (root / relative).resolve()
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                if not link.exists():
                    os.symlink(target, link, target_is_directory=target.is_dir())
            except (NotImplementedError, PermissionError) as error:
                yield f"masks are not linked: {error}; copy {masks} into every variant"
                return


def _top_of_masks(split: Split) -> Path | None:
    """The uppermost folder, from the root on, that holds masks and no picture; None where there is none."""
    pictures = {parent for pair in split.pairs for parent in Path(name_below(pair.image, split.root)).parents}
    mask = split.pairs[0].mask
    assert mask is not None
    downwards = [*Path(name_below(mask, split.root)).parents][::-1]
    return next((place for place in downwards if place not in pictures), None)
