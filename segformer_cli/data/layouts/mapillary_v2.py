"""Mapillary Vistas with the labels of v2.0, also where those of v1.2 lie beside them."""

from __future__ import annotations

from segformer_cli.data.layouts import mapillary
from segformer_cli.data.pairs import Split
from segformer_cli.places import Place

NAME = "mapillary-v2"
NEEDS = "{training,validation}/images/*.jpg, {training,validation}/v2.0/labels/*.png and config_v2.0.json"
SOURCE = mapillary.SOURCE


def recognises(root: Place) -> bool:
    """Never: without a name, `mapillary` takes what lies there."""
    return False


def split_names(root: Place) -> list[str]:
    """The splits that lie there, as they are called everywhere: train, val, test."""
    return mapillary.split_names(root)


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, in the classes of v2.0 that are evaluated; test has no labels.

    Raises:
        DataError: pictures lack masks, or there is no config_v2.0.json.
    """
    return mapillary.open_version(root, split, "v2.0", NAME)
