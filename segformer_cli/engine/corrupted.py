"""A network over corrupted pictures: each decoded once, corrupted in reading processes, beside its clean mask."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from segformer_cli.data.dataset import start_worker
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter, mask_and_confidence, prepare, upsampled_mask
from segformer_cli.engine.scoring import Floats, pictures_together, read_labelled
from segformer_cli.errors import SegFormerError
from segformer_cli.images import Ids
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.protocols import Cell
from segformer_cli.robustness.source import Source


@dataclass(frozen=True, eq=False)
class CorruptedMask:
    """What was predicted for one picture under one corruption; `cell` None is the clean picture.

    All arrays are (H, W) at label size; `confidence` is the probability of the predicted class.
    """

    index: int
    cell: Cell | None
    target: Ids
    mask: Ids
    clean_mask: Ids
    confidence: Floats | None = None


@dataclass(frozen=True)
class Unreadable:
    """A picture that could not be read, or is too small to corrupt."""

    index: int
    error: str


@dataclass
class Spent:
    """Seconds: reading processes corrupting, the network with all that follows it, waiting for pictures."""

    corrupting_s: float = 0.0
    network_s: float = 0.0
    waiting_s: float = 0.0


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some cells of one picture as the network wants them; the first chunk brings the target.

    `inputs` has for each ratio of the protocol one tensor (B, C, H, W), B the number of cells. `seconds` went into
    corrupting.
    """

    index: int
    cells: tuple[Cell | None, ...]
    inputs: list[Tensor]
    target: Ids | None
    last: bool
    seconds: float


def judge_corrupted(
    segmenter: Segmenter,
    split: Split,
    indices: Sequence[int],
    cells: Sequence[Cell],
    corrupter: Corrupter,
    *,
    batch_size: int | Literal["auto"] = 1,
    workers: int = 0,
    confident: bool = False,
    spent: Spent | None = None,
) -> Iterator[CorruptedMask | Unreadable | int]:
    """Each picture clean and in every cell, in any order of pictures; the index of a picture once it is through.

    Of a picture that fails on its way an `Unreadable` is the last that comes, in place of its index.

    Args:
        indices: of the pictures to take.
        batch_size: cells of one picture that pass the network together; auto: as `pictures_together` gives.
        workers: processes that read and corrupt; 0: this one.
        confident: also how sure the network is, pixel by pixel.
        spent: receives where the time went.
    """
    spent = spent or Spent()
    together = pictures_together(segmenter, split, batch_size)
    images = _CorruptedImages(segmenter, split, indices, cells, corrupter, together)
    loader: DataLoader[Any] = DataLoader(
        images,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=start_worker,
        prefetch_factor=2 if workers else None,
    )
    at_work: dict[int, tuple[Ids, Ids]] = {}
    asked = time.perf_counter()
    for chunk in loader:
        began = time.perf_counter()
        if isinstance(chunk, Unreadable):
            at_work.pop(chunk.index, None)
            yield chunk
        else:
            spent.corrupting_s += chunk.seconds
            spent.waiting_s += began - asked - (0 if workers else chunk.seconds)
            yield from _judged(segmenter, chunk, at_work, confident, spent)
        asked = time.perf_counter()


def _judged(
    segmenter: Segmenter, chunk: _Chunk, at_work: dict[int, tuple[Ids, Ids]], confident: bool, spent: Spent
) -> Iterator[CorruptedMask | int]:
    """The masks of a chunk; the target and the clean mask of its picture are kept until its last chunk."""
    target = at_work[chunk.index][0] if chunk.target is None else chunk.target
    source_hw = target.shape[0], target.shape[1]
    began = time.perf_counter()
    passes = segmenter.passes(chunk.inputs)
    spent.network_s += time.perf_counter() - began
    for cell, maps in zip(chunk.cells, passes, strict=True):
        began = time.perf_counter()
        confidence = None
        if confident:
            ids, probability = mask_and_confidence(maps, source_hw)
            confidence = probability.cpu().numpy()
        else:
            ids = upsampled_mask(maps, source_hw)
        mask: Ids = ids.cpu().numpy()
        if cell is None:
            at_work[chunk.index] = target, mask
        spent.network_s += time.perf_counter() - began
        yield CorruptedMask(chunk.index, cell, target, mask, at_work[chunk.index][1], confidence)
    if chunk.last:
        del at_work[chunk.index]
        yield chunk.index


class _CorruptedImages(IterableDataset[_Chunk | Unreadable]):
    """Chunks of one picture after another; each worker takes every so-many-th picture."""

    def __init__(
        self,
        segmenter: Segmenter,
        split: Split,
        indices: Sequence[int],
        cells: Sequence[Cell],
        corrupter: Corrupter,
        batch_size: int,
    ) -> None:
        # The network stays in the main process; workers need only how pictures are prepared.
        self.config, self.protocol = segmenter.config, segmenter.protocol
        self.split, self.indices, self.cells = split, tuple(indices), tuple(cells)
        self.corrupter, self.batch_size = corrupter, batch_size

    def __iter__(self) -> Iterator[_Chunk | Unreadable]:
        worker = get_worker_info()
        mine = self.indices if worker is None else self.indices[worker.id :: worker.num_workers]
        for index in mine:
            yield from self._picture(index)

    def _picture(self, index: int) -> Iterator[_Chunk | Unreadable]:
        try:
            yield from self._chunks(index)
        except SegFormerError as error:
            yield Unreadable(index, str(error).replace("\n", "; "))

    def _chunks(self, index: int) -> Iterator[_Chunk]:
        pair = self.split.pairs[index]
        pixels, target = read_labelled(self.split, pair)
        image = self.split.shown(pixels)
        source = Source(image)
        # Clean comes alone and first: the others are compared with it.
        chunks: list[tuple[Cell | None, ...]] = [(None,)]
        chunks += [self.cells[at : at + self.batch_size] for at in range(0, len(self.cells), self.batch_size)]
        for number, cells in enumerate(chunks):
            began = time.perf_counter()
            pictures = [image if cell is None else self.corrupter(source, pair.key, cell) for cell in cells]
            seconds = time.perf_counter() - began
            prepared = [prepare(picture, self.config, self.protocol) for picture in pictures]
            inputs = [torch.cat(at_one_ratio) for at_one_ratio in zip(*prepared, strict=True)]
            last = number == len(chunks) - 1
            yield _Chunk(index, cells, inputs, target if number == 0 else None, last, seconds)


def _as_it_is(chunk: Any) -> Any:
    """Without it, the loader would turn targets into tensors."""
    return chunk
