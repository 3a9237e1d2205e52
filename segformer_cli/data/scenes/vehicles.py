"""Cars and buses, as bodies that can be seen from any side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segformer_cli.data.scenes.canvas import Colour, Label, Points, ellipse
from segformer_cli.data.scenes.painter import Painter, Part, block
from segformer_cli.data.scenes.street import Random, chance, pick, toned, vary

PAINTS: tuple[Colour, ...] = (
    (196, 198, 202), (40, 42, 46), (228, 230, 230), (98, 102, 108), (150, 30, 34), (36, 62, 120),
    (70, 84, 96), (140, 144, 148), (34, 78, 66), (176, 150, 110), (210, 120, 40), (90, 130, 170),
)
LIVERIES: tuple[Colour, ...] = ((224, 178, 44), (186, 36, 42), (214, 218, 220), (42, 96, 160), (226, 120, 40))
GLASS, RUBBER, RIM = (38, 46, 54), (26, 26, 28), (150, 152, 156)
TAIL_LIGHT, HEAD_LIGHT, PLATE = (196, 28, 30), (244, 244, 226), (232, 232, 224)


@dataclass(frozen=True)
class CarShape:
    """The side view of a car: (forward, up) metres of its body and its cabin, and how wide it is."""

    body: tuple[tuple[float, float], ...]
    cabin: tuple[tuple[float, float], ...]
    half_width: float
    length: float


def choose_car(rng: Random) -> CarShape:
    """A hatchback, a saloon, an estate or a van."""
    kind, size = pick(rng, ("hatchback", "hatchback", "saloon", "estate", "van")), rng.uniform(0.94, 1.07)
    roof, belt = rng.uniform(1.42, 1.62), rng.uniform(0.88, 0.98)
    rear, front = -2.05, 2.1
    cabin_of = {
        "hatchback": ((rear + 0.08, belt), (rear + 0.55, roof), (0.1, roof), (1.0, belt)),
        "saloon": ((rear + 0.75, belt), (rear + 1.35, roof), (0.1, roof), (0.95, belt)),
        "estate": ((rear + 0.05, belt), (rear + 0.3, roof), (0.2, roof), (1.05, belt)),
        "van": ((rear + 0.02, belt), (rear + 0.1, roof + 0.45), (0.75, roof + 0.45), (1.55, belt)),
    }
    body = ((rear, 0.28), (rear - 0.05, 0.6), (rear + 0.02, belt), (1.0, belt), (front - 0.15, belt - 0.17),
            (front, 0.58), (front - 0.05, 0.28))
    stretched = tuple((forward * size, up) for forward, up in body)
    cabin = tuple((forward * size, up) for forward, up in cabin_of[kind])
    return CarShape(stretched, cabin, rng.uniform(0.86, 0.94), 4.15 * size)


def extruded(profile: tuple[tuple[float, float], ...], half_low: float, half_high: float) -> list[Points]:
    """The strips (right, up, forward) over a side view, then its left and its right side."""
    heights = [y for _, y in profile]
    low, high = min(heights), max(heights)
    half = [half_low + (half_high - half_low) * (y - low) / (high - low) for y in heights]
    left = [(-h, y, a) for h, (a, y) in zip(half, profile, strict=True)]
    right = [(h, y, a) for h, (a, y) in zip(half, profile, strict=True)]
    strips = [np.array([left[i], left[i + 1], right[i + 1], right[i]]) for i in range(len(profile) - 1)]
    return [*strips, np.array(left[::-1]), np.array(right)]


def inset(quad: Points, across: float, up: float) -> Points:
    """A quad pulled in from its sides by shares of its width and height."""
    u = np.array([across, across, 1 - across, 1 - across])[:, None]
    v = np.array([up, 1 - up, 1 - up, up])[:, None]
    bottom = quad[0] + (quad[3] - quad[0]) * u
    top = quad[1] + (quad[2] - quad[1]) * u
    return np.asarray(bottom + (top - bottom) * v)


def draw_car(painter: Painter, x: float, z: float, heading: tuple[float, float]) -> None:
    """A car standing on the road around (x, z)."""
    rng = painter.rng
    shape, paint = choose_car(rng), vary(rng, pick(rng, PAINTS), 16)
    half = shape.half_width
    body, cabin = extruded(shape.body, half * 0.96, half), extruded(shape.cabin, half * 0.96, half * 0.74)
    parts: list[Part] = tyres(shape.length, half)
    parts += [(face, toned(paint, 0.8) if number in (0, 5) else paint) for number, face in enumerate(body)]
    parts += [(face, paint) for face in cabin]
    glass = vary(rng, GLASS, 14)
    for pane in (inset(cabin[0], 0.08, 0.1), inset(cabin[2], 0.06, 0.06)):
        reflection = pane[1:] if chance(rng, 0.5) else pane[:3]
        parts += [(pane, glass), (reflection, toned(glass, 1.5))]
    parts += side_glass(cabin[3], mirrored=True) + side_glass(cabin[4], mirrored=False)
    parts += car_ends(rng, shape, paint) + wheels(shape.length, half + 0.01, 0.32)
    painter.solid(parts, Label.CAR, (x, z), heading)


def side_glass(side: Points, mirrored: bool) -> list[Part]:
    """Two windows with a pillar between them on one side (4, 3) of a cabin."""
    quad = side[::-1] if mirrored else side
    whole = inset(quad, 0.07, 0.12)
    middle = [(whole[0] + whole[3]) / 2, (whole[1] + whole[2]) / 2]
    pillar = (whole[3] - whole[0]) * 0.025
    rear = np.array([whole[0], whole[1], middle[1] - pillar, middle[0] - pillar])
    front = np.array([middle[0] + pillar, middle[1] + pillar, whole[2], whole[3]])
    return [(pane[::-1] if mirrored else pane, GLASS) for pane in (rear, front)]


def car_ends(rng: Random, shape: CarShape, paint: Colour) -> list[Part]:
    """Lights, number plate, bumper and grille of both ends."""
    half, belt = shape.half_width, shape.body[2][1]
    rear, front = shape.body[1][0] - 0.02, shape.body[5][0] + 0.02
    low, high = belt - 0.3, belt - 0.08
    parts: list[Part] = []
    for side in (-1.0, 1.0):
        outer, inner = side * half * 0.95, side * half * 0.62
        left, right = min(outer, inner), max(outer, inner)
        parts += [(end_quad(left, low, right, high, rear), TAIL_LIGHT)]
        parts += [(end_quad(left, low - 0.08, right, low + 0.1, front, front_end=True), HEAD_LIGHT)]
    bumper = toned(paint, 0.55) if chance(rng, 0.5) else (60, 60, 62)
    parts += [(end_quad(-half * 0.9, 0.3, half * 0.9, 0.46, rear), bumper)]
    parts += [(end_quad(-0.26, 0.52, 0.26, 0.64, rear), PLATE)]
    parts += [(end_quad(-half * 0.6, 0.36, half * 0.6, 0.54, front, front_end=True), (34, 34, 36))]
    parts += [(end_quad(-0.26, 0.40, 0.26, 0.50, front, front_end=True), PLATE)]
    return parts


def end_quad(
    left: float, low: float, right: float, high: float, forward: float, front_end: bool = False
) -> Points:
    """An upright rectangle on the rear (or the front) end of a vehicle, facing away from it."""
    corners = ((left, low), (left, high), (right, high), (right, low))
    quad = np.array([(x, y, forward) for x, y in corners])
    return quad[::-1] if front_end else quad


def tyres(length: float, half: float) -> list[Part]:
    """The tyres as they show under the bumper of each end."""
    parts: list[Part] = []
    for side in (-1.0, 1.0):
        left, right = sorted((side * half * 0.97, side * half * 0.70))
        parts += [(end_quad(left, 0.0, right, 0.45, -length * 0.34), RUBBER)]
        parts += [(end_quad(left, 0.0, right, 0.45, length * 0.34, front_end=True), RUBBER)]
    parts += [(end_quad(-half * 0.9, 0.18, half * 0.9, 0.4, -length * 0.45), (20, 20, 22))]
    return parts


def wheels(length: float, half: float, radius: float) -> list[Part]:
    """Tyre and rim of the four wheels, seen from the side."""
    parts: list[Part] = []
    for forward in (-length * 0.31, length * 0.31):
        for size, colour in ((radius * 1.12, RUBBER), (radius * 0.62, RIM)):
            disc = ellipse(forward, radius, size, radius if colour is RUBBER else size, 14)
            outline = np.stack([np.full(14, half), disc[:, 1], disc[:, 0]], -1)
            parts += [(outline, colour), ((outline * np.array([-1.0, 1.0, 1.0]))[::-1], colour)]
    return parts


def draw_bus(painter: Painter, x: float, z: float, heading: tuple[float, float]) -> None:
    """A city bus, its middle at (x, z): bands of windows, doors, a lit destination."""
    rng = painter.rng
    half, height, length = 1.25, rng.uniform(2.9, 3.2), rng.uniform(8.5, 11.0)
    paint = vary(rng, pick(rng, LIVERIES), 12)
    skirt = toned(paint, 0.62)
    left, right, top, near = block(-half, half, -length / 2, length / 2, 0.3, height)
    front = end_quad(-half, 0.3, half, height, length / 2, front_end=True)
    parts: list[Part] = tyres(length, half)
    parts += [(face, paint) for face in (left, right, top, near, front)]
    parts += [(bus_band(half, length, 0.3, 0.75, side, -0.5, 0.5), skirt) for side in (-1.0, 1.0)]
    for side in (-1.0, 1.0):
        for k in range(6):
            share = -0.47 + 0.158 * k
            parts += [(bus_band(half, length, 1.25, 2.45, side, share, share + 0.145), GLASS)]
    parts += [
        (end_quad(-1.1, 1.45, 1.1, 2.35, -length / 2), GLASS),
        (end_quad(-0.8, 0.5, 0.8, 1.1, -length / 2), toned(paint, 0.5)),
        (end_quad(-1.15, 0.7, -0.9, 1.3, -length / 2), TAIL_LIGHT),
        (end_quad(0.9, 0.7, 1.15, 1.3, -length / 2), TAIL_LIGHT),
        (end_quad(-1.12, 1.0, 1.12, 2.4, length / 2, front_end=True), GLASS),
        (end_quad(-0.9, 2.5, 0.9, 2.8, length / 2, front_end=True), (246, 180, 60)),
        (end_quad(-1.1, 0.55, -0.75, 0.8, length / 2, front_end=True), HEAD_LIGHT),
        (end_quad(0.75, 0.55, 1.1, 0.8, length / 2, front_end=True), HEAD_LIGHT),
        (end_quad(-0.3, 0.42, 0.3, 0.54, length / 2, front_end=True), PLATE),
    ]
    parts += wheels(length, half + 0.01, 0.45)
    painter.solid(parts, Label.BUS, (x, z), heading)


def bus_band(
    half: float, length: float, low: float, high: float, side: float, start: float, end: float
) -> Points:
    """A rectangle on a bus's side between two shares of its length, facing outward."""
    a, b = start * length, end * length
    x = side * half
    quad = np.array([(x, low, a), (x, high, a), (x, high, b), (x, low, b)])
    return quad if side > 0 else quad[::-1]
