"""How many pictures the splits of published data sets have, as their papers and pages say; which splits share some."""

from __future__ import annotations

from collections.abc import Mapping

PROMISED: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "cityscapes": {"train": (2975,), "val": (500,), "test": (1525,), "train_extra": (19998,)},
    "cityscapes-coarse": {"train": (2975,), "val": (500,), "train_extra": (19998,)},
    "acdc": {"train": (1600,), "val": (406,), "test": (2000,)},
    "dark-zurich": {"val": (50,)},
    "night-driving": {"test": (50,)},
    "bdd100k": {"train": (7000,), "val": (1000,), "test": (2000,)},
    "kitti": {"train": (200,), "test": (200,)},
    "mapillary": {"train": (18000,), "val": (2000,), "test": (5000,)},
    "mapillary-v2": {"train": (18000,), "val": (2000,), "test": (5000,)},
    "mapillary-cityscapes": {"train": (18000,), "val": (2000,), "test": (5000,)},
    "camvid": {"train": (367,), "val": (101,), "test": (233,)},
    "ade20k": {"train": (20210,), "val": (2000,)},
    "coco-stuff164k": {"train": (118287,), "val": (5000,)},
    "coco-stuff10k": {"train": (9000,), "val": (1000,), "test": (1000,)},
    "voc2012": {"train": (1464,), "val": (1449,), "trainval": (2913,), "trainaug": (10582,)},
    "sbd": {"train": (8498,), "val": (2857,)},
    "context59": {"train": (4996, 4998), "val": (5104, 5105)},          # with the few pictures that others leave out
    "context60": {"train": (4996, 4998), "val": (5104, 5105)},
    "loveda": {"train": (2522,), "val": (1669,), "test": (1796,)},
    "potsdam": {"train": (24, 3456), "val": (14, 2016)},               # whole, or as mmsegmentation cuts them
    "vaihingen": {"train": (16, 344), "val": (17, 398)},
}
"""For each layout and split the counts that are right."""

SHARED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "coco-stuff10k": (("val", "test"),),
    "voc2012": (("trainval", "trainaug"),),
}
"""Splits that have pictures in common by design and are not called one after the other, as train and trainval are."""
