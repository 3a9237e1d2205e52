"""Polygons with holes as one line."""

from __future__ import annotations

import numpy as np

from segformer_cli.outputs.bridging import bridged
from tests.outputs.readers import even_odd

SQUARE = np.array([[0, 0], [9, 0], [9, 9], [0, 9]])


def hole(x: int, y: int, size: int = 1) -> np.ndarray:
    return np.array([[x, y], [x, y + size], [x + size, y + size], [x + size, y]])


def test_a_ring_without_holes_stays() -> None:
    assert bridged(SQUARE, []).tolist() == SQUARE.tolist()
    assert bridged(np.array([[4, 4]]), []).tolist() == [[4, 4]]


def test_a_slit_ends_at_what_lies_first_to_the_left() -> None:
    # The second hole lies behind the first: its slit leads there, not through it.
    line = bridged(SQUARE, [hole(6, 4), hole(2, 3, 3)]).tolist()
    at = line.index([6.0, 4.0])
    assert line[at - 1] == [5.0, 4.0]
    assert line[line.index([2.0, 3.0]) - 1] == [0.0, 3.0]


def test_holes_stay_holes_however_they_lie() -> None:
    holes = [hole(1, 1), hole(2, 2), hole(3, 1, 2), hole(1, 5), hole(3, 5, 3), hole(7, 6)]
    within = even_odd(bridged(SQUARE, holes).tolist(), (9, 9))
    want = np.ones((9, 9), bool)
    for each in holes:
        (x0, y0), (x1, y1) = each.min(0), each.max(0)
        want[y0:y1, x0:x1] = False
    assert (within == want).all()


def test_a_slit_meets_a_sloping_side_where_that_is() -> None:
    triangle = np.array([[0, 0], [10, 0], [10, 10]])
    assert [5.0, 5.0] in bridged(triangle, [np.array([[7, 5], [8, 6], [8, 5]])]).tolist()
