"""Panes of frost drawn by chance, always the same: they stand in for photographs that nobody may pass on.

Four kinds after the photographs of `imagecorruptions`, each with about the size, tones, colour and coarseness of its
model: wrinkled ice, needles, grains, ferns.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.source import truncated

Field = NDArray[np.float32]
Chance = np.random.Generator

SHARES = 1, 10, 25, 50, 75, 90, 99
"""Per cent of a pane that is darker than each of its tones."""

BARB_STEP = 3.5
"""Pixels from one barb to the next on a stem of ice; barbs grow at 60 degrees, as water freezes."""


def ice() -> Picture:
    """A wrinkled sheet, blue and grey."""
    chance, size_hw = np.random.default_rng(1), (600, 900)
    rows, columns = np.indices(size_hw, np.float32)
    down, across = (40 * cv2.GaussianBlur(_clouds(size_hw, 3.4, chance), (0, 0), 2) for _ in "yx")
    ridges = -np.abs(_clouds(size_hw, 2.7, chance))
    folds = cv2.remap(ridges, columns + across, rows + down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    folds = cv2.GaussianBlur(folds, (0, 0), 1)
    lit = cv2.Sobel(folds, cv2.CV_32F, 1, 0) + cv2.Sobel(folds, cv2.CV_32F, 0, 1)
    wrinkled = np.tanh(0.8 * lit / lit.std()) * np.clip(1 + 0.6 * _clouds(size_hw, 3, chance), 0.2, 2)
    mixed = wrinkled + 0.6 * _clouds(size_hw, 3, chance) + 0.25 * _clouds(size_hw, 0.3, chance)
    blue = 1 / (1 + np.exp(-1.5 * _clouds(size_hw, 3.2, chance)))
    luma = _toned(mixed, (95, 107, 116, 128, 141, 155, 177))
    return _coloured(luma[..., None] + blue[..., None] * (-75.0, 20.0, 45.0), (77, 149, 166))


def needles() -> Picture:
    """White needles, side by side and across each other."""
    chance, size_hw = np.random.default_rng(2), (315, 560)
    flow = np.pi * cv2.GaussianBlur(_clouds(size_hw, 3, chance), (0, 0), 6)
    light = _crystals(size_hw, 2600, (10, 60), chance, flow=flow)
    dark = _crystals(size_hw, 1200, (8, 40), chance, flow=flow)
    mixed = 2.6 * light - 2.1 * dark + 0.5 * _clouds(size_hw, 3, chance) + 0.25 * _clouds(size_hw, 0.5, chance)
    return _coloured(_toned(mixed, (140, 176, 193, 208, 220, 230, 244))[..., None], (201, 205, 214))


def grains() -> Picture:
    """Small grey stars, close to each other."""
    chance, size_hw = np.random.default_rng(4), (350, 527)
    light = _crystals(size_hw, 700, (4, 20), chance, arms=5, barb=0.3)
    dark = _crystals(size_hw, 500, (4, 14), chance, arms=5, barb=0.3)
    mixed = 2.2 * light - 1.8 * dark + 0.6 * _clouds(size_hw, 2.6, chance) + 0.6 * _clouds(size_hw, 0.2, chance)
    return _coloured(_toned(mixed, (81, 114, 132, 150, 167, 183, 231))[..., None], (138, 153, 165))


def ferns() -> Picture:
    """White ferns and stars on dark glass."""
    chance, size_hw = np.random.default_rng(5), (495, 660)
    thickness = _clouds(size_hw, 3, chance)
    feathers = _crystals(size_hw, 1500, (10, 60), chance, barb=0.4)
    stars = _crystals(size_hw, 160, (8, 26), chance, arms=6, barb=0.35)
    mixed = 3.2 * np.maximum(feathers, stars) * np.clip(0.6 + 0.5 * thickness, 0.15, 1.5)
    mixed += 0.35 * thickness + 0.1 * _clouds(size_hw, 0.5, chance)
    return _coloured(_toned(mixed, (43, 68, 89, 117, 149, 181, 237))[..., None], (112, 123, 135))


def _clouds(size_hw: tuple[int, int], slope: float, chance: Chance) -> Field:
    """Noise whose power falls with frequency to the power of `slope`, of mean 0 and spread 1."""
    rows, columns = (np.fft.fftfreq(side).astype(np.float32) for side in size_hw)
    powers = rows[:, None] ** 2 + columns**2
    powers[0, 0] = np.inf
    spectrum = cv2.dft(chance.standard_normal(size_hw, np.float32), flags=cv2.DFT_COMPLEX_OUTPUT)
    noise = cv2.idft(spectrum * (powers ** (-slope / 4))[..., None], flags=cv2.DFT_REAL_OUTPUT)
    return np.asarray(noise / noise.std(), np.float32)


def _crystals(
    size_hw: tuple[int, int],
    count: int,
    lengths: tuple[int, int],
    chance: Chance,
    *,
    arms: int = 1,
    barb: float = 0,
    flow: Field | None = None,
) -> Field:
    """Stems or stars of ice, each of another brightness, 0..1.

    Args:
        lengths: of the shortest and the longest stem, in pixels.
        barb: how long barbs are, as a share of the stem that is left.
        flow: the direction of stems at each pixel, in radians; without it they lie anyhow.
    """
    canvas = np.zeros(size_hw, np.uint8)
    for _ in range(count):
        row, column = chance.uniform((0, 0), size_hw)
        angle = chance.uniform(0, 2 * np.pi) if flow is None else flow[int(row), int(column)] + chance.normal(0, 0.25)
        length = lengths[0] + (lengths[1] - lengths[0]) * chance.random() ** 2
        tone = chance.uniform(50, 255)
        for turn in np.arange(arms) * 2 * np.pi / arms:
            stem = _stem(column + 1j * row, angle + turn, length * chance.uniform(0.6, 1), barb)
            cv2.polylines(canvas, list(stem), False, tone, 1, cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(canvas.astype(np.float32) / 255, (0, 0), 0.6), np.float32)


def _stem(start: complex, angle: float, length: float, barb: float) -> NDArray[np.int32]:
    """The lines of a stem and its barbs, (N, 2, 2), in sixteenths of a pixel. A complex number is a place: x + iy."""
    ahead = np.exp(1j * angle)
    lines = [np.array([[start, start + length * ahead]])]
    if barb:
        along = np.arange(BARB_STEP, length, BARB_STEP)
        feet = start + along * ahead
        for side in (-1, 1):
            tips = feet + barb * (length - along) * ahead * np.exp(1j * side * np.pi / 3)
            lines.append(np.stack([feet, tips], axis=1))
    places = np.concatenate(lines)
    sixteenths: NDArray[np.int32] = np.rint(16 * np.stack([places.real, places.imag], axis=2)).astype(np.int32)
    return sixteenths


def _toned(field: Field, tones: Sequence[float]) -> Field:
    """The field with its values stretched so that `SHARES` of the pixels are darker than the tones."""
    darkest, brightest = 1.5 * tones[0] - 0.5 * tones[1], 1.5 * tones[-1] - 0.5 * tones[-2]
    places = np.percentile(field, (0, *SHARES, 100))
    return np.interp(field, places, (darkest, *tones, brightest)).astype(np.float32)


def _coloured(pane: Field, mean: tuple[int, int, int]) -> Picture:
    """Tones (H, W, 1) or (H, W, 3) as a picture of that mean colour."""
    return truncated(pane + (np.array(mean) + 0.5 - pane.mean((0, 1))))
