"""What a run's network sees and what it makes of it, as sheets of pictures in the run's folder."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from segformer_cli.bands import visible
from segformer_cli.classes import Colour
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.images import Ids, Picture, write_image
from segformer_cli.model.header import ModelConfig
from segformer_cli.overlay import colour_mask
from segformer_cli.reports.numerals import numeral, with_unit
from segformer_cli.reports.thumbnails import error_map
from segformer_cli.workflows.run_lettering import GREY, INK, PAPER, font
from segformer_cli.workflows.run_list import PREVIEWS
from segformer_cli.workflows.runs import Run
from segformer_cli.workflows.scorecard import Evaluation

SHOWN = 4
"""Pictures of the validation split, evenly spaced; the same ones at every validation."""

CROPS = 8
"""Of the first batch, at most so many."""

KEPT = 5
"""Sheets of the latest validations; that of the best is kept beside them."""

SIDE = 300
"""Of the square that a panel is fitted into."""

GAP, MARGIN = 8, 16
HEAD, TITLES, CAPTION, ROW = 40, 24, 24, 24
"""Heights of the heading, of the names above columns, of the line above a row of panels, of a line of the legend."""

NAMED = 32
"""Classes in the legend; the rest are counted in a last entry."""

RULE = (190, 190, 190)
IGNORED: Colour = (0, 0, 0)


@dataclass(frozen=True)
class Panels:
    """Pictures that belong together, all of one size, and what they are called."""

    name: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Meaning:
    """What ids in targets and masks stand for."""

    class_names: Sequence[str]
    palette: Sequence[Colour]
    ignore_index: int

    def colours(self, ids: Ids) -> Picture:
        """(H, W, 3): ids in their colours, fitted into a panel; ignored ones are black."""
        return colour_mask(fitted(ids), self.palette, self.ignore_index)

    def legend(self, shown: Sequence[Ids]) -> list[tuple[str, Colour]]:
        """Name and colour of every id that is there, the most frequent first; `ignored` is last."""
        counts = np.zeros(max(self.ignore_index, len(self.palette)) + 1, np.int64)
        for ids in shown:
            counts += np.bincount(ids.ravel(), minlength=len(counts))[: len(counts)]
        ignored = counts[self.ignore_index] > 0
        counts[self.ignore_index] = 0
        present = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
        entries = [self._entry(index) for index in present[:NAMED]]
        if len(present) > NAMED:
            entries.append((f"and {len(present) - NAMED} more", PAPER))
        return [*entries, ("ignored", IGNORED)] if ignored else entries

    def _entry(self, index: int) -> tuple[str, Colour]:
        """Of one class trained against the rest, the rest has no name."""
        named = index < len(self.class_names)
        return (self.class_names[index], self.palette[index]) if named else (f"id {index}", IGNORED)


def write_inputs(folder: Path, images: Tensor, targets: Tensor, network: ModelConfig, ignore_index: int) -> Picture:
    """previews/inputs.png in the folder of a run, (H, W, 3): crops as the network sees them beside their targets.

    Args:
        images: (B, C, h, w), normalised.
        targets: (B, h, w) class ids.
    """
    meaning = Meaning(network.class_names, network.palette, ignore_index)
    seen = [_denormalised(image, network) for image in images[:CROPS]]
    ids = [_as_ids(target) for target in targets[:CROPS]]
    groups = [
        Panels(f"crop {number}", (fitted(crop), meaning.colours(target)))
        for number, (crop, target) in enumerate(zip(seen, ids, strict=True), 1)
    ]
    height, width = images.shape[-2:]
    heading = f"the first batch as the network sees it: {len(images)} crops of {height} x {width}"
    picture = sheet(heading, ("crop", "target"), groups, meaning.legend(ids), across=2)
    write_image(folder / PREVIEWS / "inputs.png", picture, force=True)
    return picture


def write_validation(
    folder: Path, split: Split, segmenter: Segmenter, found: Evaluation, iteration: int, best_iteration: int
) -> Picture:
    """previews/iteration_N.png in the folder of a run, (H, W, 3): pictures, their targets, what the network says.

    Sheets of earlier validations go, but for the latest few and that of `best_iteration`.
    """
    network = segmenter.config
    meaning = Meaning(network.class_names, network.palette, split.ignore_index)
    groups, shown = [], []
    for pair in split.spread(SHOWN).pairs:
        pixels, target = split.read(pair)
        mask = segmenter.mask(pixels)
        small, truth, said = fitted(split.shown(pixels)), fitted(target), fitted(mask)
        errors = error_map(small, truth, said, split.ignore_index)
        groups.append(Panels(pair.key, (small, meaning.colours(target), meaning.colours(mask), errors)))
        shown += [truth, said]
    best = ", the best so far" if iteration == best_iteration else ""
    heading = f"iteration {numeral(iteration, 'count')}: mIoU {with_unit(found.miou, 'share')}{best}"
    picture = sheet(heading, ("picture", "target", "mask", "wrong: red"), groups, meaning.legend(shown))
    write_image(folder / PREVIEWS / f"iteration_{iteration}.png", picture, force=True)
    _thin_out(Run(folder), best_iteration)
    return picture


def sheet(
    heading: str,
    titles: Sequence[str],
    groups: Sequence[Panels],
    legend: Sequence[tuple[str, Colour]],
    *,
    across: int = 1,
) -> Picture:
    """(H, W, 3): panels below their titles, `across` groups side by side, and the legend under them.

    All groups have as many panels as there are titles.
    """
    across = min(across, max(1, len(groups)))
    wide = max((panel.shape[1] for group in groups for panel in group.pictures), default=SIDE) + GAP
    width = 2 * MARGIN + across * (len(titles) * wide + GAP) - 2 * GAP
    rows = [groups[start : start + across] for start in range(0, len(groups), across)]
    heights = [max(group.pictures[0].shape[0] for group in row) + CAPTION for row in rows]
    lines = _legend_lines(legend, width - 2 * MARGIN)
    under = HEAD + TITLES + sum(heights)
    canvas = Image.new("RGB", (width, under + MARGIN + ROW * len(lines) + MARGIN), PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((MARGIN, HEAD // 2 + 4), _cut(heading, width - 2 * MARGIN, 18), fill=INK, font=font(18), anchor="lm")
    lefts = [MARGIN + (len(titles) * wide + GAP) * column for column in range(across)]
    for left in lefts:
        for place, title in enumerate(titles):
            draw.text((left + place * wide, HEAD + TITLES // 2), title, fill=GREY, font=font(14), anchor="lm")
    top = HEAD + TITLES
    for row, height in zip(rows, heights, strict=True):
        for left, group in zip(lefts, row, strict=False):
            _put(canvas, draw, group, left, top, wide)
        top += height
    _put_legend(draw, lines, under + MARGIN)
    return np.asarray(canvas, np.uint8)


def _put(canvas: Image.Image, draw: ImageDraw.ImageDraw, group: Panels, left: int, top: int, wide: int) -> None:
    room = wide * len(group.pictures) - GAP
    draw.text((left, top + CAPTION // 2), _cut(group.name, room, 13), fill=INK, font=font(13), anchor="lm")
    for place, picture in enumerate(group.pictures):
        canvas.paste(Image.fromarray(picture), (left + place * wide, top + CAPTION))


def _legend_lines(legend: Sequence[tuple[str, Colour]], width: int) -> list[list[tuple[int, str, Colour]]]:
    """The entries with the place where each begins, in lines that are not wider."""
    lines: list[list[tuple[int, str, Colour]]] = []
    at = width
    for name, colour in legend:
        name = _cut(name, width - 2 * ROW, 14)
        needs = ROW + int(font(14).getlength(name)) + ROW // 2
        if at + needs > width + ROW // 2:
            lines.append([])
            at = 0
        lines[-1].append((at, name, colour))
        at += needs
    return lines


def _put_legend(draw: ImageDraw.ImageDraw, lines: Sequence[Sequence[tuple[int, str, Colour]]], top: int) -> None:
    for line in lines:
        for at, name, colour in line:
            left, middle = MARGIN + at, top + ROW // 2
            edge = colour if colour == PAPER else RULE
            draw.rectangle((left, middle - 7, left + 14, middle + 7), fill=colour, outline=edge)
            draw.text((left + ROW - 4, middle), name, fill=INK, font=font(14), anchor="lm")
        top += ROW


def fitted(pixels: Picture | Ids) -> Picture:
    """A picture or ids fitted into a panel; ids, and whatever is enlarged, keep values that are their own."""
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smooth = pixels.ndim == 3 and scale < 1
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smooth else cv2.INTER_NEAREST))


def _denormalised(image: Tensor, network: ModelConfig) -> Picture:
    """(h, w, 3) of a normalised (C, h, w): the first three bands, or the first one in grey."""
    bands = image.detach().cpu().double().numpy()
    mean, std = (np.asarray(values)[:, None, None] for values in (network.mean, network.std))
    values = (bands * std + mean).transpose(1, 2, 0)
    if network.bands:
        return visible(values.astype(np.float32))
    shown = values[..., :3] if values.shape[2] >= 3 else values[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(np.clip(np.round(shown), 0, 255), np.uint8)


def _as_ids(target: Tensor) -> Ids:
    ids = target.detach().cpu().numpy()
    return ids if ids.dtype == np.uint8 else np.asarray(ids, np.uint16)


def _thin_out(run: Run, best_iteration: int) -> None:
    previews = run.previews()
    for iteration in list(previews)[:-KEPT]:
        if iteration != best_iteration:
            previews[iteration].unlink(missing_ok=True)


def _cut(text: str, width: int, size: int) -> str:
    """The text, or as much of its end as there is room for: names of pictures differ there."""
    def fits(start: int) -> bool:
        return font(size).getlength("…" + text[start:] if start else text) <= width

    start = bisect_left(range(len(text)), True, key=fits)
    return "…" + text[start:] if start else text
