"""Run lengths as COCO packs them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segformer_cli.outputs.run_lengths import box, class_runs, packed
from tests.outputs.readers import any_mask, unpacked


def test_signs_worked_by_hand() -> None:
    # 6 is one sign, 48 + 6; 16 needs a second one, or it would be read as -16.
    assert packed(np.array([6])) == "6"
    assert packed(np.array([16])) == chr(48 + 16 + 32) + "0"
    # The fourth is what it differs by from the second: 3 - 5 = -2, which is 30 of 32.
    assert packed(np.array([0, 5, 1, 3])) == "051" + chr(48 + 30)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=30))
@settings(max_examples=100, deadline=None)
def test_what_is_packed_unpacks(runs: list[int]) -> None:
    assert unpacked(packed(np.array(runs))) == runs


@given(any_mask)
@settings(max_examples=60, deadline=None)
def test_text_and_box_are_those_of_pycocotools(mask: NDArray[np.uint8]) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    found = dict(class_runs(mask))
    assert sorted(found) == np.unique(mask).tolist()
    for class_id, runs in found.items():
        theirs = coco.encode(np.asfortranarray(mask == class_id).astype(np.uint8))
        assert packed(runs).encode() == theirs["counts"]
        assert list(box(runs, len(mask))) == coco.toBbox(theirs).tolist()


@given(any_mask)
@settings(max_examples=60, deadline=None)
def test_runs_and_boxes_of_any_mask(mask: NDArray[np.uint8]) -> None:
    for class_id, runs in class_runs(mask):
        within = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(mask.shape[::-1]).T
        assert (within == (mask == class_id)).all()
        x, y = within.any(0).nonzero()[0], within.any(1).nonzero()[0]
        assert box(runs, len(mask)) == (x[0], y[0], x[-1] - x[0] + 1, y[-1] - y[0] + 1)


def test_a_mask_without_pixels_has_no_runs() -> None:
    assert list(class_runs(np.zeros((0, 3), np.uint8))) == []
