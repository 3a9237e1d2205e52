"""Corrupted pictures through the network: each cell once, the same masks whatever the pace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.data.sample import write_sample
from segformer_cli.engine.corrupted import CorruptedMask, Spent, Unreadable, judge_corrupted
from segformer_cli.engine.inference import Segmenter
from segformer_cli.model.checkpoint import network_from
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.protocols import Cell
from tests.conftest import RandomCheckpoint

CELLS = (Cell("fog", 3), Cell("gaussian_noise", 2), Cell("brightness", 5))


@pytest.fixture
def split(tmp_path: Path) -> Split:
    write_sample(tmp_path / "scenes", {"val": 3}, (64, 128))
    return open_data(f"cityscapes:{tmp_path / 'scenes'}", "val")


@pytest.fixture
def segmenter(random_checkpoint: RandomCheckpoint) -> Segmenter:
    return Segmenter.of(network_from(random_checkpoint("b0", classes=19)), torch.device("cpu"))


@pytest.mark.parametrize(
    "pace", [{"batch_size": 2}, {"workers": 2}, {"batch_size": 3, "workers": 1}, {"batch_size": "auto"}]
)
def test_no_pace_changes_a_mask(split: Split, segmenter: Segmenter, pace: dict[str, Any]) -> None:
    def masks(**how: Any) -> dict[tuple[int, Cell | None], bytes]:
        found = judge_corrupted(segmenter, split, range(3), CELLS, Corrupter(seed=4), **how)
        return {(each.index, each.cell): each.mask.tobytes() for each in found if isinstance(each, CorruptedMask)}

    expected = masks()
    assert len(expected) == 12
    assert len(set(expected.values())) > 6
    assert masks(**pace) == expected


def test_every_cell_comes_with_its_target_and_the_clean_mask(split: Split, segmenter: Segmenter) -> None:
    spent = Spent()
    found = list(judge_corrupted(segmenter, split, [2, 0], CELLS, Corrupter(), confident=True, spent=spent))
    assert [each for each in found if isinstance(each, int)] == [2, 0]
    for each in found:
        if not isinstance(each, CorruptedMask):
            continue
        assert np.array_equal(each.target, split.read(split.pairs[each.index])[1])
        assert each.confidence is not None and each.confidence.shape == each.mask.shape
        if each.cell is None:
            image, _ = split.read(split.pairs[each.index])
            assert np.array_equal(each.mask, segmenter.mask(image))
            clean = each.mask
        assert np.array_equal(each.clean_mask, clean)
    assert spent.network_s > 0
    assert spent.corrupting_s > 0


def test_another_seed_gives_other_noise_and_the_same_clean_mask(split: Split, segmenter: Segmenter) -> None:
    def masks(seed: int) -> dict[Cell | None, bytes]:
        found = judge_corrupted(segmenter, split, [0], CELLS, Corrupter(seed=seed))
        return {each.cell: each.mask.tobytes() for each in found if isinstance(each, CorruptedMask)}

    a, b = masks(0), masks(1)
    assert a[None] == b[None]
    assert a[CELLS[1]] != b[CELLS[1]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_named_and_the_others_go_on(
    split: Split, segmenter: Segmenter, workers: int
) -> None:
    broken = split.pairs[1].image
    broken.write_bytes(broken.read_bytes()[:200])
    found = list(judge_corrupted(segmenter, split, range(3), CELLS, Corrupter(), workers=workers))
    failed = [each for each in found if isinstance(each, Unreadable)]
    assert [each.index for each in failed] == [1]
    assert broken.name in failed[0].error
    assert [each for each in found if isinstance(each, int)] == [0, 2]


def test_a_picture_too_small_to_corrupt_is_unreadable(tmp_path: Path, segmenter: Segmenter) -> None:
    write_sample(tmp_path / "small", {"val": 1}, (30, 60))
    split = open_data(f"cityscapes:{tmp_path / 'small'}", "val")
    *_, last = judge_corrupted(segmenter, split, [0], CELLS, Corrupter())
    assert isinstance(last, Unreadable)
    assert "32" in last.error
