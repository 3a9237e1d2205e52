"""Threads that read many files, in their order; and how many cores there are for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Seen = TypeVar("Seen")

AHEAD = 16
"""Items under way for each thread: enough to keep it busy, few enough that Ctrl-C is answered at once."""


def each_of(
    function: Callable[[Item], Seen], items: Iterable[Item], threads: int, ahead: int = AHEAD
) -> Iterator[Seen]:
    """What a function makes of each item, in their order.

    Args:
        ahead: items under way for each thread; of large ones fewer.

    >>> list(each_of(abs, [-2, 1, -3], threads=2))
    [2, 1, 3]
    """
    waiting: deque[Future[Seen]] = deque()
    with ThreadPoolExecutor(max(1, threads)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead * max(1, threads):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def prefetched(items: Iterable[Item], ahead: int) -> Iterator[Item]:
    """The same items, of which a thread of its own has the next ones at hand.

    >>> list(prefetched(iter("abc"), ahead=2))
    ['a', 'b', 'c']
    """
    over = object()
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        waiting = deque(pool.submit(next, source, over) for _ in range(ahead))
        while (item := waiting.popleft().result()) is not over:
            waiting.append(pool.submit(next, source, over))
            yield item  # type: ignore[misc]


def cores() -> int:
    """The processor's cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
