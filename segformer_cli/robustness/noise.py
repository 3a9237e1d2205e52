"""Noise: every value is drawn anew, by chance of its own, around the level it had.

Fast mode draws no normal or Poisson numbers. Noise of one strength gives each of the 256 levels a distribution over
the 256 levels, a row of a 256 x 256 table, and Walker's alias method draws from a row with one look-up and 24 random
bits: the rare levels, which are the tails, have their probability to within 2^-24. A table takes 256 KiB, and a
twentieth of a second once in a process.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from segformer_cli.images import Picture
from segformer_cli.robustness.source import Random, Source, truncated

LEVELS = 256
BLOCK = 2**15
"""Values drawn at a time, which a core's cache holds with all that is made of them."""

GAUSSIAN_SPREAD = 0.08, 0.12, 0.18, 0.26, 0.38
SHOT_PHOTONS = 60, 25, 12, 5, 3
IMPULSE_SHARE = 0.03, 0.06, 0.09, 0.17, 0.27
SPECKLE_SPREAD = 0.15, 0.2, 0.35, 0.45, 0.6


def gaussian_noise(source: Source, severity: int, rng: Random) -> Picture:
    """Normal noise, the same at every level, as a sensor in poor light makes it.

    Source: Hendrycks and Dietterich, ICLR 2019; `imagecorruptions` draws one normal number a value.
    """
    spread = GAUSSIAN_SPREAD[severity - 1]
    if isinstance(rng, np.random.RandomState):
        shares = source.pixels / 255.0
        return truncated((shares + rng.normal(scale=spread, size=shares.shape)) * 255)
    return _drawn_anew(source.pixels, _gaussian_table(spread), rng)


def speckle_noise(source: Source, severity: int, rng: Random) -> Picture:
    """Normal noise in proportion to the level, so that black stays black.

    Source: Hendrycks and Dietterich, ICLR 2019; `imagecorruptions` draws one normal number a value.
    """
    spread = SPECKLE_SPREAD[severity - 1]
    if isinstance(rng, np.random.RandomState):
        shares = source.pixels / 255.0
        return truncated((shares + shares * rng.normal(scale=spread, size=shares.shape)) * 255)
    return _drawn_anew(source.pixels, _speckle_table(spread), rng)


def shot_noise(source: Source, severity: int, rng: Random) -> Picture:
    """The noise of counting light: as many photons as a Poisson draw gives, where white expects `SHOT_PHOTONS`.

    Source: Hendrycks and Dietterich, ICLR 2019; `imagecorruptions` draws one Poisson number a value.
    """
    photons = SHOT_PHOTONS[severity - 1]
    if isinstance(rng, np.random.RandomState):
        return truncated(rng.poisson(source.pixels / 255.0 * photons) / float(photons) * 255)
    return _drawn_anew(source.pixels, _shot_table(photons), rng)


def impulse_noise(source: Source, severity: int, rng: Random) -> Picture:
    """Salt and pepper: a share of the values, each channel by itself, is 255 or 0, as often the one as the other.

    Source: Hendrycks and Dietterich, ICLR 2019. `imagecorruptions` leaves it to scikit-image, whose generator cannot
    be seeded through it: in reference mode the two uniform draws are the same, the numbers behind them are not.
    """
    share, pixels = IMPULSE_SHARE[severity - 1], source.pixels
    if isinstance(rng, np.random.RandomState):
        hit = rng.random_sample(pixels.shape) <= share
        salt = rng.random_sample(pixels.shape) <= 0.5
        return np.where(hit, np.where(salt, np.uint8(255), np.uint8(0)), pixels)
    draws = _bits(rng, 2 * pixels.size).view(np.uint16)[: pixels.size].reshape(pixels.shape)
    hits = round(share / 2 * 2**16)
    return (pixels | _mask(draws < hits)) & ~_mask(draws >= 2**16 - hits)


@cache
def _gaussian_table(spread: float) -> NDArray[np.uint32]:
    return _alias_table(_of_normal(np.full(LEVELS, 255 * spread)))


@cache
def _speckle_table(spread: float) -> NDArray[np.uint32]:
    return _alias_table(_of_normal(np.arange(LEVELS) * spread))


@cache
def _shot_table(photons: int) -> NDArray[np.uint32]:
    return _alias_table(_of_poisson(photons))


def _of_normal(spreads: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability (256, 256) of each level when a normal number is added to a level, one `spread` a level."""
    bounds = np.arange(1, LEVELS)
    with np.errstate(divide="ignore"):
        scores = (bounds - np.arange(LEVELS)[:, None]) / spreads[:, None]
    below = np.vectorize(math.erfc)(scores / -math.sqrt(2)) / 2
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _of_poisson(photons: int) -> NDArray[np.float64]:
    """Probability (256, 256) of each level when photons are counted; at `photons` and above, it is white.

    >>> _of_poisson(3)[255].nonzero()[0].tolist()
    [0, 85, 170, 255]
    """
    expected = np.arange(LEVELS)[:, None] / 255 * photons
    steps = expected / np.arange(1, photons)
    fewer = np.exp(-expected) * np.cumprod(np.concatenate([np.ones_like(expected), steps], axis=1), axis=1)
    counts = np.concatenate([fewer, 1 - fewer.sum(1, keepdims=True)], axis=1)
    probabilities = np.zeros((LEVELS, LEVELS))
    probabilities[:, truncated(np.arange(photons + 1) / float(photons) * 255)] = np.maximum(counts, 0)
    return probabilities


def _alias_table(probabilities: NDArray[np.float64]) -> NDArray[np.uint32]:
    """Rows of probabilities as `_drawn_anew` reads them: 256 cells a row, flat.

    A cell holds two levels: its own number, and its alias, which gives what the cell lacks. The upper 16 bits are the
    share of its own level in 2^-16, the lower 8 how the alias differs from it.

    Source: Walker, An efficient method for generating discrete random variables with general distributions, 1977.
    """
    rows, own = np.arange(LEVELS), np.arange(LEVELS)
    weights = probabilities * LEVELS                                    # a full cell weighs 1
    shares, aliases = np.ones_like(weights), np.tile(own, (LEVELS, 1))
    unfilled = np.ones_like(weights, bool)
    for _ in range(LEVELS - 1):
        poorest = np.where(unfilled, weights, np.inf).argmin(1)
        richest = np.where(unfilled, weights, -np.inf).argmax(1)
        shares[rows, poorest], aliases[rows, poorest] = weights[rows, poorest], richest
        weights[rows, richest] -= 1 - weights[rows, poorest]
        unfilled[rows, poorest] = False
    thresholds = np.clip(np.rint(shares * 2**16), 0, 2**16 - 1)
    table: NDArray[np.uint32] = (thresholds * 2**8 + (aliases ^ own)).astype(np.uint32)
    return table.ravel()


def _drawn_anew(pixels: Picture, table: NDArray[np.uint32], rng: np.random.Generator) -> Picture:
    """Every value replaced by one drawn from its level's row of an alias table."""
    levels, drawn = pixels.reshape(-1), np.empty(pixels.size, np.uint8)
    for start in range(0, levels.size, BLOCK):
        block = levels[start : start + BLOCK]
        bits = _bits(rng, 3 * BLOCK)
        cells, chances = bits[:BLOCK][: block.size], bits[BLOCK:].view(np.uint16)[: block.size]
        entries = table[block.astype(np.uint16) << 8 | cells]
        # Which of the two is a coin toss, at which np.where stumbles; a product does not branch.
        aliased = (chances >= entries >> 8).view(np.uint8)
        drawn[start : start + BLOCK] = cells ^ entries.astype(np.uint8) * aliased
    return drawn.reshape(pixels.shape)


def _bits(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """At least `count` random bytes, in whole words of eight."""
    words = rng.integers(0, 2**64 - 1, -(-count // 8), np.uint64, endpoint=True)
    return words.view(np.uint8)


def _mask(condition: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """255 where true."""
    return np.negative(condition.view(np.uint8))
