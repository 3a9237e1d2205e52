"""Files of weights from one program's format to another's, what is in them, and whether two of them agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from segformer_cli.engine.exported import is_exported, read_exported
from segformer_cli.engine.loading import SAMPLE, load_checkpoint_from, sample_file
from segformer_cli.errors import UsageError, WeightsError, did_you_mean
from segformer_cli.model.checkpoint import Checkpoint, network_from, save_checkpoint
from segformer_cli.model.formats import huggingface, mmseg, official, smp
from segformer_cli.model.header import ModelConfig
from segformer_cli.model.segformer import MixTransformer, SegFormer
from segformer_cli.model.variants import get_variant
from segformer_cli.places import sha256_of
from segformer_cli.progress import ProgressListener, ignore_progress
from segformer_cli.resize import SizePolicy

Target = Literal["segformer", "official", "hf", "mmseg-backbone", "smp"]

PICTURE_SIZES = ((97, 133), (128, 160))
"""Height and width: one that no stride divides, one that all do."""

TOLERANCE = 1e-5


@dataclass(frozen=True)
class WeightsInfo:
    """What a file or folder of weights holds.

    `parameters` counts what training changes, without running statistics. `sha256` is that of the file; None
    for a folder. `eps` is that of patches and reductions, `block_eps` that of the other LayerNorms.
    """

    path: str
    format: str
    kind: str
    variant: str
    num_classes: int
    class_names: tuple[str, ...]
    parameters: int
    in_channels: int
    bands: tuple[int, ...]
    head_width: int | None
    eps: float
    block_eps: float
    size: SizePolicy
    training_data: str | None
    origin: str | None
    licence: str | None
    sha256: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Conversion:
    """What a conversion wrote, and what the new file cannot say or does otherwise."""

    source: str
    destination: str
    to: str
    variant: str
    num_classes: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Agreement:
    """How far the outputs of two files are apart on the built-in picture, in float64.

    `max_error` compares each as its own format runs it; `same_eps_error` runs both with the LayerNorm eps of
    the first, which is what remains when only the programs' conventions differ. `same_argmax` is the share of
    pixels with the same class. For two encoders the outputs are their four feature maps.
    """

    first: str
    second: str
    max_error: float
    same_eps_error: float
    same_argmax: float
    largest_output: float
    tolerance: float = TOLERANCE

    @property
    def agrees(self) -> bool:
        """Whether the weights are the same function up to the tolerance, LayerNorm eps aside."""
        return min(self.max_error, self.same_eps_error) <= self.tolerance

    @property
    def verdict(self) -> str:
        """One line for a person."""
        if self.max_error <= self.tolerance:
            return f"the same outputs, up to {self.max_error:.1e}"
        if self.agrees:
            return f"the same weights; their programs' LayerNorm eps make outputs differ by up to {self.max_error:.1e}"
        return f"other outputs: they differ by up to {self.max_error:.1e}"


def convert(
    src: str,
    dst: str | Path,
    to: str,
    *,
    force: bool = False,
    offline: bool = False,
    progress: ProgressListener = ignore_progress,
) -> Conversion:
    """Writes the weights `src`, anything WEIGHTS accepts, to `dst` in the format `to`.

    Args:
        progress: hears of a download and of the licence of published weights.

    Raises:
        UsageError: there is no such format, or `dst` does not suit it.
        WeightsError: the source cannot be read, or the format cannot hold it.
        SegFormerError: `dst` exists and `force` is not given.
    """
    if to not in get_args(Target):
        raise UsageError(f"there is no format {to!r}", where="--to", hint=did_you_mean(to, get_args(Target)))
    path = Path(dst)
    if to == "segformer" and path.suffix != ".safetensors":
        raise UsageError(
            f"our own format is safetensors, {path.name} is called otherwise",
            hint=f"name it {path.stem}.safetensors, or choose another format with --to",
        )
    checkpoint = load_checkpoint_from(src, offline=offline, progress=progress)
    if to == "segformer":
        save_checkpoint(path, checkpoint, force=force)
        notes = checkpoint.notes
    else:
        write, eps = _WRITERS[to]
        notes = checkpoint.notes + write(path, checkpoint, force=force) + _eps_note(checkpoint, eps, to)
    return Conversion(str(src), str(path), to, checkpoint.config.variant, checkpoint.config.num_classes, notes)


def inspect_weights(
    weights: str | Path, *, offline: bool = False, progress: ProgressListener = ignore_progress
) -> WeightsInfo:
    """What is in `weights`, anything WEIGHTS accepts.

    Raises:
        WeightsError: it cannot be read.
    """
    path = Path(weights).expanduser()
    if is_exported(path):
        return _inspect_exported(path)
    checkpoint = load_checkpoint_from(weights, offline=offline, progress=progress)
    return WeightsInfo(
        path=str(weights),
        format=checkpoint.format,
        kind=checkpoint.kind,
        parameters=sum(tensor.numel() for name, tensor in checkpoint.tensors.items() if _is_trained(name)),
        head_width=_head_width(checkpoint),
        sha256=_sha256(weights),
        notes=checkpoint.notes,
        **_meaning(checkpoint.config),
    )


_SHARED = (
    "variant", "num_classes", "class_names", "in_channels", "bands", "eps", "block_eps", "size", "training_data",
    "origin", "licence",
)
"""The fields of `WeightsInfo` that a config has under the same names and with the same meaning."""


def _meaning(config: ModelConfig) -> dict[str, Any]:
    return {name: getattr(config, name) for name in _SHARED}


def _inspect_exported(path: Path) -> WeightsInfo:
    """What an exported file says of itself."""
    said = read_exported(path)
    notes = [f"exported by segformer {said.version} in {said.precision}"]
    notes += [f"{each.name} is missing beside it" for each in said.format.files(path) if not each.is_file()]
    if said.size_hw:
        notes.append(f"it takes pictures of {said.size_hw[0]}x{said.size_hw[1]} alone")
    if said.full_pipeline:
        notes.append("full pipeline: pictures (N, H, W, C) uint8 in, class ids out")
    return WeightsInfo(
        path=str(path),
        format=said.format.name,
        kind="graph",
        parameters=said.parameters,
        head_width=said.config.head_width,
        sha256=_sha256(path),
        notes=(*notes, _verified(said.verification)),
        **_meaning(said.config),
    )


def _verified(check: Mapping[str, Any]) -> str:
    """What an exported file says came of comparing it."""
    if not check.get("ran"):
        return "not verified"
    found = [f"the class is the same at {100 * check['argmax_agreement']:.4g} % of positions"]
    if check.get("max_abs_error") is not None:
        found.append(f"logits differ by at most {check['max_abs_error']:.2g}")
    if check.get("miou") is not None:
        found.append(f"mIoU {check['miou']:.4f}, the network's {check['reference_miou']:.4f}")
    return f"verification: {check['verdict']}, {', '.join(found)}"


def verify(
    a: str | Path, b: str | Path, *, offline: bool = False, progress: ProgressListener = ignore_progress
) -> Agreement:
    """Whether two files of weights are the same network.

    Raises:
        WeightsError: one cannot be read, or they have other outputs, so that there is nothing to compare.
    """
    first, second = (load_checkpoint_from(weights, offline=offline, progress=progress) for weights in (a, b))
    _check_comparable(first, second, where=f"{a} and {b}")
    only_encoders = "backbone" in (first.kind, second.kind)
    outputs = [_outputs(checkpoint, only_encoders) for checkpoint in (first, second)]
    eps = {"eps": first.config.eps, "block_eps": first.config.block_eps}
    same_eps = _outputs(_with_eps(second, **eps), only_encoders)
    return Agreement(
        first=str(a),
        second=str(b),
        max_error=_largest_difference(*outputs),
        same_eps_error=_largest_difference(outputs[0], same_eps),
        same_argmax=_same_argmax(*outputs),
        largest_output=max(float(output.abs().max()) for output in outputs[0]),
    )


def picture(size_hw: tuple[int, int], channels: int = 3) -> Tensor:
    """A smooth picture with detail at several scales, the same on every machine: (1, C, H, W) float64."""
    rows = np.linspace(0.0, 1.0, size_hw[0])[:, None]
    columns = np.linspace(0.0, 1.0, size_hw[1])[None, :]
    bands = [
        np.sin(7.0 * rows + band) + np.cos(11.0 * columns * (1.0 + 0.3 * band)) + np.sin(53.0 * rows * columns + band)
        for band in range(channels)
    ]
    return torch.from_numpy(np.stack(bands) / np.sqrt(1.5))[None]


# --- in detail ----------------------------------------------------------------------------------------

_Write = Callable[..., tuple[str, ...]]
_WRITERS: dict[str, tuple[_Write, tuple[float, float]]] = {
    "official": (official.write, official.EPS),
    "hf": (huggingface.write, huggingface.EPS),
    "mmseg-backbone": (mmseg.write, mmseg.EPS),
    "smp": (smp.write, smp.EPS),
}


def _eps_note(checkpoint: Checkpoint, eps: tuple[float, float], to: str) -> tuple[str, ...]:
    """How much the target program's LayerNorm eps changes the outputs, measured; empty where they are the same."""
    config = checkpoint.config
    if eps == (config.eps, config.block_eps):
        return ()
    encoder_only = checkpoint.kind == "backbone" or to == "mmseg-backbone"
    theirs = _with_eps(checkpoint, eps=eps[0], block_eps=eps[1])
    error = _largest_difference(_outputs(checkpoint, encoder_only), _outputs(theirs, encoder_only))
    what = "features" if encoder_only else "logits"
    said = (
        f"{to} runs with LayerNorm eps {eps[0]:g} (patches, reductions) and {eps[1]:g} (blocks, stages), these weights "
        f"with {config.eps:g} and {config.block_eps:g}: {what} differ by up to {error:.1e}"
    )
    return (said,)


def _with_eps(checkpoint: Checkpoint, *, eps: float, block_eps: float) -> Checkpoint:
    return dataclasses.replace(
        checkpoint, config=dataclasses.replace(checkpoint.config, eps=eps, block_eps=block_eps)
    )


@torch.inference_mode()
def _outputs(checkpoint: Checkpoint, encoder_only: bool) -> list[Tensor]:
    """Logits, or the features of an encoder, of the built-in picture at each size, in float64."""
    network: SegFormer | MixTransformer = _encoder(checkpoint) if encoder_only else network_from(checkpoint)
    network = network.double().eval()
    outputs: list[Tensor] = []
    for size in PICTURE_SIZES:
        result = network(picture(size, checkpoint.config.in_channels))
        outputs += result if isinstance(result, list) else [result]
    return outputs


def _encoder(checkpoint: Checkpoint) -> MixTransformer:
    """The encoder alone, also of a backbone, which has no classes to build a whole network with."""
    config = checkpoint.config
    variant = get_variant(config.variant)
    encoder = MixTransformer(
        variant.widths, variant.depths, in_channels=config.in_channels, eps=config.eps, block_eps=config.block_eps
    )
    tensors = {n.removeprefix("encoder."): t for n, t in checkpoint.tensors.items() if n.startswith("encoder.")}
    encoder.load_state_dict(tensors)
    return encoder


def _largest_difference(first: list[Tensor], second: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(first, second, strict=True))


def _same_argmax(first: list[Tensor], second: list[Tensor]) -> float:
    same = [(a.argmax(1) == b.argmax(1)).flatten() for a, b in zip(first, second, strict=True)]
    return float(torch.cat(same).double().mean())


def _check_comparable(first: Checkpoint, second: Checkpoint, *, where: str) -> None:
    pairs = {"variant": (first.config.variant, second.config.variant)}
    pairs["number of channels"] = (str(first.config.in_channels), str(second.config.in_channels))
    if first.kind == second.kind == "segmentor":
        pairs["number of classes"] = (str(first.config.num_classes), str(second.config.num_classes))
    for what, (one, other) in pairs.items():
        if one != other:
            raise WeightsError(
                f"the {what} is {one} in one file and {other} in the other: their outputs cannot be compared",
                where=where,
            )


def _is_trained(name: str) -> bool:
    return not name.endswith((".running_mean", ".running_var", ".num_batches_tracked"))


def _head_width(checkpoint: Checkpoint) -> int | None:
    weight = checkpoint.tensors.get("head.norm.weight")
    return None if weight is None else weight.shape[0]


def _sha256(weights: str | Path) -> str | None:
    """That of the file; None for a folder or a hub name, which are several files."""
    if str(weights) == SAMPLE:
        with sample_file() as path:
            return sha256_of(path)
    path = Path(weights).expanduser()
    return sha256_of(path) if path.is_file() else None
