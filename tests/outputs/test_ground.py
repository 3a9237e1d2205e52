"""Places on the ground."""

from __future__ import annotations

import numpy as np
import pytest

from segformer_cli.errors import UsageError
from segformer_cli.outputs.ground import Ground


def test_columns_and_rows_each_move_both_ways_on_a_turned_map() -> None:
    places = Ground((0.5, 0.25, 300.0, 0.125, -0.5, 900.0)).places(np.array([[0, 0], [4, 8]]))
    assert places.tolist() == [[300.0, 900.0], [304.0, 896.5]]


def test_square_metres_follow_the_unit_and_a_map_in_degrees_has_none() -> None:
    assert Ground((2, 0, 0, 0, -2, 0), metres=1).square_metres(3) == 12
    assert Ground((2, 0, 0, 0, -2, 0), metres=0.5).square_metres(3) == 3
    assert Ground((2, 0, 0, 0, -2, 0)).square_metres(3) is None


@pytest.mark.parametrize("numbers", [(1, 0, 0, 0, 0, 0), (1, 2, 3), (float("nan"), 0, 0, 0, 1, 0)])
def test_a_transform_that_places_nothing_is_refused(numbers: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="places no picture"):
        Ground(numbers)  # type: ignore[arg-type]


def test_a_unit_of_no_length_is_refused() -> None:
    with pytest.raises(UsageError, match="a unit of 0 metres"):
        Ground((1, 0, 0, 0, 1, 0), metres=0)
