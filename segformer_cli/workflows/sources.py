"""Where the masks of a score come from: a network under a protocol, or a folder that any tool filled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from segformer_cli.config import EvalConfig
from segformer_cli.data.layouts.detect import layout_name
from segformer_cli.data.mask_files import find_masks, read_as_classes
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.distributed import own_device
from segformer_cli.engine.exported import ExportedModel, is_exported, read_exported
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import SAMPLE, load_checkpoint_from, load_model
from segformer_cli.engine.protocol import HW, OWN, Protocol, choose_protocol, multi_scale
from segformer_cli.engine.scoring import Judged, Pace, judge
from segformer_cli.errors import DataError, UsageError
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.model.checkpoint import ModelConfig, backbone_only
from segformer_cli.model.segformer import SegFormer
from segformer_cli.progress import ProgressListener
from segformer_cli.resize import parse_size
from segformer_cli.workflows.class_match import (
    ClassMatch,
    check_classes,
    match_by_name,
    numbered_note,
    without_classes,
)


@dataclass(frozen=True, eq=False)
class Source:
    """Where masks come from: `judged` gives each picture of a split with its mask.

    `how` is the middle of the protocol's sentence; what follows is the network's, None for masks made elsewhere.
    `note` is what to know of how its classes and those of the data came together.
    """

    split: Split
    judged: Callable[[Split, Pace], Iterator[Judged]]
    how: str
    config: ModelConfig | None = None
    match: ClassMatch | None = None
    device: str | None = None
    precision: str | None = None
    note: str | None = None
    segmenter: Segmenter | None = None


def source_of(config: EvalConfig, whole: Split, progress: ProgressListener) -> Source:
    """Where the masks come from that a config asks to score: those of `limit` pictures of the whole split.

    Raises:
        DataError: the classes of weights and data differ, or masks are missing.
        UsageError: no weights are named and none belong to the data, or there is no such protocol.
    """
    if config.predictions:
        return folder_source(config, whole)
    return network_source(config, whole.first(config.limit), progress)


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


def network_source(config: EvalConfig, split: Split, progress: ProgressListener) -> Source:
    """The masks of a network."""
    assert config.weights
    model = load_model(config.weights, offline=config.offline, trust=config.trust, progress=progress)
    device = own_device(choose_device(config.device))
    segmenter, precision = scored(model, device, config.precision, chosen_protocol(config, model.config, split))
    split = as_read_by(segmenter.config, split)
    match, note = _matched(config, segmenter.config, split)
    if match is not None:
        split = without_classes(split, match.unknown_to_weights)

    def judged(split: Split, pace: Pace) -> Iterator[Judged]:
        meaning = None if match is None else match.meaning
        return judge(segmenter, split, pace, confident=config.calibration, meaning=meaning)

    how = str(segmenter.protocol) if precision == "fp32" else f"{segmenter.protocol}, in {precision}"
    return Source(split, judged, how, segmenter.config, match, str(segmenter.device), precision, note, segmenter)


def as_read_by(config: ModelConfig, split: Split) -> Split:
    """The split with the bands of its pictures that the network was trained on, unless it names others itself.

    Raises:
        UsageError: it names more or fewer than the network reads.
    """
    if split.bands and len(split.bands) != config.in_channels:
        raise UsageError(
            f"--bands names {len(split.bands)}, the network reads {config.in_channels}",
            hint=f"--bands with {config.in_channels}, in the order in which it was trained on them",
        )
    return split if split.bands else dataclasses.replace(split, bands=config.bands)


def scored(
    model: SegFormer | ExportedModel, device: torch.device, precision: str, protocol: Protocol | None = None
) -> tuple[Segmenter, str]:
    """The network as it is to be scored, and in which precision: fp32 unless another is named, as others' scores are.

    Raises:
        UsageError: an exported file, which has a precision of its own, is asked for another.
    """
    if isinstance(model, ExportedModel):
        own = model.said.precision
        if precision not in ("auto", own):
            raise UsageError(f"the file computes in {own}, not in {precision}", hint="export it anew")
        return Segmenter.of(model, device, protocol=protocol), own
    precision = "fp32" if precision == "auto" else precision
    return Segmenter.of(model, device, choose_dtype(precision, device), protocol), precision


def check_local_weights(config: EvalConfig, split: Split) -> None:
    """Nothing where weights that lie on this machine's disk can be read and have the classes of the data.

    Raises:
        SegFormerError: as `network_source`.
    """
    assert config.weights
    if config.weights != SAMPLE and not Path(config.weights).expanduser().exists():
        return
    path = Path(config.weights).expanduser()
    if is_exported(path):
        meaning = read_exported(path).config
        chosen_protocol(config, meaning, split)
        _matched(config, meaning, split)
        return
    checkpoint = load_checkpoint_from(config.weights, offline=True)
    if checkpoint.kind == "backbone":
        raise backbone_only(checkpoint)
    chosen_protocol(config, checkpoint.config, split)
    _matched(config, checkpoint.config, split)


def _matched(config: EvalConfig, model: ModelConfig, split: Split) -> tuple[ClassMatch | None, str | None]:
    """Which class is which where they are matched by name, and what to know of how they were matched."""
    if not (config.by_name or config.alias):
        check_classes(model, split)
        return None, numbered_note(model, split)
    match = match_by_name(model, split, config.alias)
    return match, match.note


def chosen_protocol(config: EvalConfig, model: ModelConfig, split: Split) -> Protocol:
    """The protocol that settings, weights and data come to.

    Raises:
        UsageError: there is no such protocol, or its windows leave gaps.
    """
    protocol = choose_protocol(config.protocol, model.size, model.training_data, split.data)
    if config.multi_scale:
        protocol = multi_scale(protocol, split.data)
    if config.size:
        protocol = dataclasses.replace(protocol, name=OWN, size=parse_size(config.size))
    if config.window:
        stride = config.stride or (config.window[0] * 3 // 4, config.window[1] * 3 // 4)
        protocol = dataclasses.replace(protocol, window=config.window, stride=stride)
    elif config.stride and protocol.window is None:
        raise UsageError("a stride needs a window", hint="add --set window=512x512")
    elif config.stride:
        protocol = dataclasses.replace(protocol, stride=config.stride)
    if protocol.window and protocol.stride:
        refuse_gaps(protocol.window, protocol.stride)
    if config.scales:
        protocol = dataclasses.replace(protocol, ratios=config.scales)
    return protocol if config.flip is None else dataclasses.replace(protocol, flip=config.flip)


def refuse_gaps(window: HW, stride: HW) -> None:
    """Nothing where windows of (height, width) every so many pixels cover a picture.

    Raises:
        UsageError: they leave gaps.
    """
    if stride[0] > window[0] or stride[1] > window[1]:
        raise UsageError(
            f"windows of {window[0]}x{window[1]} every {stride[0]}x{stride[1]} pixels leave gaps",
            hint="the stride must not be larger than the window",
        )


def folder_source(config: EvalConfig, whole: Split) -> Source:
    """The masks that any tool left in a folder."""
    assert config.predictions
    if not whole.labelled:
        raise DataError(f"split {whole.name!r} of {whole.data} has no labels to score against", where=str(whole.root))
    split = whole.first(config.limit)
    paths = dict(zip(split.pairs, find_masks(Path(config.predictions), whole, config.limit), strict=True))

    def judged(split: Split, pace: Pace) -> Iterator[Judged]:
        K = len(split.class_names)
        for index in range(pace.shard, len(split), pace.shards):
            pair = split.pairs[index]
            target = split.read_target(pair)
            mask = read_as_classes(paths[pair], split, target, file_ids=config.prediction_ids == "files")
            confusion = confusion_matrix(target, mask, K, split.ignore_index, others=True)
            yield Judged(index, pair, target, mask, confusion)

    return Source(split, judged, "masks of another tool, taken as they are")
