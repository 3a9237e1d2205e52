"""`segformer runs`: what was trained, how far it came, and how to go on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog

if TYPE_CHECKING:
    from segformer_cli.workflows.run_list import ListedRun

EXAMPLES = epilog(
    "segformer runs",
    "segformer runs experiments/ --json",
    note="Also: --json, -q, -v, --no-progress (see segformer --help).",
)

Folder = typer.Argument(metavar="FOLDER", help="Where runs lie; default: runs/train.", show_default=False)

COLUMNS = ("run", "state", "iterations", "best mIoU", "at", "time", "variant", "data")


def runs(
    context: typer.Context,
    folder: Annotated[Path | None, Folder] = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """List what was trained: state, best score, and how to go on."""
    with o.console(context) as console:
        from segformer_cli.workflows import run_list

        found = run_list.runs_below(folder)
        stopped = run_list.newest_stopped(found)
        resume = None if stopped is None else f"segformer train --resume -o {shlex.quote(stopped.folder)}"
        top = str(folder or run_list.RUNS)
        if found:
            console.table("", COLUMNS, [_row(run) for run in found])
        console.done(
            {"folder": top, "runs": found, "resume": resume},
            summary=None if found else f"no runs below {top}",
            next_command=resume or _next(found),
        )


def _row(run: ListedRun) -> tuple[object, ...]:
    done = run.iterations if run.all_iterations is None else f"{run.iterations}/{run.all_iterations}"
    time = None if run.seconds is None else _duration(run.seconds)
    return run.name, run.state, done, run.best_miou, run.best_iteration, time, run.variant, _short(run.data)


def _next(found: tuple[ListedRun, ...]) -> str:
    """What follows where nothing can go on: to use the best run, or to begin."""
    finished = [run for run in found if run.state == "finished" and run.best_miou is not None]
    if not finished:
        return "segformer train --variant b0 --iterations 20"
    best = max(finished, key=lambda run: run.best_miou or 0.0)
    return f"segformer predict INPUT -w {shlex.quote(best.folder)} -o out/"


def _short(data: str | None) -> str | None:
    """DATA without the folders above its own."""
    if data is None:
        return None
    name, colon, path = data.rpartition(":")
    return f"{name}{colon}{Path(path).name or path}"


def _duration(seconds: float) -> str:
    """A time as a person says it.

    >>> _duration(42.4), _duration(1500), _duration(11_100), _duration(200_000)
    ('42 s', '25 min', '3 h 05 min', '55 h 33 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
