"""The sky above and everything flat below: road, markings, kerbs, sidewalks, grass."""

from __future__ import annotations

import cv2
import numpy as np

from segformer_cli.data.scenes.canvas import Colour, Label, Points, limb, noise_field
from segformer_cli.data.scenes.painter import Painter
from segformer_cli.data.scenes.street import FAR, KERB, NEAR, Side, chance, pick, toned, vary

UP = (0.0, 1.0, 0.0)
DISTANCES = np.geomspace(NEAR, FAR, 18)
WHITE_PAINT = (226, 226, 220)


def draw_sky(painter: Painter) -> None:
    """A gradient from the zenith to the haze, with clouds over it."""
    light = painter.street.light
    image = painter.canvas.image
    height, width = image.shape[:2]
    # Half the canvas is enough for something this soft.
    rows, columns = int(height * (painter.street.camera.horizon + 0.06)) // 2, width // 2
    fall = np.linspace(0, 256, rows).astype(np.uint16)[:, None, None]
    zenith, haze = np.array(light.zenith, np.uint16), np.array(light.haze, np.uint16)
    sky = (zenith * (256 - fall) + haze * fall) >> 8
    field = noise_field(painter.rng, (rows, columns), (3, 7, 14, 29, 58)).astype(np.int16)
    alpha = np.clip((field - 200 + int(120 * light.cloudiness)) * 4, 0, 230).astype(np.uint16)[..., None]
    cloud = np.array(light.weather.cloud, np.uint16) * (256 - fall // 5) // 256
    sky = ((sky * (256 - alpha) + cloud * alpha) >> 8).astype(np.uint8)
    image[: 2 * rows] = cv2.resize(sky, (width, 2 * rows), interpolation=cv2.INTER_LINEAR_EXACT)


def strip(left: float, right: float, height: float = 0.0, start: float = NEAR, end: float = FAR) -> Points:
    """The outline (N, 3) of a band of ground between two lines along the street."""
    z = DISTANCES if (start, end) == (NEAR, FAR) else np.linspace(start, end, 4)
    y = np.full_like(z, height)
    first = np.stack([np.full_like(z, left), y, z], -1)
    second = np.stack([np.full_like(z, right), y, z], -1)
    return np.concatenate([first, second[::-1]])


def draw_ground(painter: Painter) -> None:
    """Grass to the horizon, on it the strips of both sides, the road last."""
    street, rng = painter.street, painter.rng
    grass = vary(rng, pick(rng, ((112, 142, 62), (128, 148, 74), (98, 130, 58), (146, 146, 88))), 12)
    painter.surface(strip(-90.0, 90.0), grass, Label.TERRAIN, UP)
    paving = vary(rng, pick(rng, ((176, 168, 160), (160, 160, 162), (184, 160, 146), (150, 150, 146))), 12)
    for side in street.sides:
        draw_sidewalk(painter, side, paving, grass)
    left, right = street.sides
    asphalt = vary(rng, pick(rng, ((92, 92, 96), (78, 80, 84), (108, 106, 106), (86, 84, 90))), 10)
    painter.surface(strip(-left.road_edge, right.road_edge), asphalt, Label.ROAD, UP)
    draw_repairs(painter, asphalt)
    draw_markings(painter)


def draw_sidewalk(painter: Painter, side: Side, paving: Colour, grass: Colour) -> None:
    """Slabs between kerb and houses, the grass strip, the kerb itself with its lit or shaded face."""
    sign, rng = side.sign, painter.rng
    start, end = side.walkway
    painter.surface(strip(sign * side.road_edge, sign * side.back, KERB), paving, Label.SIDEWALK, UP)
    slab = rng.uniform(0.7, 1.3)
    z = np.arange(NEAR, 30.0, slab)[:, None]
    across = np.array([start, end, end, start]) * sign
    lines = np.stack(np.broadcast_arrays(across, KERB, z + np.array([0, 0, 0.05, 0.05])), -1)
    painter.surface(lines, toned(paving, 0.86), None, UP)
    for x in np.arange(start + slab, end, slab):
        painter.surface(strip(sign * x, sign * (x + 0.05), KERB), toned(paving, 0.88), None, UP)
    if side.verge[1] > side.verge[0]:
        first, last = side.verge
        painter.surface(strip(sign * first, sign * last, KERB), vary(rng, grass, 8), Label.TERRAIN, UP)
    stone = toned(paving, 1.12)
    edge = sign * side.road_edge
    painter.surface(strip(edge, edge + sign * 0.2, KERB), stone, Label.SIDEWALK, UP)
    z = DISTANCES
    face = np.concatenate([
        np.stack([np.full_like(z, edge), np.full_like(z, KERB), z], -1),
        np.stack([np.full_like(z, edge), np.zeros_like(z), z], -1)[::-1],
    ])
    painter.surface(face, toned(stone, 0.8), Label.SIDEWALK, (-float(sign), 0.0, 0.0))


def draw_repairs(painter: Painter, asphalt: Colour) -> None:
    """Patches of newer asphalt, cracks, manhole covers, darker tracks under the wheels."""
    street, rng = painter.street, painter.rng
    left, right = (side.road_edge for side in street.sides)
    for track in (-0.75, 0.75):
        painter.surface(strip(track - 0.25, track + 0.25), toned(asphalt, 0.95), None, UP)
    for _ in range(int(rng.integers(0, 4))):
        x, z = rng.uniform(-left, right - 1.0), rng.uniform(5.0, 25.0)
        patch = strip(x, min(x + rng.uniform(0.6, 3.0), right), 0.0, z, z + rng.uniform(0.8, 8.0))
        painter.surface(patch, toned(asphalt, rng.uniform(0.82, 1.12)), None, UP)
    for _ in range(int(rng.integers(0, 3))):
        x, z = rng.uniform(-left, right), rng.uniform(5.0, 16.0)
        cover = np.stack([x + 0.35 * np.array([-1, -0.6, 0.6, 1, 0.6, -0.6]), np.zeros(6),
                          z + 0.35 * np.array([0, 1, 1, 0, -1, -1])], -1)
        painter.surface(cover, toned(asphalt, 0.6), None, UP)
    for _ in range(int(rng.integers(0, 5))):
        x, z = rng.uniform(-left, right), rng.uniform(5.0, 14.0)
        for _ in range(5):
            next_x, next_z = x + rng.uniform(-0.5, 0.5), z + rng.uniform(0.2, 1.2)
            bar = limb((x, z), (next_x, next_z), 0.05, 0.05)
            painter.surface(np.insert(bar, 1, 0.0, axis=1), toned(asphalt, 0.7), None, UP)
            x, z = next_x, next_z


def draw_markings(painter: Painter) -> None:
    """Dashed lines between lanes, solid ones at the edges, a zebra crossing with its stop line."""
    street, rng = painter.street, painter.rng
    paint = vary(rng, WHITE_PAINT, 20)
    left, right = street.sides
    shift = left.lane_edge - street.lane_width * (street.lanes_left + 0.5)
    lanes = street.lanes_left + street.lanes_right + 1
    edges = [street.lane_width * k - left.lane_edge for k in range(lanes + 1)]
    for number, x in enumerate(edges):
        outermost = number in (0, len(edges) - 1)
        if outermost and chance(rng, 0.35):
            continue
        if outermost or (abs(x + shift) < street.lane_width and chance(rng, 0.25)):
            painter.surface(strip(x - 0.07, x + 0.07), paint, None, UP)
        else:
            draw_dashes(painter, x, paint)
    if street.crossing is not None:
        z, depth = street.crossing, 3.0
        bars = np.arange(-left.road_edge + 0.4, right.road_edge - 0.6, 1.0)[:, None]
        x_of = bars + np.array([0, 0, 0.5, 0.5])
        zebra = np.stack(np.broadcast_arrays(x_of, 0.0, z + depth * np.array([0, 1, 1, 0])), -1)
        painter.surface(zebra, paint, None, UP)
        own_side = edges[street.lanes_left]
        painter.surface(strip(own_side, edges[-1], 0.0, z - 1.6, z - 1.2), paint, None, UP)


def draw_dashes(painter: Painter, x: float, paint: Colour) -> None:
    """One dashed line along the street at x metres."""
    rng = painter.rng
    period, dash = rng.uniform(5.0, 9.0), rng.uniform(2.0, 3.5)
    z = np.arange(NEAR - rng.uniform(0, 3), 70.0, period)[:, None] + np.array([0, dash, dash, 0])
    lines = np.stack(np.broadcast_arrays(x + np.array([-0.07, -0.07, 0.07, 0.07]), 0.0, z), -1)
    painter.surface(np.ascontiguousarray(lines[(lines[..., 2] > NEAR).all(1)]), paint, None, UP)

