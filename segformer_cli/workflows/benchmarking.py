"""Benchmarking: networks or an exported file in; time, memory, parameters and multiply-adds at exact sizes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch

from segformer_cli.config import BenchmarkConfig
from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import build_model, check_weights, load_model
from segformer_cli.engine.memory import peak_during
from segformer_cli.engine.protocol import Protocol
from segformer_cli.engine.timing import Timing, timed
from segformer_cli.errors import UsageError
from segformer_cli.model import multiply_adds
from segformer_cli.model.segformer import MIN_SIDE, SegFormer
from segformer_cli.model.variants import get_variant
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.resize import SizePolicy, exact_size
from segformer_cli.settings import checked
from segformer_cli.workflows.runs import environment

HW = tuple[int, int]
DEFAULT_SIZE = "512"

CALM = 0.1
"""The most that the middle half of the calls may differ, as a share of their median, on a machine left alone."""


@dataclass(frozen=True)
class Row:
    """One network at one size and batch size.

    `model_only` is from a normalised tensor on the device to logits, `end_to_end` from a picture in memory to the ids
    of its pixels, one picture at a time. `peak_bytes` is what a call holds at its peak beside what lay there before,
    None where the system does not tell. Multiply-adds are for the batch's every picture alike: as the paper counts
    them, as it draws the network, and as the folded network computes them.
    """

    name: str
    variant: str
    runtime: str
    precision: str
    size_hw: HW
    batch_size: int
    num_classes: int
    parameters: int
    model_only: Timing
    end_to_end: Timing
    peak_bytes: int | None
    published_macs: int
    textbook_macs: int
    computed_macs: int

    @property
    def images_per_s(self) -> float:
        """Of the network alone, at the median."""
        return self.batch_size / self.model_only.median

    def to_json(self) -> dict[str, Any]:
        """As in `results.rows`; times in ms."""
        said = dataclasses.asdict(self)
        for key in ("model_only", "end_to_end"):
            timing = getattr(self, key)
            low, high = timing.quartiles
            said[key] = {
                "median_ms": 1000 * timing.median,
                "quartiles_ms": [1000 * low, 1000 * high],
                "calls_ms": [1000 * call for call in timing.calls],
            }
        return said | {"images_per_s": self.images_per_s}


@dataclass(frozen=True)
class Benchmark:
    """What was measured, on what."""

    rows: tuple[Row, ...]
    device: str
    machine: dict[str, object]

    @property
    def disturbed(self) -> tuple[Row, ...]:
        """Rows whose calls differ by more than a machine left alone lets them."""
        return tuple(row for row in self.rows if row.model_only.spread > CALM)

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md."""
        return {"device": self.device, "machine": self.machine, "rows": [row.to_json() for row in self.rows]}


@dataclass(frozen=True)
class _Contestant:
    """A network as it is to be run."""

    name: str
    segmenter: Segmenter
    parameters: int

    @property
    def runtime(self) -> str:
        model = self.segmenter.model
        return model.said.format.name if isinstance(model, ExportedModel) else "torch"

    @property
    def precision(self) -> str:
        model = self.segmenter.model
        names = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
        return model.said.precision if isinstance(model, ExportedModel) else names[self.segmenter.dtype]

    @property
    def only_size(self) -> HW | None:
        model = self.segmenter.model
        return model.said.size_hw if isinstance(model, ExportedModel) else None


def benchmark(config: BenchmarkConfig, progress: bool | ProgressListener = False) -> Benchmark:
    """Time, memory, parameters and multiply-adds of each network at each size and batch size, one after another.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        UsageError: there is no such variant, size or device, or an exported file takes other sizes.
        WeightsError: the weights cannot be loaded.
        EnvironmentLacksError: the device or an exported file's runtime is absent, or the network is needed.
    """
    config = _judged(config)
    with listening(progress) as listener, _threads(config.threads):
        rows: list[Row] = []
        for make in _contestants(config, listener):
            contestant = make()
            sizes = [exact_size(text, MIN_SIDE) for text in config.size]
            sizes = sizes or [contestant.only_size or exact_size(DEFAULT_SIZE)]
            total = len(_names(config)) * len(sizes) * len(config.batch_size)
            for size, batch_size in product(sizes, config.batch_size):
                rows.append(_measured(contestant, size, batch_size, config))
                listener(Progress("measuring", len(rows), total, "row"))
        return Benchmark(tuple(rows), str(contestant.segmenter.device), environment())


def plan(config: BenchmarkConfig) -> str:
    """What `benchmark` would measure, in one sentence.

    Raises:
        SegFormerError: as `benchmark`, for what can be known beforehand.
    """
    config = _judged(config)
    sizes, batches = ", ".join(config.size) or DEFAULT_SIZE, ", ".join(map(str, config.batch_size))
    return (
        f"would measure {', '.join(_names(config))} at {sizes}, batch {batches}, "
        f"on {choose_device(config.device)}: {config.calls} calls each"
    )


def _judged(config: BenchmarkConfig) -> BenchmarkConfig:
    """The config, where what it names exists."""
    config = checked(config)
    for text in config.size:
        exact_size(text, MIN_SIDE)
    if not config.batch_size or not config.variant:
        raise UsageError("nothing is to be measured", hint="--variant b0 --batch-size 1")
    if config.weights is not None:
        check_weights(config.weights, offline=config.offline)
    else:
        for variant in config.variant:
            get_variant(variant)
    choose_dtype(config.precision, choose_device(config.device))
    return config


def _names(config: BenchmarkConfig) -> tuple[str, ...]:
    return config.variant if config.weights is None else (config.weights,)


def _contestants(config: BenchmarkConfig, progress: ProgressListener) -> Iterator[Callable[[], _Contestant]]:
    """Each made when its turn comes, so that no two lie in memory."""
    if config.weights is not None:
        yield partial(_loaded, config, config.weights, progress)
        return
    for variant in config.variant:
        yield partial(_random, config, variant)


def _loaded(config: BenchmarkConfig, weights: str, progress: ProgressListener) -> _Contestant:
    model = load_model(weights, offline=config.offline, trust=config.trust, progress=progress)
    return _Contestant(weights, _segmenter(config, model), _parameters(model))


def _random(config: BenchmarkConfig, variant: str) -> _Contestant:
    model = build_model(variant, num_classes=config.num_classes).eval()
    return _Contestant(variant, _segmenter(config, model), _parameters(model))


def _segmenter(config: BenchmarkConfig, model: SegFormer | ExportedModel) -> Segmenter:
    """The network sees pictures at exactly their size; what a full pipeline makes of them is its own affair."""
    device = choose_device(config.device)
    whole = isinstance(model, ExportedModel) and model.said.full_pipeline
    protocol = None if whole else Protocol(name="exact", size=SizePolicy(align=1))
    return Segmenter.of(model, device, choose_dtype(config.precision, device), protocol)


def _parameters(model: SegFormer | ExportedModel) -> int:
    """Of the network before anything is folded."""
    if isinstance(model, ExportedModel):
        return model.said.parameters
    return sum(parameter.numel() for parameter in model.parameters())


def _measured(contestant: _Contestant, size_hw: HW, batch_size: int, config: BenchmarkConfig) -> Row:
    segmenter = contestant.segmenter
    model, meaning, device = segmenter.model, segmenter.model.config, segmenter.device
    generator = np.random.default_rng(0)
    picture = generator.integers(0, 256, (*size_hw, meaning.in_channels), dtype=np.uint8)
    images = torch.cat(segmenter.prepare(picture)).expand(batch_size, -1, -1, -1).contiguous().to(device)

    @torch.inference_mode()
    def forward() -> None:
        with torch.autocast(device.type, segmenter.dtype, enabled=segmenter.dtype != torch.float32):
            model(images)

    measure = partial(
        timed, device=device, warm_up=config.warm_up, calls=config.calls, seconds=config.seconds
    )
    peak = peak_during(forward, device)
    return Row(
        name=contestant.name,
        variant=meaning.variant,
        runtime=contestant.runtime,
        precision=contestant.precision,
        size_hw=size_hw,
        batch_size=batch_size,
        num_classes=meaning.num_classes,
        parameters=contestant.parameters,
        model_only=measure(forward),
        end_to_end=measure(partial(segmenter.mask, picture)),
        peak_bytes=peak,
        published_macs=multiply_adds.published(meaning, size_hw).total,
        textbook_macs=multiply_adds.textbook(meaning, size_hw).total,
        computed_macs=multiply_adds.folded(meaning, size_hw).total,
    )


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """With so many threads of the CPU; afterwards with as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
