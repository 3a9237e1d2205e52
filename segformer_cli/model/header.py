"""What the numbers of a network mean, its checks, and its form as JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segformer_cli.errors import WeightsError, did_you_mean
from segformer_cli.model.variants import get_variant
from segformer_cli.resize import NATIVE, SizePolicy

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a network's numbers mean.

    mean and std are per band, on the scale of the values in the files: 0..255, in RGB order, where `bands` is empty.
    Else `bands` are those of the files that the network reads, counted from 1. `eps` is that of the
    LayerNorms after patches and spatial reductions, `block_eps` that of all others (released code: 1e-5
    and 1e-6; transformers: 1e-5 everywhere; mmsegmentation: 1e-6 everywhere). `head_width` None is the
    variant's own. `licence` is that of the weights' origin, None where all of them are the user's own.
    """

    variant: str
    class_names: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    ignore_index: int = 255
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    in_channels: int = 3
    head_width: int | None = None
    eps: float = 1e-5
    block_eps: float = 1e-6
    bands: tuple[int, ...] = ()
    size: SizePolicy = NATIVE
    training_data: str | None = None
    origin: str | None = None
    licence: str | None = None

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)


def check_config(config: ModelConfig) -> None:
    """Nothing where the config can be built.

    Raises:
        WeightsError: it has no classes, or two of its fields contradict each other.
        UsageError: there is no such variant.
    """
    get_variant(config.variant)
    if not config.class_names:
        raise WeightsError("the network has no classes", where="class_names", hint="name at least one class")
    check_meaning(config)


def check_meaning(config: ModelConfig) -> None:
    """The checks that a backbone, which has no classes, must pass as well."""
    if len(config.palette) != config.num_classes:
        raise WeightsError(
            f"the palette has {len(config.palette)} colours for {config.num_classes} classes",
            where="palette",
            hint="one (red, green, blue) for each class",
        )
    for name, values in (("mean", config.mean), ("std", config.std)):
        if len(values) != config.in_channels:
            raise WeightsError(f"{name} has {len(values)} values for {config.in_channels} channels", where=name)
    if config.bands and (len(config.bands) != config.in_channels or min(config.bands) < 1):
        said = ", ".join(map(str, config.bands))
        raise WeightsError(f"bands are {said} for {config.in_channels} channels, counted from 1", where="bands")


def config_to_json(config: ModelConfig) -> dict[str, Any]:
    """The config as values JSON can hold; without `bands` where there are none, as files before them are."""
    values = dataclasses.asdict(config)
    return values if config.bands else {name: value for name, value in values.items() if name != "bands"}


def config_from_json(values: Mapping[str, Any], where: str) -> ModelConfig:
    """The config that `config_to_json` wrote.

    Raises:
        WeightsError: a key is missing or unknown, or a value has the wrong type.
    """
    names = [f.name for f in dataclasses.fields(ModelConfig)]
    missing = [name for name in names if name not in values and name != "bands"]
    if missing:
        raise WeightsError(f"the header lacks {', '.join(missing)}", where=where)
    for name in values:
        if name not in names:
            raise WeightsError(f"the header has an unknown key {name!r}", where=where, hint=did_you_mean(name, names))
    try:
        return _typed_config(dict(values), where)
    except (TypeError, ValueError, KeyError) as error:
        raise WeightsError(f"the header cannot be understood: {error}", where=where) from error


def size_from_json(values: Any, where: str) -> SizePolicy:
    """The size policy that `dataclasses.asdict` took apart.

    Raises:
        WeightsError: a key is unknown, or a value is no whole number above 0.
    """
    try:
        size = dict(values)
        size["box"] = tuple(size["box"]) if size.get("box") else None
        policy = SizePolicy(**size)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"the size policy cannot be understood: {error}", where=where) from error
    height, width = policy.box or (None, None)
    for value in (policy.short, policy.long, height, width, policy.align):
        if value is not None and (type(value) is not int or value < 1):
            raise WeightsError(f"the size policy has {value!r}, pixels are needed", where=where)
    return policy


def _typed_config(values: dict[str, Any], where: str) -> ModelConfig:
    values["size"] = size_from_json(values["size"], where)
    values["class_names"] = tuple(str(name) for name in values["class_names"])
    colours = [tuple(int(part) for part in colour) for colour in values["palette"]]
    if any(len(colour) != 3 for colour in colours):
        raise ValueError("a colour of the palette is not (red, green, blue)")
    values["palette"] = tuple(colours)
    values["bands"] = tuple(int(band) for band in values.get("bands", ()))
    for name in ("mean", "std"):
        values[name] = tuple(float(value) for value in values[name])
    for name in ("eps", "block_eps"):
        if not (isinstance(values[name], float) and math.isfinite(values[name])):
            raise ValueError(f"{name} is {values[name]!r}, a number is needed")
    return ModelConfig(**values)
