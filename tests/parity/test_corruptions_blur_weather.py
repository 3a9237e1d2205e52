"""imagecorruptions' blurs and weather beside these, drawn from the same seed: no value more than one level off.

The package installed is `imagecorruptions-imaug`, a fork that still runs. It differs from imagecorruptions 1.1.2 here
in three things: its glass blur takes the seed as an argument, its frost draws from six textures instead of five, and
the banks of its fog are float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from segformer_cli.data.sample import draw_scene
from segformer_cli.images import Picture, read_image
from segformer_cli.robustness import blur, weather
from segformer_cli.robustness.filters import smoothed
from segformer_cli.robustness.frost import ORIGINALS, Textures, frost, textures_from
from segformer_cli.robustness.glass import GLASS, copied_from, glass_blur
from segformer_cli.robustness.source import Random, Source
from tests.conftest import peer
from tests.parity.photographs import photographs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")                                                # numba's, while it is imported
    imagecorruptions = peer("imagecorruptions")
    their = peer("imagecorruptions.corruptions")

SEVERITIES = range(1, 6)
SEED = 11
TEXTURES = Path(str(files("imagecorruptions"))) / "frost"
Corruption = Callable[[Source, int, Random], Picture]


def burnt_out(height: int, width: int) -> Picture:
    """A scene under a white sky and above flat grey, where rounding errors in float64 decide about levels."""
    picture = draw_scene(6, (height, width))[0].copy()
    picture[: height // 4] = 255
    picture[-height // 4 :] = 100, 130, 131
    return picture


PICTURES = {
    "scene 480x360": draw_scene(1, (360, 480))[0],
    "scene 1024x768": draw_scene(2, (768, 1024))[0],
    "scene 131x97": draw_scene(3, (97, 131))[0],
    "scene 333x720": draw_scene(4, (720, 333))[0],       # SciPy's enlargement leaves the last of 720 rows black
    "scene 32x32": draw_scene(5, (64, 64))[0][16:48, 16:48],
    "burnt out 400x300": burnt_out(300, 400),
    **photographs(),
}
pictures = pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)


def theirs(picture: Picture, name: str, severity: int) -> Picture:
    """Their picture, drawn from the seed; NumPy's global stream is put back."""
    before = np.random.get_state()
    np.random.seed(SEED)
    try:
        options = {"seed": SEED} if name == "glass_blur" else {}
        corrupted: Picture = imagecorruptions.corrupt(picture, severity, name, **options)
    finally:
        np.random.set_state(before)
    return corrupted


def off(picture: Picture, expected: Picture) -> tuple[int, float]:
    """The largest difference in levels, and the share of values that differ."""
    differences = np.abs(picture.astype(int) - expected)
    return int(differences.max()), float((differences > 0).mean())


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")                 # theirs, on a lens without a drop
@pytest.mark.parametrize(
    ("corruption", "share"),
    [
        (blur.defocus_blur, 0.04),                  # of the means of 29 pixels, one in 29 is a whole level
        (blur.motion_blur, 2e-3),
        (blur.gaussian_blur, 1e-3),
        pytest.param(blur.zoom_blur, 1e-3, marks=pytest.mark.slow),                # theirs takes seconds a picture
        pytest.param(glass_blur, 2e-3, marks=pytest.mark.slow),                    # numba compiles it first
        (weather.snow, 2e-5),
        (weather.fog, 1e-3),
        (weather.spatter, 4e-3),
    ],
)
@pictures
def test_no_value_is_more_than_a_level_off(picture: Picture, corruption: Corruption, share: float) -> None:
    name, source = corruption.__name__, Source(picture)
    for severity in SEVERITIES:
        expected = theirs(picture, name, severity)
        largest, differing = off(corruption(source, severity, np.random.RandomState(SEED)), expected)
        assert largest <= 1, f"severity {severity}"
        # Where a picture is flat, rounding errors decide, alike in all of an area.
        assert differing <= share or picture is PICTURES["burnt out 400x300"], f"severity {severity}"


@pictures
def test_frost_of_their_six_textures_is_theirs_bit_by_bit(picture: Picture) -> None:
    six = Textures((*textures_from(TEXTURES).panes, read_image(TEXTURES / "frost6.jpg")), comparable=True)
    for severity in SEVERITIES:
        seen = frost(Source(picture), severity, np.random.RandomState(SEED), textures=six)
        assert np.array_equal(seen, theirs(picture, "frost", severity)), f"severity {severity}"


def test_their_second_and_third_texture_are_one_picture() -> None:
    panes = textures_from(TEXTURES).panes
    assert len(panes) == len(ORIGINALS)
    assert np.array_equal(panes[1], panes[2])


@pytest.mark.slow
@pytest.mark.parametrize("severity", SEVERITIES)
def test_behind_glass_every_pixel_comes_from_where_theirs_does(severity: int) -> None:
    glass, (height, width) = GLASS[severity - 1], (97, 131)
    numbers = np.arange(height * width)
    written = np.stack([numbers // 256, numbers % 256, numbers * 0], axis=1).astype(np.uint8).reshape(height, width, 3)
    shuffled = their._shuffle_pixels_njit_glass_blur(height, width, written, tuple(glass), SEED)
    origins = shuffled[..., 0].astype(int) * 256 + shuffled[..., 1]
    assert np.array_equal(copied_from((height, width), glass, np.random.RandomState(SEED)), origins.ravel())


@pytest.mark.parametrize("sigma", [0.7, 0.9, 1, 1.1, 1.5, 2, 3, 4, 6])
def test_flat_areas_lose_a_level_when_smoothed_where_theirs_do(sigma: float) -> None:
    side = 2 * int(4 * sigma + 0.5) + 1
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    flat = np.repeat(levels.repeat(side, 0).repeat(side, 1)[..., None], 3, 2)
    centres = slice(side // 2, None, side)
    expected = np.uint8(their.gaussian(flat / 255.0, sigma=sigma, channel_axis=-1) * 255)
    assert np.array_equal(smoothed(flat, sigma)[centres, centres], expected[centres, centres])
