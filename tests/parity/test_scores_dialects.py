"""segmentation_models_pytorch's and torchmetrics' scores of pictures, and ours read off the matrix by their rules."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.metrics.dialects import DIALECTS
from tests.conftest import peer

counts = arrays(np.int64, (4, 4), elements=st.integers(0, 3), fill=st.just(0))
counts_with_others = arrays(np.int64, (4, 5), elements=st.integers(0, 3), fill=st.just(0))


def maps(confusion: np.ndarray, ignored: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures of one row, (2, N), that have this matrix between them, and some ignored pixels."""
    rows, columns = np.divmod(np.arange(confusion.size), confusion.shape[1])
    target = np.concatenate([np.repeat(rows, confusion.ravel()), np.full(ignored, 255)])
    mask = np.concatenate([np.repeat(columns, confusion.ravel()), np.arange(ignored)])
    if len(target) % 2:
        target, mask = np.append(target, 255), np.append(mask, 0)
    return torch.from_numpy(target.reshape(2, -1)), torch.from_numpy(mask.reshape(2, -1))


@given(counts_with_others)
@settings(max_examples=60, deadline=None)
def test_the_reading_of_smp_is_what_smp_computes(confusion: np.ndarray) -> None:
    metrics: Any = peer("segmentation_models_pytorch").metrics
    target, mask = maps(confusion)
    stats = metrics.get_stats(mask, target, mode="multiclass", num_classes=4, ignore_index=255)
    reading = DIALECTS["smp"].read(confusion)
    for ours, theirs in (
        (reading.miou, metrics.iou_score(*stats, reduction="macro")),
        (reading.macc, metrics.recall(*stats, reduction="macro")),
        (reading.aacc, metrics.accuracy(*stats, reduction="micro")),
    ):
        assert ours == pytest.approx(float(theirs), rel=1e-6, nan_ok=True)
    summed = [part.sum(0, keepdim=True) for part in stats]
    np.testing.assert_allclose(reading.iou, metrics.iou_score(*summed, reduction="none")[0], rtol=1e-6)


@pytest.mark.peers
@given(counts)
@settings(max_examples=60, deadline=None)
def test_the_reading_of_torchmetrics_is_what_torchmetrics_computes(confusion: np.ndarray) -> None:
    torchmetrics: Any = peer("torchmetrics")
    target, mask = maps(confusion)
    setting: dict[str, Any] = {"task": "multiclass", "num_classes": 4, "ignore_index": 255}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "miou": torchmetrics.JaccardIndex(average="macro", **setting)(mask, target),
            "macc": torchmetrics.Accuracy(average="macro", **setting)(mask, target),
            "aacc": torchmetrics.Accuracy(average="micro", **setting)(mask, target),
        }
        per_class = torchmetrics.JaccardIndex(average="none", **setting)(mask, target)
    reading = DIALECTS["torchmetrics"].read(confusion)
    for name, theirs in found.items():
        assert getattr(reading, name) == pytest.approx(float(theirs), rel=1e-6, nan_ok=True)
    np.testing.assert_allclose(reading.iou, per_class, rtol=1e-6)
