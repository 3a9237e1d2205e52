"""The class-map check: a network looks at some pictures, and says whether the ids of their masks mean what was said.

Where another meaning fits far better, that is a `ClassMap`, with the settings that read the data so. `segformer data
check -w` looks on purpose; `train -w` and `eval` look at a few pictures by themselves, and warn.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import known_set, same_name
from segformer_cli.data.bending import IGNORE, Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.engine.device import choose_device
from segformer_cli.engine.distributed import own_device
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.scoring import Judged
from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.images import Ids
from segformer_cli.model.checkpoint import ModelConfig, network_from
from segformer_cli.progress import Progress, ProgressListener
from segformer_cli.workflows.class_match import check_classes, match_by_name
from segformer_cli.workflows.id_readings import IdCounts, Reading, better_reading, whole_table
from segformer_cli.workflows.memory import memory_told
from segformer_cli.workflows.planning import TrainingPlan

FEW = 4
"""Pictures that are looked at where nobody asked."""

MANY = 40
"""Pictures of an evaluation from which on what the first few say is not left for its end."""

SPREAD = 12
"""Further ones of an evaluation, which has their masks at hand anyway."""

PIXELS = 1024 * 1024
"""Of what the network sees of a picture: larger ones are made smaller, which tells as much of what ids mean."""

NAMED = 8
"""Ids that a line names; the rest are counted."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Another meaning of the ids than the data is read with, and the way out, as one line."""

    reading: Reading
    said: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.said}: {self.way_out}"


def class_map_of(counts: IdCounts, split: Split, data: str, name: str, bending: Bending) -> ClassMap | None:
    """What is to be said of a split by what was counted of it; None where its ids mean what they should.

    Args:
        data, name, bending: how the split was opened, so that what is proposed is tried out before.
    """
    reading = better_reading(counts, split)
    if reading is None:
        return None
    scores = f"mIoU {reading.miou:.2f} as they are read, {reading.best_miou:.2f} so"
    images = f"{reading.images} {'picture' if reading.images == 1 else 'pictures'} of {split.name}"
    said = f"{_head(reading, split)} ({scores}, on {images})"
    return ClassMap(reading, said, _way_out(reading, split, data, name, bending))


def looked_at(
    segmenter: Segmenter,
    split: Split,
    images: int,
    meaning: NDArray[np.intp] | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> IdCounts:
    """The ids of masks beside what the network predicts, of pictures that are spread over a split.

    Each passes once, whole, at the checkpoint's own size or smaller. What cannot be read is passed over: others tell.

    Args:
        meaning: as in `match_by_name`.
        tell: told after each picture how many are done, of how many.
    """
    counts = IdCounts(len(split.class_names))
    pairs = split.spread(images).pairs
    for done, pair in enumerate(pairs, 1):
        try:
            with memory_told("smaller pictures"):
                read = _read(split, pair)
                mask = None if read is None else _predicted(segmenter, read[0])
        except SegFormerError:
            read = mask = None
        if read is not None and mask is not None:
            counts.add(read[1], mask if meaning is None else meaning[mask].astype(np.uint16))
        tell(done, len(pairs))
    return counts


def meaning_of(config: ModelConfig, split: Split) -> NDArray[np.intp] | None:
    """The data's class for each class of the weights, None where they are the same; the order may differ.

    Raises:
        DataError: a class of the data is unknown to the weights.
    """
    try:
        check_classes(config, split)
        return None
    except DataError as error:
        if not knows_by_name(config, split):
            hint = "name weights that were trained on the classes of the data, or leave out -w"
            raise DataError(error.message, where=error.where, hint=hint) from None
    return match_by_name(config, split).meaning


def knows_by_name(config: ModelConfig, split: Split) -> bool:
    """Whether every class of the data is one of the weights by its name; numbers are no names."""
    known = {same_name(name) for name in config.class_names}
    names = split.class_names
    return names[0] != "class_0" and len(names) > 1 and all(same_name(name) in known for name in names)


def note_for_training(planned: TrainingPlan) -> str | None:
    """What to know before training goes on from weights that know the data's classes; None where nothing is.

    Draws from torch's random numbers: to be called before they are seeded.
    """
    config, checkpoint, split = planned.config, planned.checkpoint, planned.train
    # Of a cross-validation, the first fold tells for all.
    if checkpoint is None or checkpoint.kind == "backbone" or planned.run is not None or (config.fold or 1) > 1:
        return None
    same = (checkpoint.config.class_names, checkpoint.config.training_data) == (split.class_names, split.data)
    try:
        segmenter = Segmenter.of(network_from(checkpoint), own_device(choose_device(config.device)))
        if not same and not knows_by_name(segmenter.config, split):
            return None
        counts = looked_at(segmenter, split, FEW, meaning_of(segmenter.config, split))
    except SegFormerError:
        return None                             # it is told where it matters
    found = class_map_of(counts, split, config.data, "train", Bending.of(config))
    return None if found is None else f"warning: {found}"


class IdWatch:
    """Looks at the ids of masks beside what a network predicts for them anyway, while a split is scored.

    No picture passes the network for it, unless a mask cannot be read.
    """

    def __init__(self, segmenter: Segmenter, split: Split, data: str, bending: Bending) -> None:
        N = len(split)
        self.segmenter, self.split, self.data, self.bending = segmenter, split, data, bending
        self.counts = IdCounts(len(split.class_names))
        self._wanted = {*range(FEW), *(place * N // SPREAD for place in range(SPREAD))}

    def over(self, pictures: Iterable[Judged], progress: ProgressListener) -> Iterator[Judged]:
        """The same pictures, some of them looked at in passing; of many, what the first few say is told at once.

        Raises:
            DataError: a mask is not what it should be, with what its ids look like.
        """
        try:
            for done, each in enumerate(pictures):
                yield each
                if each.index not in self._wanted or each.pair.mask is None:
                    continue
                self.counts.add(self.split.read_ids(each.pair.mask), each.mask)
                if self.counts.images == FEW and len(self.split) >= MANY and (found := self.found()) is not None:
                    progress(Progress("eval", done + 1, None, "image", message=f"warning: {found}"))
        except DataError as error:
            self._explain(error)
            raise

    def found(self) -> ClassMap | None:
        """What is to be said by all that was seen."""
        return class_map_of(self.counts, self.split, self.data, self.split.name, self.bending)

    def _explain(self, error: DataError) -> None:
        """Adds to an error about masks what their ids look like, at the cost of a few pictures."""
        self.counts = looked_at(self.segmenter, self.split, FEW)
        found = self.found()
        if found is not None:
            error.hint = "; ".join(text for text in (str(found), error.hint) if text)


def _read(split: Split, pair: Pair) -> tuple[NDArray[np.generic], Ids] | None:
    """The picture and the ids of its mask's file; None where they do not fit."""
    if pair.mask is None:
        return None
    stored = split.read_ids(pair.mask)
    for upright in (True, False):
        image = split.read_image(pair, upright=upright)
        if image.shape[:2] == stored.shape:
            return image, stored
    return None


def _predicted(segmenter: Segmenter, image: NDArray[np.generic]) -> Ids:
    """The mask of a picture, passed once, and smaller where it is large."""
    if isinstance(segmenter.model, ExportedModel):
        return segmenter.mask(image)            # its size may be fixed
    height, width = segmenter.config.size.fitted((image.shape[0], image.shape[1]))
    ratio = min(1.0, (PIXELS / (height * width)) ** 0.5)
    protocol = dataclasses.replace(segmenter.protocol, window=None, stride=None, ratios=(ratio,), flip=False)
    return dataclasses.replace(segmenter, protocol=protocol).mask(image)


# --- what is said ---------------------------------------------------------------------------------------


def _head(reading: Reading, split: Split) -> str:
    known = known_set(split.class_names)
    of_files = "labelIds" if known is not None and known.name == "cityscapes" else "the ids of the data set's own files"
    if reading.name == "from_one":
        return "your masks seem to count the classes from 1, and are read as from 0"
    if reading.name == "from_zero":
        return "your masks seem to count the classes from 0, and are read as from 1"
    if reading.name == "file_ids":
        return f"your masks look like {of_files}, and are read otherwise"
    if reading.name == "class_ids":
        return f"your masks look like ids of the classes (train ids), and are read as {of_files}"
    names = split.class_names
    classes = [names[k] for k in sorted({int(reading.table[index]) for index in reading.moved})]
    if reading.name == "swap":
        return f"{classes[0]} and {classes[1]} seem to be swapped in your masks"
    shown = ", ".join(f"{index} is {names[reading.table[index]]}" for index in reading.moved[:NAMED])
    more = f" and {len(reading.moved) - NAMED} more" if len(reading.moved) > NAMED else ""
    return f"the ids of your masks seem to mean other classes: {shown}{more}"


def _way_out(reading: Reading, split: Split, data: str, name: str, bending: Bending) -> str:
    """The settings that read the data so, tried out; else what must be done by hand."""
    said = _said_otherwise(reading, split, bending)
    tried = next((each for each in said if _reads_so(each, reading, split, data, name)), None)
    if tried is None:
        return "save the masks with the ids that the data's classes have, or mend the table of its classes"
    options = ["--reduce-zero"] if tried.reduce_zero and not bending.reduce_zero else []
    if tried.map:
        options += [f"--map {shlex.quote(entry)}" for entry in tried.map]
    else:
        dropped = (("--map", bending.map), ("--reduce-zero", bending.reduce_zero and not tried.reduce_zero))
        options += [f"no {option}" for option, is_given in dropped if is_given]
    unclear = ", ".join(map(str, reading.unclear[:NAMED])) + (" ..." if len(reading.unclear) > NAMED else "")
    doubt = f" (what these ids are, the pictures do not tell: {unclear})" if reading.unclear else ""
    return f"use {' '.join(options)}{doubt}"


def _said_otherwise(reading: Reading, split: Split, bending: Bending) -> Sequence[Bending]:
    """Settings that may read the data so, the shortest first."""
    kept = tuple(entry for entry in bending.map if int(entry.partition("=")[0]) not in reading.moved)
    zeroes = {"from_one": True, "from_zero": False}
    found = []
    if zeroes.get(reading.name, bending.reduce_zero) != bending.reduce_zero:
        found.append(dataclasses.replace(bending, reduce_zero=not bending.reduce_zero))
    named = split.class_names[0] != "class_0" and all(_is_plain(name) for name in split.class_names)

    def target(index: int) -> str:
        k = int(reading.table[index])
        return IGNORE if k == split.ignore_index else split.class_names[k] if named else str(k)

    entries = tuple(f"{index}={target(index)}" for index in reading.moved)
    bent = dataclasses.replace(bending, map=(*kept, *entries))
    return [*found, bent, dataclasses.replace(bent, reduce_zero=False)]


def _is_plain(name: str) -> bool:
    """Whether a class can be named on the command line; numbers, and what divides lists, cannot."""
    return not name.isdigit() and same_name(name) != IGNORE and not set(name) & set(",=[]{}'\"")


def _reads_so(bending: Bending, reading: Reading, split: Split, data: str, name: str) -> bool:
    try:
        opened = open_data(data, name, bending)
    except SegFormerError:
        return False
    table = whole_table(opened)
    moved = list(reading.moved)
    return opened.class_names == split.class_names and bool((table[moved] == reading.table[moved]).all())
