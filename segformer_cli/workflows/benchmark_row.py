"""One row of a benchmark: a network at one size and batch size, measured in a process of its own.

Runtimes keep their threads awake between calls, and allocators what was freed: in one process the rows would take each
other's cores, and none would say what it holds.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import build_model, load_model
from segformer_cli.engine.memory import held_bytes, lacks_memory, peak_during
from segformer_cli.engine.protocol import Protocol
from segformer_cli.engine.timing import Timing, timed
from segformer_cli.errors import SegFormerError
from segformer_cli.resize import SizePolicy

_STARTS = "from segformer_cli.workflows.benchmark_row import main; main()"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be measured, and how: see `BenchmarkConfig`. Without `weights` they are random ones of `variant`."""

    weights: str | None
    variant: str
    num_classes: int
    size_hw: tuple[int, int]
    batch_size: int
    warm_up: int
    calls: int
    seconds: float
    threads: int | None
    device: str
    precision: str
    offline: bool
    trust: bool


@dataclass(frozen=True)
class Measured:
    """What came of it.

    `model_only` is a call with the whole batch, from normalised tensors on the device to logits; `end_to_end` goes from
    one picture in memory to the class ids of its pixels. `peak_bytes` is the most that a call holds, the network's
    weights among it, beside what a process holds that has none; None where the system does not tell.
    """

    model_only: Timing
    end_to_end: Timing
    peak_bytes: int | None


def measured(task: Task) -> Measured:
    """The task done in this process.

    Raises:
        SegFormerError: the weights cannot be loaded, or memory is not enough.
    """
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    device = choose_device(task.device)
    before = held_bytes(device)
    try:
        segmenter = _segmenter(task, device)
        picture, images = _inputs(task, segmenter)
        gc.collect()
        loaded = held_bytes(device)
        forward = partial(_forward, segmenter, images)
        peak = peak_during(forward, device)
        measure = partial(timed, device=device, warm_up=task.warm_up, calls=task.calls, seconds=task.seconds)
        found = measure(forward), measure(partial(segmenter.mask, picture))
    except Exception as error:
        if lacks_memory(error):
            raise SegFormerError("memory is not enough", hint="a smaller --batch-size or --size") from error
        raise
    if peak is not None and before is not None and loaded is not None:
        peak += max(0, loaded - before)
    return Measured(*found, peak)


def measured_apart(task: Task) -> Measured | str:
    """The task done in a process of its own; why not, where that process failed.

    Raises:
        RuntimeError: the process ended with an error that is none of a user's.
    """
    done = subprocess.run(
        [sys.executable, "-c", _STARTS], input=json.dumps(dataclasses.asdict(task)), capture_output=True, text=True,
        check=False,
    )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        killed = ", likely for lack of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{killed}"
    if done.returncode:
        raise RuntimeError(f"a row's process ended with {done.returncode}:\n{done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    if "fault" in said:
        return str(said["fault"])
    return Measured(Timing(tuple(said["model_only"])), Timing(tuple(said["end_to_end"])), said["peak_bytes"])


def main() -> None:
    """Does the task that stdin holds; the last line of stdout is what came of it."""
    told = json.load(sys.stdin)
    task = Task(**told | {"size_hw": tuple(told["size_hw"])})
    said: dict[str, Any]
    try:
        found = measured(task)
        said = {
            "model_only": found.model_only.calls,
            "end_to_end": found.end_to_end.calls,
            "peak_bytes": found.peak_bytes,
        }
    except SegFormerError as error:
        said = {"fault": "; ".join(filter(None, [error.message, error.where, error.hint]))}
    sys.stdout.write(f"\n{json.dumps(said)}\n")


def _segmenter(task: Task, device: torch.device) -> Segmenter:
    """The network sees pictures at exactly their size; what a full pipeline makes of them is its own affair."""
    if task.weights is None:
        model: Any = build_model(task.variant, num_classes=task.num_classes).eval()
    else:
        model = load_model(task.weights, offline=task.offline, trust=task.trust)
    whole = isinstance(model, ExportedModel) and model.said.full_pipeline
    protocol = None if whole else Protocol(name="exact", size=SizePolicy(align=1))
    return Segmenter.of(model, device, choose_dtype(task.precision, device), protocol)


def _inputs(task: Task, segmenter: Segmenter) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Tensor]:
    """A picture (H, W, C) of noise, and a batch (B, C, H, W) of it as the network gets it, on its device."""
    bands = segmenter.model.config.in_channels
    picture = np.random.default_rng(0).integers(0, 256, (*task.size_hw, bands), dtype=np.uint8)
    one = segmenter.prepare(picture)[0]
    return picture, one.expand(task.batch_size, -1, -1, -1).contiguous().to(segmenter.device)


@torch.inference_mode()
def _forward(segmenter: Segmenter, images: Tensor) -> None:
    with torch.autocast(segmenter.device.type, segmenter.dtype, enabled=segmenter.dtype != torch.float32):
        segmenter.model(images)
