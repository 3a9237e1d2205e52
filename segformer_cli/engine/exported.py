"""Exported files as the engine runs them: in place of a network, in their own runtime, by the same preprocessing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from segformer_cli.errors import WeightsError
from segformer_cli.export.formats import FORMATS
from segformer_cli.model.header import ModelConfig, config_from_json


class ExportedModel(nn.Module):
    """A file in its own runtime: a callable from pictures (B, C, H, W), normalised, to logits; it has no encoder.

    `config` is what the file says its numbers mean, `sha256` that of the file.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], config: ModelConfig, sha256: str) -> None:
        super().__init__()
        self.run, self.config, self.sha256 = run, config, sha256

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)) on the CPU."""
        return self.run(images)

    def fused(self) -> ExportedModel:
        """Itself: what could be folded was folded when it was exported."""
        return self


def is_exported(path: Path) -> bool:
    """Whether the file is an ONNX graph, by its first bytes: a protobuf whose first field is the IR version."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(2)
    return len(start) == 2 and start[0] == 8 and start[1] < 64


@dataclass(frozen=True)
class ExportedFile:
    """What an exported file says of itself; `parameters` is 0 where it does not say."""

    format: str
    config: ModelConfig
    version: str
    parameters: int
    verification: Mapping[str, Any]


def read_exported(path: Path) -> ExportedFile:
    """What is written in an exported file; nothing of it is run.

    Raises:
        WeightsError: it is none that segformer wrote: nothing says what its numbers mean.
        EnvironmentLacksError: the package that reads it is not installed.
    """
    said = FORMATS["onnx"].read_metadata(path)
    if "config" not in said:
        raise WeightsError(f"{path.name} does not say what its numbers mean", where=str(path))
    config = config_from_json(said["config"], str(path))
    return ExportedFile(
        "onnx", config, str(said.get("version")), int(said.get("parameters", 0)), said.get("verification", {})
    )


def load_exported(path: Path) -> ExportedModel:
    """The file in its own runtime.

    Raises:
        WeightsError: it is none that segformer wrote.
        EnvironmentLacksError: its runtime is not installed.
    """
    config = read_exported(path).config
    return ExportedModel(FORMATS["onnx"].load(path), config, hashlib.sha256(path.read_bytes()).hexdigest())
