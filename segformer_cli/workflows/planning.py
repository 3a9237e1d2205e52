"""What a training will do, before it does it: data and weights found, defaults filled in, a step measured."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from segformer_cli.atomic import refuse_unwritable
from segformer_cli.config import TrainConfig
from segformer_cli.data.band_values import BandValues, measure_bands
from segformer_cli.data.bending import Bending
from segformer_cli.data.class_statistics import STATISTICS, ClassStatistics, count_classes
from segformer_cli.data.folding import fold_of
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import choose_device, choose_dtype, fix_workspaces, keep_freed_memory
from segformer_cli.engine.distributed import own_device
from segformer_cli.engine.loading import build_model, check_variant, load_checkpoint_from
from segformer_cli.errors import DataError, EnvironmentLacksError, UsageError, WeightsError
from segformer_cli.model.checkpoint import Checkpoint
from segformer_cli.model.variants import get_variant
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.settings import checked
from segformer_cli.workflows.decoding import cache_bytes
from segformer_cli.workflows.defaults import (
    CROP,
    IMAGENET,
    batch_of_preset,
    filled,
    imagenet_name,
    readers_of,
)
from segformer_cli.workflows.recipe import criterion_of, recipe_of
from segformer_cli.workflows.resuming import continued, refuse_other_data
from segformer_cli.workflows.run_list import RUNS
from segformer_cli.workflows.runs import Run
from segformer_cli.workflows.step_cost import (
    PREFETCHED,
    Needs,
    Sharing,
    StepCost,
    ceil_div,
    crops_a_device,
    crops_a_step,
    crops_in_turn,
    measured_step,
    said_bytes,
)
from segformer_cli.workflows.tracking import check_trackers

PAPER_PRESETS = {"ade20k": "ade20k-512", "cityscapes": "cityscapes-1024", "coco-stuff164k": "coco-stuff-512"}
"""By layout: the paper's run on its own data sets; B5 on ADE20K has another."""

NAMED_WEIGHTS = 12
"""Class weights that a plan shows one by one; of more, the ends."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a training will do, before it does it; `config` has every default filled in."""

    config: TrainConfig
    train: Split
    val: Split
    start: str
    checkpoint: Checkpoint | None
    seconds_per_step: float
    needs: Needs
    run: Run | None = None
    """The run that goes on."""
    statistics: ClassStatistics | None = None
    """Of the masks to train on, where rare classes are drawn more often or class weights were counted."""
    values: BandValues | None = None
    """Of the pictures to train on, where they are bands that the weights to start from do not know."""
    cache_bytes: int = 0
    """What the decoded pictures will take that are to be kept and are not yet."""

    @property
    def batch_size(self) -> int:
        """Crops of a step."""
        return crops_a_step(self.config)

    def __str__(self) -> str:
        config = self.config
        height, width = config.crop_size or (CROP, CROP)
        assert config.iterations is not None and config.lr is not None
        parts = f" in {config.accumulate} parts" if config.accumulate > 1 else ""
        minutes = config.iterations * self.seconds_per_step / 60
        lines = [
            f"{config.variant} on {self.train.data}: {len(self.train)} images to train, {len(self.val)} to validate, "
            f"{len(self.train.class_names)} classes",
            f"start: {self.start}",
            f"recipe: {config.preset or 'as configured'}, lr {config.lr:g}, {config.iterations} iterations of "
            f"{self.batch_size} crops of {height} x {width}{parts}, on {config.device}",
        ]
        if self.val.note:
            lines.insert(1, self.val.note.partition(";")[0])
        if config.sampling == "rare":
            lines.append("sampling: each class as often as another, crops around it")
        if isinstance(config.class_weights, tuple):
            lines.append(f"class weights: {_said_of_weights(config.class_weights, self.train.class_names)}")
        if self.train.bands:
            measured = "" if self.values is None else f", mean and deviation from {self.values.measured} pictures"
            lines.append(f"bands: {', '.join(map(str, self.train.bands))}{measured}")
        if self.cache_bytes:
            lines.append(f"cache: {said_bytes(self.cache_bytes)} of decoded pictures, written first ({config.cache})")
        lines.append(f"time: about {_said_time(60 * minutes)}")
        lines.append(str(self.needs))
        if minutes > 3 and config.data == "sample":
            lines.append("(for a quick look add --iterations 20)")
        return "\n".join(lines)


def default_preset(config: TrainConfig, progress: ProgressListener = ignore_progress) -> str:
    """The recipe for where a training starts and what it sees."""
    if config.data == "sample":
        return "sample"
    if config.weights == "none":
        return "scratch"
    if config.weights is None:
        layout = layout_name(config.data)
        if layout in PAPER_PRESETS:
            return "ade20k-640" if (layout, config.variant) == ("ade20k", "b5") else PAPER_PRESETS[layout]
        if _pretrained_or_none(config, progress) is None:
            return "scratch"
    return "finetune"


def plan(
    config: TrainConfig, progress: ProgressListener = ignore_progress, run: Run | None = None
) -> TrainingPlan:
    """What `train` would do with a config: data found, weights found, defaults filled in, a step measured.

    Args:
        run: the run to go on with, where `config` holds all its settings, and those that are to change.

    Raises:
        DataError, WeightsError, UsageError: something asked for is not there or has no meaning.
    """
    config = checked(config)
    if config.resume:
        config, run = continued(config, run)
    get_variant(config.variant)
    if config.out and run is None:
        refuse_unwritable([Path(config.out) / "config.yaml"], force=True)
    _refuse_contradictions(config)
    fitting = config.batch_size == "auto"
    if fitting:
        config = batch_of_preset(config)
    check_trackers(config)
    device = choose_device(config.device)
    train, val = _splits(config)
    if run is not None:
        refuse_other_data(run.folder, {"train": train, "val": val.first(config.eval_limit)})
    num_classes = len(train.class_names)
    _refuse_other_losses(config, num_classes)
    checkpoint, start = _start(config, progress) if run is None else (None, f"{run.folder}, where it stopped")
    if run is None:
        # The name of what was found, so that who repeats the run starts from the same.
        config = dataclasses.replace(config, weights="none" if checkpoint is None else start)
    if checkpoint is not None:
        check_variant(checkpoint, config.variant)
    statistics = _statistics(config, train, run, progress)
    config = filled(config, train, device, checkpoint is not None, statistics)
    if crops_a_step(config) < config.devices * config.accumulate:
        raise UsageError(
            f"a step of {crops_a_step(config)} crops cannot be shared by {config.devices} devices, parts on each: "
            f"{config.accumulate}",
            hint="a larger --batch-size, or fewer devices or parts",
        )
    keep_freed_memory()
    if config.deterministic:
        fix_workspaces()
    values = _values(config, train, checkpoint, run, progress)
    decoded_bytes = cache_bytes(config, train)
    cost = _measured(config, num_classes, own_device(device), len(train.bands) or 3)
    if fitting:
        config = _fitted(config, cost, progress)
    # A run that goes on may have come to more parts on its way.
    parts = config.accumulate if run is None else run.decisions().get("accumulate", config.accumulate)
    return TrainingPlan(
        config,
        train,
        val.first(config.eval_limit),
        start,
        checkpoint,
        cost.seconds_per_crop * crops_in_turn(config, device),
        Needs.of(cost, ceil_div(crops_a_device(config), parts), Path(config.out) if config.out else RUNS),
        run,
        statistics,
        values,
        decoded_bytes,
    )


def _refuse_contradictions(config: TrainConfig) -> None:
    low, high = config.scale_range
    if low > high:
        raise UsageError(f"scale_range is {low:g} to {high:g}", hint="give the smaller number first")
    if config.batch_size == "auto" and config.accumulate > 1:
        raise UsageError(
            f"batch_size is auto, and accumulate is {config.accumulate}",
            hint="auto finds out the parts: leave out accumulate, or give batch_size as a number",
        )
    if config.iterations is not None and config.epochs is not None:
        raise UsageError("--iterations and --epochs are both given", hint="give one of them")
    if config.fold is not None and config.fold > (config.folds or 0):
        raise UsageError(f"fold is {config.fold} of {config.folds or 'no'} folds", hint="folds says how many there are")
    if config.folds is not None and config.fold is None:
        hint = "workflows.folds.cross_validate trains them all, `segformer train --folds N` too; fold=1 is the first"
        raise UsageError(f"folds is {config.folds}, and this is one training", hint=hint)


def _refuse_other_losses(config: TrainConfig, num_classes: int) -> None:
    """An error where the loss is none for these classes, before anything is fetched or counted."""
    weights = "none" if config.class_weights == "auto" else config.class_weights
    criterion_of(dataclasses.replace(config, class_weights=weights), 255, num_classes)


def _splits(config: TrainConfig) -> tuple[Split, Split]:
    """What is trained and validated on, all of it labelled."""
    train, val = (open_data(config.data, split, Bending.of(config, config.bands)) for split in ("train", "val"))
    for split in (train, val):
        if not split.labelled:
            raise DataError(f"split {split.name!r} of {split.data} has no labels", where=str(split.root))
    if config.folds is None or config.fold is None:
        return train, val
    return fold_of(train, val, config.folds, config.fold)


def _start(config: TrainConfig, progress: ProgressListener) -> tuple[Checkpoint | None, str]:
    """The weights a training starts from, None for random ones, and the words for it."""
    name = imagenet_name(config)
    if config.weights == "none":
        return None, "random weights"
    if config.weights == IMAGENET:
        try:
            return load_checkpoint_from(name, offline=config.offline, progress=progress), name
        except EnvironmentLacksError as error:
            hint = "add -w none to train from scratch"
            raise EnvironmentLacksError(error.message, where=error.where, hint=hint) from error
    if config.weights is not None:
        return load_checkpoint_from(config.weights, offline=config.offline, progress=progress), config.weights
    if config.data == "sample":
        return None, "random weights (the drawn scenes need no others)"
    checkpoint = _pretrained_or_none(config, progress)
    if checkpoint is None:
        return None, f"random weights, since {name} could not be had"
    return checkpoint, name


def _pretrained_or_none(config: TrainConfig, progress: ProgressListener) -> Checkpoint | None:
    try:
        return load_checkpoint_from(imagenet_name(config), offline=config.offline, progress=progress)
    except (EnvironmentLacksError, WeightsError):
        return None


def _statistics(
    config: TrainConfig, train: Split, run: Run | None, progress: ProgressListener
) -> ClassStatistics | None:
    """What the masks hold of each class, where that is asked for; a run that goes on has it from its beginning."""
    if run is not None:
        return ClassStatistics.load(run.folder / STATISTICS, train) if config.sampling == "rare" else None
    if config.sampling != "rare" and config.class_weights != "auto":
        return None
    found = count_classes(train, readers_of(config), progress)
    if not found.pixels.any():
        raise DataError(f"no pixel of split {train.name!r} is labelled", where=str(train.root))
    return found


def _values(
    config: TrainConfig, train: Split, checkpoint: Checkpoint | None, run: Run | None, progress: ProgressListener
) -> BandValues | None:
    """Mean and deviation of the bands, where neither a run nor the weights have them of these very bands."""
    if not train.bands or run is not None:
        return None
    if checkpoint is not None and checkpoint.config.bands == train.bands:
        return None
    return measure_bands(train, threads=readers_of(config), progress=progress)


def _said_time(seconds: float) -> str:
    """In the largest unit that there is more than one of.

    >>> _said_time(9.2), _said_time(600), _said_time(20_000), _said_time(4e7)
    ('10 s', '10 min', '5.6 h', '463 days')
    """
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def _said_of_weights(weights: tuple[float, ...], names: tuple[str, ...]) -> str:
    """Each with its class, the heaviest first; of many, the ends."""
    order = sorted(range(len(names)), key=lambda index: -weights[index])
    said = [f"{names[index]} {weights[index]:.2f}" for index in order]
    if len(said) > NAMED_WEIGHTS:
        said[NAMED_WEIGHTS // 2 : -NAMED_WEIGHTS // 2] = ["..."]
    return ", ".join(said)


def _measured(config: TrainConfig, num_classes: int, device: torch.device, bands: int) -> StepCost:
    """What a step takes: what the estimates of the plan rest on."""
    return measured_step(
        build_model(
            config.variant,
            num_classes=num_classes,
            in_channels=bands,
            drop_path=config.drop_path,
            dropout=config.dropout,
        ),
        criterion_of(config, 255, num_classes),
        recipe_of(config),
        choose_dtype(config.precision, device),
        config.crop_size or (CROP, CROP),
        device,
        Sharing.of(config),
        waiting=PREFETCHED * (config.workers or 0) * crops_a_device(config),
    )


def _fitted(config: TrainConfig, cost: StepCost, progress: ProgressListener) -> TrainConfig:
    """The config with the fewest parts of a step that the memory allows."""
    if cost.memory is None:
        text = f"how much memory is free, {config.device} does not tell: the crops of a step pass in one part"
        progress(Progress("plan", 0, message=text))
        return config
    most = max(1, crops_a_step(config) // Sharing.of(config).processes)
    return dataclasses.replace(config, accumulate=min(most, cost.memory.fewest_parts(crops_a_device(config))))
