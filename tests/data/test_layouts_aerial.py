"""Aerial pictures: LoveDA, and ISPRS Potsdam and Vaihingen, as downloaded and as mmsegmentation converts them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.colours import ColourTable
from segformer_cli.data.layouts import potsdam, vaihingen
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.data.promised import PROMISED
from segformer_cli.errors import DataError
from tests.data.trees import put_colours, put_grey, put_picture, zipped

WHITE, BLUE, CYAN, GREEN = (255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0)
YELLOW, RED, BLACK = (255, 255, 0), (255, 0, 0), (0, 0, 0)
ALL_SIX = [WHITE, BLUE, CYAN, GREEN, YELLOW, RED]


def put_loveda(root: Path) -> Path:
    """Train.zip, Val.zip and Test.zip unpacked: 0 is no data, 1 to 7 the classes."""
    for split, regions in (("Train", {"Rural": 0, "Urban": 1366}), ("Val", {"Urban": 3514}), ("Test", {"Rural": 4191})):
        for region, number in regions.items():
            put_picture(root / split / region / f"images_png/{number}.png")
            if split != "Test":
                put_grey(root / split / region / f"masks_png/{number}.png", [0, 1, 7])
    return root


def test_loveda_has_two_regions_in_a_split_and_no_data_is_ignored(tmp_path: Path) -> None:
    root = put_loveda(tmp_path)
    assert layout_name(str(root)) == "loveda"
    split = open_data(str(root), "train")
    assert (split.class_names, len(split.class_names)) == (class_set("loveda").class_names, 7)
    assert [pair.key for pair in split.pairs] == ["Rural/0", "Urban/1366"]
    assert split.read(split.pairs[0])[1][0].tolist() == [255, 0, 6, 255, 0, 6]
    assert not open_data(str(root), "test").labelled


def test_loveda_is_read_from_a_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_loveda(tmp_path / "data"))), "val")
    assert split.read(split.pairs[0])[1][0].tolist() == [255, 0, 6, 255, 0, 6]


def test_a_region_of_loveda_without_masks_is_said(tmp_path: Path) -> None:
    root = put_loveda(tmp_path)
    (root / "Train/Urban/masks_png/1366.png").unlink()
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: Urban/1366\)"):
        open_data(str(root), "train")
    put_picture(root / "Train/Rural/images_png/9.png")
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: images_png/9\.png\)"):
        open_data(str(root), "train")


def put_converted(root: Path, train: str, val: str) -> Path:
    for split, stem in (("train", train), ("val", val)):
        put_picture(root / f"img_dir/{split}/{stem}.png")
        put_grey(root / f"ann_dir/{split}/{stem}.png", [0, 1, 6])
    return root


def test_loveda_is_read_as_mmsegmentation_lays_it(tmp_path: Path) -> None:
    root = put_converted(tmp_path / "loveDA", "0", "3514")
    assert layout_name(str(root)) == "loveda"
    split = open_data(str(root), "val")
    assert split.read(split.pairs[0])[1][0].tolist() == [255, 0, 5, 255, 0, 5]


@pytest.mark.parametrize(
    ("name", "train", "val"),
    [
        ("potsdam", "2_10_0_0_512_512", "6_13_512_3584_1024_4096"),
        ("vaihingen", "area1_0_0_512_512", "area38_512_0_1024_512"),
    ],
)
def test_tiles_that_mmsegmentation_cut_are_recognised_by_their_names(
    tmp_path: Path, name: str, train: str, val: str
) -> None:
    root = put_converted(tmp_path, train, val)
    assert layout_name(str(root)) == name
    split = open_data(str(root), "val")
    assert (split.class_names, [pair.key for pair in split.pairs]) == (class_set(name).class_names, [val])
    assert split.read(split.pairs[0])[1][0].tolist() == [255, 0, 5, 255, 0, 5]
    put_picture(root / f"img_dir/val/{val}x.png")
    with pytest.raises(DataError, match="no mask found for 1 of 2 images"):
        open_data(str(root), "val")
    (root / "classes.txt").write_text("a\nb\n")
    assert layout_name(str(root)) == "folder"


def put_potsdam(root: Path, labels: str = "5_Labels_all_noBoundary", nested: str = "") -> Path:
    """Some tiles of 2_Ortho_RGB.zip and labels in colours; beside the tiles lie where they are on earth."""
    suffix = "_label_noBoundary" if "oundary" in labels else "_label"
    for tile in ("2_10", "7_10", "2_13"):
        image = put_picture(root / "2_Ortho_RGB" / nested / f"top_potsdam_{tile}_RGB.tif")
        image.with_suffix(".tfw").write_text("0.05")
        put_colours(root / labels / f"top_potsdam_{tile}{suffix}.tif", ALL_SIX)
    return root


@pytest.mark.parametrize("nested", ["", "2_Ortho_RGB"])
def test_whole_tiles_of_potsdam_are_divided_as_the_benchmark_does_and_their_colours_are_classes(
    tmp_path: Path, nested: str
) -> None:
    root = put_potsdam(tmp_path, nested=nested)
    assert layout_name(str(root)) == "potsdam"
    train, val = open_data(str(root), "train"), open_data(str(root), "val")
    assert [pair.key for pair in train.pairs] == ["top_potsdam_2_10", "top_potsdam_7_10"]
    assert [pair.key for pair in val.pairs] == ["top_potsdam_2_13"]
    assert train.read(train.pairs[0])[1][0].tolist() == [0, 1, 2, 3, 4, 5]
    assert train.class_names == ("impervious_surface", "building", "low_vegetation", "tree", "car", "clutter")
    assert train.note == "labels of 5_Labels_all_noBoundary, pictures of 2_Ortho_RGB"


def test_the_borders_in_a_label_of_potsdam_are_ignored_and_a_colour_of_no_class_is_told(tmp_path: Path) -> None:
    root = put_potsdam(tmp_path)
    label = root / "5_Labels_all_noBoundary/top_potsdam_2_13_label_noBoundary.tif"
    put_colours(label, [BLACK, WHITE, RED])
    split = open_data(str(root), "val")
    assert split.read_target(split.pairs[0])[0].tolist() == [255, 0, 5, 255, 0, 5]
    put_colours(label, [WHITE, (255, 0, 255)])
    with pytest.raises(DataError, match=r"holds the colour \(255, 0, 255\) \(12 pixels\)") as caught:
        split.read_target(split.pairs[0])
    assert "nearest of the 7 known colours" in str(caught.value.hint)


def test_colours_of_potsdam_that_are_a_little_off_are_read(tmp_path: Path) -> None:
    root = put_potsdam(tmp_path)
    put_colours(root / "5_Labels_all_noBoundary/top_potsdam_2_13_label_noBoundary.tif", [(252, 255, 0), (3, 0, 250)])
    split = open_data(str(root), "val")
    assert split.read_target(split.pairs[0])[0].tolist() == [4, 1, 4, 1, 4, 1]


def test_labels_with_borders_are_taken_before_those_without(tmp_path: Path) -> None:
    root = put_potsdam(tmp_path, "5_Labels_all")
    assert str(open_data(str(root), "val").note).startswith("labels of 5_Labels_all,")
    put_potsdam(root)
    assert str(open_data(str(root), "val").note).startswith("labels of 5_Labels_all_noBoundary,")


def test_tiles_of_potsdam_without_their_labels_are_counted(tmp_path: Path) -> None:
    root = put_potsdam(tmp_path)
    (root / "5_Labels_all_noBoundary/top_potsdam_2_13_label_noBoundary.tif").unlink()
    put_picture(root / "2_Ortho_RGB/top_potsdam_2_14_RGB.tif")
    with pytest.raises(DataError, match="no mask found for 2 of 2 images") as caught:
        open_data(str(root), "val")
    assert caught.value.hint == "unpack 5_Labels_all_noBoundary.zip"


def test_potsdam_with_infrared_pictures_alone_is_read(tmp_path: Path) -> None:
    put_picture(tmp_path / "3_Ortho_IRRG/top_potsdam_2_13_IRRG.tif")
    put_colours(tmp_path / "5_Labels_all/top_potsdam_2_13_label.tif", ALL_SIX)
    assert "pictures of 3_Ortho_IRRG" in str(open_data(str(tmp_path), "val").note)


def test_the_splits_of_potsdam_and_vaihingen_are_those_of_the_benchmark() -> None:
    assert {split: len(tiles) for split, tiles in potsdam.TILES.items()} == {"train": 24, "val": 14}
    assert {split: len(tiles) for split, tiles in vaihingen.TILES.items()} == {"train": 16, "val": 17}
    for tiles in (potsdam.TILES, vaihingen.TILES):
        assert not set(tiles["train"]) & set(tiles["val"])


def put_vaihingen(root: Path, home: str = "ISPRS_semantic_labeling_Vaihingen", labels: str | None = None) -> Path:
    folder = labels or "ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE"
    suffix = "_noBoundary.tif" if "eroded" in folder else ".tif"
    for area in (1, 30, 38):
        put_picture(root / home / f"top/top_mosaic_09cm_area{area}.tif")
        put_colours(root / folder / f"top_mosaic_09cm_area{area}{suffix}", [BLACK, *ALL_SIX[1:]])
    return root


@pytest.mark.parametrize("home", ["ISPRS_semantic_labeling_Vaihingen", ""])
@pytest.mark.parametrize(
    "labels", [None, "gts_for_participants", "ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE"]
)
def test_whole_tiles_of_vaihingen_are_read(tmp_path: Path, home: str, labels: str | None) -> None:
    root = put_vaihingen(tmp_path, home, labels)
    assert layout_name(str(root)) == "vaihingen"
    train, val = open_data(str(root), "train"), open_data(str(root), "val")
    assert [pair.key for pair in train.pairs] == ["top_mosaic_09cm_area1", "top_mosaic_09cm_area30"]
    assert [pair.key for pair in val.pairs] == ["top_mosaic_09cm_area38"]
    assert train.read(train.pairs[0])[1][0].tolist() == [255, 1, 2, 3, 4, 5]


def test_a_tile_of_vaihingen_without_its_label_is_named(tmp_path: Path) -> None:
    root = put_vaihingen(tmp_path)
    put_picture(root / "ISPRS_semantic_labeling_Vaihingen/top/top_mosaic_09cm_area3.tif")
    with pytest.raises(DataError, match=r"1 of 3 images \(first: top/top_mosaic_09cm_area3\.tif"):
        open_data(str(root), "train")


def test_vaihingen_is_read_from_a_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_vaihingen(tmp_path / "tiles"))), "val")
    assert split.read(split.pairs[0])[1][0].tolist() == [255, 1, 2, 3, 4, 5]


def test_packed_tiff_labels_are_read(tmp_path: Path) -> None:
    root = put_potsdam(tmp_path)
    path = root / "5_Labels_all_noBoundary/top_potsdam_2_13_label_noBoundary.tif"
    Image.fromarray(np.full((4, 6, 3), CYAN, np.uint8)).save(path, compression="tiff_lzw")
    split = open_data(str(root), "val")
    assert (split.read(split.pairs[0])[1] == 2).all()


@pytest.mark.parametrize(("layout", "tiles"), [(potsdam, (3456, 2016)), (vaihingen, (344, 398))])
def test_as_many_tiles_are_promised_as_the_benchmark_has_or_mmsegmentation_cuts(
    layout: ModuleType, tiles: tuple[int, int]
) -> None:
    wanted = {split: (len(layout.TILES[split]), cut) for split, cut in zip(("train", "val"), tiles, strict=True)}
    assert PROMISED[layout.NAME] == wanted


def test_colours_of_vaihingen_are_exact(tmp_path: Path) -> None:
    split = open_data(f"vaihingen:{put_vaihingen(tmp_path)}", "train")
    assert isinstance(split.read_ids, ColourTable) and split.read_ids.tolerance == 0
