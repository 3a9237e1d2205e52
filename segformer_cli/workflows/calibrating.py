"""Weights whose confidence is mended: the classifier divided by a temperature, which changes no prediction."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from segformer_cli.config import EvalConfig
from segformer_cli.engine.loading import load_checkpoint_from
from segformer_cli.errors import UsageError
from segformer_cli.metrics.temperature import Temperature
from segformer_cli.model.checkpoint import save_checkpoint

CALIBRATED = "calibrated.safetensors"
_SUFFIX = ".safetensors"
_CLASSIFIER = ("head.classify.weight", "head.classify.bias")


def calibrated_path(config: EvalConfig) -> Path | None:
    """Where the calibrated weights go: the file that -o names, or one in its folder; None where none are asked for.

    Raises:
        UsageError: -o names a file although nothing is fitted, or one that is no checkpoint.
    """
    if not config.out:
        return None
    path = Path(config.out)
    is_file = bool(path.suffix) and not path.is_dir() and not config.out.endswith("/")
    if not config.fit_temperature:
        if is_file:
            raise UsageError(
                f"-o {config.out} is one file, eval writes result.json and per_image.npz into a folder",
                hint=f"give a folder: -o {path.with_suffix('')}, or -o {path}/",
            )
        return None
    if is_file and path.suffix != _SUFFIX:
        raise UsageError(f"-o {config.out}: weights are written as {_SUFFIX}", hint=f"-o {path.with_suffix(_SUFFIX)}")
    return path if is_file else path / CALIBRATED


def write_calibrated(path: Path, config: EvalConfig, temperature: Temperature) -> Path:
    """`path`, now the same weights with their logits divided by the temperature."""
    assert config.weights is not None, "the workflow names them"
    checkpoint = load_checkpoint_from(config.weights, offline=config.offline)
    divided = {name: checkpoint.tensors[name].float() / temperature.value for name in _CLASSIFIER}
    tensors = {**checkpoint.tensors, **divided}
    return save_checkpoint(path, dataclasses.replace(checkpoint, tensors=tensors), force=config.force)
