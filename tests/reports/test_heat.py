"""Heat maps: every cell has the shade of its share of the row, in a drawing that stays small."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segformer_cli.reports.heat import HeatView, heat_view
from segformer_cli.reports.page import Page, render
from segformer_cli.reports.parts import HeatMap


def names(number: int) -> tuple[str, ...]:
    return tuple(f"class {index}" for index in range(number))


def painted(view: HeatView, number: int) -> np.ndarray:
    """The opacity of each cell as the paths draw it; a cell drawn twice is a mistake."""
    cells = np.zeros((number, number))
    for shade in view.shades:
        runs = re.findall(r"M(\d+) (\d+)h(\d+)v1H(\d+)z", shade.path)
        assert "".join(f"M{x} {y}h{w}v1H{b}z" for x, y, w, b in runs) == shade.path
        for x, y, width, begin in runs:
            assert x == begin
            run = cells[int(y), int(x) : int(x) + int(width)]
            assert len(run) == int(width) and not run.any()
            run[:] = shade.opacity
            assert shade.right == (x == y)
    return cells


@settings(max_examples=60, deadline=None)
@given(counts=st.integers(1, 9).flatmap(lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 10**12))))
def test_the_paths_give_each_cell_the_root_of_its_share_to_a_twentieth(counts: np.ndarray) -> None:
    K = len(counts)
    totals = counts.sum(1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros((K, K)), where=totals > 0)
    assert painted(heat_view(HeatMap(names(K), counts.tolist())), K) == pytest.approx(np.sqrt(share), abs=0.0251)


def test_cells_of_few_classes_have_their_share_written_in() -> None:
    view = heat_view(HeatMap(names(2), [[995, 5], [1, 999]]))
    assert [cell.text for cell in view.written] == ["100", "0", "100"]
    assert not heat_view(HeatMap(names(30), np.eye(30, dtype=int).tolist())).written


def test_a_class_without_true_pixels_is_told_apart() -> None:
    view = heat_view(HeatMap(names(2), [[3, 1], [0, 0]]))
    assert [label.known for label in view.labels] == [True, False]
    assert not painted(view, 2)[1].any()


def test_many_classes_are_numbered_and_few_are_named() -> None:
    assert [label.text for label in heat_view(HeatMap(names(3), [[1] * 3] * 3)).labels] == list(names(3))
    many = heat_view(HeatMap(names(150), np.eye(150, dtype=int).tolist()))
    assert [label.text for label in many.labels] == [str(index) for index in range(0, 150, 10)]
    long = heat_view(HeatMap(("a" * 60, "b"), [[1, 0], [0, 1]])).labels[0]
    assert len(long.text) == 22 and long.name == "a" * 60


def test_the_largest_confusions_are_listed_by_their_counts(parsed: Callable[[str], Any]) -> None:
    counts = [[90, 10, 0], [5, 15, 20], [0, 0, 7]]
    root = parsed(render(Page("x", (HeatMap(("road", "car", "sky"), counts),))))
    rows = [[cell.text for cell in row.inside if cell.tag in ("th", "td")] for row in root.all("tbody")[0].all("tr")]
    assert rows == [["car", "sky", "20", "50.00"], ["road", "car", "10", "10.00"], ["car", "road", "5", "12.50"]]


def test_a_perfect_map_has_no_list_of_confusions(parsed: Callable[[str], Any]) -> None:
    assert not parsed(render(Page("x", (HeatMap(("a", "b"), [[1, 0], [0, 1]]),)))).all("table")


@pytest.mark.parametrize("number", [1, 2, 19, 41, 150, 171])
def test_a_full_map_of_any_number_of_classes_is_small(number: int) -> None:
    counts = np.random.default_rng(0).integers(0, 10**7, (number, number)) ** 2 // 10**7
    html = render(Page("x", (HeatMap(names(number), counts.tolist()),)))
    assert len(html) < 600_000


@pytest.mark.parametrize("counts", [[[1, 2]], [[1], [2]], [[1, 2], [3, -1]]])
def test_counts_that_do_not_fit_the_names_are_a_mistake(counts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="2 names need 2 x 2 counts"):
        heat_view(HeatMap(("a", "b"), counts))


def test_long_and_wide_names_get_the_room_they_need() -> None:
    def left(name: str) -> float:
        return heat_view(HeatMap((name, "b"), [[1, 0], [0, 1]])).left

    assert left("a") < left("a name of twenty-one ") < left("道路" * 10)
