"""The classes of weights beside those of data: the same, or matched by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segformer_cli.classes import same_name
from segformer_cli.data.pairs import Split
from segformer_cli.errors import DataError, UsageError, did_you_mean
from segformer_cli.model.checkpoint import ModelConfig


@dataclass(frozen=True, eq=False)
class ClassMatch:
    """Which class of the weights is which class of the data.

    `meaning` holds, for each class of the weights, the data's class, or K where the data has none such. `renamed` are
    pairs of an alias that left the data's class of the first name without one of the weights.
    """

    pairs: tuple[tuple[str, str], ...]
    unknown_to_weights: tuple[str, ...]
    unknown_to_data: tuple[str, ...]
    meaning: NDArray[np.intp]
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def note(self) -> str | None:
        """What to know of aliases, None where nothing is."""
        said = [
            f"--alias {ours}={theirs} takes {ours} away from the data's class of that name, which is not counted now"
            for ours, theirs in self.renamed
        ]
        return "; ".join(said) or None

    def __str__(self) -> str:
        """One line for people: what was matched, and what was not."""
        renamed = [f"{ours} = {theirs}" for ours, theirs in self.pairs if same_name(ours) != same_name(theirs)]
        text = f"{len(self.pairs)} classes matched by name"
        text += f" ({', '.join(renamed)})" if renamed else ""
        if self.unknown_to_weights:
            text += f"; not counted, unknown to the weights: {', '.join(self.unknown_to_weights)}"
        if self.unknown_to_data:
            text += f"; always wrong, unknown to the data: {', '.join(self.unknown_to_data)}"
        return text


def check_classes(config: ModelConfig, split: Split) -> None:
    """Nothing where weights and data have the same classes in the same order.

    Raises:
        DataError: they differ; a score would compare unlike things.
    """
    ours, theirs = config.class_names, split.class_names
    if ours == theirs or ((_numbered(ours) or _numbered(theirs)) and len(ours) == len(theirs)):
        return
    pairs = enumerate(zip(ours, theirs, strict=False))
    different = next((index for index, (a, b) in pairs if a != b), min(len(ours), len(theirs)))
    shared = len({same_name(name) for name in ours} & {same_name(name) for name in theirs})
    way_out = "score weights on the classes they were trained for, or fine-tune: segformer train -w WEIGHTS -d DATA"
    if _numbered(theirs):
        way_out = f"the data's classes are the ids in its masks, up to {len(theirs) - 1}: name them in classes.txt"
    raise DataError(
        f"the weights know {len(ours)} classes ({_first(ours)}), {split.data} has {len(theirs)} ({_first(theirs)})",
        where=f"class {different}: {_at(ours, different)} in the weights, {_at(theirs, different)} in the data",
        hint=f"{way_out}; --by-name would match {shared} classes by their names" if shared else way_out,
    )


def numbered_note(config: ModelConfig, split: Split) -> str | None:
    """What to know where one side alone has names for its classes, None where both or neither have."""
    ours, theirs = config.class_names, split.class_names
    if _numbered(ours) == _numbered(theirs):
        return None
    if _numbered(theirs):
        return "classes were matched by number, since the data name none: classes.txt, a name a line, would say which"
    return "classes were matched by number, since the weights name none of theirs"


def match_by_name(config: ModelConfig, split: Split, aliases: Sequence[str] = ()) -> ClassMatch:
    """Each class of the weights with the data's class of the same name, give or take case, blanks and dashes.

    Args:
        aliases: texts WEIGHTS_CLASS=DATA_CLASS, which come before equal names.

    Raises:
        UsageError: an alias names no class, or a class has two.
        DataError: not one class is matched.
    """
    said = _aliases(aliases, config.class_names, split.class_names)
    places = {same_name(name): index for index, name in enumerate(split.class_names)}
    K = len(split.class_names)
    meaning = np.array([places.get(said.get(same_name(n), same_name(n)), K) for n in config.class_names], np.intp)
    matched = [
        (name, split.class_names[index])
        for name, index in zip(config.class_names, meaning, strict=True)
        if index < K
    ]
    if not matched:
        raise DataError(
            f"no class of the weights ({_first(config.class_names)}) has the name of one of {split.data} "
            f"({_first(split.class_names)})",
            hint="say which is which: --alias WEIGHTS_CLASS=DATA_CLASS",
        )
    unknown = tuple(name for index, name in enumerate(split.class_names) if index not in meaning)
    left = {same_name(name) for name in unknown}
    return ClassMatch(
        tuple(matched),
        unknown,
        tuple(name for name, index in zip(config.class_names, meaning, strict=True) if index == K),
        meaning,
        tuple((ours, theirs) for ours, theirs in matched if same_name(ours) in left),
    )


def without_classes(split: Split, names: Sequence[str]) -> Split:
    """The split with the pixels of some classes ignored."""
    dropped = [index for index, name in enumerate(split.class_names) if name in names]
    ids = np.where(np.isin(split.ids, dropped), split.ignore_index, split.ids).astype(np.int32)
    return replace(split, ids=ids)


def named_groups(texts: Sequence[str], class_names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Groups of class ids from texts NAME=CLASS,CLASS.

    Raises:
        UsageError: a text has another form, names no class, or a group that was named already.

    >>> named_groups(["vehicle=car, bus"], ["road", "car", "bus"])
    {'vehicle': (1, 2)}
    """
    places = {same_name(name): index for index, name in enumerate(class_names)}
    groups = {}
    for text in texts:
        name, equals, members = text.partition("=")
        wanted = [same_name(member) for member in members.split(",") if member.strip()]
        if not equals or not name.strip() or not wanted:
            raise UsageError(
                f"--group {text!r} is no group",
                hint="give NAME=CLASS,CLASS such as vehicle=car,bus; in a list, in quotes: group=['vehicle=car,bus']",
            )
        for member in wanted:
            if member not in places:
                raise UsageError(
                    f"there is no class {member!r}", where=f"--group {text}", hint=did_you_mean(member, places)
                )
        if name.strip() in groups:
            raise UsageError(
                f"the group {name.strip()!r} is given twice", hint=f"name all its classes at once: {name.strip()}=A,B"
            )
        groups[name.strip()] = tuple(sorted({places[member] for member in wanted}))
    return groups


def _aliases(texts: Sequence[str], ours: Sequence[str], theirs: Sequence[str]) -> Mapping[str, str]:
    said: dict[str, str] = {}
    for text in texts:
        first, equals, second = text.partition("=")
        if not equals:
            raise UsageError(f"--alias {text!r} names one class", hint="give WEIGHTS_CLASS=DATA_CLASS")
        for name, known, whose in ((first, ours, "weights"), (second, theirs, "data")):
            names = [same_name(each) for each in known]
            if same_name(name) not in names:
                raise UsageError(
                    f"the {whose} have no class {name.strip()!r}",
                    where=f"--alias {text}",
                    hint=did_you_mean(same_name(name), names),
                )
        if said.get(same_name(first), same_name(second)) != same_name(second):
            raise UsageError(
                f"the weights' class {first.strip()!r} has two aliases", where=f"--alias {text}", hint="give one"
            )
        said[same_name(first)] = same_name(second)
    return said


def _numbered(names: Sequence[str]) -> bool:
    return names[0] == "class_0"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _at(names: Sequence[str], index: int) -> str:
    return repr(names[index]) if index < len(names) else "nothing"
