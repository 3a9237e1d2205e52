"""What a GeoJSON file says beside its pixels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rasterio.features import rasterize
from rasterio.transform import Affine

from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.outputs.geojson import write_geojson
from segformer_cli.outputs.ground import Ground
from segformer_cli.outputs.regions import find_regions
from tests.outputs.readers import IGNORE, MASKS, NAMES, PALETTE

NORTH_UP = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)


def shoelace(ring: list[list[float]]) -> float:
    x, y = np.array(ring, np.float64).T
    return float(x[:-1] @ y[1:] - y[:-1] @ x[1:]) / 2


def test_properties_of_a_region(tmp_path: Path) -> None:
    mask = np.array([[1, 1, IGNORE]], np.uint8)
    confidence = np.array([[0.5, 1.0, 0.0]], np.float32)
    regions = find_regions(mask, IGNORE, confidence=confidence)
    ground = Ground(NORTH_UP, "EPSG:25832", metres=1)
    path = write_geojson(tmp_path / "a.geojson", regions, ["a", "b"], [(0, 0, 0), (255, 16, 1)], ground=ground)
    whole = json.loads(path.read_text())
    assert whole["crs"] == {"type": "name", "properties": {"name": "EPSG:25832"}}
    (feature,) = whole["features"]
    assert feature["properties"] == {
        "class_id": 1, "class": "b", "colour": "#ff1001", "pixels": 2, "square_metres": 0.5, "confidence": 0.75,
    }
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    assert sorted(map(tuple, ring[1:])) == [
        (500_000.0, 5_399_999.5), (500_000.0, 5_400_000.0), (500_001.0, 5_399_999.5), (500_001.0, 5_400_000.0),
    ]


@pytest.mark.parametrize("ground", [None, Ground(NORTH_UP), Ground((0.5, 0, 0, 0, 0.5, 0))])
def test_outer_rings_run_anticlockwise_and_holes_clockwise_on_any_map(tmp_path: Path, ground: Ground | None) -> None:
    regions = find_regions(MASKS["nested rings"], IGNORE)
    path = write_geojson(tmp_path / "a.geojson", regions, NAMES, PALETTE, ground=ground)
    for feature in json.loads(path.read_text())["features"]:
        outer, *holes = (shoelace(ring) for ring in feature["geometry"]["coordinates"])
        assert outer > 0 > max(holes, default=-1)
        assert "square_metres" not in feature["properties"]


def test_on_a_map_each_pixel_is_where_it_lies(tmp_path: Path) -> None:
    mask = MASKS["a street"]
    path = write_geojson(tmp_path / "a.geojson", find_regions(mask, IGNORE), NAMES, PALETTE, ground=Ground(NORTH_UP))
    shapes = [(each["geometry"], each["properties"]["class_id"]) for each in json.loads(path.read_text())["features"]]
    read = rasterize(shapes, mask.shape, fill=IGNORE, transform=Affine(*NORTH_UP), dtype="uint8")
    assert (read == mask).all()


def test_a_class_without_a_name_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    regions = find_regions(np.array([[3]], np.uint8), IGNORE)
    with pytest.raises(UsageError, match="the mask holds class 3, 2 classes are named"):
        write_geojson(tmp_path / "a.geojson", regions, ["a", "b"], PALETTE)
    assert not any(tmp_path.iterdir())


def test_what_exists_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = write_geojson(tmp_path / "a.geojson", [], NAMES, PALETTE)
    with pytest.raises(SegFormerError, match="exists already"):
        write_geojson(path, [], NAMES, PALETTE)
    assert json.loads(write_geojson(path, [], NAMES, PALETTE, force=True).read_text())["features"] == []
