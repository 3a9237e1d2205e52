"""Benchmarking: networks or an exported file in; time, memory, parameters and multiply-adds at exact sizes out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from segformer_cli.config import BenchmarkConfig
from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.exported import ExportedFile, is_exported, read_exported, trusted_hash
from segformer_cli.engine.loading import build_model, load_checkpoint_from
from segformer_cli.errors import UsageError
from segformer_cli.model import multiply_adds
from segformer_cli.model.checkpoint import ModelConfig, network_from
from segformer_cli.model.segformer import MIN_SIDE
from segformer_cli.model.variants import get_variant
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.resize import ALIGN, exact_size
from segformer_cli.settings import checked
from segformer_cli.workflows.benchmark_row import Measured, Task, measured_apart
from segformer_cli.workflows.runs import environment

HW = tuple[int, int]
VARIANT, NUM_CLASSES, SIZE = "b0", 150, "512"
"""What is measured where nothing is named."""

CALM = 0.1
"""The most that the middle half of the calls may differ, as a share of their median, on a machine left alone."""

_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


@dataclass(frozen=True)
class Contestant:
    """A network as it is to be run; `file` is what an exported one says of itself."""

    name: str
    meaning: ModelConfig
    runtime: str
    precision: str
    parameters: int
    file: ExportedFile | None = None

    def seen(self, size_hw: HW) -> HW:
        """The size at which the network gets a picture: a full pipeline sizes it first."""
        return self.meaning.size.aligned(size_hw) if self.file and self.file.full_pipeline else size_hw


@dataclass(frozen=True)
class Row:
    """One network at one size and batch size; multiply-adds are those of one picture.

    They are counted as the paper counts them (`published`), as it draws the network (`textbook`), and as the folded
    network computes them.
    """

    contestant: Contestant
    size_hw: HW
    batch_size: int
    found: Measured
    published_macs: int
    textbook_macs: int
    computed_macs: int

    @property
    def images_per_s(self) -> float:
        """Of the network alone, at the median."""
        return self.batch_size / self.found.model_only.median

    @property
    def calm(self) -> bool:
        """Whether the calls differ no more than a machine left alone lets them."""
        return self.found.model_only.spread <= CALM

    def to_json(self) -> dict[str, Any]:
        """As in `results.rows`; times in ms."""
        who = self.contestant
        said: dict[str, Any] = {
            "name": who.name,
            "variant": who.meaning.variant,
            "runtime": who.runtime,
            "precision": who.precision,
            "num_classes": who.meaning.num_classes,
            "parameters": who.parameters,
            "size_hw": self.size_hw,
            "batch_size": self.batch_size,
            "images_per_s": self.images_per_s,
            "peak_bytes": self.found.peak_bytes,
            "published_macs": self.published_macs,
            "textbook_macs": self.textbook_macs,
            "computed_macs": self.computed_macs,
        }
        for key, timing in (("model_only", self.found.model_only), ("end_to_end", self.found.end_to_end)):
            said[key] = {
                "median_ms": 1000 * timing.median,
                "quartiles_ms": [1000 * each for each in timing.quartiles],
                "calls_ms": [1000 * each for each in timing.calls],
            }
        return said


@dataclass(frozen=True)
class Failed:
    """A row that could not be measured."""

    name: str
    size_hw: HW
    batch_size: int
    error: str


@dataclass(frozen=True)
class Benchmark:
    """What was measured, on what."""

    rows: tuple[Row, ...]
    failed: tuple[Failed, ...]
    device: str
    machine: dict[str, object]

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md."""
        return {
            "device": self.device,
            "machine": self.machine,
            "rows": [row.to_json() for row in self.rows],
            "failed": [dataclasses.asdict(each) for each in self.failed],
        }


@dataclass(frozen=True)
class Plan:
    """What is to be measured: each contestant at its sizes, with each number of pictures a call."""

    config: BenchmarkConfig
    rows: tuple[tuple[Contestant, HW, int], ...]
    device: torch.device

    def __str__(self) -> str:
        rows = [f"{who.name} at {_by(size)}, batch {batch}" for who, size, batch in self.rows]
        return f"would measure {'; '.join(rows)}; on {self.device}, {self.config.calls} calls each"


def benchmark(config: BenchmarkConfig | Plan, progress: bool | ProgressListener = False) -> Benchmark:
    """Time, memory, parameters and multiply-adds of each network at each size and batch size, one after another.

    A row that fails (memory that is not enough) does not stop the others.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        UsageError: there is no such variant, size or device, or an exported file takes no such pictures.
        WeightsError: the weights cannot be loaded.
        EnvironmentLacksError: the device or an exported file's runtime is absent, or the network is needed.
    """
    with listening(progress) as listener:
        planned = plan(config, listener) if isinstance(config, BenchmarkConfig) else config
        rows: list[Row] = []
        failed: list[Failed] = []
        for done, (who, size_hw, batch_size) in enumerate(planned.rows, 1):
            found = measured_apart(_task(planned.config, who, size_hw, batch_size))
            if isinstance(found, str):
                failed.append(Failed(who.name, size_hw, batch_size, found))
            else:
                rows.append(_row(who, size_hw, batch_size, found))
            listener(Progress("measuring", done, len(planned.rows), "row"))
    threads = planned.config.threads or torch.get_num_threads()
    return Benchmark(tuple(rows), tuple(failed), str(planned.device), environment() | {"threads": threads})


def plan(config: BenchmarkConfig, progress: bool | ProgressListener = False) -> Plan:
    """What `benchmark` would measure.

    Raises:
        SegFormerError: as `benchmark`.
    """
    config = checked(config)
    sizes = tuple(exact_size(text, MIN_SIDE) for text in config.size)
    if not config.batch_size:
        raise UsageError("no batch size is named", hint="--batch-size 1")
    device = choose_device(config.device)
    with listening(progress) as listener:
        if config.weights is None:
            contestants = _random(config, device)
        else:
            contestants = (_named(config, config.weights, device, listener),)
    rows = []
    for who in contestants:
        own = sizes or (who.file and who.file.size_hw and (who.file.size_hw,)) or (exact_size(SIZE),)
        for size_hw, batch_size in product(own, config.batch_size):
            _refuse_beyond(who, size_hw, batch_size)
            rows.append((who, size_hw, batch_size))
    on = torch.device("cpu") if contestants[0].file else device
    return Plan(config, tuple(rows), on)


def _random(config: BenchmarkConfig, device: torch.device) -> tuple[Contestant, ...]:
    """The variants, with random weights."""
    precision = _NAMES[choose_dtype(config.precision, device)]
    found = []
    for name in config.variant or (VARIANT,):
        variant = get_variant(name).name
        with torch.device("meta"):
            model = build_model(variant, num_classes=config.num_classes or NUM_CLASSES)
        found.append(Contestant(variant, model.config, "torch", precision, _parameters(model)))
    return tuple(found)


def _named(config: BenchmarkConfig, weights: str, device: torch.device, progress: ProgressListener) -> Contestant:
    """Weights or an exported file; both are read, and those of the hub fetched."""
    for key, given in (("--variant", ",".join(config.variant)), ("num_classes", config.num_classes)):
        if given:
            raise UsageError(
                f"{key} {given} is for random weights, and --weights {weights} is given too", hint=f"leave out {key}"
            )
    path = Path(weights).expanduser()
    if not is_exported(path):
        checkpoint = load_checkpoint_from(weights, offline=config.offline, progress=progress)
        precision = _NAMES[choose_dtype(config.precision, device)]
        parameters = _parameters(network_from(checkpoint))
        return Contestant(weights, checkpoint.config, "torch", precision, parameters)
    said = read_exported(path)
    trusted_hash(path, said, trust=config.trust)
    if config.precision not in ("auto", said.precision):
        raise UsageError(f"the file computes in {said.precision}, not in {config.precision}", hint="export it anew")
    return Contestant(weights, said.config, said.format.name, said.precision, said.parameters, said)


def _parameters(model: torch.nn.Module) -> int:
    """Of the network before anything is folded."""
    return sum(parameter.numel() for parameter in model.parameters())


def _refuse_beyond(who: Contestant, size_hw: HW, batch_size: int) -> None:
    """Nothing where the contestant takes such pictures."""
    file = who.file
    if file is None:
        return
    if file.size_hw and file.size_hw != size_hw:
        raise UsageError(
            f"{who.name} takes pictures of {_by(file.size_hw)} alone, not {_by(size_hw)}", hint="leave out --size"
        )
    if file.size_hw and batch_size > 1:
        raise UsageError(
            f"{who.name} is a file of one size, which takes one picture a call, not {batch_size}",
            hint="leave out --batch-size, or export it without --size",
        )
    if not file.format.any_side and any(side % ALIGN for side in size_hw):
        near = _by(tuple(-(-side // ALIGN) * ALIGN for side in size_hw))
        raise UsageError(
            f"a file of {file.format.name} takes sides that are multiples of {ALIGN}, not {_by(size_hw)}",
            hint=f"--size {near}",
        )


def _task(config: BenchmarkConfig, who: Contestant, size_hw: HW, batch_size: int) -> Task:
    return Task(
        weights=config.weights,
        variant=who.meaning.variant,
        num_classes=who.meaning.num_classes,
        size_hw=size_hw,
        batch_size=batch_size,
        warm_up=config.warm_up,
        calls=config.calls,
        seconds=config.seconds,
        threads=config.threads,
        device=config.device,
        precision=config.precision,
        offline=config.offline,
        trust=config.trust,
    )


def _row(who: Contestant, size_hw: HW, batch_size: int, found: Measured) -> Row:
    seen = who.seen(size_hw)
    return Row(
        who,
        size_hw,
        batch_size,
        found,
        published_macs=multiply_adds.published(who.meaning, seen).total,
        textbook_macs=multiply_adds.textbook(who.meaning, seen).total,
        computed_macs=multiply_adds.folded(who.meaning, seen).total,
    )


def _by(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))
