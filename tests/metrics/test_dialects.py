"""Each tool's reading of a matrix, worked by hand. That they are what the tools compute is held in tests/parity."""

from __future__ import annotations

import numpy as np
import pytest

from segformer_cli.metrics.dialects import DIALECTS, Reading

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


def assert_same(found: Reading, expected: Reading) -> None:
    np.testing.assert_allclose(found.iou, expected.iou, rtol=1e-12)
    for ours, theirs in ((found.miou, expected.miou), (found.macc, expected.macc), (found.aacc, expected.aacc)):
        assert (ours is None) == (theirs is None)
        assert ours is None or ours == pytest.approx(theirs, rel=1e-12, nan_ok=True)


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
    assert dialect.rule
    assert dialect.not_computed or dialect.needs_instances
    for sentence in filter(None, (dialect.rule, dialect.not_computed, dialect.needs_instances)):
        assert not sentence.endswith(".")


def test_only_what_cityscapes_prints_of_instances_is_computed_where_there_are_some() -> None:
    assert [name for name, dialect in DIALECTS.items() if dialect.needs_instances] == ["cityscapes"]
    assert "iIoU" in str(DIALECTS["cityscapes"].needs_instances)
    assert not any("iIoU" in (dialect.not_computed or "") for dialect in DIALECTS.values())
