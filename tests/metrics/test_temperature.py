"""The pixels that a temperature is fitted to, and the temperature."""

from __future__ import annotations

import numpy as np
import pytest

from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.metrics.temperature import TEMPERATURES, fit_temperature, sampled_pixels


def test_the_sampled_pixels_of_a_picture_depend_on_its_key_and_the_seed_alone() -> None:
    target = np.zeros((50, 60), np.uint8)
    target[10:20] = 255
    first = sampled_pixels(target, 255, 100, "a")
    assert len(np.unique(first)) == 100
    assert (np.diff(first) > 0).all()
    assert (target.ravel()[first] != 255).all()
    sampled_pixels(target, 255, 7, "b")
    assert np.array_equal(first, sampled_pixels(target, 255, 100, "a"))
    assert not np.array_equal(first, sampled_pixels(target, 255, 100, "b"))
    assert not np.array_equal(first, sampled_pixels(target, 255, 100, "a", seed=1))


def test_every_labelled_pixel_is_as_likely_to_be_sampled() -> None:
    target = np.array([[0, 255, 1, 2], [255, 1, 0, 0]])
    drawn = np.concatenate([sampled_pixels(target, 255, 2, str(number)) for number in range(3000)])
    share = np.bincount(drawn, minlength=8) / 3000
    assert np.abs(share - np.where(target.ravel() == 255, 0, 1 / 3)).max() < 0.04


def test_a_picture_with_few_labelled_pixels_gives_all_of_them() -> None:
    assert sampled_pixels(np.array([[255, 4], [5, 255]]), 255, 2, "a").tolist() == [1, 2]
    assert sampled_pixels(np.full((3, 3), 255), 255, 2, "a").tolist() == []


def softmax_draws(sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and targets drawn from their softmax at an inverse temperature."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(20_000, 5)) * 3
    return logits, (logits * sharpness + generator.gumbel(size=logits.shape)).argmax(axis=1)


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_targets_is_found(true_temperature: float) -> None:
    logits, targets = softmax_draws(1 / true_temperature)
    found = fit_temperature(logits.astype(np.float32), targets)
    assert found.value == pytest.approx(true_temperature, rel=0.03)
    assert found.pixels == 20_000
    assert not found.at_limit


def test_the_fitted_temperature_is_the_lowest_point_of_the_likelihood() -> None:
    logits, targets = softmax_draws(0.4)
    found = fit_temperature(logits, targets)

    def nll(temperature: float) -> float:
        scaled = logits / temperature
        normaliser = np.log(np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1)) + scaled.max(axis=1)
        return float((normaliser - scaled[np.arange(len(scaled)), targets]).mean())

    assert found.nll_before == pytest.approx(nll(1.0), rel=1e-12)
    assert found.nll_after == pytest.approx(nll(found.value), rel=1e-12)
    slope = (nll(found.value * 1.001) - nll(found.value * 0.999)) / 0.002
    assert abs(slope) < 1e-6
    assert found.nll_after < nll(found.value * 1.01)
    assert found.nll_after < nll(found.value * 0.99)


def test_large_logits_and_a_far_optimum_are_no_obstacle() -> None:
    logits, targets = softmax_draws(1.0)
    assert fit_temperature(logits * 25 + 1e4, targets).value == pytest.approx(25, rel=0.03)
    assert fit_temperature(logits / 25 - 1e4, targets).value == pytest.approx(1 / 25, rel=0.03)
    beyond = fit_temperature(logits / 400, targets)
    assert (beyond.value, beyond.at_limit) == (TEMPERATURES[0], True)


def test_the_temperature_stays_at_its_limit_where_every_pixel_is_right_or_all_are_wrong() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0]])
    sure = fit_temperature(logits, np.array([0, 1]))
    assert (sure.value, sure.at_limit) == (TEMPERATURES[0], True)
    lost = fit_temperature(logits, np.array([1, 0]))
    assert (lost.value, lost.at_limit) == (TEMPERATURES[1], True)
    huge = fit_temperature(logits * 900, np.array([0, 1]))
    assert (huge.value, huge.at_limit) == (TEMPERATURES[0], True)


def test_logits_that_say_nothing_keep_their_temperature() -> None:
    found = fit_temperature(np.ones((4, 3)), np.array([0, 1, 2, 2]))
    assert (found.value, found.at_limit) == (1.0, False)
    assert found.nll_before == pytest.approx(np.log(3))


def test_a_temperature_that_cannot_be_fitted_is_an_error_that_says_why() -> None:
    with pytest.raises(DataError, match="no labelled pixel"):
        fit_temperature(np.empty((0, 3)), np.empty(0, np.int64))
    with pytest.raises(SegFormerError, match="finite") as caught:
        fit_temperature(np.array([[0.0, 1.0], [np.nan, 1.0]]), np.array([0, 1]))
    assert caught.value.where is not None
    assert "pixel 1" in caught.value.where
    with pytest.raises(ValueError, match="targets are 0 to 2"):
        fit_temperature(np.zeros((2, 2)), np.array([0, 2]))
    with pytest.raises(ValueError, match="not \\(N, K\\)"):
        fit_temperature(np.zeros((2, 2)), np.array([0]))
