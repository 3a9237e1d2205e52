"""A picture with its classes laid over it, and a legend of those present."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segformer_cli.classes import Colour
from segformer_cli.images import Ids, Picture

LEGEND_ROWS = 24
"""Classes named in a legend; the rest are summed in one last row."""

SMALLEST_ROW = 8
"""Height in pixels of a legend's row that can still be read."""

STRIP_ROWS = 256


def colour_mask(mask: Ids, palette: Sequence[Colour], ignore_index: int) -> Picture:
    """(H, W, 3) colours of (H, W) class ids; ignored pixels are black."""
    table = np.zeros((max(ignore_index, len(palette) - 1, int(mask.max(initial=0))) + 1, 3), np.uint8)
    table[: len(palette)] = np.asarray(palette, np.uint8)
    return np.asarray(table[mask], np.uint8)


def draw_overlay(
    picture: Picture,
    mask: Ids,
    palette: Sequence[Colour],
    rows: Sequence[tuple[str, Colour, float]],
    *,
    ignore_index: int,
    opacity: float = 0.5,
) -> Picture:
    """The picture blended with its class colours, (H, W', 3): a legend of `rows` to the right.

    Args:
        rows: name, colour and share of each class present, largest first.
        opacity: of the colours; ignored pixels keep the picture.
    """
    legend = _legend(picture.shape[0], picture.shape[1], rows)
    return np.hstack([blended(picture, mask, palette, ignore_index=ignore_index, opacity=opacity), legend])


def blended(
    picture: Picture, mask: Ids, palette: Sequence[Colour], *, ignore_index: int, opacity: float = 0.5
) -> Picture:
    """The picture (H, W, 3) blended with its class colours; ignored pixels keep the picture."""
    overlay = np.empty_like(picture)
    # In strips, so that no float copy of a large picture exists.
    for top in range(0, picture.shape[0], STRIP_ROWS):
        strip = slice(top, top + STRIP_ROWS)
        colours = colour_mask(mask[strip], palette, ignore_index)
        weight = np.where(mask[strip] == ignore_index, np.float32(0), np.float32(opacity))[..., None]
        overlay[strip] = picture[strip] * (1 - weight) + colours * weight + np.float32(0.5)
    return overlay


def _legend(height: int, width: int, rows: Sequence[tuple[str, Colour, float]]) -> Picture:
    """A white panel of `height` with a swatch, a name and a share a row, as large as fits."""
    shown = _shortened(rows, min(LEGEND_ROWS, max(1, height // SMALLEST_ROW - 1)))
    row_height = max(SMALLEST_ROW, min(height // (len(shown) + 1), max(14, width // 32)))
    font = ImageFont.load_default(max(7, int(row_height * 0.62)))
    texts = [f"{name}  {share_text(share)}" for name, _, share in shown]
    text_width = max(int(font.getlength(text)) for text in texts) if texts else 0
    panel = Image.new("RGB", (text_width + 3 * row_height, height), "white")
    draw = ImageDraw.Draw(panel)
    for index, ((_, colour, _), text) in enumerate(zip(shown, texts, strict=True)):
        top = row_height // 2 + index * row_height
        box = (row_height // 2, top + 2, row_height // 2 + row_height, top + row_height - 3)
        draw.rectangle(box, fill=colour, outline="black")
        draw.text((2 * row_height, top + row_height // 2), text, fill="black", font=font, anchor="lm")
    return np.asarray(panel, np.uint8)


def _shortened(rows: Sequence[tuple[str, Colour, float]], most: int) -> list[tuple[str, Colour, float]]:
    if len(rows) <= most:
        return list(rows)
    rest = rows[most - 1 :]
    return [*rows[: most - 1], (f"{len(rest)} more", (255, 255, 255), sum(share for *_, share in rest))]


def share_text(share: float) -> str:
    """A share as people read it.

    >>> share_text(0.314), share_text(0.004), share_text(0.00001)
    ('31 %', '0.4 %', '< 0.1 %')
    """
    if share >= 0.01:
        return f"{100 * share:.0f} %"
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"
