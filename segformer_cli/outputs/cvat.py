"""The pictures of a job as one file that CVAT imports: "CVAT for images 1.1".

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. Coordinates count from the upper left corner
of the upper left pixel, as CVAT shows them and as pycocotools, with which it makes masks of polygons, takes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from segformer_cli.atomic import replacing
from segformer_cli.classes import Colour
from segformer_cli.outputs.bridging import bridged
from segformer_cli.outputs.choosing import class_name
from segformer_cli.outputs.regions import Region


def cvat_polygons(
    file_name: str, size_hw: tuple[int, int], regions: Iterable[Region], class_names: Sequence[str]
) -> str:
    """The lines that a picture's polygons are in the file; slits lead into holes, which the format has not.

    Raises:
        UsageError: a region is of a class without a name.
    """
    height, width = size_hw
    lines = [f' name={quoteattr(file_name)} width="{width}" height="{height}">']
    for region in regions:
        outline = bridged(region.outer.corners, [hole.corners for hole in region.holes])
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in outline.tolist())
        label = quoteattr(class_name(region.class_id, class_names))
        lines.append(f'    <polygon label={label} source="auto" occluded="0" points="{points}" z_order="0"></polygon>')
    return "\n".join([*lines, "  </image>"])


def write_cvat(
    path: Path,
    pictures: Iterable[str],
    class_names: Sequence[str],
    palette: Sequence[Colour],
    *,
    force: bool = False,
) -> Path:
    """`path`, now the annotations of all pictures, of which each is what `cvat_polygons` gives.

    Raises:
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    with replacing(path, force=force) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write("  <meta>\n    <task>\n      <labels>\n")
        for name, (red, green, blue) in zip(class_names, palette, strict=True):
            colour = f"<color>#{red:02x}{green:02x}{blue:02x}</color>"
            file.write(f"        <label><name>{escape(name)}</name>{colour}<attributes></attributes></label>\n")
        file.write("      </labels>\n    </task>\n  </meta>\n")
        for number, picture in enumerate(pictures):
            file.write(f'  <image id="{number}"{picture}\n')
        file.write("</annotations>\n")
    return path
