"""The rivals, made with random weights of the same variant."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor, nn

from segformer_cli.model.variants import get_variant


def transformers_segformer(variant: str, num_classes: int) -> nn.Module:
    """transformers' SegformerForSemanticSegmentation; its forward takes images and gives logits."""
    make_torchvision_importable()
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    table = get_variant(variant)
    config = SegformerConfig(
        depths=list(table.depths),
        hidden_sizes=list(table.widths),
        decoder_hidden_size=table.head_width,
        num_labels=num_classes,
    )
    return _Logits(SegformerForSemanticSegmentation(config))


class _Logits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(pixel_values=images).logits
        return logits


def make_torchvision_importable() -> None:
    """torchvision built for CUDA registers operators that a CPU torch lacks; transformers imports it, unused here."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        pass
    except RuntimeError:
        register = torch.library.register_fake
        torch.library.register_fake = lambda *a, **k: lambda function: function  # type: ignore[assignment]
        try:
            importlib.import_module("torchvision")
        finally:
            torch.library.register_fake = register
