"""The training loop beside a plain one: transformers' model, its own loss, torch's AdamW; in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy
from segformer_cli.engine.training.trainer import Decisions, Recipe, Trainer
from segformer_cli.model.formats import huggingface
from segformer_cli.model.formats.source import Source
from tests.conftest import peer
from tests.parity.test_transformers import CLASSES, ours, reference

transformers = peer("transformers")

STEPS, WARMUP, ITERATIONS, LR, DECAY = 5, 2, 20, 1e-3, 0.01


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(STEPS):
        targets = torch.randint(0, CLASSES, (2, 64, 96), generator=generator)
        targets[:, :7] = 255
        found.append((torch.randn(2, 3, 64, 96, dtype=torch.float64, generator=generator), targets))
    return found


def plain_loop(model: nn.Module, mean: str) -> list[float]:
    """Five steps as the recipe is written down (spec 3.1), with nothing of ours."""
    encoder, norms, head = [], [], []
    for name, parameter in model.named_parameters():
        if "decode_head" in name:
            head.append(parameter)
        elif "norm" in name:
            norms.append(parameter)
        else:
            encoder.append(parameter)
    groups = [
        {"params": encoder, "lr": LR, "weight_decay": DECAY},
        {"params": norms, "lr": LR, "weight_decay": 0.0},
        {"params": head, "lr": 10 * LR, "weight_decay": DECAY},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LR)
    peaks = [LR, LR, 10 * LR]
    losses = []
    for step, (images, targets) in enumerate(batches()):
        factor = 1 - step / ITERATIONS
        if step < WARMUP:
            factor *= 1 - (1 - step / WARMUP) * (1 - 1e-6)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        logits = F.interpolate(model(images).logits, size=targets.shape[-2:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(logits, targets, ignore_index=255, reduction="none")
        loss = loss.mean() if mean == "all" else loss[targets != 255].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("mean", ["all", "valid"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_five_steps_give_the_losses_and_weights_of_a_plain_loop(mean: str, accumulate: int) -> None:
    theirs = reference("b0", drop_path_rate=0.0, classifier_dropout_prob=0.0)
    network = ours(theirs, drop_path=0.0, dropout=0.0)
    theirs.train()
    if accumulate > 1:      # statistics of a batch in parts are those of the parts
        for model in (theirs, network):
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum, module.track_running_stats = 0.0, True
                    module.forward = _evaluated(module)  # type: ignore[method-assign]
    recipe = Recipe(
        iterations=ITERATIONS, warmup=WARMUP, lr=LR, head_lr_multiplier=10.0, weight_decay=DECAY, poly_power=1.0
    )
    criterion = Criterion(((1.0, CrossEntropy(ignore_index=255)),), 255, mean)  # type: ignore[arg-type]
    trainer = Trainer(network, criterion, recipe, torch.device("cpu"), Decisions(accumulate))
    found = [trainer.step(*batch).loss for batch in batches()]

    assert found == pytest.approx(plain_loop(theirs, mean), rel=1e-8)
    expected = huggingface.read(Source(Path("reference"), theirs.state_dict()))
    assert expected is not None
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(
            tensor, expected.tensors[name].to(tensor.dtype), atol=1e-8, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )


def _evaluated(module: nn.BatchNorm2d) -> object:
    """A forward by the running statistics, whatever the mode: the same for a batch and its parts."""

    def forward(x: Tensor) -> Tensor:
        return F.batch_norm(x, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps)

    return forward
