"""Training: a config in, a run folder with its best and last weights out."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from segformer_cli.config import TrainConfig
from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.data.sampler import TrainStream
from segformer_cli.data.transforms import Augmentation
from segformer_cli.engine.device import choose_device, choose_dtype, default_workers, keep_freed_memory, seed_everything
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import build_model, load_checkpoint_from, start_from
from segformer_cli.engine.trainer import Recipe, Step, fit
from segformer_cli.errors import DataError, EnvironmentLacksError, Interrupted, UsageError, WeightsError
from segformer_cli.model.checkpoint import Checkpoint, ModelConfig
from segformer_cli.model.segformer import SegFormer
from segformer_cli.model.variants import get_variant
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.resize import ALIGN
from segformer_cli.workflows.evaluation import Evaluation, one_thread, protocol_of, score_split, summarise
from segformer_cli.workflows.runs import Run

EPOCHS, FEWEST, MOST = 80, 1_000, 40_000
CROP = 512


@dataclass(frozen=True)
class TrainingPlan:
    """What a training will do, before it does it; `config` has every default filled in."""

    config: TrainConfig
    train: Split
    val: Split
    start: str
    checkpoint: Checkpoint | None
    seconds_per_step: float

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
            f"time: about {minutes:.0f} minutes" if minutes >= 1 else f"time: about {60 * minutes:.0f} seconds",
        ]
        if minutes > 3 and config.data == "sample":
            lines.append("(for a quick look add --iterations 20)")
        return "\n".join(lines)


@dataclass(frozen=True)
class TrainingResult:
    """What came of a training."""

    run: str
    best_miou: float
    best_iteration: int
    iterations: int
    images_per_s: float
    data_wait_share: float
    seconds: float
    start: str
    licence: str | None
    final: Evaluation


def default_preset(config: TrainConfig) -> str:
    """The recipe for where a training starts and what it sees."""
    if config.data == "sample":
        return "sample"
    if config.weights == "none":
        return "scratch"
    if config.weights is None and config.data.startswith("cityscapes:"):
        return "cityscapes-1024"
    if config.weights is None and _pretrained_or_none(config, ignore_progress) is None:
        return "scratch"
    return "finetune"


def plan(config: TrainConfig, progress: ProgressListener = ignore_progress) -> TrainingPlan:
    """What `train` would do with a config: data found, weights found, defaults filled in, a step measured.

    Raises:
        DataError, WeightsError, UsageError: something asked for is not there or has no meaning.
    """
    get_variant(config.variant)
    _refuse_nonsense(config)
    device = choose_device(config.device)
    train = open_data(config.data, "train", image_suffix=config.image_suffix, mask_suffix=config.mask_suffix)
    val = open_data(config.data, "val", image_suffix=config.image_suffix, mask_suffix=config.mask_suffix)
    for split in (train, val):
        if not split.labelled:
            raise DataError(f"split {split.name!r} of {split.data} has no labels", where=str(split.root))
    checkpoint, start = _start(config, progress)
    config = _filled(config, train, device)
    seconds = _measure_step(config, len(train.class_names), device)
    return TrainingPlan(config, train, val.first(config.eval_limit), start, checkpoint, seconds)


def train(
    config: TrainConfig | TrainingPlan, progress: ProgressListener = ignore_progress
) -> TrainingResult:
    """Trains as configured and leaves a run folder; Ctrl-C and SIGTERM save what there is.

    Raises:
        Interrupted: it was stopped; checkpoints/last.safetensors holds the weights of that moment.
        SegFormerError: the run folder exists, or the loss is no longer a number.
    """
    keep_freed_memory()
    planned = plan(config, progress) if isinstance(config, TrainConfig) else config
    config = planned.config
    seed_everything(config.seed, deterministic=config.deterministic)
    device = choose_device(config.device)
    dtype = choose_dtype("fp32" if config.precision == "auto" else config.precision, device)
    model, said = _build(planned)
    for note in said:
        progress(Progress("train", 0, config.iterations, message=note))
    run = Run.new(config)
    run.describe(config, {"train": planned.train, "val": planned.val})
    return _Training(planned, model.to(device), run, device, dtype, progress).go()


class _Training:
    """One training under way: its counters, and what happens between steps."""

    def __init__(
        self,
        planned: TrainingPlan,
        model: SegFormer,
        run: Run,
        device: torch.device,
        dtype: torch.dtype,
        progress: ProgressListener,
    ) -> None:
        self.plan, self.config = planned, planned.config
        self.model, self.run, self.device, self.dtype = model, run, device, dtype
        self.progress = progress
        self.best: Evaluation | None = None
        self.best_iteration = 0
        self.last: Evaluation | None = None
        self.step_seconds = self.wait_seconds = 0.0
        self.began = time.perf_counter()

    def go(self) -> TrainingResult:
        recipe = _recipe(self.config, self.plan.train.ignore_index)
        batches = _loader(self.config, self.plan.train)
        done = 0
        with _stop_asked() as stop:
            for step in fit(self.model, batches, recipe, self.device, self.dtype):
                done = step.iteration
                self._after(step)
                if stop():
                    self.run.save("last", self.model)
                    raise Interrupted(
                        f"stopped after iteration {done} of {recipe.iterations}",
                        where=str(self.run.checkpoint("last")),
                        hint=f"its weights are saved: segformer eval -w {self.run.folder} -d {self.config.data}",
                    )
        return self._result(done)

    def _after(self, step: Step) -> None:
        config, iterations = self.config, self.config.iterations
        assert iterations and config.eval_every and config.checkpoint_every
        self.step_seconds += step.seconds
        self.wait_seconds += step.wait_s
        if step.iteration % config.log_every == 0 or step.iteration in (1, iterations):
            self.run.log({"iteration": step.iteration, "loss": step.loss, "lr": step.lr, "seconds": step.seconds})
        self.progress(Progress("train", step.iteration, iterations, "it", {"loss": step.loss, "lr": step.lr}))
        finished = step.iteration == iterations
        if step.iteration % config.eval_every == 0 or finished:
            self._validate(step)
        if step.iteration % config.checkpoint_every == 0 or finished:
            self.run.save("last", self.model)

    def _validate(self, step: Step) -> None:
        val = self.plan.val
        segmenter = Segmenter.of(self.model, self.device, self.dtype)
        confusion = score_split(segmenter, val, progress=self.progress, stage="validate")
        self.last = found = summarise(confusion, val, protocol_of(segmenter, val))
        row = {"iteration": step.iteration, "loss": step.loss, "miou": found.miou, "macc": found.macc}
        self.run.metrics({**row, "aacc": found.aacc, **{f"iou/{c.name}": c.iou for c in found.per_class}})
        better = self.best is None or not found.miou <= self.best.miou
        if better:
            self.best, self.best_iteration = found, step.iteration
            self.run.save("best", self.model)
        note = f"iteration {step.iteration}: mIoU {found.miou:.4f}, aAcc {found.aacc:.4f}{' (best)' if better else ''}"
        self.progress(Progress("train", step.iteration, self.config.iterations, "it", message=note))

    def _result(self, done: int) -> TrainingResult:
        assert self.best is not None and self.last is not None
        return TrainingResult(
            run=str(self.run.folder),
            best_miou=self.best.miou,
            best_iteration=self.best_iteration,
            iterations=done,
            images_per_s=done * self.config.batch_size / self.step_seconds,
            data_wait_share=self.wait_seconds / self.step_seconds,
            seconds=time.perf_counter() - self.began,
            start=self.plan.start,
            licence=self.model.config.licence,
            final=self.last,
        )


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
    eval_every = config.eval_every or max(1, iterations // 10)
    return dataclasses.replace(
        config,
        iterations=iterations,
        epochs=None,
        warmup=config.warmup if config.warmup is not None else min(1500, iterations // 10),
        crop_size=config.crop_size or _crop_for(train),
        eval_every=eval_every,
        checkpoint_every=config.checkpoint_every or eval_every,
        workers=config.workers if config.workers is not None else default_workers(),
        device=str(device),
    )


def _refuse_nonsense(config: TrainConfig) -> None:
    """Nothing where every number is in the range that has a meaning.

    Raises:
        UsageError: the first that is not, with its range.
    """
    least_one = ("iterations", "batch_size", "eval_every", "checkpoint_every", "eval_limit", "log_every")
    for name in least_one:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}", hint="it must be at least 1")
    for name in ("flip", "drop_path", "dropout", "cat_max_ratio"):
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise UsageError(f"{name} is {value:g}", hint="it must lie in 0 to 1")
    for name in ("lr", "weight_decay", "head_lr_multiplier", "poly_power", "warmup", "epochs", "workers"):
        value = getattr(config, name)
        if value is not None and value < 0:
            raise UsageError(f"{name} is {value:g}", hint="it must not be negative")
    low, high = config.scale_range
    if not 0 < low <= high:
        raise UsageError(f"scale_range is {low:g} to {high:g}", hint="give two positive numbers, the smaller first")
    if config.crop_size is not None and min(config.crop_size) < ALIGN:
        raise UsageError(f"crop_size is {config.crop_size}", hint=f"each side must be at least {ALIGN}")


def _crop_for(train: Split) -> tuple[int, int]:
    """512 x 512, each side cut to what the first picture has, rounded up as the network wants it."""
    image, _ = train.read(train.pairs[0])
    height, width = (min(CROP, -(-side // ALIGN) * ALIGN) for side in image.shape[:2])
    return height, width


def _recipe(config: TrainConfig, ignore_index: int) -> Recipe:
    assert config.iterations is not None and config.warmup is not None
    return Recipe(
        iterations=config.iterations,
        warmup=config.warmup,
        lr=config.lr,
        head_lr_multiplier=config.head_lr_multiplier,
        weight_decay=config.weight_decay,
        poly_power=config.poly_power,
        loss_mean=config.loss_mean,
        ignore_index=ignore_index,
    )


def _build(planned: TrainingPlan) -> tuple[SegFormer, tuple[str, ...]]:
    """The network to train, with the meaning of its numbers, and what was done to fit weights to classes."""
    config, split = planned.config, planned.train
    told: dict[str, Any] = {
        "class_names": split.class_names,
        "palette": split.palette,
        "ignore_index": split.ignore_index,
        "training_data": split.data,
    }
    torch.manual_seed(config.seed)
    if planned.checkpoint is None:
        model = build_model(
            config.variant, class_names=split.class_names, drop_path=config.drop_path, dropout=config.dropout
        )
        model.config = dataclasses.replace(model.config, **told)
        return model, ()
    source: ModelConfig = planned.checkpoint.config
    if source.variant != config.variant:
        raise UsageError(
            f"the weights are a {source.variant}, --variant says {config.variant}",
            hint=f"add --variant {source.variant}",
        )
    told["origin"] = source.origin or planned.start
    return start_from(
        planned.checkpoint,
        dataclasses.replace(source, **told),
        config.seed,
        drop_path=config.drop_path,
        dropout=config.dropout,
    )


def _loader(config: TrainConfig, split: Split) -> DataLoader[tuple[Tensor, Tensor]]:
    augmentation = Augmentation(
        crop_size=config.crop_size or (CROP, CROP),
        base_size=config.base_size,
        scale_range=config.scale_range,
        cat_max_ratio=config.cat_max_ratio,
        flip=config.flip,
        photometric=config.photometric,
    )
    model_config = ModelConfig(variant=config.variant, class_names=(), palette=())
    crops = TrainCrops(split, augmentation, model_config.mean, model_config.std, config.seed)
    workers = config.workers or 0
    return DataLoader(
        crops,
        batch_sampler=TrainStream(len(split), config.batch_size, config.seed),
        num_workers=workers,
        worker_init_fn=one_thread,
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,
    )


def _measure_step(config: TrainConfig, num_classes: int, device: torch.device) -> float:
    """Seconds of one optimiser step on noise, the second of two; what the estimate of the plan rests on."""
    height, width = config.crop_size or (CROP, CROP)
    images = torch.rand(config.batch_size, 3, height, width)
    targets = torch.zeros(config.batch_size, height, width, dtype=torch.uint8)
    recipe = dataclasses.replace(_recipe(config, 255), iterations=2, warmup=0)
    model = build_model(config.variant, num_classes=num_classes).to(device)
    with torch.random.fork_rng():
        *_, step = fit(model, iter([(images, targets)] * 2), recipe, device)
    return step.seconds


@contextmanager
def _stop_asked() -> Iterator[Callable[[], bool]]:
    """Says whether SIGINT or SIGTERM came, so that the step under way ends first; a second one does not wait."""
    asked = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


