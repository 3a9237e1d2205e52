"""What a training will do, before it does it: data and weights found, defaults filled in, a step measured."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from segformer_cli.atomic import refuse_unwritable
from segformer_cli.config import TrainConfig
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import choose_device, default_workers, keep_freed_memory
from segformer_cli.engine.loading import build_model, check_variant, load_checkpoint_from
from segformer_cli.engine.training.criterion import Criterion, parsed_terms
from segformer_cli.engine.training.trainer import Recipe, Trainer
from segformer_cli.errors import DataError, EnvironmentLacksError, UsageError, WeightsError
from segformer_cli.model.checkpoint import Checkpoint
from segformer_cli.model.variants import get_variant
from segformer_cli.progress import ProgressListener, ignore_progress
from segformer_cli.resize import ALIGN
from segformer_cli.settings import checked
from segformer_cli.workflows.resuming import continued
from segformer_cli.workflows.runs import Run

EPOCHS, FEWEST, MOST = 80, 1_000, 40_000
CROP = 512
LEAST_BETWEEN_EVALS = 50


@dataclass(frozen=True)
class TrainingPlan:
    """What a training will do, before it does it; `config` has every default filled in."""

    config: TrainConfig
    train: Split
    val: Split
    start: str
    checkpoint: Checkpoint | None
    seconds_per_step: float
    run: Run | None = None
    """The run that goes on."""

    def __str__(self) -> str:
        config = self.config
        height, width = config.crop_size or (CROP, CROP)
        assert config.iterations is not None
        minutes = config.iterations * self.seconds_per_step / 60
        lines = [
            f"{config.variant} on {self.train.data}: {len(self.train)} images to train, {len(self.val)} to validate, "
            f"{len(self.train.class_names)} classes",
            f"start: {self.start}",
            f"recipe: {config.preset or 'as configured'}, lr {config.lr:g}, {config.iterations} iterations of "
            f"{config.batch_size} crops of {height} x {width}, on {config.device}",
            f"time: about {minutes:.0f} min" if minutes >= 1 else f"time: about {math.ceil(60 * minutes)} s",
        ]
        if minutes > 3 and config.data == "sample":
            lines.append("(for a quick look add --iterations 20)")
        return "\n".join(lines)


def default_preset(config: TrainConfig, progress: ProgressListener = ignore_progress) -> str:
    """The recipe for where a training starts and what it sees."""
    if config.data == "sample":
        return "sample"
    if config.weights == "none":
        return "scratch"
    if config.weights is None and layout_name(config.data) == "cityscapes":
        return "cityscapes-1024"
    if config.weights is None and _pretrained_or_none(config, progress) is None:
        return "scratch"
    return "finetune"


def plan(config: TrainConfig, progress: ProgressListener = ignore_progress) -> TrainingPlan:
    """What `train` would do with a config: data found, weights found, defaults filled in, a step measured.

    Raises:
        DataError, WeightsError, UsageError: something asked for is not there or has no meaning.
    """
    config, run = continued(checked(config))
    get_variant(config.variant)
    if config.out and run is None:
        refuse_unwritable([Path(config.out) / "config.yaml"], force=True)
    low, high = config.scale_range
    if low > high:
        raise UsageError(f"scale_range is {low:g} to {high:g}", hint="give the smaller number first")
    device = choose_device(config.device)
    train = open_data(config.data, "train", image_suffix=config.image_suffix, mask_suffix=config.mask_suffix)
    val = open_data(config.data, "val", image_suffix=config.image_suffix, mask_suffix=config.mask_suffix)
    for split in (train, val):
        if not split.labelled:
            raise DataError(f"split {split.name!r} of {split.data} has no labels", where=str(split.root))
    checkpoint, start = _start(config, progress) if run is None else (None, f"{run.folder}, where it stopped")
    if checkpoint is not None:
        check_variant(checkpoint, config.variant)
    config = _filled(config, train, device)
    keep_freed_memory()
    seconds = _measure_step(config, len(train.class_names), device)
    return TrainingPlan(config, train, val.first(config.eval_limit), start, checkpoint, seconds, run)


def _start(config: TrainConfig, progress: ProgressListener) -> tuple[Checkpoint | None, str]:
    """The weights a training starts from, None for random ones, and the words for it."""
    if config.weights == "none":
        return None, "random weights"
    if config.weights is not None:
        return load_checkpoint_from(config.weights, offline=config.offline, progress=progress), config.weights
    if config.data == "sample":
        return None, "random weights (the drawn scenes need no others)"
    name = f"{config.variant}-imagenet"
    if config.preset is not None and config.preset.startswith("cityscapes"):
        try:
            return load_checkpoint_from(name, offline=config.offline, progress=progress), name
        except EnvironmentLacksError as error:
            hint = "add -w none to train from scratch"
            raise EnvironmentLacksError(error.message, where=error.where, hint=hint) from error
    checkpoint = _pretrained_or_none(config, progress)
    if checkpoint is None:
        return None, f"random weights, since {name} could not be had"
    return checkpoint, name


def _pretrained_or_none(config: TrainConfig, progress: ProgressListener) -> Checkpoint | None:
    try:
        return load_checkpoint_from(f"{config.variant}-imagenet", offline=config.offline, progress=progress)
    except (EnvironmentLacksError, WeightsError):
        return None


def _filled(config: TrainConfig, train: Split, device: torch.device) -> TrainConfig:
    """The config with what depends on data and machine decided."""
    if config.iterations is not None and config.epochs is not None:
        raise UsageError("--iterations and --epochs are both given", hint="give one of them")
    iterations = config.iterations
    if iterations is None and config.epochs is not None:
        iterations = max(1, round(config.epochs * len(train) / config.batch_size))
    elif iterations is None:
        iterations = min(max(EPOCHS * len(train) // config.batch_size, FEWEST), MOST)
    eval_every = config.eval_every or min(iterations, max(LEAST_BETWEEN_EVALS, iterations // 10))
    return dataclasses.replace(
        config,
        iterations=iterations,
        epochs=None,
        # A run cut short for a look still reaches its peak rate.
        warmup=min(config.warmup, iterations // 2) if config.warmup is not None else min(1500, iterations // 10),
        crop_size=config.crop_size or _crop_for(train),
        eval_every=eval_every,
        checkpoint_every=config.checkpoint_every or eval_every,
        workers=config.workers if config.workers is not None else default_workers(),
        device=str(device),
    )


def _crop_for(train: Split) -> tuple[int, int]:
    """512 x 512, each side cut to what the first picture has, rounded up as the network wants it."""
    image, _ = train.read(train.pairs[0])
    height, width = (min(CROP, -(-side // ALIGN) * ALIGN) for side in image.shape[:2])
    return height, width


def recipe_of(config: TrainConfig) -> Recipe:
    """What a step needs of a config whose defaults are filled in."""
    assert config.iterations is not None and config.warmup is not None and config.lr is not None
    return Recipe(
        iterations=config.iterations,
        warmup=config.warmup,
        lr=config.lr,
        head_lr_multiplier=config.head_lr_multiplier,
        weight_decay=config.weight_decay,
        poly_power=config.poly_power,
        head_only=config.head_only,
        freeze=config.freeze,
        clip_norm=config.clip_norm,
        ema=config.ema,
        seed=config.seed,
    )


def criterion_of(config: TrainConfig, ignore_index: int, num_classes: int) -> Criterion:
    """The loss of a config.

    Raises:
        UsageError: it is no sum of known losses, or the weights are not one a class.
    """
    weights = None
    if isinstance(config.class_weights, tuple):
        if len(config.class_weights) != num_classes:
            raise UsageError(
                f"class_weights holds {len(config.class_weights)} numbers, the data has {num_classes} classes",
                hint="give one a class, in the order of their ids",
            )
        weights = torch.tensor(config.class_weights)
    terms = parsed_terms(
        config.loss,
        ignore_index=ignore_index,
        weights=weights,
        smoothing=config.label_smoothing,
        gamma=config.focal_gamma,
        threshold=config.ohem_threshold,
        keep=config.ohem_keep,
    )
    return Criterion(terms, ignore_index, config.loss_mean, weights)


def _measure_step(config: TrainConfig, num_classes: int, device: torch.device) -> float:
    """Seconds of an optimiser step, from one crop of noise: what the estimate of the plan rests on."""
    height, width = config.crop_size or (CROP, CROP)
    images = torch.rand(1, 3, height, width)
    targets = torch.zeros(1, height, width, dtype=torch.uint8)
    model = build_model(config.variant, num_classes=num_classes)
    recipe = dataclasses.replace(recipe_of(config), iterations=2, warmup=0)
    with torch.random.fork_rng():
        trainer = Trainer(model, criterion_of(config, 255, num_classes), recipe, device)
        *_, step = (trainer.step(images, targets) for _ in range(2))
    return step.seconds * config.batch_size
