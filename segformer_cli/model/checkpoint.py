"""Our file of weights: safetensors with a JSON header that says what the numbers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

import segformer_cli
from segformer_cli.atomic import refuse_existing, replacing
from segformer_cli.errors import WeightsError, did_you_mean
from segformer_cli.model.header import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ModelConfig,
    check_config,
    check_meaning,
    config_from_json,
    config_to_json,
)
from segformer_cli.model.segformer import AllMLPHead, SegFormer
from segformer_cli.model.variants import get_variant

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Checkpoint",
    "ModelConfig",
    "build_network",
    "check_tensors",
    "checkpoint_of",
    "load_checkpoint",
    "network_from",
    "save_checkpoint",
]

HEADER = "segformer"
"""The one entry of the safetensors metadata; its value is JSON."""

FORMAT_VERSION = 1

Kind = Literal["segmentor", "backbone"]


@dataclass(frozen=True)
class Checkpoint:
    """A file of weights in memory, whatever its format was: tensors under our names, and their meaning.

    A `backbone` has the encoder only (its `config` then has no classes), with `imagenet.weight` and
    `imagenet.bias` of its classifier where the file had one.
    """

    config: ModelConfig
    tensors: Mapping[str, Tensor]
    kind: Kind = "segmentor"
    format: str = "segformer"
    notes: tuple[str, ...] = field(default=())


# --- networks -----------------------------------------------------------------------------------------


def build_network(config: ModelConfig, *, drop_path: float = 0.1, dropout: float = 0.1) -> SegFormer:
    """A freshly initialised network of `config`, in training mode, with `.config` set.

    Raises:
        WeightsError: the config contradicts itself or has no classes.
    """
    check_config(config)
    variant = get_variant(config.variant)
    network = SegFormer(
        widths=variant.widths,
        depths=variant.depths,
        head_width=config.head_width or variant.head_width,
        num_classes=config.num_classes,
        in_channels=config.in_channels,
        drop_path_rate=drop_path,
        dropout=dropout,
        eps=config.eps,
        block_eps=config.block_eps,
    )
    network.config = config
    return network


def network_from(checkpoint: Checkpoint, *, drop_path: float = 0.1, dropout: float = 0.1) -> SegFormer:
    """The network that a checkpoint describes, with its weights, in eval mode and with `.config` set.

    Raises:
        WeightsError: the checkpoint is a backbone, or a tensor is missing, unknown, of another shape, or holds
            values that are no numbers.
    """
    if checkpoint.kind == "backbone":
        raise backbone_only(checkpoint)
    check_tensors(checkpoint)
    broken = next((name for name, tensor in checkpoint.tensors.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise WeightsError(
            f"the tensor {broken} holds values that are no numbers (NaN or infinite)",
            where=checkpoint.config.origin,
            hint="the training that wrote it has diverged, or the file is damaged: take an earlier checkpoint",
        )
    with torch.device("meta"), _WithoutValues():
        network = build_network(checkpoint.config, drop_path=drop_path, dropout=dropout)
    network.to_empty(device="cpu").load_state_dict(dict(checkpoint.tensors))
    return network.eval()


def checkpoint_of(model: SegFormer) -> Checkpoint:
    """A copy of a network's weights on the CPU, with its `.config`.

    Raises:
        WeightsError: the network is fused (its own weights are gone) or has no config.
    """
    if not isinstance(model.head, AllMLPHead):
        raise WeightsError(
            "a fused network has no weights to save", hint="save the network that .fused() was called on"
        )
    if not isinstance(model.config, ModelConfig):
        raise WeightsError("this network has no config", hint="set .config to a ModelConfig")
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return Checkpoint(model.config, tensors)


class _WithoutValues(TorchFunctionMode):
    """Initialisers do nothing inside: values are about to come from a file, or only shapes are wanted.

    On the meta device alone they would run without effect, but load torch's compiler first: two seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        if func in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return func(*args, **kwargs)


def backbone_only(checkpoint: Checkpoint) -> WeightsError:
    """The error for a backbone where a whole network is needed."""
    why = f" ({checkpoint.notes[0]})" if checkpoint.notes else ""
    return WeightsError(
        f"this is the {checkpoint.config.variant} encoder alone: it has no decode head and no classes{why}",
        where=checkpoint.config.origin,
        hint="train from it: segformer train -w FILE; or give the weights of a whole SegFormer",
    )


# --- checks -------------------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _network_shapes(variant: str, classes: int, width: int | None, channels: int) -> dict[str, tuple[int, ...]]:
    config = ModelConfig(
        variant=variant,
        class_names=("",) * classes,
        palette=((0, 0, 0),) * classes,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        in_channels=channels,
        head_width=width,
    )
    with torch.device("meta"), _WithoutValues():
        network = build_network(config)
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def expected_shapes(config: ModelConfig, kind: Kind = "segmentor") -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that a checkpoint of this config and kind must have, by our names."""
    classes = config.num_classes if kind == "segmentor" else 1
    shapes = _network_shapes(config.variant, classes, config.head_width, config.in_channels)
    return {name: shape for name, shape in shapes.items() if kind == "segmentor" or name.startswith("encoder.")}


def check_tensors(checkpoint: Checkpoint, where: str | None = None) -> None:
    """Nothing where the tensors are exactly those of the config's network.

    Raises:
        WeightsError: a tensor is missing, unknown or of another shape; the first few are named.
    """
    where = where or checkpoint.config.origin
    shapes = expected_shapes(checkpoint.config, checkpoint.kind)
    if checkpoint.kind == "backbone":
        found = {n: tuple(t.shape) for n, t in checkpoint.tensors.items() if n.startswith("imagenet.")}
        shapes |= {n: s for n, s in found.items() if n in ("imagenet.weight", "imagenet.bias")}
    missing = [name for name in shapes if name not in checkpoint.tensors]
    unknown = [name for name in checkpoint.tensors if name not in shapes]
    raise_mismatch(missing, unknown, list(shapes), where)
    for name, shape in shapes.items():
        found_shape = tuple(checkpoint.tensors[name].shape)
        if found_shape != shape:
            raise wrong_shape(name, found_shape, shape, checkpoint.config.variant, where)


def raise_mismatch(missing: list[str], unknown: list[str], known: list[str], where: str | None) -> None:
    """Nothing where both lists are empty.

    Raises:
        WeightsError: names the tensors that are missing or that no part of the network takes.
    """
    if missing:
        # A name that is there but misspelt is the likeliest reason for one that is not.
        guess = did_you_mean(missing[0], unknown) if unknown else None
        found = f"; the file has {unknown[0]}, which is unknown" if unknown else ""
        hint = guess if guess and guess.startswith("did you mean") else None
        raise WeightsError(f"the file lacks {_listed(missing)}{found}", where=where, hint=hint)
    if unknown:
        raise WeightsError(
            f"the file has {_listed(unknown)}, which no part of the network takes",
            where=where,
            hint=did_you_mean(unknown[0], known[:5000]) if len(unknown) < 20 else None,
        )


def wrong_shape(
    name: str, found: tuple[int, ...], wanted: tuple[int, ...], variant: str, where: str | None
) -> WeightsError:
    """The error for a tensor of another shape."""
    return WeightsError(f"{name} has shape {list(found)}, a {variant} needs {list(wanted)}", where=where)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more tensors"


# --- the file -----------------------------------------------------------------------------------------


def save_checkpoint(path: str | Path, checkpoint: Checkpoint, *, force: bool = False, half: bool = False) -> Path:
    """Writes our format to `path`, whole or not at all, and returns the path.

    Args:
        half: store weights of two and more dimensions in half precision; they are float32 again once read.

    Raises:
        SegFormerError: the file exists and `force` is not given, or cannot be written.
        WeightsError: tensors and config do not fit, or a value is too large for half precision.
    """
    path = Path(path)
    refuse_existing(path, force=force)
    check_meaning(checkpoint.config)
    check_tensors(checkpoint, str(path))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    if half:
        tensors = {name: _halved(name, tensor) for name, tensor in tensors.items()}
    with replacing(path, force=force) as temporary:
        write_safetensors(temporary, tensors, {HEADER: json.dumps(_header(checkpoint), ensure_ascii=False)})
    return path


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file inside `replacing`, which turns what the system refuses into our error.

    Raises:
        OSError: the disk is full, or the file cannot be written for another reason.
    """
    try:
        save_file(dict(tensors), path, metadata=metadata)
    except SafetensorError as error:  # its own wrapper of the system's error, which keeps the text alone
        raise OSError(str(error)) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Reads our format; half-precision tensors become float32.

    Raises:
        WeightsError: the file is not ours, is damaged, or does not hold exactly what its header promises.
    """
    path = Path(path)
    tensors, metadata = read_safetensors(path)
    if HEADER not in metadata:
        raise WeightsError(
            f"{path.name} is not a checkpoint of ours: its header has no entry {HEADER!r}",
            where=str(path),
            hint="segformer weights convert reads other formats",
        )
    checkpoint = _from_header(metadata[HEADER], tensors, path)
    check_meaning(checkpoint.config)
    check_tensors(checkpoint, str(path))
    return checkpoint


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a safetensors file, half precision widened to float32, and its metadata.

    Raises:
        WeightsError: the file is absent, empty, cut off or no safetensors file.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path.name}", where=str(path))
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: widened(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{path.name} cannot be read as safetensors: {error}",
            where=f"{path} ({path.stat().st_size:,} bytes)",
            hint="the file may be cut off: copy or download it again",
        ) from error


def widened(tensor: Tensor) -> Tensor:
    """The tensor in float32 where it is in half precision, else as it is."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _halved(name: str, tensor: Tensor) -> Tensor:
    if tensor.ndim < 2 or not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    if not torch.isfinite(half).all():
        raise WeightsError(f"{name} has values that half precision cannot hold", hint="save it in full precision")
    return half


def written_by() -> str:
    """This package and its version, as written into files."""
    return f"segformer_cli {getattr(segformer_cli, '__version__', '0')}"


def _header(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "written_by": written_by(),
        "kind": checkpoint.kind,
        "notes": checkpoint.notes,
        **config_to_json(checkpoint.config),
    }


def _from_header(text: str, tensors: dict[str, Tensor], path: Path) -> Checkpoint:
    where = f"header of {path}"
    try:
        header = json.loads(text)
    except json.JSONDecodeError as error:
        raise WeightsError(f"the header is not JSON: {error}", where=where) from error
    version = header.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise WeightsError(
            f"{path.name} has format version {version}, this program reads {FORMAT_VERSION}",
            where=f"{where}, written by {header.get('written_by', 'an unknown program')}",
            hint="update segformer-cli",
        )
    header.pop("written_by", None)
    kind, notes = header.pop("kind", None), tuple(header.pop("notes", ()))
    if kind not in ("segmentor", "backbone"):
        raise WeightsError(f"the header's kind is {kind!r}", where=where, hint="known: segmentor, backbone")
    return Checkpoint(config_from_json(header, where), tensors, kind, "segformer", notes)
