"""The four blurs: what they make of single points, flat areas and known pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from segformer_cli.data.sample import draw_scene
from segformer_cli.images import Picture
from segformer_cli.robustness import blur
from segformer_cli.robustness.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from segformer_cli.robustness.source import Random, Source

SEVERITIES = range(1, 6)
BLURS = [defocus_blur, motion_blur, gaussian_blur, zoom_blur]
blurs = pytest.mark.parametrize("corruption", BLURS)
Blur = Callable[[Source, int, Random], Picture]


@pytest.fixture(scope="module")
def scene() -> Picture:
    return draw_scene(4, (160, 240))[0]


def chance(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def error(picture: Picture, clean: Picture) -> float:
    """Mean squared error."""
    return float(((picture.astype(float) - clean) ** 2).mean())


@blurs
@pytest.mark.parametrize("size_hw", [(32, 32), (97, 131), (33, 400), (400, 33)])
def test_a_blurred_picture_is_a_new_one_of_the_same_size(corruption: Blur, size_hw: tuple[int, int]) -> None:
    clean = draw_scene(2, (400, 400))[0][: size_hw[0], : size_hw[1]]
    source = Source(clean)
    before = source.pixels.copy()
    for severity in SEVERITIES:
        blurred = corruption(source, severity, chance())
        assert blurred.shape == clean.shape
        assert blurred.dtype == np.uint8
        assert not np.shares_memory(blurred, source.pixels)
        assert not np.array_equal(blurred, clean)
    assert np.array_equal(source.pixels, before)


@pytest.mark.parametrize(
    ("corruption", "order"),
    [(defocus_blur, [1, 2, 3, 4, 5]), (motion_blur, [1, 2, 3, 4, 5]), (gaussian_blur, [1, 2, 3, 4, 5]),
     (zoom_blur, [1, 3, 2, 4, 5])],                 # of the zooms, the third is wider and coarser than the second
)
def test_a_higher_severity_blurs_more(corruption: Blur, order: list[int], scene: Picture) -> None:
    errors = {severity: error(corruption(Source(scene), severity, chance()), scene) for severity in SEVERITIES}
    assert sorted(errors, key=errors.__getitem__) == order


@blurs
def test_a_flat_picture_stays_flat_within_a_level_of_what_the_weights_sum_to(corruption: Blur) -> None:
    for level in (0, 100, 255):
        for severity in SEVERITIES:
            blurred = corruption(Source(np.full((64, 70, 3), level, np.uint8)), severity, chance()).astype(int)
            gain = 1.0
            if corruption is defocus_blur:
                gain = float(blur._disk(*blur.DEFOCUS_RADIUS_SIGMA[severity - 1]).sum())
            expected = min(int(level * gain + 1e-3), 255)
            assert set(np.unique(blurred)) <= {expected, max(expected - 1, 0)}, (level, severity)


@blurs
def test_severities_that_share_a_source_come_out_as_those_that_do_not(corruption: Blur, scene: Picture) -> None:
    shared = Source(scene)
    for severity in SEVERITIES:
        alone = corruption(Source(scene), severity, chance())
        assert np.array_equal(corruption(shared, severity, chance()), alone)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_out_of_focus_a_point_becomes_the_disk(severity: int) -> None:
    points = np.zeros((61, 61, 3), np.uint8)
    points[30, 30] = 255, 0, 128
    disk = blur._disk(*blur.DEFOCUS_RADIUS_SIGMA[severity - 1])
    reach = len(disk) // 2
    expected = np.zeros((61, 61))
    expected[30 - reach : 31 + reach, 30 - reach : 31 + reach] = disk
    blurred = defocus_blur(Source(points), severity, chance())
    assert np.abs(blurred[..., 0] - 255 * expected).max() < 1.001
    assert np.abs(blurred[..., 2] - 128 * expected).max() < 1.001
    assert not blurred[..., 1].any()


def test_a_disk_holds_the_points_within_its_radius() -> None:
    within = [(row, column) for row in range(-3, 4) for column in range(-3, 4) if row**2 + column**2 <= 9]
    disk = blur._disk(3, 0.1)                       # so little softening that nothing leaves its pixel
    assert len(within) == 29
    assert [disk[8 + row, 8 + column] for row, column in within] == pytest.approx([1 / 29] * 29)
    assert disk.sum() == pytest.approx(1)


def test_disks_have_as_many_weights_as_the_reference() -> None:
    counts = [(blur._disk(*parameters) > 1e-9).sum() for parameters in blur.DEFOCUS_RADIUS_SIGMA]
    assert counts == [29, 89, 169, 257, 417]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_out_of_focus_the_picture_is_mirrored_at_its_outermost_pixel(severity: int) -> None:
    picture = draw_scene(3, (64, 64))[0][:33, :40]
    disk = blur._disk(*blur.DEFOCUS_RADIUS_SIGMA[severity - 1])
    reach = len(disk) // 2
    mirrored = np.pad(picture.astype(float), [(reach, reach), (reach, reach), (0, 0)], mode="reflect")
    expected = np.zeros(picture.shape)
    for row, column in np.ndindex(disk.shape):
        expected += disk[row, column] * mirrored[row : row + 33, column : column + 40]
    assert np.abs(defocus_blur(Source(picture), severity, chance()) - (expected - 0.5)).max() < 0.501


def test_out_of_focus_severities_4_and_5_brighten() -> None:
    flat = Source(np.full((48, 48, 3), 200, np.uint8))
    means = [defocus_blur(flat, severity, chance()).mean() for severity in SEVERITIES]
    # 200 times 1.0130 and 1.0108, cut: 202.
    assert means[3:] == [202, 202]
    assert max(means[:3]) <= 200


@pytest.mark.parametrize("mode", [np.random.default_rng, np.random.RandomState])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_motion_is_the_sum_of_explicit_shifts(severity: int, mode: Callable[[int], Random], scene: Picture) -> None:
    degrees = mode(3).uniform(-45, 45)
    radius, sigma = blur.MOTION_RADIUS_SIGMA[severity - 1]
    steps = range(2 * radius + 1)
    weights = [math.exp(-(step**2) / (2 * sigma**2)) for step in steps]
    height, width = scene.shape[:2]
    expected = np.zeros(scene.shape)
    for step, weight in zip(steps, weights, strict=True):
        row = math.ceil(step * math.sin(math.radians(degrees)) - 0.5)
        column = math.ceil(step * math.cos(math.radians(degrees)) - 0.5)
        rows = np.clip(np.arange(height) + row, 0, height - 1)
        columns = np.clip(np.arange(width) + column, 0, width - 1)
        expected += weight / sum(weights) * scene[rows][:, columns]
    assert np.abs(motion_blur(Source(scene), severity, mode(3)) - (expected - 0.5)).max() < 0.501


def test_motion_moves_the_picture_to_the_left_by_about_the_mean_of_its_weights() -> None:
    line = np.zeros((41, 201, 3), np.uint8)
    line[:, 100] = 255
    for severity, moved in zip(SEVERITIES, (2.1, 3.7, 6.1, 9.0, 11.4), strict=True):
        places = []
        for seed in range(30):
            blurred = motion_blur(Source(line), severity, chance(seed))[20, :, 0].astype(float)
            places.append((blurred * np.arange(201)).sum() / blurred.sum())
        # Along a row it is the cosine of the angle times that, on average 0.9 of it.
        assert np.mean(places) == pytest.approx(100 - 0.9 * moved, abs=0.1 * moved)


def test_a_gaussian_blur_of_a_point_is_a_bell() -> None:
    point = np.zeros((61, 61, 3), np.uint8)
    point[30, 30] = 255
    for severity, sigma in zip(SEVERITIES, (1, 2, 3, 4, 6), strict=True):
        blurred = gaussian_blur(Source(point), severity, chance())[..., 0]
        assert int(blurred[30, 30]) == int(255 / (2 * math.pi * sigma**2))
        assert np.array_equal(blurred, blurred.T)


def test_a_zoom_has_as_many_enlargements_as_the_reference_by_its_rounding() -> None:
    counts = [len(np.arange(1, *end_step)) for end_step in blur.ZOOM_END_STEP]
    assert counts == [12, 16, 11, 13, 11]


def test_a_zoom_of_a_ramp_is_the_mean_of_its_stretched_middles() -> None:
    ramp = np.repeat(np.repeat(np.arange(64, dtype=np.uint8)[None], 64, 0)[..., None], 3, 2)
    expected = 2.0 * np.arange(64)
    factors = [1 + 0.03 * count for count in range(1, 11)]
    for factor in factors:
        kept = math.ceil(64 / factor)
        stretched = np.linspace(0, kept - 1, round(kept * factor)) + (64 - kept) // 2
        expected += stretched[:64]
    blurred = zoom_blur(Source(ramp), 5, chance())[32, :, 0]
    assert np.abs(blurred - (expected / 12 - 0.5)).max() < 0.501
