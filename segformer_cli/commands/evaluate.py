"""`segformer eval`: score weights on data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import EvalConfig
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.evaluation import Evaluation

EXAMPLES = epilog(
    "segformer eval -w sample",
    "segformer eval -w b0-cityscapes -d cityscapes:/data/cityscapes --limit 20",
    "segformer eval -w runs/train/NAME -d my-pictures/ --min-miou 0.6 --json",
    note=o.also("--image-suffix", "--mask-suffix", "-j/--workers", "--precision"),
)

Split = o.text_option("--split", metavar="NAME", help="train, val (default) or test.", panel=o.WHAT)
Limit = o.text_option("--limit", metavar="N", help="Score only the first N images.", panel=o.WHAT)
MinMiou = o.text_option("--min-miou", metavar="SHARE", help="Exit 3 when mIoU is below it.", panel=o.OUTPUT)


def evaluate(
    context: typer.Context,
    weights: o.WeightsOption = None,
    data: o.DataOption = None,
    split: Annotated[str | None, Split] = None,
    limit: Annotated[str | None, Limit] = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    size: o.SizeOption = None,
    batch_size: o.BatchSizeOption = None,
    workers: o.WorkersOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(EvalConfig)] = False,
    min_miou: Annotated[str | None, MinMiou] = None,
    out: o.OutOption = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Score weights on data: mIoU, mAcc, aAcc, and each class."""
    with o.console(context) as console:
        settings = o.settled(EvalConfig, context, console)

        from segformer_cli.workflows import evaluation

        weights = settings.weights or evaluation.default_weights(settings.data)
        if dry_run:
            plan = f"would score {weights} on {settings.data}, split {settings.split}"
            console.done({"config": settings}, summary=plan)
            return
        result = evaluation.evaluate(settings, console.progress)
        for warning in result.warnings:
            console.warn(warning)
        rows = [(row.name, row.iou, row.acc, row.pixels) for row in result.per_class]
        console.table("", ["class", "IoU", "acc", "pixels"], rows)
        console.done(
            result.to_json(),
            artifacts=[f"{settings.out}/result.json"] if settings.out else [],
            summary=f"mIoU {result.miou:.4f}  mAcc {result.macc:.4f}  aAcc {result.aacc:.4f}\n{result.protocol}",
            next_command=f"segformer predict INPUT -w {weights} -o out/ --save mask,overlay",
            error=_too_low(result, settings.min_miou),
        )


def _too_low(result: Evaluation, least: float | None) -> CheckFailed | None:
    # Written so that an undefined mIoU fails the check.
    if least is None or result.miou >= least:
        return None
    return CheckFailed(f"mIoU {result.miou:.4f} is not the {least:g} or more that --min-miou asks for")
