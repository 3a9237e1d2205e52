"""The running average of the weights (EMA), which often scores better than the weights of any one step."""

from __future__ import annotations

import copy

import torch

from segformer_cli.model.segformer import SegFormer


class Average:
    """A network beside the one in training, following it by 1 - `decay` of the way after each step.

    At first it follows faster, by 9 / (10 + step): what was learned from random weights need not be kept.
    """

    def __init__(self, model: SegFormer, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def follow(self, model: SegFormer, step: int) -> None:
        """The average after `step` steps, counted from 1; its running statistics are averaged too."""
        away = 1 - min(self.decay, (1 + step) / (10 + step))
        own, new = self.model.state_dict(), model.state_dict()
        numbers = [name for name, tensor in own.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([own[name] for name in numbers], [new[name] for name in numbers], away)
        for name in own.keys() - set(numbers):
            own[name].copy_(new[name])
