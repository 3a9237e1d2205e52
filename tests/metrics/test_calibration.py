"""Confidences, how they are counted and judged, and the temperature that mends them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.metrics.calibration import (
    BINS,
    STEPS,
    TEMPERATURES,
    Calibration,
    calibration,
    confidence_counts,
    fit_temperature,
    sampled_pixels,
)

CONFIDENCES = arrays(np.float32, 40, elements=st.floats(0, 1, width=32))


def drawn(pixels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences as a network has them, most very near 1, and whether each is right; overconfident."""
    generator = np.random.default_rng(seed)
    confidence = (1 - generator.beta(0.12, 3.0, pixels)).astype(np.float32)
    return confidence, generator.random(pixels) < 0.97 * confidence


def judged(confidence: list[float], correct: list[bool]) -> Calibration:
    return calibration(confidence_counts(np.array(confidence, np.float32), np.array(correct, np.bool_)))


def test_a_hand_worked_case_has_the_scores_worked_by_hand() -> None:
    found = judged([0.9, 0.9, 0.9, 0.9, 0.5, 0.5], [True, True, True, False, True, False])
    assert found.pixels == 6
    assert found.accuracy == 4 / 6
    assert found.mean_confidence == pytest.approx(4.6 / 6, abs=1e-7)
    # 0.9 lies in the bin (13/15, 14/15], 0.5 in (7/15, 8/15]: gaps 0.15 and 0.
    assert found.ece == pytest.approx(4 / 6 * 0.15, abs=1e-7)
    assert [index for index, each in enumerate(found.bins) if each.share] == [7, 13]
    assert (found.bins[13].accuracy, found.bins[13].share) == (0.75, 4 / 6)
    assert found.bins[13].confidence == pytest.approx(0.9, abs=1e-7)
    assert (found.bins[13].low, found.bins[13].high) == (13 / 15, 14 / 15)
    # Risk is 1/4 over the first two thirds; then errors rise from 1 to 2 among 4 to 6 pixels.
    assert [(point.coverage, point.risk) for point in found.risk_coverage] == [(4 / 6, 1 / 4), (1, 2 / 6)]
    rising = 0.5 * 2 + (1 - 0.5 * 4) * np.log(6 / 4)
    assert found.aurc == pytest.approx((1 + rising) / 6)


def test_no_pixel_has_no_score_and_raises_no_warning() -> None:
    found = judged([], [])
    assert found.pixels == 0
    assert np.isnan([found.ece, found.accuracy, found.mean_confidence, found.aurc, found.bins[3].accuracy]).all()
    assert found.risk_coverage == ()


def test_the_upper_end_of_a_bin_belongs_to_it() -> None:
    above = float(np.nextafter(np.float32(0.5), np.float32(1)))
    for confidence, index in ((0.5, 599), (above, 600), (0.75, 899), (0.0, 0), (1.0, BINS - 1)):
        assert confidence_counts(np.array([confidence]), np.array([True]))[index, 0] == 1
    assert judged([1.0], [True]).bins[14].share == 1
    assert judged([0.33333], [True]).bins[4].share == 1
    assert judged([0.33334], [True]).bins[5].share == 1


def test_ece_and_the_diagram_equal_a_plain_computation() -> None:
    confidence, correct = drawn(20_000)
    exact = confidence.astype(np.float64)
    expected, diagram = 0.0, []
    for index in range(15):
        inside = (exact > index / 15) & (exact <= (index + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - exact[inside].mean())
            diagram.append((correct[inside].mean(), exact[inside].mean(), inside.mean()))
    found = calibration(confidence_counts(confidence, correct))
    assert found.ece == pytest.approx(expected, abs=1e-7)
    assert found.ece > 0.02
    bars = [(each.accuracy, each.confidence, each.share) for each in found.bins if each.share]
    assert np.allclose(bars, diagram, atol=1e-7)
    assert found.accuracy == correct.mean()
    assert found.mean_confidence == pytest.approx(exact.mean(), abs=1e-7)


def test_the_area_under_the_curve_equals_that_of_sorted_pixels() -> None:
    confidence, correct = drawn(20_000)
    # The expected number of errors among the k most confident, where the order of equals is open.
    order = np.argsort(-confidence)
    ends = np.append(np.flatnonzero(np.diff(confidence[order])), len(order) - 1)
    kept = np.arange(1, len(order) + 1)
    wrong = np.interp(kept, np.append(0, kept[ends]), np.append(0, np.cumsum(~correct[order])[ends]))
    found = calibration(confidence_counts(confidence, correct))
    assert found.aurc == pytest.approx((wrong / kept).mean(), rel=0.002)
    # Half the pixels lie in the last of 1,200 equal bins; the curve still tells them apart.
    assert np.median(confidence) > 1199 / 1200
    assert sum(point.coverage < 0.5 for point in found.risk_coverage) > 15
    for point in found.risk_coverage:
        sure = confidence >= point.confidence
        assert point.coverage == pytest.approx(sure.mean(), abs=1e-4)
        assert point.risk == pytest.approx(1 - correct[sure].mean(), abs=1e-4)


def test_the_curve_has_at_most_a_hundred_points_and_ends_with_every_pixel() -> None:
    confidence = np.linspace(0.2, 1, 50_000, dtype=np.float32)
    found = calibration(confidence_counts(confidence, confidence > 0.5))
    assert len(found.risk_coverage) == 100
    coverages = [point.coverage for point in found.risk_coverage]
    assert coverages == sorted(set(coverages))
    assert coverages[-1] == 1
    assert found.risk_coverage[-1].risk == 1 - found.accuracy


def test_bins_part_the_range_without_gap_and_grow_finer_towards_one() -> None:
    steps = np.unique(np.append(np.arange(1, STEPS, 1999), np.arange(STEPS - 15_000, STEPS + 1)))
    bins = [int(confidence_counts(np.array([step / STEPS]), np.array([True]))[:, 0].argmax()) for step in steps]
    assert bins == sorted(bins)
    assert set(bins) == set(range(BINS))
    widths = np.bincount(np.array(bins)[steps > STEPS * (1 - 1 / 1200)])[1199:]
    assert widths.sum() == STEPS // 1200 + 1
    # The first is what is left of its eighth of an octave.
    assert widths[1] > 1000
    assert (widths[2:] <= widths[1:-1] + 1).all()
    assert widths[-8:].tolist() == [1, 1, 1, 1, 1, 1, 1, 1]


@given(CONFIDENCES, arrays(np.bool_, 40), st.permutations(range(40)), st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_counts_are_whole_numbers_that_no_order_or_batch_changes(
    confidence: np.ndarray, correct: np.ndarray, order: list[int], cut: int
) -> None:
    counts = confidence_counts(confidence, correct)
    assert counts.dtype == np.int64
    assert counts.shape == (BINS, 3)
    mixed, right = confidence[order], correct[order]
    parts = confidence_counts(mixed[:cut], right[:cut]) + confidence_counts(mixed[cut:], right[cut:])
    assert np.array_equal(parts, counts)
    assert counts[:, :2].sum(axis=0).tolist() == [40, correct.sum()]
    assert counts[:, 2].sum() == np.rint(confidence.astype(np.float64) * STEPS).sum()


def test_confidences_that_are_none_are_refused() -> None:
    right = np.array([True])
    for wrong in (np.nan, -0.1, 1.1, np.inf):
        with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
            confidence_counts(np.array([wrong]), right)
    with pytest.raises(ValueError, match="correct is"):
        confidence_counts(np.array([0.5, 0.5]), right)
    assert confidence_counts(np.array([1.0000001]), right)[BINS - 1].tolist() == [1, 1, STEPS]


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
