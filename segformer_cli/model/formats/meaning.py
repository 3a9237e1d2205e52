"""What a file's numbers mean: class names, colours, size policy and licence, where it says so and where we guess."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from segformer_cli.classes import ClassSet, class_set, default_palette, ignore_index_for, known_set
from segformer_cli.errors import WeightsError
from segformer_cli.model.checkpoint import IMAGENET_MEAN, IMAGENET_STD, Checkpoint, Kind, ModelConfig
from segformer_cli.model.formats.keys import Translated
from segformer_cli.model.formats.source import OUR_ENTRY, Source
from segformer_cli.model.header import size_from_json
from segformer_cli.resize import NATIVE, SizePolicy

UNKNOWN_ORIGIN = "unknown origin; weights published by NVIDIA are non-commercial"
"""The licence of a file that others made and that states none: most SegFormers come from NVIDIA's weights."""

ADE_LONG_SIDE = 2048
ADE_SHORT_SIDE = 512
ADE_SHORT_SIDE_B5 = 640

_GUESSED = {150: "ade20k", 19: "cityscapes"}

_ENTRY_KEYS = ("training_data", "licence", "ignore_index", "mean", "std", "size")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What a file says beyond its tensors; None where it says nothing.

    `licence` None becomes `UNKNOWN_ORIGIN`, unless the file is one of ours. `ade_short` is the short side in
    pixels if the classes turn out to be ADE20K's.
    """

    class_names: Sequence[str] | None = None
    palette: Sequence[Sequence[int]] | None = None
    ignore_index: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    licence: str | None = None
    ade_short: int | None = None


def checkpoint_from(
    source: Source,
    translated: Translated,
    said: Said,
    *,
    kind: Kind,
    format: str,
    eps: tuple[float, float],
    notes: Sequence[str] = (),
) -> Checkpoint:
    """The checkpoint of translated tensors, with what the file says of them and what we must assume.

    Raises:
        WeightsError: what we wrote into the file ourselves is incomplete or damaged.
    """
    found = list(notes)
    names = _names(said, translated, found) if kind == "segmentor" else ()
    known = known_set(names) if names else None
    config = ModelConfig(
        variant=translated.variant,
        class_names=names,
        palette=_palette(said, names, known, found),
        ignore_index=_ignore_index(said, len(names)),
        mean=_bands(said.mean or IMAGENET_MEAN, translated.in_channels),
        std=_bands(said.std or IMAGENET_STD, translated.in_channels),
        in_channels=translated.in_channels,
        head_width=translated.head_width if kind == "segmentor" else None,
        eps=eps[0],
        block_eps=eps[1],
        size=_size(said, known, translated.variant),
        training_data=known.name if known and said.class_names else None,
        origin=source.path.absolute().name,     # the name alone: checkpoints are shared, folders are private
        licence=said.licence or UNKNOWN_ORIGIN,
    )
    config = _with_our_entry(config, source.ours(), source.where)
    if translated.in_channels != 3 and said.mean is None:
        found.append(f"mean and std of {translated.in_channels} channels are assumed: ImageNet's, repeated")
    return Checkpoint(config, translated.tensors, kind, format, tuple(found))


def our_entry(config: ModelConfig, written_by: str) -> dict[str, Any]:
    """What we write into another program's file for `_with_our_entry` to find."""
    return {
        "written_by": written_by,
        "training_data": config.training_data,
        "licence": config.licence,
        "ignore_index": config.ignore_index,
        "mean": list(config.mean),
        "std": list(config.std),
        "size": {**dataclasses.asdict(config.size), "box": list(config.size.box) if config.size.box else None},
    }


def _with_our_entry(config: ModelConfig, entry: Mapping[str, Any], where: str) -> ModelConfig:
    """The config with what we wrote ourselves in place of what we would assume."""
    if not entry:
        return config
    missing = [key for key in _ENTRY_KEYS if key not in entry]
    if missing:
        raise WeightsError(f"the entry {OUR_ENTRY!r} lacks {', '.join(missing)}", where=where)
    try:
        return dataclasses.replace(
            config,
            training_data=_text(entry["training_data"]),
            licence=_text(entry["licence"]),
            ignore_index=int(entry["ignore_index"]),
            mean=tuple(float(value) for value in entry["mean"]),
            std=tuple(float(value) for value in entry["std"]),
            size=size_from_json(entry["size"], where),
        )
    except (TypeError, ValueError) as error:
        raise WeightsError(f"the entry {OUR_ENTRY!r} cannot be understood: {error}", where=where) from error


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _names(said: Said, translated: Translated, notes: list[str]) -> tuple[str, ...]:
    classes = translated.num_classes
    if said.class_names is not None and len(said.class_names) == classes:
        return tuple(str(name).strip() for name in said.class_names)
    if said.class_names is not None:
        notes.append(f"the file names {len(said.class_names)} classes for {classes} outputs; its names are not used")
    if classes in _GUESSED:
        name = _GUESSED[classes]
        notes.append(f"the file has no class names; with {classes} classes they are taken to be those of {name}")
        return class_set(name).class_names
    notes.append("the file has no class names; they are numbered")
    return tuple(f"class_{index}" for index in range(classes))


def _palette(
    said: Said, names: Sequence[str], known: ClassSet | None, notes: list[str]
) -> tuple[tuple[int, int, int], ...]:
    if said.palette is not None and names:
        colours = tuple((int(red), int(green), int(blue)) for red, green, blue in said.palette)
        if len(colours) == len(names):
            return colours
        notes.append(f"the file has {len(colours)} colours for {len(names)} classes; they are not used")
    return known.palette if known else default_palette(len(names))


def _ignore_index(said: Said, classes: int) -> int:
    """The file's own value, unless it is one of the classes."""
    if said.ignore_index is not None and not 0 <= said.ignore_index < classes:
        return said.ignore_index
    return ignore_index_for(classes)


def _bands(values: Sequence[float], channels: int) -> tuple[float, ...]:
    return tuple(float(values[band % len(values)]) for band in range(channels))


def _size(said: Said, known: ClassSet | None, variant: str) -> SizePolicy:
    if known is None or known.name != "ade20k":
        return NATIVE
    default = ADE_SHORT_SIDE_B5 if variant == "b5" else ADE_SHORT_SIDE
    return SizePolicy(short=said.ade_short or default, long=ADE_LONG_SIDE)
