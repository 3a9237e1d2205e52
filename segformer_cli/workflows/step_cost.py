"""What a step of a training takes, measured on noise: its seconds, its memory, and what of it a run stores on disk."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from segformer_cli.config import TrainConfig
from segformer_cli.engine.device import forked_draws
from segformer_cli.engine.memory import free_bytes, peak_during
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.trainer import Decisions, Recipe, Step, Trainer
from segformer_cli.errors import UsageError
from segformer_cli.model.segformer import SegFormer
from segformer_cli.processes import are_several

PREFETCHED = 4
"""Batches that wait for their step, of each process that reads files."""

USABLE = {"cuda": 0.9, "cpu": 0.8}
"""The share of free memory that parts are cut for; past all of it a GPU's step takes more, a CPU's is killed.

Of whole steps, a CPU's process was measured to hold up to a sixth more than is foretold here.
"""


@dataclass(frozen=True)
class Sharing:
    """Processes that share each step, and those of them that share this machine's memory."""

    processes: int = 1
    here: int = 1

    @classmethod
    def of(cls, config: TrainConfig) -> Sharing:
        """Those that run, or those that the settings would start.

        Raises:
            UsageError: `nnodes` is no number of machines.
        """
        if are_several():
            everywhere = os.environ["WORLD_SIZE"]
            return cls(int(everywhere), int(os.environ.get("LOCAL_WORLD_SIZE", everywhere)))
        return cls(config.devices * machines(config.nnodes)[0], config.devices)


def sharing_cores(config: TrainConfig) -> int:
    """Processes that read and compute on the same cores; those of srun, which says no more, have each their own."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if are_several() else config.devices


def machines(nnodes: str) -> tuple[int, int]:
    """How many machines take part at least and at most.

    >>> machines("2"), machines("2:4")
    ((2, 2), (2, 4))

    Raises:
        UsageError: it is neither N nor MIN:MAX.
    """
    parts = nnodes.split(":")
    counts = [int(part) for part in parts if part.isdecimal()]
    if len(counts) != len(parts) or len(counts) > 2 or not 1 <= counts[0] <= counts[-1]:
        raise UsageError(f"nnodes is {nnodes!r}", hint="--nnodes 2: two machines; --nnodes 2:4: at least 2, at most 4")
    return counts[0], counts[-1]


@dataclass(frozen=True)
class StepMemory:
    """Bytes of a step: a fixed part and one for each crop that passes together; and what is free of the device's."""

    fixed_bytes: int
    crop_bytes: int
    free_bytes: int
    usable: float

    def of(self, crops: int) -> int:
        """With so many crops at a time."""
        return self.fixed_bytes + crops * self.crop_bytes

    def fewest_parts(self, crops: int) -> int:
        """In how many parts the crops of a step pass to stay in the usable memory; one by one, where none does.

        >>> [StepMemory(100, 50, free, 0.8).fewest_parts(8) for free in (1000, 450, 250, 1)]
        [1, 2, 4, 8]
        """
        fits = (self.of(ceil_div(crops, parts)) <= self.usable * self.free_bytes for parts in range(1, crops + 1))
        return next((parts for parts, fit in enumerate(fits, 1) if fit), crops)


@dataclass(frozen=True)
class StepCost:
    """A step measured.

    `memory` is None where the system does not tell. `weights_bytes` is what a file of weights holds, `state_bytes`
    what a run goes on from: weights, their average, and the two moments of each that learns.
    """

    seconds_per_crop: float
    memory: StepMemory | None
    weights_bytes: int
    state_bytes: int


@dataclass(frozen=True)
class Needs:
    """What a training takes and what is free for it, in bytes; None: the system does not tell."""

    crops_at_once: int
    memory_bytes: int | None
    free_memory_bytes: int | None
    disk_bytes: int
    free_disk_bytes: int | None

    @classmethod
    def of(cls, cost: StepCost, crops: int, folder: Path) -> Needs:
        """With so many crops that pass the network together, in a run's folder that is or will be."""
        memory = cost.memory
        taken, free = (None, None) if memory is None else (memory.of(crops), memory.free_bytes)
        # Best and last weights; next to them and the state, logs and pictures are nothing.
        return cls(crops, taken, free, 2 * cost.weights_bytes + cost.state_bytes, free_disk_bytes(folder))

    def __str__(self) -> str:
        crops = f"{self.crops_at_once} crops" if self.crops_at_once > 1 else "one crop"
        lines = [f"disk: {_taken_of(self.disk_bytes, self.free_disk_bytes)}"]
        if self.memory_bytes is not None:
            lines.insert(0, f"memory: {_taken_of(self.memory_bytes, self.free_memory_bytes)}, with {crops} at a time")
        return "\n".join(lines)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where more is taken than there is."""
        found = []
        memory, free = self.memory_bytes, self.free_memory_bytes
        if memory is not None and free is not None and memory > free:
            found.append(
                f"a step takes about {said_bytes(memory)} of memory, {said_bytes(free)} are free: -b auto cuts it into "
                "parts that fit, a smaller --crop-size and checkpoint_activations=[1,2,3,4] take less"
            )
        if self.free_disk_bytes is not None and self.disk_bytes > self.free_disk_bytes:
            found.append(
                f"the run's folder takes about {said_bytes(self.disk_bytes)}, {said_bytes(self.free_disk_bytes)} are "
                "free on its disk: choose another -o"
            )
        return tuple(found)


def measured_step(
    model: SegFormer,
    criterion: Criterion,
    recipe: Recipe,
    dtype: torch.dtype,
    crop_size: tuple[int, int],
    device: torch.device,
    sharing: Sharing,
    waiting: int,
) -> StepCost:
    """What a step takes, from a few of noise, of one crop and of two.

    Args:
        model: steps are taken with it, at a rate of 0.
        waiting: crops that are read ahead, which a CPU's memory holds too.

    Raises:
        SegFormerError: not even one crop fits into memory.
    """
    free = free_bytes(device)
    # With nothing to learn no loss becomes infinite; and the whole network is at work, whatever its first steps are.
    recipe = dataclasses.replace(recipe, iterations=2, warmup=0, lr=0.0, head_only=0)
    with forked_draws(device):
        trainer = Trainer(model, criterion, recipe, device, Decisions(dtype=dtype))
        _noise_step(trainer, crop_size, 1)      # makes tables and kernels that all steps share
        seconds = _noise_step(trainer, crop_size, 1).seconds
        peaks = None if free is None else _peaks(trainer, crop_size, free)
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    gradients = sum(each.nbytes for each in model.parameters() if each.requires_grad)
    state = weights + 2 * gradients + (weights if recipe.ema else 0)
    if peaks is None or free is None:
        return StepCost(seconds, None, weights, state)
    one, two = peaks
    crop = max(0, one - gradients if two is None else two - one)
    held = state + (gradients if sharing.processes > 1 else 0)      # to be exchanged, they are held a second time
    if device.type == "cpu":
        height, width = crop_size
        held += waiting * height * width * (model.config.in_channels * 4 + 1)
        free //= sharing.here
    return StepCost(seconds, StepMemory(held + max(0, one - crop), crop, free, USABLE[device.type]), weights, state)


def _noise_step(trainer: Trainer, crop_size: tuple[int, int], crops: int) -> Step:
    trainer.iteration = 0       # each is the first of its recipe: at a rate of 0 they are all alike
    images = torch.rand(crops, trainer.model.config.in_channels, *crop_size)
    return trainer.step(images, torch.zeros(crops, *crop_size, dtype=torch.uint8))


def _peaks(trainer: Trainer, crop_size: tuple[int, int], free: int) -> tuple[int, int | None] | None:
    """Of a step of one crop and of one of two, beside what stays between steps; None where two do not fit.

    What the second takes more is a crop's: strips of the loss and scratch space are made once. Time is not taken
    here: before memory is counted, pages that steps reuse are given back.
    """
    one = peak_during(lambda: _noise_step(trainer, crop_size, 1), trainer.device)
    if one is None or 2 * one > free:
        return None if one is None else (one, None)
    two = peak_during(lambda: _noise_step(trainer, crop_size, 2), trainer.device)
    return one, two if trainer.decisions.accumulate == 1 else None


def crops_a_step(config: TrainConfig) -> int:
    """Crops of a step, where that is settled."""
    assert isinstance(config.batch_size, int)
    return config.batch_size


def crops_a_device(config: TrainConfig) -> int:
    """Crops of a step that the device gets which gets most of them."""
    return ceil_div(crops_a_step(config), Sharing.of(config).processes)


def crops_in_turn(config: TrainConfig, device: torch.device) -> int:
    """Crops of a step that follow each other where its time is measured: each GPU has its own part of them.

    A machine's processes share the cores that one process has all of while it plans alone.
    """
    shares = Sharing.of(config).here if device.type == "cpu" and not are_several() else 1
    return min(crops_a_step(config), shares * crops_a_device(config))


def free_disk_bytes(folder: Path) -> int | None:
    """What is left where a folder is or will be; None where the system does not tell."""
    place = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None


def _taken_of(taken: int, free: int | None) -> str:
    return f"about {said_bytes(taken)}" + ("" if free is None else f" of {said_bytes(free)} free")


def said_bytes(count: int) -> str:
    """A number of bytes as a person says it.

    >>> said_bytes(300 * 2**20), said_bytes(8_500_000_000), said_bytes(130 * 2**30)
    ('300 MiB', '7.9 GiB', '130 GiB')
    """
    if count < 2**30:
        return f"{count / 2**20:.0f} MiB"
    return f"{count / 2**30:.1f} GiB" if count < 100 * 2**30 else f"{count / 2**30:.0f} GiB"


def ceil_div(crops: int, parts: int) -> int:
    """The crops of the largest of so many parts.

    >>> ceil_div(8, 3)
    3
    """
    return -(-crops // parts)
