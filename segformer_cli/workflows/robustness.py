"""Scoring under corruptions: weights and pictures in; a grid of mIoU over corruptions and severities out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from segformer_cli.config import RobustConfig
from segformer_cli.engine.corrupted import CorruptedMask, Spent, Unreadable, judge_corrupted
from segformer_cli.errors import DataError, Interrupted
from segformer_cli.metrics.clusters import dependence_warning
from segformer_cli.metrics.scores import iou, means
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.robustness.degradation import Degradation
from segformer_cli.robustness.published import TABLE5
from segformer_cli.robustness.scores import mean_without
from segformer_cli.settings import changed
from segformer_cli.workflows.claims import claimed
from segformer_cli.workflows.estimate import time_estimate
from segformer_cli.workflows.resolutions import sweep, sweep_protocols
from segformer_cli.workflows.robust_counts import RobustCounts, forget
from segformer_cli.workflows.robust_files import read_robust, write_robust
from segformer_cli.workflows.robust_job import STATE, Job, prepared
from segformer_cli.workflows.robust_report import Shown, write_robust_report
from segformer_cli.workflows.robust_result import (
    CleanScore,
    RobustResult,
    Seconds,
    clean_score,
    measured_against,
    summarise,
)

STAGE = "corrupted"
SAVE_EVERY_S = 10.0


def eval_robust(config: RobustConfig, progress: bool | ProgressListener = False) -> RobustResult:
    """Scores of weights on a split, clean and under every corruption of a protocol.

    A run that was stopped goes on where it had come to, to the same result.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        DataError: the classes of weights and data differ, every picture fails, or an unfinished run with other
            settings lies in the folder.
        UsageError: no weights are named and none belong to the data; a corruption or protocol is unknown.
    """
    with listening(progress) as listener:
        job = prepared(config, listener)
        with claimed(job.folder / STATE):
            return _run(job, listener)


def _run(job: Job, progress: ProgressListener) -> RobustResult:
    began = time.perf_counter()
    state = job.folder / STATE
    counts = RobustCounts(job.split, job.protocol.cells, confident=job.config.calibration)
    if job.config.force:
        forget(state)
    counts.load(state, job.state)
    if counts.damaged:
        text = f"{counts.damaged} of the files that {job.folder} goes on from are damaged: their images are taken again"
        progress(Progress(STAGE, 0, message=text))
    if counts.pictures:
        done = f"going on with {job.folder}: {len(counts.pictures)} of {len(job.split)} images are done"
        progress(Progress(STAGE, 0, message=done))
    spent = Spent()
    shown = Shown(job.protocol) if job.config.report else None
    try:
        _count(job, counts, spent, shown, progress)
    except KeyboardInterrupt:
        raise Interrupted(
            f"stopped after {len(counts.pictures)} of {len(job.split)} images",
            where=str(job.folder),
            hint="they are kept: the same command goes on from there",
        ) from None
    if not counts.pictures:
        first = next(iter(counts.failed.values()))
        raise DataError(f"all {len(job.split)} pictures failed; the first: {first}", where=str(job.split.root))
    result = _scored(job, counts, progress)
    seconds = Seconds(time.perf_counter() - began, spent.corrupting_s, spent.network_s, spent.waiting_s)
    return _written(job, replace(result, seconds=seconds), counts, shown)


def _count(job: Job, counts: RobustCounts, spent: Spent, shown: Shown | None, progress: ProgressListener) -> None:
    """Every picture through every cell, the counts saved as time goes by."""
    left = [index for index in range(len(job.split)) if index not in counts.done]
    if not left:
        return
    estimate = time_estimate(job.segmenter, job.split, left, job.protocol.cells, job.corrupter, job.workers)
    progress(Progress(STAGE, 0, message=estimate))
    before, total = counts.cells_done, len(left) * (len(job.protocol) + 1)
    figures: dict[str, float] = {}
    saved = -math.inf
    try:
        for each in judge_corrupted(
            job.segmenter,
            job.split,
            left,
            job.protocol.cells,
            job.corrupter,
            batch_size=job.config.batch_size,
            workers=min(job.workers, len(left)),
            confident=job.config.calibration,
            spent=spent,
        ):
            if isinstance(each, CorruptedMask):
                counts.add(each)
                if shown is not None:
                    shown.take(each)
            elif isinstance(each, Unreadable):
                counts.fail(each.index, each.error)
            else:
                counts.close(each)
                figures = _running(counts)
                if time.perf_counter() - saved > SAVE_EVERY_S:
                    counts.save(job.folder / STATE, job.state)
                    saved = time.perf_counter()
            progress(Progress(STAGE, counts.cells_done - before, total, "variant", figures))
    finally:
        # Whatever stops it, the pictures that are through stay.
        counts.save(job.folder / STATE, job.state)


def _running(counts: RobustCounts) -> dict[str, float]:
    """The scores so far."""
    clean, *corrupted = means(np.stack([iou(each) for each in counts.confusion])).tolist()
    return {"clean": clean} | ({"corrupted": float(np.mean(corrupted))} if corrupted else {})


def _scored(job: Job, counts: RobustCounts, progress: ProgressListener) -> RobustResult:
    config = job.config
    result = summarise(counts, job.protocol, job.sentence(len(counts.pictures)), job.clusters, config.resamples)
    if job.reference is not None and result.labelled:
        result = measured_against(result, job.reference)
    frost_is_drawn = "frost" in job.protocol.corruptions and job.corrupter.frost is None
    return replace(
        result,
        resolutions=tuple(_resolutions(job, counts, result, progress)),
        conditions=tuple(_conditions(job, counts, result)),
        starred={"frost": "textures drawn by segformer, not the originals (--frost-dir)"} if frost_is_drawn else {},
        warnings=(*result.warnings, *_warnings(job, result)),
        settings={**changed(config), "weights": config.weights, "data": config.data},
        device=str(job.segmenter.device),
        precision=job.precision,
    )


def _resolutions(
    job: Job, counts: RobustCounts, result: RobustResult, progress: ProgressListener
) -> Iterator[CleanScore]:
    if not job.config.resolution_sweep or not result.labelled:
        return
    through = replace(job.split, pairs=tuple(job.split.pairs[index] for index in sorted(counts.pictures)))
    protocols = sweep_protocols(through, job.config.sweep_sizes)
    for name, found in sweep(job.segmenter, through, protocols, progress):
        yield clean_score(name, found, result.found.clean, job.clusters, job.config.resamples)


def _conditions(job: Job, counts: RobustCounts, result: RobustResult) -> Iterator[CleanScore]:
    if result.labelled:
        for name, indices in job.conditions.items():
            found = counts.counts(None, indices)
            yield clean_score(name, found, result.found.clean, job.clusters, job.config.resamples)


def _warnings(job: Job, result: RobustResult) -> Iterator[str]:
    """What to know before trusting the numbers."""
    if not result.labelled:
        yield (
            f"split {job.split.name!r} of {job.split.data} has no labels: how stable the masks are is all that is known"
        )
    elif result.mean_ci95 is not None and job.clusters is None and (
        dependence := dependence_warning([pair.key for pair in job.split.pairs])
    ):
        yield dependence
    if "frost" in job.protocol.corruptions and job.corrupter.frost is None:
        yield "frost: drawn textures, not comparable with published figures; --frost-dir takes the originals"
    if result.against is not None:
        yield from _beside_others(job, result.against)
    for failed in result.failed:
        yield f"{failed.input}: {failed.error}"


def _beside_others(job: Job, against: Degradation) -> Iterator[str]:
    """What keeps CD and rCD from being what papers print."""
    where = f"{job.split.data} {job.split.name}"
    published = against.reference in {row.label for row in TABLE5.values()}
    if published and where != "cityscapes val":
        yield f"CD: {against.reference} was scored on Cityscapes val, this on {where}: two scales"
    if published and "frost" in against.cd and job.corrupter.frost is None:
        without = mean_without(against.cd, ["frost"])
        yield f"CD: the published frost is another than the drawn one; without it mCD is {without:.4f}"
    saved = None if published else read_robust(against.reference).results.get("protocol")
    if saved is not None and saved != job.sentence(len(job.split)):
        yield f"CD: {against.reference} was scored otherwise: {saved}"


def _written(job: Job, result: RobustResult, counts: RobustCounts, shown: Shown | None) -> RobustResult:
    """The same result, its files written; what the run would have gone on from is not needed any more."""
    written = [*write_robust(job.folder, result, counts, force=job.config.force)]
    if job.config.report and shown is not None:
        written.append(write_robust_report(Path(job.config.report), job, result, shown))
    forget(job.folder / STATE)
    return replace(result, artifacts=tuple(str(path) for path in written))
