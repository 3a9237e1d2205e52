"""The only rich code: tables and reports on stdout, progress and notes on stderr, --json.

stdout carries results alone: what a person reads, or exactly one JSON object. Rich is loaded only where a
terminal looks on.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING

from segformer_cli.errors import SegFormerError
from segformer_cli.processes import follows
from segformer_cli.progress import Progress
from segformer_cli.report import as_text, report

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


LEAST_NAME = 6
"""To so many letters a name is cut on a narrow terminal before lines run over."""


class Verdict(Exception):
    """A report was made, yet the command ends with `error`: a check's no, inputs that failed.

    `document` is the JSON object to print, None where the report was printed as text already.
    """

    def __init__(self, error: SegFormerError, document: Mapping[str, object] | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.document = document


class Console(AbstractContextManager["Console"]):
    """What one command says, and where.

    Args:
        command: its name in the JSON object.
        json_output: one JSON object on stdout, nothing else there.
        quiet: no progress, no notes; results and errors remain.
        verbose: details too.
        no_progress: no bar.
    """

    def __init__(
        self,
        command: str,
        *,
        json_output: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        no_progress: bool = False,
    ) -> None:
        self.command = command
        self.json_output = json_output
        self.quiet = quiet or follows()
        self.verbose = verbose
        self.warnings: list[str] = []
        self._draw = not (self.quiet or no_progress) and sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stage: str | None = None
        self._tables = 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_bar()

    def progress(self, step: Progress) -> None:
        """The listener for a workflow: a bar where a terminal looks on, else only the lines worth keeping."""
        if self._draw:
            self._move_bar(step)
        if step.message:
            self.say(step.message)

    def say(self, text: str) -> None:
        """A note on stderr."""
        if not self.quiet:
            self._note(text)

    def detail(self, text: str) -> None:
        """A note that only --verbose shows."""
        if self.verbose:
            self._note(text)

    def warn(self, text: str) -> None:
        """Something to know before trusting the result: on stderr even when quiet, and in the JSON object; once."""
        if text not in self.warnings:
            self.warnings.append(text)
            if not follows():
                self._note(f"warning: {text}")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Rows on stdout; nothing with --json, whose object carries them.

        Numbers go to the right: a float with four digits, a Decimal with its own.
        """
        if self.json_output or follows():
            return
        self._close_bar()
        cells = [[_cell(value) for value in row] for row in rows]
        right = [
            bool(rows) and all(isinstance(row[i], (int, float, Decimal)) or row[i] is None for row in rows)
            for i in range(len(columns))
        ]
        if self._tables:
            print()
        self._tables += 1
        if sys.stdout is not None and sys.stdout.isatty():
            _rich_table(title, columns, cells, right)
        else:
            print(plain_table(title, columns, cells, right))

    def done(
        self,
        results: Mapping[str, object],
        *,
        artifacts: Sequence[str] = (),
        summary: str | None = None,
        notes: Sequence[str] = (),
        next_command: str | None = None,
        error: SegFormerError | None = None,
    ) -> None:
        """The end of the command: one JSON object, or the summary, notes, and the likely next command.

        Raises:
            Verdict: there is an `error` that decides the exit code although the report stands.
        """
        self._close_bar()
        document = None
        if self.json_output:
            document = report(self.command, results, self.warnings, artifacts, error)
            if error is None and not follows():
                print(as_text(document))
        else:
            if summary and not follows():
                print("\n" + summary if self._tables else summary, flush=True)
            for note in notes:
                self.say(note)
            if next_command and error is None:
                self.say(f"next: {next_command}")
        if error is not None:
            raise Verdict(error, document)

    def _note(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def _move_bar(self, step: Progress) -> None:
        if step.stage != self._stage:
            self._close_bar()
            self._bar = _new_bar(step.unit)
            self._task = self._bar.add_task(step.stage, total=step.total, figures="")
            self._stage = step.stage
            self._bar.start()
        assert self._bar is not None and self._task is not None
        defined = {name: value for name, value in step.figures.items() if not math.isnan(value)}
        figures = "  ".join(f"{name} {value:.4g}" for name, value in defined.items())
        self._bar.update(self._task, completed=step.done, total=step.total, figures=figures)

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task, self._stage = None, None, None


def plain_table(title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """Columns aligned by spaces.

    >>> print(plain_table("", ["class", "iou"], [["road", "0.98"], ["sky", "1"]], [False, True]))
    class   iou
    road   0.98
    sky       1
    """
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [title] if title else []
    for row in (columns, *cells):
        padded = [
            text.rjust(width) if flush_right else text.ljust(width)
            for text, width, flush_right in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def colour(text: str, style: str) -> str:
    """The text in an ANSI style for stderr, plain where no terminal looks on or NO_COLOR is set.

    `style` is one of SGR's numbers, such as "1;31" for bold red.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stderr.isatty()
    return text if plain else f"\x1b[{style}m{text}\x1b[0m"


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _are_figures(column: Sequence[str]) -> bool:
    return not any(letter.isalpha() for text in column for letter in text)


def _rich_table(
    title: str, columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    from rich import box
    from rich.cells import cell_len
    from rich.console import Console as RichConsole
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    console = RichConsole()
    figures = [flush_right or _are_figures(column) for flush_right, *column in zip(right, *cells, strict=True)]
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for name, flush_right, figure in zip(columns, right, figures, strict=True):
        table.add_column(name, justify="right" if flush_right else "left", no_wrap=figure)
    for row in cells:
        table.add_row(*map(Text, row))
    if all(figures[1:]):
        # Figures are never cut: the names before them give way, and where that is not enough the lines run over.
        wide = console.options.update(max_width=10_000)
        table.collapse_padding = Measurement.get(console, wide, table).maximum > console.width
        wanted = Measurement.get(console, wide, table).maximum
        names = max(cell_len(text) for text in (columns[0], *(row[0] for row in cells)))
        kept = max(min(names, LEAST_NAME), names - max(0, wanted - console.width))
        # Where paddings are collapsed, rich reckons one too few for the column at the edge, which would cut a letter.
        table.columns[0].no_wrap, table.columns[0].max_width = True, kept + table.collapse_padding
        console = RichConsole(width=max(console.width, wanted - names + kept))
    console.print(table)


def _new_bar(unit: str) -> Bar:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        """Steps a second, as the last half minute went."""

        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.3g} {unit}/s", style="progress.data.speed")

    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        SpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=RichConsole(stderr=True),
        transient=True,
    )
