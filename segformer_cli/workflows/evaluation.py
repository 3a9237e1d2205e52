"""Scoring: weights and labelled pictures in, an exact confusion matrix and its scores out."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from segformer_cli.atomic import refuse_existing, replacing
from segformer_cli.config import EvalConfig
from segformer_cli.data.dataset import raising
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.inference import Segmenter, prepare, upsampled_mask
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.images import Ids
from segformer_cli.metrics.confusion import Counts, confusion_matrix
from segformer_cli.metrics.scores import Scores, scores
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.progress import Progress, ProgressListener, ignore_progress, listening
from segformer_cli.report import as_text, report
from segformer_cli.resize import parse_size
from segformer_cli.settings import check_ranges


@dataclass(frozen=True)
class ClassScore:
    """One row of the table; NaN where the class has no such score."""

    id: int
    name: str
    iou: float
    acc: float
    pixels: int


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found; fractions in 0..1."""

    miou: float
    macc: float
    aacc: float
    per_class: tuple[ClassScore, ...]
    images: int
    confusion: Counts
    protocol: str
    seconds: float
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md; NaN where a score is undefined, which JSON's writer turns into null."""
        return {
            "miou": self.miou,
            "macc": self.macc,
            "aacc": self.aacc,
            "per_class": [asdict(row) for row in self.per_class],
            "images": self.images,
            "confusion_matrix": self.confusion.tolist(),
            "protocol": self.protocol,
            "seconds": self.seconds,
        }


def evaluate(config: EvalConfig, progress: bool | ProgressListener = False) -> Evaluation:
    """Scores of weights on one split, counted at the pictures' own size.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        DataError: the split has no labels, or its classes are not those of the weights.
        UsageError: no weights are named and none belong to the data.
    """
    with listening(progress) as listener:
        return _evaluate(config, listener)


def _evaluate(config: EvalConfig, progress: ProgressListener) -> Evaluation:
    check_ranges(config)
    weights = config.weights or default_weights(config.data)
    result_file = Path(config.out) / "result.json" if config.out else None
    if result_file is not None:
        refuse_existing(result_file, force=config.force)
    split = open_data(
        config.data, config.split, image_suffix=config.image_suffix, mask_suffix=config.mask_suffix
    ).first(config.limit)
    if not split.labelled:
        raise DataError(f"split {split.name!r} of {split.data} has no labels to score against", where=str(split.root))
    model = load_model(weights, offline=config.offline, progress=progress)
    device = choose_device(config.device)
    size = parse_size(config.size) if config.size else None
    segmenter = Segmenter.of(model, device, choose_dtype(config.precision, device), size)
    check_classes(segmenter.config, split)
    began = time.perf_counter()
    confusion = score_split(segmenter, split, config.batch_size, config.workers, progress)
    seconds = time.perf_counter() - began
    result = summarise(confusion, split, protocol_of(segmenter, split), seconds)
    if result_file is not None:
        _write(result_file, result, config.force)
    return result


def default_weights(data: str) -> str:
    """The weights that belong to a data set.

    Raises:
        UsageError: none do.
    """
    if data == "sample":
        return "sample"
    if layout_name(data) == "cityscapes":
        return "b0-cityscapes"
    raise UsageError(f"no weights are named, and none belong to {data}", hint="add -w WEIGHTS")


def check_classes(config: ModelConfig, split: Split) -> None:
    """Nothing where weights and data have the same classes in the same order.

    Raises:
        DataError: they differ; a score would compare unlike things.
    """
    ours, theirs = config.class_names, split.class_names
    numbered = any(names[0] == "class_0" for names in (ours, theirs))
    if ours == theirs or (numbered and len(ours) == len(theirs)):
        return
    pairs = enumerate(zip(ours, theirs, strict=False))
    different = next((index for index, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    raise DataError(
        f"the weights know {len(ours)} classes ({_first(ours)}), {split.data} has {len(theirs)} ({_first(theirs)})",
        where=f"class {different}: {_at(ours, different)} in the weights, {_at(theirs, different)} in the data",
        hint="score weights on the classes they were trained for, or fine-tune: segformer train -w WEIGHTS -d DATA",
    )


def score_split(
    segmenter: Segmenter,
    split: Split,
    batch_size: int = 1,
    workers: int = 0,
    progress: ProgressListener = ignore_progress,
    stage: str = "eval",
) -> Counts:
    """The summed confusion matrix of a split; nothing else of the whole set is kept."""
    K = len(split.class_names)
    total = np.zeros((K, K), np.int64)
    began = time.perf_counter()
    done = 0
    for image, target, network_hw in _batches(segmenter, split, batch_size, workers):
        logits = segmenter.logits(image)
        for index, ids in enumerate(target):
            mask = upsampled_mask(logits[index], network_hw, (ids.shape[0], ids.shape[1]))
            total += confusion_matrix(ids, mask, K, split.ignore_index)
            done += 1
        rate = done / (time.perf_counter() - began)
        progress(Progress(stage, done, len(split), "image", {"mIoU": scores(total).miou, "images/s": rate}))
    return total


def summarise(confusion: Counts, split: Split, protocol: str, seconds: float = 0.0) -> Evaluation:
    """The scores of a matrix under the class names of its split."""
    found: Scores = scores(confusion)
    rows = tuple(
        ClassScore(index, name, float(found.iou[index]), float(found.acc[index]), int(found.pixels[index]))
        for index, name in enumerate(split.class_names)
    )
    warnings = () if confusion.sum() else ("every pixel is ignored: no score is defined",)
    return Evaluation(
        found.miou, found.macc, found.aacc, rows, len(split), confusion, protocol, seconds, warnings
    )


def protocol_of(segmenter: Segmenter, split: Split) -> str:
    """How the score came about, in one sentence."""
    policy = segmenter.policy
    size = "their own size"
    if policy.box is not None:
        size = f"the largest size inside {policy.box[0]}x{policy.box[1]}"
    elif policy.short is not None:
        size = f"a short side of {policy.short}" + (f" and a long side of at most {policy.long}" if policy.long else "")
    return (
        f"{len(split)} images of {split.data} {split.name}, whole, at {size} with sides rounded up to a multiple of "
        f"{policy.align}, single scale; counted at label size, classes in neither map left out of the mean"
    )


class _EvalImages(Dataset[tuple[Tensor, Ids] | SegFormerError]):
    """Pictures prepared for the network, beside their targets; or the error of reading them, see `raising`."""

    def __init__(self, segmenter: Segmenter, split: Split) -> None:
        # The network stays in the main process; workers need only how pictures are prepared.
        self.config, self.size = segmenter.config, segmenter.size
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> tuple[Tensor, Ids] | SegFormerError:
        try:
            image, target = self.split.read(self.split.pairs[index])
            return prepare(image, self.config, self.size), target
        except SegFormerError as error:
            return error


def _batches(
    segmenter: Segmenter, split: Split, batch_size: int, workers: int
) -> Iterator[tuple[Tensor, list[Ids], tuple[int, int]]]:
    """Batches of neighbours that have one size, with their targets and the size the network sees."""
    loader: DataLoader[Any] = DataLoader(
        _EvalImages(segmenter, split),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=start_worker,
        prefetch_factor=2 if workers else None,
    )
    for shape, items in groupby(raising(loader), key=lambda item: item[0].shape):
        batch: list[tuple[Tensor, Any]] = []
        for item in items:
            batch.append(item)
            if len(batch) == batch_size:
                yield _joined(batch), [np.asarray(ids) for _, ids in batch], (shape[-2], shape[-1])
                batch = []
        if batch:
            yield _joined(batch), [np.asarray(ids) for _, ids in batch], (shape[-2], shape[-1])


def _joined(batch: list[tuple[Tensor, Any]]) -> Tensor:
    return torch.cat([image for image, _ in batch])


def start_worker(_: int) -> None:
    """A reading process keeps to one core, and leaves it to the main one to answer Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _write(path: Path, result: Evaluation, force: bool) -> None:
    document = report("eval", result.to_json(), result.warnings, [str(path)])
    with replacing(path, force=force) as temporary:
        temporary.write_text(as_text(document) + "\n", encoding="utf-8")


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _at(names: tuple[str, ...], index: int) -> str:
    return repr(names[index]) if index < len(names) else "nothing"
