"""Shares of 0 to 1 as grey pictures: how sure the network is, or how undecided."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.errors import ImageError

ROWS = 256
"""Rows turned into whole numbers together."""

SLACK = 1e-3
"""How far from 0..1 a value may lie, as those of half precision do; it is then taken for 0 or 1."""


def write_share(
    path: Path, values: NDArray[np.floating], bits: Literal[8, 16] = 8, *, force: bool = False
) -> Path:
    """`path`, now a grey PNG: a value times 255, or 65535 of 16 bits, rounded to the nearest, halves to even.

    So what is read back, divided by that, is within 1/510 (8 bits) or 1/131070 (16 bits) of what was written.

    Args:
        values: (H, W), 0..1.

    Raises:
        ImageError: a value is no number, or no share.
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
        ValueError: `values` are not (H, W), or `bits` neither 8 nor 16.
    """
    if values.ndim != 2 or bits not in (8, 16):
        raise ValueError(f"shares are (H, W) in 8 or 16 bits, not {values.shape} in {bits}")
    whole = np.empty(values.shape, np.uint8 if bits == 8 else np.uint16)
    for top in range(0, len(values), ROWS):
        strip = values[top : top + ROWS].astype(np.float64)
        strange = ~((strip >= -SLACK) & (strip <= 1 + SLACK))
        if strange.any():
            row, column = (int(index) for index in np.argwhere(strange)[0])
            raise ImageError(
                f"the value of row {top + row}, column {column} is {strip[row, column]:g}, shares lie in 0..1",
                where=str(path),
                hint="a network whose outputs are no numbers is damaged, or overflows in fp16: try --precision fp32",
            )
        whole[top : top + ROWS] = np.rint(strip.clip(0, 1) * (2**bits - 1))
    with replacing(path, force=force) as temporary:
        # OpenCV's packing takes a seventh of the time of Pillow's, and up to four tenths more room.
        temporary.write_bytes(cv2.imencode(".png", whole)[1].tobytes())
    return path
