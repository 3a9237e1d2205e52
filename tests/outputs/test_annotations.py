"""What COCO, CVAT, ultralytics and labelme are told beside the pixels."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segformer_cli.data.polygons import PolygonMasks
from segformer_cli.errors import UsageError
from segformer_cli.outputs.coco import coco_polygons, coco_runs, write_coco
from segformer_cli.outputs.cvat import cvat_polygons, write_cvat
from segformer_cli.outputs.labelme import write_labelme
from segformer_cli.outputs.regions import find_regions
from segformer_cli.outputs.yolo import write_yolo, write_yolo_names
from tests.outputs.readers import IGNORE, MASKS, NAMES, PALETTE

MASK = np.array([[0, 0, 1], [IGNORE, 0, 1]], np.uint8)


def test_a_coco_file_numbers_pictures_and_annotations_from_1_and_keeps_the_ids_of_classes(tmp_path: Path) -> None:
    pictures = [coco_runs("a/ä.jpg", MASK, IGNORE), coco_runs("b.jpg", MASK[:, :1], IGNORE)]
    # A picture's part may wait in a file of its own until the job ends.
    pictures = json.loads(json.dumps(pictures))
    whole = json.loads(write_coco(tmp_path / "a.json", iter(pictures), ["road", "sky"]).read_text())
    assert whole["images"] == [
        {"id": 1, "file_name": "a/ä.jpg", "width": 3, "height": 2},
        {"id": 2, "file_name": "b.jpg", "width": 1, "height": 2},
    ]
    assert [(each["id"], each["name"]) for each in whole["categories"]] == [(0, "road"), (1, "sky")]
    keys = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    assert [tuple(each[key] for key in keys) for each in whole["annotations"]] == [
        (1, 1, 0, [0, 0, 2, 2], 3, 0), (2, 1, 1, [2, 0, 1, 2], 2, 0), (3, 2, 0, [0, 0, 1, 1], 1, 0),
    ]


def test_polygons_of_coco_carry_the_mean_confidence_as_score() -> None:
    regions = find_regions(MASK, IGNORE, confidence=np.full(MASK.shape, 0.25, np.float32))
    first, second = coco_polygons("a.jpg", MASK.shape, regions)["annotations"]
    assert (first["score"], first["area"], first["bbox"]) == (0.25, 3, [0, 0, 2, 2])
    assert second["segmentation"] == [[2.0, 0.0, 3.0, 0.0, 3.0, 2.0, 2.0, 2.0]]


def test_a_coco_file_without_pictures_is_one(tmp_path: Path) -> None:
    whole = json.loads(write_coco(tmp_path / "a.json", [], NAMES).read_text())
    assert (whole["images"], whole["annotations"]) == ([], [])


def test_cvat_names_labels_with_colours_and_escapes_what_xml_needs(tmp_path: Path) -> None:
    names = ['road & "kerb"', "<sky>"]
    picture = cvat_polygons('a&"b.jpg', MASK.shape, find_regions(MASK, IGNORE), names)
    path = write_cvat(tmp_path / "a.xml", [picture, picture], names, [(1, 2, 3), (255, 0, 0)])
    root = ElementTree.parse(path).getroot()
    assert root.findtext("version") == "1.1"
    labels = [(each.findtext("name"), each.findtext("color")) for each in root.iter("label")]
    assert labels == [(names[0], "#010203"), (names[1], "#ff0000")]
    assert [each.attrib for each in root.findall("image")] == [
        {"id": number, "name": 'a&"b.jpg', "width": "3", "height": "2"} for number in ("0", "1")
    ]
    assert [each.get("label") for each in root.findall("image/polygon")] == names * 2


@pytest.mark.parametrize("name", ["a street", "nested rings", "noise"])
def test_our_own_reader_of_ultralytics_files_gives_the_mask_again(tmp_path: Path, name: str) -> None:
    mask = MASKS[name]
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros(mask.shape, np.uint8)).save(tmp_path / "images" / "a.png")
    path = write_yolo(tmp_path / "labels" / "a.txt", mask.shape, find_regions(mask, IGNORE))
    reader = PolygonMasks(len(NAMES))
    assert (reader(path) == np.where(mask == IGNORE, reader.background, mask)).all()


def test_names_of_ultralytics_classes_are_yaml(tmp_path: Path) -> None:
    path = write_yolo_names(tmp_path / "data.yaml", ["road", "no", "ä: b"])
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {"names": {0: "road", 1: "no", 2: "ä: b"}}


def test_a_class_without_a_name_is_refused_by_every_format_with_names(tmp_path: Path) -> None:
    regions = find_regions(MASK, IGNORE)
    with pytest.raises(UsageError, match="the mask holds class 1, 1 classes are named"):
        write_coco(tmp_path / "a.json", [coco_runs("a.jpg", MASK, IGNORE)], NAMES[:1])
    with pytest.raises(UsageError, match="the mask holds class 1"):
        cvat_polygons("a.jpg", MASK.shape, regions, NAMES[:1])
    with pytest.raises(UsageError, match="the mask holds class 1"):
        write_labelme(tmp_path / "a.json", "a.jpg", MASK.shape, regions, NAMES[:1])
    assert not any(tmp_path.iterdir())
    assert len(PALETTE) == len(NAMES)
