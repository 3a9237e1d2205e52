"""Cross-validation: one training after another, each on all images but a part of them, which it is validated on."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segformer_cli import __version__
from segformer_cli.config import TrainConfig
from segformer_cli.engine.distributed import Group, losing_none, process_group
from segformer_cli.errors import Interrupted, UsageError
from segformer_cli.model.checkpoint import load_checkpoint
from segformer_cli.progress import Progress, ProgressListener, ignore_progress, listening
from segformer_cli.reports.page import Page, write_page
from segformer_cli.reports.parts import Column, Figure, Figures, Headline, Table
from segformer_cli.settings import checked
from segformer_cli.workflows.claims import claimed
from segformer_cli.workflows.planning import TrainingPlan, plan
from segformer_cli.workflows.resuming import FREE, continued
from segformer_cli.workflows.run_facts import run_facts
from segformer_cli.workflows.run_list import validations
from segformer_cli.workflows.runs import DATA, REPORT, Run, is_finished
from segformer_cli.workflows.training import train

IOU = "iou/"
"""Before the name of a class, in metrics.csv."""


@dataclass(frozen=True)
class Spread:
    """What the folds come to: the mean of their scores, and the standard deviation of one fold's."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> Spread:
        """Of at least two scores; NaN where one is.

        >>> Spread.of([0.5, 0.75, 1.0])
        Spread(mean=0.75, deviation=0.25)
        """
        return cls(float(np.mean(scores)), float(np.std(scores, ddof=1)))

    def __str__(self) -> str:
        return f"{self.mean:.4f} +- {self.deviation:.4f}"


@dataclass(frozen=True)
class Fold:
    """One training of several. `iou` is that of each class in the validation that was best."""

    fold: int
    run: str
    train_images: int
    val_images: int
    best_miou: float
    best_iteration: int
    last_miou: float
    iou: Mapping[str, float]


@dataclass(frozen=True)
class CrossValidation:
    """What came of all folds. The best validation of a fold is chosen by its own images; the last one is not.

    `seconds` are those of this call: what was trained before a stop is not in them, `segformer runs` adds it all up.
    """

    run: str
    folds: tuple[Fold, ...]
    best_miou: Spread
    last_miou: Spread
    iou: Mapping[str, Spread]
    seconds: float
    licence: str | None
    report: str

    def to_json(self) -> dict[str, object]:
        """The fields as plain values, each spread of the scores as its mean and its deviation."""
        found = {key: value for key, value in vars(self).items() if key not in ("best_miou", "last_miou")}
        for name, spread in (("best_miou", self.best_miou), ("last_miou", self.last_miou)):
            found |= {name: spread.mean, f"{name}_deviation": spread.deviation}
        return found


@dataclass(frozen=True)
class FoldsPlan:
    """What a cross-validation will do: `current` is the fold to begin with, None where all are done."""

    config: TrainConfig
    number: int
    current: TrainingPlan | None
    run: Run | None = None
    """The cross-validation that goes on."""

    def __str__(self) -> str:
        assert self.config.folds is not None
        left = self.config.folds - self.number + 1
        if self.current is None:
            return f"all {self.config.folds} folds are trained"
        assert self.config.iterations is not None
        minutes = math.ceil(left * self.config.iterations * self.current.seconds_per_step / 60)
        return f"{self.current}\nfolds: {left} such trainings, one after the other: about {minutes} min"


def plan_folds(
    config: TrainConfig, progress: ProgressListener = ignore_progress, run: Run | None = None
) -> FoldsPlan:
    """What `cross_validate` would do with a config.

    Args:
        run: the cross-validation to go on with, where `config` holds all its settings.

    Raises:
        DataError, WeightsError, UsageError: something asked for is not there or has no meaning.
    """
    config = checked(config)
    if config.resume:
        config, run = continued(config, run)
    if config.folds is None or config.fold is not None:
        raise UsageError("cross-validation needs folds, and no fold", hint="folds=5; fold=1 is for one training")
    if run is None:
        current = plan(dataclasses.replace(config, fold=1), progress)
        # Shared by all folds, but for what follows from the masks of each.
        whole = dataclasses.replace(current.config, fold=None, class_weights=config.class_weights)
        return FoldsPlan(whole, 1, current)
    numbers = range(1, config.folds + 1)
    number = next((number for number in numbers if not is_finished(_folder(run, number))), None)
    if number is None:
        return FoldsPlan(config, config.folds + 1, None, run)
    return FoldsPlan(config, number, _planned(config, run, number, progress), run)


def cross_validate(
    config: TrainConfig | FoldsPlan, progress: bool | ProgressListener = False
) -> CrossValidation:
    """Trains every fold and leaves a folder with a run for each, their mean and spread in its report.

    With `resume`, it goes on where it was stopped: with the fold that is not finished.

    Raises:
        Interrupted: it was stopped, and can go on.
        SegFormerError: the folder exists, or a training failed.
    """
    with listening(progress) as listener, process_group() as group, losing_none():
        planned = group.agreed(lambda: plan_folds(config, listener)) if isinstance(config, TrainConfig) else config
        top = planned.run or group.together(lambda: Run.new(planned.config) if group.leads else None)[0]
        assert top is not None
        with claimed(top.state.parent) if group.leads else nullcontext():
            try:
                return _trained(planned, top, group, listener)
            except Exception:
                # A fold that fails before its first step takes its own folder with it.
                if top.fresh and group.leads and not any(top.folder.glob("fold_*")):
                    shutil.rmtree(top.folder, ignore_errors=True)
                raise


def _trained(planned: FoldsPlan, top: Run, group: Group, progress: ProgressListener) -> CrossValidation:
    began = time.perf_counter()
    config, folds = planned.config, planned.config.folds
    assert folds is not None
    if planned.run is None and group.leads:
        _begin(planned, top)
    for number in range(planned.number, folds + 1):
        one = _placed(planned.current, top, number) if number == planned.number else None
        if one is None:
            one = group.agreed(lambda n=number: _planned(config, top, n, progress))  # type: ignore[misc]
        if group.leads:
            top.save_state({"version": 1, "fold": number})
            progress(Progress("folds", number - 1, folds, "fold", message=f"fold {number} of {folds}"))
        try:
            train(one, progress)
        except Interrupted as error:
            hint = f"go on with it: segformer train --resume -o {top.folder}"
            raise Interrupted(f"fold {number} of {folds}: {error.message}", where=str(top.folder), hint=hint) from error
    # Others wait until the last run's files are written.
    group.gathered(None)
    done = [_read(_folder(top, number), number) for number in range(1, folds + 1)]
    result = CrossValidation(
        run=str(top.folder),
        folds=tuple(done),
        best_miou=Spread.of([fold.best_miou for fold in done]),
        last_miou=Spread.of([fold.last_miou for fold in done]),
        iou={name: Spread.of([fold.iou[name] for fold in done]) for name in done[0].iou},
        seconds=time.perf_counter() - began,
        licence=load_checkpoint(Run(Path(done[0].run)).checkpoint("best")).config.licence,
        report=str(top.folder / REPORT),
    )
    if group.leads:
        _write_report(result, config)
    return result


def _begin(planned: FoldsPlan, top: Run) -> None:
    """The folder describes itself; of an earlier cross-validation there, no fold counts as done or under way."""
    assert planned.current is not None and planned.config.folds is not None
    for number in range(1, planned.config.folds + 1):
        folder = _folder(top, number)
        for old in (folder / REPORT, Run(folder).state):
            old.unlink(missing_ok=True)
    top.describe(planned.config, {"train": planned.current.train, "val": planned.current.val})


def _planned(config: TrainConfig, top: Run, number: int, progress: ProgressListener) -> TrainingPlan:
    """The plan of one fold, as it was where that is under way."""
    folder = _folder(top, number)
    if Run(folder).state.is_file() and not is_finished(folder):
        as_asked = {key: getattr(config, key) for key in FREE}
        return plan(TrainConfig(**{**as_asked, "resume": True, "out": str(folder)}), progress)
    return plan(dataclasses.replace(config, fold=number, resume=False, out=str(folder), force=True), progress)


def _placed(planned: TrainingPlan | None, top: Run, number: int) -> TrainingPlan | None:
    """A plan that was made before its folder was known."""
    if planned is None or planned.run is not None:
        return planned
    config = dataclasses.replace(planned.config, out=str(_folder(top, number)), force=True)
    return dataclasses.replace(planned, config=config)


def _folder(top: Run, number: int) -> Path:
    return top.folder / f"fold_{number}"


def _read(folder: Path, number: int) -> Fold:
    """What came of a fold, from the files of its run."""
    rows = validations(folder)
    best = max(rows, key=lambda row: -math.inf if math.isnan(row["miou"]) else row["miou"])
    images = json.loads((folder / DATA).read_text(encoding="utf-8"))
    return Fold(
        fold=number,
        run=str(folder),
        train_images=images["train"]["images"],
        val_images=images["val"]["images"],
        best_miou=best["miou"],
        best_iteration=int(best["iteration"]),
        last_miou=rows[-1]["miou"],
        iou={name.removeprefix(IOU): value for name, value in best.items() if name.startswith(IOU)},
    )


def _write_report(result: CrossValidation, config: TrainConfig) -> None:
    best, last = result.best_miou, result.last_miou
    columns = (
        Column("fold", "count"),
        Column("images to train", "count"),
        Column("to validate", "count"),
        Column("best mIoU", "bar"),
        Column("at iteration", "count"),
        Column("last mIoU", "share"),
    )
    rows = tuple(
        (each.fold, each.train_images, each.val_images, each.best_miou, each.best_iteration, each.last_miou)
        for each in result.folds
    )
    classes = tuple((name, spread.mean, spread.deviation) for name, spread in result.iou.items())
    parts = (
        Headline(f"mean of {len(rows)} folds' best mIoU", best.mean, "The best validation of each, chosen by itself."),
        Figures(
            (
                Figure("standard deviation", best.deviation),
                Figure("mean of the last mIoU", last.mean),
                Figure("its standard deviation", last.deviation),
            )
        ),
        Table(columns, rows, title="Folds"),
        Table((Column("class"), Column("mean IoU", "bar"), Column("deviation", "share")), classes, title="Classes"),
        run_facts(config, None, ""),
    )
    title = f"SegFormer-{config.variant.upper()} on {Path(config.data.split(':')[-1]).name}, {len(rows)} folds"
    write_page(Path(result.report), Page(title, parts, footer=f"segformer {__version__}"), force=True)
