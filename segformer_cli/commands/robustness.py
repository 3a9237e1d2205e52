"""`segformer eval-robust`: score weights on corrupted data."""

from __future__ import annotations

from typing import Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands import robust_options as ro
from segformer_cli.commands import robust_tables
from segformer_cli.commands import score_options as so
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import RobustConfig
from segformer_cli.errors import SomeInputsFailed

EXAMPLES = epilog(
    "segformer eval-robust --cityscapes-c -w sample --limit 4",
    "segformer eval-robust -w b2-cityscapes -d cityscapes:/data/cityscapes --report robust.html -o robust/b2",
    "segformer eval-robust -w runs/train/NAME -d my-pictures/ --corruptions fog,snow --severities 3",
    note=o.also(
        "--channel-order", "--frost-dir", "--group-images", "--calibration", "-b/--batch-size", "-j/--workers",
        "--size", "--precision", "--image-suffix", "--mask-suffix", "--map", "--reduce-zero",
    ),
)


def eval_robust(
    context: typer.Context,
    weights: o.WeightsOption = None,
    data: o.DataOption = None,
    split: so.SplitOption = None,
    limit: ro.SpreadLimitOption = None,
    cityscapes_c: ro.CityscapesCOption = None,
    protocol: ro.RobustProtocolOption = None,
    corruptions: ro.CorruptionsOption = None,
    severities: ro.SeveritiesOption = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    map: o.MapOption = None,
    reduce_zero: o.ReduceZeroOption = None,
    seed: ro.CorruptionSeedOption = None,
    rng: ro.RngOption = None,
    channel_order: ro.ChannelOrderOption = None,
    frost_dir: ro.FrostDirOption = None,
    cd_reference: ro.ReferenceOption = None,
    resolution_sweep: ro.SweepOption = None,
    size: ro.RobustSizeOption = None,
    batch_size: so.EvalBatchSizeOption = None,
    workers: o.WorkersOption = None,
    group_images: so.GroupImagesOption = None,
    calibration: so.CalibrationOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(RobustConfig)] = False,
    report: so.ReportOption = None,
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
    """Score weights under corruptions, as Cityscapes-C does."""
    with o.console(context) as console:
        settings = o.settled(RobustConfig, context, console)

        from segformer_cli.workflows import robust_job, robustness

        if dry_run:
            console.done({"config": settings}, summary=robust_job.plan(settings))
            return
        result = robustness.eval_robust(settings, console.progress)
        for warning in result.warnings:
            console.warn(warning)
        robust_tables.show(console, result)
        folder = result.artifacts[0].rpartition("per_image.npz")[0]
        failed = len(result.failed)
        console.done(
            result.to_json(),
            artifacts=result.artifacts,
            summary=robust_tables.summary(result),
            notes=[f"wrote {path}" for path in result.artifacts],
            next_command=f"segformer compare OTHER {folder}" if result.labelled else None,
            error=SomeInputsFailed(
                f"{failed} of {failed + result.images} pictures failed; the scores are of the others"
            )
            if failed
            else None,
        )
