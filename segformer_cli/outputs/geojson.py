"""Regions as GeoJSON: in the picture's own coordinates, or on a map.

Source: RFC 7946, whose rule for rings is kept: seen in the coordinates, outer ones run anticlockwise. A map's name
stands in the member `crs` of the format's 2008 version, which QGIS and GDAL still read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from segformer_cli.atomic import replacing
from segformer_cli.classes import Colour
from segformer_cli.outputs.choosing import class_name
from segformer_cli.outputs.ground import Ground
from segformer_cli.outputs.regions import Region
from segformer_cli.outputs.tracing import Whole


def write_geojson(
    path: Path,
    regions: Iterable[Region],
    class_names: Sequence[str],
    palette: Sequence[Colour],
    *,
    ground: Ground | None = None,
    force: bool = False,
) -> Path:
    """`path`, now a FeatureCollection with a polygon for each region.

    A feature's properties: `class_id`, `class`, `colour` as #rrggbb, `pixels`; `square_metres` where the map measures
    in metres; `confidence`, the mean, where the regions have one.

    Args:
        ground: where the picture lies; without it coordinates are columns and rows, from the upper left corner of the
            upper left pixel, y downwards.

    Raises:
        UsageError: a region is of a class without a name.
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    with replacing(path, force=force) as temporary, temporary.open("w", encoding="utf-8") as file:
        crs = {"crs": {"type": "name", "properties": {"name": ground.crs}}} if ground is not None and ground.crs else {}
        head = json.dumps({"type": "FeatureCollection", **crs})
        file.write(f'{head[:-1]}, "features": [')
        for number, region in enumerate(regions):
            feature = _feature(region, class_names, palette, ground)
            file.write(f"{',' if number else ''}\n{json.dumps(feature, separators=(',', ':'))}")
        file.write("\n]}\n")
    return path


def _feature(
    region: Region, class_names: Sequence[str], palette: Sequence[Colour], ground: Ground | None
) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "class_id": region.class_id,
        "class": class_name(region.class_id, class_names),
        "colour": "#{:02x}{:02x}{:02x}".format(*palette[region.class_id]),
        "pixels": region.pixels,
    }
    if ground is not None and (square_metres := ground.square_metres(region.pixels)) is not None:
        properties["square_metres"] = square_metres
    if region.confidence is not None:
        properties["confidence"] = round(region.confidence, 6)
    rings = [_closed(ring.corners, ground) for ring in (region.outer, *region.holes)]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": rings}}


def _closed(corners: Whole, ground: Ground | None) -> list[list[float]]:
    """The ring with its first point repeated. Clockwise in the picture is anticlockwise in its downward y."""
    points = corners if ground is None else ground.places(corners)
    if ground is not None and ground.determinant < 0:
        points = points[::-1]
    line: list[list[float]] = points.tolist()
    return [*line, line[0]]
