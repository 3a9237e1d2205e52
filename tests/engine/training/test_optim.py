"""The paper's optimiser, schedule and loss."""

from __future__ import annotations

import pytest
import torch

from segformer_cli.engine.loading import build_model
from segformer_cli.engine.training.optim import build_optimizer, lr_factor, set_learning_rates


def test_the_head_learns_ten_times_faster_and_only_encoder_norms_are_not_decayed() -> None:
    model = build_model("b0", num_classes=3)
    optimizer = build_optimizer(model, lr=6e-5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            seen[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    assert set(seen) == set(names.values())
    for name, (lr, decay) in seen.items():
        in_head = name.startswith("head.")
        assert lr == pytest.approx(6e-4 if in_head else 6e-5), name
        assert decay == (0.0 if not in_head and "norm" in name else 0.01), name
    assert seen["head.norm.weight"][1] == 0.01
    assert seen["encoder.stages.0.blocks.0.ffn.expand.bias"][1] == 0.01
    assert optimizer.defaults["betas"] == (0.9, 0.999)


def test_a_step_of_all_parameters_at_once_is_that_of_one_by_one() -> None:
    weights = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = build_model("b0", num_classes=3)
        optimizer = build_optimizer(model, lr=1e-3)
        assert {group["fused"] for group in optimizer.param_groups} == {True}
        for group in optimizer.param_groups:
            group["fused"] = fused
        for step in range(3):
            generator = torch.Generator().manual_seed(step)
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
        weights.append(model.state_dict())
    assert all(torch.allclose(weights[0][name], weights[1][name], rtol=0, atol=1e-6) for name in weights[0])
    assert not any(group["fused"] for group in build_optimizer(model.to("meta"), lr=1.0).param_groups)


def test_warm_up_multiplies_the_polynomial_decay_from_the_first_step() -> None:
    assert lr_factor(0, 160_000, 1500) == pytest.approx(1e-6)
    assert lr_factor(1500, 160_000, 1500) == 0.990625
    assert lr_factor(750, 160_000, 1500) == pytest.approx((1 - 750 / 160_000) * (1 - 0.5 * (1 - 1e-6)))
    assert lr_factor(159_999, 160_000, 1500) == pytest.approx(1 / 160_000)
    assert lr_factor(50, 100, 0, power=2.0) == 0.25


def test_rates_are_set_group_by_group() -> None:
    optimizer = build_optimizer(build_model("b0", num_classes=2), lr=1.0)
    set_learning_rates(optimizer, [1.0, 1.0, 10.0], 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.5, 5.0]
