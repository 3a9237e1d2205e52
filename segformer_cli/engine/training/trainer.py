"""A network in training: one optimiser step after another, and all of it that must outlive the process."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from segformer_cli.engine.distributed import Group
from segformer_cli.engine.memory import lacks_memory
from segformer_cli.engine.training.average import Average
from segformer_cli.engine.training.batch_norm import shared
from segformer_cli.engine.training.compiling import compared
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.memory import Recomputing
from segformer_cli.engine.training.optim import build_optimizer, lr_factor, set_learning_rates
from segformer_cli.engine.training.precision import fault_of
from segformer_cli.errors import SegFormerError, UsageError, did_you_mean
from segformer_cli.model.segformer import AllMLPHead, SegFormer

STEP = 2
"""What the draws of a step are for: apart from those of order and augmentation (data/sampler.py)."""

Notes = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a step needs to know; see `TrainConfig` for the meaning of each."""

    iterations: int
    warmup: int
    lr: float
    head_lr_multiplier: float
    weight_decay: float
    poly_power: float
    head_only: int = 0
    freeze: tuple[str, ...] = ()
    clip_norm: float | None = None
    ema: float = 0.0
    checkpoint_activations: tuple[int, ...] = ()
    seed: int = 0


@dataclass(frozen=True)
class Step:
    """One optimiser step, done."""

    iteration: int
    loss: float
    lr: float
    seconds: float


@dataclass
class Decisions:
    """What was found out at run time, and is not found out again when a run goes on."""

    accumulate: int = 1
    dtype: torch.dtype = torch.float32
    compiled: bool = False


class Diverged(SegFormerError):
    """The loss is no longer a number. The weights are still those before the step, running statistics are not."""


class Trainer:
    """A network, its optimiser and their place in the recipe.

    Every random draw of a step is a function of the seed and the step's number, so none need be remembered.

    Args:
        decisions: how many micro-batches a step is cut into, in which dtype, compiled or not.
        group: the processes that share each step; each gets its part of the batch.
        note: hears of decisions taken on the way.
    """

    def __init__(
        self,
        model: SegFormer,
        criterion: Criterion,
        recipe: Recipe,
        device: torch.device,
        decisions: Decisions | None = None,
        group: Group | None = None,
        note: Notes = lambda text: None,
    ) -> None:
        self.model = model.to(device)
        self.criterion, self.recipe, self.device = criterion, recipe, device
        self.decisions = decisions or Decisions()
        self.group = group or Group()
        self.note = note
        self.iteration = 0
        freeze(model, recipe.freeze)
        for number, stage in enumerate(model.encoder.stages, 1):
            stage.checkpointed = number in recipe.checkpoint_activations  # type: ignore[assignment]
        if self.group.size > 1:
            assert isinstance(model.head, AllMLPHead)
            model.head.norm = shared(model.head.norm)
        self.optimizer = build_optimizer(
            model, lr=recipe.lr, head_lr_multiplier=recipe.head_lr_multiplier, weight_decay=recipe.weight_decay
        )
        self._peaks = [group["lr"] for group in self.optimizer.param_groups]
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.decisions.dtype == torch.float16)
        self._average = Average(model, recipe.ema) if recipe.ema else None
        self._recomputing = Recomputing(model)
        self._head_alone = False
        self._network: nn.Module = self._wrapped()

    @property
    def result(self) -> SegFormer:
        """The network to be scored and kept: the running average where there is one."""
        return self.model if self._average is None else self._average.model

    def step(self, images: Tensor, targets: Tensor) -> Step:
        """One more step.

        Args:
            images: (B, C, H, W), normalised: this process's part of the batch.
            targets: (B, H, W) class ids.

        Raises:
            Diverged: the loss is no longer a number; an earlier state must be restored.
            SegFormerError: not even one crop at a time fits into memory.
        """
        began = time.perf_counter()
        recipe = self.recipe
        factor = lr_factor(self.iteration, recipe.iterations, recipe.warmup, recipe.poly_power)
        set_learning_rates(self.optimizer, self._peaks, factor)
        self._leave_head_alone(self.iteration < recipe.head_only)
        loss = self._descend(images, targets)
        self._refuse_infinite("loss", loss)
        self._scaler.unscale_(self.optimizer)
        norm = self._clipped()
        if not self._scaler.is_enabled():       # it passes over such a step itself, and lowers its factor
            self._refuse_infinite("gradient's norm", norm)
        self._move()
        self.optimizer.zero_grad(set_to_none=True)
        self.iteration += 1
        if self._average is not None:
            self._average.follow(self.model, self.iteration)
        return Step(self.iteration, loss, self._peaks[0] * factor, time.perf_counter() - began)

    def _refuse_infinite(self, what: str, value: float) -> None:
        if not np.isfinite(value):
            self.optimizer.zero_grad(set_to_none=True)
            raise Diverged(
                f"the {what} became {value} at iteration {self.iteration + 1}",
                where="training",
                hint="lower --lr, or train with --precision fp32",
            )

    def _clipped(self) -> float:
        """The norm of the whole gradient, which is cut to the recipe's if there is one."""
        gradients = [each.grad for each in self.model.parameters() if each.grad is not None]
        if self.recipe.clip_norm is not None:
            return nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip_norm).item()
        norms = torch.stack([torch.linalg.vector_norm(each) for each in gradients])
        return float(torch.linalg.vector_norm(norms))

    def _move(self) -> None:
        """The weights one step on."""
        try:
            self._scaler.step(self.optimizer)
        except RuntimeError as error:
            if not lacks_memory(error):
                raise
            raise SegFormerError(
                f"memory is not enough for the optimiser's moments on {self.device}", where="training",
                hint="a smaller --variant, or a device with more memory",
            ) from error
        self._scaler.update()

    def judge_precision(self, images: Tensor, targets: Tensor) -> None:
        """Back to float32 where the first crops show that half precision does not do; said, and kept."""
        dtype = self.decisions.dtype
        if dtype == torch.float32 or self.iteration:
            return
        some = images[:4], targets[:4]
        fault = fault_of(dtype, self.model, self.criterion, *some, self.device)
        if any(self.group.gathered(fault)):
            self.decisions.dtype = torch.float32
            self._scaler = torch.amp.GradScaler(self.device.type, enabled=False)
            self.note(f"{fault or 'another process refuses half precision'}: training goes on in float32")

    def judge_compiling(self, images: Tensor, targets: Tensor) -> None:
        """Compiled from here on, if that pays over the steps that are left; said, and kept."""
        part = -(-len(images) // self.decisions.accumulate)
        some = images[:part], targets[:part]
        found = compared(self.model, self.criterion, *some, self.device, self.decisions.dtype)
        steps = (self.recipe.iterations - self.iteration) * self.decisions.accumulate
        if all(self.group.gathered(found.pays(steps))):
            self.decisions.compiled = True
            self._network = self._wrapped()
        self.note(f"{found}: {'compiled' if self.decisions.compiled else 'not compiled'}")

    def state(self) -> dict[str, Any]:
        """All that a later process needs to go on as if there had been none in between."""
        return {
            "iteration": self.iteration,
            "model": self.model.state_dict(),
            "average": None if self._average is None else self._average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "decisions": {
                "accumulate": self.decisions.accumulate,
                "dtype": str(self.decisions.dtype).removeprefix("torch."),
                "compiled": self.decisions.compiled,
            },
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """As it was when `state` was taken; decisions are given to `__init__`."""
        self.iteration = state["iteration"]
        self.model.load_state_dict(state["model"])
        if self._average is not None:
            self._average.model.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])

    def _descend(self, images: Tensor, targets: Tensor) -> float:
        """Gradients of the whole step, in as many micro-batches as fit; the loss of all processes together."""
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        while True:
            try:
                return self._gradients(images, targets)
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                self._halve(len(images), error)
            self.optimizer.zero_grad(set_to_none=True)
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)

    def _gradients(self, images: Tensor, targets: Tensor) -> float:
        # As many parts in every process, though their shares of the batch may differ by one: they meet in each.
        parts = min(self.decisions.accumulate, len(images))
        batches = list(zip(images.tensor_split(parts), targets.tensor_split(parts), strict=True))
        pixels = self.group.summed(self.criterion.pixels(targets))
        self.model.train()
        # Dropout of a step depends on its number alone, whatever was computed before.
        torch.manual_seed(_seed(self.recipe.seed, self.iteration, self.group.rank))
        total = torch.zeros((), dtype=torch.float64)
        for number, (some, truth) in enumerate(batches, 1):
            loss = self._loss(some, truth, pixels, 1 / (len(batches) * self.group.size))
            # Several processes' gradients are averaged, their losses are parts of one sum.
            with self._together(number == len(batches)):
                self._scaler.scale(loss * self.group.size).backward()  # type: ignore[no-untyped-call]
            total += loss.detach().double().cpu()
        return float(self.group.summed(total))

    def _loss(self, images: Tensor, targets: Tensor, pixels: Tensor, part: float) -> Tensor:
        dtype = self.decisions.dtype
        with torch.autocast(self.device.type, dtype, enabled=dtype in (torch.float16, torch.bfloat16)):
            images = images.to(self.device, non_blocking=True)
            with nullcontext() if self.decisions.compiled else self._recomputing:
                logits = self._network(images)
        return self.criterion(logits, targets.to(self.device, non_blocking=True), pixels, part)

    def _together(self, last: bool) -> AbstractContextManager[object]:
        """Gradients meet those of other processes at the last micro-batch alone."""
        if isinstance(self._network, DistributedDataParallel) and not last:
            return self._network.no_sync()
        return nullcontext()

    def _halve(self, crops: int, error: Exception) -> None:
        """Micro-batches half as large from now on."""
        accumulate = min(2 * self.decisions.accumulate, crops)
        if self.group.size > 1 or accumulate == self.decisions.accumulate:
            raise SegFormerError(
                f"memory is not enough for {-(-crops // self.decisions.accumulate)} crops at a time on {self.device}",
                where=f"training, iteration {self.iteration + 1}",
                hint="a smaller --crop-size, or --set accumulate=N: the batch of a step in N parts",
            ) from error
        self.decisions.accumulate = accumulate
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        self.note(f"memory is not enough: from here on each step's {crops} crops pass in {accumulate} parts")

    def _leave_head_alone(self, alone: bool) -> None:
        """The head learns by itself, or with the encoder again."""
        if alone == self._head_alone:
            return
        self._head_alone = alone
        self.model.encoder.requires_grad_(not alone)
        freeze(self.model, self.recipe.freeze)
        self._network = self._wrapped()

    def _wrapped(self) -> nn.Module:
        """What computes: the network, compiled or shared with other processes."""
        network: nn.Module = self.model
        if self.decisions.compiled:
            network = cast(nn.Module, torch.compile(network))
        if self.group.size == 1:
            return network
        # Gradients of depthwise convolutions come with other strides for their one channel: nothing is lost by it.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        ids = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=ids)


def freeze(model: SegFormer, parts: Sequence[str]) -> None:
    """Parts of a network learn no more.

    Args:
        parts: names as in the state dict, such as `encoder` or `encoder.stages.0`; a name stands for all below it.

    Raises:
        UsageError: there is no such part, or nothing is left to learn.
    """
    names = dict(model.named_parameters())
    for part in parts:
        found = [each for name, each in names.items() if f"{name}.".startswith(f"{part}.")]
        if not found:
            modules = [name for name, _ in model.named_modules() if name]
            raise UsageError(
                f"the network has no part {part!r}", where="freeze", hint=did_you_mean(part, modules) or "try encoder"
            )
        for each in found:
            each.requires_grad_(False)
    if not any(each.requires_grad for each in names.values()):
        raise UsageError("every part of the network is frozen: nothing is left to learn", where="freeze")


def _seed(seed: int, iteration: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, STEP, iteration, rank)).generate_state(1, np.uint64)[0] >> 1)
