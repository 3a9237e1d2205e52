"""The training loop: one optimiser step after another, each reported as it ends."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from segformer_cli.engine.losses import segmentation_loss
from segformer_cli.engine.optim import build_optimizer, lr_factor, set_learning_rates
from segformer_cli.errors import SegFormerError
from segformer_cli.model.segformer import SegFormer


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the loop needs to know; see `TrainConfig` for the meaning of each."""

    iterations: int
    warmup: int
    lr: float
    head_lr_multiplier: float
    weight_decay: float
    poly_power: float
    loss_mean: Literal["all", "valid"]
    ignore_index: int


@dataclass(frozen=True)
class Step:
    """One optimiser step, done. `wait_s` of its `seconds` were spent waiting for data."""

    iteration: int
    loss: float
    lr: float
    seconds: float
    wait_s: float


def fit(
    model: SegFormer,
    batches: Iterable[tuple[Tensor, Tensor]],
    recipe: Recipe,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Step]:
    """Trains `model` in place, yielding after every step; the caller may validate or save in between.

    Raises:
        SegFormerError: the loss is no longer a number.
    """
    optimizer = build_optimizer(
        model, lr=recipe.lr, head_lr_multiplier=recipe.head_lr_multiplier, weight_decay=recipe.weight_decay
    )
    peaks = [group["lr"] for group in optimizer.param_groups]
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    stream = iter(batches)
    for iteration in range(recipe.iterations):
        began = time.perf_counter()
        images, targets = next(stream)
        waited = time.perf_counter() - began
        factor = lr_factor(iteration, recipe.iterations, recipe.warmup, recipe.poly_power)
        set_learning_rates(optimizer, peaks, factor)
        model.train()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            logits = model(images.to(device, non_blocking=True))
        loss = segmentation_loss(logits, targets.to(device), recipe.ignore_index, recipe.loss_mean)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        yield Step(
            iteration + 1, _checked(loss, iteration), peaks[0] * factor, time.perf_counter() - began, waited
        )


def _checked(loss: Tensor, iteration: int) -> float:
    value = loss.item()
    if value != value or value in (float("inf"), float("-inf")):
        raise SegFormerError(
            f"the loss became {value} at iteration {iteration + 1}",
            where="training",
            hint="lower --lr, or train with --precision fp32; the last checkpoint of the run is good",
        )
    return value
