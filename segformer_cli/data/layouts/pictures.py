"""DATA for work that can do without labels: a folder that holds nothing but pictures is a split too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segformer_cli.classes import default_palette, ignore_index_for
from segformer_cli.data.bending import NOT_BENT, Bending
from segformer_cli.data.layouts.detect import locate, open_data
from segformer_cli.data.layouts.matching import pictures_in
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.errors import DataError
from segformer_cli.places import Place, name_below


def open_pictures(
    data: str,
    split: str,
    class_names: Sequence[str],
    bending: Bending = NOT_BENT,
) -> Split:
    """The split that `data` names, as `open_data`; a folder in no known layout is all pictures below it, unlabelled.

    Args:
        class_names: of the network: those of a folder without labels.
        bending: how to read it otherwise than it lies there.

    Raises:
        DataError: it is no data set and holds no pictures, or has no such split.
        UsageError: NAME is no layout.
    """
    try:
        locate(data)
    except DataError:
        root = Path(data).expanduser()
        pictures = pictures_in(root, bending.image_suffix) if root.is_dir() else []
        if not pictures:
            raise
        return _unlabelled(root, pictures, tuple(class_names))
    return open_data(data, split, bending)


def _unlabelled(root: Place, pictures: Sequence[Place], class_names: tuple[str, ...]) -> Split:
    K = len(class_names)
    ignore_index = ignore_index_for(K)
    pairs = tuple(Pair(name_below(path, root), path, None) for path in pictures)
    ids = identity_ids(K, ignore_index)
    return Split("all", root.name, root, class_names, default_palette(K), ignore_index, ids, pairs)
