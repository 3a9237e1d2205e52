"""The network: its head against the textbook form, odd sizes, tracing, and what training adds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segformer_cli.engine.loading import build_model
from segformer_cli.model.checkpoint import network_from
from segformer_cli.model.segformer import AllMLPHead, DropPath, FusedHead, MixTransformer, SegFormer, SpatialReduction
from tests.conftest import RandomCheckpoint


def textbook_head(head: AllMLPHead, features: Sequence[Tensor]) -> Tensor:
    """Equation 4 as printed: project, upsample, concatenate deepest first, fuse, classify."""
    size = features[0].shape[-2:]
    projected = []
    for feature, linear in zip(features, head.linears, strict=True):
        tokens = linear(feature.flatten(2).transpose(1, 2)).transpose(1, 2)
        maps = tokens.reshape(feature.shape[0], -1, *feature.shape[-2:])
        projected.append(F.interpolate(maps, size=size, mode="bilinear", align_corners=False))
    fused = F.conv2d(torch.cat(projected[::-1], dim=1), head.fuse.weight)
    norm = head.norm
    fused = F.batch_norm(
        fused, norm.running_mean, norm.running_var, norm.weight, norm.bias, training=head.training, eps=norm.eps
    )
    return F.conv2d(F.relu(fused), head.classify.weight, head.classify.bias)


def network(random_checkpoint: RandomCheckpoint, variant: str = "b0") -> SegFormer:
    return network_from(random_checkpoint(variant)).double()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("size", [(64, 64), (97, 131)])
def test_the_folded_head_equals_the_textbook_form(
    random_checkpoint: RandomCheckpoint, training: bool, size: tuple[int, int]
) -> None:
    model = network(random_checkpoint)
    features = model.encoder(torch.randn(2, 3, *size, dtype=torch.float64))
    head = model.head.train(training)
    head.dropout.p = 0.0
    expected = textbook_head(head, features)  # type: ignore[arg-type]
    assert torch.allclose(head(features), expected, atol=1e-12, rtol=0)


def test_the_fused_network_is_the_same_function_and_leaves_the_original_alone(
    random_checkpoint: RandomCheckpoint,
) -> None:
    model = network(random_checkpoint)
    images = torch.randn(1, 3, 70, 90, dtype=torch.float64)
    fused = model.fused()
    assert isinstance(fused.head, FusedHead)
    assert isinstance(model.head, AllMLPHead)
    assert torch.allclose(fused(images), model(images), atol=1e-12, rtol=0)
    assert fused.encoder.stages[0].norm.weight is model.encoder.stages[0].norm.weight
    assert fused.fused()(images).shape == model(images).shape


def test_fusing_for_validation_does_not_end_training_mode() -> None:
    model = build_model("b0", num_classes=3).train()
    model.fused()
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("size", "expected"),
    [((29, 29), (8, 8)), ((33, 65), (9, 17)), ((512, 683), (128, 171)), ((64, 29), (16, 8))],
)
def test_logits_are_a_quarter_of_any_size_rounded_up(size: tuple[int, int], expected: tuple[int, int]) -> None:
    model = build_model("b0", num_classes=4).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, *size)).shape == (1, 4, *expected)


def test_an_image_below_29_pixels_is_refused_with_its_size() -> None:
    model = build_model("b0", num_classes=4).eval()
    with pytest.raises(ValueError, match="an image of 28 x 64 is too small: each side needs at least 29"):
        model(torch.randn(1, 3, 28, 64))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@torch.no_grad()
def test_a_graph_traced_at_one_size_is_right_at_others(random_checkpoint: RandomCheckpoint) -> None:
    model = network(random_checkpoint)
    for form in (model, model.fused()):
        traced = torch.jit.trace(form, torch.randn(1, 3, 64, 96, dtype=torch.float64), check_trace=False)
        for size in ((97, 131), (29, 29), (64, 96)):
            images = torch.randn(2, 3, *size, dtype=torch.float64)
            assert torch.allclose(traced(images), model(images), atol=1e-10, rtol=0), size


def test_features_and_logits_are_channels_last_in_memory() -> None:
    model = build_model("b0", num_classes=4).eval()
    images = torch.randn(2, 3, 64, 64)
    for maps in (*model.encoder(images), model(images)):
        assert maps.is_contiguous(memory_format=torch.channels_last)


def test_the_spatial_reduction_equals_a_strided_convolution_that_drops_the_rest() -> None:
    reduction = SpatialReduction(6, 4, 1e-5).double()
    x = torch.randn(2, 13, 18, 6, dtype=torch.float64)
    convolved = reduction.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert convolved.shape == (2, 3, 4, 6)
    assert torch.allclose(reduction(x), reduction.norm(convolved), atol=1e-12, rtol=0)


def test_drop_path_drops_whole_samples_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    path = DropPath(0.25).train()
    out = path(torch.ones(4000, 2, 2, 1))
    per_sample = out.flatten(1)
    assert (per_sample == per_sample[:, :1]).all()
    assert set(per_sample[:, 0].tolist()) == {0.0, torch.tensor(4 / 3).item()}
    assert out.mean().item() == pytest.approx(1.0, abs=0.03)
    assert torch.equal(path.eval()(torch.ones(2, 1, 1, 1)), torch.ones(2, 1, 1, 1))


def test_the_drop_path_rate_rises_linearly_over_all_blocks() -> None:
    encoder = MixTransformer((32, 64, 160, 256), (2, 2, 2, 2), drop_path_rate=0.1)
    rates = [module.rate for module in encoder.modules() if isinstance(module, DropPath)]
    assert rates == pytest.approx([0.1 * block / 7 for block in range(8)])


def test_dropout_is_of_whole_channels_and_only_in_training() -> None:
    model = build_model("b0", num_classes=4)
    assert isinstance(model.head.dropout, nn.Dropout2d)
    images = torch.randn(1, 3, 64, 64)
    model.eval()
    assert torch.equal(model(images), model(images))


def test_layer_norm_eps_is_set_by_position() -> None:
    model = build_model("b0", num_classes=2)
    for name, module in model.encoder.named_modules():
        if isinstance(module, nn.LayerNorm):
            outer = name.endswith(("embed.norm", "reduction.norm"))
            assert module.eps == (1e-5 if outer else 1e-6), name


def test_fresh_weights_follow_the_released_initialisation() -> None:
    torch.manual_seed(0)
    model = build_model("b1", num_classes=19)
    for name, module in model.encoder.named_modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1), name
            assert not module.bias.any(), name
        elif isinstance(module, nn.Conv2d):
            kernel = module.kernel_size[0] * module.kernel_size[1]
            expected = (2.0 / (kernel * module.out_channels / module.groups)) ** 0.5
            assert module.weight.std().item() == pytest.approx(expected, rel=0.1), name
            assert not module.bias.any(), name


def test_the_products_stay_in_full_precision_under_autocast(random_checkpoint: RandomCheckpoint) -> None:
    model = network_from(random_checkpoint("b0"))
    with torch.autocast("cpu", torch.bfloat16):
        weights, bias = model.head.products()  # type: ignore[union-attr]
    assert {tensor.dtype for tensor in (*weights, bias)} == {torch.float32}


@pytest.mark.parametrize("channels", [1, 4, 6])
def test_any_number_of_bands_goes_in(channels: int) -> None:
    model = build_model("b0", num_classes=2, in_channels=channels).eval()
    assert model(torch.randn(1, channels, 32, 32)).shape == (1, 2, 8, 8)
