"""COCO-Stuff 10k as its zip unpacks, masks in .mat files, and as mmsegmentation converts it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.coco_stuff10k import file_ids
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError
from tests.data.trees import filling, put_grey, put_list, put_picture, zipped

TRAIN, TEST = "COCO_train2014_000000000077", "COCO_train2014_000000000064"
NEVER = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91)
"""Ids that occur in no mask."""
IDS = [0, 1, 13, 182]
AS_CLASSES = [255, 0, 11, 170, 255, 0]


def put_stuff10k(root: Path) -> Path:
    """cocostuff-10k-v1.1.zip: the matrix S beside the captions and regions."""
    for split, stem in (("train", TRAIN), ("test", TEST)):
        put_picture(root / f"images/{stem}.jpg")
        words = np.array(["person", "grass"], dtype=object)
        (root / "annotations").mkdir(exist_ok=True)
        content = {"S": filling(IDS), "captions": words, "names": words, "regionLabelsStuff": [1, 2]}
        savemat(root / f"annotations/{stem}.mat", content, do_compression=True)
        put_list(root / f"imageLists/{split}.txt", stem)
    put_list(root / "imageLists/all.txt", TEST, TRAIN)
    return root


def test_masks_are_read_from_mat_files_and_0_is_ignored(tmp_path: Path) -> None:
    root = put_stuff10k(tmp_path)
    assert layout_name(str(root)) == "coco-stuff10k"
    split = open_data(str(root), "train")
    assert (split.class_names, [pair.key for pair in split.pairs]) == (class_set("coco-stuff").class_names, [TRAIN])
    assert split.read(split.pairs[0])[1][0].tolist() == AS_CLASSES


def test_the_ids_in_use_become_the_classes_by_their_rank() -> None:
    used = [index for index in range(1, 183) if index not in NEVER]
    ids = file_ids()
    assert ids[used].tolist() == list(range(171))
    assert ids[0] == 255
    assert (ids[list(NEVER)] == -1).all() and (ids[183:] == -1).all()
    of164k = class_set("coco-stuff").id_map
    assert of164k is not None
    assert {index - 1: int(ids[index]) for index in used} == {k: v for k, v in of164k.items() if v != 255}


def test_val_is_the_list_of_test(tmp_path: Path) -> None:
    root = put_stuff10k(tmp_path)
    val, test = open_data(str(root), "val"), open_data(str(root), "test")
    assert [pair.key for pair in val.pairs] == [pair.key for pair in test.pairs] == [TEST]
    assert val.note == "val is the list of test: COCO-Stuff 10k has no other"


def test_masks_of_the_same_ids_may_be_png(tmp_path: Path) -> None:
    root = put_stuff10k(tmp_path)
    for stem in (TRAIN, TEST):
        (root / f"annotations/{stem}.mat").unlink()
        put_grey(root / f"annotations/{stem}.png", IDS)
    split = open_data(str(root), "train")
    assert split.read_target(split.pairs[0])[0].tolist() == AS_CLASSES


def put_converted(root: Path) -> Path:
    """What mmsegmentation writes: rank of the id, 0 where there is none, which it takes away while reading."""
    for folder, stem in (("train2014", TRAIN), ("test2014", TEST)):
        put_picture(root / f"images/{folder}/{stem}.jpg")
        put_grey(root / f"annotations/{folder}/{stem}_labelTrainIds.png", [0, 1, 12, 171])
    return root


def test_what_mmsegmentation_converted_is_read(tmp_path: Path) -> None:
    root = put_converted(tmp_path)
    assert layout_name(str(root)) == "coco-stuff10k"
    split = open_data(str(root), "val")
    assert [pair.key for pair in split.pairs] == [TEST]
    assert split.read(split.pairs[0])[1][0].tolist() == AS_CLASSES


def test_the_download_is_taken_before_what_was_made_of_it(tmp_path: Path) -> None:
    split = open_data(str(put_converted(put_stuff10k(tmp_path))), "train")
    assert split.pairs[0].mask == tmp_path / f"annotations/{TRAIN}.mat"


def test_it_is_read_from_its_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_stuff10k(tmp_path / "stuff"))), "train")
    assert split.read(split.pairs[0])[1][0].tolist() == AS_CLASSES


def test_a_missing_mask_and_an_id_that_never_occurs_are_told(tmp_path: Path) -> None:
    root = put_stuff10k(tmp_path)
    savemat(root / f"annotations/{TEST}.mat", {"S": filling([1, 91])})
    split = open_data(str(root), "test")
    with pytest.raises(DataError, match=r"holds the id 91 \(12 pixels\), which is no class of coco-stuff10k"):
        split.read_target(split.pairs[0])
    put_list(root / "imageLists/train.txt", TRAIN, TEST)
    (root / f"annotations/{TEST}.mat").unlink()
    with pytest.raises(DataError, match="no mask found for 1 of 2 images"):
        open_data(str(root), "train")
