"""WEIGHTS, whatever names them, to a checkpoint or a network: the one place that knows what `-w` accepts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import Tensor

from segformer_cli.classes import default_palette, ignore_index_for, known_set, same_name
from segformer_cli.engine.exported import ExportedModel, is_exported, load_exported
from segformer_cli.errors import EnvironmentLacksError, SegFormerError, UsageError, WeightsError
from segformer_cli.model import hub, named_weights
from segformer_cli.model.checkpoint import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Checkpoint,
    ModelConfig,
    build_network,
    check_tensors,
    load_checkpoint,
    network_from,
)
from segformer_cli.model.formats import read_any
from segformer_cli.model.formats.meaning import UNKNOWN_ORIGIN
from segformer_cli.model.segformer import SegFormer
from segformer_cli.progress import Progress, ProgressListener, ignore_progress

SAMPLE = "sample"
SAMPLE_FILE = "sample.safetensors"
RUN_CHECKPOINTS = ("best.safetensors", "last.safetensors")
WEIGHT_FILES = tuple(
    name + ending for name in (named_weights.SAFETENSORS, named_weights.PICKLE) for ending in ("", ".index.json")
)
"""What a folder of Hugging Face's or smp's holds one of."""

_NUMBERED = re.compile(r"class_\d+")
"""The names that classes without names get, here and in readers and layouts."""

_TOLD: set[str] = set()
"""The published weights whose licence this process has told."""


def load_checkpoint_from(
    weights: str | Path, *, offline: bool = False, progress: ProgressListener = ignore_progress
) -> Checkpoint:
    """The checkpoint that WEIGHTS names: `sample`, a file, a run or Hugging Face folder, or a hub name.

    Args:
        offline: never touch the network; a hub name must then be in the cache.

    Raises:
        WeightsError: there is no such thing, or it cannot be read.
        EnvironmentLacksError: the network is needed and absent.
    """
    if str(weights) == SAMPLE:
        with sample_file() as sample:
            return load_checkpoint(sample)
    path = Path(weights).expanduser()
    if path.is_dir():
        return _from_folder(path)
    if is_exported(path):
        raise WeightsError(
            f"{path.name} is an exported file, which runs but has no weights to give",
            where=str(path),
            hint="name the weights it was exported from",
        )
    if path.exists():
        return read_any(path)
    name = str(weights)
    _refuse_missing_path(name)
    try:
        folder = hub.fetch(name, offline=offline, progress=progress)
    except (WeightsError, EnvironmentLacksError) as error:
        _add_that_no_file_is_there(error, name)
        raise
    checkpoint = read_any(folder)
    _tell_licence(name, progress)
    stated = checkpoint.config.licence
    licence = named_weights.licence_of(name) if stated in (None, UNKNOWN_ORIGIN) else stated
    size = named_weights.find(name).size or checkpoint.config.size
    config = dataclasses.replace(checkpoint.config, origin=name, licence=licence, size=size)
    return dataclasses.replace(checkpoint, config=config)


def check_weights(weights: str, *, offline: bool = False) -> None:
    """Nothing where WEIGHTS names something, as far as that shows without reading it or asking the network.

    Raises:
        WeightsError: there is no such file, folder or name, or a folder holds no weights.
        EnvironmentLacksError: `offline`, and the cache does not hold what the name stands for.
    """
    path = Path(weights).expanduser()
    if weights == SAMPLE:
        sample_file()
    elif path.is_dir():
        if _run_checkpoint(path) is None and not any((path / name).is_file() for name in WEIGHT_FILES):
            raise WeightsError(f"the folder {path.name} holds no weights", where=str(path.absolute()))
    elif not path.exists():
        _refuse_missing_path(weights)
        try:
            named_weights.find(weights)
        except WeightsError as error:
            _add_that_no_file_is_there(error, weights)
            raise
        if offline and not hub.is_cached(weights):
            hub.fetch(weights, offline=True)


def build_model(
    variant: str = "b0",
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    in_channels: int = 3,
    head_width: int | None = None,
    drop_path: float = 0.1,
    dropout: float = 0.1,
) -> SegFormer:
    """A fresh network with the paper's initialisation, in training mode, with `.config` set.

    Args:
        num_classes, class_names: one of them is needed; classes without names are numbered.

    >>> build_model("b0", num_classes=19).config.num_classes
    19

    Raises:
        WeightsError: there are no classes, or the two say different numbers.
        UsageError: there is no such variant.
    """
    mean = tuple(IMAGENET_MEAN[band % 3] for band in range(in_channels))
    std = tuple(IMAGENET_STD[band % 3] for band in range(in_channels))
    empty = ModelConfig(
        variant=variant, class_names=(), palette=(), in_channels=in_channels, mean=mean, std=std, head_width=head_width
    )
    return build_network(_with_classes(empty, num_classes, class_names), drop_path=drop_path, dropout=dropout)


def load_model(
    weights: str | Path,
    *,
    num_classes: int | None = None,
    class_names: Sequence[str] | None = None,
    in_channels: int | None = None,
    offline: bool = False,
    trust: bool = False,
    progress: ProgressListener = ignore_progress,
    seed: int = 0,
) -> SegFormer | ExportedModel:
    """The network that WEIGHTS names, in eval mode, with `.config` set; an exported file in its own runtime.

    Args:
        num_classes, class_names: build the classifier anew for these classes, as fine-tuning starts; rows of
            classes whose names match are kept.
        in_channels: build the first convolution for another number of bands, inflated from the file's.
        trust: run an exported file that can hold any code, though segformer did not write it on this machine.
        seed: of what is built anew.

    Raises:
        WeightsError: the file cannot be read or is not to be trusted, or it is a backbone and no classes are asked for.
        UsageError: other classes or bands are asked of an exported file.
        EnvironmentLacksError: the network is needed and absent, or an exported file's runtime is not installed.
    """
    path = Path(weights).expanduser()
    if is_exported(path):
        if (num_classes, class_names, in_channels) != (None, None, None):
            raise UsageError(f"{path.name} is an exported file: it cannot be built anew", where=str(path))
        return load_exported(path, trust=trust)
    checkpoint = load_checkpoint_from(weights, offline=offline, progress=progress)
    if num_classes is None and class_names is None and in_channels in (None, checkpoint.config.in_channels):
        return network_from(checkpoint)
    config = _asked_for(checkpoint.config, num_classes, class_names, in_channels)
    same_classes = config.class_names == checkpoint.config.class_names
    model, _ = start_from(checkpoint, config, seed, same_classes=same_classes)
    return model.eval()


def check_variant(checkpoint: Checkpoint, variant: str) -> None:
    """Nothing where the weights are of `variant`.

    Raises:
        UsageError: they are of another.
    """
    found = checkpoint.config.variant
    if found != variant.lower():
        raise UsageError(
            f"the weights are a {found}, --variant says {variant}",
            where=checkpoint.config.origin,
            hint=f"add --variant {found}",
        )


def start_from(
    checkpoint: Checkpoint,
    config: ModelConfig,
    seed: int = 0,
    *,
    drop_path: float = 0.1,
    dropout: float = 0.1,
    same_classes: bool = False,
) -> tuple[SegFormer, tuple[str, ...]]:
    """A network of `config` that starts from a checkpoint, in training mode, and what was done to fit it.

    The encoder is loaded; so is the head where its width is the same, with the rows of the classifier whose
    class names match. What has no source keeps the fresh values of `seed`. The norms' eps and the licence
    are those of the checkpoint, since the weights were made with them.

    Args:
        config: with another number of bands than the checkpoint's, the first convolution is inflated.
        same_classes: the classes are the checkpoint's own. Else names that are mere numbers (`class_0`) match
            nothing, since they say nothing of what the classes are.

    Raises:
        UsageError: the checkpoint is of another variant.
        WeightsError: its tensors are not those of its config, or `config` contradicts itself.
    """
    source = checkpoint.config
    check_variant(checkpoint, config.variant)
    check_tensors(checkpoint)
    config = dataclasses.replace(
        config, eps=source.eps, block_eps=source.block_eps, licence=source.licence or config.licence
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config, drop_path=drop_path, dropout=dropout)
    tensors = network.state_dict()
    said = _copy_encoder(checkpoint, tensors) + _copy_head(checkpoint, config, tensors, same_classes)
    network.load_state_dict(tensors)
    return network, tuple(said)


# --- where weights lie --------------------------------------------------------------------------------


def sample_file() -> AbstractContextManager[Path]:
    """The packaged checkpoint as a file on disk, for as long as the context lasts.

    Raises:
        WeightsError: this installation lacks it.
    """
    entry = files("segformer_cli") / "assets" / SAMPLE_FILE
    if not entry.is_file():
        raise WeightsError("this installation has no sample checkpoint", where=str(entry), hint="reinstall the package")
    return as_file(entry)


def _from_folder(folder: Path) -> Checkpoint:
    """The best checkpoint of a run, or what a Hugging Face or smp folder holds."""
    checkpoint = _run_checkpoint(folder)
    return read_any(folder) if checkpoint is None else load_checkpoint(checkpoint)


def _run_checkpoint(folder: Path) -> Path | None:
    places = (top / name for name in RUN_CHECKPOINTS for top in (folder / "checkpoints", folder))
    return next((path for path in places if path.is_file()), None)


def _refuse_missing_path(weights: str) -> None:
    """An error for what does not exist and was meant as a path."""
    if _looks_like_a_path(weights):
        where = str(Path(weights).expanduser().absolute().parent)
        raise WeightsError(f"there is no file or folder {weights!r}", where=where)


def _add_that_no_file_is_there(error: SegFormerError, weights: str) -> None:
    """To the hint of an error about a name: where it is none of ours, it may have been meant as a path."""
    if weights.lower() not in named_weights.NAMED_WEIGHTS:
        error.hint = "; ".join(filter(None, [error.hint, f"there is no file or folder {weights!r} here either"]))


def _looks_like_a_path(weights: str) -> bool:
    """Whether a name that does not exist was meant as a path: `runs/` is where trainings lie, not an owner."""
    if weights.startswith((".", "/", "~", "runs/")):
        return True
    endings = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".onnx", ".pt2", ".xml")
    return not named_weights.is_hub_name(weights) and (weights.lower().endswith(endings) or bool({*"/\\"} & {*weights}))


def _tell_licence(name: str, progress: ProgressListener) -> None:
    """Tells the licence of published weights once a process; a listener that does nothing was not told."""
    published = named_weights.find(name).name
    if progress is ignore_progress or published in _TOLD:
        return
    _TOLD.add(published)
    progress(Progress("weights", 1, 1, "file", message=named_weights.licence_notice(name)))


# --- starting from other weights ----------------------------------------------------------------------


def _asked_for(
    source: ModelConfig, num_classes: int | None, class_names: Sequence[str] | None, in_channels: int | None
) -> ModelConfig:
    """The source's config with other classes or bands."""
    config = source
    if class_names is not None or num_classes is not None:
        config = _with_classes(config, num_classes, class_names)
    if in_channels is not None and in_channels != config.in_channels:
        mean = tuple(source.mean[band % source.in_channels] for band in range(in_channels))
        std = tuple(source.std[band % source.in_channels] for band in range(in_channels))
        config = dataclasses.replace(config, in_channels=in_channels, mean=mean, std=std)
    return config


def _with_classes(config: ModelConfig, num_classes: int | None, class_names: Sequence[str] | None) -> ModelConfig:
    if class_names is None:
        if num_classes == config.num_classes > 0:
            return config
        class_names = [f"class_{index}" for index in range(num_classes or 0)]
    if num_classes is not None and num_classes != len(class_names):
        raise WeightsError(f"num_classes is {num_classes}, but {len(class_names)} class names are given")
    known = known_set(class_names)
    return dataclasses.replace(
        config,
        class_names=tuple(class_names),
        palette=known.palette if known else default_palette(len(class_names)),
        ignore_index=ignore_index_for(len(class_names)),
    )


def _copy_encoder(checkpoint: Checkpoint, tensors: dict[str, Tensor]) -> list[str]:
    """Copies the encoder; says where the first convolution was inflated."""
    said = []
    for name, tensor in checkpoint.tensors.items():
        if not name.startswith("encoder."):
            continue
        if tensors[name].shape != tensor.shape:        # only the first convolution depends on the bands
            said.append(f"first convolution inflated from {tensor.shape[1]} to {tensors[name].shape[1]} channels")
            tensor = inflated(tensor, tensors[name].shape[1])
        tensors[name] = tensor.clone()
    return [f"encoder from {checkpoint.config.origin or 'the checkpoint'}", *said]


def inflated(weight: Tensor, channels: int) -> Tensor:
    """A first convolution for another number of bands, whose answers keep the scale of the old one's.

    Bands repeat cyclically, scaled by old / new; one band takes the sum of all, which is what a grey picture
    in three equal bands would have got.

    Args:
        weight: (D, C, k, k).
    """
    old = weight.shape[1]
    if channels == 1:
        return weight.sum(1, keepdim=True)
    repeated = weight[:, [band % old for band in range(channels)]]
    return repeated * (old / channels)


def _copy_head(
    checkpoint: Checkpoint, config: ModelConfig, tensors: dict[str, Tensor], same_classes: bool
) -> list[str]:
    """Copies what fits of the head; says what stays fresh."""
    if checkpoint.kind == "backbone":
        return ["decode head starts fresh: these weights are an encoder"]
    width, old_width = tensors["head.norm.weight"].shape[0], checkpoint.tensors["head.norm.weight"].shape[0]
    if width != old_width:
        return [f"decode head starts fresh: it is {width} channels wide, that of the weights {old_width}"]
    classifier = ("head.classify.weight", "head.classify.bias")
    for name, tensor in checkpoint.tensors.items():
        if name.startswith("head.") and name not in classifier:
            tensors[name] = tensor.clone()
    if (checkpoint.config.num_classes, config.num_classes) == (1, 2):
        # A sigmoid over z is a softmax over 0 and z.
        for name in classifier:
            tensors[name][0], tensors[name][1] = 0.0, checkpoint.tensors[name][0]
        return ["decode head from the same weights", "classifier kept: its one class beside a background"]
    pairs = _matching_classes(checkpoint.config.class_names, config.class_names, same_classes)
    for name in classifier:
        for ours, theirs in pairs:
            tensors[name][ours] = checkpoint.tensors[name][theirs]
    return ["decode head from the same weights", _said_of_classes(pairs, config, checkpoint.config)]


def _matching_classes(old: Sequence[str], new: Sequence[str], same_classes: bool) -> list[tuple[int, int]]:
    """Pairs (new id, old id) of classes with one name; the first wins where a name occurs twice."""
    if same_classes:
        return [(index, index) for index in range(len(new))]
    if tuple(old) == tuple(new):
        return [(index, index) for index, name in enumerate(new) if not _NUMBERED.fullmatch(name)]
    named = [(index, name) for index, name in enumerate(old) if not _NUMBERED.fullmatch(name)]
    places = {same_name(name): index for index, name in reversed(named)}
    return [(index, places[same_name(name)]) for index, name in enumerate(new) if same_name(name) in places]


def _said_of_classes(pairs: list[tuple[int, int]], config: ModelConfig, old: ModelConfig) -> str:
    if config.class_names == old.class_names and len(pairs) == config.num_classes:
        return f"classifier kept: the same {config.num_classes} classes"
    if not pairs:
        return f"classifier starts fresh: none of its {config.num_classes} classes is known to the weights"
    names = [config.class_names[index] for index, _ in pairs]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"classifier rows kept for {len(pairs)} of {config.num_classes} classes of the same name: {shown}"
