"""The borders of a class mask as rings that run along the edges of its pixels: exact, none left out.

Only the vertices at which a border turns or meets another are looked at. From each of them a border leaves to the
right, down, to the left or up, with the pixels of one class on its right-hand side: a half edge. Which half edge
follows which is a table, and its cycles are the rings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Ids

Whole = NDArray[np.int64]

RIGHT, DOWN, LEFT, UP = range(4)

ROWS = 512
"""Rows of the mask looked at together, so that little beside the mask is held."""

_PIXEL = np.array([(0, 0), (-1, 0), (-1, -1), (0, -1)])
"""From a vertex to the first pixel on the right-hand side of each way out, x before y."""


def _turning_pixels() -> Whole:
    """From a vertex to the pixel on which a path inside the class turns there: (way in, way out, xy).

    Its column is given by the upright one of both ways, its row by the level one.
    """
    table = np.empty((4, 4, 2), np.int64)
    for came in range(4):
        for leaves in range(4):
            upright, level = (came, leaves) if came % 2 else (leaves, came)
            bends = came % 2 != leaves % 2
            table[came, leaves] = (_PIXEL[upright][0], _PIXEL[level][1]) if bends else _PIXEL[leaves]
    return table


_TURNING_PIXELS = _turning_pixels()


@dataclass(frozen=True, eq=False)
class Rings:
    """All rings of a mask, one after the other: N points in R rings.

    The class lies on the right-hand side of each ring as one sees the picture: around a region it runs clockwise,
    around a hole in one the other way. No ring crosses or touches itself; a region's rings touch in single vertices.

    Attributes:
        corners: vertices between pixels, (N, 2), x before y: pixel (x, y) lies between (x, y) and (x + 1, y + 1).
        inside: the class's own pixels along the ring, (N, 2), x before y.
        nodes: (N,), where more than two borders meet, or the picture has a corner.
        first: (R + 1,), where each ring begins in these.
        class_ids: (R,).
        areas: (R,) pixels within; below 0 for holes.
        outer: (R,), the ring around the region that each one borders; of such a ring, its own number.
    """

    corners: Whole
    inside: Whole
    nodes: NDArray[np.bool_]
    first: Whole
    class_ids: Whole
    areas: Whole
    outer: Whole


def trace(mask: Ids, ignore_index: int) -> Rings:
    """The rings of all regions, which are pixels of one class that are neighbours by an edge.

    Args:
        mask: class ids, (H, W); what is `ignore_index` belongs to no region.

    Raises:
        ValueError: the mask is not (H, W), or `ignore_index` is no number of its type.
    """
    if mask.ndim != 2 or not 0 <= ignore_index <= np.iinfo(mask.dtype).max:
        raise ValueError(f"a mask (H, W) is traced, not {mask.shape} of {mask.dtype} with ignore_index {ignore_index}")
    net = _Net(_framed(mask, ignore_index), ignore_index)
    leaves, first = _untouching(*_cycles(net.following(), net.starts))
    came = leaves[previous_points(first)] % 4
    areas = doubled_areas(net.places[leaves // 4], first) // 2
    outer = _outer_rings(leaves, first, areas, net)
    owners = net.owners[leaves[first[:-1]]]
    # Where a ring was cut from another at a vertex, its pixels there are diagonal neighbours: two points.
    cut = net.crossed[leaves // 4] & (leaves % 4 == (came + 3) % 4)
    vertices, came, way = (np.repeat(values, 1 + cut) for values in (leaves // 4, came, leaves % 4))
    at = np.flatnonzero(cut) + np.arange(np.count_nonzero(cut))
    way[at] = (came[at] + 1) % 4
    came[at + 1] = (way[at + 1] + 3) % 4
    first = first + np.concatenate([[0], np.cumsum(cut)])[first]
    corners = net.places[vertices]
    return Rings(corners, corners + _TURNING_PIXELS[came, way], net.nodes[vertices], first, owners, areas, outer)


def previous_points(first: Whole) -> Whole:
    """For each point of the rings that begin at `first` (R + 1,) the index of the one before it."""
    before = np.arange(-1, first[-1] - 1)
    before[first[:-1]] = first[1:] - 1
    return before


def following_points(first: Whole) -> Whole:
    """For each point of the rings that begin at `first` (R + 1,) the index of the one after it."""
    after = np.arange(1, first[-1] + 1)
    after[first[1:] - 1] = first[:-1]
    return after


def doubled_areas(points: Whole, first: Whole) -> Whole:
    """Twice what the rings that begin at `first` (R + 1,) go round, (R,); below 0 for those that go anticlockwise.

    >>> doubled_areas(np.array([[0, 0], [3, 0], [3, 2], [0, 2]]), np.array([0, 4]))
    array([12])
    """
    if len(first) == 1:
        return np.zeros(0, np.int64)
    (x, y), (x_after, y_after) = points.T, points[following_points(first)].T
    return np.asarray(np.add.reduceat(x * y_after - x_after * y, first[:-1]), np.int64)


class _Net:
    """The half edges between T turning vertices: number 4 t + way leaves vertex t that way, if a border does."""

    def __init__(self, framed: Ids, ignore_index: int) -> None:
        self.framed = framed
        self.lines = framed.shape[0] - 1                                        # vertices in a column
        ys, xs = _turning(framed)
        self.places = np.stack([xs, ys], axis=1)                                # (T, 2), in reading order
        around = np.stack([framed[ys + dy + 1, xs + dx + 1] for dx, dy in _PIXEL], axis=1)
        # A way has pixel number `way` on its right and the one before it on its left.
        self.leads = around != around[:, [3, 0, 1, 2]]                          # (T, 4)
        self.owners = around.astype(np.int64).ravel()                           # (4 T,)
        self.starts = np.flatnonzero(self.leads.ravel() & (self.owners != ignore_index))
        self.crossed = self.leads.all(axis=1)
        at_corner = np.isin(ys, (0, self.lines - 1)) & np.isin(xs, (0, framed.shape[1] - 2))
        self.nodes = (self.leads.sum(axis=1) > 2) | at_corner
        self.by_column = np.lexsort((ys, xs))
        self._column_keys = (xs * self.lines + ys)[self.by_column]

    def following(self) -> Whole:
        """The half edge after each, (4 T,): to the right where a border leads there, else straight on, else left."""
        T = len(self.places)
        target = np.zeros((T, 4), np.int64)
        target[:-1, RIGHT], target[1:, LEFT] = np.arange(1, T), np.arange(T - 1)
        target[self.by_column[:-1], DOWN], target[self.by_column[1:], UP] = self.by_column[1:], self.by_column[:-1]
        after = np.empty((T, 4), np.int64)
        for way in range(4):
            there, right, left = target[:, way], (way + 1) % 4, (way + 3) % 4
            taken = np.where(self.leads[there, right], right, np.where(self.leads[there, way], way, left))
            after[:, way] = 4 * there + taken
        return after.ravel()

    def across(self, vertex: int) -> int:
        """Below a vertex a row of one class's pixels ends; the half edge that leads up where that row starts."""
        x, y = (int(value) for value in self.places[vertex])
        row = self.framed[y + 1, x::-1]
        start = x - int((row != row[0]).argmax())
        lower_end = np.searchsorted(self._column_keys, start * self.lines + y, "right")
        return int(4 * self.by_column[lower_end] + UP)


def _framed(mask: Ids, ignore_index: int) -> Ids:
    """The mask within a frame of ignored pixels, (H + 2, W + 2)."""
    height, width = mask.shape
    framed: Ids = np.full((height + 2, width + 2), ignore_index, mask.dtype)
    framed[1:-1, 1:-1] = mask
    return framed


def _turning(framed: Ids) -> tuple[Whole, Whole]:
    """Rows and columns of the vertices at which borders turn or meet, in reading order."""
    found = []
    for top in range(0, framed.shape[0] - 1, ROWS):
        block = framed[top : top + ROWS + 1]
        beside, below = block[:, :-1] == block[:, 1:], block[:-1] == block[1:]
        passed = beside[:-1] & beside[1:]
        passed |= below[:, :-1] & below[:, 1:]
        found.append(np.flatnonzero(~passed) + top * (framed.shape[1] - 1))
    rows, columns = np.divmod(np.concatenate(found), framed.shape[1] - 1)
    return rows, columns


def _cycles(following: Whole, starts: Whole) -> tuple[Whole, Whole]:
    """The half edges ring by ring, and where each ring begins, (R + 1,)."""
    after, seen = following.tolist(), bytearray(len(following))
    order, first = [], [0]
    for start in starts.tolist():
        if not seen[start]:
            at = start
            while not seen[at]:
                seen[at] = 1
                order.append(at)
                at = after[at]
            first.append(len(order))
    return np.array(order, np.int64), np.array(first, np.int64)


def _untouching(order: Whole, first: Whole) -> tuple[Whole, Whole]:
    """The same half edges in rings that come by each vertex once: what lay between two visits is a ring by itself."""
    ring = np.repeat(np.arange(len(first) - 1), np.diff(first))
    visits = ring * (order.max(initial=0) // 4 + 1) + order // 4
    in_order = np.argsort(visits, kind="stable")
    again = np.flatnonzero(np.diff(visits[in_order]) == 0)
    touching = np.unique(ring[in_order[again]]).tolist()
    if not touching:
        return order, first
    pieces: list[Whole] = []
    kept = np.ones(len(first) - 1, bool)
    kept[touching] = False
    for number in touching:
        pieces += _loops(order[first[number] : first[number + 1]].tolist())
    lengths = [*np.diff(first)[kept].tolist(), *map(len, pieces)]
    return np.concatenate([order[kept[ring]], *pieces]), np.cumsum([0, *lengths])


def _loops(ring: list[int]) -> Iterator[Whole]:
    walked: list[int] = []
    at: dict[int, int] = {}
    for half_edge in ring:
        vertex = half_edge // 4
        if vertex in at:
            loop = walked[at[vertex] :]
            yield np.array(loop, np.int64)
            del walked[at[vertex] :]
            for each in loop:
                del at[each // 4]
        at[vertex] = len(walked)
        walked.append(half_edge)
    yield np.array(walked, np.int64)


def _outer_rings(order: Whole, first: Whole, areas: Whole, net: _Net) -> Whole:
    """For each ring the one around its region.

    The row of pixels that ends at a hole's leftmost edge starts at another ring of the region, further left.
    """
    outer = np.arange(len(areas))
    of_half_edge = np.zeros(4 * len(net.places), np.int64)
    ring = np.repeat(outer, np.diff(first))
    of_half_edge[order] = ring
    down = np.flatnonzero((order % 4 == DOWN) & (areas[ring] < 0))
    down = down[np.lexsort((net.places[order[down] // 4, 0], ring[down]))]
    holes, leftmost = np.unique(ring[down], return_index=True)
    for hole, vertex in zip(holes.tolist(), (order[down[leftmost]] // 4).tolist(), strict=True):
        outer[hole] = of_half_edge[net.across(vertex)]
    while (areas[outer] < 0).any():
        outer = outer[outer]
    return outer
