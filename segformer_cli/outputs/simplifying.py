"""Fewer points for the rings of a mask, within a stated distance: each border once, for the classes on both its sides.

Borders are cut where more than two meet, and each piece is thinned by Ramer, Douglas and Peucker's rule, in a way that
does not depend on the direction in which it is walked. So neighbours go on sharing it: no gap opens, nothing
overlaps. What would then cross gets points back until it does not.

Source: Douglas and Peucker, Algorithms for the reduction of the number of points, Cartographica 10(2), 1973.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.outputs.tracing import Rings, Whole

BAND = 32
"""Rows of the picture whose lines are compared with each other."""

AT_ONCE = 1 << 20
"""Points, or pairs of lines, looked at in one go."""


def thinned(rings: Rings, tolerance: float) -> NDArray[np.bool_]:
    """Which points of the rings stay, (N,); none of the others lies further than `tolerance` pixels from its new line.

    A ring may be left with one or two points: it was no larger than that.
    """
    borders = _Borders(rings)
    borders.thin(tolerance)
    while len(crossing := borders.crossing()):
        borders.restore(crossing)
    kept = np.zeros(len(rings.corners), bool)
    kept[borders.point[borders.kept]] = True
    return kept


@dataclass(frozen=True, eq=False)
class _Lines:
    """Lines between points that stay, as positions on the walk: `start`, `end`, (L,)."""

    start: Whole
    end: Whole


class _Borders:
    """All rings as one walk, each from a point that stays round to that point again."""

    def __init__(self, rings: Rings) -> None:
        corners = rings.corners
        self.width = int(corners[:, 0].max(initial=0)) + 1
        key = corners[:, 1] * self.width + corners[:, 0]
        first, lengths = rings.first[:-1], np.diff(rings.first)
        ring = np.repeat(np.arange(len(first)), lengths)
        # A ring without nodes starts at its uppermost point, as does the ring on its other side.
        rank = np.lexsort((key, ~rings.nodes, ring))
        start = rank[first]
        stays = rings.nodes.copy()
        stays[start] = True
        steps = np.arange(lengths.sum() + len(first)) - np.repeat(first + np.arange(len(first)), lengths + 1)
        offset = np.repeat(start - first, lengths + 1)
        self.point = np.repeat(first, lengths + 1) + (steps + offset) % np.repeat(lengths, lengths + 1)
        self.last = first + lengths + np.arange(len(first))
        self.kept = stays[self.point]
        self.key = key[self.point]
        self.xy = corners[self.point].astype(np.float64)

    def lines(self) -> _Lines:
        """What is drawn now."""
        at = np.flatnonzero(self.kept)
        within = ~np.isin(at[:-1], self.last)
        return _Lines(at[:-1][within], at[1:][within])

    def thin(self, tolerance: float) -> None:
        """Keeps, line by line, the furthest point while it is further off than `tolerance`."""
        lines = self.lines()
        while len(lines.start):
            long = lines.end - lines.start > 1
            start, end = lines.start[long], lines.end[long]
            furthest, square = self._furthest(start, end)
            far = square > tolerance * tolerance
            start, end, furthest = start[far], end[far], furthest[far]
            self.kept[furthest] = True
            lines = _Lines(np.concatenate([start, furthest]), np.concatenate([furthest, end]))

    def restore(self, crossing: NDArray[np.int64]) -> None:
        """Keeps the furthest point of each line between two points that `crossing` names, (L, 2) keys."""
        lines = self.lines()
        wanted = np.isin(self._names(lines), self._joined(crossing[:, 0], crossing[:, 1]))
        wanted &= lines.end - lines.start > 1
        furthest, _ = self._furthest(lines.start[wanted], lines.end[wanted])
        self.kept[furthest] = True

    def crossing(self) -> Whole:
        """The lines that cross or touch others but at their ends, by the keys of those, (L, 2), lower one first."""
        lines = self.lines()
        _, index = np.unique(self._names(lines), return_index=True)
        start, end = self.key[lines.start[index]], self.key[lines.end[index]]
        ends = np.stack([np.minimum(start, end), np.maximum(start, end)], axis=1)
        # What stands for one step of the outline crosses nothing of its like; one of the two must be longer.
        longer = (lines.end - lines.start > 1)[index]
        proper = ends[:, 0] != ends[:, 1]
        ends, longer = ends[proper], longer[proper]
        y, x = np.divmod(ends, self.width)
        bad = np.zeros(len(ends), bool)
        for one, other in _near(x, y, longer):
            hit = _meet(x, y, one, other)
            bad[one[hit]] = True
            bad[other[hit]] = True
        crossing: Whole = ends[bad]
        return crossing

    def _names(self, lines: _Lines) -> Whole:
        start, end = self.key[lines.start], self.key[lines.end]
        return self._joined(np.minimum(start, end), np.maximum(start, end))

    def _joined(self, low: Whole, high: Whole) -> Whole:
        # A name for a pair; two pairs of one name would only cost a point too many.
        return np.asarray(low * np.int64(2_654_435_761) + high, np.int64)

    def _furthest(self, start: Whole, end: Whole) -> tuple[Whole, NDArray[np.float64]]:
        """For each line the point between its ends that is furthest from it, and the square of how far."""
        inner = end - start - 1
        if not len(inner):
            return np.zeros(0, np.int64), np.zeros(0)
        cuts = np.flatnonzero(np.diff(np.cumsum(inner) // AT_ONCE)) + 1
        portions = np.split(np.arange(len(start)), cuts)
        parts = [self._furthest_of(start[some], end[some], inner[some]) for some in portions]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _furthest_of(self, start: Whole, end: Whole, inner: Whole) -> tuple[Whole, NDArray[np.float64]]:
        begins = np.cumsum(inner) - inner
        line = np.repeat(np.arange(len(start)), inner)
        at = np.arange(inner.sum()) - begins[line] + start[line] + 1
        square = _squares(self.xy[at], self.xy[start][line], self.xy[end][line])
        most = np.maximum.reduceat(square, begins)
        # Of points equally far the uppermost, whichever way the border is walked.
        tied = np.where(square == most[line], self.key[at], np.iinfo(np.int64).max)
        chosen = np.flatnonzero(tied == np.minimum.reduceat(tied, begins)[line])
        _, once = np.unique(line[chosen], return_index=True)
        return at[chosen[once]], most


def _squares(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The squared distance of each point from its line, whole numbers up to the division: equal both ways round."""
    along, from_start, from_end = end - start, points - start, points - end
    length = (along * along).sum(1)
    ahead = (from_start * along).sum(1)
    across = along[:, 0] * from_start[:, 1] - along[:, 1] * from_start[:, 0]
    beside = (ahead > 0) & (ahead < length)
    to_ends = np.minimum((from_start * from_start).sum(1), (from_end * from_end).sum(1))
    return np.asarray(np.where(beside, across * across / np.maximum(length, 1), to_ends), np.float64)


def _near(x: Whole, y: Whole, longer: NDArray[np.bool_]) -> list[tuple[Whole, Whole]]:
    """Pairs of lines whose boxes meet, one of them `longer`; ends are (L, 2)."""
    low, high = y.min(axis=1) // BAND, y.max(axis=1) // BAND
    line = np.repeat(np.arange(len(x)), high - low + 1)
    begins = np.cumsum(high - low + 1) - (high - low + 1)
    band = np.arange(len(line)) - begins[line] + low[line]
    left, right = x.min(axis=1), x.max(axis=1)
    wide = int(x.max(initial=0)) + 2
    order = np.lexsort((left[line], band))
    line, key = line[order], (band * wide + left[line])[order]
    until = np.searchsorted(key, band[order] * wide + right[line], "right")
    count = until - np.arange(len(line)) - 1
    pairs = []
    cuts = np.flatnonzero(np.diff(np.cumsum(count) // AT_ONCE)) + 1
    for some in np.split(np.arange(len(line)), cuts):
        begins = np.cumsum(count[some]) - count[some]
        which = np.repeat(np.arange(len(some)), count[some])
        one = line[some[which]]
        other = line[np.arange(len(which)) - begins[which] + some[which] + 1]
        meet = longer[one] | longer[other]
        meet &= (y[one].min(axis=1) <= y[other].max(axis=1)) & (y[other].min(axis=1) <= y[one].max(axis=1))
        pairs.append((one[meet], other[meet]))
    return pairs


def _meet(x: Whole, y: Whole, one: Whole, other: Whole) -> NDArray[np.bool_]:
    """Whether two lines have a point in common that is no end of both."""
    a, b = (np.stack([x[one, end], y[one, end]], axis=1) for end in (0, 1))
    c, d = (np.stack([x[other, end], y[other, end]], axis=1) for end in (0, 1))
    sides = [_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)]
    crossed = (sides[0] * sides[1] < 0) & (sides[2] * sides[3] < 0)
    # An end of one that lies on the other, and is no end of that.
    for side, point, start, end in ((0, c, a, b), (1, d, a, b), (2, a, c, d), (3, b, c, d)):
        between = ((point - start) * (point - end)).sum(1) < 0
        crossed |= (sides[side] == 0) & between
    return crossed


def _side(start: Whole, end: Whole, point: Whole) -> Whole:
    along, to = end - start, point - start
    return np.asarray(np.sign(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0]), np.int64)
