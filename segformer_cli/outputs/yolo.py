"""Regions as ultralytics' label files: `class x y x y ...` a line, shares of the picture's width and height.

Source: https://docs.ultralytics.com/datasets/segment/. Its readers draw the outline together with what it goes round,
so outlines run through the centres of the class's outermost pixels: read back at tolerance 0, each pixel is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import yaml

from segformer_cli.atomic import replacing
from segformer_cli.outputs.bridging import Points, bridged
from segformer_cli.outputs.regions import Region


def write_yolo(path: Path, size_hw: tuple[int, int], regions: Iterable[Region], *, force: bool = False) -> Path:
    """`path`, now the labels of one picture; slits lead into holes, which the format has not.

    Raises:
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    height, width = size_hw
    with replacing(path, force=force) as temporary, temporary.open("w", encoding="ascii") as file:
        for region in regions:
            shares = drawn_outline(region) / (width, height)
            file.write(f"{region.class_id} {' '.join(f'{share:.6g}' for share in shares.ravel().tolist())}\n")
    return path


def write_yolo_names(path: Path, class_names: Sequence[str], *, force: bool = False) -> Path:
    """`path`, now the `names` of a data.yaml.

    Raises:
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    with replacing(path, force=force) as temporary:
        names = {"names": dict(enumerate(class_names))}
        temporary.write_text(yaml.safe_dump(names, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def drawn_outline(region: Region) -> Points:
    """One line through the centres of a region's outermost pixels and round its holes, (N, 2) with N >= 3, x before y.

    The centre of the upper left pixel is (0.5, 0.5).
    """
    line = bridged(region.outer.inside, [hole.inside for hole in region.holes]) + 0.5
    # A pixel and a row of pixels have fewer corners than readers ask for.
    return line[[*range(len(line)), *[len(line) - 1] * (3 - len(line))]]
