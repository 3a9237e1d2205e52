"""Multiply-adds: the paper's figures, and what torch counts in this network and in transformers'."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from segformer_cli.classes import default_palette
from segformer_cli.model.checkpoint import ModelConfig, build_network
from segformer_cli.model.multiply_adds import MultiplyAdds, folded, published, textbook
from segformer_cli.model.variants import VARIANTS
from tests.conftest import peer

CASES = [(variant, (97, 131)) for variant in VARIANTS] + [("b0", (512, 512)), ("b1", (29, 64))]

# The paper's counter, in 1e9: 512x512, 640x640 and 1024x2048 with 150 classes, 1024x2048 and 1024x1024 with 19.
# The first three are Table 1 to its one decimal (its COCO column has 512x512 for B5 too).
COUNTED = {
    "b0": (8.40, 14.05, 125.48, 121.07, 43.9),
    "b1": (15.90, 26.68, 243.73, 239.31, 86.4),
    "b2": (62.39, 100.90, 717.06, 703.85, 289.6),
    "b3": (79.03, 128.67, 962.94, 949.73, 380.4),
    "b4": (95.65, 156.92, 1240.63, 1227.42, 477.9),
    "b5": (111.61, 183.30, 1460.35, 1447.15, 561.4),
}
# Of which attention, at 512x512.
ATTENTION = {"b0": 1.04, "b1": 2.08, "b2": 3.89, "b3": 5.91, "b4": 8.49, "b5": 10.13}


def config_of(variant: str, classes: int, **fields: Any) -> ModelConfig:
    names = tuple(f"thing {index}" for index in range(classes))
    return ModelConfig(variant=variant, class_names=names, palette=default_palette(classes), **fields)


def product_in_place(total: torch.Size, left: torch.Size, right: torch.Size, **_: Any) -> int:
    """Operations of `total.addmm_(left, right)` from the shapes: torch counts `addmm` alone."""
    return 2 * left.numel() * right[1]


def counted(network: nn.Module, bands: int, size_hw: tuple[int, int], head: str) -> MultiplyAdds:
    """What torch counts in a forward pass on the meta device; `head` is the module's name."""
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: product_in_place})
    with torch.no_grad(), counter:
        network.to("meta").eval()(torch.empty(1, bands, *size_hw, device="meta"))
    root = type(network).__name__
    by_module = counter.get_flop_counts()
    products = sum(
        flops
        for name, ops in by_module.items()
        if name.endswith(".attention")
        for op, flops in ops.items()
        if op == torch.ops.aten.bmm
    )
    in_head = sum(by_module[f"{root}.{head}"].values())
    parts = counter.get_total_flops() - products - in_head, products, in_head
    assert not any(part % 2 for part in parts)
    return MultiplyAdds(*(part // 2 for part in parts))


def theirs(variant: str, classes: int) -> Any:
    """transformers' network, whose head is the textbook graph, on the meta device."""
    transformers = peer("transformers")
    config = transformers.SegformerConfig(
        depths=list(VARIANTS[variant].depths),
        hidden_sizes=list(VARIANTS[variant].widths),
        decoder_hidden_size=VARIANTS[variant].head_width,
        num_labels=classes,
    )
    with torch.device("meta"):
        return transformers.SegformerForSemanticSegmentation(config)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_published_counts_are_reproduced(variant: str) -> None:
    ade, city = config_of(variant, 150), config_of(variant, 19)
    *exact, square = COUNTED[variant]
    sizes = ((ade, (512, 512)), (ade, (640, 640)), (ade, (1024, 2048)), (city, (1024, 2048)))
    assert [round(published(config, size).total / 1e9, 2) for config, size in sizes] == exact
    assert round(published(city, (1024, 1024)).total / 1e9, 1) == square
    assert round(published(ade, (512, 512)).attention / 1e9, 2) == ATTENTION[variant]


def test_the_counts_of_table_1b_follow_from_the_width_of_the_head() -> None:
    totals = [
        round(published(config_of("b2", 150, head_width=width), (512, 512)).total / 1e9, 1)
        for width in (256, 512, 768, 1024, 2048)
    ]
    assert totals == [25.7, 39.8, 62.4, 93.6, 304.4]


def test_the_counts_of_b0_on_smaller_cityscapes_are_those_of_table_2() -> None:
    totals = [published(config_of("b0", 19), size).total / 1e9 for size in ((768, 1536), (640, 1280), (512, 1024))]
    # The paper prints the last as 17.7, the second as 31.5.
    assert totals == pytest.approx([51.7, 31.4, 17.8], abs=0.05)


@pytest.mark.parametrize(("variant", "size"), CASES)
def test_folded_is_what_torch_counts_in_the_fused_network(variant: str, size: tuple[int, int]) -> None:
    config = config_of(variant, 19)
    assert counted(build_network(config).fused(), 3, size, "head") == folded(config, size)


def test_bands_and_the_width_of_the_head_count() -> None:
    config = config_of("b0", 3, in_channels=5, mean=(0.0,) * 5, std=(1.0,) * 5, head_width=96)
    assert counted(build_network(config).fused(), 5, (97, 131), "head") == folded(config, (97, 131))


@pytest.mark.parametrize(("variant", "size"), CASES)
def test_textbook_is_what_torch_counts_in_the_network_of_transformers(variant: str, size: tuple[int, int]) -> None:
    assert counted(theirs(variant, 19), 3, size, "decode_head") == textbook(config_of(variant, 19), size)


def test_published_adds_a_count_for_every_bias_of_a_convolution_and_every_relu() -> None:
    network = theirs("b0", 19)
    added = []

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        added.append(output.numel())

    for module in network.modules():
        if isinstance(module, nn.ReLU) or (isinstance(module, nn.Conv2d) and module.bias is not None):
            module.register_forward_hook(add)
    network.eval()(torch.empty(1, 3, 97, 131, device="meta"))
    config = config_of("b0", 19)
    assert published(config, (97, 131)).total - textbook(config, (97, 131)).total == sum(added)


def test_the_head_of_b0_for_32_pixels_worked_by_hand() -> None:
    config = config_of("b0", 2)
    project = 256 * (64 * 32 + 16 * 64 + 4 * 160 + 1 * 256)     # grids of 8, 4, 2 and 1 a side
    classify = 64 * 256 * 2
    assert folded(config, (32, 32)).head == project + classify
    assert textbook(config, (32, 32)).head == project + 64 * 1024 * 256 + classify


def test_twice_the_sides_take_four_times_the_layers_and_sixteen_times_the_attention() -> None:
    config = config_of("b3", 19)
    small, large = folded(config, (96, 160)), folded(config, (192, 320))
    assert large == MultiplyAdds(4 * small.encoder, 16 * small.attention, 4 * small.head)


@pytest.mark.parametrize("count", [textbook, folded, published])
def test_a_side_below_29_pixels_is_refused_with_the_size(count: Any) -> None:
    assert count(config_of("b0", 2), (29, 29)).attention > 0
    with pytest.raises(ValueError, match="an image of 64 x 28 is too small"):
        count(config_of("b0", 2), (64, 28))
