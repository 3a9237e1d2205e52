"""Outputs that are made again in the backward pass are those of the forward pass."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segformer_cli.engine.loading import build_model
from segformer_cli.engine.training.memory import Recomputing


def gradients(model: nn.Module, images: Tensor, recomputing: bool, dtype: torch.dtype | None) -> list[Tensor]:
    model.zero_grad(set_to_none=True)
    again = Recomputing(model) if recomputing else nullcontext()
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None), again:
        loss = model(images).float().square().mean()
    loss.backward()
    return [each.grad.clone() for each in model.parameters() if each.grad is not None]


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_gradients_of_a_network_are_the_same_to_the_last_bit(dtype: torch.dtype | None) -> None:
    torch.manual_seed(0)
    model = build_model("b0", num_classes=3).train()
    images = torch.randn(2, 3, 64, 64)
    plain, ours = (gradients(model, images, recomputing, dtype) for recomputing in (False, True))
    assert len(plain) == len(ours) == len(list(model.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(plain, ours, strict=True))


class NormOfAGpu(nn.LayerNorm):
    """CUDA's autocast runs norms in float32, a CPU's leaves them alone; without it, types must agree."""

    def forward(self, images: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return F.layer_norm(images.float(), self.normalized_shape, self.weight, self.bias, self.eps)
        if images.dtype != self.weight.dtype:
            raise RuntimeError(f"expected scalar type {images.dtype} but found {self.weight.dtype}")
        return super().forward(images)


def test_a_norm_that_autocast_runs_in_float32_is_made_again_in_float32() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), NormOfAGpu(8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 4))
    images = torch.randn(5, 8)
    plain, ours = (gradients(model, images, recomputing, torch.bfloat16) for recomputing in (False, True))
    assert all(torch.equal(a, b) for a, b in zip(plain, ours, strict=True))
