"""`segformer train`: train or fine-tune."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import TrainConfig
from segformer_cli.errors import UsageError
from segformer_cli.processes import LAUNCHED, are_several

if TYPE_CHECKING:
    from segformer_cli.commands.console import Console
    from segformer_cli.workflows.planning import TrainingPlan
    from segformer_cli.workflows.runs import Run

EXAMPLES = epilog(
    "segformer train --variant b0 --iterations 20",
    "segformer train --variant b2 -d cityscapes:/data/cityscapes --preset cityscapes-1024",
    "segformer train -d my-pictures/ -w b0-ade20k --set photometric=mild",
    note=o.also(
        "--eval-every",
        "--checkpoint-every",
        "--image-suffix",
        "--mask-suffix",
        "--map",
        "--reduce-zero",
        "--bands",
        "-j/--workers",
        "--seed",
        "--deterministic",
        "--precision",
        "--class-weights",
        "--nnodes",
        "--rdzv-endpoint",
    ),
)

BatchSize = o.text_option(
    "--batch-size", "-b", metavar="N|auto", help="Crops a step; auto: in parts that fit.", panel=o.HOW
)
Resume = o.switch_option(
    "--resume", help="Go on with the newest unfinished run, or with -o RUN.", panel=o.HOW, hidden=False
)
Devices = o.text_option("--devices", metavar="N", help="Share each step among N GPUs, or processes.", panel=o.HOW)
Nodes = o.text_option("--nnodes", metavar="N", help="Machines that take part.", panel=o.HOW, hidden=True)
Endpoint = o.text_option("--rdzv-endpoint", metavar="HOST:PORT", help="Where they meet.", panel=o.HOW, hidden=True)
Folds = o.text_option("--folds", metavar="K", help="Cross-validate: K trainings, each without a part.", panel=o.HOW)
Variant = o.text_option("--variant", metavar="NAME", help="b0 to b5.", panel=o.WHAT)
Preset = o.text_option("--preset", metavar="NAME", help="A recipe; default: by weights and data.", panel=o.HOW)
Iterations = o.text_option("--iterations", metavar="N", help="Optimiser steps.", panel=o.HOW)
Epochs = o.text_option("--epochs", metavar="N", help="Passes over the data, instead.", panel=o.HOW)
LearningRate = o.text_option("--lr", metavar="RATE", help="Peak learning rate of the encoder.", panel=o.HOW)
ClassWeights = o.text_option(
    "--class-weights", metavar="none|auto|N,N,...", help="Of the loss; auto: by their pixels.", panel=o.HOW, hidden=True
)
CropSize = o.text_option("--crop-size", metavar="SIZE", help="N or HxW.", panel=o.HOW)
EvalEvery = o.text_option("--eval-every", metavar="N", help="Steps between validations.", panel=o.HOW, hidden=True)
CheckpointEvery = o.text_option("--checkpoint-every", metavar="N", help="Steps.", panel=o.HOW, hidden=True)


def train(
    context: typer.Context,
    data: o.DataOption = None,
    variant: Annotated[str | None, Variant] = None,
    weights: o.WeightsOption = None,
    preset: Annotated[str | None, Preset] = None,
    iterations: Annotated[str | None, Iterations] = None,
    epochs: Annotated[str | None, Epochs] = None,
    lr: Annotated[str | None, LearningRate] = None,
    crop_size: Annotated[str | None, CropSize] = None,
    class_weights: Annotated[str | None, ClassWeights] = None,
    folds: Annotated[str | None, Folds] = None,
    batch_size: Annotated[str | None, BatchSize] = None,
    eval_every: Annotated[str | None, EvalEvery] = None,
    checkpoint_every: Annotated[str | None, CheckpointEvery] = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    map: o.MapOption = None,
    reduce_zero: o.ReduceZeroOption = None,
    bands: o.BandsOption = None,
    workers: o.WorkersOption = None,
    seed: o.SeedOption = None,
    deterministic: o.DeterministicOption = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    devices: Annotated[str | None, Devices] = None,
    nnodes: Annotated[str | None, Nodes] = None,
    rdzv_endpoint: Annotated[str | None, Endpoint] = None,
    resume: Annotated[bool | None, Resume] = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(TrainConfig)] = False,
    out: o.OutOption = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Train or fine-tune; without --data, on drawn street scenes."""
    with o.console(context) as console:
        settings, run = _settled(context, console)
        shared = settings.devices > 1 or settings.nnodes != "1"
        # Of 1:2 machines one may come, with one process that is not several, and was launched all the same.
        if shared and not are_several() and LAUNCHED not in os.environ and not dry_run:
            from segformer_cli.workflows.launching import launch

            meeting = settings.nnodes, settings.rdzv_endpoint
            raise typer.Exit(launch(context.obj, settings.devices, *meeting, show=sys.stderr.write))
        if settings.preset is None and run is None:
            settings = _with_recipe(settings, context, console)
        whole = settings.folds is not None and settings.fold is None
        (_cross_validate if whole else _train)(settings, run, console, dry_run)


def _settled(context: typer.Context, console: Console) -> tuple[TrainConfig, Run | None]:
    """The settings, and the run that goes on with them, if one does."""
    settings = o.settled(TrainConfig, context, console)
    if not settings.resume:
        return settings, None
    if context.params["config"] is not None:
        raise UsageError(
            "--config and --resume are both given", hint="a run goes on with its own settings: leave out --config"
        )

    from segformer_cli.workflows import resuming
    from segformer_cli.workflows.runs import Run

    run = Run(resuming.run_to_resume(settings.out))
    return o.settled(TrainConfig, context, console, file=run.folder / "config.yaml"), run


def _with_recipe(settings: TrainConfig, context: typer.Context, console: Console) -> TrainConfig:
    """The settings over the recipe for where the training starts and what it sees."""
    from segformer_cli.workflows.planning import default_preset

    preset = default_preset(settings, console.progress)
    return o.settled(TrainConfig, context, console, preset=preset)


def _train(settings: TrainConfig, run: Run | None, console: Console, dry_run: bool) -> None:
    """One training, or the plan of it."""
    from segformer_cli.model.named_weights import provenance
    from segformer_cli.workflows import planning, training

    plan = planning.plan(settings, console.progress, run)
    _warn(plan, console)
    if dry_run:
        console.done(_planned(plan), summary=str(plan))
        return
    console.say(str(plan))
    result = training.train(plan, console.progress)
    console.done(
        {key: value for key, value in vars(result).items() if key != "final"} | {"final": result.final.to_json()},
        artifacts=[result.run],
        summary=f"{result.run}: best mIoU {result.best_miou:.4f} at iteration {result.best_iteration}, "
        f"{result.images_per_s:.1f} images/s, {100 * result.data_wait_share:.0f} % of the time waiting for data; "
        f"{provenance(result.licence)}",
        next_command=f"segformer predict INPUT -w {result.run} -o out/ --save mask,overlay",
    )


def _cross_validate(settings: TrainConfig, run: Run | None, console: Console, dry_run: bool) -> None:
    """All folds, and their mean and spread."""
    from segformer_cli.model.named_weights import provenance
    from segformer_cli.workflows import folds

    plan = folds.plan_folds(settings, console.progress, run)
    if plan.current is not None:
        _warn(plan.current, console)
    if dry_run:
        first = {} if plan.current is None else _planned(plan.current)
        console.done({"folds": plan.config.folds, "first": plan.number, **first}, summary=str(plan))
        return
    console.say(str(plan))
    result = folds.cross_validate(plan, console.progress)
    console.done(
        result.to_json(),
        artifacts=[result.run, result.report],
        summary=f"{result.run}: best mIoU {result.best_miou} over {len(result.folds)} folds "
        f"({', '.join(f'{fold.best_miou:.4f}' for fold in result.folds)}); {provenance(result.licence)}",
        next_command=f"segformer predict INPUT -w {result.folds[0].run} -o out/ --save mask,overlay",
    )


def _warn(plan: TrainingPlan, console: Console) -> None:
    for text in plan.needs.warnings:
        console.warn(text)


def _planned(plan: TrainingPlan) -> dict[str, object]:
    return {
        "config": plan.config,
        "start": plan.start,
        "train_images": len(plan.train),
        "val_images": len(plan.val),
        "classes": plan.train.class_names,
        "seconds_per_step": plan.seconds_per_step,
        **vars(plan.needs),
    }
