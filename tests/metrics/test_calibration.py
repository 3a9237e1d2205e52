"""Confidences: how they are counted, and how they are judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.metrics.calibration import BINS, STEPS, Calibration, calibration, confidence_counts

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
