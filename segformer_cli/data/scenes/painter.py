"""Puts surfaces given in metres on the canvas, in perspective, lit and hazed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segformer_cli.data.scenes.canvas import Canvas, Colour, Label, Points
from segformer_cli.data.scenes.street import Random, Street

Place = tuple[float, float, float]

Part = tuple[Points, Colour]
"""A flat surface (N, 3), its corners clockwise as seen from outside, and its own colour."""

Shape = tuple[Points, Colour | None, Label | None]
"""A piece (N, 2) of a flat figure, in metres; None leaves the image or the labels as they are."""

TO_VIEWER = (0.0, 0.25, -0.97)


class Painter:
    """Draws on a canvas what stands in a street; whoever draws later stands in front."""

    def __init__(self, canvas: Canvas, street: Street, rng: Random) -> None:
        self.canvas = canvas
        self.street = street
        self.rng = rng

    def surface(
        self,
        points: Points,
        colour: Colour | None,
        label: Label | None = None,
        normal: tuple[float, float, float] = TO_VIEWER,
    ) -> None:
        """One surface (N, 3) or many of one colour (M, N, 3)."""
        if points.size == 0:
            return
        corners = points.reshape(-1, 3)
        z = float(corners[0, 2] + corners[len(corners) // 2, 2]) / 2
        lit = None if colour is None else self.street.light.on(colour, normal, z)
        self.canvas.fill(self.street.camera.project(points), lit, label)

    def pieces(self, points: Points, colour: Colour, label: Label) -> None:
        """Many surfaces (M, N, 3) of one colour that may lie over each other."""
        many, corners, _ = points.shape
        lit = self.street.light.on(colour, TO_VIEWER, float(points[..., 2].mean()))
        projected = self.street.camera.project(points).reshape(-1, 2)
        self.canvas.fill_each(projected, [corners] * many, [lit] * many, [label] * many)

    def upright(
        self,
        at: Place,
        outlines: Points,
        colour: Colour | None,
        label: Label | None = None,
        glows: bool = False,
    ) -> None:
        """An outline (N, 2), or many (M, N, 2), in metres around a point, turned to the viewer."""
        matrix, origin = self.street.camera.upright(at)
        lit = colour if colour is None or glows else self.street.light.on(colour, TO_VIEWER, at[2])
        self.canvas.fill(outlines @ matrix + origin, lit, label)

    def figure(self, at: Place, shapes: Sequence[Shape], stretch: tuple[float, float] = (1.0, 1.0)) -> None:
        """Flat pieces one over the other, standing at a point and turned to the viewer."""
        matrix, origin = self.street.camera.upright(at)
        points = np.concatenate([outline for outline, _, _ in shapes]) * np.array(stretch)
        light = self.street.light
        colours = [None if colour is None else light.on(colour, TO_VIEWER, at[2]) for _, colour, _ in shapes]
        corners = [len(outline) for outline, _, _ in shapes]
        self.canvas.fill_each(points @ matrix + origin, corners, colours, [label for _, _, label in shapes])

    def solid(
        self,
        parts: Sequence[Part],
        label: Label,
        at: tuple[float, float] = (0.0, 0.0),
        heading: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        """Those parts of a body that face the viewer, in the order given.

        The parts are (right, up, forward) of a body at (x, z) that heads (east, ahead).
        """
        counts = [len(points) for points, _ in parts]
        points = placed(np.concatenate([points for points, _ in parts]), at, heading)
        first = np.cumsum([0, *counts[:-1]])
        corner = points[first]
        normals = unit_normals(points[first + 1] - corner, points[first + 2] - corner)
        facing = ((corner - np.array([0.0, self.street.camera.height, 0.0])) * normals).sum(-1) < 0
        if not facing.any():
            return
        seen = np.repeat(facing, counts)
        chosen = np.flatnonzero(facing).tolist()
        light, bearings = self.street.light, normals.tolist()
        colours = [light.on(parts[k][1], tuple(bearings[k]), float(corner[k, 2])) for k in chosen]
        projected = self.street.camera.project(points[seen])
        self.canvas.fill_each(projected, [counts[k] for k in chosen], colours, [label] * len(chosen))


def unit_normals(first: Points, second: Points) -> Points:
    """The cross products (M, 3) of two edges of each surface, at length 1."""
    ax, ay, az = first.T
    bx, by, bz = second.T
    normals = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], -1)
    return np.asarray(normals / np.maximum(np.sqrt((normals**2).sum(-1, keepdims=True)), 1e-9))


def placed(local: Points, at: tuple[float, float], heading: tuple[float, float]) -> Points:
    """Points (P, 3) of a body (right, up, forward) as points of the street."""
    east, ahead = heading
    points = np.empty_like(local)
    points[:, 0] = at[0] + local[:, 0] * ahead + local[:, 2] * east
    points[:, 1] = local[:, 1]
    points[:, 2] = at[1] - local[:, 0] * east + local[:, 2] * ahead
    return points


def block(left: float, right: float, near: float, far: float, bottom: float, top: float) -> list[Points]:
    """The faces of a box that can be seen from a street: left, right, top, near."""
    return [
        np.array([(left, bottom, far), (left, top, far), (left, top, near), (left, bottom, near)]),
        np.array([(right, bottom, near), (right, top, near), (right, top, far), (right, bottom, far)]),
        np.array([(left, top, near), (left, top, far), (right, top, far), (right, top, near)]),
        np.array([(left, bottom, near), (left, top, near), (right, top, near), (right, bottom, near)]),
    ]


def panes(
    origin: tuple[float, float, float],
    along: tuple[float, float],
    starts: npt.ArrayLike,
    bottoms: npt.ArrayLike,
    size: tuple[float, float],
) -> Points:
    """A grid of upright rectangles (M, 4, 3) on the plane through origin; along is its (x, z) direction."""
    start = np.asarray(starts, np.float64)[None, :, None] + np.array([0.0, 0.0, size[0], size[0]])
    bottom = np.asarray(bottoms, np.float64)[:, None, None] + np.array([0.0, size[1], size[1], 0.0])
    points = np.empty((bottom.shape[0], start.shape[1], 4, 3))
    points[..., 0] = origin[0] + start * along[0]
    points[..., 1] = origin[1] + bottom
    points[..., 2] = origin[2] + start * along[1]
    return points.reshape(-1, 4, 3)
