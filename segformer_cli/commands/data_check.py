"""`segformer data check`: say what is wrong with data before hours are spent on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import CheckConfig
from segformer_cli.errors import CheckFailed, SegFormerError

if TYPE_CHECKING:
    from segformer_cli.commands.console import Console
    from segformer_cli.data.problems import Problem
    from segformer_cli.workflows.data_check import DataCheck

EXAMPLES = epilog(
    "segformer data check -d my-data/",
    "segformer data check -d cityscapes:/data/cityscapes --split val --masks-only",
    "segformer data check -d my-data/ --fix good.yaml",
    "segformer data check -d my-data/ -w runs/train/NAME",
    note=o.also("--image-suffix", "--mask-suffix", "--map", "--reduce-zero", "--bands", "--device", "--trust"),
)

Split = o.text_option("--split", metavar="NAME", help="train, val ...; default: all that lie there.", panel=o.WHAT)
MasksOnly = o.switch_option("--masks-only", help="Decode no pictures: faster.", panel=o.HOW, hidden=False)
Weights = o.text_option(
    "--weights", "-w", metavar="WEIGHTS", help="Do the ids mean what these see? 'Your masks look like ...'", panel=o.HOW
)
Device = o.text_option("--device", metavar="DEVICE", help="Of the weights.", panel=o.HOW, hidden=True)
Fix = o.text_option("--fix", metavar="FILE", help="Write a .yaml that leaves out what is wrong.", panel=o.OUTPUT)
Threads = o.text_option("--workers", "-j", metavar="N", help="Threads that read; default: one a core.", panel=o.HOW)


def check(
    context: typer.Context,
    data: o.DataOption = None,
    split: Annotated[str | None, Split] = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    map: o.MapOption = None,
    reduce_zero: o.ReduceZeroOption = None,
    bands: o.BandsOption = None,
    masks_only: Annotated[bool | None, MasksOnly] = None,
    weights: Annotated[str | None, Weights] = None,
    device: Annotated[str | None, Device] = None,
    workers: Annotated[str | None, Threads] = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(CheckConfig)] = False,
    fix: Annotated[str | None, Fix] = None,
    force: o.ForceOption = None,
    offline: o.OfflineOption = None,
    trust: o.TrustOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Say what is wrong with data, and how to mend it (exit 3: it is)."""
    with o.console(context) as console:
        settings = o.settled(CheckConfig, context, console)

        from segformer_cli.workflows.data_check import check_data

        found = check_data(settings, console.progress)
        _show(console, found)
        wrong = CheckFailed(
            f"{_kinds(found.errors)} of errors in {settings.data}: training would fail or learn what is wrong",
            hint="mend them as the table says; warnings may stay",
        )
        console.done(
            found.to_json(),
            artifacts=found.written,
            summary=_summary(found),
            notes=[*(f"wrote {path}" for path in found.written), *_not_written(found)],
            next_command=f"segformer train {f'-d {found.written[0]}' if found.written else o.same_data(settings)}",
            error=wrong if found.errors else SegFormerError(found.not_written) if found.not_written else None,
        )


def _not_written(found: DataCheck) -> list[str]:
    return [] if found.not_written is None else [f"nothing was written: {found.not_written}"]


def _show(console: Console, found: DataCheck) -> None:
    splits = [
        (looks.split.name, len(looks.split), ", ".join(f"{count} {kind}" for kind, count in looks.kinds.items()) or "-")
        for looks in found.looks
    ]
    if splits:
        console.table("", ["split", "images", "masks"], splits)
    rows = [(each.severity, each.count, each.what, each.first) for each in found.problems]
    if rows:
        console.table("", ["", "count", "what", "first"], rows)
    for each in found.problems:
        console.say(_account(each))
    for each in found.problems:
        for file in each.files:
            console.detail(f"{each.kind}: {file}")


def _account(problem: Problem) -> str:
    """What is said of one problem below the table."""
    detail = f"\n  {problem.detail}" if problem.detail else ""
    return f"{problem.severity}: {problem.count} {problem.what}{detail}\n  hint: {problem.hint}"


def _summary(found: DataCheck) -> str:
    warnings = len(found.problems) - found.errors
    said = f"{_kinds(found.errors)} of errors, {warnings} of warnings" if found.problems else "nothing wrong"
    return f"{found.data} ({found.layout}): {found.images} images, {len(found.class_names)} classes: {said}"


def _kinds(count: int) -> str:
    return "1 kind" if count == 1 else f"{count} kinds"
