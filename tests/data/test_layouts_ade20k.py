"""ADE20K as its zip files unpack, 150 classes and an ignored 0."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError

EVERY_ID = np.arange(160, dtype=np.uint8).reshape(10, 16) % 151


def put_picture(path: Path, size_hw: tuple[int, int] = EVERY_ID.shape) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size_hw, 3), np.uint8)).save(path)
    return path


def put_grey(path: Path, ids: np.ndarray = EVERY_ID) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)
    return path


def put_ade20k(home: Path) -> Path:
    """The tree of ADEChallengeData2016.zip: JPEG pictures, 8-bit grey masks of the same stems."""
    for folder, short, count in (("training", "train", 2), ("validation", "val", 1)):
        for number in range(1, count + 1):
            put_picture(home / "images" / folder / f"ADE_{short}_{number:08d}.jpg")
            put_grey(home / "annotations" / folder / f"ADE_{short}_{number:08d}.png")
    (home / "objectInfo150.txt").write_text("Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1576\t11664\t1172\t1\twall\n")
    (home / "sceneCategories.txt").write_text("ADE_train_00000001 airport_terminal\n")
    return home


def test_ids_1_to_150_become_the_150_classes_and_0_is_ignored(tmp_path: Path) -> None:
    split = open_data(f"ade20k:{put_ade20k(tmp_path / 'ADEChallengeData2016')}", "train")
    assert [pair.key for pair in split.pairs] == ["ADE_train_00000001", "ADE_train_00000002"]
    assert (split.data, split.class_names) == ("ade20k", class_set("ade20k").class_names)
    assert split.labelled
    _, target = split.read(split.pairs[0])
    assert target.tolist() == np.where(EVERY_ID == 0, 255, EVERY_ID.astype(int) - 1).tolist()


def test_the_splits_are_called_train_val_and_test(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path)
    assert [pair.key for pair in open_data(f"ade20k:{home}", "val").pairs] == ["ADE_val_00000001"]
    with pytest.raises(DataError, match="has no split 'validation'") as caught:
        open_data(f"ade20k:{home}", "validation")
    assert caught.value.hint == "known: train, val"
    with pytest.raises(DataError, match="has no split 'test'"):
        open_data(f"ade20k:{home}", "test")


@pytest.mark.parametrize("place", ["release_test/testing", "ADEChallengeData2016/images/testing"])
@pytest.mark.parametrize("inside", [False, True])
def test_the_pictures_of_the_test_download_are_an_unlabelled_split(tmp_path: Path, place: str, inside: bool) -> None:
    home = put_ade20k(tmp_path / "ADEChallengeData2016")
    put_picture(tmp_path / place / "ADE_test_00000001.jpg")
    split = open_data(str(home if inside else tmp_path), "test")
    assert [(pair.key, pair.mask) for pair in split.pairs] == [("ADE_test_00000001", None)]
    assert not split.labelled
    assert open_data(str(home if inside else tmp_path), "val").labelled


def test_the_download_is_recognised_and_so_is_the_folder_around_it(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path / "ADEChallengeData2016")
    assert layout_name(str(home)) == layout_name(str(tmp_path)) == "ade20k"


def test_it_is_recognised_by_its_list_of_objects_or_by_the_names_of_its_pictures(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path / "ade")
    for picture in sorted(home.rglob("ADE_*")):
        picture.rename(picture.with_name(picture.name.replace("ADE", "renamed")))
    assert layout_name(str(home)) == "ade20k"
    bare = put_ade20k(tmp_path / "bare")
    (bare / "objectInfo150.txt").unlink()
    assert layout_name(str(bare)) == "ade20k"


def test_someones_own_images_in_folders_of_the_same_names_stay_theirs(tmp_path: Path) -> None:
    for folder in ("training", "validation"):
        put_picture(tmp_path / "images" / folder / "street_1.jpg")
        put_grey(tmp_path / "annotations" / folder / "street_1.png")
    assert layout_name(str(tmp_path)) == "folder"


def test_own_classes_on_pictures_of_ade20k_stay_ones_own(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path / "ADEChallengeData2016")
    (home / "classes.txt").write_text("floor\nelse\n")
    assert layout_name(str(home)) == "folder"


def test_an_id_above_150_is_named_with_its_file(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path)
    put_grey(home / "annotations/validation/ADE_val_00000001.png", np.full(EVERY_ID.shape, 151, np.uint8))
    split = open_data(f"ade20k:{home}", "val")
    with pytest.raises(DataError, match=r"ADE_val_00000001\.png holds the id 151 \(160 pixels\)") as caught:
        split.read(split.pairs[0])
    assert str(caught.value.hint).startswith("its 150 classes have the ids 0-150;")


def test_a_mask_that_lacks_among_others_is_named(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path)
    missing = home / "annotations/training/ADE_train_00000002.png"
    missing.unlink()
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: training/ADE_train_00000002\.jpg"):
        open_data(f"ade20k:{home}", "train")
    put_picture(home / "images/validation/._ADE_val_00000001.jpg")  # what macOS leaves on other disks
    assert len(open_data(f"ade20k:{home}", "val")) == 1


def test_masks_that_are_all_named_otherwise_are_an_error_and_none_at_all_an_unlabelled_split(tmp_path: Path) -> None:
    home = put_ade20k(tmp_path)
    mask = home / "annotations/validation/ADE_val_00000001.png"
    mask.rename(mask.with_name("ADE_val_00000001_seg.png"))
    with pytest.raises(DataError, match="no mask found for 1 of 1 images") as caught:
        open_data(f"ade20k:{home}", "val")
    assert caught.value.where == f"looked for {mask}"
    mask.with_name("ADE_val_00000001_seg.png").rename(mask.with_name(".DS_Store"))
    assert not open_data(f"ade20k:{home}", "val").labelled


def test_the_full_ade20k_is_no_such_tree(tmp_path: Path) -> None:
    put_picture(tmp_path / "images/ADE/training/urban/street/ADE_train_00016869.jpg")
    (tmp_path / "index_ade20k.pkl").touch()
    with pytest.raises(DataError, match="has no split 'val'") as caught:
        open_data(f"ade20k:{tmp_path}", "val")
    assert "needs ADEChallengeData2016" in str(caught.value.hint)
