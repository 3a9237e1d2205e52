"""How a picture passes the network for a score: at which sizes, in which windows, mirrored or not.

Source: spec 3.5, the released test configurations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from segformer_cli.errors import UsageError, did_you_mean
from segformer_cli.resize import NATIVE, SizePolicy

HW = tuple[int, int]

OWN = "checkpoint"
"""The protocol that a checkpoint brings along: its own size policy, whole pictures."""

_ADE20K = (0.75, 0.875, 1.0, 1.125, 1.25)
_CITYSCAPES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
_OTHER = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)

RATIOS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "ade20k": _ADE20K,
        "ade20k-640": _ADE20K,
        "cityscapes": _CITYSCAPES,
        "cityscapes-768": _CITYSCAPES,
        "coco-stuff": _OTHER,
        "mmseg-ade20k": _OTHER,
    }
)
"""Of the multi-scale test, for protocols and for data sets; `_OTHER` for all others."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a picture passes the network.

    `size` brings it to the network's size; `window` and `stride` are (height, width) of the windows it is
    cut into there, None for the whole picture. It passes once for each of `ratios`, which multiply the
    size, and with `flip` once more mirrored: softmax maps of several passes are averaged.
    """

    name: str
    size: SizePolicy
    window: HW | None = None
    stride: HW | None = None
    ratios: tuple[float, ...] = (1.0,)
    flip: bool = False

    @property
    def single(self) -> bool:
        """Whether a picture passes once."""
        return len(self.ratios) == 1 and not self.flip

    def windows(self, network_hw: HW) -> list[tuple[int, int, int, int]]:
        """(top, left, height, width) of each window over the network's input, row by row."""
        if self.window is None:
            return [(0, 0, *network_hw)]
        stride = self.stride or self.window
        height, width = (min(side, window) for side, window in zip(network_hw, self.window, strict=True))
        tops, lefts = (starts(*sides) for sides in zip(network_hw, self.window, stride, strict=True))
        return [(top, left, height, width) for top in tops for left in lefts]

    def __str__(self) -> str:
        """The middle of a sentence: "whole, at their own size, single scale"."""
        how = "whole"
        if self.window is not None:
            stride = self.stride or self.window
            how = f"in windows of {_by(self.window)} every {_by(stride)} pixels, logits averaged"
        passes = "single scale"
        if self.flip and self.ratios == (1.0,):
            passes = "softmax averaged with that of the mirror image"
        elif not self.single:
            passes = "softmax averaged over " + ", ".join(f"{ratio:g}" for ratio in self.ratios)
            passes += " times that size" + (", each also mirrored" if self.flip else "")
        elif self.ratios != (1.0,):
            passes = f"{self.ratios[0]:g} times that size"
        return f"{how}, at {self.size}, {passes}"


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(name="ade20k", size=SizePolicy(short=512, long=2048)),
            Protocol(name="ade20k-640", size=SizePolicy(short=640, long=2048)),
            Protocol(name="cityscapes", size=SizePolicy(align=1), window=(1024, 1024), stride=(768, 768)),
            Protocol(
                name="cityscapes-768",
                size=SizePolicy(short=768, long=1536, align=1),
                window=(768, 768),
                stride=(768, 768),
            ),
            Protocol(name="coco-stuff", size=SizePolicy(short=512, long=2048)),
            Protocol(name="mmseg-ade20k", size=SizePolicy(short=512, long=2048, align=1)),
            Protocol(name="native", size=NATIVE),
        )
    }
)
"""`mmseg-ade20k` is mmsegmentation's own test pipeline for ADE20K, which lacks the alignment (spec 3.5)."""


def choose_protocol(
    name: str | None, own_size: SizePolicy, trained_on: str | None, data: str
) -> Protocol:
    """The protocol called `name`; without a name the one that belongs to weights and data.

    Weights of Cityscapes that were tested at another size than their pictures' own keep it, whole (B0 at 512 x 1024).

    Args:
        own_size: the size policy of the checkpoint.
        trained_on: the data set the weights were trained on, if known.
        data: the name of the data set to score on.

    Raises:
        UsageError: there is no such protocol.
    """
    if name is None:
        windowed = {NATIVE: "cityscapes", PROTOCOLS["cityscapes-768"].size: "cityscapes-768"}
        name = windowed.get(own_size, OWN) if data == trained_on == "cityscapes" else OWN
    if name == OWN:
        return Protocol(name=OWN, size=own_size)
    if name not in PROTOCOLS:
        raise UsageError(f"there is no protocol {name!r}", hint=did_you_mean(name, [*PROTOCOLS, OWN]))
    return PROTOCOLS[name]


def multi_scale(protocol: Protocol, data: str) -> Protocol:
    """The protocol at the ratios that papers use on a data set, each with its mirror image."""
    ratios = RATIOS.get(protocol.name) or RATIOS.get(data) or _OTHER
    return dataclasses.replace(protocol, ratios=ratios, flip=True)


def starts(side: int, window: int, stride: int) -> list[int]:
    """Where windows begin along a side: every `stride` pixels, the last one shifted back to end at the border.

    >>> starts(2048, 1024, 768), starts(800, 1024, 768)
    ([0, 768, 1024], [0])
    """
    if side <= window:
        return [0]
    count = -(-(side - window) // stride) + 1
    return [min(index * stride, side - window) for index in range(count)]


def _by(size_hw: HW) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"
