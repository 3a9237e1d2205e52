"""How long work reports itself: a stream of `Progress`, which a terminal, a notebook or nobody reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Progress:
    """One step of long work: `done` of `total` (None when not known) in `unit`s of a named `stage`.

    `figures` are the live numbers worth showing (loss, mIoU); `message` is a line to keep, such as
    "best mIoU so far".
    """

    stage: str
    done: int
    total: int | None = None
    unit: str = "it"
    figures: Mapping[str, float] = field(default_factory=dict)
    message: str | None = None


ProgressListener = Callable[[Progress], None]
"""What a workflow calls with each step."""


def ignore_progress(step: Progress) -> None:
    """The listener that does nothing."""


class NotebookProgress(AbstractContextManager["NotebookProgress"]):
    """A listener that draws one tqdm bar a stage, for workflows called from Python.

    Bars appear in a notebook or a terminal only; lines worth keeping go to stderr everywhere.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._stage: str | None = None

    def __call__(self, step: Progress) -> None:
        from tqdm.auto import tqdm

        if step.stage != self._stage:
            self._close()
            # None draws where a notebook or a terminal looks on.
            self._bar = tqdm(total=step.total, desc=step.stage, unit=step.unit, disable=None)
            self._stage = step.stage
        self._bar.update(step.done - self._bar.n)
        if step.figures:
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in step.figures.items()})
        if step.message:
            self._bar.write(step.message, file=sys.stderr)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, None


@contextmanager
def listening(progress: bool | ProgressListener) -> Iterator[ProgressListener]:
    """The listener that an argument `progress` asks for: bars for True, nothing for False, or one's own."""
    if not isinstance(progress, bool):
        yield progress
    elif progress:
        with NotebookProgress() as bars:
            yield bars
    else:
        yield ignore_progress
