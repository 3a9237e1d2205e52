"""What stands at the kerb and between sidewalk and garden: lamps, signs, lights, fences, walls."""

from __future__ import annotations

import numpy as np

from segformer_cli.data.scenes.canvas import Colour, Label, Points, box, ellipse, limb
from segformer_cli.data.scenes.painter import Painter, Place, block, panes
from segformer_cli.data.scenes.street import KERB, chance, pick, toned, vary

METAL: tuple[Colour, ...] = ((128, 132, 136), (96, 100, 104), (72, 88, 80), (150, 152, 150))
RED, BLUE, YELLOW = (196, 32, 40), (28, 82, 176), (244, 196, 36)
WHITE, BLACK, GREEN = (238, 238, 236), (24, 24, 28), (22, 118, 78)
LAMPS = ((255, 52, 40), (255, 176, 32), (60, 240, 130))
WOOD: tuple[Colour, ...] = ((142, 104, 72), (214, 210, 200), (112, 84, 62))
STEEL: tuple[Colour, ...] = ((44, 48, 50), (52, 74, 62), (120, 124, 128))
STONE: tuple[Colour, ...] = ((150, 136, 118), (134, 132, 128), (146, 92, 72), (164, 156, 142))

DISC, SQUARE, DIAMOND = ellipse(0, 0, 1, 1), box(-0.92, -0.92, 0.92, 0.92), ellipse(0, 0, 1.1, 1.1, 4)
TRIANGLE = np.array([(-1.05, -0.8), (0.0, 1.0), (1.05, -0.8)])
INNER = TRIANGLE * 0.62 + np.array([0.0, -0.06])
UPSIDE_DOWN = np.array([1.0, -1.0])
OCTAGON = np.array([(1.0, 0.41), (1.0, -0.41), (0.41, -1.0), (-0.41, -1.0), (-1.0, -0.41), (-1.0, 0.41),
                    (-0.41, 1.0), (0.41, 1.0)])
ARROW = np.array([(-0.16, -0.6), (-0.16, 0.1), (-0.45, 0.1), (0.0, 0.65), (0.45, 0.1), (0.16, 0.1),
                  (0.16, -0.6)])
BOARD = box(-1.7, -0.55, 1.7, 0.55)
UPPER_LINE, LOWER_LINE = box(-1.3, 0.08, 0.6, 0.26), box(-1.3, -0.28, 0.9, -0.1)
TEN = (box(-0.42, -0.38, -0.08, 0.38), box(0.1, -0.38, 0.44, 0.38))
WALKER = limb((0.0, 0.35), (0.0, -0.5), 0.2, 0.3)
LETTER_P = (box(-0.45, -0.6, -0.15, 0.6), box(-0.15, 0.0, 0.45, 0.6), box(-0.12, 0.18, 0.2, 0.4))

PLATES: tuple[tuple[tuple[Points, Colour], ...], ...] = (
    ((DISC, RED), (DISC * 0.74, WHITE), (TEN[0], BLACK), (TEN[1], BLACK)),
    ((DISC, WHITE), (DISC * 0.92, BLUE), (ARROW, WHITE)),
    ((SQUARE, WHITE), (SQUARE * 0.92, BLUE), (LETTER_P[0], WHITE), (LETTER_P[1], WHITE), (LETTER_P[2], BLUE)),
    ((SQUARE, WHITE), (SQUARE * 0.92, BLUE), (TRIANGLE * 0.75, WHITE), (WALKER, BLACK)),
    ((DIAMOND, WHITE), (DIAMOND * 0.74, YELLOW)),
    ((TRIANGLE, RED), (INNER, WHITE), (box(-0.1, -0.42, 0.1, 0.2), BLACK)),
    ((TRIANGLE * UPSIDE_DOWN, RED), (INNER * UPSIDE_DOWN, WHITE)),
    ((OCTAGON, WHITE), (OCTAGON * 0.93, RED), (box(-0.7, -0.2, 0.7, 0.2), WHITE)),
    ((DISC, RED), (box(-0.72, -0.18, 0.72, 0.18), WHITE)),
    ((BOARD, WHITE), (BOARD * 0.95, BLUE), (UPPER_LINE, WHITE), (LOWER_LINE, WHITE)),
    ((BOARD, WHITE), (BOARD * 0.95, GREEN), (UPPER_LINE, WHITE), (LOWER_LINE, WHITE)),
    ((BOARD, BLACK), (BOARD * 0.95, YELLOW), (UPPER_LINE, BLACK), (LOWER_LINE, BLACK)),
)
"""The layers of each kind of sign, in a circle of radius 1; direction boards are wider."""


def draw_post(painter: Painter, x: float, z: float, height: float, width: float) -> None:
    """A round post: lighter on one half, darker on the other."""
    metal = vary(painter.rng, pick(painter.rng, METAL))
    at = (x, KERB, z)
    painter.upright(at, box(-width / 2, 0.0, width / 2, height), metal, Label.POLE)
    shaded = 1.0 if painter.street.light.sun[0] < 0 else -1.0
    edge = sorted((shaded * width * 0.1, shaded * width / 2))
    painter.upright(at, box(edge[0], 0.0, edge[1], height), toned(metal, 0.68), None)


def draw_lamp(painter: Painter, x: float, z: float) -> None:
    """A street lamp that reaches over the road."""
    rng = painter.rng
    height, toward = rng.uniform(5.0, 7.5), -1.0 if x > 0 else 1.0
    draw_post(painter, x, z, height, rng.uniform(0.2, 0.26))
    at, metal = (x, KERB, z), vary(rng, pick(rng, METAL))
    reach = toward * rng.uniform(0.9, 1.8)
    painter.upright(at, limb((0.0, height - 0.1), (reach, height + 0.25), 0.2, 0.16), metal, Label.POLE)
    head = limb((reach * 0.8, height + 0.2), (reach * 1.4, height + 0.3), 0.28, 0.2)
    painter.upright(at, head, metal, Label.POLE)


def draw_sign(painter: Painter, x: float, z: float) -> None:
    """A post with one plate or two."""
    rng = painter.rng
    radius = rng.uniform(0.40, 0.52)
    height = rng.uniform(2.1, 2.9)
    two = chance(rng, 0.3)
    draw_post(painter, x, z, height + radius + (2.1 * radius if two else 0.0), rng.uniform(0.15, 0.19))
    draw_plate(painter, (x, KERB + height, z), radius)
    if two:
        draw_plate(painter, (x, KERB + height + 2.1 * radius, z), radius)


def draw_plate(painter: Painter, at: Place, radius: float) -> None:
    """A sign's plate: its rim, its face and its figure, all of it sign."""
    rng = painter.rng
    layers = pick(rng, PLATES)
    painter.figure(at, [(outline, vary(rng, colour, 10), Label.TRAFFIC_SIGN) for outline, colour in layers],
                   (radius, radius))


def draw_light(painter: Painter, x: float, z: float) -> None:
    """A traffic light on its post, now and then with a second one over the road."""
    rng = painter.rng
    height, lit = rng.uniform(2.3, 3.0), int(rng.integers(3))
    arm = chance(rng, 0.4)
    draw_post(painter, x, z, 5.6 if arm else height + 0.6, rng.uniform(0.18, 0.23))
    if arm:
        reach = -rng.uniform(2.0, 3.4) if x > 0 else rng.uniform(2.0, 3.4)
        beam = limb((0.0, 5.5), (reach, 5.6), 0.2, 0.16)
        painter.upright((x, KERB, z), beam, vary(rng, pick(rng, METAL)), Label.POLE)
        draw_signal(painter, (x + reach, 4.6, z), lit)
    draw_signal(painter, (x, KERB + height, z), lit)


def draw_signal(painter: Painter, at: Place, lit: int) -> None:
    """The box with its three lamps, of which one shines."""
    shell = vary(painter.rng, pick(painter.rng, ((34, 36, 38), (30, 44, 38), (44, 42, 40))), 8)
    painter.upright(at, box(-0.28, -0.10, 0.28, 1.18), toned(shell, 1.3), Label.TRAFFIC_LIGHT)
    painter.upright(at, box(-0.23, -0.05, 0.23, 1.13), shell, None)
    for number, colour in enumerate(LAMPS):
        lamp = ellipse(0.0, 0.92 - 0.38 * number, 0.15, 0.15)
        if number == lit:
            painter.upright(at, lamp * np.array([1.2, 1.0]), colour, None, glows=True)
        else:
            painter.upright(at, lamp, toned(colour, 0.28), None)


def draw_wall(painter: Painter, x: float, near: float, far: float) -> None:
    """A garden wall of bricks or stones under a coping."""
    rng = painter.rng
    height = rng.uniform(1.3, 2.3)
    colour, sign = vary(rng, pick(rng, STONE), 12), 1.0 if x > 0 else -1.0
    back = x + sign * 0.3
    faces = block(min(x, back), max(x, back), near, far, 0.0, height)
    painter.solid([(face, colour) for face in faces], Label.WALL)
    length, course = far - near, rng.uniform(0.22, 0.34)
    origin, along, normal = (x, 0.0, near), (0.0, 1.0), (-sign, 0.0, 0.0)
    joints = np.arange(course, height - 0.2, course)
    painter.surface(panes(origin, along, [0.0], joints, (length, 0.05)), toned(colour, 0.7), None, normal)
    for shade in (0.8, 1.2):
        starts = rng.uniform(0.0, length - 1.0, max(int(length * 0.2), 1))
        stones = panes(origin, along, starts, joints[int(rng.integers(2)) :: 2] + 0.05, (0.7, course - 0.05))
        chosen = stones[rng.random(len(stones)) < 0.7]
        painter.surface(chosen, toned(colour, shade), None, normal)
    coping = panes(origin, along, [0.0], [height - 0.14], (length, 0.2))
    painter.surface(coping, toned(colour, 1.2), Label.WALL, normal)


def draw_fence(painter: Painter, x: float, near: float, far: float) -> None:
    """A fence of pickets or bars; what shows between them counts as fence, as in Cityscapes."""
    rng = painter.rng
    height, length = rng.uniform(1.2, 1.9), far - near
    wooden = chance(rng, 0.5)
    colour = vary(rng, pick(rng, WOOD if wooden else STEEL))
    picket, gap = (0.16, rng.uniform(0.08, 0.14)) if wooden else (0.07, rng.uniform(0.14, 0.2))
    origin, along = (x, 0.0, near), (0.0, 1.0)
    normal = (-1.0, 0.0, 0.0) if x > 0 else (1.0, 0.0, 0.0)
    whole = panes(origin, along, [0.0], [0.0], (length, height))
    painter.surface(whole, None, Label.FENCE)
    starts = np.arange(0.0, length - picket, picket + gap)
    painter.surface(panes(origin, along, starts, [0.08], (picket, height - 0.08)), colour, None, normal)
    rails = panes(origin, along, [0.0], [0.2, height - 0.3], (length, 0.1))
    painter.surface(rails, toned(colour, 0.85), None, normal)
    posts = panes(origin, along, np.arange(0.0, length, 2.4), [0.0], (0.16, height))
    painter.surface(posts, toned(colour, 0.75), None, normal)
