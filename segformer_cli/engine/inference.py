"""Pictures in, class ids at their own size out: whole or in windows, at one scale or several."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segformer_cli.classes import mask_dtype
from segformer_cli.data.transforms import normalise
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.protocol import Protocol, choose_protocol
from segformer_cli.engine.upsampling import LogitMap, Window, class_values
from segformer_cli.errors import ImageError, UsageError, WeightsError
from segformer_cli.images import Ids
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.model.segformer import SegFormer
from segformer_cli.resize import SizePolicy, resize_image


@dataclass(frozen=True)
class Segmenter:
    """A network ready to run: fused, on its device, in its precision, under a protocol."""

    model: SegFormer | ExportedModel
    config: ModelConfig
    device: torch.device
    dtype: torch.dtype
    protocol: Protocol

    @classmethod
    def of(
        cls,
        model: SegFormer | ExportedModel,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        protocol: Protocol | None = None,
    ) -> Segmenter:
        """The network fused and moved; without a protocol pictures are sized by its checkpoint's own policy.

        One class (a sigmoid output z) is read as two, the other scoring 0, so that nothing after the
        network needs a second way. An exported file runs where and as it was made to: on the CPU, in its own
        precision; a full pipeline, which sizes and normalises inside, is given pictures as they are.

        Raises:
            UsageError: the protocol sizes, cuts or repeats pictures, which a full pipeline cannot do.
        """
        config: ModelConfig = model.config
        if config.num_classes == 1:
            names, colours = ("background", *config.class_names), ((0, 0, 0), *config.palette)
            config = dataclasses.replace(config, class_names=names, palette=colours)
        protocol = protocol or choose_protocol(None, config.size, None, "")
        if isinstance(model, ExportedModel):
            device, dtype = torch.device("cpu"), torch.float32
            if model.said.full_pipeline:
                config, protocol = _as_they_are(config, protocol)
        return cls(model.to(device).fused(), config, device, dtype, protocol)

    def prepare(self, image: NDArray[np.generic]) -> list[Tensor]:
        """The network's inputs (1, C, H, W) for a picture (H, W, C), one for each ratio of the protocol."""
        return prepare(image, self.config, self.protocol)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)) in fp32, on the device, of prepared pictures (B, C, H, W).

        Raises:
            WeightsError: some are not finite.
        """
        # On a CPU the sums of a product may be split up by its size: one picture at a time, so that the batch
        # size changes no digit. It costs nothing there.
        parts = images[:, None].unbind() if self.device.type == "cpu" else (images,)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits: Tensor = torch.cat([self.model(part.to(self.device)) for part in parts])
        if logits.is_floating_point():
            logits = logits.float()
        if not torch.isfinite(logits).all():
            raise WeightsError(
                "the network's logits are not finite numbers",
                hint="the weights are damaged or overflow in this precision: try --precision fp32",
            )
        if logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits

    def passes(self, inputs: Sequence[Tensor]) -> list[list[LogitMap]]:
        """For each picture of a batch, the logits of all its passes.

        Args:
            inputs: for each ratio of the protocol the pictures (B, C, H, W).
        """
        found: list[list[LogitMap]] = [[] for _ in range(len(inputs[0]))]
        for images in inputs:
            for mirrored in (False, True) if self.protocol.flip else (False,):
                for maps, each in zip(found, self._maps(images, mirrored), strict=True):
                    maps.append(each)
        return found

    def _maps(self, images: Tensor, mirrored: bool) -> list[LogitMap]:
        """One pass over a batch of pictures (B, C, H, W)."""
        network_hw = images.shape[-2], images.shape[-1]
        seen = images.flip(-1) if mirrored else images
        windows: list[list[Window]] = [[] for _ in range(len(images))]
        for top, left, height, width in self.protocol.windows(network_hw):
            crop = seen[..., top : top + height, left : left + width].contiguous()
            for place, logits in zip(windows, self.logits(crop), strict=True):
                place.append(Window(top, left, (height, width), logits))
        return [LogitMap(tuple(each), network_hw, mirrored) for each in windows]

    def mask(self, image: NDArray[np.generic]) -> Ids:
        """Class ids (H, W) of a picture (H, W, C), at its own size."""
        return self.mask_of(self.maps(image), (image.shape[0], image.shape[1]))

    def maps(self, image: NDArray[np.generic]) -> list[LogitMap]:
        """The logits of all passes over a picture (H, W, C)."""
        (maps,) = self.passes(self.prepare(image))
        return maps

    def mask_of(self, maps: Sequence[LogitMap], source_hw: tuple[int, int]) -> Ids:
        """Class ids (H, W) of what `maps` gave, at the picture's own size."""
        return upsampled_mask(maps, source_hw).cpu().numpy()


_WITHOUT = "export without --full-pipeline"


def _as_they_are(config: ModelConfig, protocol: Protocol) -> tuple[ModelConfig, Protocol]:
    """Under which `prepare` leaves a picture at its size and its values at 0..255."""
    if protocol.window or not protocol.single or protocol.ratios != (1.0,) or protocol.size != config.size:
        raise UsageError(
            f"a full pipeline takes whole pictures once, at {config.size}; asked for is: {protocol}", hint=_WITHOUT
        )
    bands = config.in_channels
    config = dataclasses.replace(config, mean=(0.0,) * bands, std=(1.0,) * bands)
    return config, dataclasses.replace(protocol, size=SizePolicy(align=1))


def prepare(image: NDArray[np.generic], config: ModelConfig, protocol: Protocol) -> list[Tensor]:
    """The network's inputs (1, C, H, W) for a picture (H, W, C), one for each ratio of the protocol.

    Raises:
        ImageError: the picture has another number of bands than the network reads.
    """
    if image.shape[2] != config.in_channels:
        raise ImageError(
            f"the picture has {image.shape[2]} bands, the network reads {config.in_channels}",
            hint="use weights trained on such pictures",
        )
    sized = [resize_image(image, protocol.size, ratio) for ratio in protocol.ratios]
    return [torch.from_numpy(normalise(each, config.mean, config.std))[None] for each in sized]


@torch.inference_mode()
def upsampled_mask(maps: Sequence[LogitMap], source_hw: tuple[int, int]) -> Tensor:
    """The best class at each pixel of the source, (H, W) uint8 or uint16, on the logits' device."""
    K = maps[0].num_classes
    mask = torch.empty(source_hw, dtype=getattr(torch, mask_dtype(K)), device=maps[0].device)
    for rows, values in class_values(maps, source_hw):
        mask[rows] = values.argmax(-1).to(mask.dtype)
    return mask


@torch.inference_mode()
def mask_and_confidence(maps: Sequence[LogitMap], source_hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The mask as `upsampled_mask`, and the softmax probability of the class chosen, (H, W) float32.

    Raises:
        UsageError: class ids are all that is known.
    """
    if not maps[0].windows[0].logits.is_floating_point():
        raise UsageError("a full pipeline gives class ids: how sure it is, it does not tell", hint=_WITHOUT)
    mask = torch.empty(source_hw, dtype=getattr(torch, mask_dtype(maps[0].num_classes)), device=maps[0].device)
    confidence = torch.empty(source_hw, device=maps[0].device)
    for rows, values in class_values(maps, source_hw):
        best, ids = values.max(-1)
        mask[rows] = ids.to(mask.dtype)
        # Of several passes the values are probabilities already.
        confidence[rows] = best if len(maps) > 1 else (values - best[..., None]).exp_().sum(-1).reciprocal_()
    return mask, confidence
