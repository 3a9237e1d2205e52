"""COCO-Stuff 164k as its zip files unpack, 171 classes in ids with gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError

NEVER = (11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90)
"""Ids that occur in no mask."""
USED = [index for index in range(182) if index not in NEVER]
IDS = np.array([*USED, *[255] * 5], np.uint8).reshape(11, 16)
NAME = "coco-stuff164k"


def put_picture(path: Path, size_hw: tuple[int, int] = IDS.shape) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size_hw, 3), np.uint8)).save(path)
    return path


def put_grey(path: Path, ids: np.ndarray = IDS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)
    return path


def put_coco(root: Path, mask_suffix: str = ".png", ids: np.ndarray = IDS) -> Path:
    """The tree of {train,val}2017.zip and stuffthingmaps_trainval2017.zip: JPEG pictures, 8-bit grey masks."""
    for folder, numbers in (("train2017", (9, 25)), ("val2017", (139,))):
        for number in numbers:
            put_picture(root / "images" / folder / f"{number:012d}.jpg")
            put_grey(root / "annotations" / folder / f"{number:012d}{mask_suffix}", ids)
    return root


def test_the_ids_in_use_become_the_171_classes_in_their_order_and_255_is_ignored(tmp_path: Path) -> None:
    split = open_data(f"{NAME}:{put_coco(tmp_path)}", "train")
    assert [pair.key for pair in split.pairs] == ["000000000009", "000000000025"]
    assert (split.data, split.class_names) == (NAME, class_set("coco-stuff").class_names)
    assert split.labelled
    _, target = split.read(split.pairs[0])
    assert target.ravel().tolist() == [*range(171), *[255] * 5]


def test_a_familiar_thing_and_stuff_keep_their_names(tmp_path: Path) -> None:
    # The cat is category 17, sky-other 157; the files hold one less.
    put_coco(tmp_path, ids=np.repeat(np.array([16, 156], np.uint8), 88).reshape(IDS.shape))
    split = open_data(str(tmp_path), "val")
    _, target = split.read(split.pairs[0])
    assert [split.class_names[index] for index in np.unique(target)] == ["cat", "sky-other"]


def test_the_class_ids_that_mmsegmentation_wrote_are_read_where_they_lie_alone(tmp_path: Path) -> None:
    class_ids = np.array([*range(171), *[255] * 5], np.uint8).reshape(IDS.shape)
    root = put_coco(tmp_path, "_labelTrainIds.png", class_ids)
    alone = open_data(str(root), "val")
    assert alone.pairs[0].key == "000000000139"
    assert alone.read_target(alone.pairs[0]).tolist() == class_ids.tolist()

    put_coco(root)
    beside = open_data(str(root), "val")
    assert beside.pairs[0].mask == root / "annotations/val2017/000000000139.png"
    assert beside.read_target(beside.pairs[0]).tolist() == class_ids.tolist()


@pytest.mark.parametrize("never", NEVER)
def test_an_id_that_never_occurs_is_no_class(tmp_path: Path, never: int) -> None:
    put_coco(tmp_path, ids=np.full(IDS.shape, never, np.uint8))
    split = open_data(str(tmp_path), "val")
    words = rf"000000000139\.png holds the id {never} \(176 pixels\), which is no class of {NAME}"
    with pytest.raises(DataError, match=words) as caught:
        split.read(split.pairs[0])
    assert str(caught.value.hint).startswith("its 171 classes have the ids 0-10, 12-24, 26-27, 30-43")


def test_a_test_split_has_no_labels_and_need_not_lie_there(tmp_path: Path) -> None:
    root = put_coco(tmp_path)
    with pytest.raises(DataError, match="has no split 'test'"):
        open_data(str(root), "test")
    put_picture(root / "images/test2017/000000000001.jpg")
    assert not open_data(str(root), "test").labelled


def test_a_mask_that_lacks_among_others_is_named(tmp_path: Path) -> None:
    root = put_coco(tmp_path)
    missing = root / "annotations/train2017/000000000025.png"
    missing.unlink()
    words = r"no mask found for 1 of 2 images \(first: train2017/000000000025\.jpg"
    with pytest.raises(DataError, match=words) as caught:
        open_data(str(root), "train")
    assert caught.value.where == f"looked for {missing}"
    assert "stuffthingmaps" in str(caught.value.hint)


def test_original_masks_and_class_ids_are_never_mixed(tmp_path: Path) -> None:
    root = put_coco(tmp_path)
    mask = root / "annotations/train2017/000000000025.png"
    mask.rename(mask.with_name("000000000025_labelTrainIds.png"))
    with pytest.raises(DataError, match="no mask found for 1 of 2 images"):
        open_data(str(root), "train")


def test_it_is_recognised_but_no_one_elses_folder_is(tmp_path: Path) -> None:
    assert layout_name(str(put_coco(tmp_path / "coco"))) == NAME
    own = tmp_path / "own"
    put_picture(own / "images/train2017/street_1.jpg")
    put_grey(own / "annotations/train2017/street_1.png")
    assert layout_name(str(own)) == "folder"
    relabelled = put_coco(tmp_path / "relabelled")
    (relabelled / "classes.txt").write_text("cat\nelse\n")
    assert layout_name(str(relabelled)) == "folder"
