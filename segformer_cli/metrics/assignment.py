"""The best one-to-one assignment of rows to columns, by shortest augmenting paths.

Source: Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse linear assignment problems",
Computing 38 (1987), without its initialisation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def best_assignment(gain: Floats) -> NDArray[np.intp]:
    """The column of each row (R,) with which the gains add up to the most; -1 where no column is left for a row.

    Args:
        gain: (R, C), finite. The smaller side is assigned wholly, however small its gains.

    Raises:
        ValueError: a gain is not finite.

    >>> best_assignment(np.array([[0.9, 0.8], [0.7, 0.1]])).tolist()
    [1, 0]
    >>> best_assignment(np.array([[0.1], [0.2]])).tolist()
    [-1, 0]
    """
    if not np.isfinite(gain).all():
        raise ValueError("a gain is not a finite number")
    if gain.shape[0] <= gain.shape[1]:
        return _columns_of_rows(-gain)
    found = np.full(gain.shape[0], -1, np.intp)
    rows = _columns_of_rows(-gain.T)
    found[rows] = np.arange(len(rows))
    return found


def _columns_of_rows(cost: Floats) -> NDArray[np.intp]:
    """The column of each row at the least cost in all, of no more rows than columns.

    One row after another is brought in along the cheapest path of exchanges, in prices that keep every cost of a row
    over its own column's at nought or more.
    """
    R, C = cost.shape
    of_rows, of_columns = np.zeros(R), np.zeros(C)
    row_of = np.full(C, -1, np.intp)
    for row in range(R):
        length, before = np.full(C, np.inf), np.full(C, -1, np.intp)
        reached = np.zeros(C, bool)
        at, column, far = row, -1, 0.0
        while at >= 0:
            onward = far + cost[at] - of_rows[at] - of_columns
            shorter = ~reached & (onward < length)
            length[shorter], before[shorter] = onward[shorter], column
            column = int(np.where(reached, np.inf, length).argmin())
            far, at = float(length[column]), int(row_of[column])
            reached[column] = True
        # Prices of what the path has passed; the last column, which was free, keeps its own.
        passed = np.flatnonzero(reached & (row_of >= 0))
        of_rows[row] += far
        of_rows[row_of[passed]] += far - length[passed]
        of_columns[passed] -= far - length[passed]
        while column >= 0:
            previous = int(before[column])
            row_of[column] = row if previous < 0 else row_of[previous]
            column = previous
    found = np.full(R, -1, np.intp)
    taken = np.flatnonzero(row_of >= 0)
    found[row_of[taken]] = taken
    return found
