"""What the ids of masks mean, judged by what a network sees there: as they are read, or otherwise by far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import known_set
from segformer_cli.data.bending import HIGHEST_ID, shifted, widened
from segformer_cli.data.pairs import UNKNOWN, Split, histogram, identity_ids, mapped_ids
from segformer_cli.images import Ids
from segformer_cli.metrics.assignment import best_assignment
from segformer_cli.metrics.confusion import Counts
from segformer_cli.metrics.scores import iou

AGREEMENT = 0.5
"""The least kappa of mask and prediction under a reading that is proposed: a network that knows little says nothing of
ids. Of random weights it is 0.4 at most, under the reading that suits them best; of the sample weights on CamVid's
photographs, which they have never seen the like of, 0.63 on a single picture."""

AGREEMENT_OF_TWO = 0.8
"""The same of two classes: weights that merely tell bright from dark are right or wrong all over. Of 100 random
ones and the sky of CamVid 14 reached 0.5, none 0.8."""

SEEN = 0.3
"""The least IoU of a class that speaks for another reading; there must be two of them."""

TIMES = 3.0
"""How many times as high as under the present reading it must be."""

STAYING = 0.1
"""IoU that another class must gain before an id is taken away from its own."""

AS_GOOD = 0.05
"""Of kappa and of mIoU, by which a reading that has a name may fall short of the best."""

FAINT = 0.05
"""IoU below which it is not told what an id is."""

_STRIP = 1 << 20
"""Pixels counted at a time: an aerial picture has tens of millions."""

IdTable = NDArray[np.int32]
Name = Literal["from_one", "from_zero", "file_ids", "class_ids", "swap", "other"]


class IdCounts:
    """How often each id of the mask files lies where the network predicts each class; sums over pictures."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.images = 0
        self._rows: dict[int, Counts] = {}

    def add(self, stored: Ids, mask: Ids) -> None:
        """Count one picture.

        Args:
            stored: (H, W), as the file holds them.
            mask: (H, W) predicted classes; a number that is none of the data's classes is counted as none.
        """
        K = self.num_classes
        present = np.flatnonzero(histogram(stored))
        places = np.zeros(HIGHEST_ID + 1, np.intp)
        places[present] = np.arange(len(present))
        found = np.zeros(len(present) * (K + 1), np.int64)
        of_file, predicted = stored.ravel(), mask.ravel()
        for start in range(0, of_file.size, _STRIP):
            strip = slice(start, start + _STRIP)
            codes = places[of_file[strip]] * (K + 1) + np.minimum(predicted[strip], K)
            found += np.bincount(codes, minlength=len(found))
        for index, row in zip(present.tolist(), found.reshape(-1, K + 1), strict=True):
            self._rows[index] = self._rows.get(index, 0) + row
        self.images += 1

    @property
    def ids(self) -> NDArray[np.intp]:
        """(F,) the ids that occur, in ascending order."""
        return np.array(sorted(self._rows), np.intp)

    @property
    def pixels(self) -> Counts:
        """(F, K + 1) pixels of each of these ids, by predicted class; the last column: by none."""
        return np.array([self._rows[index] for index in sorted(self._rows)], np.int64).reshape(-1, self.num_classes + 1)

    def under(self, table: IdTable) -> Agreement:
        """How masks and predictions agree where the ids are read by a table (65536,)."""
        K = self.num_classes
        classes = table[self.ids]
        counted = (classes >= 0) & (classes < K)
        confusion = np.zeros((K, K + 1), np.int64)
        np.add.at(confusion, classes[counted], self.pixels[counted])
        return Agreement(confusion)


@dataclass(frozen=True, eq=False)
class Agreement:
    """Masks beside predictions under one reading: `confusion` is (K, K + 1)."""

    confusion: Counts

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """(K,) of each class; 0 where it is in neither."""
        return np.nan_to_num(iou(self.confusion))

    @property
    def kappa(self) -> float:
        """Cohen's: 1 where all pixels agree, 0 where no more do than by chance, as with one class all over."""
        total = int(self.confusion.sum())
        if not total:
            return 0.0
        agreed = float(np.trace(self.confusion)) / total
        shares = self.confusion.sum(1) / total, self.confusion.sum(0)[:-1] / total
        chance = float(shares[0] @ shares[1])
        return (agreed - chance) / (1 - chance) if chance < 1 else 0.0


@dataclass(frozen=True, eq=False)
class Reading:
    """Another meaning of the ids that fits what the network sees far better.

    `table` (65536,) is for each id its class, `ignore_index` or `UNKNOWN`; `moved` are the ids that it gives another
    meaning, `unclear` those whose class is another's now, and of which these pictures do not tell what they are.
    `miou` and `best_miou` are those of the classes that occur, as the ids are read now and so.
    """

    name: Name
    table: IdTable
    moved: tuple[int, ...]
    unclear: tuple[int, ...]
    miou: float
    best_miou: float
    images: int


def better_reading(counts: IdCounts, split: Split) -> Reading | None:
    """The reading of the ids that agrees far better with the network than the split's own; None where none does.

    One with a name comes before the best assignment of ids to classes where it is as good: classes counted from 1 or
    from 0, ids of the data set's own files read as ids of classes, or the reverse. Two classes that have changed places
    come before all.
    """
    if not counts.images:
        return None
    present = whole_table(split)
    best, unclear = _assigned(counts, present, split.ignore_index)
    readings: list[tuple[Name, IdTable, tuple[int, ...]]] = [
        (name, table, ()) for name, table in _named(present, split) if _as_good(counts, table, best)
    ]
    assigned = _of_assignment(present, best), best, unclear
    for name, table, doubtful in (assigned, *readings) if assigned[0] == "swap" else (*readings, assigned):
        if _is_far_better(counts, present, table, split.ignore_index):
            ious = counts.under(present).iou, counts.under(table).iou
            shown = (ious[0] > 0) | (ious[1] > 0)
            moved = np.flatnonzero((table != present) & (table != UNKNOWN))
            means = [float(each[shown].mean()) for each in ious]
            return Reading(name, table, tuple(moved.tolist()), doubtful, means[0], means[1], counts.images)
    return None


def fits(counts: IdCounts, split: Split, reading: Reading) -> bool:
    """Whether a reading that was found on other pictures suits these better than the split's own too."""
    before, after = counts.under(whole_table(split)), counts.under(reading.table)
    return after.kappa > max(AGREEMENT, before.kappa) and after.iou.sum() > before.iou.sum()


def whole_table(split: Split) -> IdTable:
    """(65536,) the class of each id of the files, `ignore_index` or `UNKNOWN`."""
    return widened(split.ids, HIGHEST_ID)


def _is_far_better(counts: IdCounts, present: IdTable, table: IdTable, ignore_index: int) -> bool:
    """Whether the network agrees well with another reading, and two classes or more say so clearly.

    An id that means nothing yet, and is clearly a class, is enough alone.
    """
    before, after = counts.under(present), counts.under(table)
    ids = counts.ids
    differ = (present[ids] != table[ids]) & (table[ids] != UNKNOWN)
    classes = {*present[ids[differ]].tolist(), *table[ids[differ]].tolist()} - {UNKNOWN, ignore_index}
    clear = [k for k in sorted(classes) if after.iou[k] >= max(SEEN, TIMES * before.iou[k])]
    from_nothing = any((table[ids[differ & (present[ids] == UNKNOWN)]] == k).any() for k in clear)
    least = AGREEMENT if counts.num_classes > 2 else AGREEMENT_OF_TWO
    return after.kappa >= max(least, before.kappa) and (len(clear) >= 2 or from_nothing)


def _as_good(counts: IdCounts, table: IdTable, best: IdTable) -> bool:
    named, assigned = counts.under(table), counts.under(best)
    shown = (named.iou > 0) | (assigned.iou > 0)
    short = float((assigned.iou - named.iou)[shown].mean()) if shown.any() else 0.0
    return named.kappa >= assigned.kappa - AS_GOOD and short <= AS_GOOD


def _named(present: IdTable, split: Split) -> Iterator[tuple[Name, IdTable]]:
    """The readings that masks are often in, in which these are not read."""
    K, ignore_index = len(split.class_names), split.ignore_index
    yield "from_one", shifted(present, ignore_index)
    back = np.full_like(present, UNKNOWN)
    classes = np.flatnonzero((present != UNKNOWN) & (present != ignore_index))
    back[ignore_index] = ignore_index
    back[classes[classes > 0] - 1] = present[classes[classes > 0]]
    yield "from_zero", back
    known = known_set(split.class_names)
    if known is None or known.id_map is None:
        return
    file_ids, class_ids = mapped_ids(known), identity_ids(K, ignore_index)
    if file_ids[ignore_index] == UNKNOWN:
        file_ids[ignore_index] = ignore_index
    for name, table in (("file_ids", file_ids), ("class_ids", class_ids)):
        whole = widened(table, HIGHEST_ID)
        if (whole != present).any():
            yield ("file_ids" if name == "file_ids" else "class_ids"), whole


def _assigned(counts: IdCounts, present: IdTable, ignore_index: int) -> tuple[IdTable, tuple[int, ...]]:
    """The best assignment of ids to classes, and the ids of which it would be a guess; those keep their class.

    Ids that are read as one class stay together. An id that is ignored, or means nothing, may become a class too.
    """
    K, ids, pixels = counts.num_classes, counts.ids, counts.pixels
    classes = present[ids]
    groups = [ids[classes == k] for k in range(K)]
    rows = [pixels[classes == k].sum(0) for k in range(K)]
    for index, place in zip(ids.tolist(), range(len(ids)), strict=True):
        if classes[place] in (UNKNOWN, ignore_index) and index != ignore_index:
            groups.append(ids[place : place + 1])
            rows.append(pixels[place])
    overlaps = _overlaps(np.array(rows), K)
    gain = overlaps.copy()
    gain[np.arange(K), np.arange(K)] += STAYING
    columns = best_assignment(gain)
    table, unclear = np.array(present), []
    # What is left when all others are told is told as well.
    faint = [r for r, k in enumerate(columns) if r != k and len(groups[r]) and (k < 0 or overlaps[r, k] < FAINT)]
    of_classes = [r for r in faint if r < K]
    for r, k in enumerate(columns.tolist()):
        if r == k or not len(groups[r]):
            continue
        if r not in faint or (of_classes == [r] and k >= 0):
            table[groups[r]] = k
        elif r < K:
            unclear += groups[r].tolist()
    taken = {int(table[index]) for group in groups for index in group if table[index] != present[index]}
    unseen = np.setdiff1d(np.flatnonzero(np.isin(present, list(taken))), ids)
    return table, tuple(sorted({*unclear, *unseen.tolist()}))


def _overlaps(rows: Counts, num_classes: int) -> NDArray[np.float64]:
    """(R, K) the IoU that each row of ids would have as each class; the first K rows are counted now."""
    inside = rows[:, :num_classes]
    predicted = rows[:num_classes, :num_classes].sum(0)
    counted = (np.arange(len(rows)) < num_classes)[:, None]
    union = rows.sum(1)[:, None] + predicted[None] - np.where(counted, inside, 0)
    return np.asarray(inside / np.maximum(union, 1), np.float64)


def _of_assignment(present: IdTable, table: IdTable) -> Name:
    """A swap where two classes have changed places, and nothing else has."""
    moved = np.flatnonzero(present != table)
    ways = {(int(present[index]), int(table[index])) for index in moved}
    return "swap" if len(ways) == 2 and {way[::-1] for way in ways} == ways else "other"
