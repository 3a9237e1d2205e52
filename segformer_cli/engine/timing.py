"""How long a piece of work takes: called again and again, the device's own work included."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """Seconds of each call, in the order they were made; there are three at least."""

    calls: tuple[float, ...]

    @property
    def median(self) -> float:
        """Half of the calls took longer.

        >>> Timing((1.0, 5.0, 2.0)).median
        2.0
        """
        return statistics.median(self.calls)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the calls was faster than the first, a quarter slower than the second."""
        low, _, high = statistics.quantiles(self.calls, n=4, method="inclusive")
        return low, high

    @property
    def spread(self) -> float:
        """Between the quartiles, as a share of the median.

        >>> Timing((4.0, 3.0, 5.0, 4.0, 4.0)).spread
        0.0
        """
        low, high = self.quartiles
        return (high - low) / self.median


def timed(
    work: Callable[[], object], device: torch.device, *, warm_up: int, calls: int, seconds: float
) -> Timing:
    """Seconds of each of `calls` calls after `warm_up` others; fewer, but three, where `seconds` are over."""
    for _ in range(warm_up):
        work()
    wait_for(device)
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < calls and (len(found) < 3 or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        work()
        wait_for(device)
        found.append(time.perf_counter() - start)
    return Timing(tuple(found))


def wait_for(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
