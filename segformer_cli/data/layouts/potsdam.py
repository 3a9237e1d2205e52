"""ISPRS Potsdam, 6 classes: whole tiles in 2_Ortho_RGB and 5_Labels_all_noBoundary, or mmsegmentation's tiles."""

from __future__ import annotations

from segformer_cli.data.layouts import isprs
from segformer_cli.data.layouts.pairing import pair_by_name
from segformer_cli.data.pairs import Split
from segformer_cli.places import Place

NAME = "potsdam"
NEEDS = "2_Ortho_RGB/*_RGB.tif and 5_Labels_all_noBoundary/*_label_noBoundary.tif, or {img_dir,ann_dir}/{train,val}"
SOURCE = "https://www.isprs.org/education/benchmarks/UrbanSemLab/2d-sem-label-potsdam.aspx (form to fill in; 2_ and 5_)"
_IMAGES = (("2_Ortho_RGB", "*_RGB.tif"), ("3_Ortho_IRRG", "*_IRRG.tif"))
_LABELS = (
    ("5_Labels_all_noBoundary", "_label_noBoundary.tif"),
    ("5_Labels_for_participants_no_Boundary", "_label_noBoundary.tif"),
    ("5_Labels_all", "_label.tif"),
    ("5_Labels_for_participants", "_label.tif"),
)
_ROWS = {
    "train": {2: (10, 12), 3: (10, 12), 4: (10, 12), 5: (10, 12), 6: (7, 12), 7: (7, 12)},
    "val": {2: (13, 14), 3: (13, 14), 4: (13, 15), 5: (13, 15), 6: (13, 15), 7: (13, 13)},
}
"""Of each row of tiles the first and the last column that a split has."""

_CARELESS = 32
"""How far a channel may be off: of tile 4_12 users report colours that do not quite keep to the table."""

TILES = {
    split: tuple(f"{row}_{column}" for row, (first, last) in rows.items() for column in range(first, last + 1))
    for split, rows in _ROWS.items()
}


def recognises(root: Place) -> bool:
    """Whether `root` holds this data set's tiles, whole or as mmsegmentation cuts them."""
    return _images(root) is not None or isprs.is_converted(root, r"\d+_\d+")


def split_names(root: Place) -> list[str]:
    """The splits that lie there; of whole tiles those of the benchmark: 24 to train on, 14 to validate on."""
    return list(TILES) if _images(root) is not None else isprs.converted_splits(root)


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; black in whole labels, the borders of objects, is ignored.

    Raises:
        DataError: tiles lack labels, or a label holds a colour of no class.
    """
    images = _images(root)
    if images is None:
        return isprs.open_converted(NAME, root, split)
    folder, pattern = images
    labels = [(isprs.first_with(root, (name,), f"*{suffix}"), suffix) for name, suffix in _LABELS]
    masks, suffix = next((found for found in labels if found[0] is not None), (root / _LABELS[0][0], _LABELS[0][1]))
    assert masks is not None
    keys = frozenset(f"top_potsdam_{tile}" for tile in TILES[split])
    pairs, _ = pair_by_name(folder, masks, pattern, (suffix,), f"unpack {_LABELS[0][0]}.zip", keys)
    return isprs.open_tiles(NAME, root, split, pairs, f"labels of {masks.name}, pictures of {folder.name}", _CARELESS)


def _images(root: Place) -> tuple[Place, str] | None:
    """The folder of whole tiles, and the pattern of their names: red, green and blue, else with infrared."""
    for name, pattern in _IMAGES:
        if (folder := isprs.first_with(root, (name,), pattern)) is not None:
            return folder, pattern
    return None
