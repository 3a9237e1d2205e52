"""Scores of grids small enough to work out by hand, and what holds for every grid."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.robustness.protocols import CATEGORY_OF, PAPER_CORRUPTIONS, PROTOCOLS, Cell, severities_of
from segformer_cli.robustness.scores import (
    Grid,
    category_means,
    class_drop,
    mean,
    mean_without,
    robustness,
    share,
)

NAN = float("nan")
cells = st.builds(Cell, st.sampled_from(sorted(CATEGORY_OF)), st.integers(1, 5))
shares = st.floats(0, 1, allow_subnormal=False)
grids = st.dictionaries(cells, shares, min_size=1, max_size=20)


def curve(corruption: str, *mious: float) -> dict[Cell, float]:
    return {Cell(corruption, severity): miou for severity, miou in enumerate(mious, start=1)}


def test_a_hand_worked_grid_has_the_scores_worked_by_hand() -> None:
    grid = curve("fog", 0.8, 0.6, 0.4, 0.2, 0.0) | curve("shot_noise", 0.6, 0.3, 0.3) | curve("snow", 0.5)
    found = robustness(grid, clean=0.8)
    assert found.means == pytest.approx({"fog": 0.4, "shot_noise": 0.4, "snow": 0.5}, abs=1e-15)
    # Of the three corruptions, not of the nine cells: that would be 3.7 / 9.
    assert found.mean == pytest.approx(1.3 / 3, abs=1e-15)
    assert found.retention == pytest.approx(1.3 / 2.4, abs=1e-15)
    assert found.per_category == pytest.approx({"noise": 0.4, "weather": 0.45}, abs=1e-15)
    assert list(found.per_category) == ["noise", "weather"]
    assert [row.retention for row in found.per_corruption] == pytest.approx([0.5, 0.5, 0.625], abs=1e-15)
    assert found.worst_cell == ("fog", 5)
    assert found.worst is not None and found.worst.mean == min(found.means.values())
    assert found.missing == () and found.note is None


def test_the_worst_corruption_need_not_have_the_worst_cell() -> None:
    found = robustness(curve("fog", 0.9, 0.1) | curve("snow", 0.3, 0.3), clean=0.9)
    assert found.worst is not None and found.worst.corruption == "snow"
    assert found.worst_cell == ("fog", 2)


def test_the_area_starts_at_the_clean_score_and_is_straight_between_severities() -> None:
    # 0 to 1: (0.8 + 0.6) / 2; 1 to 2: (0.6 + 0.4) / 2; over a length of 2.
    assert robustness(curve("fog", 0.6, 0.4), clean=0.8).per_corruption[0].area == pytest.approx(0.6, abs=1e-15)
    # 0 to 1: 0.75; 1 to 5: four times 0.25; over a length of 5.
    gap = {Cell("fog", 1): 0.5, Cell("fog", 5): 0.0}
    assert robustness(gap, clean=1.0).per_corruption[0].area == pytest.approx(1.75 / 5, abs=1e-15)
    assert math.isnan(robustness(gap, clean=NAN).per_corruption[0].area)


def test_cells_come_in_any_order_and_curves_rise_with_severity() -> None:
    found = robustness({Cell("fog", 5): 0.1, Cell("snow", 2): 0.3, Cell("fog", 1): 0.7}, clean=0.8)
    assert [(row.corruption, row.severities, row.curve) for row in found.per_corruption] == [
        ("fog", (1, 5), (0.7, 0.1)),
        ("snow", (2,), (0.3,)),
    ]


def test_a_cell_without_a_result_is_left_out_of_the_means_and_named() -> None:
    grid = curve("fog", 0.6, NAN, 0.2) | {Cell("snow", 1): 0.5}
    asked = [Cell("fog", severity) for severity in (1, 2, 3)] + [Cell("frost", 1), Cell("frost", 2)]
    found = robustness(grid, 0.8, asked)
    assert list(found.means) == ["fog", "frost"]
    assert found.means["fog"] == pytest.approx(0.4) and math.isnan(found.means["frost"])
    assert found.mean == pytest.approx(0.4) and found.per_category == pytest.approx({"weather": 0.4})
    assert found.missing == (("fog", 2), ("frost", 1), ("frost", 2))
    assert found.note == (
        "3 of 5 cells have no result, means are over the others: fog at severity 2; frost at severities 1 and 2"
    )
    fog, frost = found.per_corruption
    assert (fog.severities, fog.missing, frost.severities, frost.missing) == ((1, 3), (2,), (), (1, 2))
    assert math.isnan(frost.retention) and math.isnan(frost.area)


def test_nothing_known_has_no_score_and_raises_no_warning() -> None:
    for grid in ({}, {Cell("fog", 1): NAN}):
        found = robustness(grid, clean=NAN)
        assert math.isnan(found.mean) and math.isnan(found.retention)
        assert found.worst is None and found.worst_cell is None
    assert math.isnan(mean([])) and math.isnan(mean([NAN])) and math.isnan(share(0.5, 0.0))
    assert category_means({}) == {}


def test_only_the_papers_severities_make_a_corruption_comparable() -> None:
    grid = curve("fog", *[0.5] * 5) | curve("snow", *[0.5] * 3) | curve("shot_noise", *[0.5] * 3)
    found = robustness(grid | curve("gaussian_noise", *[0.5] * 5), clean=0.8)
    assert {row.corruption: row.comparable for row in found.per_corruption} == {
        "fog": True,
        "snow": False,
        "shot_noise": True,
        "gaussian_noise": False,
    }


def test_the_papers_headline_can_be_read_off_a_grid_of_all_19() -> None:
    rng = random.Random(0)
    grid = {cell: rng.random() for cell in PROTOCOLS["all19"].cells}
    paper = PROTOCOLS["cityscapes-c"].cells
    of_all = robustness(grid, 0.8, paper)
    assert of_all == robustness({cell: grid[cell] for cell in paper}, 0.8)
    assert tuple(of_all.means) == PAPER_CORRUPTIONS
    assert all(row.comparable for row in of_all.per_corruption)
    assert of_all.mean != robustness(grid, 0.8).mean


def test_the_mean_without_frost_is_that_of_the_others() -> None:
    assert mean_without({"fog": 0.5, "snow": 0.25, "frost": 0.0}, ["frost", "pixelate"]) == 0.375


def test_agreement_with_clean_predictions_is_a_grid_whose_clean_number_is_one() -> None:
    found = robustness(curve("fog", 0.9, 0.7), clean=1.0)
    assert found.retention == found.mean == pytest.approx(0.8)


@given(grids, st.floats(0.1, 1), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_no_order_of_cells_changes_a_number(grid: Grid, clean: float, rng: random.Random) -> None:
    shuffled = list(grid)
    rng.shuffle(shuffled)
    one, other = robustness(grid, clean), robustness({cell: grid[cell] for cell in shuffled}, clean)
    assert (one.means, one.mean, one.retention) == (other.means, other.mean, other.retention)
    assert one.per_category == other.per_category
    assert {row.corruption: row for row in one.per_corruption} == {row.corruption: row for row in other.per_corruption}


@given(grids, st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_every_mean_lies_between_the_lowest_and_the_highest_of_what_it_is_over(grid: Grid, clean: float) -> None:
    found = robustness(grid, clean)
    slack = 1e-12
    for row in found.per_corruption:
        assert min(row.curve) - slack <= row.mean <= max(row.curve) + slack
        assert min(*row.curve, clean) - slack <= row.area <= max(*row.curve, clean) + slack
    assert min(found.means.values()) - slack <= found.mean <= max(found.means.values()) + slack
    assert found.worst is not None and found.worst_cell is not None
    assert grid[found.worst_cell] == min(grid.values()) <= found.worst.mean + slack


@given(grids, st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_categories_weighted_by_their_corruptions_make_the_headline(grid: Grid, clean: float) -> None:
    found = robustness(grid, clean)
    counts = {name: sum(CATEGORY_OF[row] == name for row in found.means) for name in found.per_category}
    weighted = sum(found.per_category[name] * count for name, count in counts.items()) / len(found.means)
    assert weighted == pytest.approx(found.mean, abs=1e-12)


@given(grids, shares, st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_one_number_everywhere_is_every_mean(grid: Grid, level: float, clean: float) -> None:
    found = robustness(dict.fromkeys(grid, level), clean)
    for value in (found.mean, *found.means.values(), *found.per_category.values()):
        assert value == pytest.approx(level, abs=1e-15)


@given(st.dictionaries(cells, shares, min_size=2, max_size=20), st.floats(0.1, 1))
@settings(max_examples=60, deadline=None)
def test_a_nan_counts_exactly_as_a_cell_that_is_not_there(grid: dict[Cell, float], clean: float) -> None:
    lost = next(iter(grid))
    with_nan = robustness({**grid, lost: NAN}, clean)
    without = robustness({cell: miou for cell, miou in grid.items() if cell != lost}, clean, grid)
    assert repr(with_nan) == repr(without)
    assert with_nan.missing == (lost,)


def test_a_classs_drop_is_from_its_clean_iou_to_its_mean_under_corruptions() -> None:
    grid = {
        Cell("fog", 1): np.array([0.6, 0.2, NAN]),
        Cell("fog", 2): np.array([0.2, NAN, NAN]),
        Cell("snow", 1): np.array([0.1, 0.6, NAN]),
    }
    found = class_drop(np.array([0.9, 0.8, 0.5]), grid)
    assert found.corruptions == ("fog", "snow")
    np.testing.assert_allclose(found.per_corruption, [[0.4, 0.2, NAN], [0.1, 0.6, NAN]], atol=1e-15)
    np.testing.assert_allclose(found.corrupted, [0.25, 0.4, NAN], atol=1e-15)
    np.testing.assert_allclose(found.drop, [0.65, 0.4, NAN], atol=1e-15)
    assert found.hardest == ("snow", "fog", None)


@given(grids)
@settings(max_examples=60, deadline=None)
def test_the_mean_of_class_drops_is_the_drop_of_the_headline_where_every_class_has_a_score(grid: Grid) -> None:
    rng = np.random.default_rng(len(grid))
    ious = {cell: rng.random(4) for cell in grid}
    clean = rng.random(4)
    found = class_drop(clean, ious)
    of_mious = robustness({cell: float(values.mean()) for cell, values in ious.items()}, float(clean.mean()))
    assert found.drop.mean() == pytest.approx(of_mious.clean - of_mious.mean, abs=1e-12)
    assert found.corruptions == tuple(severities_of(grid))


def test_class_scores_of_another_number_of_classes_are_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"2 classes, but vectors of \[\(3,\)\]"):
        class_drop(np.zeros(2), {Cell("fog", 1): np.zeros(3)})
