"""The first part that differs is named."""

from __future__ import annotations

import math

import pytest
import torch

from segformer_cli.export.bisect import HEAD, first_divergence

MAPS = [torch.full((1, 2, 4, 4), float(number)) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
@pytest.mark.parametrize("factor", [1.01, math.nan])
def test_it_is_the_stage_from_which_on_maps_differ(stage: int, factor: float) -> None:
    found = [each * factor if number >= stage else each for number, each in enumerate(MAPS)]
    assert first_divergence(MAPS, found, 1e-3) == f"stage {stage + 1} of the encoder"


def test_where_all_maps_agree_it_is_the_head() -> None:
    assert first_divergence(MAPS, [each * 1.0009 for each in MAPS], 1e-3) == HEAD


def test_a_map_of_another_size_differs() -> None:
    assert first_divergence(MAPS, [MAPS[0], MAPS[1][..., :-1], *MAPS[2:]], 1e-3) == "stage 2 of the encoder"
