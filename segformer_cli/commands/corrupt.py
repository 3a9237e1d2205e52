"""`segformer corrupt`: write corrupted pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands import robust_options as ro
from segformer_cli.commands import score_options as so
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import CorruptConfig
from segformer_cli.errors import SomeInputsFailed

EXAMPLES = epilog(
    "segformer corrupt street.jpg -o out/ --all",
    "segformer corrupt sample -o out/ --corruptions fog,snow --severities 1,3,5",
    "segformer corrupt cityscapes:/data/cityscapes -o cityscapes-c/",
    note=o.also("--channel-order", "--frost-dir", "-j/--workers"),
)

Inputs = typer.Argument(metavar="INPUT...", help="Pictures, folders, globs, or one NAME:PATH.", show_default=False)
Place = o.text_option(
    "--out", "-o", metavar="PATH", help="A folder, or a .png for one variant of one picture.", panel=o.OUTPUT
)
First = o.text_option("--limit", metavar="N", help="Take only the first N pictures.", panel=o.WHAT)


def corrupt(
    context: typer.Context,
    inputs: Annotated[list[str] | None, Inputs] = None,
    split: so.SplitOption = None,
    limit: Annotated[str | None, First] = None,
    all: ro.EveryCorruptionOption = None,
    protocol: ro.RobustProtocolOption = None,
    corruptions: ro.CorruptionsOption = None,
    severities: ro.SeveritiesOption = None,
    seed: ro.CorruptionSeedOption = None,
    rng: ro.RngOption = None,
    channel_order: ro.ChannelOrderOption = None,
    frost_dir: ro.FrostDirOption = None,
    workers: o.WorkersOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(CorruptConfig)] = False,
    out: Annotated[str | None, Place] = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Write corrupted pictures, and a contact sheet.

    Of one picture or many; of a data set, as NAME:PATH, a folder for each variant that is a data set again.
    """
    with o.console(context) as console:
        settings = o.settled(CorruptConfig, context, console)

        from segformer_cli.workflows import corrupting

        if dry_run:
            console.done({"config": settings}, summary=corrupting.plan(settings))
            return
        found = corrupting.corrupt_files(settings, console.progress)
        for note in found.notes:
            console.warn(note)
        for path, error in found.failed:
            console.warn(f"{path}: {error}")
        count = f"{found.pictures} picture{'' if found.pictures == 1 else 's'}"
        kept = f", {found.kept} were there" if found.kept else ""
        files = f"{found.written} file{'' if found.written == 1 else 's'}"
        sheet = f"; all at a glance in {found.sheet}" if found.sheet else ""
        failed = len(found.failed)
        console.done(
            found.to_json(),
            artifacts=[found.out, *([found.sheet] if found.sheet else [])],
            summary=f"{found.out}: {count}, {files} written{kept}{sheet}",
            error=SomeInputsFailed(f"{failed} of {failed + found.pictures} pictures failed; the others are done")
            if failed
            else None,
        )
