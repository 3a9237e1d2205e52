"""The best assignment of rows to columns, against every permutation there is, and against scipy's."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from segformer_cli.metrics.assignment import best_assignment

Gains = NDArray[np.float64]

MATRICES = st.tuples(st.integers(1, 5), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-8, 8).map(float))
)


def total(gain: Gains, columns: NDArray[np.intp]) -> float:
    return float(sum(gain[row, column] for row, column in enumerate(columns) if column >= 0))


def best_of_all(gain: Gains) -> float:
    """The most that any assignment of the smaller side gives."""
    if gain.shape[0] > gain.shape[1]:
        gain = gain.T
    rows = range(gain.shape[0])
    return max(sum(gain[row, column] for row, column in zip(rows, chosen, strict=True))
               for chosen in permutations(range(gain.shape[1]), gain.shape[0]))


@settings(max_examples=150, deadline=None)
@given(MATRICES)
def test_no_permutation_gains_more_and_none_is_given_twice(gain: Gains) -> None:
    columns = best_assignment(gain)
    given_away = columns[columns >= 0]
    assert len(given_away) == len(set(given_away.tolist())) == min(gain.shape)
    assert total(gain, columns) == best_of_all(gain)


@pytest.mark.parametrize("shape", [(60, 60), (19, 300), (300, 19)])
def test_a_large_one_gains_what_scipys_gains(shape: tuple[int, int]) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    gain = np.random.default_rng(0).random(shape)
    rows, columns = optimize.linear_sum_assignment(gain, maximize=True)
    assert total(gain, best_assignment(gain)) == pytest.approx(gain[rows, columns].sum(), abs=1e-12)


def test_a_permutation_is_found_again() -> None:
    order = np.random.default_rng(1).permutation(40)
    assert (best_assignment(np.eye(40)[order]) == order).all()


def test_the_row_that_gains_more_takes_the_one_column() -> None:
    assert best_assignment(np.array([[0.3], [0.5], [0.2]])).tolist() == [-1, 0, -1]


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        best_assignment(np.array([[0.0, np.nan]]))
