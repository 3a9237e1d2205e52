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
from segformer_cli.export.verify import (
    TOLERANCES,
    Tolerance,
    Verification,
    random_pictures,
    verification_to_json,
    verify,
)
from segformer_cli.model import segformer as network_file
from segformer_cli.model.segformer import SegFormer

Network = Callable[[Tensor], Tensor]
FP32 = TOLERANCES["fp32"]
ONES = {"a": torch.ones(1, 3, 4, 4)}


def compared(reference: Network, exported: Network) -> Verification:
    return verify(reference, exported, noise=random_pictures(3), real={}, tolerance=FP32)


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
    found = compared(run(network), run(network.fused()))
    assert found.verdict == "pass" and not found.faults
    assert found.argmax_agreement > 0.999 and found.max_abs_error <= found.tolerance
    assert found.shapes == ((1, 3, 97, 131), (1, 3, 29, 29), (3, 3, 64, 160))
    assert found.latency_ms > 0 and found.reference_ms > 0


def test_a_wrong_weight_is_caught(network: SegFormer) -> None:
    wrong = copy.deepcopy(network)
    with torch.no_grad():
        wrong.encoder.stages[0].embed.conv.weight[0, 0, 0, 0] += 0.1
    assert compared(run(network), run(wrong)).verdict == "fail"


def test_gelu_by_its_tanh_formula_is_caught(network: SegFormer) -> None:
    gelu = F.gelu
    found = compared(run(network), faulty(network, "gelu", lambda x, **exact: gelu(x, approximate="tanh")))
    assert found.verdict == "fail"
    assert found.argmax_agreement > 0.95


def test_aligned_corners_are_caught(network: SegFormer) -> None:
    interpolate = F.interpolate

    def aligned(maps: Tensor, size: tuple[int, int], mode: str, align_corners: bool) -> Tensor:
        return interpolate(maps, size=size, mode=mode, align_corners=True)

    assert compared(run(network), faulty(network, "interpolate", aligned)).verdict == "fail"


def test_logits_that_are_no_numbers_fail() -> None:
    found = verify(lambda x: x, lambda x: x * math.nan, noise=ONES, real={}, tolerance=FP32)
    assert found.verdict == "fail"
    assert verification_to_json(found)["max_abs_error"] is None


def test_logits_of_another_shape_fail_and_both_shapes_are_told() -> None:
    found = verify(lambda x: x, lambda x: x[..., :-1], noise=ONES, real={}, tolerance=FP32)
    assert found.faults == ("it gives (1, 3, 4, 3) where the network gives (1, 3, 4, 4), for (1, 3, 4, 4)",)


def test_the_figures_are_those_of_a_case_worked_by_hand() -> None:
    images = torch.tensor([[[[4.0, 0.0]], [[0.0, 1.0]]]])               # two positions, two classes
    other = torch.tensor([[[[4.0, 2.0]], [[0.0, 1.0]]]])
    found = verify(lambda x: images, lambda x: other, noise={"a": images}, real={}, tolerance=FP32)
    assert (found.max_abs_error, found.mean_abs_error, found.argmax_agreement) == (2.0, 0.5, 0.5)
    assert FP32.error is not None and found.tolerance == 4 * FP32.error


def test_a_file_that_fails_at_a_size_fails_and_says_so() -> None:
    def broken(images: Tensor) -> Tensor:
        if images.shape[-1] == 131:
            raise RuntimeError("\nshapes do not match\nat node 7")
        return images

    found = compared(lambda x: x, broken)
    assert found.faults == ("it fails for (1, 3, 97, 131): shapes do not match",)


def test_nonsense_at_an_odd_size_is_a_fault_though_real_pictures_are_right() -> None:
    ids = torch.randint(0, 9, (1, 97, 131))
    found = verify(
        lambda x: ids if x.shape == ids.shape else x,
        lambda x: ids.flip(-1) if x.shape == ids.shape else x,
        noise={"odd": torch.zeros_like(ids)}, real={"a": ids[:, :64]}, tolerance=Tolerance(None, 0.9),
    )
    assert found.argmax_agreement == 1.0 and found.least_on_noise < 0.2
    assert "at a size of its own" in found.faults[0]


def test_one_channel_is_a_sigmoid_whose_sign_decides() -> None:
    logits = torch.tensor([[[[1.0, -1.0], [2.0, 0.5]]]])
    found = verify(lambda x: x, lambda x: -x, noise={}, real={"a": logits}, tolerance=Tolerance(None, 0.9))
    assert (found.argmax_agreement, found.verdict) == (0.0, "fail")


def test_agreement_is_that_of_real_pictures_where_there_are_any() -> None:
    same, other = torch.tensor([[[[1.0]], [[0.0]]]]), torch.tensor([[[[0.0]], [[1.0]]]])
    loose = Tolerance(None, 0.9)
    found = verify(lambda x: same, lambda x: x, noise={"a": other}, real={"b": same}, tolerance=loose)
    assert (found.argmax_agreement, found.least_on_noise) == (1.0, 0.0)
    found = verify(lambda x: same, lambda x: x, noise={"a": same}, real={"b": other}, tolerance=loose)
    assert (found.argmax_agreement, found.verdict) == (0.0, "fail")


def test_class_ids_are_compared_as_they_are() -> None:
    ids = torch.tensor([[[0, 1], [2, 3]]])
    found = verify(lambda x: ids, lambda x: x, noise={}, real={"a": ids.clamp(max=2)}, tolerance=Tolerance(None, 0.9))
    assert (found.argmax_agreement, found.max_abs_error, found.tolerance) == (0.75, None, None)
    assert found.faults == ("the class is the same at 75 % of positions, 90 % are needed",)


def test_a_fall_of_the_score_is_a_fault_beyond_what_is_allowed() -> None:
    found = Verification((), 1.0, 0.9, miou=0.70, reference_miou=0.715, max_drop=0.02)
    assert found.verdict == "pass"
    found = Verification((), 1.0, 0.9, miou=0.70, reference_miou=0.715, max_drop=0.01)
    assert found.faults == ("mIoU falls by 1.50 points, 1 are allowed",)


def test_runtimes_of_round_sizes_are_given_them() -> None:
    assert [each.shape[2:] for each in random_pictures(3, any_side=False).values()] == [(128, 160), (32, 32), (64, 160)]
    assert [each.shape for each in random_pictures(4, size_hw=(64, 97)).values()] == [(1, 4, 64, 97)]
