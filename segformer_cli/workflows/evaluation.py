"""Scoring: weights, or masks of any tool, and labelled pictures in; an exact matrix and how sure it is out."""

from __future__ import annotations

import dataclasses
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

import numpy as np

from segformer_cli.atomic import refuse_unwritable
from segformer_cli.classes import mask_dtype
from segformer_cli.config import EvalConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.data.submission import submission_path, write_submission
from segformer_cli.engine.distributed import Group, process_group
from segformer_cli.engine.loading import check_weights
from segformer_cli.engine.protocol import choose_protocol
from segformer_cli.engine.scoring import Pace, told
from segformer_cli.errors import DataError, UsageError
from segformer_cli.metrics.bootstrap import miou_interval
from segformer_cli.metrics.clusters import clusters_of, dependence_warning
from segformer_cli.metrics.temperature import fit_temperature
from segformer_cli.progress import ProgressListener, ignore_progress, listening
from segformer_cli.reports.page import refuse_other_than_html
from segformer_cli.resize import NATIVE, parse_size
from segformer_cli.settings import changed, checked
from segformer_cli.workflows.calibrating import calibrated_path, write_calibrated
from segformer_cli.workflows.class_map import IdWatch
from segformer_cli.workflows.class_match import named_groups
from segformer_cli.workflows.evaluation_report import write_report
from segformer_cli.workflows.measurements import PIXELS_FOR_TEMPERATURE, Measurements, Wanted, instance_file, joined
from segformer_cli.workflows.memory import memory_told
from segformer_cli.workflows.results import result_paths, write_results
from segformer_cli.workflows.scorecard import (
    Evaluation,
    check_dialects,
    dialect_readings,
    group_scores,
    is_cityscapes,
    misled_dialects,
    protocol_sentence,
    summarise,
    with_interval,
    with_measurements,
    without_uncounted,
)
from segformer_cli.workflows.sources import (
    Source,
    check_local_weights,
    default_weights,
    folder_source,
    refuse_gaps,
    source_of,
)

_LESS_MEMORY = "a smaller --size or scales; fewer --batch-size and --workers"


def evaluate(config: EvalConfig, progress: bool | ProgressListener = False) -> Evaluation:
    """Scores of weights, or of masks that lie in a folder, on one split, counted at the pictures' own size.

    Under torchrun the processes share the pictures, each gets the whole result, and the first one writes.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        DataError: the split has no labels, or its classes are not those of the weights.
        EnvironmentLacksError: the memory is not enough.
        UsageError: no weights are named and none belong to the data, or settings contradict each other.
    """
    with memory_told(_LESS_MEMORY), listening(progress) as listener, process_group() as group:
        return _evaluate(config, listener, group)


def _evaluate(config: EvalConfig, progress: ProgressListener, group: Group) -> Evaluation:
    config, whole = _checked(config)
    group.agreed(lambda: _refuse_outputs(config, whole) if group.leads else None)
    clusters = _clusters(config, whole)
    source = group.agreed(lambda: source_of(config, whole, progress))
    split = source.split
    began = time.perf_counter()
    watch = _watch(config, source, group)
    found = joined(group.together(lambda: _measured(config, source, progress, group, watch)))
    seconds = time.perf_counter() - began
    doubt = group.gathered(None if watch is None else watch.found())[0]
    protocol = protocol_sentence(split, source.how, by_name=source.match is not None)
    result = summarise(found.confusion, split, protocol, seconds)
    result = dataclasses.replace(
        result,
        groups=group_scores(found.confusion, split, config.group),
        dialects=dialect_readings(found.confusion, config.dialect, with_instances=found.wanted.instances),
        class_match=str(source.match) if source.match else None,
        settings=changed(config),
        device=source.device,
        precision=source.precision,
        passed=None if config.min_miou is None else result.miou >= config.min_miou,
    )
    if source.match is not None:
        result = without_uncounted(result, source.match.unknown_to_weights)
    result = _with_interval(with_measurements(result, found), found, config, clusters)
    if config.fit_temperature:
        result = dataclasses.replace(result, temperature=fit_temperature(*found.sampled))
    doubts = () if doubt is None else (str(doubt),)
    told = (*result.warnings, *doubts, *_warnings(config, source, result, found.wanted))
    result = dataclasses.replace(result, warnings=told)
    return _written(config, source, result, found) if group.leads else result


def plan(config: EvalConfig) -> str:
    """What `evaluate` would do, in one sentence; no picture is read, and no weights but those that lie here.

    Raises:
        SegFormerError: as `evaluate`, for what can be known beforehand.
    """
    config, whole = _checked(config)
    _refuse_outputs(config, whole)
    _clusters(config, whole)
    if config.weights:
        check_weights(config.weights, offline=config.offline)
        check_local_weights(config, whole)
    else:
        folder_source(config, whole)
    what = f"the masks in {config.predictions}" if config.predictions else config.weights
    return f"would score {what} on {len(whole.first(config.limit))} images of {config.data}, split {config.split}"


def _checked(config: EvalConfig) -> tuple[EvalConfig, Split]:
    """The config with its weights named, and the whole split it speaks of; what has no meaning is refused."""
    config = checked(config, EvalConfig)
    config = dataclasses.replace(config, dialect=check_dialects(config.dialect))
    _refuse_contradictions(config)
    if not config.predictions and not config.weights:
        config = dataclasses.replace(config, weights=default_weights(config.data))
    if config.protocol:
        choose_protocol(config.protocol, NATIVE, None, "")
    if config.size:
        parse_size(config.size)
    if config.window and config.stride:
        refuse_gaps(config.window, config.stride)
    split = _open(config)
    named_groups(config.group, split.class_names)
    return config, split


def _clusters(config: EvalConfig, whole: Split) -> tuple[str, ...] | None:
    keys = [pair.key for pair in whole.first(config.limit).pairs]
    return clusters_of(keys, config.group_images) if config.group_images else None


def _refuse_contradictions(config: EvalConfig) -> None:
    if config.predictions:
        given = {"weights": config.weights, "protocol": config.protocol, "multi_scale": config.multi_scale,
                 "scales": config.scales, "flip": config.flip, "by_name": config.by_name or config.alias,
                 "size": config.size, "window": config.window, "stride": config.stride,
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
    split = open_data(config.data, config.split, Bending.of(config, config.bands))
    if not split.labelled and not config.submission:
        raise DataError(
            f"split {split.name!r} of {split.data} has no labels to score against",
            where=str(split.root),
            hint="--submission FOLDER writes masks in the form its test server takes",
        )
    if not split.labelled and config.fit_temperature:
        raise DataError(f"split {split.name!r} of {split.data} has no labels to fit a temperature to")
    return split


def _refuse_outputs(config: EvalConfig, whole: Split) -> None:
    """Nothing where every file may and can be written: to be known before hours are spent."""
    places = {"-o": config.out, "--report": config.report, "--submission": config.submission}
    _refuse_shared_places({name: Path(place).resolve() for name, place in places.items() if place}, config)
    if config.report:
        refuse_other_than_html(config.report)
    refuse_unwritable(_outputs(config, whole.first(config.limit)), force=config.force)


def _refuse_shared_places(places: Mapping[str, Path], config: EvalConfig) -> None:
    """An error where two outputs have one name, or one lies in what is to be a file; or where masks replace masks."""
    files = {"--report"} | ({"-o"} if config.out and calibrated_path(config) == Path(config.out) else set())
    for (a, ours), (b, theirs) in permutations(places.items(), 2):
        if ours == theirs:
            raise UsageError(f"{a} and {b} both name {ours}", hint="give each a place of its own")
        if a in files and ours in theirs.parents:
            raise UsageError(f"{b} names {theirs}, which lies in the file of {a}", hint=f"name another place for {b}")
    if config.predictions and Path(config.predictions).resolve() == places.get("--submission"):
        raise UsageError("--submission would replace the masks of --predictions", hint="name another folder")


def _outputs(config: EvalConfig, split: Split) -> Iterator[Path]:
    """Every file that is asked for."""
    if config.out:
        checkpoint = calibrated_path(config)
        if checkpoint is not None:
            yield checkpoint
        if checkpoint != Path(config.out):
            yield from result_paths(Path(config.out))
    if config.report:
        yield Path(config.report)
    if config.submission:
        for pair in split.pairs:
            yield submission_path(Path(config.submission), pair)


def _watch(config: EvalConfig, source: Source, group: Group) -> IdWatch | None:
    """What looks at the ids of the masks in passing, in the first process; classes matched by name are the user's."""
    if not group.leads or source.segmenter is None or source.match is not None or not source.split.labelled:
        return None
    return IdWatch(source.segmenter, source.split, config.data, Bending.of(config, config.bands))


def _measured(
    config: EvalConfig, source: Source, progress: ProgressListener, group: Group, watch: IdWatch | None
) -> Measurements:
    """What this process counts: all pictures, or its share of them."""
    split = source.split
    instances = "cityscapes" in config.dialect and all(
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
    share = len(range(group.rank, len(split), group.size))
    workers = min(config.workers, share)
    pace = Pace(batch_size=config.batch_size, workers=workers, shard=group.rank, shards=group.size)
    # Here too, where the other processes are told of it.
    with memory_told(_LESS_MEMORY), warnings.catch_warnings():
        # What torch says of many workers, twice, `_warnings` says once.
        warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)
        pictures = source.judged(split, pace)
        pictures = pictures if watch is None else watch.over(pictures, progress)
        for each in told(pictures, share, progress if group.leads else ignore_progress):
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


def _warnings(config: EvalConfig, source: Source, result: Evaluation, wanted: Wanted) -> tuple[str, ...]:
    """What to know before trusting the numbers."""
    split = source.split
    found = [text for text in (split.note, source.note) if text]
    if (workers := min(config.workers, len(split))) > (cores := _cores()):
        found.append(f"{workers} workers share {cores} {'core' if cores == 1 else 'cores'}: fewer may be faster")
    if not split.labelled:
        found.append(f"split {split.name!r} of {split.data} has no labels: masks were written, there is no score")
    elif result.miou_ci95 is not None and not config.group_images and (
        dependence := dependence_warning([pair.key for pair in split.pairs])
    ):
        found.append(dependence)
    if config.predictions and (none := sum(result.none_of_them)):
        found.append(f"{none} labelled pixels were predicted as no class of the data; they count as wrong")
    if result.temperature is not None:
        sure = " (a network is surer of images it was trained on)" if config.split == "train" else ""
        found.append(f"the temperature was fitted on {split.name}: judge it on other images{sure}")
    if source.match is not None and (misled := misled_dialects(config.dialect, source.match, result.none_of_them)):
        found.append(misled)
    if "cityscapes" in config.dialect and not wanted.instances and is_cityscapes(split):
        found.append("no iIoU: *_gtFine_instanceIds.png do not lie beside every mask")
    if result.temperature is not None and result.temperature.at_limit:
        found.append(
            f"the best temperature lies beyond {result.temperature.value:g}, the limit of what is tried: the network's "
            "confidence says next to nothing about these images"
            if result.temperature.value > 1
            else f"the best temperature lies below {result.temperature.value:g}, the limit of what is tried: next to "
            "every pixel is right"
        )
    return tuple(found)


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _written(config: EvalConfig, source: Source, result: Evaluation, found: Measurements) -> Evaluation:
    """The same evaluation, its files written."""
    written: list[Path] = []
    if config.out:
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
