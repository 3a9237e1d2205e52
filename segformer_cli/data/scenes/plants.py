"""Trees and hedges."""

from __future__ import annotations

import numpy as np

from segformer_cli.data.scenes.canvas import Colour, Label, Points, ellipse, limb, unit_circle
from segformer_cli.data.scenes.painter import Painter, Place, block
from segformer_cli.data.scenes.street import Random, chance, pick, toned, vary

LEAVES: tuple[Colour, ...] = (
    (66, 96, 44), (82, 110, 48), (54, 84, 46), (96, 116, 52), (72, 92, 56), (132, 118, 48),
)
FINE_LEAVES_TO = 35.0
"""Metres: single leaves of trees farther away are less than a pixel."""
LEAF = ellipse(0.0, 0.0, 1.0, 0.8, 6)


def choose_leaves(rng: Random) -> Colour:
    """The green, now and then the autumn brown, of one plant."""
    return vary(rng, pick(rng, LEAVES), 14)


def draw_tree(painter: Painter, x: float, z: float, height: float, ground: float = 0.0) -> None:
    """A trunk with a crown of overlapping balls, lit from the sun's side."""
    rng = painter.rng
    at = (x, ground, z)
    leaves, radius = choose_leaves(rng), height * rng.uniform(0.26, 0.36)
    stem = height - 2 * radius
    trunk = limb((0.0, 0.0), (rng.uniform(-0.2, 0.2), stem + radius * 0.6), height * 0.055, height * 0.03)
    painter.upright(at, trunk, vary(rng, (92, 76, 60), 12), Label.VEGETATION)
    centre = stem + radius * 0.9
    balls = np.empty((8, 3))
    balls[0] = 0.0, centre, radius * 0.8
    balls[1:, 0] = rng.uniform(-0.72, 0.72, 7) * radius
    balls[1:, 1] = centre + rng.uniform(-0.55, 0.75, 7) * radius
    balls[1:, 2] = rng.uniform(0.34, 0.55, 7) * radius
    draw_crown(painter, at, balls, leaves)


def draw_crown(painter: Painter, at: Place, balls: Points, leaves: Colour) -> None:
    """Clumps of leaves around the balls (M, 3) = (x, y, radius), brightest on the sun's side."""
    rough = painter.rng.uniform(0.84, 1.1, (len(balls), 20, 1))
    clumps = balls[:, None, :2] + unit_circle(20) * rough * balls[:, None, 2:]
    dark = toned(leaves, 0.72)
    painter.figure(at, [(clump, dark, Label.VEGETATION) for clump in clumps])
    lit = balls * np.array([1.0, 1.0, 0.72])
    lit[:, 0] += painter.street.light.sun[0] * 0.3 * balls[:, 2]
    lit[:, 1] += 0.25 * balls[:, 2]
    draw_leaves(painter, at, lit, leaves)


def draw_leaves(painter: Painter, at: Place, balls: Points, colour: Colour) -> None:
    """Specks of sunlit and of shaded leaves over the balls (M, 3) = (x, y, radius) of a crown."""
    rng = painter.rng
    amounts = ((0.95, 12), (1.2, 9), (0.5, 5)) if at[2] < FINE_LEAVES_TO else ((1.0, 6), (1.2, 4))
    for factor, count in amounts:
        ball = np.repeat(balls, count, axis=0)[:, None]
        radius = ball[..., 2:]
        middle = ball[..., :2] + rng.uniform(-0.95, 0.95, (len(ball), 1, 2)) * radius
        leaves = LEAF * rng.uniform(0.10, 0.24, (len(ball), 1, 1)) * radius
        painter.upright(at, middle + leaves, toned(colour, factor))


def draw_hedge(painter: Painter, x: float, depth: float, near: float, far: float, height: float) -> None:
    """A clipped hedge along the street with an uneven top."""
    rng = painter.rng
    leaves = choose_leaves(rng)
    sign = 1.0 if x > 0 else -1.0
    back = x + sign * depth
    faces = block(min(x, back), max(x, back), near, far, 0.0, height)
    painter.solid([(face, toned(leaves, 0.85)) for face in faces], Label.VEGETATION)
    count = max(int((far - near) * 3), 4)
    z = np.sort(rng.uniform(near, far, count))
    tufts = LEAF * rng.uniform(0.12, 0.3, (count, 1, 1))
    points = np.empty((count, len(LEAF), 3))
    points[..., 0], points[..., 1], points[..., 2] = x + tufts[..., 0], height + tufts[..., 1], z[:, None]
    painter.pieces(points, toned(leaves, 0.9), Label.VEGETATION)
    for factor in (0.6, 1.15, 0.8, 1.3):
        specks = np.empty((count, len(LEAF), 3))
        size = rng.uniform(0.06, 0.16, (count, 1))
        specks[..., 0] = x
        specks[..., 1] = rng.uniform(0.1, height, (count, 1)) + LEAF[:, 1] * size
        specks[..., 2] = rng.uniform(near, far, (count, 1)) + LEAF[:, 0] * size * 1.4
        painter.surface(specks, toned(leaves, factor), None, (-sign, 0.3, 0.0))


def draw_garden(painter: Painter, x: float, near: float, far: float) -> None:
    """Trees and bushes on the grass behind a fence, a wall or a hedge; the farther ones first."""
    rng = painter.rng
    for z in np.sort(rng.uniform(near, far, int(rng.integers(1, 4))))[::-1]:
        sign = 1.0 if x > 0 else -1.0
        if chance(rng, 0.75):
            draw_tree(painter, x + sign * rng.uniform(1.5, 4.5), float(z), rng.uniform(4.0, 9.5))
        else:
            at = (x + sign * rng.uniform(0.8, 2.0), 0.0, float(z))
            radius = rng.uniform(0.8, 1.5)
            draw_crown(painter, at, np.array([(0.0, radius * 0.8, radius)]), choose_leaves(rng))
