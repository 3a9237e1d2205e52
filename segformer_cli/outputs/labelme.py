"""Regions as labelme keeps them: a JSON file beside each picture.

Source: https://github.com/wkentaro/labelme. Its reader draws the outline together with what it goes round, so outlines
run through the centres of the class's outermost pixels: read back at tolerance 0, each pixel is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from segformer_cli.atomic import replacing
from segformer_cli.outputs.choosing import class_name
from segformer_cli.outputs.regions import Region
from segformer_cli.outputs.yolo import drawn_outline

VERSION = "5.5.0"
"""Of labelme, whose fields these are."""


def write_labelme(
    path: Path,
    picture: str,
    size_hw: tuple[int, int],
    regions: Iterable[Region],
    class_names: Sequence[str],
    *,
    force: bool = False,
) -> Path:
    """`path`, now the shapes of one picture; slits lead into holes, which the format has not.

    Args:
        picture: where the picture lies, as seen from the folder of `path`.

    Raises:
        UsageError: a region is of a class without a name.
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    height, width = size_hw
    shapes = [
        {
            "label": class_name(region.class_id, class_names),
            "points": drawn_outline(region).round(2).tolist(),
            "group_id": None,
            "description": "" if region.confidence is None else f"confidence {region.confidence:.3f}",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for region in regions
    ]
    whole: dict[str, Any] = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": picture,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    with replacing(path, force=force) as temporary:
        temporary.write_text(json.dumps(whole, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
