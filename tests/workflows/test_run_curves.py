"""The picture of how a run went."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.images import Picture
from segformer_cli.workflows.run_curves import (
    BLUE,
    HEIGHT,
    LEFT,
    ORANGE,
    RIGHT,
    TOP,
    WIDTH,
    running_median,
    write_curves,
)


def write_logs(folder: Path, losses: list[float], mious: dict[int, float]) -> None:
    rows = [{"iteration": at, "loss": loss, "lr": 1e-4} for at, loss in enumerate(losses, 1)]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if mious:
        (folder / "metrics.csv").write_text("iteration,miou\n" + "".join(f"{at},{x}\n" for at, x in mious.items()))


def places(picture: Picture, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of the pixels of exactly this colour."""
    return np.argwhere((picture == colour).all(-1))


def test_three_panels_lie_above_each_other_in_the_file_as_in_what_is_given_back(tmp_path: Path) -> None:
    write_logs(tmp_path, [2.0, 1.0, 0.5], {2: 0.25, 3: 0.5})
    picture = write_curves(tmp_path)
    assert picture.shape == (3 * HEIGHT, WIDTH, 3)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "curves.png")), picture)


def test_a_loss_that_falls_is_a_line_that_falls_and_the_best_score_has_a_ring(tmp_path: Path) -> None:
    write_logs(tmp_path, [2.0, 1.5, 1.0, 0.5], {2: 0.2, 3: 0.8, 4: 0.4})
    picture = write_curves(tmp_path)
    line = places(picture[:HEIGHT], BLUE)
    first, last = line[line[:, 1].argmin()], line[line[:, 1].argmax()]
    assert first[0] < last[0]
    assert last[1] == pytest.approx(WIDTH - RIGHT, abs=3)
    ring = places(picture[2 * HEIGHT :], ORANGE).mean(0)
    assert ring[1] == pytest.approx(LEFT + 0.75 * (WIDTH - RIGHT - LEFT), abs=3)
    assert ring[0] == pytest.approx(TOP, abs=3)
    assert not len(places(picture[: 2 * HEIGHT], ORANGE))


def test_a_few_huge_losses_do_not_flatten_the_rest(tmp_path: Path) -> None:
    write_logs(tmp_path, [1e6, *np.linspace(2.0, 1.0, 199)], {})
    line = places(write_curves(tmp_path)[:HEIGHT], BLUE)
    late = line[line[:, 1] > WIDTH // 2, 0]
    assert TOP < late.min() < late.max() < HEIGHT - 60      # not on the axis
    assert line[:, 0].min() >= TOP                          # nor over the title


def test_before_the_first_validation_there_are_two_panels(tmp_path: Path) -> None:
    write_logs(tmp_path, [2.0], {})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"iteration": 1, "note": "x"}\n{"iteration": 2, "lo')
    assert write_curves(tmp_path).shape[0] == 2 * HEIGHT


def test_scores_that_are_not_defined_are_left_out(tmp_path: Path) -> None:
    write_logs(tmp_path, [1.0], {1: float("nan")})
    assert write_curves(tmp_path).shape[0] == 2 * HEIGHT


def test_the_running_median_follows_the_losses_and_no_single_one() -> None:
    assert running_median([]) == []
    assert running_median([3.0] * 5) == [3.0] * 5
    found = running_median([1.0] * 50 + [1e6] + [1.0] * 50 + [2.0] * 50)
    assert len(found) == 151
    assert set(found[:101]) == {1.0}
    assert found[-1] == 2.0
