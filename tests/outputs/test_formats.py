"""Every format of polygons, read back by its own kind of reader; none shares code with the writer."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rasterio.features import rasterize

from segformer_cli.outputs.coco import coco_polygons, coco_runs, write_coco
from segformer_cli.outputs.cvat import cvat_polygons, write_cvat
from segformer_cli.outputs.geojson import write_geojson
from segformer_cli.outputs.labelme import write_labelme
from segformer_cli.outputs.regions import find_regions
from segformer_cli.outputs.yolo import write_yolo
from tests.outputs.readers import IGNORE, MASKS, NAMES, PALETTE, agreement, any_mask, even_odd, of_runs

Mask = NDArray[np.uint8]
RoundTrip = Callable[[Path, Mask], Mask]


def by_geojson(folder: Path, mask: Mask) -> Mask:
    path = write_geojson(folder / "a.geojson", find_regions(mask, IGNORE), NAMES, PALETTE, force=True)
    features = json.loads(path.read_text())["features"]
    shapes = [(feature["geometry"], feature["properties"]["class_id"]) for feature in features]
    return rasterize(shapes, mask.shape, fill=IGNORE, dtype="uint8") if shapes else np.full_like(mask, IGNORE)


def by_coco_runs(folder: Path, mask: Mask) -> Mask:
    path = write_coco(folder / "a.json", [coco_runs("a.jpg", mask, IGNORE)], NAMES, force=True)
    read = np.full_like(mask, IGNORE)
    for annotation in json.loads(path.read_text())["annotations"]:
        read[of_runs(annotation["segmentation"])] = annotation["category_id"]
    return read


def by_coco_polygons(folder: Path, mask: Mask) -> Mask:
    picture = coco_polygons("a.jpg", mask.shape, find_regions(mask, IGNORE))
    path = write_coco(folder / "a.json", [picture], NAMES, force=True)
    read = np.full_like(mask, IGNORE)
    for annotation in json.loads(path.read_text())["annotations"]:
        (flat,) = annotation["segmentation"]
        read[even_odd(np.reshape(flat, (-1, 2)).tolist(), mask.shape)] = annotation["category_id"]
    return read


def by_pycocotools(folder: Path, mask: Mask) -> Mask:
    """Both kinds of annotation in one file, as pycocotools reads it."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    pictures = [coco_runs("a.jpg", mask, IGNORE), coco_polygons("b.jpg", mask.shape, find_regions(mask, IGNORE))]
    coco = COCO(write_coco(folder / "a.json", pictures, NAMES, force=True))
    masks = []
    for image in (1, 2):
        read = np.full_like(mask, IGNORE)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image)):
            within = coco.annToMask(annotation) == 1
            assert within.sum() == annotation["area"]
            x, y = within.any(0).nonzero()[0], within.any(1).nonzero()[0]
            assert annotation["bbox"] == [x[0], y[0], x[-1] - x[0] + 1, y[-1] - y[0] + 1]
            read[within] = annotation["category_id"]
        masks.append(read)
    assert (masks[0] == masks[1]).all()
    return masks[1]


def by_ultralytics(folder: Path, mask: Mask) -> Mask:
    """As its `polygon2mask`: whole pixels by cutting off, then OpenCV's fill, which draws the outline too."""
    path = write_yolo(folder / "a.txt", mask.shape, find_regions(mask, IGNORE), force=True)
    read = np.full_like(mask, IGNORE)
    for line in path.read_text().splitlines():
        index, *values = line.split()
        assert len(values) >= 6
        points = np.array(values, np.float64).reshape(-1, 2) * mask.shape[::-1]
        cv2.fillPoly(read, [points.astype(np.int32)], int(index))
    return read


def by_labelme(folder: Path, mask: Mask) -> Mask:
    """As its `shape_to_mask`: Pillow's polygon, outline and filling."""
    path = write_labelme(folder / "a.json", "a.jpg", mask.shape, find_regions(mask, IGNORE), NAMES, force=True)
    whole = json.loads(path.read_text())
    assert (whole["imagePath"], whole["imageHeight"], whole["imageWidth"]) == ("a.jpg", *mask.shape)
    read = np.full_like(mask, IGNORE)
    for shape in whole["shapes"]:
        assert len(shape["points"]) > 2
        one = Image.new("1", mask.shape[::-1])
        ImageDraw.Draw(one).polygon([tuple(point) for point in shape["points"]], outline=1, fill=1)
        read[np.asarray(one)] = NAMES.index(shape["label"])
    return read


def by_cvat(folder: Path, mask: Mask) -> Mask:
    picture = cvat_polygons("a.jpg", mask.shape, find_regions(mask, IGNORE), NAMES)
    path = write_cvat(folder / "a.xml", [picture], NAMES, PALETTE, force=True)
    image = ElementTree.parse(path).getroot().find("image")
    assert image is not None
    read = np.full_like(mask, IGNORE)
    for polygon in image.iter("polygon"):
        points = [[float(value) for value in point.split(",")] for point in polygon.attrib["points"].split(";")]
        read[even_odd(points, mask.shape)] = NAMES.index(polygon.attrib["label"])
    return read


pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning:pycocotools")

FORMATS = [by_geojson, by_coco_runs, by_coco_polygons, by_pycocotools, by_ultralytics, by_labelme, by_cvat]


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("round_trip", FORMATS)
def test_read_back_at_tolerance_0_each_pixel_is_what_it_was(tmp_path: Path, round_trip: RoundTrip, name: str) -> None:
    assert agreement(round_trip(tmp_path, MASKS[name]), MASKS[name]) == 1


@pytest.mark.parametrize("round_trip", FORMATS)
@given(mask=any_mask)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mask_comes_back(tmp_path: Path, round_trip: RoundTrip, mask: Mask) -> None:
    assert (round_trip(tmp_path, mask) == mask).all()
