"""Training: a config in, a run folder with its best and last weights out."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segformer_cli.config import TrainConfig
from segformer_cli.data.class_statistics import STATISTICS
from segformer_cli.engine.device import choose_device, choose_dtype, seed_everything
from segformer_cli.engine.distributed import Group, losing_none, own_device, process_group
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.protocol import choose_protocol
from segformer_cli.engine.scoring import Pace, score_split
from segformer_cli.engine.training.trainer import Diverged, Step, Trainer
from segformer_cli.errors import Interrupted, SegFormerError, UsageError
from segformer_cli.processes import LAUNCHED
from segformer_cli.progress import Progress, ProgressListener, ignore_progress, listening
from segformer_cli.workflows.claims import claimed
from segformer_cli.workflows.class_map import note_for_training
from segformer_cli.workflows.decoding import decoded_pairs
from segformer_cli.workflows.planning import TrainingPlan, plan
from segformer_cli.workflows.recipe import criterion_of, recipe_of
from segformer_cli.workflows.run_curves import write_curves
from segformer_cli.workflows.run_pictures import write_inputs, write_validation
from segformer_cli.workflows.runs import REPORT, Run
from segformer_cli.workflows.scorecard import Evaluation, protocol_sentence, summarise
from segformer_cli.workflows.stopping import stop_asked
from segformer_cli.workflows.tracking import Trackers, open_trackers
from segformer_cli.workflows.training_parts import (
    Batch,
    agreed_parts,
    batches_of,
    decisions_of,
    model_of,
    starting_network,
)
from segformer_cli.workflows.training_report import write_training_report

SETBACKS = 3
"""How often a run whose loss is no longer a number goes back to its last good state."""


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

    With `resume`, a run that was stopped or killed goes on, and ends as if it had not been. Under torchrun the
    processes share each step and each validation, and the first one writes.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        Interrupted: it was stopped, and can go on.
        SegFormerError: the run folder exists, or the loss is no longer a number.
    """
    with listening(progress) as listener, process_group() as group, losing_none():
        planned = group.agreed(lambda: plan(config, listener)) if isinstance(config, TrainConfig) else config
        return _train(planned, listener if group.leads else ignore_progress, group)


def _train(planned: TrainingPlan, progress: ProgressListener, group: Group) -> TrainingResult:
    planned = agreed_parts(planned, group)
    config = planned.config
    _refuse_shares(planned, group)
    # It draws random numbers: before they are seeded, so that a run with this look is the run without.
    doubt = note_for_training(planned) if group.leads else None
    seed_everything(config.seed, deterministic=config.deterministic)
    run = planned.run or group.together(lambda: Run.new(config) if group.leads else None)[0]
    assert run is not None
    with claimed(run.folder / "checkpoints") if group.leads else nullcontext(), run.removed_if_unused():
        state = run.load_state() if planned.run else None
        training = group.agreed(lambda: _Training(planned, run, progress, group, state))
        if doubt is not None:
            training.note(doubt)
        return training.go()


def _refuse_shares(planned: TrainingPlan, group: Group) -> None:
    """An error where there are fewer crops than processes and parts to give them to, or no processes to share."""
    config = planned.config
    if config.devices > 1 and group.size == 1:
        raise UsageError(
            f"devices is {config.devices}, and this is one process",
            hint=f"segformer train --devices {config.devices} starts them, as does torchrun",
        )
    if config.nnodes != "1" and group.size == 1 and LAUNCHED not in os.environ:
        raise UsageError(
            f"nnodes is {config.nnodes}, and this is one process on one machine",
            hint=f"segformer train --nnodes {config.nnodes} on each of them, or torchrun",
        )
    if planned.batch_size < group.size * config.accumulate:
        raise UsageError(
            f"a step of {planned.batch_size} crops cannot be shared by {group.size} devices, parts on each: "
            f"{config.accumulate}",
            hint="a larger --batch-size, or fewer devices or parts",
        )


class _Training:
    """One training under way: its counters, and what happens between steps."""

    def __init__(
        self,
        planned: TrainingPlan,
        run: Run,
        progress: ProgressListener,
        group: Group,
        state: Mapping[str, Any] | None,
    ) -> None:
        self.plan, self.config, self.run, self.group = planned, planned.config, run, group
        self.progress = progress
        self.device = own_device(choose_device(self.config.device))
        self.best: Evaluation | None = None
        self.last: Evaluation | None = None
        self.best_iteration = 0
        self.setbacks = self.shift = 0
        self.decided = state is not None and state["trainer"]["iteration"] > 0
        self.step_seconds = self.wait_seconds = 0.0
        self.began = time.perf_counter()
        self.trackers = Trackers({})
        self.decoded = decoded_pairs(self.config, planned.train, group, progress)
        self.dtype = choose_dtype(self.config.precision, self.device)
        model, said = starting_network(planned) if state is None else (model_of(run, self.config), ())
        recipe = recipe_of(self.config)
        criterion = criterion_of(self.config, planned.train.ignore_index, len(planned.train.class_names))
        decisions = decisions_of(self.config, self.dtype, state, group)
        self.trainer = Trainer(model, criterion, recipe, self.device, decisions, group, self.note)
        if state is None:
            if group.leads:
                splits = {"train": planned.train, "val": planned.val}
                run.describe(self.config, splits, planned.start, planned.checkpoint)
                if planned.statistics is not None:
                    planned.statistics.save(run.folder / STATISTICS)
                self._save()
        else:
            self._return_to(state)
        if group.leads:
            self.trackers = open_trackers(self.config, run.folder, self.trainer.iteration, self.note)
        for each in said:
            self.note(each)

    def go(self) -> TrainingResult:
        """All steps that are left."""
        with self.trackers, self.decoded or nullcontext(), stop_asked() as stop:
            try:
                while not self._is_over:
                    self._go_on(stop)
            except SegFormerError as error:
                if isinstance(error.__cause__, OSError) and error.hint is None:     # the disk is full
                    error.hint = f"mend that, then go on: segformer train --resume -o {self.run.folder}"
                raise
        return self._result()

    def _go_on(self, stop: Callable[[], bool]) -> None:
        """Steps until the last, or until one goes wrong."""
        start = self.trainer.iteration * self.plan.batch_size + self.shift
        batches = batches_of(self.plan, self.trainer.model.config, self.group, start, self.decoded)
        while not self._is_over:
            began = time.perf_counter()
            batch = self._fetched(batches, stop)
            waited = time.perf_counter() - began
            self._decide(*batch)
            step = self._stepped(*batch)
            if step is None:
                return
            self.wait_seconds += waited
            self.step_seconds += waited + step.seconds
            self._after(step, waited)

    def _fetched(self, batches: Iterator[Batch], stop: Callable[[], bool]) -> Batch:
        """This process's part of the next step.

        Raises:
            Interrupted: one of the processes was asked to stop; what there is has been saved.
            SegFormerError: one of them could not read its crops.
        """
        batch: Batch | None = None
        failure: SegFormerError | None = None
        try:
            batch = next(batches)
        except SegFormerError as error:
            failure = error
        heard = self.group.gathered((failure, stop()))
        for failed, _ in heard:
            if failed is not None:
                raise failed
        if any(asked for _, asked in heard):
            self._save()
            raise Interrupted(
                f"stopped after iteration {self.trainer.iteration} of {self._iterations}",
                where=str(self.run.folder),
                hint=f"go on with it: segformer train --resume -o {self.run.folder}",
            )
        assert batch is not None
        return batch

    def _decide(self, images: Tensor, targets: Tensor) -> None:
        """What is found out once, on the first crops of a run, and then kept."""
        if self.decided:
            return
        self.decided = True
        if self.group.leads:
            meaning, ignored = self.trainer.model.config, self.plan.train.ignore_index
            seen = write_inputs(self.run.folder, images, targets, meaning, ignored)
            self.trackers.picture(0, "previews/inputs", seen)
        self.trainer.judge_precision(images, targets)
        if self.config.compile == "auto" and self.device.type == "cuda":
            self.trainer.judge_compiling(images, targets)

    def _stepped(self, images: Tensor, targets: Tensor) -> Step | None:
        """One more step; None where it went wrong, and the run is back at an earlier one."""
        try:
            return self.trainer.step(images, targets)
        except Diverged as error:
            self._step_back(error)
            return None

    def _after(self, step: Step, waited: float) -> None:
        config, iteration = self.config, step.iteration
        assert config.eval_every and config.checkpoint_every
        finished = iteration == self._iterations
        if self.group.leads and (iteration % config.log_every == 0 or iteration == 1 or finished):
            seconds = {"seconds": step.seconds, "wait_s": waited, "elapsed_s": time.perf_counter() - self.began}
            self.run.log({"iteration": iteration, "loss": step.loss, "lr": step.lr, **seconds})
            self.trackers.step(iteration, step.loss, step.lr)
        self.progress(Progress("train", iteration, self._iterations, "it", {"loss": step.loss, "lr": step.lr}))
        better = (iteration % config.eval_every == 0 or finished) and self._validate(step)
        # After a better one at once: a run that goes back does not keep a best of steps that it takes anew.
        if better or iteration % config.checkpoint_every == 0 or finished or self._patience_is_over:
            self._save()
        if self._patience_is_over and not finished:
            self.note(
                f"stopped at iteration {iteration} of {self._iterations}: no better mIoU than at {self.best_iteration} "
                f"for {config.patience} validation{'' if config.patience == 1 else 's'} (patience)"
            )

    def _validate(self, step: Step) -> bool:
        """Whether it was better than any before."""
        val, segmenter = self.plan.val, self._segmenter()
        pace = Pace(shard=self.group.rank, shards=self.group.size)
        found = self.group.together(lambda: score_split(segmenter, val, pace, self.progress, "validate"))
        self.last = summarise(sum(found[1:], found[0]), val, protocol_sentence(val, str(segmenter.protocol)))
        best = math.nan if self.best is None else self.best.miou
        better = self.best is None or self.last.miou > best or (math.isnan(best) and not math.isnan(self.last.miou))
        if better:
            self.best, self.best_iteration = self.last, step.iteration
        if not self.group.leads:
            return better
        row = {"iteration": step.iteration, "loss": step.loss, "miou": self.last.miou, "macc": self.last.macc}
        self.run.metrics({**row, "aacc": self.last.aacc, **{f"iou/{c.name}": c.iou for c in self.last.per_class}})
        if better:
            self.run.save("best", self.trainer.result)
        write_curves(self.run.folder)
        sheet = write_validation(self.run.folder, val, segmenter, self.last, step.iteration, self.best_iteration)
        self.trackers.validation(step.iteration, self.last, sheet)
        score = f"mIoU {self.last.miou:.4f}, aAcc {self.last.aacc:.4f}{' (best)' if better else ''}"
        note = f"iteration {step.iteration}: {score}"
        self.progress(Progress("train", step.iteration, self._iterations, "it", message=note))
        return better

    def _save(self) -> None:
        """The network as it is, and all that is needed to go on from here."""
        if not self.group.leads:
            return
        self.run.save("last", self.trainer.result)
        self.run.save_state(
            {
                "version": 1,
                "trainer": self.trainer.state(),
                "shift": self.shift,
                "setbacks": self.setbacks,
                "best_iteration": self.best_iteration,
                "best": None if self.best is None else torch.tensor(self.best.confusion),
                "last": None if self.last is None else torch.tensor(self.last.confusion),
                "elapsed_s": time.perf_counter() - self.began,
                "step_s": self.step_seconds,
                "wait_s": self.wait_seconds,
            }
        )

    def _return_to(self, state: Mapping[str, Any]) -> None:
        """As it was when the state was saved, the logs with it."""
        self.trainer.restore(state["trainer"])
        self.shift, self.setbacks = state["shift"], state["setbacks"]
        self.best_iteration = state["best_iteration"]
        self.best, self.last = (self._evaluation(state[name]) for name in ("best", "last"))
        self.began = time.perf_counter() - state["elapsed_s"]
        self.step_seconds, self.wait_seconds = state["step_s"], state["wait_s"]
        if self.group.leads:
            self.run.cut_back(self.trainer.iteration)
            self.trackers.back_to(self.trainer.iteration)

    def _evaluation(self, confusion: torch.Tensor | None) -> Evaluation | None:
        if confusion is None:
            return None
        val = self.plan.val
        return summarise(confusion.numpy(), val, protocol_sentence(val, str(self._segmenter().protocol)))

    def _step_back(self, error: Diverged) -> None:
        """Back to the last state that was saved, and on with other pictures; not more than so often."""
        failed = self.trainer.iteration
        if self.setbacks >= SETBACKS:
            lower = f"{0.1 * self.config.lr:g}" if self.config.lr else "LOWER"
            error.hint = f"start again with a lower rate: {self.run.fork('--lr', lower)}"
            if self.dtype != torch.float32:
                error.hint += "; or with --precision fp32"
            raise error
        setbacks, shift = self.setbacks + 1, self.shift
        self._return_to(self.run.load_state())
        self.setbacks = setbacks
        self.shift = shift + (failed + 1 - self.trainer.iteration) * self.plan.batch_size
        self._save()
        self.note(
            f"{error.message}: back to iteration {self.trainer.iteration}, and on with other crops "
            f"({setbacks} of at most {SETBACKS} times)"
        )

    def note(self, text: str) -> None:
        """A line to keep: on the terminal and in the log."""
        if self.group.leads:
            self.run.log({"iteration": self.trainer.iteration, "note": text})
        self.progress(Progress("train", self.trainer.iteration, self._iterations, message=text))

    def _segmenter(self) -> Segmenter:
        """The network as it is now, ready to predict."""
        val, model = self.plan.val, self.trainer.result
        protocol = choose_protocol(None, model.config.size, val.data, val.data)
        return Segmenter.of(model, self.device, self.trainer.decisions.dtype, protocol)

    @property
    def _iterations(self) -> int:
        assert self.config.iterations is not None
        return self.config.iterations

    @property
    def _is_over(self) -> bool:
        return self.trainer.iteration >= self._iterations or self._patience_is_over

    @property
    def _patience_is_over(self) -> bool:
        """Whether so many validations in a row were no better than the best."""
        patience, every = self.config.patience, self.config.eval_every
        assert every is not None
        return patience is not None and self.trainer.iteration - self.best_iteration >= patience * every

    def _result(self) -> TrainingResult:
        assert self.best is not None and self.last is not None
        done = self.trainer.iteration
        speed = done * self.plan.batch_size / self.step_seconds
        segmenter = self._segmenter()
        report = self.run.folder / REPORT
        if self.group.leads:
            write_training_report(self.run.folder, self.plan, segmenter, self.best, self.best_iteration, speed)
        return TrainingResult(
            run=str(self.run.folder),
            best_miou=self.best.miou,
            best_iteration=self.best_iteration,
            iterations=done,
            images_per_s=speed,
            data_wait_share=self.wait_seconds / self.step_seconds,
            seconds=time.perf_counter() - self.began,
            start=self.plan.start,
            licence=self.trainer.model.config.licence,
            final=self.last,
            report=str(report),
        )
