"""`segformer predict`: pictures to masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import PredictConfig
from segformer_cli.errors import SomeInputsFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.filming import Film
    from segformer_cli.workflows.predicting import Job, PredictedImage, PredictedVideo, Predictions
    from segformer_cli.workflows.prediction import ClassShare

EXAMPLES = epilog(
    "segformer predict sample -w sample -o out/ --save mask,overlay",
    "segformer predict street.jpg -o street.png",
    "segformer predict pictures/ -w b5-cityscapes -o masks/ --size 1024x2048",
    note=o.also("--continue", "--shard", "--opacity", "--precision", "--bands"),
)

Inputs = typer.Argument(metavar="INPUT...", help="Pictures, videos, folders, zips, lists, sample.", show_default=False)
Save = o.text_option("--save", metavar="LIST", help="mask (default), overlay, or mask,overlay.", panel=o.OUTPUT)
Continue = o.switch_option("--continue", help="Pass over what an earlier call has done.")
Shard = o.text_option("--shard", metavar="I/N", help="Every N-th picture, from the I-th on.", panel=o.HOW, hidden=True)
Opacity = o.text_option("--opacity", metavar="SHARE", help="Of an overlay's colours.", panel=o.OUTPUT, hidden=True)


def predict(
    context: typer.Context,
    inputs: Annotated[list[str] | None, Inputs] = None,
    weights: o.WeightsOption = None,
    size: o.SizeOption = None,
    bands: o.BandsOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(PredictConfig)] = False,
    out: o.OutOption = None,
    save: Annotated[str | None, Save] = None,
    opacity: Annotated[str | None, Opacity] = None,
    resume: Annotated[bool | None, Continue] = None,
    shard: Annotated[str | None, Shard] = None,
    force: o.ForceOption = None,
    offline: o.OfflineOption = None,
    trust: o.TrustOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Give every pixel of pictures a class; write masks and overlays."""
    with o.console(context) as console:
        settings = o.settled(PredictConfig, context, console)

        from segformer_cli.workflows import predicting

        if dry_run:
            jobs, _ = predicting.plan(settings)
            planned = [{"input": str(job.input), "outputs": list(job.outputs)} for job in jobs]
            console.done({"images": planned}, summary="\n".join(f"would write {path}" for path in _outputs(jobs)))
            return
        found = predicting.predict(settings, console.progress)
        for note in found.notes:
            console.warn(note)
        for image in found.images:
            console.detail(f"{image.input}: {_shares(image.classes)} ({image.ms:.0f} ms)")
        failed = [{"input": each.input, "error": each.error} for each in found.failed]
        for each in failed:
            console.warn(f"{each['input']}: {each['error']}")
        console.done(
            {"images": found.images, "videos": found.videos, "failed": failed, "kept": found.kept},
            artifacts=_outputs((*found.images, *found.videos)),
            # No next command: what was found and where it lies is to be the last line.
            summary=_summary(found),
            error=_failure(found),
        )


def _outputs(jobs: Iterable[Job | Film | PredictedImage | PredictedVideo]) -> list[str]:
    return [path for job in jobs for path in job.outputs]


def _summary(found: Predictions) -> str | None:
    """Where the files are and what is in the pictures; None where there are none."""
    each: list[PredictedImage | PredictedVideo] = [*found.images, *found.videos]
    if not each:
        return f"{found.out}: all {found.kept} were done already" if found.kept and not found.failed else None
    if len(each) == 1:
        frames = f"{found.videos[0].frames} frames; " if found.videos else ""
        return f"{', '.join(each[0].outputs)}: {frames}{_shares(found.classes)}"
    counted = [f"{len(found.images)} pictures"] if found.images else []
    if found.videos:
        counted.append(f"{len(found.videos)} video{'s' if len(found.videos) > 1 else ''}")
    return f"{found.out}: {' and '.join(counted)}{_kept(found)}; {_shares(found.classes)}"


def _kept(found: Predictions) -> str:
    return f", {found.kept} done earlier" if found.kept else ""


def _shares(classes: Sequence[ClassShare]) -> str:
    from segformer_cli.overlay import share_text

    named = [f"{row.name} {share_text(row.share)}" for row in classes[:6]]
    return ", ".join(named) + (f", {len(classes) - 6} more" if len(classes) > 6 else "")


def _failure(found: Predictions) -> SomeInputsFailed | None:
    if not found.failed:
        return None
    done = {each.input for each in found.images} | {each.input for each in found.videos}
    total = len(done | {each.input for each in found.failed})
    inputs = "videos" if found.videos and not found.images else "pictures"
    if not done:
        return SomeInputsFailed(f"all {total} {inputs} failed; nothing was written")
    return SomeInputsFailed(f"{len(found.failed)} of {total} {inputs} failed; the others are done")
