"""What `segformer data preview` means: pictures, their targets, and crops as training cuts them, on one sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from segformer_cli.atomic import refuse_existing
from segformer_cli.config import PreviewConfig, TrainConfig
from segformer_cli.data.band_values import measure_bands
from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.data.transforms import Augmentation
from segformer_cli.errors import DataError, UsageError
from segformer_cli.images import Ids, Picture, write_image
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.settings import checked, resolve
from segformer_cli.workflows.defaults import crop_for
from segformer_cli.workflows.run_pictures import Meaning, Panels, fitted, sheet

CROPS = 2
"""Crops of each picture."""

SPREAD_OF = 50
"""Pictures that say how far the values of bands lie apart."""

FILLED = (124, 116, 104)
"""The mean colour, which the network sees where a crop reaches beyond its picture."""


@dataclass(frozen=True)
class DataPreview:
    """The sheet that was written, and what is on it."""

    path: str
    keys: tuple[str, ...]
    crop_size: tuple[int, int]
    class_names: tuple[str, ...]


def preview_data(config: PreviewConfig, progress: ProgressListener = ignore_progress) -> DataPreview:
    """Writes the sheet: a picture a row, its target in colours, and augmented crops with theirs.

    Raises:
        DataError: there is no such split, it has no masks, or a mask does not fit.
        ImageError: a file cannot be read.
        UsageError: the file to write is no picture.
        SegFormerError: it exists.
    """
    config = checked(config)
    out = Path(config.out)
    if out.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise UsageError(f"--out {out} is no picture", hint="name it FILE.png")
    refuse_existing(out, force=config.force)
    bending = Bending.of(config, config.bands)
    split = open_data(config.data, config.split, bending)
    if not split.labelled:
        raise DataError(f"{split.name} has no masks to show", where=str(split.root), hint="name another --split")
    augmentation = _augmentation(config, split)
    meaning = Meaning(split.class_names, split.palette, split.ignore_index)
    rng = np.random.default_rng(config.seed)
    groups, targets = [], []
    chosen = split.spread(config.limit)
    for done, pair in enumerate(chosen.pairs, 1):
        panels, shown = _row(chosen, pair, augmentation, meaning, rng)
        groups.append(panels)
        targets += shown
        progress(Progress("preview", done, len(chosen), "image"))
    height, width = augmentation.crop_size
    heading = f"{split.data} {split.name}: {len(chosen)} of {len(split)} images, crops of {height} x {width}"
    titles = ("picture", "target", *("crop", "its target") * CROPS)
    write_image(out, sheet(heading, titles, groups, meaning.legend(targets)), force=config.force)
    return DataPreview(str(out), tuple(pair.key for pair in chosen.pairs), (height, width), split.class_names)


def _augmentation(config: PreviewConfig, split: Split) -> Augmentation:
    """That of the recipe, as training uses it."""
    recipe = resolve(TrainConfig, preset=config.preset)
    return Augmentation(
        crop_size=config.crop_size or recipe.crop_size or crop_for(split),
        base_size=recipe.base_size,
        scale_range=recipe.scale_range,
        cat_max_ratio=recipe.cat_max_ratio,
        flip=recipe.flip,
        photometric=recipe.photometric,
        spread=tuple(measure_bands(split, SPREAD_OF).std.tolist()) if split.bands else None,
    )


def _row(
    split: Split, pair: Pair, augmentation: Augmentation, meaning: Meaning, rng: np.random.Generator
) -> tuple[Panels, list[Ids]]:
    """The panels of one picture, all of one size, and the targets on them."""
    image, target = split.read(pair)
    pictures, targets = [fitted(split.shown(image)), meaning.colours(target)], [target]
    for _ in range(CROPS):
        pixels, part = augmentation(image, target, split.ignore_index, rng)
        crop, cut = _padded(split.shown(pixels), part, augmentation, split.ignore_index)
        pictures += [fitted(crop), meaning.colours(cut)]
        targets.append(cut)
    height = max(picture.shape[0] for picture in pictures)
    level = [cv2.copyMakeBorder(each, 0, height - len(each), 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
             for each in pictures]
    return Panels(pair.key, tuple(np.asarray(each, np.uint8) for each in level)), targets


def _padded(crop: Picture, cut: Ids, augmentation: Augmentation, ignore_index: int) -> tuple[Picture, Ids]:
    """A crop filled up to its size at the right and the bottom, as the network sees it."""
    rows, columns = (wanted - has for wanted, has in zip(augmentation.crop_size, cut.shape, strict=True))
    if rows <= 0 and columns <= 0:
        return crop, cut
    filled = cv2.copyMakeBorder(crop, 0, rows, 0, columns, cv2.BORDER_CONSTANT, value=FILLED)
    padded: Ids = np.pad(cut, ((0, rows), (0, columns)), constant_values=ignore_index)  # type: ignore[assignment]
    return np.asarray(filled, np.uint8), padded
