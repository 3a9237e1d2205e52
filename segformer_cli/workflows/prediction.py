"""A network and pictures, from Python: paths, arrays or PIL images in, masks out."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.bands import as_picture, read_bands
from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.protocol import OWN, Protocol
from segformer_cli.engine.streaming import Windows, streamed_mask
from segformer_cli.engine.upsampling import LogitMap, averaged
from segformer_cli.errors import ImageError, UsageError
from segformer_cli.images import Ids, Picture, Pixels, read_image, write_mask
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.model.segformer import SegFormer
from segformer_cli.overlay import draw_overlay
from segformer_cli.places import Place
from segformer_cli.progress import Progress, listening
from segformer_cli.resize import parse_size

LARGEST = 16_000_000
"""Pixels that the network sees at once unless it is told to: the encoder's maps of more take gigabytes."""


@dataclass(frozen=True)
class ClassShare:
    """A class present in a picture, and the share of its pixels."""

    id: int
    name: str
    share: float


def shares_of(shares: NDArray[np.float64], class_names: Sequence[str]) -> tuple[ClassShare, ...]:
    """The classes that have any share, largest first."""
    order = np.argsort(-shares, kind="stable")
    return tuple(
        ClassShare(int(index), class_names[index], float(shares[index]))
        for index in order
        if shares[index] and index < len(class_names)
    )


@dataclass(frozen=True, eq=False)
class Prediction:
    """The classes of one picture; shows itself as an overlay in a notebook.

    `mask` is (H, W) class ids, uint8, or uint16 with more than 255 classes, at the picture's own size. `picture` is
    what people see of what the network read.
    """

    picture: Picture
    mask: Ids
    config: ModelConfig

    @cached_property
    def classes(self) -> tuple[ClassShare, ...]:
        """The classes present, largest first."""
        counts = np.bincount(self.mask.ravel(), minlength=self.config.num_classes)
        return shares_of(counts / self.mask.size, self.config.class_names)

    def overlay(self, opacity: float = 0.5) -> Picture:
        """The picture blended with its class colours, a legend to the right, (H, W', 3)."""
        palette = self.config.palette
        rows = [(found.name, palette[found.id], found.share) for found in self.classes]
        return draw_overlay(
            self.picture, self.mask, palette, rows, ignore_index=self.config.ignore_index, opacity=opacity
        )

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """`path`, now the mask as a palette PNG whose pixel values are the class ids.

        Raises:
            SegFormerError: the file exists and `force` is not set.
        """
        return write_mask(Path(path), self.mask, self.config.palette, force=force)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(self.overlay()).save(buffer, format="PNG")
        return buffer.getvalue()


class Predictor:
    """A network ready to predict pictures: from a path, an array (H, W, 3) uint8 RGB, or a PIL image.

    A network of other bands takes an array (H, W, C) of its C bands, in the scale of the files it was trained on.

    Args:
        model: a network or WEIGHTS.
        size: as `--size`; default: the checkpoint's own policy.
        windows: slide over pictures at their own size; default: pictures are taken whole, but for very large ones.
        bands: of files, counted from 1; default: those that the network was trained on.
        overlay_bands: three of the C bands, counted from 1, to be shown as red, green and blue; or one.
    """

    def __init__(
        self,
        model: SegFormer | ExportedModel | str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        size: str | None = None,
        windows: Windows | None = None,
        bands: tuple[int, ...] = (),
        overlay_bands: tuple[int, ...] = (),
    ) -> None:
        if not isinstance(model, (SegFormer, ExportedModel)):
            model = load_model(model)
        if model.config is None:
            raise UsageError("the model has no .config", hint="build it with segformer_cli.build_model or load_model")
        where = choose_device(device)
        config: ModelConfig = model.config
        protocol = Protocol(name=OWN, size=parse_size(size) if size else config.size)
        self._segmenter = Segmenter.of(model, where, choose_dtype(precision, where), protocol)
        self._windows = windows
        self._bands = bands or config.bands
        self._shown = overlay_bands
        _refuse_other_bands(config, self._bands, overlay_bands)

    def __call__(self, source: str | Path | Pixels | Image.Image) -> Prediction:
        """The classes of one picture.

        Raises:
            ImageError: it cannot be read.
        """
        return self.predict_pixels(as_pixels(source, self._bands))

    def read(self, place: Place) -> Pixels:
        """The pixels (H, W, C) of a file, as the network is to be given them.

        Raises:
            ImageError: it cannot be read.
        """
        return read_bands(place, self._bands) if self._bands else read_image(place)

    @property
    def config(self) -> ModelConfig:
        """What the masks' ids mean."""
        return self._segmenter.config

    def smoothed(
        self, pixels: Pixels, before: list[LogitMap] | None, share: float
    ) -> tuple[Prediction, list[LogitMap]]:
        """A frame's classes, its logits averaged with those of the frames before it, and the average.

        Args:
            before: what the call for the frame before gave.
            share: of the frames before in the average.
        """
        maps = self._segmenter.maps(pixels)
        if before is not None and share:
            maps = [averaged(old, new, share) for old, new in zip(before, maps, strict=True)]
        mask = self._segmenter.mask_of(maps, (pixels.shape[0], pixels.shape[1]))
        return Prediction(as_picture(pixels, self._bands, self._shown), mask, self._segmenter.config), maps

    def predict_pixels(self, pixels: Pixels) -> Prediction:
        """The classes of what `read` gave."""
        picture = as_picture(pixels, self._bands, self._shown)
        return Prediction(picture, self._mask(pixels), self._segmenter.config)

    def _mask(self, pixels: Pixels) -> Ids:
        height, width = pixels.shape[:2]
        seen = self._segmenter.protocol.size.aligned((height, width))
        windows = self._windows
        if windows is None and seen[0] * seen[1] > LARGEST and not isinstance(self._segmenter.model, ExportedModel):
            windows = Windows()
        if windows is None:
            return self._segmenter.mask(pixels)
        strips = streamed_mask(self._segmenter, lambda rows, columns: pixels[rows, columns], (height, width), windows)
        return np.concatenate([ids for _, ids in strips])

    def predict_all(
        self, sources: Iterable[str | Path | Pixels | Image.Image], *, progress: bool = False
    ) -> list[Prediction]:
        """The predictions of many pictures; `progress` draws a bar."""
        found = []
        total = len(sources) if isinstance(sources, Sequence) else None
        with listening(progress) as listener:
            for done, source in enumerate(sources, 1):
                found.append(self(source))
                listener(Progress("predict", done, total, "image"))
        return found


def as_pixels(source: str | Path | Pixels | Image.Image, bands: tuple[int, ...] = ()) -> Pixels:
    """(H, W, 3) uint8 RGB of a path, an array, or a PIL image; or (H, W, C) of so many `bands`.

    Raises:
        ImageError: the file cannot be read, or the array is no picture.
    """
    if isinstance(source, (str, Path)):
        return read_bands(Path(source), bands) if bands else read_image(Path(source))
    array = np.asarray(source.convert("RGB") if isinstance(source, Image.Image) and not bands else source)
    if bands:
        return _as_bands(array, len(bands))
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} is no picture",
            hint="give (H, W, 3) uint8 in RGB order",
        )
    return np.ascontiguousarray(array)


def _as_bands(array: NDArray[np.generic], count: int) -> Pixels:
    if array.ndim != 3 or array.shape[2] != count or array.dtype.kind not in "uif" or not array.size:
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} has not the {count} bands of the network",
            hint=f"give (H, W, {count}) in the scale of the files that it was trained on",
        )
    kept = array if array.dtype in (np.uint8, np.uint16) else array.astype(np.float32)
    return np.ascontiguousarray(kept)


def _refuse_other_bands(config: ModelConfig, bands: tuple[int, ...], shown: tuple[int, ...]) -> None:
    if bands and len(bands) != config.in_channels:
        raise UsageError(
            f"--bands names {len(bands)}, the network reads {config.in_channels}",
            hint=f"name {config.in_channels}, in the order in which it was trained on them",
        )
    if shown and (not bands or len(shown) not in (1, 3) or max(shown) > len(bands)):
        raise UsageError(
            f"overlay_bands is {','.join(map(str, shown))}, the network reads {config.in_channels} bands",
            hint="name three of them, counted from 1 in the order in which the network reads them, or one",
        )
