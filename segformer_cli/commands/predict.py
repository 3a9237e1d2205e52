"""`segformer predict`: pictures to masks."""

from __future__ import annotations

from typing import Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import PredictConfig
from segformer_cli.errors import SomeInputsFailed, UsageError

EXAMPLES = epilog(
    "segformer predict sample -w sample -o out/ --save mask,overlay",
    "segformer predict street.jpg -o street.png",
    "segformer predict pictures/ -w b5-cityscapes -o masks/ --size 1024x2048",
    note=o.also("--opacity", "--precision"),
)

Inputs = typer.Argument(metavar="INPUT...", help="Pictures, folders, globs, or sample.", show_default=False)
Save = o.text_option("--save", metavar="LIST", help="mask (default), overlay, or mask,overlay.", panel=o.OUTPUT)
Opacity = o.text_option("--opacity", metavar="SHARE", help="Of an overlay's colours.", panel=o.OUTPUT, hidden=True)


def predict(
    context: typer.Context,
    inputs: Annotated[list[str] | None, Inputs] = None,
    weights: o.WeightsOption = None,
    size: o.SizeOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(PredictConfig)] = False,
    out: o.OutOption = None,
    save: Annotated[str | None, Save] = None,
    opacity: Annotated[str | None, Opacity] = None,
    force: o.ForceOption = None,
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Give every pixel of pictures a class; write masks and overlays."""
    with o.console(context) as console:
        settings = o.settled(PredictConfig, context)
        if not settings.inputs:
            raise UsageError("no INPUT is given", hint="segformer predict street.jpg -o street.png; or predict sample")

        from segformer_cli.workflows import prediction

        done = prediction.predict(settings, console.progress)
        if done.weights_note:
            console.say(done.weights_note)
        for image in done.images:
            most = sorted(image.classes, key=lambda row: -row[2])[:4]
            shares = ", ".join(f"{name} {share:.0%}" for _, name, share in most)
            console.detail(f"{image.input}: {shares} ({image.ms:.0f} ms)")
        failed = [{"input": each.input, "error": each.error} for each in done.failed]
        for each in failed:
            console.say(f"failed: {each['input']}: {each['error']}")
        total = len(done.images) + len(failed)
        broken = SomeInputsFailed(f"{len(failed)} of {total} pictures failed, the others are done")
        written = [str(path) for image in done.images for path in image.outputs]
        console.done(
            {"images": [_image(image) for image in done.images], "failed": failed},
            artifacts=written,
            summary="\n".join(written),
            next_command="segformer eval -w WEIGHTS -d DATA   (with masks to compare with)",
            error=broken if failed else None,
        )


def _image(image: ImagePrediction) -> dict[str, object]:
    return {
        "input": image.input,
        "outputs": [str(path) for path in image.outputs],
        "size_hw": list(image.size_hw),
        "classes": [{"id": id, "name": name, "share": share} for id, name, share in image.classes],
        "ms": image.ms,
    }
