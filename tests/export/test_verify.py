"""Verification passes what computes the same, and catches what nearly does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segformer_cli.engine.loading import load_model
from segformer_cli.export.verify import FP32_TOLERANCE, random_pictures, verify
from segformer_cli.model import segformer as network_file
from segformer_cli.model.segformer import SegFormer

Network = Callable[[Tensor], Tensor]


def run(network: SegFormer) -> Network:
    def logits(images: Tensor) -> Tensor:
        with torch.no_grad():
            return network(images)

    return logits


def faulty(network: SegFormer, replaced: str, by: Callable[..., Tensor]) -> Network:
    """The network with one function of torch replaced while it runs."""

    def logits(images: Tensor) -> Tensor:
        own = getattr(network_file.F, replaced)
        setattr(network_file.F, replaced, by)
        try:
            return run(network)(images)
        finally:
            setattr(network_file.F, replaced, own)

    return logits


@pytest.fixture(scope="module")
def network() -> SegFormer:
    """A trained one: in a random network the two formulas of GELU are nearly alike."""
    return load_model("sample")


def test_the_fused_network_passes(network: SegFormer) -> None:
    found = verify(run(network), run(network.fused()), random_pictures(3))
    assert (found.ran, found.verdict) == (True, "pass")
    assert found.argmax_agreement > 0.999 and found.max_abs_error <= found.tolerance
    assert found.shapes == ((1, 3, 97, 131), (1, 3, 29, 29), (3, 3, 64, 160))
    assert found.latency_ms > 0 and found.reference_ms > 0


def test_a_wrong_weight_is_caught(network: SegFormer) -> None:
    wrong = copy.deepcopy(network)
    with torch.no_grad():
        wrong.encoder.stages[0].embed.conv.weight[0, 0, 0, 0] += 0.1
    assert verify(run(network), run(wrong), random_pictures(3)).verdict == "fail"


def test_gelu_by_its_tanh_formula_is_caught(network: SegFormer) -> None:
    gelu = F.gelu
    found = verify(
        run(network), faulty(network, "gelu", lambda x: gelu(x, approximate="tanh")), random_pictures(3)
    )
    assert found.verdict == "fail"
    assert found.argmax_agreement > 0.95


def test_aligned_corners_are_caught(network: SegFormer) -> None:
    interpolate = F.interpolate

    def aligned(maps: Tensor, size: tuple[int, int], mode: str, align_corners: bool) -> Tensor:
        return interpolate(maps, size=size, mode=mode, align_corners=True)

    assert verify(run(network), faulty(network, "interpolate", aligned), random_pictures(3)).verdict == "fail"


def test_logits_that_are_no_numbers_fail() -> None:
    found = verify(lambda x: x, lambda x: x * math.nan, {"a": torch.ones(1, 3, 4, 4)})
    assert found.verdict == "fail"


def test_logits_of_another_shape_fail() -> None:
    assert verify(lambda x: x, lambda x: x[..., :-1], {"a": torch.ones(1, 3, 4, 4)}).verdict == "fail"


def test_the_figures_are_those_of_a_case_worked_by_hand() -> None:
    images = torch.tensor([[[[4.0, 0.0]], [[0.0, 1.0]]]])               # two positions, two classes
    other = torch.tensor([[[[4.0, 2.0]], [[0.0, 1.0]]]])
    found = verify(lambda x: images, lambda x: other, {"a": images})
    assert (found.max_abs_error, found.mean_abs_error, found.argmax_agreement) == (2.0, 0.5, 0.5)
    assert found.tolerance == 4 * FP32_TOLERANCE
