"""Exported files as the engine runs them: in place of a network, in their own runtime, by the same preprocessing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

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


def load_exported(path: Path) -> ExportedModel:
    """The file in its own runtime.

    Raises:
        WeightsError: it is none that segformer wrote: nothing says what its numbers mean.
        EnvironmentLacksError: its runtime is not installed.
    """
    onnx = FORMATS["onnx"]
    metadata = onnx.read_metadata(path)
    if "config" not in metadata:
        raise WeightsError(f"{path.name} does not say what its numbers mean", where=str(path))
    config = config_from_json(metadata["config"], str(path))
    return ExportedModel(onnx.load(path), config, hashlib.sha256(path.read_bytes()).hexdigest())
