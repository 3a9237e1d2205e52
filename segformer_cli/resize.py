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

    def fitted(self, size_hw: tuple[int, int], ratio: float = 1.0) -> tuple[int, int]:
        """The size before alignment: scaled to the bounds, halves rounded up.

        `ratio` multiplies the bounds (cut to whole pixels), or the own size where there are none.
        """
        height, width = size_hw
        factors = []
        if self.short is not None:
            factors.append(int(self.short * ratio) / min(height, width))
        if self.long is not None:
            factors.append(int(self.long * ratio) / max(height, width))
        if self.box is not None:
            factors += [int(self.box[0] * ratio) / height, int(self.box[1] * ratio) / width]
        factor = min(factors, default=ratio)
        return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))

    def aligned(self, size_hw: tuple[int, int], ratio: float = 1.0) -> tuple[int, int]:
        """The size the network sees.

        >>> SizePolicy(short=512, long=2048).aligned((480, 640))
        (512, 704)
        >>> SizePolicy(short=512, long=2048).aligned((500, 3000))
        (352, 2048)
        """
        height, width = self.fitted(size_hw, ratio)
        return -(-height // self.align) * self.align, -(-width // self.align) * self.align

    def __str__(self) -> str:
        """The size in words.

        >>> str(SizePolicy(short=512, long=2048))
        'a short side of 512 with a long side of at most 2048, sides rounded up to a multiple of 32'
        """
        if self.box is not None:
            size = f"the largest size inside {self.box[0]}x{self.box[1]}"
        elif self.short is not None:
            size = f"a short side of {self.short}"
            size += f" with a long side of at most {self.long}" if self.long else ""
        else:
            size = "their own size"
        return size if self.align == 1 else f"{size}, sides rounded up to a multiple of {self.align}"


NATIVE = SizePolicy()

LONGEST_SIDE = 16384
"""Of a size that can be asked for; the next ones take more memory than machines have."""


def parse_size(text: str) -> SizePolicy:
    """The policy that `--size` names: N (short side), HxW (fits inside) or native.

    Raises:
        UsageError: the text is none of these, or a side is longer than `LONGEST_SIDE`.
    """
    if text == "native":
        return NATIVE
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) > 2:
        raise UsageError(f"--size {text!r} is no size", hint="give N (short side), HxW such as 512x1024, or native")
    sides = [int(part) for part in parts]
    if max(sides) > LONGEST_SIDE:
        raise UsageError(f"--size {text} is too large", hint=f"a side has at most {LONGEST_SIDE} pixels")
    return SizePolicy(short=sides[0]) if len(sides) == 1 else SizePolicy(box=(sides[0], sides[1]))


def exact_size(text: str, least: int = 1) -> tuple[int, int]:
    """The (height, width) that a text names; one number is a square.

    >>> exact_size("512x1024"), exact_size("512")
    ((512, 1024), (512, 512))

    Raises:
        UsageError: the text is no size, or a side has less than `least` pixels or more than `LONGEST_SIDE`.
    """
    parts = text.lower().split("x")
    if not all(part.isdecimal() for part in parts) or len(parts) > 2:
        raise UsageError(f"--size {text!r} is no exact size", hint="give HxW such as 512x1024, or N for a square")
    height, width = int(parts[0]), int(parts[-1])
    if not least <= min(height, width) <= max(height, width) <= LONGEST_SIDE:
        hint = "such as --size 512x1024"
        raise UsageError(f"--size {text}: a side has {least} to {LONGEST_SIDE} pixels", hint=hint)
    return height, width


def resize_image(image: NDArray[Any], policy: SizePolicy, ratio: float = 1.0) -> NDArray[Any]:
    """The picture at the size the network sees, (H, W, C) in and out, same type; bilinear, not antialiased."""
    source = image.shape[:2]
    for height, width in (policy.fitted(source, ratio), policy.aligned(source, ratio)):
        if image.shape[:2] != (height, width):
            image = resized(image, (height, width))
    return image


def resized(image: NDArray[Any], size_hw: tuple[int, int]) -> NDArray[Any]:
    """(H, W, C) at another size, bilinear; OpenCV alone would drop the axis of a single band."""
    height, width = size_hw
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
