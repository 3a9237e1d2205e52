"""Predicted masks as the files that the data set's test server takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segformer_cli.atomic import replacing
from segformer_cli.classes import known_set, mask_dtype
from segformer_cli.data.pairs import UNKNOWN, Pair, Split
from segformer_cli.images import Ids

_OF_CLASS_IDS = ("bdd100k",)
"""Data sets with the classes of another one, whose own files hold ids of classes."""


def write_submission(folder: Path, split: Split, pair: Pair, mask: Ids, *, force: bool = False) -> Path:
    """The file in `folder` that now holds the mask of one picture: a plain grey PNG, 8-bit up to 255 classes.

    Raises:
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    path = submission_path(folder, pair)
    image = Image.fromarray(submission_ids(mask, split))
    with replacing(path, force=force) as temporary:
        image.save(temporary, format="PNG")
    return path


def submission_path(folder: Path, pair: Pair) -> Path:
    """Where the mask of a picture goes: under its name in the data set, which all the test servers look for.

    That of Cityscapes takes <city>_SSSSSS_FFFFFF*.png at any depth and refuses two that match, so nothing else
    of that name may lie in `folder`.

    >>> submission_path(Path("out"), Pair("bonn_000000_000019", Path("a.png"), None)).as_posix()
    'out/bonn_000000_000019.png'
    """
    return folder / f"{pair.key}.png"


def submission_ids(mask: Ids, split: Split) -> Ids:
    """The mask (H, W) in the ids of the data set's own files; where its classes are of no known set, unchanged.

    Cityscapes gets labelIds (7 is road), ADE20K 1 to 150, COCO-Stuff 0 to 181, BDD100K the train ids. `ignore_index`
    becomes the lowest id that the data set ignores: 0 in the first two, 255 in the others.

    Raises:
        ValueError: the mask holds an id that is no class of the split.
    """
    table = np.full(65536 if mask.dtype == np.uint16 else 256, UNKNOWN, np.int32)
    for class_id, file_id in _file_ids(split).items():
        if class_id < len(table):
            table[class_id] = file_id
    ids = table[mask]
    if ids.min(initial=0) == UNKNOWN:
        stranger = int(mask[ids == UNKNOWN][0])
        raise ValueError(f"the mask holds {stranger}, {split.data} has {len(split.class_names)} classes")
    return ids.astype(np.uint8) if mask_dtype(len(split.class_names)) == "uint8" else ids.astype(np.uint16)


def _file_ids(split: Split) -> dict[int, int]:
    """For each class id, and for `ignore_index`, the lowest id that means it in the data set's own files."""
    known = known_set(split.class_names)
    if known is None or known.id_map is None or split.data in _OF_CLASS_IDS:
        return {index: index for index in (*range(len(split.class_names)), split.ignore_index)}
    # Not what lies on this disk: it may be a copy converted to class ids, which the server does not take.
    return {meaning: file_id for file_id, meaning in sorted(known.id_map.items(), reverse=True)}
