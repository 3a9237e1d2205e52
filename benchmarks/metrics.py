"""Milliseconds of counting one 2048x1024 picture against mmsegmentation and torchmetrics: same maps, one thread.

    PYTHONPATH=. python benchmarks/metrics.py [--rounds 15]

Runs where the rivals are: the extra `peers`, and `pip install --no-deps torchmetrics lightning-utilities`; one that
cannot be imported is left out. They take turns, and each must count what we count; the least time is compared. The
maps are blobs with a tenth ignored and a fifth wrong, as 8-bit ids for us and as the int64 tensors that the rivals'
own pipelines hand them; mmsegmentation also gets 8-bit ones.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from types import ModuleType

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from peers import make_torchvision_importable
from record import write_record
from torch import Tensor

from segformer_cli.metrics.confusion import confusion_matrix

SIZE_HW, IGNORED = (1024, 2048), 255
Ids = NDArray[np.uint8]
Contestant = Callable[[], NDArray[np.int64]]
"""Counts the maps; gives the right pixels of each class, to be checked against ours."""


def blobs(classes: int, seed: int) -> Ids:
    """A map of patches with wobbly outlines, some hundred of them, as street scenes have."""
    generator = np.random.default_rng(seed)
    height, width = SIZE_HW
    patches = generator.integers(0, classes, (12, 24), np.uint8)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    wobble = (generator.normal(0, 12, (height // 32, width // 32)).astype(np.float32) for _ in range(2))
    dx, dy = (cv2.resize(each, (width, height), interpolation=cv2.INTER_CUBIC) for each in wobble)
    even = cv2.resize(patches, (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.remap(even, x + dx, y + dy, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT), np.uint8)


def maps(classes: int) -> tuple[Ids, Ids]:
    """Target and mask."""
    target, other = blobs(classes, 1), blobs(classes, 2)
    mask = np.where(blobs(9, 3) < 2, other, target)
    return np.where(blobs(10, 4) == 0, IGNORED, target).astype(np.uint8), mask


def contestants(classes: int) -> dict[str, Contestant]:
    """Us and whoever can be imported."""
    target, mask = maps(classes)
    wide = torch.from_numpy(target).long(), torch.from_numpy(mask).long()
    narrow = torch.from_numpy(target), torch.from_numpy(mask)
    found: dict[str, Contestant] = {"ours": lambda: np.diag(confusion_matrix(target, mask, classes, IGNORED))}
    try:
        metric = mmseg_metric()
    except ImportError:
        print("no mmsegmentation here", file=sys.stderr)
    else:
        found["mmsegmentation"] = lambda: metric(*wide, classes)
        found["mmsegmentation, 8-bit maps"] = lambda: metric(*narrow, classes)
    try:
        found |= torchmetrics_metrics(*wide, classes)
    except ImportError:
        print("no torchmetrics here", file=sys.stderr)
    return found


def mmseg_metric() -> Callable[[Tensor, Tensor, int], NDArray[np.int64]]:
    """`intersect_and_union`, which its IoUMetric calls for each picture."""
    # mmcv-lite lacks a compiled module whose operators are looked up on import and never called here.
    compiled = ModuleType("mmcv._ext")
    compiled.__getattr__ = lambda name: None  # type: ignore[method-assign]
    sys.modules.setdefault("mmcv._ext", compiled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = importlib.import_module("mmseg.evaluation").IoUMetric

    def intersection(target: Tensor, mask: Tensor, classes: int) -> NDArray[np.int64]:
        areas: NDArray[np.int64] = metric.intersect_and_union(mask, target, classes, IGNORED)[0].numpy()
        return areas.astype(np.int64)

    return intersection


def torchmetrics_metrics(target: Tensor, mask: Tensor, classes: int) -> dict[str, Contestant]:
    """Its Jaccard index with and without its checks, and its MeanIoU where the one-hot maps leave memory for others."""
    make_torchvision_importable()
    classification = importlib.import_module("torchmetrics.classification")
    segmentation = importlib.import_module("torchmetrics.segmentation")

    def jaccard(checked: bool) -> Contestant:
        metric = classification.MulticlassJaccardIndex(classes, ignore_index=IGNORED, validate_args=checked)

        def count() -> NDArray[np.int64]:
            metric.reset()
            metric.update(mask, target)
            hits: NDArray[np.int64] = metric.confmat.diag().numpy()
            return hits

        return count

    found = {"torchmetrics Jaccard": jaccard(True), "torchmetrics Jaccard, unchecked": jaccard(False)}
    if classes <= 32:
        # It knows no ignored pixels: they are class 0, right in both maps. It keeps scores, not counts.
        clean, guess = target.clone(), mask.clone()
        clean[target == IGNORED] = guess[target == IGNORED] = 0
        mean_iou = segmentation.MeanIoU(classes, per_class=True, input_format="index")

        def scored() -> NDArray[np.int64]:
            mean_iou.reset()
            mean_iou.update(guess[None], clean[None])
            return np.zeros(0, np.int64)

        found["torchmetrics MeanIoU"] = scored
    return found


def compare(classes: int, rounds: int) -> dict[str, object]:
    """Times in ms and how many times faster ours is."""
    count = contestants(classes)
    expected = count["ours"]()
    times: dict[str, list[float]] = {name: [] for name in count}
    for round_ in range(rounds + 1):
        for name, run in count.items():
            began = time.perf_counter()
            hits = run()
            if round_:
                times[name].append(1000 * (time.perf_counter() - began))
            elif hits.size and not np.array_equal(hits, expected):
                raise AssertionError(f"{name} counts {hits}, we count {expected}")
    least = {name: min(spent) for name, spent in times.items()}
    return {
        "classes": classes,
        "least_ms": least,
        "median_ms": {name: sorted(spent)[len(spent) // 2] for name, spent in times.items()},
        "times_faster": {name: spent / least["ours"] for name, spent in least.items() if name != "ours"},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = []
    for classes in (19, 150):
        row = compare(classes, rounds)
        print(f"{classes} classes: {row['least_ms']} ms", flush=True)
        print(f"  times faster: {row['times_faster']}", flush=True)
        rows.append(row)
    rivals = {
        name: version(name)
        for name, module in (("mmsegmentation", "mmseg"), ("torchmetrics", "torchmetrics"))
        if module in sys.modules
    }
    write_record("metrics", {"threads": 1, "rounds": rounds, "size_hw": SIZE_HW, "rivals": rivals, "cases": rows})


if __name__ == "__main__":
    main()
