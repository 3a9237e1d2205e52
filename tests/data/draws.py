"""A generator whose draws are written down beforehand, and which notes what was asked of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator


class Draws:
    """Stands in for numpy's generators, new and old.

    Args:
        coins: of each toss, whether it comes up.
        shares: of each number, how far up its range it lies, 0 to below 1.
    """

    def __init__(self, coins: Iterable[bool] = (), shares: Iterable[float] = ()) -> None:
        self._coins: Iterator[bool] = iter(coins)
        self._shares: Iterator[float] = iter(shares)
        self.asked: list[object] = []

    def coin(self) -> bool:
        self.asked.append("coin")
        return next(self._coins)

    def random(self) -> float:
        """Below one half where the coin comes up."""
        return 0.25 if self.coin() else 0.75

    def uniform(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return low + next(self._shares) * (high - low)

    def integers(self, low: int, high: int) -> int:
        self.asked.append((low, high))
        return math.floor(low + next(self._shares) * (high - low))
