"""Each tool's reading of a matrix: worked by hand, and equal to the tool itself where it is installed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.metrics.dialects import DIALECTS, Reading
from tests.conftest import peer

NAN = float("nan")

# Class 2 is in neither map, class 3 is only predicted; two pixels of class 0 are predicted as no class.
MATRIX = np.array([[6, 2, 0, 0, 2], [1, 3, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
IOU_0, IOU_1 = 6 / 11, 3 / 7
BY_HAND = {
    "mmseg": Reading((IOU_0 + IOU_1) / 3, (6 / 10 + 3 / 5) / 2, 9 / 15, np.array([IOU_0, IOU_1, NAN, 0])),
    "cityscapes": Reading((IOU_0 + IOU_1) / 3, None, None, np.array([IOU_0, IOU_1, NAN, 0])),
    "ultralytics": Reading((6 / 9 + IOU_1) / 2, None, 9 / 13, np.array([6 / 9, IOU_1, NAN, NAN])),
    # Of 4 x 15 yes-or-no answers 6 are wrongly no, 4 wrongly yes; both absent classes have recall 1.
    "smp": Reading((IOU_0 + IOU_1 + 1) / 4, (0.6 + 0.6 + 1 + 1) / 4, 1 - 10 / 60, np.array([IOU_0, IOU_1, 1, 0])),
    "paddle": Reading((IOU_0 + IOU_1 + 1) / 4, None, 9 / 13, np.array([IOU_0, IOU_1, 1, 0])),
    "torchmetrics": Reading((IOU_0 + IOU_1) / 3, (0.6 + 0.6) / 3, 9 / 15, np.array([IOU_0, IOU_1, 0, 0])),
}

counts = arrays(np.int64, (4, 4), elements=st.integers(0, 3), fill=st.just(0))
counts_with_others = arrays(np.int64, (4, 5), elements=st.integers(0, 3), fill=st.just(0))


def assert_same(found: Reading, expected: Reading) -> None:
    np.testing.assert_allclose(found.iou, expected.iou, rtol=1e-12)
    for ours, theirs in ((found.miou, expected.miou), (found.macc, expected.macc), (found.aacc, expected.aacc)):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours == pytest.approx(theirs, rel=1e-12, nan_ok=True)


def maps(confusion: np.ndarray, ignored: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Two pictures of one row, (2, N), that have this matrix between them, and some ignored pixels."""
    rows, columns = np.divmod(np.arange(confusion.size), confusion.shape[1])
    target = np.concatenate([np.repeat(rows, confusion.ravel()), np.full(ignored, 255)])
    mask = np.concatenate([np.repeat(columns, confusion.ravel()), np.arange(ignored)])
    if len(target) % 2:
        target, mask = np.append(target, 255), np.append(mask, 0)
    return torch.from_numpy(target.reshape(2, -1)), torch.from_numpy(mask.reshape(2, -1))


@pytest.mark.parametrize("name", DIALECTS)
def test_each_tool_reads_the_hand_worked_matrix_by_its_own_rule(name: str) -> None:
    assert_same(DIALECTS[name].read(MATRIX), BY_HAND[name])


def test_all_tools_agree_where_every_class_is_in_both_maps() -> None:
    confusion = np.array([[5, 1], [2, 8]])
    readings = [dialect.read(confusion) for dialect in DIALECTS.values()]
    assert len({round(reading.miou, 12) for reading in readings}) == 1
    assert {round(reading.aacc, 12) for reading in readings if reading.aacc is not None} == {13 / 16}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_matrix_without_pixels_is_read_without_a_warning(name: str) -> None:
    reading = DIALECTS[name].read(np.zeros((3, 3), np.int64))
    assert reading.iou.shape == (3,)
    assert np.isnan(reading.miou) or reading.miou in (0.0, 1.0)


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_says_in_a_sentence_how_it_averages_and_what_is_not_computed(name: str) -> None:
    dialect = DIALECTS[name]
    assert dialect.name == name
    for sentence in (dialect.rule, dialect.not_computed):
        assert sentence
        assert not sentence.endswith(".")


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


@given(counts)
@settings(max_examples=60, deadline=None)
def test_the_reading_of_torchmetrics_is_what_torchmetrics_computes(confusion: np.ndarray) -> None:
    pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")
    from torchmetrics import Accuracy, JaccardIndex

    target, mask = maps(confusion)
    setting: dict[str, Any] = {"task": "multiclass", "num_classes": 4, "ignore_index": 255}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "miou": JaccardIndex(average="macro", **setting)(mask, target),
            "macc": Accuracy(average="macro", **setting)(mask, target),
            "aacc": Accuracy(average="micro", **setting)(mask, target),
        }
        per_class = JaccardIndex(average="none", **setting)(mask, target)
    reading = DIALECTS["torchmetrics"].read(confusion)
    for name, theirs in found.items():
        assert getattr(reading, name) == pytest.approx(float(theirs), rel=1e-6, nan_ok=True)
    np.testing.assert_allclose(reading.iou, per_class, rtol=1e-6)
