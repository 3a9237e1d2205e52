"""PASCAL VOC 2012, its augmented set, SBD, and PASCAL Context, in the trees of their downloads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError
from tests.data.trees import filling, put_grey, put_list, put_palette, put_picture, zipped

TRAIN, VAL, SBD_ONLY, TEST = "2007_000032", "2007_000033", "2008_000026", "2008_000006"
BORDERED = [0, 1, 20, 255]


def put_voc(root: Path) -> Path:
    """VOCtrainval_11-May-2012.tar: palette masks, the border of objects 255."""
    home = root / "VOCdevkit/VOC2012"
    for stem in (TRAIN, VAL, SBD_ONLY):
        put_picture(home / f"JPEGImages/{stem}.jpg")
    for stem in (TRAIN, VAL):
        put_palette(home / f"SegmentationClass/{stem}.png", BORDERED)
        put_palette(home / f"SegmentationObject/{stem}.png", [0, 1, 2, 255])
    lists = home / "ImageSets/Segmentation"
    put_list(lists / "train.txt", TRAIN)
    put_list(lists / "val.txt", VAL)
    put_list(lists / "trainval.txt", TRAIN, VAL)
    return root


def put_sbd(dataset: Path, *stems: str) -> Path:
    """benchmark_RELEASE/dataset: a struct with the mask in each .mat."""
    for stem in stems:
        put_picture(dataset / f"img/{stem}.jpg")
        for kind, struct in (("cls", "GTcls"), ("inst", "GTinst")):
            path = dataset / f"{kind}/{stem}.mat"
            path.parent.mkdir(parents=True, exist_ok=True)
            boundaries = np.empty((20, 1), dtype=object)
            boundaries[:, 0] = [np.zeros((2, 2))] * 20
            content = {"Boundaries": boundaries, "Segmentation": filling([0, 15, 20]), "CategoriesPresent": [15, 20]}
            savemat(path, {struct: content}, do_compression=True)
    put_list(dataset / "train.txt", *stems)
    put_list(dataset / "val.txt", stems[0])
    return dataset


def test_voc_is_read_by_its_lists_its_palette_indices_are_the_classes_and_the_border_is_ignored(tmp_path: Path) -> None:
    root = put_voc(tmp_path)
    for place in (root, root / "VOCdevkit", root / "VOCdevkit/VOC2012"):
        assert layout_name(str(place)) == "voc2012"
        split = open_data(str(place), "val")
        assert [pair.key for pair in split.pairs] == [VAL]
        assert (split.class_names, split.labelled) == (class_set("voc2012").class_names, True)
        assert split.read(split.pairs[0])[1][0].tolist() == [0, 1, 20, 255, 0, 1]
    assert len(open_data(str(root), "trainval")) == 2


def test_voc_is_read_from_its_archive(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_voc(tmp_path / "voc"))), "train")
    assert split.data == "voc2012"
    assert split.read(split.pairs[0])[1][0].tolist() == [0, 1, 20, 255, 0, 1]


def test_the_test_pictures_of_voc_have_no_labels(tmp_path: Path) -> None:
    home = put_voc(tmp_path) / "VOCdevkit/VOC2012"
    put_picture(home / f"JPEGImages/{TEST}.jpg")
    put_list(home / "ImageSets/Segmentation/test.txt", TEST)
    split = open_data(str(tmp_path), "test")
    assert [(pair.key, pair.mask) for pair in split.pairs] == [(TEST, None)]


@pytest.mark.parametrize("name", ["trainaug", "train_aug"])
@pytest.mark.parametrize("line", ["{}", "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png"])
def test_the_augmented_list_takes_the_masks_of_the_augmented_folder(tmp_path: Path, name: str, line: str) -> None:
    home = put_voc(tmp_path) / "VOCdevkit/VOC2012"
    put_list(home / f"ImageSets/Segmentation/{name}.txt", line.format(TRAIN), line.format(SBD_ONLY))
    for stem in (TRAIN, SBD_ONLY):
        put_grey(home / f"SegmentationClassAug/{stem}.png", [0, 7, 255])
    split = open_data(str(tmp_path), "trainaug")
    masks = [(pair.key, pair.mask) for pair in split.pairs]
    assert masks == [(stem, home / f"SegmentationClassAug/{stem}.png") for stem in (TRAIN, SBD_ONLY)]
    assert split.read_target(split.pairs[1])[0].tolist() == [0, 7, 255, 0, 7, 255]


def test_the_augmented_set_is_read_from_sbds_own_files_as_mmsegmentation_lays_them(tmp_path: Path) -> None:
    home = put_voc(tmp_path) / "VOCdevkit/VOC2012"
    put_list(home / "ImageSets/Segmentation/trainaug.txt", TRAIN, SBD_ONLY)
    put_sbd(tmp_path / "VOCdevkit/VOCaug/dataset", SBD_ONLY)
    split = open_data(str(tmp_path), "trainaug")
    assert [split.read(pair)[1][0].tolist() for pair in split.pairs] == [[0, 1, 20, 255, 0, 1], [0, 15, 20, 0, 15, 20]]


@pytest.mark.parametrize(("split", "name"), [("trainaug", "trainaug"), ("train", "train")])
def test_the_augmented_list_with_the_masks_of_voc_alone_is_one_clear_error(
    tmp_path: Path, split: str, name: str
) -> None:
    home = put_voc(tmp_path) / "VOCdevkit/VOC2012"
    put_list(home / f"ImageSets/Segmentation/{name}.txt", TRAIN, SBD_ONLY)
    with pytest.raises(DataError, match=r"1 of (the )?2 .*2008_000026") as caught:
        open_data(str(tmp_path), split)
    assert "the masks of the augmented set lie in SegmentationClassAug" in str(caught.value.hint)


def test_a_listed_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    put_list(put_voc(tmp_path) / "VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt", VAL, "2009_000001")
    with pytest.raises(DataError, match=r"1 of the 2 pictures that val\.txt names are not there \(first: 2009_000001"):
        open_data(str(tmp_path), "val")


@pytest.mark.parametrize(("lines", "words"), [([TRAIN, TRAIN], "names 2007_000032 more than once"), ([""], "names no")])
def test_a_list_that_repeats_or_is_empty_is_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    put_list(put_voc(tmp_path) / "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt", *lines)
    with pytest.raises(DataError, match=words):
        open_data(str(tmp_path), "train")


def test_someones_own_data_in_the_folders_of_voc_is_not_taken_for_voc(tmp_path: Path) -> None:
    put_picture(tmp_path / "JPEGImages/my_photo.jpg")
    put_palette(tmp_path / "SegmentationClass/my_photo.png", [0, 1])
    put_list(tmp_path / "ImageSets/Segmentation/train.txt", "my_photo")
    assert layout_name(str(tmp_path)) != "voc2012"
    relabelled = put_voc(tmp_path / "relabelled") / "VOCdevkit/VOC2012"
    put_list(relabelled / "labelmap.txt", "# label:color_rgb:parts:actions", "wheel:1,2,3::")
    assert layout_name(str(relabelled)) != "voc2012"


def test_sbd_is_read_from_its_mat_files(tmp_path: Path) -> None:
    put_sbd(tmp_path / "benchmark_RELEASE/dataset", SBD_ONLY, TRAIN)
    for place in (tmp_path, tmp_path / "benchmark_RELEASE", tmp_path / "benchmark_RELEASE/dataset"):
        assert layout_name(str(place)) == "sbd"
    train, val = (open_data(str(tmp_path), split) for split in ("train", "val"))
    assert [pair.key for pair in train.pairs] == [TRAIN, SBD_ONLY]
    assert "train_noval" in str(train.note) and val.note is None
    assert train.class_names == class_set("voc2012").class_names
    assert train.read(train.pairs[0])[1][0].tolist() == [0, 15, 20, 0, 15, 20]


def test_sbd_is_read_from_an_archive(tmp_path: Path) -> None:
    put_sbd(tmp_path / "dataset", SBD_ONLY)
    split = open_data(f"sbd:{zipped(tmp_path / 'dataset')}", "val")
    assert split.read(split.pairs[0])[1][0].tolist() == [0, 15, 20, 0, 15, 20]


def test_a_picture_of_sbd_without_its_mask_is_named(tmp_path: Path) -> None:
    (put_sbd(tmp_path, SBD_ONLY, TRAIN) / f"cls/{TRAIN}.mat").unlink()
    with pytest.raises(DataError, match=rf"no mask found for 1 of 2 images \(first: img/{TRAIN}\.jpg"):
        open_data(str(tmp_path), "train")


def put_context(root: Path) -> Path:
    """VOC2010 with the masks that mmsegmentation makes: 0 is background, 1 to 59 the classes."""
    home = root / "VOCdevkit/VOC2010"
    for split, stem in (("train", "2008_000002"), ("val", "2008_000008")):
        put_picture(home / f"JPEGImages/{stem}.jpg")
        put_grey(home / f"SegmentationClassContext/{stem}.png", [0, 1, 59])
        put_list(home / f"ImageSets/SegmentationContext/{split}.txt", stem)
        put_list(home / f"ImageSets/Segmentation/{split}.txt", stem)
    return root


def test_context_ignores_its_background_or_makes_it_a_class(tmp_path: Path) -> None:
    root = put_context(tmp_path)
    assert layout_name(str(root)) == "context59"
    of59, of60 = open_data(str(root), "val"), open_data(f"context60:{root}", "val")
    assert [pair.key for pair in of59.pairs] == ["2008_000008"]
    assert (len(of59.class_names), len(of60.class_names)) == (59, 60)
    assert of59.read_target(of59.pairs[0])[0].tolist() == [255, 0, 58, 255, 0, 58]
    assert of60.read_target(of60.pairs[0])[0].tolist() == [0, 1, 59, 0, 1, 59]
    assert of60.class_names[0] == "background" and of60.class_names[1:] == of59.class_names
    assert "context60:PATH" in str(of59.note) and of60.note is None


@pytest.mark.parametrize("name", ["context59", "context60"])
def test_an_id_beyond_the_classes_of_context_is_refused(tmp_path: Path, name: str) -> None:
    put_grey(put_context(tmp_path) / "VOCdevkit/VOC2010/SegmentationClassContext/2008_000008.png", 60)
    split = open_data(f"{name}:{tmp_path}", "val")
    with pytest.raises(DataError, match=rf"holds the id 60 \(24 pixels\), which is no class of {name}"):
        split.read_target(split.pairs[0])


def test_context_without_its_masks_says_how_they_are_made(tmp_path: Path) -> None:
    home = put_context(tmp_path) / "VOCdevkit/VOC2010"
    (home / "SegmentationClassContext").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no folder SegmentationClassContext") as caught:
        open_data(f"context59:{tmp_path}", "val")
    assert "pascal_context.py" in str(caught.value.hint)


def test_voc_2010_with_the_masks_of_context_is_context(tmp_path: Path) -> None:
    home = put_context(tmp_path) / "VOCdevkit" / "VOC2010"
    put_list(home / "ImageSets" / "Segmentation" / "train.txt", "2008_000002")
    put_palette(home / "SegmentationClass" / "2008_000002.png", [0, 1])
    assert layout_name(str(home)) == "context59"


def test_voc_beside_context_is_voc_until_context_is_named(tmp_path: Path) -> None:
    put_context(put_voc(tmp_path))
    assert layout_name(str(tmp_path)) == "voc2012"
    assert [pair.key for pair in open_data(f"context60:{tmp_path}", "train").pairs] == ["2008_000002"]
