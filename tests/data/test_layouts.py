"""Data sets as they lie on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import DataError, ImageError, SegFormerError, UsageError


def put_image(path: Path, size_hw: tuple[int, int] = (8, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size_hw, 3), np.uint8)).save(path)
    return path


def put_mask(path: Path, ids: object = 0, size_hw: tuple[int, int] = (8, 12)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.broadcast_to(np.asarray(ids, np.uint8), size_hw).copy()).save(path)
    return path


def put_cityscapes(root: Path) -> Path:
    for split, city, frame in (("train", "aachen", 0), ("train", "bonn", 1), ("val", "lindau", 2)):
        stem = f"{city}_000000_{frame:06d}"
        put_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png")
        mask = root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png"
        put_mask(mask, [[7], [8], [33], [0], [3], [26], [7], [7]])
    return root


def test_cityscapes_label_ids_become_the_19_classes(tmp_path: Path) -> None:
    root = put_cityscapes(tmp_path)
    split = open_data(f"cityscapes:{root}", "train")
    assert [pair.key for pair in split.pairs] == ["aachen_000000_000000", "bonn_000000_000001"]
    assert split.class_names == class_set("cityscapes").class_names
    _, target = split.read(split.pairs[0])
    assert target[:, 0].tolist() == [0, 1, 18, 255, 255, 13, 0, 0]
    assert len(open_data(str(root), "val")) == 1  # recognised without a name


def test_a_licence_plate_written_as_255_is_ignored(tmp_path: Path) -> None:
    root = put_cityscapes(tmp_path)
    mask = root / "gtFine/val/lindau/lindau_000000_000002_gtFine_labelIds.png"
    put_mask(mask, 255)
    split = open_data(str(root), "val")
    assert (split.read_target(split.pairs[0]) == 255).all()


def test_train_ids_are_read_where_label_ids_are_missing(tmp_path: Path) -> None:
    put_image(tmp_path / "leftImg8bit/val/bonn/bonn_0_0_leftImg8bit.png")
    put_mask(tmp_path / "gtFine/val/bonn/bonn_0_0_gtFine_labelTrainIds.png", 18)
    split = open_data(str(tmp_path), "val")
    assert (split.read_target(split.pairs[0]) == 18).all()


def test_a_cityscapes_picture_without_its_mask_is_named_and_a_split_without_any_is_unlabelled(tmp_path: Path) -> None:
    root = put_cityscapes(tmp_path)
    put_image(root / "leftImg8bit/train/ulm/ulm_000000_000009_leftImg8bit.png")
    with pytest.raises(DataError, match=r"no mask found for 1 of 3 images .*ulm_000000_000009"):
        open_data(str(root), "train")
    put_image(root / "leftImg8bit/test/berlin/berlin_000000_000000_leftImg8bit.png")
    assert not open_data(str(root), "test").labelled


def test_camvid_is_read_from_both_of_its_trees_and_void_is_ignored(tmp_path: Path) -> None:
    ours, segnet = tmp_path / "ours", tmp_path / "segnet"
    for split in ("train", "val", "test"):
        put_image(ours / split / "images" / "0001.jpg")
        put_mask(ours / split / "labels" / "0001.png", [[0, 10, 11] * 4])
        put_image(segnet / split / "0001.png")
        put_mask(segnet / f"{split}annot" / "0001.png", [[0, 10, 11] * 4])
    for root in (f"camvid:{ours}", f"camvid:{segnet}", str(segnet)):
        split = open_data(root, "val")
        assert split.class_names[:3] == ("sky", "building", "pole")
        assert len(split.class_names) == 11
        assert split.palette[4] == (60, 40, 222)
        assert split.read_target(split.pairs[0])[0, :3].tolist() == [0, 10, 255]


@pytest.mark.parametrize("above", [False, True])
@pytest.mark.parametrize("masks", ["masks", "labels", "annotations"])
def test_a_folder_of_ones_own_may_divide_its_splits_above_or_below(tmp_path: Path, above: bool, masks: str) -> None:
    for split in ("train", "valid"):
        kinds = (f"{split}/images", f"{split}/{masks}") if above else (f"images/{split}", f"{masks}/{split}")
        put_image(tmp_path / kinds[0] / "deep" / "a.jpg")
        put_mask(tmp_path / kinds[1] / "deep" / "a.png", 2)
    split = open_data(str(tmp_path), "val")
    assert [pair.key for pair in split.pairs] == ["deep/a"]
    assert split.class_names == ("class_0", "class_1", "class_2")


def test_classes_txt_names_the_classes(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg")
    put_mask(tmp_path / "masks" / "a.png", [[0, 1, 255] * 4])
    (tmp_path / "classes.txt").write_text("grass\nroof\n")
    split = open_data(str(tmp_path), "val")
    assert split.class_names == ("grass", "roof")
    assert split.read_target(split.pairs[0])[0, :3].tolist() == [0, 1, 255]


def test_masks_of_0_and_255_are_background_and_foreground(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg")
    put_mask(tmp_path / "masks" / "a.png", [[0, 255] * 6])
    split = open_data(str(tmp_path), "val")
    assert split.class_names == ("background", "foreground")
    assert split.read_target(split.pairs[0])[0, :2].tolist() == [0, 1]


def test_two_named_classes_drawn_in_black_and_white_are_both_seen(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg")
    put_mask(tmp_path / "masks" / "a.png", [[0, 255] * 6])
    (tmp_path / "classes.txt").write_text("left\nright\n")
    split = open_data(str(tmp_path), "val")
    assert split.class_names == ("left", "right")
    assert split.read_target(split.pairs[0])[0, :2].tolist() == [0, 1]


@pytest.mark.parametrize("drawn", [1, 255])
def test_one_named_class_stands_beside_a_background(tmp_path: Path, drawn: int) -> None:
    put_image(tmp_path / "images" / "a.jpg")
    put_mask(tmp_path / "masks" / "a.png", [[0, drawn] * 6])
    (tmp_path / "classes.txt").write_text("crack\n")
    split = open_data(str(tmp_path), "val")
    assert split.class_names == ("background", "crack")
    assert split.read_target(split.pairs[0])[0, :2].tolist() == [0, 1]


def test_jpeg_masks_are_met_with_the_reason_why_not(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg")
    put_image(tmp_path / "masks" / "a.jpg")
    with pytest.raises(DataError, match="no mask found") as caught:
        open_data(str(tmp_path), "val")
    assert "JPEG blurs class ids" in str(caught.value.hint)


def test_an_undivided_folder_keeps_a_fifth_for_val_by_name_and_of_many_adding_some_moves_none(tmp_path: Path) -> None:
    def fill(count: int) -> tuple[set[str], set[str]]:
        for index in range(count):
            put_image(tmp_path / "images" / f"{index:03d}.jpg")
            put_mask(tmp_path / "masks" / f"{index:03d}.png", [[0, 1] * 6])
        train, val = (open_data(str(tmp_path), split) for split in ("train", "val"))
        return {pair.key for pair in train.pairs}, {pair.key for pair in val.pairs}

    for count, fifth in ((2, 1), (7, 1), (30, 6), (60, 12)):
        train, val = fill(count)
        assert not train & val
        assert (len(val), len(train | val)) == (fifth, count)
    train, val = fill(200)
    assert not train & val
    assert len(train | val) == 200 and 25 <= len(val) <= 55
    more_train, more_val = fill(220)
    assert train <= more_train
    assert val <= more_val


def test_an_undivided_folder_says_what_part_of_it_a_split_is_and_can_be_taken_whole(tmp_path: Path) -> None:
    for index in range(40):
        put_image(tmp_path / "images" / f"{index}.png")
        put_mask(tmp_path / "masks" / f"{index}.png")
    splits = {name: open_data(str(tmp_path), name) for name in ("train", "val", "all")}
    assert splits["val"].note == (
        f"{len(splits['val'])} of 40 images, chosen by a hash of their names, are val; --split all takes all"
    )
    assert f"{len(splits['train'])} of 40 images" in str(splits["train"].note)
    assert (len(splits["all"]), splits["all"].note) == (40, None)
    keys = {name: {pair.key for pair in split.pairs} for name, split in splits.items()}
    assert keys["train"] | keys["val"] == keys["all"]


def test_a_divided_folder_has_no_split_of_everything_and_no_note(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put_image(tmp_path / "images" / split / "a.png")
        put_mask(tmp_path / "masks" / split / "a.png")
    assert open_data(str(tmp_path), "val").note is None
    with pytest.raises(DataError, match="has no split 'all'") as caught:
        open_data(str(tmp_path), "all")
    assert caught.value.hint == "all is for data that is not divided into splits; known: train, val"
    with pytest.raises(DataError, match="has no split 'all'"):
        open_data("sample", "all")


@pytest.mark.parametrize("second", ["road", "Road ", "ROAD"])
def test_a_class_named_twice_is_refused_with_both_lines(tmp_path: Path, second: str) -> None:
    put_image(tmp_path / "images" / "a.png")
    put_mask(tmp_path / "masks" / "a.png")
    (tmp_path / "classes.txt").write_text(f"road\n\nsky\n{second}\n")
    with pytest.raises(DataError, match=f"classes.txt names '{second.strip()}' in line 1 and in line 4") as caught:
        open_data(str(tmp_path), "val")
    assert caught.value.where == str(tmp_path / "classes.txt")


def test_one_or_two_images_still_give_a_val_and_a_train_split(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_image(tmp_path / "images" / f"{name}.jpg")
        put_mask(tmp_path / "masks" / f"{name}.png", [[0, 1] * 6])
    assert len(open_data(str(tmp_path), "train")) == len(open_data(str(tmp_path), "val")) == 1


def test_a_wrong_mask_suffix_is_met_with_the_one_that_fits(tmp_path: Path) -> None:
    for name in ("001", "002"):
        put_image(tmp_path / "images" / f"{name}.jpg")
        put_mask(tmp_path / "masks" / f"{name}_mask.png")
    with pytest.raises(DataError, match="no mask found for 2 of 2 images") as caught:
        open_data(str(tmp_path), "train")
    assert "looked for masks/001.{png,tif,tiff,bmp,npy}" in str(caught.value.where)
    assert "found 001_mask.png" in str(caught.value.where)
    assert caught.value.hint == "add --mask-suffix _mask.png   (that would pair 2 of 2)"
    assert len(open_data(str(tmp_path), "train", Bending(mask_suffix="_mask.png"))) == 1


def test_an_image_suffix_chooses_among_pictures(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a_rgb.png")
    put_image(tmp_path / "images" / "a_depth.png")
    put_mask(tmp_path / "masks" / "a.png", [[0, 1] * 6])
    split = open_data(f"folder:{tmp_path}", "val", Bending(image_suffix="_rgb.png", mask_suffix=".png"))
    assert [pair.image.name for pair in split.pairs] == ["a_rgb.png"]


def test_an_id_that_is_no_class_is_named_with_its_file(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put_image(tmp_path / split / "images" / "0001.jpg")
        put_mask(tmp_path / split / "labels" / "0001.png", [[0, 204] * 6])
    split = open_data(f"camvid:{tmp_path}", "val")
    words = r"0001\.png holds the id 204 \(48 pixels\), which is no class of camvid"
    with pytest.raises(DataError, match=words) as caught:
        split.read(split.pairs[0])
    assert caught.value.hint == "its 11 classes have the ids 0-11, 255; --map 204=ignore passes over it"


def test_a_mask_of_another_size_is_an_error_with_both_sizes(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg", (8, 12))
    put_mask(tmp_path / "masks" / "a.png", [[0], [1]], (2, 5))
    split = open_data(str(tmp_path), "val")
    with pytest.raises(DataError, match=r"a\.jpg is 8 x 12, its mask 2 x 5"):
        split.read(split.pairs[0])


def test_a_turned_picture_whose_mask_was_drawn_on_stored_pixels_is_read_as_stored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / "images" / "a.jpg", exif=exif)
    put_mask(tmp_path / "masks" / "a.png", [[0, 1] * 6], (8, 12))
    split = open_data(str(tmp_path), "val")
    image, target = split.read(split.pairs[0])
    assert image.shape[:2] == target.shape == (8, 12)


def test_what_is_no_data_set_is_said_with_what_was_considered(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="is in no known layout") as caught:
        open_data(str(tmp_path), "train")
    assert "notes.txt" in str(caught.value)
    assert "\ncityscapes needs leftImg8bit" in str(caught.value.where)


@pytest.mark.parametrize(
    ("data", "split", "words"),
    [
        ("cityscape:{root}", "val", "there is no layout 'cityscape'"),
        ("{root}/absent", "val", "there is no folder"),
        ("cityscapes:{root}", "vall", "has no split 'vall'"),
    ],
)
def test_a_wrong_name_gets_a_guess(tmp_path: Path, data: str, split: str, words: str) -> None:
    root = put_cityscapes(tmp_path)
    with pytest.raises(SegFormerError, match=words) as caught:
        open_data(data.format(root=root), split)
    assert caught.value.hint is not None


def test_suffixes_are_refused_where_the_layout_fixes_them(tmp_path: Path) -> None:
    root = put_cityscapes(tmp_path)
    with pytest.raises(UsageError, match="are for a folder of your own"):
        open_data(f"cityscapes:{root}", "val", Bending(mask_suffix="_x.png"))


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg").write_bytes(b"")
    put_mask(tmp_path / "masks" / "a.png", [[0, 1] * 6])
    split = open_data(str(tmp_path), "val")
    with pytest.raises(ImageError, match=r"a\.jpg is empty"):
        split.read(split.pairs[0])


def test_a_windows_drive_is_no_layout_name() -> None:
    with pytest.raises(DataError, match="there is no folder C:"):
        open_data("C:/pictures", "val")


def test_a_name_without_a_path_says_so() -> None:
    with pytest.raises(UsageError, match="-d cityscapes: has no path after the colon") as caught:
        open_data("cityscapes:", "val")
    assert caught.value.hint == "give the folder: -d cityscapes:FOLDER"


def test_one_stray_id_does_not_make_many_classes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put_image(tmp_path / "images" / f"{name}.png", (1, 19))
        put_mask(tmp_path / "masks" / f"{name}.png", [range(19)], (1, 19))
    assert len(open_data(str(tmp_path), "val").class_names) == 19
    put_mask(tmp_path / "masks" / "b.png", [[77, 77, 77, *range(3, 19)]], (1, 19))
    with pytest.raises(DataError) as caught:
        open_data(str(tmp_path), "val")
    assert caught.value.message == "ids 19 to 76 never occur, 77 occurs in 3 pixels of b.png"
    assert caught.value.where == str(tmp_path / "masks" / "b.png")
    assert "classes.txt" in str(caught.value.hint) and "255" in str(caught.value.hint)
    (tmp_path / "classes.txt").write_text("\n".join(f"c{index}" for index in range(78)))
    assert len(open_data(str(tmp_path), "val").class_names) == 78


def test_gaps_between_ids_that_are_shorter_than_what_is_there_are_classes(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.png", (1, 20))
    put_mask(tmp_path / "masks" / "a.png", [[*range(19), 33]], (1, 20))
    assert len(open_data(str(tmp_path), "val").class_names) == 34
    put_mask(tmp_path / "masks" / "a.png", [[0, 9] * 10], (1, 20))
    assert len(open_data(str(tmp_path), "val").class_names) == 10


def test_masks_of_ignored_pixels_alone_hold_no_classes(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.png")
    put_mask(tmp_path / "masks" / "a.png", 255)
    with pytest.raises(DataError, match="every pixel of every mask is ignored") as caught:
        open_data(str(tmp_path), "val")
    assert "classes.txt" in str(caught.value.hint)


def test_wide_masks_of_few_classes_ignore_65535(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "a.jpg", (1, 3))
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[0, 1, 65535]], np.uint16)).save(tmp_path / "masks" / "a.png")
    split = open_data(str(tmp_path), "val")
    assert split.class_names == ("class_0", "class_1")
    assert split.read_target(split.pairs[0]).tolist() == [[0, 1, 255]]


def test_the_sample_is_called_so() -> None:
    assert open_data("sample", "val").data == "sample"
