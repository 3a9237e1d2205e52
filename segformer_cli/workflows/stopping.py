"""Work that is asked to stop: it ends what is under way first."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

AT_ONCE_S = 1.0
"""Signals that come so close together are one."""


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Says whether SIGINT or SIGTERM came, so that the step under way ends first; a later one does not wait."""
    asked = threading.Event()
    last = 0.0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal last
        # A terminal tells all processes at once, and the one that started them tells them again.
        if asked.is_set() and time.monotonic() - last > AT_ONCE_S:
            raise KeyboardInterrupt
        last = time.monotonic()
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
