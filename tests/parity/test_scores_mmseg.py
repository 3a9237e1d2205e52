"""mmsegmentation's IoUMetric and ours on the same maps: areas as whole numbers, per-class values, printed scores."""

from __future__ import annotations

import importlib
import sys
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.dialects import DIALECTS
from segformer_cli.metrics.scores import Scores, scores
from tests.conftest import peer

# See test_mmseg.py: mmcv-lite lacks a compiled module whose operators are looked up and never called.
compiled = ModuleType("mmcv._ext")
compiled.__getattr__ = lambda name: None  # type: ignore[method-assign]
sys.modules.setdefault("mmcv._ext", compiled)
peer("mmseg")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")                 # deprecated parts of torch that mmcv uses while it is imported
    evaluation = importlib.import_module("mmseg.evaluation")

pytestmark = pytest.mark.peers

IGNORED = 255
SIZES = [(64, 96), (51, 77), (33, 120)]
Maps = list[tuple[np.ndarray, np.ndarray]]


def pictures(K: int, seed: int = 0, *, outside: bool = False) -> Maps:
    """(target, mask) of pictures of several sizes, by random logits: two classes are in no target, one of them and
    another in no mask, a tenth of the pixels is ignored; with `outside` some predictions are no class."""
    generator = torch.Generator().manual_seed(seed)
    maps = []
    for height, width in SIZES:
        logits = torch.randn(K + outside, height, width, generator=generator)
        target = torch.randint(0, K - 2, (height, width), generator=generator)
        logits.scatter_add_(0, target[None], torch.full_like(target, 3)[None].float())
        logits[[0, K - 1]] = -torch.inf
        target[torch.rand(target.shape, generator=generator) < 0.1] = IGNORED
        maps.append((target.numpy().astype(np.uint8), logits.argmax(0).numpy().astype(np.uint8)))
    return maps


def theirs(maps: Maps, K: int) -> tuple[Any, dict[str, float]]:
    """Their metric after these pictures, and what it prints."""
    metric = evaluation.IoUMetric(ignore_index=IGNORED, iou_metrics=["mIoU", "mDice", "mFscore"])
    metric.dataset_meta = {"classes": [f"class {index}" for index in range(K)]}
    for target, mask in maps:
        sample = {
            "pred_sem_seg": {"data": torch.from_numpy(mask)[None].long()},
            "gt_sem_seg": {"data": torch.from_numpy(target)[None].long()},
        }
        metric.process({}, [sample])
    return metric, metric.compute_metrics(metric.results)


def ours(maps: Maps, K: int, *, outside: bool = False) -> tuple[np.ndarray, Scores]:
    confusion = sum(confusion_matrix(target, mask, K, IGNORED, others=outside) for target, mask in maps)
    return confusion, scores(confusion)


@pytest.mark.parametrize(("K", "outside"), [(19, False), (150, False), (19, True)])
def test_the_matrix_has_their_areas_and_every_score_is_the_one_they_print(K: int, outside: bool) -> None:
    maps = pictures(K, outside=outside)
    metric, printed = theirs(maps, K)
    confusion, found = ours(maps, K, outside=outside)

    intersect, union, predicted, labelled = (sum(parts) for parts in zip(*metric.results, strict=True))
    square = confusion[:, :K]
    assert np.array_equal(np.diag(square), intersect.numpy())
    assert np.array_equal(square.sum(0), predicted.numpy())
    assert np.array_equal(confusion.sum(1), labelled.numpy())
    assert np.array_equal(confusion.sum(1) + square.sum(0) - np.diag(square), union.numpy())

    # Their Fscore is our dice, but NaN where precision or recall is: a class missed altogether leaves its mean.
    fscore = 2 * found.precision * found.acc / (found.precision + found.acc)
    expected = {
        "aAcc": found.aacc,
        "mIoU": found.miou,
        "mAcc": found.macc,
        "mDice": found.mdice,
        "mFscore": float(np.nanmean(fscore)),
        "mPrecision": float(np.nanmean(found.precision)),
        "mRecall": found.macc,
    }
    assert {name: round(100 * value, 2) for name, value in expected.items()} == pytest.approx(printed, abs=1e-5)

    per_class = metric.total_area_to_metrics(intersect, union, predicted, labelled, ["mIoU", "mDice", "mFscore"])
    for name, values in {"IoU": found.iou, "Acc": found.acc, "Dice": found.dice, "Precision": found.precision}.items():
        np.testing.assert_array_equal(values.astype(np.float32), per_class[name])
    assert np.isnan(found.iou).sum() == 1
    assert np.isnan(found.acc).sum() == 2


def test_the_dialect_mmseg_reads_what_mmsegmentation_prints() -> None:
    maps = pictures(19, seed=1)
    _, printed = theirs(maps, 19)
    reading = DIALECTS["mmseg"].read(ours(maps, 19)[0])
    assert reading.macc is not None
    assert reading.aacc is not None
    read = [round(100 * value, 2) for value in (reading.miou, reading.macc, reading.aacc)]
    assert read == pytest.approx([printed["mIoU"], printed["mAcc"], printed["aAcc"]], abs=1e-5)
