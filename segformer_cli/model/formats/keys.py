"""The names of tensors in another format, as a table of links to ours, built from a few rules and read both ways.

    rule    "attention.key_value" <-> "attn.key + attn.value"      one for all stages and blocks
    link    (our tensors) <-> (their tensors)                      one for each tensor, or few joined along rows
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate

import torch
from torch import Tensor

from segformer_cli.model.checkpoint import (
    Kind,
    ModelConfig,
    expected_shapes,
    raise_mismatch,
    widened,
    wrong_shape,
)
from segformer_cli.model.variants import VARIANTS

STAGES = 4
PARAMETERS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

FIRST_CONVOLUTION = "encoder.stages.0.embed.conv.weight"
CLASSIFIER = "head.classify.weight"


@dataclass(frozen=True)
class Rule:
    """One kind of layer in our words and in theirs.

    `{s}` is the stage from 0, `{t}` from 1, `{r}` counted from the deepest, `{j}` the block, `{p}` the
    parameter (at the end where it is not written). `a + b` are two layers joined along their rows.
    `pointwise`: what is a matrix for us is a 1x1 convolution for them.
    """

    ours: str
    theirs: str
    pointwise: bool = False


Rules = tuple[Rule, ...]


@dataclass(frozen=True)
class Link:
    """Our tensors which, joined along their rows, equal theirs joined along their rows."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    pointwise: bool = False


@dataclass(frozen=True)
class Translated:
    """A state dict under our names, with what its shapes say."""

    tensors: dict[str, Tensor]
    variant: str
    in_channels: int
    num_classes: int
    head_width: int | None


def prefixed(rules: Rules, prefix: str) -> Rules:
    """The rules with `prefix` before each of their names."""
    if not prefix:
        return rules
    return tuple(
        replace(rule, theirs=" + ".join(prefix + name for name in rule.theirs.split(" + "))) for rule in rules
    )


def links(rules: Rules, ours: Container[str]) -> list[Link]:
    """The table for a network whose tensors are `ours`, in the order of the rules."""
    return [link for rule in rules for link in _links_of(rule, ours)]


def _links_of(rule: Rule, ours: Container[str]) -> Iterator[Link]:
    for stage in range(STAGES if "{s}" in rule.ours else 1):
        block = 0
        while True:
            places = {"s": stage, "t": stage + 1, "r": STAGES - 1 - stage, "j": block}
            found = [link for parameter in PARAMETERS if (link := _link(rule, places, parameter)).ours[0] in ours]
            yield from found
            if not found or "{j}" not in rule.ours:    # a stage has as many blocks as have tensors
                break
            block += 1


def _link(rule: Rule, places: Mapping[str, int], parameter: str) -> Link:
    def names(pattern: str) -> tuple[str, ...]:
        parts = (part if "{p}" in part else part + ".{p}" for part in pattern.split(" + "))
        return tuple(part.format(**places, p=parameter) for part in parts)

    return Link(names(rule.ours), names(rule.theirs), rule.pointwise and parameter == "weight")


# --- theirs to ours -----------------------------------------------------------------------------------


def to_ours(theirs: Mapping[str, Tensor], rules: Rules, kind: Kind, where: str) -> Translated:
    """A state dict of theirs under our names; every tensor of it must have its place.

    Variant, classes, bands and head width come from names and shapes.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape, each named as the file names it.
    """
    variant = _closest_variant(theirs, rules, kind)
    table = _table(rules, variant, kind)
    theirs = _with_counters(theirs, table)
    known = [name for link in table for name in link.theirs]
    there = set(known)
    raise_mismatch(
        [name for name in known if name not in theirs], [name for name in theirs if name not in there], known, where
    )
    config = _config_of_shapes(theirs, table, variant)
    shapes = expected_shapes(config, kind)
    tensors: dict[str, Tensor] = {}
    for link in table:
        tensors.update(_join(link, theirs, shapes, config, where))
    return Translated(tensors, variant, config.in_channels, config.num_classes, config.head_width)


def _closest_variant(theirs: Mapping[str, Tensor], rules: Rules, kind: Kind) -> str:
    """The variant whose names differ least from the file's; b0 and b1, named alike, differ in width."""

    def distance(name: str) -> tuple[int, bool]:
        table = _table(rules, name, kind)
        names = {their for link in table for their in link.theirs}
        return len(names ^ theirs.keys()), _first_width(theirs, table) != VARIANTS[name].widths[0]

    return min(VARIANTS, key=distance)


def _first_width(theirs: Mapping[str, Tensor], table: Sequence[Link]) -> int | None:
    return _size(theirs, _their_name(table, FIRST_CONVOLUTION), 0)


@lru_cache(maxsize=64)
def _table(rules: Rules, variant: str, kind: Kind) -> tuple[Link, ...]:
    config = ModelConfig(variant=variant, class_names=("",), palette=((0, 0, 0),))
    return tuple(links(rules, expected_shapes(config, kind)))


def _with_counters(theirs: Mapping[str, Tensor], table: Sequence[Link]) -> Mapping[str, Tensor]:
    """The tensors with BatchNorm's batch counter, which some programs drop and no result depends on."""
    counters = [name for link in table for name in link.theirs if name.endswith(".num_batches_tracked")]
    return {**theirs, **{name: torch.tensor(0) for name in counters if name not in theirs}}


def _config_of_shapes(theirs: Mapping[str, Tensor], table: Sequence[Link], variant: str) -> ModelConfig:
    channels = _size(theirs, _their_name(table, FIRST_CONVOLUTION), 1) or 3
    classifier = _their_name(table, CLASSIFIER)
    classes = _size(theirs, classifier, 0) or 1
    width = _size(theirs, classifier, 1)
    return ModelConfig(
        variant=variant,
        class_names=("",) * classes,
        palette=((0, 0, 0),) * classes,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        in_channels=channels,
        head_width=None if width == VARIANTS[variant].head_width else width,
    )


def _their_name(table: Sequence[Link], ours: str) -> str | None:
    return next((link.theirs[0] for link in table if link.ours[0] == ours), None)


def _size(theirs: Mapping[str, Tensor], name: str | None, dimension: int) -> int | None:
    """A side of a tensor; None where there is no such tensor or side, which the check of shapes will name."""
    if name is None or name not in theirs or theirs[name].ndim <= dimension:
        return None
    return theirs[name].shape[dimension]


def _join(
    link: Link, theirs: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], config: ModelConfig, where: str
) -> dict[str, Tensor]:
    wanted = _their_shape(link, shapes)
    for name in link.theirs:
        if tuple(theirs[name].shape) != wanted:
            raise wrong_shape(name, tuple(theirs[name].shape), wanted, config.variant, where)
    parts = [widened(theirs[name].detach()) for name in link.theirs]
    joined = torch.cat(parts) if len(parts) > 1 else parts[0]
    if len(link.ours) == 1:
        return {link.ours[0]: joined.reshape(shapes[link.ours[0]])}
    cuts = list(accumulate(shapes[name][0] for name in link.ours))[:-1]
    return {name: part.clone() for name, part in zip(link.ours, joined.tensor_split(cuts), strict=True)}


def _their_shape(link: Link, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    shape = shapes[link.ours[0]]
    if not shape:
        return shape
    rows = sum(shapes[name][0] for name in link.ours) // len(link.theirs)
    return (rows, *shape[1:], 1, 1) if link.pointwise else (rows, *shape[1:])


# --- ours to theirs -----------------------------------------------------------------------------------


def to_theirs(ours: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Our tensors under their names. What no rule names is left out."""
    result: dict[str, Tensor] = {}
    for link in links(rules, ours):
        joined = torch.cat([ours[name] for name in link.ours]) if len(link.ours) > 1 else ours[link.ours[0]]
        parts = joined.chunk(len(link.theirs)) if len(link.theirs) > 1 else (joined,)
        for name, part in zip(link.theirs, parts, strict=True):
            result[name] = (part[..., None, None] if link.pointwise else part).clone().contiguous()
    return result
