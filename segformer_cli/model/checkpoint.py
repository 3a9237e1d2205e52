"""Our file of weights: safetensors with a JSON header that says what the numbers mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from segformer_cli.resize import NATIVE, SizePolicy

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a network's numbers mean.

    mean and std are per band, on the 0..255 scale of uint8 pictures, in RGB order. `eps` is that of the
    LayerNorms after patches and spatial reductions, `block_eps` that of all others (released code: 1e-5
    and 1e-6; transformers: 1e-5 everywhere; mmsegmentation: 1e-6 everywhere). `head_width` None is the
    variant's own. `licence` is that of the weights' origin, None where all of them are the user's own.
    """

    variant: str
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_index: int = 255
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    in_channels: int = 3
    head_width: int | None = None
    eps: float = 1e-5
    block_eps: float = 1e-6
    size: SizePolicy = NATIVE
    training_data: str | None = None
    origin: str | None = None
    licence: str | None = None

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights in memory, whatever its format was: tensors under our names, and their meaning.

    A `backbone` has the encoder only (its `config` then has no classes), with `imagenet.weight` and
    `imagenet.bias` of its classifier where the file had one.
    """

    config: ModelConfig
    tensors: Mapping[str, Tensor]
    kind: Literal["segmentor", "backbone"] = "segmentor"
    format: str = "segformer"
    notes: tuple[str, ...] = field(default=())
