"""How long a robustness run will take: what is said, when nothing is, and of which picture it is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.images import Picture
from segformer_cli.model.checkpoint import network_from
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.protocols import Cell
from segformer_cli.robustness.source import Source
from segformer_cli.workflows.estimate import duration, estimate_sentence, time_estimate
from tests.conftest import RandomCheckpoint

CELLS = (Cell("fog", 1), Cell("fog", 3), Cell("fog", 5), Cell("contrast", 2))


def test_in_one_process_network_and_corruptions_add_up_and_beside_it_the_slower_counts() -> None:
    alone = estimate_sentence(4.0, 2.0, 100, 72, workers=0)
    assert alone == (
        "100 images as they are and in 72 variants: about 10 min (network 7 min, corruptions 3 min in the same process)"
    )
    beside = estimate_sentence(4.0, 2.0, 100, 72, workers=1)
    assert beside is not None and "about 7 min" in beside and beside.endswith("in 1 process beside it)")


@pytest.mark.parametrize(("workers", "total"), [(1, "about 10 min"), (2, "about 5 min"), (4, "about 2 min")])
def test_processes_share_the_corruptions_until_the_network_is_the_slower(workers: int, total: str) -> None:
    said = estimate_sentence(1.0, 6.0, 100, 72, workers)
    assert said is not None and total in said
    assert f"corruptions 10 min in {workers} process{'es' * (workers > 1)} beside it" in said


def test_less_than_a_minute_is_not_worth_saying() -> None:
    assert estimate_sentence(1.0, 0.0, 59, 72, workers=1) is None
    assert estimate_sentence(1.0, 0.0, 60, 72, workers=1) is not None


def test_only_beyond_a_quarter_of_an_hour_fewer_images_are_proposed() -> None:
    assert "--limit" not in (estimate_sentence(9.0, 0.0, 100, 72, workers=0) or "")
    said = estimate_sentence(9.0, 0.0, 200, 72, workers=0)
    assert said is not None and said.endswith("; --limit 100 would take about 15 min")


def test_no_fewer_than_two_images_are_proposed_and_no_more_than_there_are() -> None:
    said = estimate_sentence(3600.0, 0.0, 3, 72, workers=0)
    assert said is not None and said.endswith("; --limit 2 would take about 2 h")
    assert "--limit" not in (estimate_sentence(3600.0, 0.0, 2, 72, workers=0) or "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(89.4, "89 s"), (90.0, "2 min"), (89.9 * 60, "90 min"), (90 * 60, "1.5 h"), (100 * 3600, "1e+02 h")],
)
def test_a_duration_has_two_figures_and_the_unit_that_keeps_it_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


class Idle(Corrupter):
    """Corrupts nothing, and remembers what it was asked for."""

    def __call__(self, source: Source, key: str, cell: Cell) -> Picture:
        asked.append((key, cell))
        return source.pixels


asked: list[tuple[str, Cell]] = []


@pytest.fixture
def segmenter(random_checkpoint: RandomCheckpoint) -> Segmenter:
    return Segmenter.of(network_from(random_checkpoint("b0")), torch.device("cpu"))


def pictures(root: Path) -> Split:
    """Three pictures: broken, too small to corrupt, and one that can be taken."""
    (root / "a.png").write_bytes(b"no picture")
    for name, size in (("b", (31, 64)), ("c", (64, 64))):
        Image.fromarray(np.zeros((*size, 3), np.uint8)).save(root / f"{name}.png")
    return open_pictures(str(root), "val", ["thing"])


def test_it_is_measured_on_the_first_picture_that_can_be_taken_at_the_middle_severity_of_each_corruption(
    tmp_path: Path, segmenter: Segmenter
) -> None:
    asked.clear()
    assert time_estimate(segmenter, pictures(tmp_path), [0, 1, 2], CELLS, Idle(), workers=0) is None
    # Twice each: the first time makes what all pictures share.
    assert asked == [("c.png", Cell("fog", 3))] * 2 + [("c.png", Cell("contrast", 2))] * 2


def test_where_no_picture_can_be_taken_nothing_is_said(tmp_path: Path, segmenter: Segmenter) -> None:
    asked.clear()
    assert time_estimate(segmenter, pictures(tmp_path), [0, 1], CELLS, Idle(), workers=0) is None
    assert asked == []


def test_every_variant_counts_and_the_clean_picture_too(
    tmp_path: Path, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a second for the network and for each corruption: 5 of the network and 4 of corruptions, for 100 images."""
    ticks = iter(range(10_000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    said = time_estimate(segmenter, pictures(tmp_path), [2] * 100, CELLS, Idle(), workers=0)
    assert said == (
        "100 images as they are and in 4 variants: about 15 min (network 8 min, corruptions 7 min in the same process)"
    )
