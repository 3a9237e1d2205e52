"""ISPRS Vaihingen, 6 classes: whole tiles in top/ and their labels in a folder each, or mmsegmentation's tiles."""

from __future__ import annotations

from segformer_cli.data.layouts import isprs
from segformer_cli.data.layouts.pairing import pair_by_name
from segformer_cli.data.pairs import Split
from segformer_cli.places import Place

NAME = "vaihingen"
NEEDS = (
    "ISPRS_semantic_labeling_Vaihingen/top/*.tif and ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE/"
    "*_noBoundary.tif, or {img_dir,ann_dir}/{train,val}"
)
SOURCE = "https://www.isprs.org/education/benchmarks/UrbanSemLab/2d-sem-label-vaihingen.aspx (form to fill in)"
_TOP = "ISPRS_semantic_labeling_Vaihingen"
_PATTERN = "top_mosaic_09cm_area*.tif"
_LABELS = (
    (f"{_TOP}_ground_truth_eroded_COMPLETE", "_noBoundary.tif"),
    (f"{_TOP}_ground_truth_eroded_for_participants", "_noBoundary.tif"),
    (f"{_TOP}_ground_truth_COMPLETE", ".tif"),
    ("gts_for_participants", ".tif"),
)
TILES = {
    "train": (1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37),
    "val": (2, 4, 6, 8, 10, 12, 14, 16, 20, 22, 24, 27, 29, 31, 33, 35, 38),
}


def recognises(root: Place) -> bool:
    """Whether `root` holds this data set's tiles, whole or as mmsegmentation cuts them."""
    return _images(root) is not None or isprs.is_converted(root, r"area\d+")


def split_names(root: Place) -> list[str]:
    """The splits that lie there; of whole tiles those of the benchmark: 16 to train on, 17 to validate on."""
    return list(TILES) if _images(root) is not None else isprs.converted_splits(root)


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split; black in whole labels, the borders of objects, is ignored.

    Raises:
        DataError: tiles lack labels, or a label holds a colour of no class.
    """
    images = _images(root)
    if images is None:
        return isprs.open_converted(NAME, root, split)
    homes = (root, root / _TOP)
    labels = [(isprs.first_with(home, (name,), f"*{suffix}"), suffix) for name, suffix in _LABELS for home in homes]
    masks, suffix = next((found for found in labels if found[0] is not None), (root / _LABELS[0][0], _LABELS[0][1]))
    assert masks is not None
    keys = frozenset(f"top_mosaic_09cm_area{number}" for number in TILES[split])
    # The names of pictures end in nothing but their suffix, and so do those of labels that are not eroded.
    hint = f"unpack {_LABELS[0][0]}.zip into a folder of that name"
    pairs, _ = pair_by_name(images, masks, "*.tif", (suffix,), hint, keys)
    return isprs.open_tiles(NAME, root, split, pairs, f"labels of {masks.name}")


def _images(root: Place) -> Place | None:
    """The folder of whole tiles."""
    return isprs.first_with(root, ("top",), _PATTERN) or isprs.first_with(root / _TOP, ("top",), _PATTERN)
