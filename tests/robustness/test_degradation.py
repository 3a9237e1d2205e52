"""CD and rCD of grids small enough to work out by hand, and what holds for every grid."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.robustness.degradation import Reference, degradation, reference_of_grid
from segformer_cli.robustness.protocols import CATEGORY_OF, Cell, severities_of
from segformer_cli.robustness.scores import robustness

cells = st.builds(Cell, st.sampled_from(sorted(CATEGORY_OF)), st.integers(1, 5))
pairs = st.dictionaries(cells, st.tuples(st.floats(0, 0.9), st.floats(0, 0.85)), min_size=1, max_size=15)
NAN = float("nan")


def test_cd_and_rcd_are_ratios_of_sums_worked_by_hand() -> None:
    grid = {Cell("fog", 1): 0.7, Cell("fog", 2): 0.5, Cell("snow", 1): 0.4}
    other = {Cell("fog", 1): 0.5, Cell("fog", 2): 0.3, Cell("snow", 1): 0.2}
    found = degradation(robustness(grid, 0.8), reference_of_grid("other", other, 0.6, grid))
    # fog: D = 0.3 + 0.5 beside 0.5 + 0.7, less the clean D: 0.1 + 0.3 beside 0.1 + 0.3. snow: 0.6 / 0.8; 0.4 / 0.4.
    assert found.cd == pytest.approx({"fog": 0.8 / 1.2, "snow": 0.75})
    assert found.rcd == pytest.approx({"fog": 1.0, "snow": 1.0})
    assert found.mcd == pytest.approx((0.8 / 1.2 + 0.75) / 2)
    assert found.mrcd == pytest.approx(1.0)
    assert found.note is None


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_the_ratio_of_means_is_the_ratio_of_the_sums_of_the_definition(both: dict[Cell, tuple[float, float]]) -> None:
    grid, other = ({cell: values[i] for cell, values in both.items()} for i in (0, 1))
    clean, other_clean = 0.95, 0.9
    found = degradation(robustness(grid, clean), reference_of_grid("other", other, other_clean, grid))
    for corruption, severities in severities_of(both).items():
        own = [1 - grid[Cell(corruption, severity)] for severity in severities]
        theirs = [1 - other[Cell(corruption, severity)] for severity in severities]
        assert found.cd[corruption] == pytest.approx(sum(own) / sum(theirs))
        relative = sum(d - (1 - clean) for d in own) / sum(d - (1 - other_clean) for d in theirs)
        assert found.rcd[corruption] == pytest.approx(relative)
    assert found.mcd == pytest.approx(sum(found.cd.values()) / len(found.cd))


@given(pairs)
@settings(max_examples=40, deadline=None)
def test_a_model_beside_itself_has_one_everywhere(both: dict[Cell, tuple[float, float]]) -> None:
    grid = {cell: values[0] for cell, values in both.items()}
    found = degradation(robustness(grid, 0.95), reference_of_grid("itself", grid, 0.95, grid))
    for value in (found.mcd, found.mrcd, *found.cd.values(), *found.rcd.values()):
        assert value == pytest.approx(1.0)
    assert found.left_out == {}


def test_a_weak_but_steady_model_has_a_high_cd_and_a_low_rcd() -> None:
    strong = Reference("strong", 0.8, {"fog": 0.6}, {"fog": (1,)})
    steady = degradation(robustness({Cell("fog", 1): 0.45}, clean=0.5), strong)
    assert steady.mcd == pytest.approx(0.55 / 0.4) and steady.mrcd == pytest.approx(0.05 / 0.2)


def test_a_reference_grid_with_more_cells_is_read_at_the_cells_asked_for() -> None:
    other = {Cell("fog", severity): 1 - severity / 10 for severity in range(1, 6)}
    mine = {Cell("fog", 1): 0.5, Cell("fog", 2): 0.5}
    found = degradation(robustness(mine, 0.8), reference_of_grid("other", other, 1.0, mine))
    assert found.cd["fog"] == pytest.approx(0.5 / 0.15)


def test_a_corruption_at_other_severities_than_the_references_has_no_cd_and_is_named() -> None:
    known = Reference("other", 0.8, {"fog": 0.5, "snow": 0.5}, {"fog": (1, 2, 3, 4, 5), "snow": (1,)})
    grid = {Cell("fog", 3): 0.4, Cell("snow", 1): 0.25, Cell("pixelate", 1): 0.5, Cell("frost", 1): NAN}
    found = degradation(robustness(grid, 0.8), known)
    assert [name for name, value in found.cd.items() if math.isnan(value)] == ["fog", "pixelate", "frost"]
    assert found.mcd == pytest.approx(1.5) and found.mrcd == pytest.approx(0.55 / 0.3)
    assert found.left_out == {
        "fog": "here severity 3, in the reference severities 1 to 5",
        "pixelate": "the reference has none",
        "frost": "it has no result",
    }
    assert found.note is not None and found.note.startswith("beside other, 3 of 4 corruptions are not complete (fog: ")


def test_a_reference_grid_that_lacks_a_cell_is_not_set_beside_the_whole_curve() -> None:
    mine = {Cell("fog", 1): 0.5, Cell("fog", 2): 0.25}
    found = degradation(robustness(mine, 0.8), reference_of_grid("other", {Cell("fog", 1): 0.5}, 0.8, mine))
    assert math.isnan(found.mcd)
    assert found.left_out == {"fog": "here severities 1 and 2, in the reference severity 1"}


def test_a_reference_that_loses_nothing_measures_no_loss() -> None:
    gains = Reference("gains", 0.6, {"brightness": 0.7}, {"brightness": (1,)})
    found = degradation(robustness({Cell("brightness", 1): 0.55}, 0.6), gains)
    assert found.cd["brightness"] == pytest.approx(1.5) and math.isnan(found.rcd["brightness"])
    assert "no rCD" in found.left_out["brightness"]
    perfect = Reference("perfect", 1.0, {"brightness": 1.0}, {"brightness": (1,)})
    assert math.isnan(degradation(robustness({Cell("brightness", 1): 0.5}, 0.6), perfect).mcd)


def test_a_model_that_gains_has_a_negative_rcd() -> None:
    known = Reference("other", 0.8, {"brightness": 0.6}, {"brightness": (1,)})
    assert degradation(robustness({Cell("brightness", 1): 0.9}, 0.8), known).mrcd == pytest.approx(-0.5)
