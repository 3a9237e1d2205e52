"""Scoring: weights, or masks of any tool, and labelled pictures in; an exact matrix and how sure it is out."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np

from segformer_cli.atomic import refuse_existing
from segformer_cli.classes import mask_dtype
from segformer_cli.config import EvalConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.data.submission import submission_path, write_submission
from segformer_cli.engine.distributed import Group, process_group
from segformer_cli.engine.scoring import Pace, told
from segformer_cli.errors import DataError, UsageError
from segformer_cli.metrics.bootstrap import clusters_of, miou_interval, suggested_clusters
from segformer_cli.metrics.calibration import fit_temperature
from segformer_cli.progress import ProgressListener, ignore_progress, listening
from segformer_cli.settings import check_ranges
from segformer_cli.workflows.calibrating import calibrated_path, write_calibrated
from segformer_cli.workflows.class_match import named_groups
from segformer_cli.workflows.evaluation_report import write_report
from segformer_cli.workflows.measurements import PIXELS_FOR_TEMPERATURE, Measurements, Wanted, instance_file, joined
from segformer_cli.workflows.results import refuse_results, write_results
from segformer_cli.workflows.scorecard import (
    Evaluation,
    check_dialects,
    dialect_readings,
    group_scores,
    protocol_sentence,
    summarise,
    with_interval,
    with_measurements,
)
from segformer_cli.workflows.sources import Source, default_weights, source_of


def evaluate(config: EvalConfig, progress: bool | ProgressListener = False) -> Evaluation:
    """Scores of weights, or of masks that lie in a folder, on one split, counted at the pictures' own size.

    Under torchrun the processes share the pictures, each gets the whole result, and the first one writes.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        DataError: the split has no labels, or its classes are not those of the weights.
        UsageError: no weights are named and none belong to the data, or settings contradict each other.
    """
    with listening(progress) as listener, process_group() as group:
        return _evaluate(config, listener, group)


def _evaluate(config: EvalConfig, progress: ProgressListener, group: Group) -> Evaluation:
    _refuse_contradictions(config)
    split = _open(config)
    if group.leads:
        _refuse_outputs(config, split)
    source = source_of(config, split, progress)
    split = source.split
    named_groups(config.group, split.class_names)
    clusters = clusters_of([pair.key for pair in split.pairs], config.group_images) if config.group_images else None
    began = time.perf_counter()
    found = joined(group.gathered(_measured(config, source, progress, group)))
    seconds = time.perf_counter() - began
    protocol = protocol_sentence(split, source.how, by_name=source.match is not None)
    result = summarise(found.confusion, split, protocol, seconds)
    result = dataclasses.replace(
        result,
        groups=group_scores(found.confusion, split, config.group),
        dialects=dialect_readings(found.confusion, config.dialect),
        classes=str(source.match) if source.match else None,
    )
    result = _with_interval(with_measurements(result, found), found, config, clusters)
    if config.fit_temperature:
        result = dataclasses.replace(result, temperature=fit_temperature(*found.sampled))
    result = dataclasses.replace(result, warnings=(*result.warnings, *_warnings(config, source, result)))
    return _written(config, source, result, found) if group.leads else result


def plan(config: EvalConfig) -> str:
    """What `evaluate` would do, in one sentence; nothing is read but the list of pictures.

    Raises:
        SegFormerError: as `evaluate`, for what can be known beforehand.
    """
    _refuse_contradictions(config)
    split = _open(config)
    _refuse_outputs(config, split)
    masks = f"the masks in {config.predictions}" if config.predictions else None
    what = masks or config.weights or default_weights(config.data)
    return f"would score {what} on {len(split)} images of {config.data}, split {config.split}"


def _refuse_contradictions(config: EvalConfig) -> None:
    check_ranges(config)
    check_dialects(config.dialect)
    if config.predictions:
        given = {"weights": config.weights, "protocol": config.protocol, "multi_scale": config.multi_scale,
                 "by_name": config.by_name or config.alias, "size": config.size, "window": config.window,
                 "calibration": config.calibration, "fit_temperature": config.fit_temperature}
        for key, value in given.items():
            if value:
                raise UsageError(
                    f"{key} is about a network, and --predictions scores masks that are made already",
                    hint=f"leave out {key}, or --predictions",
                )
    if config.fit_temperature and (config.multi_scale or config.flip or len(config.scales or ()) > 1):
        raise UsageError("a temperature is fitted to the logits of one pass", hint="leave out the scales and the flip")
    if config.fit_temperature and (config.by_name or config.alias):
        raise UsageError("a temperature is fitted on the weights' own classes", hint="leave out --by-name")


def _open(config: EvalConfig) -> Split:
    split = open_data(
        config.data, config.split, image_suffix=config.image_suffix, mask_suffix=config.mask_suffix
    ).first(config.limit)
    if not split.labelled and not config.submission:
        raise DataError(
            f"split {split.name!r} of {split.data} has no labels to score against",
            where=str(split.root),
            hint="--submission FOLDER writes masks in the form its test server takes",
        )
    return split


def _refuse_outputs(config: EvalConfig, split: Split) -> None:
    """Nothing where every file may be written: to be known before hours are spent."""
    if config.out:
        if (checkpoint := calibrated_path(config)) is not None:
            refuse_existing(checkpoint, force=config.force)
        if not checkpoint or checkpoint != Path(config.out):
            refuse_results(Path(config.out), force=config.force)
    if config.report:
        refuse_existing(Path(config.report), force=config.force)
    if config.submission:
        for pair in split.pairs:
            refuse_existing(submission_path(Path(config.submission), pair), force=config.force)


def _measured(config: EvalConfig, source: Source, progress: ProgressListener, group: Group) -> Measurements:
    """What this process counts: all pictures, or its share of them."""
    split = source.split
    instances = "cityscapes" in check_dialects(config.dialect) and all(
        instance_file(pair.mask) is not None for pair in split.pairs
    )
    found = Measurements(
        split,
        Wanted(
            boundary_width=config.boundary_width if config.boundary else None,
            object_sizes=config.object_sizes,
            confidence=config.calibration,
            instances=instances,
            sampled=max(1, PIXELS_FOR_TEMPERATURE // len(split)) if config.fit_temperature else 0,
        ),
    )
    pace = Pace(batch_size=config.batch_size, workers=config.workers, shard=group.rank, shards=group.size)
    share = len(range(pace.shard, len(split), pace.shards))
    for each in told(source.judged(split, pace), share, progress if group.leads else ignore_progress):
        found.add(each)
        if config.submission:
            K = len(split.class_names)
            ids = np.where(each.mask < K, each.mask, split.ignore_index).astype(mask_dtype(K))
            write_submission(Path(config.submission), split, each.pair, ids, force=config.force)
    return found


def _with_interval(
    result: Evaluation, found: Measurements, config: EvalConfig, clusters: tuple[str, ...] | None
) -> Evaluation:
    if not config.resamples or not found.confusion.any():
        return result
    interval = miou_interval(found.counts, clusters, resamples=config.resamples, seed=config.seed)
    return with_interval(result, interval)


def _warnings(config: EvalConfig, source: Source, result: Evaluation) -> tuple[str, ...]:
    """What to know before trusting the numbers."""
    found = []
    split = source.split
    if not split.labelled:
        found.append(f"split {split.name!r} of {split.data} has no labels: masks were written, there is no score")
    elif result.miou_ci95 is not None and not config.group_images and (
        pattern := suggested_clusters([pair.key for pair in split.pairs])
    ):
        found.append(
            f"the images look like frames of videos, which are not independent: the interval is too narrow; "
            f"--group-images '{pattern}' draws whole videos"
        )
    if config.predictions and (none := sum(result.none_of_them)):
        found.append(f"{none} labelled pixels were predicted as no class of the data; they count as wrong")
    if result.temperature is not None and config.split != "train":
        found.append(f"the temperature was fitted on {split.name}: judge it on other images")
    return tuple(found)


def _written(config: EvalConfig, source: Source, result: Evaluation, found: Measurements) -> Evaluation:
    """The same evaluation, its files written."""
    written: list[Path] = []
    if config.out:
        assert source.config is not None or not config.fit_temperature
        checkpoint = calibrated_path(config)
        if checkpoint is not None and result.temperature is not None:
            written.append(write_calibrated(checkpoint, config, result.temperature))
        if checkpoint != Path(config.out):
            written += write_results(
                Path(config.out), "eval", result.to_json(), found.counts, result.warnings, force=config.force
            )
    if config.submission:
        written.append(Path(config.submission))
    if config.report:
        written.append(write_report(Path(config.report), config, source, result, found))
    return dataclasses.replace(result, artifacts=tuple(str(path) for path in written))
