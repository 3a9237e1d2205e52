"""imagecorruptions' noise and digital corruptions beside these: bit by bit where both are exact, else as distributions.

The package installed is `imagecorruptions-imaug`, a fork that still runs; its noise and digital corruptions are those
of imagecorruptions 1.1.2, its impulse noise takes a seed.
"""

from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from segformer_cli.data.sample import draw_scene
from segformer_cli.images import Picture
from segformer_cli.robustness.corruptions import CORRUPTIONS, Mode, corrupt
from tests.conftest import peer
from tests.parity.photographs import photographs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")                                                # numba's, while it is imported
    imagecorruptions = peer("imagecorruptions")

SEVERITIES = range(1, 6)
SEED = 11


def photo_like(height: int, width: int) -> Picture:
    """Light that falls off like 1 / f, all colours, grain, burnt-out and black areas: what a drawn scene lacks."""
    rng = np.random.default_rng(4)
    canvas = np.zeros((height, width, 3))
    for octave in range(1, 8):
        grid = rng.normal(0, 2.0**-octave, (2**octave + 1, 2**octave + 1, 3))
        canvas += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    light = 120 + 160 * canvas + rng.normal(0, 3, canvas.shape)
    return np.clip(light, 0, 255).astype(np.uint8)


PICTURES = {
    "scene 480x360": draw_scene(1, (360, 480))[0],
    "scene 1024x768": draw_scene(2, (768, 1024))[0],
    "scene 131x97": draw_scene(3, (97, 131))[0],
    "photo 480x360": photo_like(360, 480),
    "photo 333x32": photo_like(32, 333),
    "one colour": np.full((40, 50, 3), (100, 100, 97), np.uint8),
    **photographs(),
}
pictures = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


def theirs(picture: Picture, name: str, severity: int, **options: Any) -> Picture:
    """Their picture, drawn from the seed; NumPy's global stream is put back."""
    before = np.random.get_state()
    np.random.seed(SEED)
    try:
        corrupted: Picture = imagecorruptions.corrupt(picture, severity, name, **options)
    finally:
        np.random.set_state(before)
    return corrupted


def ours(picture: Picture, name: str, severity: int, mode: Mode = "reference") -> Picture:
    rng = np.random.RandomState(SEED) if mode == "reference" else np.random.default_rng(SEED)
    return corrupt(picture, name, severity, rng, mode=mode)


def test_names_and_numbers_are_theirs() -> None:
    assert list(CORRUPTIONS) == imagecorruptions.get_corruption_names("all")


@pictures
@pytest.mark.parametrize(
    "name",
    [
        "gaussian_noise",
        "shot_noise",
        "speckle_noise",
        "brightness",
        "contrast",
        "saturate",
        "jpeg_compression",
        "pixelate",
    ],
)
def test_reference_mode_is_theirs_bit_by_bit(picture: Picture, name: str) -> None:
    for severity in SEVERITIES:
        assert np.array_equal(ours(picture, name, severity), theirs(picture, name, severity)), f"severity {severity}"


@pictures
@pytest.mark.parametrize("name", ["jpeg_compression", "pixelate"])
def test_fast_mode_is_theirs_bit_by_bit_where_neither_chance_nor_rounding_has_a_part(
    picture: Picture, name: str
) -> None:
    for severity in SEVERITIES:
        assert np.array_equal(ours(picture, name, severity, "fast"), theirs(picture, name, severity))


@pictures
@pytest.mark.parametrize(
    ("name", "share"), [("contrast", 0.0), ("brightness", 0.03), ("saturate", 0.4), ("elastic_transform", None)]
)
def test_no_value_is_more_than_a_level_off(picture: Picture, name: str, share: float | None) -> None:
    for severity in SEVERITIES:
        expected = theirs(picture, name, severity).astype(int)
        if share is None:
            off = np.abs(ours(picture, name, severity) - expected)
            assert off.max() <= 1
            assert off.mean() < 1e-4
            continue
        off = np.abs(ours(picture, name, severity, "fast") - expected)
        assert off.max() <= 1
        if len(np.unique(picture)) > 2:
            assert off.mean() <= share


@pytest.mark.parametrize("severity", SEVERITIES)
def test_impulse_noise_hits_as_many_values_as_theirs_and_each_channel_by_itself(severity: int) -> None:
    picture = np.clip(PICTURES["scene 1024x768"], 1, 254)
    expected = theirs(picture, "impulse_noise", severity, seed=SEED)
    for mode in ("fast", "reference"):
        noisy = ours(picture, "impulse_noise", severity, mode)
        for level in (0, 255):
            counts = [(each == level).sum((0, 1)) for each in (noisy, expected)]
            assert np.allclose(*counts, atol=5 * np.sqrt(2 * counts[1].max()))
        together = [((each == 0) | (each == 255)).all(-1).sum() for each in (noisy, expected)]
        assert abs(together[0] - together[1]) < 5 * np.sqrt(2 * together[1] + 4)
        kept = (noisy != 0) & (noisy != 255)
        assert np.array_equal(noisy[kept], picture[kept])


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"])
@pytest.mark.parametrize("picture", [PICTURES["scene 1024x768"], PICTURES["photo 480x360"]], ids=["scene", "photo"])
def test_fast_noise_has_the_histograms_of_theirs_at_every_level(picture: Picture, name: str, severity: int) -> None:
    seed = {"seed": SEED} if name == "impulse_noise" else {}
    expected, fast = theirs(picture, name, severity, **seed), ours(picture, name, severity, "fast")
    for channel in range(3):
        both = [joint_counts(picture[..., channel], each[..., channel]) for each in (expected, fast)]
        common = sum(both) >= 10
        # Two samples of one distribution: chi-square. The values that had one level are as many in both samples.
        deviation = ((both[0] - both[1])[common] ** 2 / sum(both)[common]).sum()
        freedom = common.sum() - common.any(1).sum()
        assert deviation < freedom + 6 * np.sqrt(2 * freedom)
    errors = [each.astype(float) - picture for each in (expected, fast)]
    assert errors[0].std() == pytest.approx(errors[1].std(), rel=0.02)
    assert abs(errors[0].mean() - errors[1].mean()) < 6 * errors[0].std() * np.sqrt(2 / picture.size)


def joint_counts(clean: NDArray[np.uint8], noisy: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How often each level became each, (256, 256)."""
    return np.histogram2d(clean.ravel(), noisy.ravel(), bins=(np.arange(257), np.arange(257)))[0]
