"""The six published sizes of SegFormer as one frozen table.

Source: the released code and weights (not Table 6 of the paper, which prints other FFN ratios and
depths; the parameter counts of Table 1 fit the table below).
"""

from __future__ import annotations

from dataclasses import dataclass

from segformer_cli.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class Variant:
    """Widths and depths of one MiT encoder and its head; heads, sr ratios and MLP ratio are shared by all."""

    name: str
    widths: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    head_width: int


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant("b0", (32, 64, 160, 256), (2, 2, 2, 2), 256),
        Variant("b1", (64, 128, 320, 512), (2, 2, 2, 2), 256),
        Variant("b2", (64, 128, 320, 512), (3, 4, 6, 3), 768),
        Variant("b3", (64, 128, 320, 512), (3, 4, 18, 3), 768),
        Variant("b4", (64, 128, 320, 512), (3, 8, 27, 3), 768),
        Variant("b5", (64, 128, 320, 512), (3, 6, 40, 3), 768),
    )
}


def get_variant(name: str) -> Variant:
    """The variant called `name`, in either case.

    Raises:
        UsageError: there is no such variant.
    """
    try:
        return VARIANTS[name.lower()]
    except KeyError:
        raise UsageError(f"there is no variant {name!r}", hint=did_you_mean(name.lower(), VARIANTS)) from None
