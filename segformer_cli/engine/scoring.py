"""A network over the labelled pictures of a split: each with its mask and its exact confusion matrix, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from segformer_cli.classes import mask_dtype
from segformer_cli.data.dataset import raising, start_worker
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.engine.inference import Segmenter, mask_and_confidence, prepare, upsampled_mask
from segformer_cli.engine.memory import free_bytes, peak_during
from segformer_cli.engine.upsampling import LogitMap, class_values
from segformer_cli.errors import SegFormerError
from segformer_cli.images import Ids, Pixels
from segformer_cli.metrics.confusion import Counts, confusion_matrix, device_confusion
from segformer_cli.metrics.scores import scores
from segformer_cli.progress import Progress, ProgressListener, ignore_progress

Floats = NDArray[np.float32]

LOOKED_AT = 9
"""Pictures whose sizes say how many pass the network together."""

MOST_TOGETHER = 16
"""More keep a GPU no busier."""

USABLE = 0.8
"""Share of the free memory: a picture between those looked at may be larger."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One picture of a split beside what was predicted for it.

    `target` and `mask` are (H, W); an id of the mask that is no class of the data means "none of them", and is
    counted in the last column of `confusion`, which then is (K, K + 1). `confidence` (H, W) and `maps` are
    there where a network predicted.
    """

    index: int
    pair: Pair
    target: Ids
    mask: Ids
    confusion: Counts
    confidence: Floats | None = None
    maps: Sequence[LogitMap] = ()

    @property
    def target_hash(self) -> str:
        """As `hash_of_target` gives it."""
        return hash_of_target(self.target)


def hash_of_target(target: Ids) -> str:
    """Of the target's size and ids: two scores compare only where these are equal."""
    digest = hashlib.sha256(f"{target.shape} ".encode())
    digest.update(target.astype("<u2").tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a split is worked through; nothing here changes a result on a CPU.

    `batch_size` auto is what `pictures_together` gives. `shard` of `shards` takes every so-many-th picture, for
    several processes.
    """

    batch_size: int | Literal["auto"] = 1
    workers: int = 0
    shard: int = 0
    shards: int = 1


def score_split(
    segmenter: Segmenter,
    split: Split,
    pace: Pace | None = None,
    progress: ProgressListener = ignore_progress,
    stage: str = "eval",
) -> Counts:
    """The summed confusion matrix of a split; nothing else of the whole set is kept."""
    K = len(split.class_names)
    total = np.zeros((K, K), np.int64)
    for each in told(judge(segmenter, split, pace or Pace()), len(split), progress, stage):
        total += each.confusion
    return total


def judge(
    segmenter: Segmenter,
    split: Split,
    pace: Pace,
    *,
    confident: bool = False,
    meaning: NDArray[np.intp] | None = None,
) -> Iterator[Judged]:
    """Every picture of the split, or of the shard, once.

    Args:
        confident: the probability of the chosen class is wanted too.
        meaning: the data's class for each class of the network, K where it is none of them; None where the
            two are the same.

    Raises:
        DataError, ImageError: a file is not what it should be.
        WeightsError: the network's logits are not finite.
    """
    together = pictures_together(segmenter, split, pace.batch_size)
    for inputs, read in _batches(segmenter, split, pace, together):
        passes = _passes(segmenter, inputs, [split.pairs[index] for index, _ in read])
        for maps, (index, target) in zip(passes, read, strict=True):
            yield _judged(maps, index, target, split, confident, meaning)


def pictures_together(segmenter: Segmenter, split: Split, batch_size: int | Literal["auto"]) -> int:
    """How many pictures pass the network together; of auto, as many of the largest as the memory of a GPU takes.

    One on any other device: a CPU takes one at a time anyway, and Apple's GPU does not tell what it has left.
    """
    if batch_size != "auto":
        return batch_size
    free = free_bytes(segmenter.device) if segmenter.device.type == "cuda" else None
    images = []
    for pair in split.spread(LOOKED_AT).pairs if free is not None else ():
        with suppress(SegFormerError):      # what cannot be read is told where it is scored
            images.append(split.read_image(pair))
    if free is None or not images:
        return 1
    largest = max(images, key=lambda image: image.shape[0] * image.shape[1])
    inputs = segmenter.prepare(largest)

    def work() -> None:
        (maps,) = segmenter.passes(inputs)
        upsampled_mask(maps, (largest.shape[0], largest.shape[1]))

    work()          # what it makes once is no picture's
    each = peak_during(work, segmenter.device) or free
    return max(1, min(MOST_TOGETHER, int(USABLE * free) // max(1, each)))


def told(
    pictures: Iterable[Judged], count: int, progress: ProgressListener = ignore_progress, stage: str = "eval"
) -> Iterator[Judged]:
    """The same pictures, with a word of progress after each: the running mIoU."""
    total: Counts | None = None
    for done, each in enumerate(pictures, start=1):
        total = each.confusion if total is None else total + each.confusion
        yield each
        progress(Progress(stage, done, count, "image", {"mIoU": scores(total).miou}))


def values_at(maps: Sequence[LogitMap], source_hw: tuple[int, int], places: NDArray[np.intp]) -> Floats:
    """The values (n, K) of `class_values` at some pixels, given by their flat indices in ascending order."""
    found = []
    rows_of, columns = np.divmod(places, source_hw[1])
    for rows, values in class_values(maps, source_hw):
        inside = (rows_of >= rows.start) & (rows_of < rows.stop)
        found.append(values[rows_of[inside] - rows.start, columns[inside]].float().cpu().numpy())
    return np.concatenate(found)


def _judged(
    maps: Sequence[LogitMap],
    index: int,
    target: Ids,
    split: Split,
    confident: bool,
    meaning: NDArray[np.intp] | None,
) -> Judged:
    source_hw = target.shape[0], target.shape[1]
    confidence = None
    if confident:
        ids, probability = mask_and_confidence(maps, source_hw)
        confidence = probability.cpu().numpy()
    else:
        ids = upsampled_mask(maps, source_hw)
    K = len(split.class_names)
    mask: Ids = ids.cpu().numpy()
    if meaning is not None:
        mask = meaning[mask].astype(np.uint16)
    if ids.device.type == "cpu" or meaning is not None:
        confusion = confusion_matrix(target, mask, K, split.ignore_index, others=meaning is not None)
    else:
        true = torch.from_numpy(target.astype(np.int32)).to(ids.device)
        confusion = device_confusion(true, ids, K, split.ignore_index)
    return Judged(index, split.pairs[index], target, mask, confusion, confidence, maps)


def _passes(segmenter: Segmenter, inputs: list[Tensor], pairs: list[Pair]) -> list[list[LogitMap]]:
    try:
        return segmenter.passes(inputs)
    except SegFormerError as error:
        if len(pairs) > 1:
            # One by one: the error is to name its picture.
            alone = [[images[index : index + 1] for images in inputs] for index in range(len(pairs))]
            return [_passes(segmenter, each, [pair])[0] for each, pair in zip(alone, pairs, strict=True)]
        error.where = error.where or str(pairs[0].image)
        raise


Item = tuple[list[Tensor], int, Ids]
"""A picture as the network wants it, at every ratio; its place in the split; its target."""


class _EvalImages(Dataset[Item | SegFormerError]):
    """Pictures prepared for the network, beside their targets; or the error of reading them, see `raising`."""

    def __init__(self, segmenter: Segmenter, split: Split, indices: range) -> None:
        # The network stays in the main process; workers need only how pictures are prepared.
        self.config, self.protocol = segmenter.config, segmenter.protocol
        self.split, self.indices = split, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> Item | SegFormerError:
        index = self.indices[place]
        try:
            image, target = read_labelled(self.split, self.split.pairs[index])
            return prepare(image, self.config, self.protocol), index, target
        except SegFormerError as error:
            return error


def read_labelled(split: Split, pair: Pair) -> tuple[Pixels, Ids]:
    """The picture and its target; where it has no labels, a target whose every pixel is ignored."""
    if pair.mask is not None:
        return split.read(pair)
    image = split.read_image(pair)
    return image, np.full(image.shape[:2], split.ignore_index, mask_dtype(len(split.class_names)))


def _batches(
    segmenter: Segmenter, split: Split, pace: Pace, together: int
) -> Iterator[tuple[list[Tensor], list[tuple[int, Ids]]]]:
    """Batches of neighbours that have one size: for each ratio the pictures, and the (index, target) of each."""
    loader: DataLoader[Any] = DataLoader(
        _EvalImages(segmenter, split, range(pace.shard, len(split), pace.shards)),
        batch_size=None,
        num_workers=pace.workers,
        collate_fn=_as_it_is,
        worker_init_fn=start_worker,
        prefetch_factor=2 if pace.workers else None,
    )
    for _, items in groupby(raising(loader), key=lambda item: [each.shape for each in item[0]]):
        batch: list[Item] = []
        for item in items:
            batch.append(item)
            if len(batch) == together:
                yield _joined(batch)
                batch = []
        if batch:
            yield _joined(batch)


def _as_it_is(item: Any) -> Any:
    """Without it, the loader would turn targets into tensors."""
    return item


def _joined(batch: list[Item]) -> tuple[list[Tensor], list[tuple[int, Ids]]]:
    images = [torch.cat(at_one_ratio) for at_one_ratio in zip(*(inputs for inputs, _, _ in batch), strict=True)]
    return images, [(index, target) for _, index, target in batch]
