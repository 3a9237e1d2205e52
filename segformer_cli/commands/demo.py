"""`segformer demo`: the whole tour on the embedded sample."""

from __future__ import annotations

from typing import Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import DemoConfig

EXAMPLES = epilog("segformer demo", "segformer demo -o tour/", note=o.also())

Folder = o.text_option("--out", "-o", metavar="FOLDER", help="Default: runs/demo/<n>.", panel=o.OUTPUT)


def demo(
    context: typer.Context,
    device: o.DeviceOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(DemoConfig)] = False,
    out: Annotated[str | None, Folder] = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Take the whole tour, offline: one page with pictures.

    It predicts, scores, exports and corrupts drawn streets in under a minute.
    """
    with o.console(context) as console:
        settings = o.settled(DemoConfig, context, console)
        if dry_run:
            console.done({"config": settings}, summary=f"would write a tour to {settings.out or 'runs/demo/<n>'}")
            return

        from segformer_cli.workflows.demo import demo as tour

        found = tour(settings, console.progress)
        score, robust = found.score, found.robust.found
        check = found.exported.verification
        verdict = "not verified" if check is None else f"verified: {check.verdict}"
        console.done(
            found.to_json(),
            artifacts=[found.page],
            summary=(
                f"predicted {score.images} drawn streets, mIoU {score.miou:.3f}; exported to TorchScript ({verdict}); "
                f"kept {100 * robust.retention:.0f} % under 16 corruptions; {found.seconds:.0f} s\n"
                f"look at it: {found.page}"
            ),
            next_command="segformer predict YOUR_PICTURE.jpg -o mask.png",
        )
