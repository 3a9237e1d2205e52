"""ACDC: the pictures of all conditions in one split, their ids those of Cityscapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.layouts import acdc
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import DataError
from segformer_cli.metrics.clusters import clusters_of

IDS = {"labelIds": (7, 26, 0, 255), "labelTrainIds": (0, 13, 255, 255)}
"""Road, car, and two that are ignored, in the ids of the files."""


def put(root: Path, condition: str, split: str = "val", kinds: tuple[str, ...] = ("labelIds", "labelTrainIds")) -> None:
    """One picture of 2 x 2 pixels, and a mask of each kind."""
    stem = f"GOPR0001_frame_{condition}"
    image = root / "rgb_anon" / condition / split / "GOPR0001" / f"{stem}_rgb_anon.png"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(image)
    for kind in kinds:
        mask = root / "gt" / condition / split / "GOPR0001" / f"{stem}_gt_{kind}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(IDS[kind], np.uint8).reshape(2, 2)).save(mask)


@pytest.mark.parametrize("kinds", [("labelIds", "labelTrainIds"), ("labelIds",), ("labelTrainIds",)])
def test_the_masks_have_the_classes_of_cityscapes_whichever_ids_they_are_in(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    put(tmp_path, "fog", kinds=kinds)
    split = open_data(str(tmp_path), "val")         # recognised without a name
    assert (split.data, split.class_names) == ("acdc", class_set("cityscapes").class_names)
    assert split.read_target(split.pairs[0]).tolist() == [[0, 13], [255, 255]]


def test_of_both_kinds_of_masks_the_train_ids_are_taken(tmp_path: Path) -> None:
    put(tmp_path, "fog")
    (mask,) = (pair.mask for pair in open_data(str(tmp_path), "val").pairs)
    assert mask is not None and mask.name.endswith("_gt_labelTrainIds.png")


def test_a_split_holds_every_condition_which_its_keys_begin_with(tmp_path: Path) -> None:
    for condition in ("night", "fog", "snow"):
        put(tmp_path, condition)
    put(tmp_path, "rain", split="train")
    keys = [pair.key for pair in open_data(f"acdc:{tmp_path}", "val").pairs]
    assert keys == [f"{condition}/GOPR0001_frame_{condition}" for condition in ("fog", "night", "snow")]
    assert clusters_of(keys, acdc.CONDITIONS) == ("fog", "night", "snow")
    assert acdc.split_names(tmp_path) == ["train", "val"]


def test_without_gt_a_split_is_unlabelled(tmp_path: Path) -> None:
    put(tmp_path, "fog", split="test", kinds=())
    split = open_data(str(tmp_path), "test")
    assert not split.labelled and len(split) == 1


def test_a_picture_without_its_mask_is_named(tmp_path: Path) -> None:
    put(tmp_path, "fog")
    lost = tmp_path / "rgb_anon/fog/val/GOPR0001/GOPR0001_frame_000009_rgb_anon.png"
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save(lost)
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images .*frame_000009") as caught:
        open_data(str(tmp_path), "val")
    assert caught.value.hint == "unpack gt_trainval.zip beside rgb_anon"


def test_a_folder_that_is_not_acdc_is_met_with_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no split 'val'") as caught:
        open_data(f"acdc:{tmp_path}", "val")
    assert "needs rgb_anon" in str(caught.value.hint)
