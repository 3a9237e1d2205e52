"""What stands beside a field of a configuration: its meaning, and the values that have one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class Doc:
    """The meaning of a field, read by `--help-config` and the docs."""

    text: str


@dataclass(frozen=True)
class Range:
    """The numbers of a field that have a meaning, checked by `settings`; of a pair, each must lie in it.

    `at_least` and `at_most` belong to it, `above` and `below` do not; with `or_zero` 0 does, wherever they lie.
    """

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    or_zero: bool = False

    def holds(self, number: float) -> bool:
        """Whether the number lies in the range; NaN lies in none.

        >>> Range(0, below=1).holds(0), Range(0, below=1).holds(1)
        (True, False)
        """
        return (self.or_zero and number == 0) or (
            (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """What a number must do to be in it: "it must ..."."""
        zero = "be 0 or " if self.or_zero else ""
        if self.at_least is not None and self.at_most is not None:
            return f"{zero}lie in {self.at_least:g} to {self.at_most:g}"
        bounds = {
            "at least": self.at_least, "more than": self.above, "at most": self.at_most, "less than": self.below
        }
        said = " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)
        return f"{zero or 'be '}{said}"


@dataclass(frozen=True)
class Whole:
    """Marks a list of texts in which a text given alone is one of them, commas and all; others are divided there."""


SHARE = Range(0, 1)
COUNT = Range(1)
NOT_NEGATIVE = Range(0)
POSITIVE = Range(above=0)
RATE = Range(0, below=1)
"""Of dropped values: were all of them dropped, what is kept would be divided by nought."""

DRAWS = Range(100, 100_000)
"""Of fewer, two or three lie beyond either end of a 95 % interval, which then rests on next to nothing."""

DRAWS_OR_NONE = Range(100, 100_000, or_zero=True)
RATIOS = Range(above=0, at_most=16)
"""Of a picture's size; a large one at 16 times its own is more than a machine holds."""

BOUNDARY = Range(above=0, at_most=0.5)
"""Half the diagonal already reaches every pixel of a picture."""

SIDES = Range(32)
"""Of a crop, in pixels: the coarsest stage sees 1/32 of it."""

CLASSES = Range(1, 65535)
"""Of a network: masks have 16 bits, and one value means none."""

STAGES = Range(1, 4)
"""Of the encoder."""

ImageSuffix = Annotated[str | None, Doc("ending of image names, such as _rgb.jpg")]
MaskSuffix = Annotated[str | None, Doc("ending of mask names, such as _mask.png")]
IdMap = Annotated[
    tuple[str, ...], Doc("ID=CLASS, ID=NAME or ID=ignore: an id of the masks becomes another class, or none")
]
ReduceZero = Annotated[bool, Doc("id 0 of the masks is ignored, and the classes are counted from id 1")]

Bands = Annotated[
    tuple[int, ...],
    Doc("of the pictures' files, counted from 1, read as stored in any depth; default: 8-bit RGB"),
    COUNT,
]

Precision = Literal["auto", "fp32", "bf16", "fp16"]
