"""`segformer reproduce`: a run done again, and what differs."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.reproduction import Preparation, Reproduction

EXAMPLES = epilog(
    "segformer reproduce runs/train/NAME --dry-run",
    "segformer reproduce runs/train/NAME -o again/",
    "segformer reproduce their-run/ -d cityscapes:/data/cityscapes -o again/",
    note=o.also(),
)

RunArgument = typer.Argument(metavar="RUN", help="The folder of a finished run.", show_default=False)
Data = o.text_option("--data", "-d", metavar="DATA", help="Where its data lie now.", panel=o.WHAT)
Weights = o.text_option("--weights", "-w", metavar="WEIGHTS", help="Where its start weights lie now.", panel=o.WHAT)
Out = o.text_option("--out", "-o", metavar="NEW", help="The new run's folder.", panel=o.OUTPUT)

NOTHING = "nothing differs: settings, data, weights to start from, versions and machine are as they were"

SHOWN = 48
"""Letters of a value in the table; --json has all."""


def reproduce(
    context: typer.Context,
    run: Annotated[Path, RunArgument],
    data: Annotated[str | None, Data] = None,
    weights: Annotated[str | None, Weights] = None,
    device: o.DeviceOption = None,
    out: Annotated[str | None, Out] = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Train a run again, and say what differs (exit 3: the scores)."""
    with o.console(context) as console:
        from segformer_cli.workflows import reproduction

        prepared = reproduction.prepare(
            run, out=out, data=data, weights=weights, device=device, force=bool(force), offline=bool(offline),
            progress=console.progress,
        )
        if prepared.differences:
            rows = [(each.of, each.what, _shown(each.then), _shown(each.now)) for each in prepared.differences]
            console.table("", ["", "", "then", "now"], rows)
        if dry_run:
            summary = None if prepared.differences else NOTHING
            again = f"segformer reproduce {shlex.quote(str(run))}"
            console.done(_results(prepared, None), summary=summary, next_command=again)
            return
        if not prepared.differences:
            console.say(NOTHING)
        if prepared.plan is not None:
            console.say(str(prepared.plan))
        found = reproduction.reproduce(prepared, console.progress)
        console.done(
            _results(prepared, found),
            artifacts=[found.reproduction],
            summary=f"{found.reproduction}: {found.verdict}",
            next_command="segformer runs",
            error=None if found.reproduced else _not_the_same(prepared, found),
        )


def _shown(value: object) -> str | None:
    if value is None:
        return None
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _results(prepared: Preparation, found: Reproduction | None) -> dict[str, object]:
    results: dict[str, object] = {"run": str(prepared.run), "differences": prepared.differences}
    if found is None:
        return results | {"reproduction": None, "reproduced": None}
    return results | dataclasses.asdict(found) | {"reproduced": found.reproduced, "verdict": found.verdict}


def _not_the_same(prepared: Preparation, found: Reproduction) -> CheckFailed:
    if prepared.differences:
        hint = "what differs is listed above: " + ", ".join(sorted({each.of for each in prepared.differences}))
    elif prepared.plan is not None and prepared.plan.config.device != "cpu":
        hint = "a GPU sums in any order: only runs with --deterministic can be repeated to the bit"
    else:
        hint = "files of other contents can have the names and sizes on record"
    return CheckFailed(
        f"{found.reproduction} is not {found.run} again: scores differ by up to {found.largest_score_difference:.4f}",
        hint=hint,
    )
