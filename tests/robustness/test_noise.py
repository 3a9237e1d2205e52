"""Noise: its distribution at every level, in both modes; that draws know nothing of each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness import noise
from segformer_cli.robustness.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from segformer_cli.robustness.source import Random, Source

Noise = Callable[[Source, int, Random], Picture]
NOISES: tuple[Noise, ...] = gaussian_noise, shot_noise, impulse_noise, speckle_noise
SEVERITIES = range(1, 6)


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def flat(level: int, side: int = 256) -> Source:
    """A picture of one level."""
    return Source(np.full((side, side, 3), level, np.uint8))


def expected_shares(name: str, severity: int, level: int) -> NDArray[np.float64]:
    """The probability of each level after noise, worked out without the package's tables."""
    shares = np.zeros(256)
    if name == "impulse_noise":
        hit = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
        shares[level] = 1 - hit
        shares[[0, 255]] += hit / 2
    elif name == "shot_noise":
        photons = (60, 25, 12, 5, 3)[severity - 1]
        rate = level / 255 * photons
        for count in range(photons):
            chance = math.exp(-rate + count * math.log(rate) - math.lgamma(count + 1)) if rate else float(count == 0)
            shares[int(count / photons * 255)] += chance
        shares[255] += 1 - shares.sum()
    else:
        spread = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1] * 255
        if name == "speckle_noise":
            spread = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1] * level
        if not spread:
            shares[level] = 1
            return shares
        bell = NormalDist(level, spread)
        for drawn in range(256):
            below = 0.0 if drawn == 0 else bell.cdf(drawn)
            shares[drawn] = (1.0 if drawn == 255 else bell.cdf(drawn + 1)) - below
    return shares


def drawn_shares(table: NDArray[np.uint32], level: int) -> NDArray[np.float64]:
    """The probability of each level that an alias table gives, every one of its cells and thresholds counted."""
    entries = table.reshape(256, 256)[level].astype(np.int64)
    own, kept = np.arange(256), (entries >> 8) / 2**16
    shares = kept / 256
    np.add.at(shares, own ^ (entries & 255), (1 - kept) / 256)
    return shares


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("name", ["gaussian_noise", "speckle_noise", "shot_noise"])
def test_tables_hold_the_distribution_of_every_level(name: str, severity: int) -> None:
    table = {
        "gaussian_noise": noise._gaussian_table(noise.GAUSSIAN_SPREAD[severity - 1]),
        "speckle_noise": noise._speckle_table(noise.SPECKLE_SPREAD[severity - 1]),
        "shot_noise": noise._shot_table(noise.SHOT_PHOTONS[severity - 1]),
    }[name]
    for level in (0, 1, 7, 100, 128, 254, 255):
        expected = expected_shares(name, severity, level)
        wrong = np.abs(drawn_shares(table, level) - expected)
        assert wrong.max() < 2**-19
        rare = expected < 2**-10
        assert wrong[rare].max(initial=0) < 2**-24


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("level", [0, 30, 128, 250])
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("function", NOISES)
def test_levels_come_as_often_as_their_probability_says(
    function: Noise, severity: int, level: int, reference: bool
) -> None:
    rng = np.random.RandomState(severity) if reference else generator(severity)
    counts = np.bincount(function(flat(level), severity, rng).ravel(), minlength=256)
    expected = expected_shares(function.__name__, severity, level) * counts.sum()
    common = expected >= 5
    deviation = ((counts - expected)[common] ** 2 / expected[common]).sum()
    freedom = max(common.sum() - 1, 1)
    # Chi-square, six standard deviations of its own: one seed in some hundred million fails.
    assert deviation < freedom + 6 * math.sqrt(2 * freedom) + 18
    assert counts[~common].sum() <= expected[~common].sum() + 6 * math.sqrt(expected[~common].sum()) + 6


def test_tails_are_as_heavy_as_those_of_a_normal_distribution() -> None:
    picture = gaussian_noise(flat(128, 2048), 1, generator())                       # 12.6 million draws
    for sigmas in (4.0, 4.5, 5.0):
        bound = math.ceil(sigmas * 255 * 0.08)
        bell = NormalDist(0, 255 * 0.08)
        for found, chance in (
            ((picture >= 128 + bound).sum(), 1 - bell.cdf(bound)),
            ((picture < 128 - bound).sum(), bell.cdf(-bound)),
        ):
            expected = chance * picture.size
            assert abs(int(found) - expected) < 5 * math.sqrt(expected)


@pytest.mark.parametrize("function", NOISES)
def test_neighbours_channels_and_blocks_are_independent(function: Noise) -> None:
    noisy = function(flat(120, 512), 3, generator(1)).astype(np.float64)
    noisy -= noisy.mean()
    values = noisy.ravel()
    block = values[: noise.BLOCK]
    for place in (0, 1):                                # bytes used twice would tie a value to that at twice its place
        tied = np.corrcoef(block[: len(block) // 2] ** 2, block[place::2])[0, 1]
        assert abs(tied) < 5 / math.sqrt(len(block) // 2)
    assert values.size > 20 * noise.BLOCK                                           # not a block alone
    row = 3 * 512
    for lag in (1, 2, 3, 4, 8, 3 * 16, row, row + 3, 64 * row, noise.BLOCK, noise.BLOCK // 2, noise.BLOCK // 8):
        correlation = (values[lag:] * values[:-lag]).mean() / values.var()
        assert abs(correlation) < 5 / math.sqrt(values.size - lag)


@pytest.mark.parametrize("function", NOISES)
def test_two_severities_of_one_picture_share_no_noise_when_they_share_no_generator(function: Noise) -> None:
    first, second = (function(flat(120), 2, generator(seed)).astype(np.float64).ravel() for seed in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(first.size)


def test_reference_mode_draws_one_legacy_number_a_value_in_reading_order() -> None:
    picture = np.arange(32 * 33 * 3, dtype=np.uint32).astype(np.uint8).reshape(32, 33, 3)
    x, state = picture / 255.0, np.random.RandomState
    gaussian = gaussian_noise(Source(picture), 2, state(5))
    assert np.array_equal(gaussian, np.uint8(np.clip(x + state(5).normal(0, 0.12, x.shape), 0, 1) * 255))
    speckle = speckle_noise(Source(picture), 2, state(5))
    assert np.array_equal(speckle, np.uint8(np.clip(x + x * state(5).normal(0, 0.2, x.shape), 0, 1) * 255))
    shot = shot_noise(Source(picture), 2, state(5))
    assert np.array_equal(shot, np.uint8(np.clip(state(5).poisson(x * 25) / 25.0, 0, 1) * 255))


@pytest.mark.parametrize("rng", [generator(), np.random.RandomState(0)])
def test_salt_and_pepper_hit_each_channel_by_itself(rng: Random) -> None:
    noisy = impulse_noise(flat(120, 512), 5, rng)
    assert set(np.unique(noisy)) == {0, 120, 255}
    # Were pixels hit as a whole, 0.27 of them would have all three channels hit, half of these all of them salt.
    assert (noisy != 120).all(-1).mean() == pytest.approx(0.27**3, abs=0.002)
    assert (noisy == 255).all(-1).mean() == pytest.approx(0.135**3, abs=0.001)


@pytest.mark.parametrize("function", [speckle_noise, shot_noise])
def test_black_stays_black_where_noise_follows_the_light(function: Noise) -> None:
    for rng in (generator(), np.random.RandomState(0)):
        assert not function(flat(0), 5, rng).any()


@pytest.mark.parametrize("function", NOISES)
def test_noise_grows_with_severity(function: Noise) -> None:
    spreads = [function(flat(110), severity, generator()).std() for severity in SEVERITIES]
    assert spreads == sorted(spreads)
    assert len(set(spreads)) == 5
