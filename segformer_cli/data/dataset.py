"""Pairs of files -> tensors: crops for training; the rules of reading processes."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from segformer_cli.data.decoded import Decoded
from segformer_cli.data.pairs import Split
from segformer_cli.data.sampler import AUGMENTATION, Place, generator
from segformer_cli.data.transforms import Augmentation, normalise, pad_to
from segformer_cli.errors import SegFormerError

Item = TypeVar("Item")


def raising(loader: Iterable[Item | SegFormerError]) -> Iterator[Item]:
    """The loader's items; an error among them is raised.

    torch raises what a reading process raises anew, its traceback as the message and all else lost. So
    expected errors travel as items.
    """
    for item in loader:
        if isinstance(item, SegFormerError):
            raise item
        yield item


def joined(items: list[Any]) -> Any:
    """A batch of items, or the first error among them."""
    return next((item for item in items if isinstance(item, SegFormerError)), None) or default_collate(items)


def start_worker(_: int) -> None:
    """A reading process keeps to one core, and leaves it to the main one to answer Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


class TrainCrops(Dataset[tuple[Tensor, Tensor] | SegFormerError]):
    """Augmented crops of a split; an item is asked for by its place in the stream.

    An item is image (C, h, w) float32, normalised, and target (h, w) uint8 or int32 class ids; or the
    error of reading it, see `raising`.
    """

    def __init__(
        self,
        split: Split,
        augmentation: Augmentation,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        seed: int,
        source: Decoded | None = None,
        fast_decode: bool = False,
    ) -> None:
        """
        Args:
            source: the pairs decoded beforehand; without it they are read from their files.
            fast_decode: a JPEG that is to be scaled down is decoded at a half, quarter or eighth of its size.
        """
        self.split, self.source, self.fast_decode = split, source, fast_decode
        self.augmentation = augmentation
        self.mean, self.std = mean, std
        self.seed = seed

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, place: Place) -> tuple[Tensor, Tensor] | SegFormerError:
        try:
            return self._crop(*place)
        except SegFormerError as error:
            return error

    def _crop(self, position: int, index: int, wanted: int | None = None) -> tuple[Tensor, Tensor]:
        rng = generator(self.seed, AUGMENTATION, position)
        ignore = self.split.ignore_index
        if self.source is not None:
            image, target = self.augmentation(*self.source.read(index), ignore, rng, wanted)
        elif self.fast_decode:
            target = self.split.read_target(self.split.pairs[index])
            size_hw = self.augmentation.scaled(target.shape, rng)
            image = self.split.read_reduced(self.split.pairs[index], target.shape, size_hw)
            image, target = self.augmentation.crop(image, target, size_hw, ignore, rng, wanted)
        else:
            image, target = self.augmentation(*self.split.read(self.split.pairs[index]), ignore, rng, wanted)
        bands, target = pad_to(
            normalise(image, self.mean, self.std), target, self.augmentation.crop_size, ignore
        )
        # torch has few operations on 16-bit unsigned integers.
        kind = np.uint8 if target.dtype == np.uint8 else np.int32
        return torch.from_numpy(bands), torch.from_numpy(np.ascontiguousarray(target, kind))
