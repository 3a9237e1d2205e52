"""The paper's optimiser: AdamW in three groups, linear warm-up times polynomial decay (spec 3.1)."""

from __future__ import annotations

import torch
from torch import nn

WARMUP_RATIO = 1e-6
"""Of the peak rate, at step 0."""

FUSED = ("cpu", "cuda")
"""Devices on which torch takes a step of all parameters in one pass over each: a third of the time on a CPU."""


def build_optimizer(
    model: nn.Module, *, lr: float, head_lr_multiplier: float = 10.0, weight_decay: float = 0.01
) -> torch.optim.AdamW:
    """AdamW whose head learns faster and whose encoder norms are not decayed.

    As in the released recipe, the head's BatchNorm and all biases outside norms are decayed.

    Args:
        model: on the device that it is trained on.
    """
    kinds = {parameter.device.type for parameter in model.parameters()}
    groups: dict[str, list[nn.Parameter]] = {"encoder": [], "encoder_norms": [], "head": []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[_group_of(name)].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups["encoder"], "lr": lr, "weight_decay": weight_decay, "name": "encoder"},
            {"params": groups["encoder_norms"], "lr": lr, "weight_decay": 0.0, "name": "encoder_norms"},
            {"params": groups["head"], "lr": lr * head_lr_multiplier, "weight_decay": weight_decay, "name": "head"},
        ],
        lr=lr,
        betas=(0.9, 0.999),
        eps=1e-8,
        fused=kinds <= set(FUSED),
    )


def lr_factor(step: int, iterations: int, warmup: int, power: float = 1.0) -> float:
    """What the peak rate is multiplied with at `step`, counted from 0.

    >>> lr_factor(1500, 160_000, 1500)
    0.990625
    """
    factor = (1.0 - step / iterations) ** power
    if step < warmup:
        factor *= 1.0 - (1.0 - step / warmup) * (1.0 - WARMUP_RATIO)
    return float(factor)


def set_learning_rates(optimizer: torch.optim.Optimizer, peaks: list[float], factor: float) -> None:
    """Each group's rate becomes its peak times `factor`."""
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * factor


def _group_of(name: str) -> str:
    if name.startswith("head."):
        return "head"
    return "encoder_norms" if "norm" in name else "encoder"
