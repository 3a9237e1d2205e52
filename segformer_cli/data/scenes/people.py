"""People on foot, bicycles, and the people who ride them."""

from __future__ import annotations

import numpy as np

from segformer_cli.data.scenes.canvas import Colour, Label, Points, box, ellipse, limb
from segformer_cli.data.scenes.painter import Painter, Shape
from segformer_cli.data.scenes.street import Random, chance, pick, toned, vary

COATS: tuple[Colour, ...] = (
    (38, 42, 54), (150, 36, 42), (46, 78, 132), (196, 190, 180), (62, 92, 66), (214, 164, 54), (96, 70, 96),
    (110, 110, 114), (206, 108, 92), (24, 24, 26), (70, 120, 140),
)
TROUSERS: tuple[Colour, ...] = ((44, 52, 76), (30, 30, 34), (92, 84, 72), (64, 66, 72), (76, 92, 120))
SKIN: tuple[Colour, ...] = ((224, 180, 150), (196, 146, 112), (138, 94, 68), (96, 64, 48))
HAIR: tuple[Colour, ...] = ((42, 32, 26), (92, 64, 40), (24, 22, 22), (170, 134, 84), (150, 148, 146))
HELMETS: tuple[Colour, ...] = ((232, 232, 228), (196, 44, 40), (40, 40, 44), (60, 120, 190), (240, 200, 60))
FRAMES: tuple[Colour, ...] = ((30, 30, 32), (150, 34, 36), (40, 84, 140), (200, 204, 206), (60, 110, 70))

HALF = np.array([0.5, 1.0])
RIDING_BACK = np.array([(-0.18, 0.88), (-0.25, 1.4), (-0.12, 1.54), (0.12, 1.54), (0.25, 1.4), (0.18, 0.88)])
ROUND_HELMET = np.array([(-0.15, 1.68), (-0.1, 1.82), (0.0, 1.86), (0.1, 1.82), (0.15, 1.68)])


def draw_person(painter: Painter, x: float, z: float, ground: float) -> None:
    """Somebody who walks or stands."""
    rng = painter.rng
    height = rng.uniform(1.58, 1.9)
    stride, turn = rng.uniform(0.0, 0.15), 1.0 if chance(rng, 0.5) else -1.0
    coat, trousers = vary(rng, pick(rng, COATS)), vary(rng, pick(rng, TROUSERS), 10)
    skin, hair = pick(rng, SKIN), pick(rng, HAIR)
    width = rng.uniform(0.92, 1.12)
    long_coat = rng.uniform(0.28, 0.36) if chance(rng, 0.25) else 0.44
    swing = stride * 0.9
    parts: list[tuple[Points, Colour]] = [
        (limb((0.01, 0.5), (-stride, 0.03), 0.12, 0.08), toned(trousers, 0.75)),
        (limb((-0.01, 0.5), (stride, 0.03), 0.12, 0.08), trousers),
        (box(-stride - 0.04, 0.0, -stride + 0.07, 0.045), (34, 30, 30)),
        (box(stride - 0.04, 0.0, stride + 0.07, 0.045), (34, 30, 30)),
        (limb((0.09, 0.78), (0.1 + swing, 0.46), 0.075, 0.055), toned(coat, 0.7)),
        (torso(long_coat), coat),
        (torso(long_coat) * HALF + np.array([0.06 * shaded_side(painter), 0.0]), toned(coat, 0.82)),
        (limb((-0.1, 0.78), (-0.1 - swing, 0.46), 0.075, 0.055), toned(coat, 0.9)),
        (ellipse(-0.1 - swing, 0.44, 0.03, 0.035, 8), skin),
        (box(-0.03, 0.8, 0.03, 0.88), toned(skin, 0.8)),
        (ellipse(0.0, 0.93, 0.058, 0.075, 12), hair),
        (ellipse(0.012, 0.915, 0.046, 0.056, 12), skin if chance(rng, 0.7) else hair),
    ]
    if chance(rng, 0.3):
        parts.insert(5, (box(-0.17, 0.5, -0.02, 0.76), vary(rng, pick(rng, COATS))))
    shapes: list[Shape] = [(outline, colour, Label.PERSON) for outline, colour in parts]
    painter.figure((x, ground, z), shapes, (turn * height * width, height))


def torso(hem: float) -> Points:
    """Shoulders to hem, for somebody one metre tall."""
    half = [(-0.12, hem), (-0.1, 0.62), (-0.13, 0.78), (-0.07, 0.84)]
    return np.array(half + [(-x, y) for x, y in reversed(half)])


def shaded_side(painter: Painter) -> float:
    """The side that the sun does not reach: -1 left, 1 right."""
    return -1.0 if painter.street.light.sun[0] > 0 else 1.0


def draw_bicycle(painter: Painter, x: float, z: float, ground: float, slant: float) -> None:
    """A bicycle seen from the side, foreshortened to `slant` of its length; wheels count as discs."""
    rng = painter.rng
    frame, dark = vary(rng, pick(rng, FRAMES)), (28, 26, 26)
    rear, front, seat, head, crank = (-0.52, 0.34), (0.52, 0.34), (-0.2, 0.86), (0.36, 0.84), (-0.06, 0.34)
    tubes = ((rear, seat), (rear, crank), (seat, crank), (crank, head), (seat, head), (head, front))
    shapes = [*wheel(rear), *wheel(front), (np.array([rear, seat, head, front, crank]), None, Label.BICYCLE)]
    shapes += [(limb(start, end, 0.075, 0.075), frame, Label.BICYCLE) for start, end in tubes]
    shapes += [
        (limb((-0.36, 0.93), (-0.06, 0.95), 0.1, 0.08), dark, Label.BICYCLE),
        (limb((0.36, 0.8), (0.3, 1.06), 0.07, 0.07), frame, Label.BICYCLE),
        (limb((0.2, 1.06), (0.44, 1.03), 0.07, 0.07), dark, Label.BICYCLE),
    ]
    if chance(rng, 0.3):
        shapes += [(box(0.36, 0.72, 0.68, 0.98), vary(rng, (120, 96, 66)), Label.BICYCLE)]
    painter.figure((x, ground, z), shapes, (slant, 1.0))


def wheel(hub: tuple[float, float]) -> list[Shape]:
    """Tyre and spokes around a hub; the street shows through, yet the label is the whole disc."""
    outer, inner = ellipse(*hub, 0.36, 0.34, 16), ellipse(*hub, 0.28, 0.265, 16)
    upper = np.concatenate([outer[8:], outer[:1], inner[:1], inner[:7:-1]])
    lower = np.concatenate([outer[:9], inner[8::-1]])
    rim = [(x, y) for x, y in outer.tolist()]
    spokes = [limb(rim[k], rim[k + 8], 0.025, 0.025) for k in (0, 3, 5)]
    return [
        (outer, None, Label.BICYCLE),
        *((half, (24, 24, 26), None) for half in (upper, lower)),
        *((spoke, (120, 122, 126), None) for spoke in spokes),
    ]


def draw_rider(painter: Painter, x: float, z: float, slant: float) -> None:
    """A cyclist seen from the side, heading right for a positive slant, left for a negative one."""
    rng = painter.rng
    coat, trousers = vary(rng, pick(rng, COATS)), vary(rng, pick(rng, TROUSERS), 10)
    skin, helmet = pick(rng, SKIN), vary(rng, pick(rng, HELMETS))
    at = (x, 0.0, z)
    # A body is as thick from ahead as from the side: only its lengths are foreshortened.
    stretch = (slant * 0.6 + (0.4 if slant > 0 else -0.4), 1.0)
    pedal = rng.uniform(-0.15, 0.15)
    behind: list[Shape] = [
        (limb((-0.18, 0.96), (0.16, 0.7), 0.17, 0.13), toned(trousers, 0.7), Label.RIDER),
        (limb((0.16, 0.7), (-0.06 - pedal, 0.26), 0.13, 0.09), toned(trousers, 0.7), Label.RIDER),
    ]
    painter.figure(at, behind, stretch)
    draw_bicycle(painter, x, z, 0.0, slant)
    body: list[tuple[Points, Colour]] = [
        (limb((-0.2, 0.98), (0.2, 0.74), 0.2, 0.15), trousers),
        (limb((0.2, 0.74), (-0.06 + pedal, 0.24), 0.15, 0.1), trousers),
        (limb((-0.06 + pedal, 0.2), (0.12 + pedal, 0.22), 0.09, 0.07), (30, 28, 28)),
        (limb((-0.22, 0.92), (0.1, 1.5), 0.34, 0.38), coat),
        (limb((0.1, 1.44), (0.34, 1.08), 0.14, 0.1), toned(coat, 0.8)),
        (ellipse(0.18, 1.66, 0.12, 0.14, 12), skin),
        (np.array([(0.02, 1.68), (0.06, 1.82), (0.2, 1.87), (0.32, 1.8), (0.34, 1.7)]), helmet),
    ]
    painter.figure(at, [(outline, colour, Label.RIDER) for outline, colour in body], stretch)


def draw_rider_along(painter: Painter, x: float, z: float, oncoming: bool) -> None:
    """A cyclist who rides with the camera or towards it: a narrow wheel, two legs, a broad back."""
    rng = painter.rng
    coat, trousers = vary(rng, pick(rng, COATS)), vary(rng, pick(rng, TROUSERS), 10)
    skin, helmet = pick(rng, SKIN), vary(rng, pick(rng, HELMETS))
    lift = 0.14 if chance(rng, 0.5) else -0.14
    face = skin if oncoming else toned(helmet, 0.8)
    parts: list[Shape] = [
        (box(-0.055, 0.0, 0.055, 0.68), (26, 26, 28), Label.BICYCLE),
        (box(-0.1, 0.6, 0.1, 0.9), vary(rng, pick(rng, FRAMES)), Label.BICYCLE),
        (limb((-0.3, 1.02), (0.3, 1.02), 0.08, 0.08), (34, 34, 36), Label.BICYCLE),
        (limb((-0.12, 0.95), (-0.16, 0.36 + lift), 0.2, 0.12), trousers, Label.RIDER),
        (limb((0.12, 0.95), (0.16, 0.36 - lift), 0.2, 0.12), toned(trousers, 0.85), Label.RIDER),
        (box(-0.22, 0.24 + lift, -0.08, 0.36 + lift), (30, 28, 28), Label.RIDER),
        (box(0.08, 0.24 - lift, 0.22, 0.36 - lift), (30, 28, 28), Label.RIDER),
        (limb((-0.2, 1.42), (-0.3, 1.06), 0.14, 0.1), toned(coat, 0.8), Label.RIDER),
        (limb((0.2, 1.42), (0.3, 1.06), 0.14, 0.1), toned(coat, 0.8), Label.RIDER),
        (RIDING_BACK, coat, Label.RIDER),
        (ellipse(0.0, 1.66, 0.11, 0.14, 12), face, Label.RIDER),
        (ROUND_HELMET, helmet, Label.RIDER),
    ]
    if oncoming:
        parts.append((box(-0.06, 0.0, 0.06, 0.66), (22, 22, 24), Label.BICYCLE))
        parts.append((ellipse(0.0, 0.86, 0.08, 0.08, 8), (244, 240, 220), Label.BICYCLE))
    painter.figure((x, 0.0, z), parts)


def choose_slant(rng: Random) -> float:
    """How far a bicycle is turned from the side view, and which way it heads."""
    return float(rng.uniform(0.55, 1.0)) * (1.0 if chance(rng, 0.5) else -1.0)
