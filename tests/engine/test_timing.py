"""Calls counted and timed."""

from __future__ import annotations

import time

import pytest
import torch

from segformer_cli.engine.timing import Timing, timed

CPU = torch.device("cpu")


def test_the_warm_up_is_called_and_not_counted() -> None:
    called: list[int] = []

    def work() -> None:
        called.append(1)
        time.sleep(0.05 if len(called) <= 2 else 0.001)

    found = timed(work, CPU, warm_up=2, calls=6, seconds=60)
    assert len(called) == 8
    assert len(found.calls) == 6
    assert max(found.calls) < 0.05


def test_after_the_seconds_three_calls_are_done_and_no_more() -> None:
    found = timed(lambda: time.sleep(0.02), CPU, warm_up=0, calls=100, seconds=0.001)
    assert len(found.calls) == 3
    assert found.median >= 0.02


def test_median_and_quartiles_are_those_of_a_hand_worked_case() -> None:
    timing = Timing((8.0, 1.0, 3.0, 5.0, 4.0))
    assert timing.median == 4.0
    assert timing.quartiles == (3.0, 5.0)
    assert timing.spread == pytest.approx(0.5)
