"""Training: a config in, a run folder with its best and last weights out."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader

from segformer_cli.config import TrainConfig
from segformer_cli.data.dataset import TrainCrops, joined, raising, start_worker
from segformer_cli.data.pairs import Split
from segformer_cli.data.sampler import TrainStream
from segformer_cli.data.transforms import Augmentation
from segformer_cli.engine.device import choose_device, choose_dtype, seed_everything
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import build_model, start_from
from segformer_cli.engine.protocol import choose_protocol
from segformer_cli.engine.scoring import score_split
from segformer_cli.engine.trainer import Step, fit
from segformer_cli.errors import Interrupted
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.model.header import IMAGENET_MEAN, IMAGENET_STD
from segformer_cli.model.segformer import SegFormer
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.resize import NATIVE
from segformer_cli.workflows.planning import CROP, TrainingPlan, plan, recipe_of
from segformer_cli.workflows.runs import Run
from segformer_cli.workflows.scorecard import Evaluation, protocol_sentence, summarise
from segformer_cli.workflows.training_report import write_training_report


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
    report: str


def train(
    config: TrainConfig | TrainingPlan, progress: bool | ProgressListener = False
) -> TrainingResult:
    """Trains as configured and leaves a run folder; Ctrl-C and SIGTERM save what there is.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        Interrupted: it was stopped; checkpoints/last.safetensors holds the weights of that moment.
        SegFormerError: the run folder exists, or the loss is no longer a number.
    """
    with listening(progress) as listener:
        return _train(plan(config, listener) if isinstance(config, TrainConfig) else config, listener)


def _train(planned: TrainingPlan, progress: ProgressListener) -> TrainingResult:
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
        recipe = recipe_of(self.config, self.plan.train.ignore_index)
        batches = raising(_loader(self.config, self.plan.train, self.model.config))
        done = 0
        with _stop_asked() as stop, self.run.removed_if_unused():
            for step in fit(self.model, batches, recipe, self.device, self.dtype):
                done = step.iteration
                self._after(step)
                if stop():
                    self.run.save("last", self.model)
                    saved = self.run.checkpoint("last")
                    raise Interrupted(
                        f"stopped after iteration {done} of {recipe.iterations}",
                        where=str(saved),
                        hint=f"its weights are saved: segformer eval -w {saved} -d {self.config.data}",
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
        val, segmenter = self.plan.val, self._segmenter()
        confusion = score_split(segmenter, val, progress=self.progress, stage="validate")
        self.last = found = summarise(confusion, val, protocol_sentence(val, str(segmenter.protocol)))
        row = {"iteration": step.iteration, "loss": step.loss, "miou": found.miou, "macc": found.macc}
        self.run.metrics({**row, "aacc": found.aacc, **{f"iou/{c.name}": c.iou for c in found.per_class}})
        better = self.best is None or not found.miou <= self.best.miou
        if better:
            self.best, self.best_iteration = found, step.iteration
            self.run.save("best", self.model)
        note = f"iteration {step.iteration}: mIoU {found.miou:.4f}, aAcc {found.aacc:.4f}{' (best)' if better else ''}"
        self.progress(Progress("train", step.iteration, self.config.iterations, "it", message=note))

    def _segmenter(self) -> Segmenter:
        """The network as it is now, ready to predict."""
        val = self.plan.val
        protocol = choose_protocol(None, self.model.config.size, val.data, val.data)
        return Segmenter.of(self.model, self.device, self.dtype, protocol)

    def _result(self, done: int) -> TrainingResult:
        assert self.best is not None and self.last is not None
        speed = done * self.config.batch_size / self.step_seconds
        report = write_training_report(
            self.run.folder, self.plan, self._segmenter(), self.best, self.best_iteration, speed
        )
        return TrainingResult(
            run=str(self.run.folder),
            best_miou=self.best.miou,
            best_iteration=self.best_iteration,
            iterations=done,
            images_per_s=speed,
            data_wait_share=self.wait_seconds / self.step_seconds,
            seconds=time.perf_counter() - self.began,
            start=self.plan.start,
            licence=self.model.config.licence,
            final=self.last,
            report=str(report),
        )


def _build(planned: TrainingPlan) -> tuple[SegFormer, tuple[str, ...]]:
    """The network to train, with the meaning of its numbers, and what was done to fit weights to classes."""
    config, split = planned.config, planned.train
    told: dict[str, Any] = {
        "class_names": split.class_names,
        "palette": split.palette,
        "ignore_index": split.ignore_index,
        "training_data": split.data,
        "size": NATIVE,
    }
    torch.manual_seed(config.seed)
    if planned.checkpoint is None:
        model = build_model(
            config.variant, class_names=split.class_names, drop_path=config.drop_path, dropout=config.dropout
        )
        model.config = dataclasses.replace(model.config, **told)
        return model, ()
    source: ModelConfig = planned.checkpoint.config
    bands: dict[str, Any] = {"in_channels": 3, "mean": source.mean, "std": source.std}
    if source.in_channels != 3:
        bands |= {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    told["origin"] = source.origin or Path(planned.start).name
    return start_from(
        planned.checkpoint,
        dataclasses.replace(source, variant=config.variant, **bands, **told),
        config.seed,
        drop_path=config.drop_path,
        dropout=config.dropout,
        same_classes=(source.class_names, source.training_data) == (split.class_names, split.data),
    )


def _loader(config: TrainConfig, split: Split, model: ModelConfig) -> DataLoader[Any]:
    augmentation = Augmentation(
        crop_size=config.crop_size or (CROP, CROP),
        base_size=config.base_size,
        scale_range=config.scale_range,
        cat_max_ratio=config.cat_max_ratio,
        flip=config.flip,
        photometric=config.photometric,
    )
    crops = TrainCrops(split, augmentation, model.mean, model.std, config.seed)
    workers = config.workers or 0
    return DataLoader(
        crops,
        batch_sampler=TrainStream(len(split), config.batch_size, config.seed),
        num_workers=workers,
        collate_fn=joined,
        worker_init_fn=start_worker,
        prefetch_factor=4 if workers else None,
        persistent_workers=workers > 0,
    )


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
