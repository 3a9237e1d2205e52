"""What the light and the lens do to the drawing: shadows, grain of the surfaces, blur, noise."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from segformer_cli.data.scenes.canvas import (
    PICTURE_WIDTH,
    SUBPIXEL_BITS,
    Label,
    Pixels,
    Points,
    noise_field,
    to_subpixels,
)
from segformer_cli.data.scenes.layout import Thing
from segformer_cli.data.scenes.street import Random, Street, chance

GROUND = (Label.ROAD, Label.SIDEWALK, Label.TERRAIN)
IS_GROUND = np.isin(np.arange(256), GROUND)
GRAIN = {
    Label.ROAD: 20, Label.SIDEWALK: 17, Label.TERRAIN: 45, Label.VEGETATION: 60, Label.BUILDING: 18,
    Label.WALL: 30, Label.FENCE: 20, Label.SKY: 2, Label.PERSON: 18, Label.RIDER: 18, Label.BICYCLE: 10,
    Label.POLE: 12,
}
"""How strongly each surface's brightness wavers, out of 128."""
PLAIN_GRAIN = 8


def finish(image: Pixels, labels: Pixels, street: Street, things: Sequence[Thing], rng: Random) -> Pixels:
    """The photograph (H, W, 3) of a drawing."""
    shade = ground_shadows(labels.shape, street, things)
    gain = surface_grain(labels, street, rng)
    gain = np.where(IS_GROUND[labels], (gain * shade) >> 8, gain)
    lit = np.minimum((image * gain[..., None]) >> 7, 255).astype(np.uint8)
    return through_the_lens(lit, rng)


def ground_shadows(size_hw: tuple[int, ...], street: Street, things: Sequence[Thing]) -> Pixels:
    """How much light reaches the ground (H, W): 255 in the sun, less in shadows and under cars."""
    height, width = size_hw[:2]
    scale = np.array([width / PICTURE_WIDTH, float(height)])
    light = street.light
    shade = np.full((height, width), 255, np.uint8)
    dim = min(int(255 * (0.25 + 0.72 * light.weather.ambient)), 244)
    slide = np.array([-light.sun[0], -light.sun[2]]) / max(light.sun[1], 0.45)
    for side in street.sides:
        reach = slide[0] * side.sign * -7.0
        if reach > 0:
            edge = side.sign * side.back
            tip = edge - side.sign * reach
            band = np.array([(edge, 3.0), (edge, 60.0), (tip, 60.0), (tip, 3.0)])
            fill_ground(shade, band, street, scale, dim)
    for thing in things:
        corners = footprint(thing, 1.0)
        cast = np.concatenate([corners, corners + slide * thing.height])
        hull = cv2.convexHull(cast.astype(np.float32))[:, 0].astype(np.float64)
        fill_ground(shade, hull, street, scale, dim)
    for thing in things:
        fill_ground(shade, footprint(thing, 1.08), street, scale, dim * 5 // 8)
    return np.asarray(cv2.GaussianBlur(shade, (3, 3), 0), np.uint8)


def footprint(thing: Thing, grown: float) -> Points:
    """The corners (4, 2) of the ground that a thing stands on, in metres (x, z)."""
    w, d = thing.half_width * grown, thing.half_length * grown
    near, far = thing.z - 0.05, thing.z + 2 * d
    return np.array([(thing.x - w, near), (thing.x - w, far), (thing.x + w, far), (thing.x + w, near)])


def fill_ground(shade: Pixels, outline: Points, street: Street, scale: Points, value: int) -> None:
    """Sets the light inside an outline (N, 2) given in metres (x, z)."""
    points = np.zeros((len(outline), 3))
    points[:, ::2] = outline
    pixels = to_subpixels(street.camera.project(points), scale)
    cv2.fillPoly(shade, [pixels], (value,), cv2.LINE_8, SUBPIXEL_BITS)


def surface_grain(labels: Pixels, street: Street, rng: Random) -> npt.NDArray[np.uint16]:
    """The brightness (H, W) of every pixel's surface: 128 is even, its wavering depends on the label."""
    size_hw = (labels.shape[0], labels.shape[1])
    strength = np.full(256, PLAIN_GRAIN, np.int16)
    for label, amount in GRAIN.items():
        strength[label] = amount
    upright = noise_field(rng, size_hw, (6, 96, 160))
    flat = ground_texture(size_hw, street, rng)
    field = np.where(IS_GROUND[labels], flat, upright).astype(np.int16) - 128
    return (128 + ((field * strength[labels]) >> 7)).astype(np.uint16)


def ground_texture(size_hw: tuple[int, int], street: Street, rng: Random) -> Pixels:
    """Noise (H, W) that lies on the ground in perspective and evens out with distance."""
    height, width = size_hw
    camera = street.camera
    tile = noise_field(rng, (256, 256), (16, 64, 128))
    # Mirrored, so that it repeats without a seam.
    tile = np.block([[tile, tile[:, ::-1]], [tile[::-1], tile[::-1, ::-1]]])
    below = np.maximum((np.arange(height) + 0.5) / height - camera.horizon, 0.012)
    z = camera.height * camera.focal / below
    across = ((np.arange(width) + 0.5) * (PICTURE_WIDTH / width) - camera.centre) / camera.focal
    x = np.outer(z, across) - (camera.bend * z * z)[:, None]
    column = np.floor(x * 28.0).astype(np.int32) & 511
    row = ((z * 28.0).astype(np.int32) & 511)[:, None]
    fade = np.clip(256 * 14 / (z + 8), 0, 256).astype(np.int16)[:, None]
    texture: Pixels = (128 + (((tile[row, column].astype(np.int16) - 128) * fade) >> 8)).astype(np.uint8)
    return texture


def through_the_lens(image: Pixels, rng: Random) -> Pixels:
    """Exposure, colour cast, a little blur, the blocks of a compressed file, the sensor's noise."""
    height, width = image.shape[:2]
    contrast, brightness = rng.uniform(0.84, 1.14), rng.uniform(-14, 14)
    cast = rng.uniform(0.96, 1.04, 3)
    steps = np.arange(256)[:, None]
    curve = np.clip(np.rint(((steps - 128) * contrast + 128 + brightness) * cast), 0, 255).astype(np.uint8)
    photo = np.stack([curve[image[..., c], c] for c in range(3)], -1)
    if chance(rng, 0.4):
        photo = np.asarray(cv2.GaussianBlur(photo, (3, 3), 0), np.uint8)
    level = int(rng.integers(2, 8))
    noise = rng.integers(-level, level + 1, (height, width, 1), dtype=np.int8).astype(np.int16)
    noise = noise + rng.integers(-level // 2, level // 2 + 1, (height, width, 3), dtype=np.int8)
    if chance(rng, 0.5):
        blocks = rng.integers(-3, 4, (-(-height // 8), -(-width // 8), 3), dtype=np.int8)
        noise += blocks.repeat(8, 0).repeat(8, 1)[:height, :width]
    return np.clip(photo + noise, 0, 255).astype(np.uint8)
