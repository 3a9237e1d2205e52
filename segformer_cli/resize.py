"""The one rule by which a picture is brought to the network's size: aspect ratio kept, sides aligned.

Two bilinear steps, as the released test pipeline does: the largest size that fits, then each side up to
a multiple of 32, so that no row of tokens is dropped by the spatial reduction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
from numpy.typing import NDArray

from segformer_cli.errors import UsageError

ALIGN = 32


@dataclass(frozen=True)
class SizePolicy:
    """How a picture is sized for the network.

    `short` and `long` bound the short and the long side, whichever is height (None: no bound); `box` is
    an upright (height, width) to fit into. All None is the native size. `align` rounds each side up.
    """

    short: int | None = None
    long: int | None = None
    box: tuple[int, int] | None = None
    align: int = ALIGN

    def fitted(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """The size before alignment: scaled to the bounds, halves rounded up."""
        height, width = size_hw
        factors = []
        if self.short is not None:
            factors.append(self.short / min(height, width))
        if self.long is not None:
            factors.append(self.long / max(height, width))
        if self.box is not None:
            factors += [self.box[0] / height, self.box[1] / width]
        if not factors:
            return size_hw
        factor = min(factors)
        return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))

    def aligned(self, size_hw: tuple[int, int]) -> tuple[int, int]:
        """The size the network sees.

        >>> SizePolicy(short=512, long=2048).aligned((480, 640))
        (512, 704)
        >>> SizePolicy(short=512, long=2048).aligned((500, 3000))
        (352, 2048)
        """
        height, width = self.fitted(size_hw)
        return -(-height // self.align) * self.align, -(-width // self.align) * self.align


NATIVE = SizePolicy()


def parse_size(text: str) -> SizePolicy:
    """The policy that `--size` names: N (short side), HxW (fits inside) or native.

    Raises:
        UsageError: the text is none of these.
    """
    if text == "native":
        return NATIVE
    parts = text.lower().split("x")
    if not all(part.isdigit() and int(part) > 0 for part in parts) or len(parts) > 2:
        raise UsageError(f"--size {text!r} is no size", hint="give N (short side), HxW such as 512x1024, or native")
    if len(parts) == 1:
        return SizePolicy(short=int(parts[0]))
    return SizePolicy(box=(int(parts[0]), int(parts[1])))


def resize_image(image: NDArray[Any], policy: SizePolicy) -> NDArray[Any]:
    """The picture at the size the network sees, (H, W, C) in and out, same type; bilinear, not antialiased."""
    for height, width in (policy.fitted(image.shape[:2]), policy.aligned(image.shape[:2])):
        if image.shape[:2] != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return image
