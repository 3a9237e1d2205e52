"""`segformer compare`: two results on the same images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands import score_options as so
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import CompareConfig
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.comparison import ResultDifference

EXAMPLES = epilog(
    "segformer eval -w A -d DATA -o scores/a && segformer eval -w B -d DATA -o scores/b",
    "segformer compare scores/a scores/b",
    "segformer compare scores/a scores/b --group-images '(.+)_' --require-better",
    note="Also: --group-images, --seed, --json, -q, -v, --no-progress (see segformer --help).",
)

# They may come from --config too.
First = typer.Argument(metavar="A", help="A folder that eval -o wrote.", show_default=False)
Second = typer.Argument(metavar="B", help="Another, on the same images.", show_default=False)
RequireBetter = o.switch_option(
    "--require-better", help="Exit 3 unless the whole interval is above zero.", hidden=False
)


def compare(
    context: typer.Context,
    a: Annotated[str | None, First] = None,
    b: Annotated[str | None, Second] = None,
    group_images: so.GroupImagesOption = None,
    resamples: so.ResamplesOption = None,
    seed: so.DrawSeedOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(CompareConfig)] = False,
    require_better: Annotated[bool | None, RequireBetter] = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Say how much better B is than A on the same images, and whether that could be chance."""
    with o.console(context) as console:
        settings = o.settled(CompareConfig, context, console)

        from segformer_cli.commands import score_tables
        from segformer_cli.workflows import comparison

        found = comparison.compare_results(settings)
        for warning in found.warnings:
            console.warn(warning)
        score_tables.show_difference(console, found)
        console.done(
            found.to_json(),
            summary=score_tables.difference_summary(found),
            next_command=_next(found),
            error=_not_better(found) if settings.require_better else None,
        )


def _next(found: ResultDifference) -> str | None:
    """What follows from a verdict; without one, more images may give it."""
    if found.same:
        return None
    if not (found.better or found.worse):
        return "segformer eval -w WEIGHTS_OF_B -d MORE_IMAGES -o OUT"
    return f"segformer predict INPUT -w WEIGHTS_OF_{'B' if found.better else 'A'} -o out/"


def _not_better(found: ResultDifference) -> CheckFailed | None:
    return None if found.better else CheckFailed(f"B is not surely better than A: {found.why_not_better}")
