"""What is wrong with whole splits, and between them, judged by what was seen of their pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segformer_cli.data.findings import Fault, Look
from segformer_cli.data.lying import masks_alone, passed_over
from segformer_cli.data.pairs import UNKNOWN, Split
from segformer_cli.data.problems import Problem, gathered, problem
from segformer_cli.data.promised import PROMISED, SHARED
from segformer_cli.data.repeated import Repeat, Shown, repeats

NAMED = 8
"""Classes and ids that a line names; the rest are counted."""

_TOLD_OF_SPLITS = ("unknown_id", "all_ignored")
"""Kinds of faults of pairs that are told for a split as a whole."""


@dataclass(frozen=True, eq=False)
class SplitLooks:
    """What was seen of a split, counted pair by pair.

    `pixels` and `masks` (65536,) are those of each id of the files, `first_of` the first mask that holds it, `kinds`
    how many masks there are of each kind; `unusable` says of pairs that training cannot read why.
    """

    split: Split
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(65536, np.int64))
    masks: NDArray[np.int64] = field(default_factory=lambda: np.zeros(65536, np.int64))
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    unusable: dict[int, frozenset[str]] = field(default_factory=dict)
    first_of: dict[int, str] = field(default_factory=dict)

    def add(self, number: int, index: int, look: Look) -> None:
        """Count what was seen of a pair, the `index`th of split `number`."""
        self.pixels[look.ids] += look.pixels
        self.masks[look.ids] += 1
        self.faults.extend(look.faults)
        if look.mask_kind is not None:
            self.kinds[look.mask_kind] += 1
        if look.digest is not None:
            self.shown.append(Shown(number, index, look.digest, look.alike))
        if look.unusable_for:
            self.unusable[index] = look.unusable_for
        if new := set(look.ids.tolist()).difference(self.first_of):
            self.first_of.update(dict.fromkeys(new, str(self.split.pairs[index].mask)))

    @property
    def class_ids(self) -> NDArray[np.int32]:
        """(65536,) the class of each id of the files, `ignore_index` or `UNKNOWN`."""
        found = np.full(65536, UNKNOWN, np.int32)
        found[: len(self.split.ids)] = self.split.ids
        return found

    def unknown(self) -> list[int]:
        """The ids that occur and mean nothing, those in most masks first."""
        found = np.flatnonzero((self.masks > 0) & (self.class_ids == UNKNOWN))
        return [int(each) for each in sorted(found, key=lambda index: -self.masks[index])]

    def ids(self) -> list[dict[str, int | None]]:
        """Every id that occurs: its pixels, the masks that hold it, the class that it stands for."""
        classes = self.class_ids
        return [
            {
                "id": each,
                "pixels": int(self.pixels[each]),
                "masks": int(self.masks[each]),
                "class": None if classes[each] in (UNKNOWN, self.split.ignore_index) else int(classes[each]),
            }
            for each in np.flatnonzero(self.masks).tolist()
        ]

    def class_pixels(self) -> NDArray[np.int64]:
        """(K,) pixels of each class."""
        return np.array([self.pixels[self.class_ids == k].sum() for k in range(len(self.split.class_names))], np.int64)


def problems_of(looks: Sequence[SplitLooks], layout: str, repeated: Sequence[Repeat]) -> list[Problem]:
    """All problems of splits that were looked at.

    Args:
        layout: its name; of published ones the numbers of pictures are known.
        repeated: what `repeated_in` found.
    """
    wholly = [each for each in looks if _is_wholly_ignored(each)]
    faults = [fault for each in looks for fault in each.faults if fault.kind not in _TOLD_OF_SPLITS]
    faults += [
        fault for each in looks if each not in wholly for fault in each.faults if fault.kind == "all_ignored"
    ]
    pairs = [pair for each in looks for pair in each.split.pairs]
    found = gathered([*faults, *passed_over(pairs), *masks_alone(pairs)])
    found += [told for each in looks for told in _of_ids(each)]
    found += [told for each in looks for told in _of_classes(each)]
    found += _of_numbers(looks, layout)
    return found + list(_of_repeats(repeated, looks))


def repeated_in(looks: Sequence[SplitLooks], layout: str, alike: int) -> list[Repeat]:
    """The pictures that repeat others; `alike` is by how many of 64 bits the hashes of near duplicates may differ."""
    pictures = [picture for each in looks for picture in each.shown]
    return repeats(pictures, [each.split.name for each in looks], alike, SHARED.get(layout, ()))


def _is_wholly_ignored(looks: SplitLooks) -> bool:
    kinds = Counter(fault.kind for fault in looks.faults)
    return kinds["all_ignored"] == len(looks.split) > 0


def _of_ids(looks: SplitLooks) -> Iterator[Problem]:
    """Ids that mean nothing: how many masks hold each, and what would bend them."""
    unknown = looks.unknown()
    files = tuple(dict.fromkeys(str(fault.file) for fault in looks.faults if fault.kind == "unknown_id"))
    if not unknown or not files:
        return
    said = ", ".join(f"{each} in {_masks(looks.masks[each])} ({looks.pixels[each]} pixels)" for each in unknown[:NAMED])
    more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
    bent = " ".join(f"--map {each}=ignore" for each in unknown[:NAMED])
    hint = f"{bent} passes over {'it' if len(unknown) == 1 else 'them'}, ID=CLASS makes an id a class"
    hint = looks.split.or_from_one(hint, unknown, zero=bool(looks.masks[0]))
    detail = f"{looks.split.name}: {said}{more}; {looks.first_of[unknown[0]]} holds {unknown[0]}"
    yield problem("unknown_id", len(files), files[0], detail=detail, hint=hint, files=files)


def _masks(count: int) -> str:
    return "1 mask" if count == 1 else f"{count} masks"


def _of_classes(looks: SplitLooks) -> Iterator[Problem]:
    """Splits without labels, and classes without a pixel."""
    split = looks.split
    if not looks.kinds and not split.labelled:
        yield problem("unlabelled", 1, split.name, detail=f"{len(split)} pictures")
        return
    if _is_wholly_ignored(looks):
        # Publishers blank the masks of a test split: its labels are the test server's alone.
        kind = "unlabelled" if split.name.startswith("test") else "all_ignored_split"
        yield problem(kind, 1, split.name, detail=f"all pixels of {len(split)} masks are ignored")
        return
    counted = looks.class_pixels()
    absent = [name for name, pixels in zip(split.class_names, counted, strict=True) if not pixels]
    if absent and counted.any():
        more = f" and {len(absent) - NAMED} more" if len(absent) > NAMED else ""
        detail = f"{split.name} lacks {', '.join(absent[:NAMED])}{more}"
        yield problem("absent_class", len(absent), f"{split.name}: {absent[0]}", detail=detail)


def _of_numbers(looks: Sequence[SplitLooks], layout: str) -> list[Problem]:
    """Splits that have not as many pictures as were published."""
    promised = PROMISED.get(layout, {})
    other = [
        f"{each.split.name} has {len(each.split)}, published are {promised[each.split.name][0]}"
        for each in looks
        if len(each.split) not in promised.get(each.split.name, (len(each.split),))
    ]
    return [problem("counts", len(other), other[0].split()[0], detail="; ".join(other))] if other else []


def _of_repeats(repeated: Sequence[Repeat], looks: Sequence[SplitLooks]) -> Iterator[Problem]:
    """Copies within a split and leaks from one into another, exact ones and near ones."""
    kinds: dict[str, list[Repeat]] = {}
    for each in repeated:
        within = each.picture.split == each.other.split
        kind = ("near_" if each.near else "") + ("duplicate" if within else "leak")
        kinds.setdefault(kind, []).append(each)

    def name(shown: Shown) -> str:
        return str(looks[shown.split].split.pairs[shown.index].image)

    for kind, found in kinds.items():
        first = found[0]
        detail = f"{'like' if first.near else 'equal to'} {name(first.other)} of {looks[first.other.split].split.name}"
        files = tuple(dict.fromkeys(name(each.picture) for each in found))
        yield problem(kind, len(files), files[0], detail=detail, files=files)
