"""Snow, fog and spatter: what they do to black, white and flat pictures, and the chance behind them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from segformer_cli.data.sample import draw_scene
from segformer_cli.images import Picture
from segformer_cli.robustness import weather
from segformer_cli.robustness.source import Random, Source
from segformer_cli.robustness.weather import fog, plasma, snow, spatter

SEVERITIES = range(1, 6)
Weather = Callable[[Source, int, Random], Picture]
Chance = Callable[[int], Random]
kinds = pytest.mark.parametrize("corruption", [snow, fog, spatter])
modes = pytest.mark.parametrize("chance", [np.random.default_rng, np.random.RandomState])


def flat(level: int, size_hw: tuple[int, int] = (96, 128)) -> Source:
    return Source(np.full((*size_hw, 3), level, np.uint8))


@kinds
@modes
@pytest.mark.parametrize("size_hw", [(32, 32), (97, 131), (33, 400), (400, 33), (87, 150)])
def test_weather_makes_a_new_picture_of_the_same_size_by_its_chance_alone(
    corruption: Weather, chance: Chance, size_hw: tuple[int, int]
) -> None:
    clean = draw_scene(2, (400, 400))[0][: size_hw[0], : size_hw[1]]
    source = Source(clean)
    for severity in SEVERITIES:
        seen = corruption(source, severity, chance(5))
        assert seen.shape == clean.shape
        assert seen.dtype == np.uint8
        assert not np.shares_memory(seen, source.pixels)
        assert np.array_equal(seen, corruption(Source(clean), severity, chance(5)))
    assert not np.array_equal(seen, corruption(source, 5, chance(6)))
    assert np.array_equal(source.pixels, clean)


@kinds
def test_the_worst_severity_hides_most_and_the_mildest_least(corruption: Weather) -> None:
    scene = draw_scene(4, (160, 240))[0]
    errors = [
        np.mean([((corruption(Source(scene), severity, np.random.default_rng(seed)).astype(float) - scene) ** 2).mean()
                 for seed in range(6)])
        for severity in SEVERITIES
    ]
    assert errors[0] == min(errors)
    assert errors[4] == max(errors)


@kinds
def test_fast_and_reference_weather_are_as_bright_and_as_dense(corruption: Weather) -> None:
    scene = draw_scene(4, (160, 240))[0]
    for severity in SEVERITIES:
        means, spreads = [], []
        for chance in (np.random.default_rng, np.random.RandomState):
            pictures = [corruption(Source(scene), severity, chance(seed)) for seed in range(40)]
            means.append([picture.mean() for picture in pictures])
            spreads.append(np.mean([picture.std() for picture in pictures]))
        noise = np.hypot(*(np.std(each) / 40**0.5 for each in means))
        assert abs(np.mean(means[0]) - np.mean(means[1])) < 4 * noise
        assert spreads[0] == pytest.approx(spreads[1], rel=0.05)


def test_reference_weather_draws_as_many_numbers_as_the_reference() -> None:
    scene = Source(draw_scene(2, (100, 100))[0][:50, :90])
    draws: dict[Weather, Callable[[np.random.RandomState], object]] = {
        snow: lambda rng: (rng.normal(size=(50, 90)), rng.uniform()),
        fog: lambda rng: rng.uniform(size=128 * 128 - 1),
        spatter: lambda rng: rng.normal(size=(50, 90)),
    }
    for corruption, draw in draws.items():
        for severity in SEVERITIES:
            used, expected = np.random.RandomState(3), np.random.RandomState(3)
            corruption(scene, severity, used)
            draw(expected)
            assert used.random_sample() == expected.random_sample()


@modes
def test_snow_on_black_looks_the_same_upside_down(chance: Chance) -> None:
    for severity in SEVERITIES:
        snowed = snow(flat(0), severity, chance(1))
        assert np.array_equal(snowed, np.rot90(snowed, 2))
        # Where no flake fell: black paled to (1 - kept) times 127.5.
        assert snowed.min() == int((1 - weather.SNOW[severity - 1].kept) * 127.5)
        assert len(np.unique(snowed.reshape(-1, 3), axis=0)) == len(np.unique(snowed))


def test_snow_only_brightens() -> None:
    scene = draw_scene(4, (96, 128))[0]
    for severity in SEVERITIES:
        # Less one level for truncation: kept and paled shares of a pixel may add up to just below it.
        assert (snow(Source(scene), severity, np.random.default_rng(0)).astype(int) >= scene.astype(int) - 1).all()
        assert (snow(flat(255), severity, np.random.default_rng(0)) >= 254).all()


def test_flakes_fall_downwards() -> None:
    flakes = weather._flakes((200, 200), weather.SNOW[2], np.random.default_rng(0)).astype(float)
    assert flakes.any()
    along, across = (np.abs(np.diff(flakes, axis=axis)).mean() for axis in (0, 1))
    assert along < across


def test_the_first_heights_of_a_plasma_are_worked_by_hand() -> None:
    # One corner at height 0; a square's centre; then the two points between corners on rows and on columns.
    centre, row, column = 2e4 * np.random.RandomState(9).random_sample(3) - 1e4
    expected = [[0, (2 * 0 + 2 * centre) / 4 + row], [(2 * 0 + 2 * centre) / 4 + column, centre]]
    assert plasma(2, 2, np.random.RandomState(9)) == pytest.approx(np.array(expected), rel=1e-5)


def test_a_plasma_is_that_of_the_loop_over_points() -> None:
    side, roughness, step = 16, 1e4, 16
    rng, heights = np.random.RandomState(4), np.zeros((16, 16))
    while step > 1:
        half, places = step // 2, range(0, side, step)
        # New points by how far they lie from a corner, and their neighbours by how far they lie from the new point.
        square, diamond = [(-1, -1), (-1, 1), (1, -1), (1, 1)], [(-1, 0), (1, 0), (0, -1), (0, 1)]
        for (down, right), neighbours in (((1, 1), square), ((0, 1), diamond), ((1, 0), diamond)):
            noise = iter(rng.uniform(-roughness, roughness, len(places) ** 2))
            for row in places:
                for column in places:
                    y, x = row + down * half, column + right * half
                    around = [heights[(y + i * half) % side, (x + j * half) % side] for i, j in neighbours]
                    heights[y, x] = sum(around) / 4 + next(noise)
        roughness, step = roughness / 1.7**2, half
    assert plasma(16, 1.7, np.random.RandomState(4)) == pytest.approx(heights, rel=1e-4, abs=0.1)


def test_a_plasma_wraps_around_and_is_rough_in_the_large_only() -> None:
    heights = plasma(256, 2, np.random.default_rng(0))
    assert heights.shape == (256, 256)
    seam = np.abs(heights[0] - heights[-1]).mean()
    inside = np.abs(np.diff(heights, axis=0)).mean()
    assert seam < 3 * inside
    assert inside < 0.02 * np.ptp(heights)
    assert np.abs(np.diff(plasma(256, 1.4, np.random.default_rng(0)), axis=0)).mean() > 2 * inside


@modes
def test_fog_is_never_brighter_than_the_brightest_pixel_was(chance: Chance) -> None:
    for level in (0, 1, 100, 255):
        for severity in SEVERITIES:
            assert fog(flat(level), severity, chance(2)).max() <= level


def test_the_thickest_fog_is_as_bright_as_the_brightest_pixel_and_where_there_is_none_it_is_darkest() -> None:
    # 128 x 128 is all of a map of 128: its lowest and highest point are both in the picture.
    fogged = fog(flat(200, (128, 128)), 1, np.random.default_rng(0))
    kept = 200 / (200 + 1.5 * 255)
    assert int(fogged.min()) == int(200 * kept)
    assert 199 <= int(fogged.max()) <= 200


def test_drops_of_water_only_brighten_and_most_in_green_and_blue() -> None:
    for severity in (1, 2, 3):
        added = spatter(flat(10, (200, 200)), severity, np.random.default_rng(1)).astype(int) - 10
        assert added.min() >= 0
        assert 0 < (added > 0).mean() < 0.5
        assert np.array_equal(added[..., 1], added[..., 2])
        assert (added[..., 0] <= added[..., 1]).all()
        strongest = weather.WATER_STRENGTH[severity - 1]
        assert int(added[..., 1].max()) == pytest.approx(238 * strongest, abs=1)


def test_the_relief_of_drops_reaches_20_pixels_from_their_outlines() -> None:
    drops = np.zeros((120, 120), np.uint8)
    drops[:, 60:] = 255
    relief = weather._relief(drops)[60]
    # The outline is at column 60; up to 20 pixels from it, and the four that blur and filter reach, levels change.
    assert len(np.unique(relief[:35])) == 1
    assert len(np.unique(relief[85:])) == 1
    assert len(np.unique(relief[38:60])) > 3


def test_without_a_drop_the_lens_is_clear() -> None:
    scene = draw_scene(4, (96, 128))[0]
    assert np.array_equal(weather._under_water(Source(scene), np.zeros((96, 128), np.uint8), 0.6), scene)


def test_mud_goes_from_the_picture_to_brown_and_is_all_or_nothing_at_its_rim() -> None:
    for severity in (4, 5):
        seen = spatter(flat(255, (200, 200)), severity, np.random.default_rng(1)).reshape(-1, 3)
        clean = (seen == 255).all(1)
        assert 0.05 < 1 - clean.mean() < 0.6
        # Covered by 80 per cent at least, by all at most.
        muddy = seen[~clean].astype(float)
        assert muddy.min(0) == pytest.approx(weather.MUD_COLOUR, abs=1)
        thinnest = 255 * (1 - 0.8) + 0.8 * np.array(weather.MUD_COLOUR)
        assert (muddy <= thinnest + 1).all()


def test_fast_normal_noise_is_normal() -> None:
    noise = weather._normal(2, 3, (1000, 1000), np.random.default_rng(0))
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(2, abs=0.015)
    assert noise.std() == pytest.approx(3, rel=0.005)
    shares = [(noise < 2 + 3 * score).mean() for score in (-2, -1, 0, 1, 2)]
    assert shares == pytest.approx([0.02275, 0.15866, 0.5, 0.84134, 0.97725], abs=0.002)
