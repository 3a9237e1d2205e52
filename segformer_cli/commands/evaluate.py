"""`segformer eval`: score weights on data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands import score_tables
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import EvalConfig
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.scorecard import Evaluation

EXAMPLES = epilog(
    "segformer eval -w sample",
    "segformer eval -w b0-cityscapes -d cityscapes:/data/cityscapes --multi-scale --report report.html",
    "segformer eval -w runs/train/NAME -d my-pictures/ -o scores/a --min-miou 0.6 --json",
    note=o.also(
        "--alias", "--all", "--boundary", "--object-sizes", "--fit-temperature", "--group-images", "--submission",
        "--image-suffix", "--mask-suffix", "-j/--workers", "--precision", "--seed",
    ),
)

Split = o.text_option("--split", metavar="NAME", help="train, val (default) or test.", panel=o.WHAT)
Limit = o.text_option("--limit", metavar="N", help="Score only the first N images.", panel=o.WHAT)
Predictions = o.text_option(
    "--predictions", metavar="FOLDER", help="Score masks that any tool made, not weights.", panel=o.WHAT
)
ByName = o.switch_option("--by-name", help="Match classes of weights and data by name.", panel=o.WHAT, hidden=False)
Alias = o.text_option("--alias", metavar="WEIGHTS=DATA", help="Two names of one class.", panel=o.WHAT, hidden=True)
Protocol = o.text_option(
    "--protocol", metavar="NAME", help="ade20k, cityscapes, native ...; default: the checkpoint's own.", panel=o.HOW
)
MultiScale = o.switch_option("--multi-scale", help="Average over scales and mirror images.", panel=o.HOW, hidden=False)
Dialect = o.text_option(
    "--dialect", metavar="TOOL", help="Also by another tool's rule: mmseg, paddle ... or all.", panel=o.OUTPUT
)
Group = o.text_option(
    "--group", metavar="NAME=A,B", help="Also score classes as one; repeatable.", panel=o.OUTPUT
)
GroupImages = o.text_option(
    "--group-images", metavar="REGEX", help="Draw whole videos for the interval.", panel=o.OUTPUT, hidden=True
)
Boundary = o.switch_option("--boundary", help="Also boundary IoU and trimap IoU.")
ObjectSizes = o.switch_option("--object-sizes", help="Also IoU of small, medium and large objects.")
Calibration = o.switch_option("--calibration", help="Also whether confidences are to be believed.", hidden=False)
FitTemperature = o.switch_option("--fit-temperature", help="Fit a temperature; -o FILE.safetensors writes it.")
Submission = o.text_option(
    "--submission", metavar="FOLDER", help="Write masks for the test server.", panel=o.OUTPUT, hidden=True
)
Report = o.text_option("--report", metavar="FILE", help="Everything to look at, in one HTML file.", panel=o.OUTPUT)
All = o.switch_option("--all", help="Every class, however many.")
MinMiou = o.text_option("--min-miou", metavar="SHARE", help="Exit 3 when mIoU is below it.", panel=o.OUTPUT)


def evaluate(
    context: typer.Context,
    weights: o.WeightsOption = None,
    data: o.DataOption = None,
    split: Annotated[str | None, Split] = None,
    limit: Annotated[str | None, Limit] = None,
    predictions: Annotated[str | None, Predictions] = None,
    by_name: Annotated[bool | None, ByName] = None,
    alias: Annotated[list[str] | None, Alias] = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    protocol: Annotated[str | None, Protocol] = None,
    multi_scale: Annotated[bool | None, MultiScale] = None,
    size: o.SizeOption = None,
    batch_size: o.BatchSizeOption = None,
    workers: o.WorkersOption = None,
    seed: o.SeedOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(EvalConfig)] = False,
    dialect: Annotated[str | None, Dialect] = None,
    group: Annotated[list[str] | None, Group] = None,
    group_images: Annotated[str | None, GroupImages] = None,
    boundary: Annotated[bool | None, Boundary] = None,
    object_sizes: Annotated[bool | None, ObjectSizes] = None,
    calibration: Annotated[bool | None, Calibration] = None,
    fit_temperature: Annotated[bool | None, FitTemperature] = None,
    submission: Annotated[str | None, Submission] = None,
    report: Annotated[str | None, Report] = None,
    all: Annotated[bool, All] = False,
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
    """Score weights on data: mIoU with its interval, mAcc, aAcc, and each class."""
    with o.console(context) as console:
        settings = o.settled(EvalConfig, context, console)

        from segformer_cli.workflows import evaluation

        if dry_run:
            console.done({"config": settings}, summary=evaluation.plan(settings))
            return
        result = evaluation.evaluate(settings, console.progress)
        for warning in result.warnings:
            console.warn(warning)
        score_tables.show(console, result, every_class=all)
        console.done(
            result.to_json(),
            artifacts=result.artifacts,
            summary=score_tables.summary(result),
            next_command=_next(settings),
            error=_too_low(result, settings.min_miou),
        )


def _next(settings: EvalConfig) -> str:
    if settings.out:
        return f"segformer compare OTHER {settings.out}"
    if settings.predictions:
        return f"segformer eval --predictions {settings.predictions} -d {settings.data} --report report.html"
    return f"segformer predict INPUT -w {settings.weights or 'sample'} -o out/ --save mask,overlay"


def _too_low(result: Evaluation, least: float | None) -> CheckFailed | None:
    # Written so that an undefined mIoU fails the check.
    if least is None or result.miou >= least:
        return None
    return CheckFailed(f"mIoU {result.miou:.4f} is not the {least:g} or more that --min-miou asks for")
