"""A picture in, class ids at its own size out, in memory that does not grow with classes times pixels.

Logits at a quarter of the network's input are upsampled in two bilinear steps (to the network's input,
then to the picture), as the released code does, and only then compared; strips of rows compose both steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segformer_cli.classes import mask_dtype
from segformer_cli.data.transforms import normalise
from segformer_cli.errors import ImageError
from segformer_cli.images import Ids
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.model.segformer import SegFormer, upsample
from segformer_cli.resize import SizePolicy, resize_image

STRIP_VALUES = 4_000_000
"""Logits upsampled at a time: 16 MB in fp32, below the size at which the C library maps fresh pages."""


@dataclass(frozen=True)
class Segmenter:
    """A network ready to run: fused, on its device, in its precision, with the size policy in force."""

    model: SegFormer
    config: ModelConfig
    device: torch.device
    dtype: torch.dtype = torch.float32
    size: SizePolicy | None = None

    @classmethod
    def of(
        cls, model: SegFormer, device: torch.device, dtype: torch.dtype = torch.float32, size: SizePolicy | None = None
    ) -> Segmenter:
        """The network fused and moved; `size` overrides the policy of its checkpoint.

        One class (a sigmoid output z) is read as two, the other scoring 0, so that nothing after the
        network needs a second way.
        """
        config: ModelConfig = model.config
        if config.num_classes == 1:
            names, colours = ("background", *config.class_names), ((0, 0, 0), *config.palette)
            config = dataclasses.replace(config, class_names=names, palette=colours)
        return cls(model.to(device).fused(), config, device, dtype, size)

    @property
    def policy(self) -> SizePolicy:
        """How pictures are sized."""
        return self.config.size if self.size is None else self.size

    def prepare(self, image: NDArray[np.generic]) -> Tensor:
        """The network's input (1, C, H, W) for a picture (H, W, C)."""
        return prepare(image, self.config, self.policy)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)) in fp32, on the device, of prepared pictures (B, C, H, W)."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits: Tensor = self.model(images.to(self.device))
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits.float()

    def mask(self, image: NDArray[np.generic]) -> Ids:
        """Class ids (H, W) of a picture (H, W, C), at its own size."""
        images = self.prepare(image)
        return upsampled_mask(self.logits(images)[0], _hw(images), _hw_of(image))


def prepare(image: NDArray[np.generic], config: ModelConfig, size: SizePolicy | None = None) -> Tensor:
    """The network's input (1, C, H, W) for a picture (H, W, C), sized by `size` or the checkpoint's own policy.

    Raises:
        ImageError: the picture has another number of bands than the network reads.
    """
    if image.shape[2] != config.in_channels:
        raise ImageError(
            f"the picture has {image.shape[2]} bands, the network reads {config.in_channels}",
            hint="use weights trained on such pictures",
        )
    bands = normalise(resize_image(image, size or config.size), config.mean, config.std)
    return torch.from_numpy(bands)[None]


@torch.inference_mode()
def upsampled_mask(logits: Tensor, network_hw: tuple[int, int], source_hw: tuple[int, int]) -> Ids:
    """The class with the largest upsampled logit at each pixel of the source, (H, W) uint8 or uint16.

    Args:
        logits: (K, h, w), a quarter of the network's input.
        network_hw: size of the network's input.
        source_hw: size of the picture.
    """
    dtype = mask_dtype(logits.shape[0])
    mask = np.empty(source_hw, dtype)
    for rows, strip in upsampled_strips(logits, network_hw, source_hw):
        mask[rows] = strip.argmax(-1).cpu().numpy().astype(dtype)
    return mask


def upsampled_strips(
    logits: Tensor, network_hw: tuple[int, int], source_hw: tuple[int, int]
) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the source in order, each with its upsampled logits (rows, W, K).

    Both bilinear steps are separable, so rows are mixed by their exact weights and columns by
    `interpolate`; channels last, where both are several times faster.
    """
    low = logits.permute(1, 2, 0).contiguous()                     # (h, w, K)
    first = _row_weights(low.shape[0], network_hw[0], low)
    second = _row_weights(network_hw[0], source_hw[0], low)
    step = max(1, STRIP_VALUES // (source_hw[1] * low.shape[2]))
    for top in range(0, source_hw[0], step):
        rows = slice(top, min(top + step, source_hw[0]))
        needed = torch.unique(torch.cat([second[0][rows], second[1][rows]]))
        strip = _stretch(_mix(low, first, needed), network_hw[1])  # (needed, W_network, K)
        place = torch.searchsorted(needed, torch.stack([second[0][rows], second[1][rows]]))
        local = (place[0], place[1], second[2][rows])
        strip = _mix(strip, local, torch.arange(len(place[0]), device=low.device))
        yield rows, _stretch(strip, source_hw[1])                  # (rows, W, K)


Weights = tuple[Tensor, Tensor, Tensor]
"""For each output row: the two input rows it mixes, and the share of the second."""


def _row_weights(size: int, new: int, like: Tensor) -> Weights:
    """Bilinear weights with align_corners=False, as `interpolate` computes them."""
    source = (torch.arange(new, dtype=torch.float64) + 0.5) * (size / new) - 0.5
    source = source.clamp(min=0)
    low = source.floor().long()
    high = (low + 1).clamp(max=size - 1)
    return low.to(like.device), high.to(like.device), (source - low).to(like.device, like.dtype)


def _mix(rows: Tensor, weights: Weights, wanted: Tensor) -> Tensor:
    """The `wanted` output rows of (rows, W, K)."""
    low, high, share = (part[wanted] for part in weights)
    if not share.any():
        return rows[low]
    return torch.lerp(rows[low], rows[high], share[:, None, None])


def _stretch(rows: Tensor, width: int) -> Tensor:
    """(rows, w, K) with its columns upsampled to `width`."""
    if rows.shape[1] == width:
        return rows
    # The batch axis first: torch tells channels-last memory by the order of all four strides.
    image = rows[None].permute(0, 3, 1, 2)                         # (1, K, rows, w)
    return upsample(image, (rows.shape[0], width)).permute(0, 2, 3, 1)[0]


def _hw(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


def _hw_of(image: NDArray[np.generic]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]
