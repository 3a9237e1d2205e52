"""Mapillary Vistas: {training,validation,testing}/images beside v1.2/labels and v2.0/labels, or labels of the old zip.

Classes, their names and colours, and which of them count are read from config_v1.2.json or config_v2.0.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from segformer_cli.classes import Colour, class_set, ignore_index_for
from segformer_cli.data.layouts.pairing import pair_by_name
from segformer_cli.data.pairs import UNKNOWN, Pair, Split
from segformer_cli.errors import DataError
from segformer_cli.places import Place

NAME = "mapillary"
NEEDS = "{training,validation}/images/*.jpg, {training,validation}/v1.2/labels/*.png and config_v1.2.json"
SOURCE = "https://www.mapillary.com/dataset/vistas (the zip of v2.0 holds labels v1.2 too; an account)"
FOLDERS = {"train": "training", "val": "validation", "test": "testing"}


@dataclass(frozen=True)
class Labels:
    """The labels of one version in the order of their ids: names, colours, and which are evaluated."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    evaluated: tuple[bool, ...]


def recognises(root: Place) -> bool:
    """Whether `root` has this data set's folders and its list of labels, or labels by version."""
    if not any((root / folder / "images").is_dir() for folder in FOLDERS.values()):
        return False
    listed = [root / "config_v1.2.json", root / "config_v2.0.json"]
    labelled = [root / folder / version / "labels" for folder in FOLDERS.values() for version in ("v1.2", "v2.0")]
    if any(path.is_file() for path in listed) or any(folder.is_dir() for folder in labelled):
        return True
    old = root / "config.json"
    return old.is_file() and b'"readable"' in old.read_bytes()


def split_names(root: Place) -> list[str]:
    """The splits that lie there, as they are called everywhere: train, val, test."""
    return [split for split, folder in FOLDERS.items() if (root / folder / "images").is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, in the classes of v1.2, or of v2.0 where there are no others; test has no labels.

    Raises:
        DataError: pictures lack masks, or the list of labels cannot be read.
    """
    versions = versions_at(root)
    version = versions[0]
    note = None
    if len(versions) > 1:
        note = f"labels of {' and '.join(versions)} lie there, {version} are taken; mapillary-v2:PATH takes v2.0"
    return open_version(root, split, version, NAME, note)


def open_version(root: Place, split: str, version: str, data: str, note: str | None = None) -> Split:
    """The pairs of one split with the labels of a version; those that are not evaluated are ignored.

    Raises:
        DataError: pictures lack masks, or the list of labels cannot be read.
    """
    labels = labels_of(root, version)
    kept = [index for index, counts in enumerate(labels.evaluated) if counts]
    ignore_index = ignore_index_for(len(kept))
    ids = np.full(256, UNKNOWN, np.int32)
    ids[: len(labels.names)] = ignore_index
    ids[kept] = np.arange(len(kept))
    names, palette = tuple(labels.names[index] for index in kept), tuple(labels.colours[index] for index in kept)
    return Split(split, data, root, names, palette, ignore_index, ids, pairs_of(root, split, version), note)


def pairs_of(root: Place, split: str, version: str) -> tuple[Pair, ...]:
    """The pairs of one split with the masks of a version.

    Raises:
        DataError: pictures lack masks.
    """
    folder = root / FOLDERS[split]
    masks = folder / version / "labels" if (folder / version).is_dir() else folder / "labels"
    return pair_by_name(folder / "images", masks, "*.jpg", (".png",), "unpack the zip of Mapillary Vistas whole")[0]


def versions_at(root: Place) -> list[str]:
    """The versions whose labels lie there; v1.2, as which the old zip counts, where there are none."""
    labelled = [FOLDERS["train"], FOLDERS["val"]]
    found = [version for version in ("v1.2", "v2.0") if any((root / f / version / "labels").is_dir() for f in labelled)]
    return found or ["v1.2"]


def labels_of(root: Place, version: str) -> Labels:
    """The labels of a version as its config lists them; without one, those of v1.2 as published.

    Raises:
        DataError: the config is damaged or no such list, or that of v2.0 is missing.
    """
    names = [f"config_{version}.json", *(["config.json"] if version == "v1.2" else [])]
    path = next((root / name for name in names if (root / name).is_file()), None)
    if path is None and version == "v1.2":
        known = class_set(NAME)
        evaluated = tuple(name != "Unlabeled" for name in known.class_names)
        return Labels(known.class_names, known.palette, evaluated)
    if path is None:
        raise DataError(
            f"there is no {names[0]}, which says what the ids are and which classes count",
            where=str(root),
            hint="it is in the zip of Mapillary Vistas, beside training/",
        )
    try:
        entries = json.loads(path.read_text("utf-8"))["labels"]
        red_green_blue = [tuple(map(int, entry["color"][:3])) for entry in entries]
        colours = tuple((red, green, blue) for red, green, blue in red_green_blue)
        readable = tuple(str(entry["readable"]).strip() for entry in entries)
        return Labels(readable, colours, tuple(bool(entry["evaluate"]) for entry in entries))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path.name} is no list of labels of Mapillary Vistas ({error!r})", where=str(path), hint="unpack it again"
        ) from error
