"""The pictures of a job as one data set in COCO's format.

Source: the format's page, https://cocodataset.org/#format-data. As in COCO-Stuff, a class of a picture is one
annotation with run lengths; or each region is one, with a polygon.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from segformer_cli.atomic import replacing
from segformer_cli.images import Ids
from segformer_cli.outputs.bridging import bridged
from segformer_cli.outputs.choosing import class_name
from segformer_cli.outputs.regions import Region
from segformer_cli.outputs.run_lengths import box, class_runs, packed

CocoPicture = dict[str, Any]
"""`image` and its `annotations`, as COCO has them but for the ids, which `write_coco` gives; nothing but JSON."""


def coco_runs(file_name: str, mask: Ids, ignore_index: int) -> CocoPicture:
    """A picture with one annotation for each class of its mask (H, W): compressed run lengths, exact."""
    height, width = mask.shape
    annotations = [
        {
            "category_id": index,
            "segmentation": {"size": [height, width], "counts": packed(runs)},
            "bbox": list(box(runs, height)),
            "area": int(runs[1::2].sum()),
            "iscrowd": 0,
        }
        for index, runs in class_runs(mask)
        if index != ignore_index
    ]
    return {"image": _image(file_name, (height, width)), "annotations": annotations}


def coco_polygons(file_name: str, size_hw: tuple[int, int], regions: Iterable[Region]) -> CocoPicture:
    """A picture with one annotation for each region, a polygon; slits lead into its holes, which the format has not.

    Exact at tolerance 0 for pycocotools. `area` is that of the mask; `score` the mean confidence, where there is one.
    """
    annotations = []
    for region in regions:
        left, top = region.outer.corners.min(axis=0).tolist()
        right, bottom = region.outer.corners.max(axis=0).tolist()
        line = bridged(region.outer.corners, [hole.corners for hole in region.holes])
        annotation = {
            "category_id": region.class_id,
            "segmentation": [line.round(2).ravel().tolist()],
            "bbox": [left, top, right - left, bottom - top],
            "area": region.pixels,
            "iscrowd": 0,
        }
        if region.confidence is not None:
            annotation["score"] = round(region.confidence, 6)
        annotations.append(annotation)
    return {"image": _image(file_name, size_hw), "annotations": annotations}


def write_coco(
    path: Path, pictures: Iterable[CocoPicture], class_names: Sequence[str], *, force: bool = False
) -> Path:
    """`path`, now a data set: its `categories` have the ids of the masks, pictures and annotations count from 1.

    Pictures are taken one by one, and only their sizes kept.

    Raises:
        UsageError: an annotation is of a class without a name.
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    images: list[dict[str, Any]] = []
    number = 0
    categories = [{"id": index, "name": name, "supercategory": ""} for index, name in enumerate(class_names)]
    with replacing(path, force=force) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f'{{"info": {{}}, "licenses": [], "categories": {json.dumps(categories)},\n"annotations": [')
        for picture in pictures:
            images.append({"id": len(images) + 1, **picture["image"]})
            for annotation in picture["annotations"]:
                class_name(annotation["category_id"], class_names)
                number += 1
                whole = {"id": number, "image_id": len(images), **annotation}
                file.write(f"{',' if number > 1 else ''}\n{json.dumps(whole, separators=(',', ':'))}")
        file.write(f'\n],\n"images": {json.dumps(images)}}}\n')
    return path


def _image(file_name: str, size_hw: tuple[int, int]) -> dict[str, Any]:
    height, width = size_hw
    return {"file_name": file_name, "width": width, "height": height}
