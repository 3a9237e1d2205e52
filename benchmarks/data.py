"""Training crops a second from one process, ours beside mmsegmentation's and transformers', the same files, in turns.

    python benchmarks/data.py CAMVID PHOTOGRAPHS [--rounds 5] [--files 40]

CAMVID: the data set's folder (JPEG, 360x480; crops of 256). PHOTOGRAPHS: a folder of photographs, which are brought to
2048x1024 and written as PNG for the time being, with masks of blocks (crops of 1024). Every contestant scales by 0.5
to 2, crops, flips, distorts colours and normalises; cv2 keeps to one thread in all. transformers brings no pipeline of
its own: it is torchvision's transforms, as its examples use them, and its image processor. The least time of each
counts. Needs the extra `peers`; without mmsegmentation that row is left out, and no record is written.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import torch
from peers import make_torchvision_importable
from PIL import Image
from record import write_record

from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.decoded import decoded
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.data.transforms import Augmentation, normalise
from segformer_cli.images import read_image

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
Crop = Callable[[int], object]
"""Makes the crop of one pair."""


def ours(split: Split, crop: int, kept: Path | None = None) -> Crop:
    """What `segformer train` does in a reading process; of pairs decoded beforehand with a folder that keeps them."""
    source = decoded(split, "disk", kept) if kept else None
    crops = TrainCrops(split, Augmentation(crop_size=(crop, crop)), MEAN, STD, 0, source)
    return lambda index: crops[(index, index)]  # type: ignore[index]


def mmsegmentation(split: Split, crop: int) -> Crop:
    """The released pipeline by its own parts, and the normalisation that it leaves to the main process."""
    compiled = ModuleType("mmcv._ext")
    compiled.__getattr__ = lambda name: None  # type: ignore[method-assign]
    sys.modules.setdefault("mmcv._ext", compiled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = importlib.import_module("mmseg.datasets.transforms")
        parts = importlib.import_module("mmcv.transforms")
    height, width = read_image(split.pairs[0].image).shape[:2]
    steps = [
        parts.LoadImageFromFile(),
        pipeline.LoadAnnotations(),
        parts.RandomResize(scale=(width, height), ratio_range=(0.5, 2.0), keep_ratio=True),
        pipeline.RandomCrop(crop_size=(crop, crop), cat_max_ratio=0.75),
        parts.RandomFlip(prob=0.5),
        pipeline.PhotoMetricDistortion(),
    ]

    def make(index: int) -> object:
        pair = split.pairs[index]
        found: dict[str, Any] = {
            "img_path": str(pair.image), "seg_map_path": str(pair.mask), "reduce_zero_label": False, "seg_fields": [],
        }
        for step in steps:
            found = step(found)
        return torch.from_numpy(normalise(found["img"], MEAN, STD)), torch.from_numpy(found["gt_seg_map"].copy())

    return make


def transformers(split: Split, crop: int) -> Crop:
    """PIL, torchvision's transforms and SegformerImageProcessor."""
    make_torchvision_importable()
    transform = importlib.import_module("torchvision.transforms.v2")
    tv_tensors = importlib.import_module("torchvision.tv_tensors")
    processor = importlib.import_module("transformers").SegformerImageProcessor(do_resize=False, do_reduce_labels=False)
    height, width = read_image(split.pairs[0].image).shape[:2]
    together = transform.Compose(
        [
            transform.ScaleJitter((height, width), (0.5, 2.0)),
            transform.RandomCrop(crop, pad_if_needed=True),
            transform.RandomHorizontalFlip(),
            transform.ColorJitter(32 / 255, 0.5, 0.5, 0.1),
        ]
    )

    def make(index: int) -> object:
        pair = split.pairs[index]
        image = tv_tensors.Image(Image.open(str(pair.image)).convert("RGB"))
        mask = tv_tensors.Mask(np.array(Image.open(str(pair.mask))))
        image, mask = together(image, mask[None])
        return processor(image, segmentation_maps=mask[0], return_tensors="pt")

    return make


CONTESTANTS: dict[str, Callable[[Split, int], Crop]] = {
    "ours": ours, "mmsegmentation": mmsegmentation, "transformers": transformers
}


def steps_of(split: Split, crop: int) -> dict[str, Callable[[int], object]]:
    """Our own steps, each by itself."""
    augmentation = Augmentation(crop_size=(crop, crop))
    read = [split.read(pair) for pair in split.pairs]
    crops = [augmentation(*each, 255, np.random.default_rng(at)) for at, each in enumerate(read)]
    return {
        "read picture": lambda index: split.read_image(split.pairs[index]),
        "read mask": lambda index: split.read_target(split.pairs[index]),
        "scale, crop, flip, colour": lambda index: augmentation(*read[index], 255, np.random.default_rng(index)),
        "normalise": lambda index: normalise(crops[index][0], MEAN, STD),
    }


def least_ms(works: dict[str, Callable[[int], object]], count: int, rounds: int) -> dict[str, float]:
    """Milliseconds a crop of each contestant's best round over all files; they take turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            for index in range(count):
                work(index)
            if round_:
                found[name].append(1000 * (time.perf_counter() - began) / count)
    return {name: min(times) for name, times in found.items()}


def compare(split: Split, crop: int, rounds: int, peers: Sequence[str], kept: Path) -> dict[str, Any]:
    """The row of one kind of files."""
    made = {name: CONTESTANTS[name](split, crop) for name in ("ours", *peers)}
    made["ours, decoded once"] = ours(split, crop, kept)
    least = least_ms(made, len(split), rounds)
    return {
        "files": len(split),
        "crop": crop,
        "least_ms": least,
        "images_per_s": {name: 1000 / each for name, each in least.items()},
        "times_faster": {name: least[name] / least["ours"] for name in peers},
        "times_faster_decoded_once": {name: least[name] / least["ours, decoded once"] for name in peers},
        "our_steps_ms": least_ms(steps_of(split, crop), len(split), rounds),
    }


def large(photographs: Path, folder: Path, count: int) -> Split:
    """Photographs as 2048x1024 PNG files with masks of blocks, read as Cityscapes' class ids."""
    names = [path for path in sorted(photographs.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png")]
    pairs = []
    for number in range(count):
        picture = read_image(names[number % len(names)])
        picture = cv2.resize(np.roll(picture, 97 * number, axis=1), (2048, 1024), interpolation=cv2.INTER_AREA)
        blocks = np.random.default_rng(number).integers(0, 19, (16, 32)).astype(np.uint8)
        mask = np.kron(blocks, np.ones((64, 64), np.uint8))
        image, target = folder / f"{number}.png", folder / f"{number}_mask.png"
        cv2.imwrite(str(image), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        Image.fromarray(mask).save(target)
        pairs.append(Pair(str(number), image, target))
    scenes = open_data("sample", "val")
    ids = np.where(np.arange(256) < 19, np.arange(256), np.where(np.arange(256) == 255, 255, -1)).astype(np.int32)
    palette = scenes.palette
    return Split("train", "photographs", folder, scenes.class_names, palette, 255, ids, pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=40)
    options = parser.parse_args()
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    peers = ["transformers"]
    try:
        importlib.import_module("mmengine")
        peers.insert(0, "mmsegmentation")
    except ImportError:
        print("mmsegmentation is not installed: its row is left out")
    rows = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        camvid = open_data(f"camvid:{options.camvid}", "train").spread(options.files)
        rows["camvid"] = compare(camvid, 256, options.rounds, peers, folder / "kept")
        scenes = large(options.photographs, folder, max(4, options.files // 5))
        rows["2048x1024 PNG"] = compare(scenes, 1024, options.rounds, peers, folder / "kept")
    for name, row in rows.items():
        print(f"{name}: {row['images_per_s']['ours']:.0f} crops/s; {row['our_steps_ms']}")
        for peer, times in row["times_faster"].items():
            once = row["times_faster_decoded_once"][peer]
            print(f"    {times:.2f} times as many as {peer}, {once:.2f} times where pictures are decoded once")
    if "mmsegmentation" in peers:
        write_record("data", {"threads": 1, "rounds": options.rounds, "cases": rows})


if __name__ == "__main__":
    main()
