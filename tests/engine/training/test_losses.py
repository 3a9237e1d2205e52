"""Losses, each beside a case worked by hand and beside its plain form; and their gradients, found in strips."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segformer_cli.engine.training import criterion as criteria
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy, Dice, Focal, HardPixels, Loss, Lovasz

IGNORE = 255


def loss_of(term: Loss, logits: Tensor, targets: Tensor, **fields: object) -> float:
    criterion = Criterion(((1.0, term),), IGNORE, **{"mean": "valid", **fields})  # type: ignore[arg-type]
    return float(criterion(logits, targets))


def of_probabilities(*rows: tuple[float, ...]) -> Tensor:
    """Logits (1, K, 1, N) whose softmax is these rows, one a pixel."""
    return torch.tensor(rows, dtype=torch.float64).log().T[None, :, None]


PIXELS = of_probabilities((0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.9, 0.1))
TRUTH = torch.tensor([[[0, 1, 1, IGNORE]]])
"""The third pixel is sure and right, the fourth is not asked."""


def test_cross_entropy_is_the_mean_surprise_of_labelled_pixels() -> None:
    expected = -(math.log(0.75) + math.log(0.5) + math.log(0.75)) / 3
    assert loss_of(CrossEntropy(ignore_index=IGNORE), PIXELS, TRUTH) == pytest.approx(expected)


def test_over_all_pixels_ignored_ones_count_zero() -> None:
    valid = loss_of(CrossEntropy(ignore_index=IGNORE), PIXELS, TRUTH)
    assert loss_of(CrossEntropy(ignore_index=IGNORE), PIXELS, TRUTH, mean="all") == pytest.approx(valid * 3 / 4)


def test_a_class_that_weighs_twice_counts_as_two_pixels() -> None:
    weights = torch.tensor([2.0, 1.0])
    expected = -(2 * math.log(0.75) + math.log(0.5) + math.log(0.75)) / 4
    found = loss_of(CrossEntropy(ignore_index=IGNORE, weights=weights), PIXELS, TRUTH, weights=weights)
    assert found == pytest.approx(expected)


def test_smoothing_spreads_a_part_of_the_truth_over_all_classes() -> None:
    expected = -(0.9 * math.log(0.75) + 0.1 * (math.log(0.75) + math.log(0.25)) / 2)
    found = loss_of(CrossEntropy(ignore_index=IGNORE, smoothing=0.1), PIXELS[..., :1], TRUTH[..., :1])
    assert found == pytest.approx(expected)


def test_focal_loss_counts_pixels_by_how_wrong_they_are() -> None:
    expected = -(0.25**2 * math.log(0.75) + 0.5**2 * math.log(0.5) + 0.25**2 * math.log(0.75)) / 3
    assert loss_of(Focal(ignore_index=IGNORE), PIXELS, TRUTH) == pytest.approx(expected)
    plain = loss_of(CrossEntropy(ignore_index=IGNORE), PIXELS, TRUTH)
    assert loss_of(Focal(ignore_index=IGNORE, gamma=0.0), PIXELS, TRUTH) == pytest.approx(plain)


def test_hard_pixels_are_those_below_the_threshold() -> None:
    assert loss_of(HardPixels(ignore_index=IGNORE, threshold=0.6), PIXELS, TRUTH) == pytest.approx(-math.log(0.5))


def test_where_few_pixels_are_hard_the_hardest_are_kept_all_the_same() -> None:
    found = loss_of(HardPixels(ignore_index=IGNORE, threshold=0.1, keep=1 / 3), PIXELS, TRUTH)
    assert found == pytest.approx(-math.log(0.5))


def test_dice_is_the_mean_over_the_classes_in_the_targets() -> None:
    first = 2 * 0.75 / (0.75 + 0.5 + 0.25 + 1)
    second = 2 * (0.5 + 0.75) / (0.25 + 0.5 + 0.75 + 2)
    assert loss_of(Dice(ignore_index=IGNORE), PIXELS, TRUTH) == pytest.approx(1 - (first + second) / 2)
    alone = 2 * 0.75 / (0.75 + 1)
    assert loss_of(Dice(ignore_index=IGNORE), PIXELS[..., :1], TRUTH[..., :1]) == pytest.approx(1 - alone)


def test_lovasz_weighs_each_error_by_what_it_adds_to_the_lost_iou() -> None:
    # Class 0, true at the first pixel: the second has the largest error, and with it IoU falls from 1 to 1/2; with
    # the first, the only true one, to 0. Class 1, true at the other two: the second leaves 1/2, the rest nothing.
    first = second = 0.5 * 0.5 + 0.25 * 0.5
    assert loss_of(Lovasz(ignore_index=IGNORE), PIXELS, TRUTH) == pytest.approx((first + second) / 2)


def test_right_and_sure_costs_nothing() -> None:
    logits = 200.0 * F.one_hot(torch.tensor([[[0, 1], [2, 2]]])).permute(0, 3, 1, 2).double()
    targets = torch.tensor([[[0, 1], [2, 2]]])
    for term in (CrossEntropy(ignore_index=IGNORE), Focal(ignore_index=IGNORE), Dice(ignore_index=IGNORE),
                 Lovasz(ignore_index=IGNORE), HardPixels(ignore_index=IGNORE)):
        assert loss_of(term, logits, targets) == pytest.approx(0.0, abs=1e-12), term


TERMS: tuple[Callable[[], Loss], ...] = (
    lambda: CrossEntropy(ignore_index=IGNORE),
    lambda: CrossEntropy(ignore_index=IGNORE, weights=torch.tensor([1.0, 2, 0.5, 3, 1]), smoothing=0.1),
    lambda: Focal(ignore_index=IGNORE, weights=torch.tensor([1.0, 2, 0.5, 3, 1])),
    lambda: HardPixels(ignore_index=IGNORE),
    lambda: Dice(ignore_index=IGNORE),
    lambda: Lovasz(ignore_index=IGNORE),
)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("size", [(32, 48), (30, 46)])
@pytest.mark.parametrize("values", [200, 1 << 22])
def test_the_gradient_is_that_of_finite_differences_however_the_pixels_are_cut(
    term: Callable[[], Loss], size: tuple[int, int], values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(criteria, "STRIP_VALUES", values)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 8, 12, dtype=torch.float64, generator=generator, requires_grad=True)
    targets = torch.randint(0, 6, (2, *size), generator=generator)
    targets[targets == 5] = IGNORE
    criterion = Criterion(((0.7, term()), (0.3, CrossEntropy(ignore_index=IGNORE))), IGNORE, "valid")
    criterion(logits, targets).backward()
    assert logits.grad is not None
    with torch.no_grad():
        for place in ((0, 0, 0, 0), (0, 2, 3, 5), (1, 4, 7, 11), (1, 1, 4, 0)):
            nudge = torch.zeros_like(logits)
            nudge[place] = 1e-6
            slope = (criterion(logits + nudge, targets) - criterion(logits - nudge, targets)) / 2e-6
            assert float(logits.grad[place]) == pytest.approx(float(slope), rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("size", [(32, 48), (30, 46), (8, 12), (29, 45)])
def test_cross_entropy_in_strips_is_that_of_the_whole_map_to_the_last_digits(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(criteria, "STRIP_VALUES", 500)
    torch.manual_seed(1)
    logits = torch.randn(2, 5, 8, 12, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 5, (2, *size))
    large = F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
    plain = F.cross_entropy(large, targets, reduction="mean")
    (expected,) = torch.autograd.grad(plain, logits)
    found = Criterion(((1.0, CrossEntropy(ignore_index=IGNORE)),), IGNORE)(logits, targets)
    found.backward()
    assert logits.grad is not None
    assert found.item() == pytest.approx(plain.item(), rel=1e-13)
    torch.testing.assert_close(logits.grad, expected, rtol=1e-11, atol=1e-16)


def test_nothing_labelled_costs_nothing_and_moves_nothing() -> None:
    for make in TERMS:
        logits = torch.randn(1, 5, 8, 12, requires_grad=True)
        loss = Criterion(((1.0, make()),), IGNORE, "valid")(logits, torch.full((1, 32, 48), IGNORE))
        loss.backward()
        assert loss.item() == 0.0
        assert logits.grad is not None
        assert not logits.grad.any()


def test_one_class_is_a_sigmoid_and_its_loss_the_binary_cross_entropy() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 2, (2, 6, 5))
    found = Criterion(((1.0, CrossEntropy(ignore_index=IGNORE)),), IGNORE)(logits, targets)
    expected = F.binary_cross_entropy_with_logits(logits[:, 0], targets.double())
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    (slope,) = torch.autograd.grad(found, logits)
    torch.testing.assert_close(slope, torch.autograd.grad(expected, logits)[0], rtol=1e-12, atol=1e-15)


def test_two_micro_batches_that_share_their_pixels_give_the_loss_of_both_together() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(4, 3, 4, 4, dtype=torch.float64), torch.randint(0, 3, (4, 16, 16))
    targets[0, :9] = IGNORE
    weights = torch.tensor([1.0, 2.0, 3.0])
    criterion = Criterion(
        ((1.0, CrossEntropy(ignore_index=IGNORE, weights=weights)),), IGNORE, "valid", weights
    )
    pixels = criterion.pixels(targets)
    parts = [criterion(logits[i : i + 2], targets[i : i + 2], pixels, 0.5) for i in (0, 2)]
    assert float(sum(parts)) == pytest.approx(float(criterion(logits, targets)), rel=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_gradient_of_half_precision_survives_the_scaler(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    targets = torch.randint(0, 30, (2, 64, 64))
    logits = torch.randn(2, 30, 16, 16).to(dtype)
    criterion = Criterion(((1.0, CrossEntropy(ignore_index=255)),), 255, "valid")
    slopes = []
    for kind, factor in ((dtype, 65536.0), (torch.float64, 1.0)):
        source = logits.to(kind).detach().clone().requires_grad_()
        (criterion(source, targets, torch.tensor(10.0**6)) * factor).backward()  # type: ignore[no-untyped-call]
        assert source.grad is not None
        assert source.grad.dtype == kind
        slopes.append(source.grad.double() / factor)
    ours, exact = slopes
    assert (ours - exact).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_a_pixel_that_is_sure_has_a_slope_that_is_a_number(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0], [0.0, 0.0]]).T[None, :, :, None].contiguous().requires_grad_()
    criterion = Criterion(((1.0, Focal(ignore_index=255, gamma=gamma)),), 255, "valid")
    criterion(logits, torch.zeros(1, 2, 1, dtype=torch.long)).backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, :, 1, 0].abs().min() > 0
