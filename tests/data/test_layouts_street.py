"""Street scenes labelled as Cityscapes: Dark Zurich, Nighttime Driving, BDD100K, KITTI, and its own coarse labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError
from tests.data.trees import put_grey, put_picture, zipped

CITY = class_set("cityscapes")
LABEL_IDS, AS_CLASSES = [7, 26, 0, 3], [0, 13, 255, 255, 0, 13]
TRAIN_IDS, UNCHANGED = [0, 18, 255], [0, 18, 255, 0, 18, 255]


def put_dark_zurich(root: Path) -> Path:
    """Dark_Zurich_val_anon.zip, and some of what has no labels."""
    frame = "GOPR0356/GOPR0356_frame_000321"
    put_picture(root / f"rgb_anon/val/night/{frame}_rgb_anon.png")
    put_picture(root / "rgb_anon/val_ref/day/GOPR0356_ref/GOPR0356_frame_000321_ref_rgb_anon.png")
    put_picture(root / "rgb_anon/train/twilight/GOPR0348/GOPR0348_frame_000001_rgb_anon.png")
    put_grey(root / f"gt/val/night/{frame}_gt_labelTrainIds.png", TRAIN_IDS)
    put_grey(root / f"gt/val/night/{frame}_gt_labelIds.png", [7, 33, 0])
    put_grey(root / f"gt/val/night/{frame}_gt_invGray.png", [0, 255])
    return root


def test_dark_zurich_is_told_from_acdc_and_read_in_the_classes_of_cityscapes(tmp_path: Path) -> None:
    root = put_dark_zurich(tmp_path)
    assert layout_name(str(root)) == "dark-zurich"
    split = open_data(str(root), "val")
    assert (split.data, split.class_names) == ("dark-zurich", CITY.class_names)
    assert [pair.key for pair in split.pairs] == ["GOPR0356_frame_000321"]
    assert split.read(split.pairs[0])[1][0].tolist() == UNCHANGED


def test_the_reference_pictures_and_the_training_pictures_of_dark_zurich_have_no_labels(tmp_path: Path) -> None:
    root = put_dark_zurich(tmp_path)
    assert not open_data(str(root), "val_ref").labelled
    assert not open_data(str(root), "train").labelled


def test_dark_zurich_is_read_from_its_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_dark_zurich(tmp_path / "zurich"))), "val")
    assert split.read(split.pairs[0])[1][0].tolist() == UNCHANGED


def test_a_dark_picture_without_its_mask_is_named(tmp_path: Path) -> None:
    put_picture(put_dark_zurich(tmp_path) / "rgb_anon/val/night/GOPR0356/GOPR0356_frame_000324_rgb_anon.png")
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images .*GOPR0356_frame_000324"):
        open_data(str(tmp_path), "val")


def put_night(root: Path) -> Path:
    """NighttimeDrivingTest.zip."""
    put_picture(root / "leftImg8bit/test/night/0_frame_0001_leftImg8bit.png")
    for kind, ids in (("labelTrainIds", TRAIN_IDS), ("labelIds", [7, 33, 0]), ("color", 0)):
        put_grey(root / f"gtCoarse_daytime_trainvaltest/test/night/0_frame_0001_gtCoarse_{kind}.png", ids)
    return root


def test_nighttime_driving_is_told_from_cityscapes_and_has_one_split(tmp_path: Path) -> None:
    root = put_night(tmp_path)
    assert layout_name(str(root)) == "night-driving"
    split = open_data(str(root), "test")
    assert (split.data, split.class_names) == ("night-driving", CITY.class_names)
    assert split.read(split.pairs[0])[1][0].tolist() == UNCHANGED
    with pytest.raises(DataError, match="has no split 'val'") as caught:
        open_data(str(root), "val")
    assert caught.value.hint == "known: test"


def test_a_night_picture_without_its_mask_is_named(tmp_path: Path) -> None:
    put_picture(put_night(tmp_path) / "leftImg8bit/test/night/0_frame_0002_leftImg8bit.png")
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images .*0_frame_0002"):
        open_data(str(tmp_path), "test")


BDD_TREES = {
    "new": ("images/10k/{}/{}.jpg", "labels/sem_seg/masks/{}/{}.png"),
    "in bdd100k": ("bdd100k/images/10k/{}/{}.jpg", "bdd100k/labels/sem_seg/masks/{}/{}.png"),
    "old": ("seg/images/{}/{}.jpg", "seg/labels/{}/{}_train_id.png"),
    "old in bdd100k": ("bdd100k/seg/images/{}/{}.jpg", "bdd100k/seg/labels/{}/{}_train_id.png"),
}


def put_bdd(root: Path, tree: str) -> Path:
    """Pictures of 10k and their masks; those of test have none."""
    image, mask = BDD_TREES[tree]
    for split, stem in (("train", "0004a4c0-d4dff0ad"), ("val", "7d15b18b-1e0d6e3f"), ("test", "ae50880e-00000000")):
        put_picture(root / image.format(split, stem))
        if split != "test":
            put_grey(root / mask.format(split, stem), TRAIN_IDS)
            put_grey(root / mask.format(split, stem).replace("masks", "colormaps").replace("labels/", "other/"), 0)
    return root


@pytest.mark.parametrize("tree", BDD_TREES)
def test_bdd100k_is_read_from_each_of_its_trees(tmp_path: Path, tree: str) -> None:
    root = put_bdd(tmp_path, tree)
    assert layout_name(str(root)) == "bdd100k"
    split = open_data(str(root), "val")
    assert (split.class_names, [pair.key for pair in split.pairs]) == (CITY.class_names, ["7d15b18b-1e0d6e3f"])
    assert split.read(split.pairs[0])[1][0].tolist() == UNCHANGED
    assert not open_data(str(root), "test").labelled


def test_bdd100k_is_read_from_a_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_bdd(tmp_path / "bdd", "new"))), "train")
    assert split.read(split.pairs[0])[1][0].tolist() == UNCHANGED


def test_a_picture_of_bdd100k_without_its_mask_is_named(tmp_path: Path) -> None:
    put_picture(put_bdd(tmp_path, "new") / "images/10k/val/lost.jpg")
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: val/lost\.jpg"):
        open_data(str(tmp_path), "val")


@pytest.mark.parametrize("home", ["", "data_semantics"])
def test_kitti_has_the_ids_of_cityscapes_and_all_its_labels_in_train(tmp_path: Path, home: str) -> None:
    for number in (0, 1):
        put_picture(tmp_path / home / f"training/image_2/{number:06d}_10.png")
        put_grey(tmp_path / home / f"training/semantic/{number:06d}_10.png", LABEL_IDS)
        put_grey(tmp_path / home / f"training/instance/{number:06d}_10.png", [7 * 256, 26 * 256 + 1])
    put_picture(tmp_path / home / "testing/image_2/000000_10.png")
    assert layout_name(str(tmp_path)) == "kitti"
    split = open_data(str(tmp_path), "train")
    assert (split.class_names, [pair.key for pair in split.pairs]) == (CITY.class_names, ["000000_10", "000001_10"])
    assert split.read(split.pairs[0])[1][0].tolist() == AS_CLASSES
    assert not open_data(str(tmp_path), "test").labelled
    (tmp_path / home / "training/semantic/000001_10.png").unlink()
    with pytest.raises(DataError, match="no mask found for 1 of 2 images"):
        open_data(str(tmp_path), "train")


EXTRA, BROKEN = "augsburg_000000_000000", "troisdorf_000000_000073"


def put_coarse(root: Path, split: str, stem: str) -> Path:
    city = stem.split("_")[0]
    put_picture(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
    put_grey(root / f"gtCoarse/{split}/{city}/{stem}_gtCoarse_labelIds.png", LABEL_IDS)
    put_grey(root / f"gtCoarse/{split}/{city}/{stem}_gtCoarse_instanceIds.png", LABEL_IDS)
    return root


def put_fine(root: Path, split: str, stem: str) -> Path:
    city = stem.split("_")[0]
    put_picture(root / f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png")
    put_grey(root / f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png", [8])
    return root


def test_the_extra_pictures_of_cityscapes_have_coarse_labels_under_either_name(tmp_path: Path) -> None:
    root = put_coarse(put_fine(tmp_path, "train", "aachen_000000_000019"), "train_extra", EXTRA)
    for name in ("", "cityscapes:", "cityscapes-coarse:"):
        split = open_data(f"{name}{root}", "train_extra")
        assert [pair.key for pair in split.pairs] == [EXTRA]
        assert split.read(split.pairs[0])[1][0].tolist() == AS_CLASSES
    assert split.data == "cityscapes-coarse" and split.note is None


def test_coarse_labels_are_taken_where_asked_for_or_where_there_are_no_fine_ones(tmp_path: Path) -> None:
    stem = "aachen_000000_000019"
    root = put_coarse(tmp_path / "both", "train", stem)
    alone = open_data(str(root), "train")
    assert (alone.data, alone.note) == ("cityscapes", "gtFine has no train: the coarse labels of gtCoarse are taken")
    put_fine(root, "train", stem)
    fine, coarse = open_data(str(root), "train"), open_data(f"cityscapes-coarse:{root}", "train")
    assert (fine.note, fine.read_target(fine.pairs[0])[0, 0]) == (None, 1)
    assert coarse.read_target(coarse.pairs[0])[0].tolist() == AS_CLASSES


def test_the_picture_that_is_a_broken_file_in_the_download_is_left_out_and_said(tmp_path: Path) -> None:
    root = put_coarse(put_coarse(tmp_path, "train_extra", EXTRA), "train_extra", BROKEN)
    assert len(open_data(f"cityscapes-coarse:{root}", "train_extra")) == 2
    picture = root / f"leftImg8bit/train_extra/troisdorf/{BROKEN}_leftImg8bit.png"
    picture.write_bytes(picture.read_bytes()[:40])
    split = open_data(f"cityscapes-coarse:{root}", "train_extra")
    assert [pair.key for pair in split.pairs] == [EXTRA]
    assert split.note == f"{BROKEN} is left out, its picture is a broken file"


def test_an_extra_picture_without_its_mask_is_named(tmp_path: Path) -> None:
    root = put_coarse(tmp_path, "train_extra", EXTRA)
    put_picture(root / "leftImg8bit/train_extra/bayreuth/bayreuth_000000_000001_leftImg8bit.png")
    with pytest.raises(DataError, match=r"1 of 2 images .*bayreuth_000000_000001") as caught:
        open_data(f"cityscapes-coarse:{root}", "train_extra")
    assert caught.value.hint == "unpack gtCoarse.zip beside leftImg8bit"
