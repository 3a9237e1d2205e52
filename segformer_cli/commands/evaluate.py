"""`segformer eval`: score weights on data."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands import score_options as so
from segformer_cli.commands import score_tables
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import EvalConfig
from segformer_cli.errors import CheckFailed
from segformer_cli.processes import follows

if TYPE_CHECKING:
    from segformer_cli.workflows.scorecard import Evaluation

EXAMPLES = epilog(
    "segformer eval -w sample",
    "segformer eval -w b0-cityscapes -d cityscapes:/data/cityscapes --multi-scale --report report.html",
    "segformer eval -w runs/train/NAME -d my-pictures/ -o scores/a --min-miou 0.6 --json",
    note=o.also(
        "--by-name", "--alias", "--group", "--group-images", "--object-sizes", "--boundary", "--fit-temperature",
        "--submission", "--all (a row for every class; else, of more than 40, the ten worst and the ten best)",
        "-b/--batch-size", "-j/--workers", "--precision", "--seed", "--image-suffix", "--mask-suffix", "--map",
        "--reduce-zero",
        "--bands",
    ),
)


def evaluate(
    context: typer.Context,
    weights: o.WeightsOption = None,
    data: o.DataOption = None,
    split: so.SplitOption = None,
    limit: so.LimitOption = None,
    predictions: so.PredictionsOption = None,
    by_name: so.ByNameOption = None,
    alias: so.AliasOption = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    map: o.MapOption = None,
    reduce_zero: o.ReduceZeroOption = None,
    bands: o.BandsOption = None,
    protocol: so.ProtocolOption = None,
    multi_scale: so.MultiScaleOption = None,
    size: so.ScoreSizeOption = None,
    batch_size: so.EvalBatchSizeOption = None,
    workers: o.WorkersOption = None,
    group_images: so.GroupImagesOption = None,
    seed: so.DrawSeedOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(EvalConfig)] = False,
    dialect: so.DialectOption = None,
    group: so.GroupOption = None,
    boundary: so.BoundaryOption = None,
    object_sizes: so.ObjectSizesOption = None,
    calibration: so.CalibrationOption = None,
    fit_temperature: so.FitTemperatureOption = None,
    submission: so.SubmissionOption = None,
    report: so.ReportOption = None,
    all: so.AllOption = False,
    min_miou: so.MinMiouOption = None,
    out: so.ScoreOutOption = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    offline: o.OfflineOption = None,
    trust: o.TrustOption = None,
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
        with _folder(settings) as place:
            result = evaluation.evaluate(replace(settings, out=place), console.progress)
        if follows():
            return
        for warning in result.warnings:
            console.warn(warning)
        score_tables.show(console, result, every_class=all)
        console.done(
            result.to_json(),
            artifacts=result.artifacts,
            summary=score_tables.summary(result),
            notes=[f"wrote {path}" for path in result.artifacts],
            next_command=_next(settings, result),
            error=_too_low(result, settings.min_miou),
        )


def _folder(settings: EvalConfig) -> AbstractContextManager[str | None]:
    """The folder for the result: as asked for, else a new one. Of several processes the first one makes it."""
    from segformer_cli.workflows.results import numbered_folder

    return nullcontext(settings.out) if settings.out or follows() else numbered_folder("eval")


def _next(settings: EvalConfig, result: Evaluation) -> str:
    if settings.fit_temperature:
        return f"segformer eval -w {result.artifacts[0]} -d DATA --calibration"
    if settings.out and result.labelled:
        return f"segformer compare OTHER {settings.out}"
    if settings.predictions:
        return f"segformer eval --predictions {settings.predictions} -d {settings.data} --report report.html"
    from segformer_cli.workflows.sources import default_weights

    weights = settings.weights or default_weights(settings.data)
    return f"segformer predict INPUT -w {weights} -o out/ --save mask,overlay"


def _too_low(result: Evaluation, least: float | None) -> CheckFailed | None:
    if least is None or result.passed:
        return None
    if math.isnan(result.miou):
        why = "every pixel is ignored" if result.labelled else "the split has no labels"
        return CheckFailed(f"mIoU is undefined, since {why}: it is not the {least:g} or more that --min-miou asks for")
    return CheckFailed(f"mIoU {result.miou:.4f} is not the {least:g} or more that --min-miou asks for")
