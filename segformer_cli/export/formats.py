"""The formats that weights can be exported to: how each is written, run, and told what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from segformer_cli.export import onnx, torchscript


@dataclass(frozen=True)
class Format:
    """One format.

    `packages` are those it needs beside torch, the one that runs the file last. `write` takes the network in
    evaluation, the bands of its pictures and the path; `load` gives the file in its own runtime, from pictures
    (B, C, H, W), normalised, to logits.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[nn.Module, int, Path], None]
    load: Callable[[Path], Callable[[Tensor], Tensor]]
    add_metadata: Callable[[Path, Mapping[str, object]], None]
    read_metadata: Callable[[Path], dict[str, Any]]


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format(
            "onnx",
            ".onnx",
            ("onnx", "onnxscript", "onnxruntime"),
            onnx.write_onnx,
            onnx.load_onnx,
            onnx.add_onnx_metadata,
            onnx.read_onnx_metadata,
        ),
        Format(
            "torchscript",
            ".pt",
            (),
            torchscript.write_torchscript,
            torchscript.load_torchscript,
            torchscript.add_metadata,
            torchscript.read_metadata,
        ),
    )
}
