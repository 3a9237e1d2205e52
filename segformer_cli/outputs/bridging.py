"""A polygon with holes as one closed line, for formats that know no holes: slits without width lead into them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segformer_cli.outputs.tracing import Whole

Points = NDArray[np.float64]


def bridged(outer: Whole, holes: Sequence[Whole]) -> Points:
    """The ring with its holes, (N, 2), x before y, not closed: each slit runs from a hole straight to the left.

    A slit is walked there and back, so readers that count crossings see no trace of it; those that draw lines draw
    it on the class's own pixels.

    >>> square, hole = np.array([[0, 0], [3, 0], [3, 3], [0, 3]]), np.array([[1, 1], [1, 2], [2, 2], [2, 1]])
    >>> bridged(square, [hole])[3:].tolist()
    [[0.0, 3.0], [0.0, 1.0], [1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    """
    line = outer.astype(np.float64)
    # From the left, so that whatever a slit may meet first is part of the line already.
    for hole in sorted((_from_its_left(hole) for hole in holes), key=lambda hole: tuple(hole[0])):
        x, y = hole[0]
        after, at = _first_to_the_left(line, x, y)
        landing = np.array([[at, y]])
        line = np.concatenate([line[: after + 1], landing, hole, hole[:1], landing, line[after + 1 :]])
    return line[(line != np.roll(line, 1, axis=0)).any(axis=1)] if len(line) > 1 else line


def _from_its_left(ring: Whole) -> Points:
    """The same ring, beginning at its leftmost point."""
    return np.roll(ring, -int(np.lexsort((ring[:, 1], ring[:, 0]))[0]), axis=0).astype(np.float64)


def _first_to_the_left(line: Points, x: float, y: float) -> tuple[int, float]:
    """The piece of the line met first from (x, y), by the point it starts at, and where on it."""
    (x0, y0), (x1, y1) = line.T, np.roll(line, -1, axis=0).T
    level = y0 == y1
    along = (y - y0) / np.where(level, 1, y1 - y0)
    met = np.where(level, np.minimum(np.maximum(x0, x1), x), x0 + along * (x1 - x0))
    reached = (np.minimum(y0, y1) <= y) & (y <= np.maximum(y0, y1)) & (met <= x)
    reached &= ~level | (np.minimum(x0, x1) <= x)
    after = int(np.where(reached, met, -np.inf).argmax())
    return after, float(met[after])
