"""Mapillary Vistas: both versions of its labels, the old zip, and the classes of Cityscapes made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.data.layouts.mapillary_cityscapes import GROUPS
from segformer_cli.errors import DataError
from tests.data.trees import put_palette, put_picture, zipped

V1, V2 = class_set("mapillary"), class_set("mapillary-v2")
NOT_COUNTED = ("Unlabeled", "Ground", "Static", "Road Median")
"""In the config of the test these are not evaluated; v1.2 has the first of them."""


def put_config(path: Path, classes: object = V1) -> None:
    """The list of labels, with the fields that it has in the download."""
    labels = [
        {
            "color": list(colour),
            "instances": False,
            "readable": name,
            "name": f"group--{name.lower().replace(' ', '-')}",
            "evaluate": name not in NOT_COUNTED,
        }
        for name, colour in zip(classes.class_names, classes.palette, strict=True)  # type: ignore[attr-defined]
    ]
    path.write_text(json.dumps({"labels": labels, "version": 1.2, "mapping": "public", "folder_structure": "x"}))


def put_vistas(root: Path, *versions: str) -> Path:
    """The zip of 2.0 unpacked: pictures of many sizes, labels by version; old: labels without a version."""
    for folder in ("training", "validation", "testing"):
        put_picture(root / folder / "images/aA_1-b.jpg")
        for version in versions if folder != "testing" else ():
            for kind in ("labels", "instances", "panoptic"):
                path = root / folder / version / kind / "aA_1-b.png"
                put_palette(path, [0, 6, 64, 65] if version != "v2.0" else [0, 123, 119, 122])
    if "v1.2" in versions:
        put_config(root / "config_v1.2.json")
    if "v2.0" in versions:
        put_config(root / "config_v2.0.json", V2)
    if "" in versions:
        put_config(root / "config.json")
    return root


def test_labels_that_are_not_evaluated_are_ignored_and_the_others_keep_their_order(tmp_path: Path) -> None:
    split = open_data(str(put_vistas(tmp_path, "v1.2")), "val")
    assert (split.data, split.class_names) == ("mapillary", V1.class_names[:65])
    assert split.palette == V1.palette[:65]
    assert split.note is None
    assert split.read(split.pairs[0])[1][0].tolist() == [0, 6, 64, 255, 0, 6]


def test_of_both_versions_v1_2_is_taken_and_said_and_v2_0_can_be_asked_for(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v1.2", "v2.0")
    first, second = open_data(str(root), "train"), open_data(f"mapillary-v2:{root}", "train")
    assert first.note == "labels of v1.2 and v2.0 lie there, v1.2 are taken; mapillary-v2:PATH takes v2.0"
    assert len(first.class_names) == 65
    kept = [name for name in V2.class_names if name not in NOT_COUNTED]
    assert second.class_names == tuple(kept)
    # 123 is unlabeled, 122 static; of 119, dynamic, one of those before it is left out.
    assert kept.index("Dynamic") == 118
    assert second.read(second.pairs[0])[1][0].tolist() == [0, 255, kept.index("Dynamic"), 255, 0, 255]


def test_v2_0_alone_is_taken_and_needs_its_config(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v2.0")
    assert open_data(str(root), "val").class_names[2] == "Ambiguous Barrier"
    (root / "config_v2.0.json").unlink()
    with pytest.raises(DataError, match=r"there is no config_v2\.0\.json"):
        open_data(str(root), "val")


def test_the_old_zip_has_its_labels_beside_the_pictures(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "")
    assert layout_name(str(root)) == "mapillary"
    split = open_data(str(root), "train")
    assert len(split.class_names) == 65
    assert split.read_target(split.pairs[0])[0].tolist() == [0, 6, 64, 255, 0, 6]


def test_without_a_config_the_published_labels_of_v1_2_count(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v1.2")
    with_config = open_data(str(root), "val")
    (root / "config_v1.2.json").unlink()
    without = open_data(str(root), "val")
    assert (without.class_names, without.palette) == (with_config.class_names, with_config.palette)
    assert np.array_equal(without.ids, with_config.ids)


def test_the_test_pictures_have_no_labels(tmp_path: Path) -> None:
    assert not open_data(str(put_vistas(tmp_path, "v1.2", "v2.0")), "test").labelled


def test_a_picture_without_its_mask_is_named(tmp_path: Path) -> None:
    put_picture(put_vistas(tmp_path, "v1.2") / "training/images/lost.jpg")
    with pytest.raises(DataError, match=r"no mask found for 1 of 2 images \(first: images/lost\.jpg"):
        open_data(str(tmp_path), "train")


def test_a_damaged_config_is_said_so(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v1.2")
    for text in ("{", '{"labels": [{"name": "x"}]}', "[]"):
        (root / "config_v1.2.json").write_text(text)
        with pytest.raises(DataError, match=r"config_v1\.2\.json is no list of labels"):
            open_data(str(root), "val")


def test_an_id_beyond_the_list_is_no_class(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v1.2")
    put_palette(root / "validation/v1.2/labels/aA_1-b.png", 66)
    split = open_data(str(root), "val")
    with pytest.raises(DataError, match=r"holds the id 66 \(24 pixels\)"):
        split.read_target(split.pairs[0])


def test_it_is_read_from_its_zip(tmp_path: Path) -> None:
    split = open_data(str(zipped(put_vistas(tmp_path / "vistas", "v1.2"))), "val")
    assert split.data == "mapillary"
    assert split.read(split.pairs[0])[1][0].tolist() == [0, 6, 64, 255, 0, 6]


# The ids of v1.2 that SegFormer's authors gave to each class of Cityscapes.
OFFICIAL = {
    0: (13, 24, 41),
    1: (2, 15),
    2: (17,),
    3: (6,),
    4: (3,),
    5: (45, 47),
    6: (48,),
    7: (50,),
    8: (30,),
    9: (29,),
    10: (27,),
    11: (19,),
    12: (20, 21, 22),
    13: (55,),
    14: (61,),
    15: (54,),
    16: (58,),
    17: (57,),
    18: (52,),
}


def test_the_classes_of_cityscapes_are_made_of_it_and_a_wall_is_no_fence(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v1.2", "v2.0")
    split = open_data(f"mapillary-cityscapes:{root}", "val")
    assert split.class_names == class_set("cityscapes").class_names
    wanted = {file_id: index for index, ids in OFFICIAL.items() for file_id in ids}
    assert {i: int(split.ids[i]) for i in range(66) if split.ids[i] != 255} == wanted
    # 6 is a wall, 3 in Cityscapes, where 3 in Mapillary is a fence, 4 in Cityscapes.
    assert split.read_target(split.pairs[0])[0].tolist() == [255, 3, 255, 255, 255, 3]
    assert tuple(GROUPS) == class_set("cityscapes").class_names


def test_the_classes_of_cityscapes_are_not_made_of_v2_0(tmp_path: Path) -> None:
    root = put_vistas(tmp_path, "v2.0")
    with pytest.raises(DataError, match=r"the labels of v2\.0 do not have Lane Marking - General") as caught:
        open_data(f"mapillary-cityscapes:{root}", "val")
    assert "the labels of v1.2 are needed" in str(caught.value.hint)


def test_a_folder_of_ones_own_with_training_and_validation_is_not_taken(tmp_path: Path) -> None:
    put_picture(tmp_path / "training/images/a.jpg")
    put_palette(tmp_path / "training/labels/a.png", [0, 1])
    assert layout_name(str(tmp_path)) == "folder"
