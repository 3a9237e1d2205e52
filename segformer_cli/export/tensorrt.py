"""TensorRT: an engine for the GPU of this machine, built and run by NVIDIA's own command line tool `trtexec`.

Engines are strongly typed: they compute in the types of the ONNX graph they are built from (TensorRT 10 asks for it
by a flag, TensorRT 11 knows nothing else). Source: trtexec's documentation, versions 10 and 11.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from segformer_cli.errors import EnvironmentLacksError, SegFormerError
from segformer_cli.export import onnx
from segformer_cli.export.beside import add_metadata, read_metadata
from segformer_cli.export.exportable import Exportable, Network

__all__ = ["add_metadata", "build_line", "features", "load", "read_metadata", "recognises", "refuse_without", "write"]

features = None
"""An engine does not show its inner maps."""

_SMALLEST, _USUAL, _LARGEST = (1, 29, 29), (1, 512, 512), (4, 1024, 2048)
"""Batch, height and width that an engine for any size is built for."""


def build_line(source: Path, engine: Path, what: Exportable) -> list[str]:
    """The words of the command that makes an engine of an ONNX file."""
    line = ["trtexec", f"--onnx={source}", f"--saveEngine={engine}", "--stronglyTyped"]
    if what.precision == "fp32":
        line.append("--noTF32")     # its sums are those of 10 bits
    if what.free:
        for name, sizes in (("min", _SMALLEST), ("opt", _USUAL), ("max", _LARGEST)):
            line.append(f"--{name}Shapes={what.input}:{_by(_shape(what, sizes))}")
    return line


def write(what: Exportable, path: Path) -> None:
    """The engine, now at `path`, by way of ONNX.

    Raises:
        EnvironmentLacksError: there is no trtexec, or a package of ONNX is not installed.
        SegFormerError: trtexec fails.
    """
    with TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.onnx"
        onnx.write(what, graph)
        _run(build_line(graph, path, what))


def load(path: Path) -> Network:
    """The engine, run by trtexec, one process a call: right for a comparison, not for work.

    Raises:
        EnvironmentLacksError: there is no trtexec.
    """

    def run(images: Tensor) -> Tensor:
        name = "images" if images.is_floating_point() else "pictures"
        with TemporaryDirectory() as folder:
            given, found = Path(folder) / "given.bin", Path(folder) / "found.json"
            given.write_bytes(images.contiguous().numpy().tobytes())
            _run(
                [
                    "trtexec",
                    f"--loadEngine={path}",
                    f"--shapes={name}:{_by(images.shape)}",
                    f"--loadInputs={name}:{given}",
                    f"--exportOutput={found}",
                    "--iterations=1",
                    "--warmUp=0",
                    "--duration=0",
                ]
            )
            (output,) = json.loads(found.read_text(encoding="utf-8"))
        shape = [int(side) for side in output["dimensions"].split("x")]
        values = torch.tensor(output["values"]).reshape(shape)
        return values.float() if name == "images" else values.long()

    return run


def recognises(path: Path) -> bool:
    """Never: engines run in TensorRT's own tools, not in these commands."""
    return False


def refuse_without(precision: str) -> None:
    """Nothing where trtexec is.

    Raises:
        EnvironmentLacksError: it is not.
    """
    if shutil.which("trtexec") is None:
        raise EnvironmentLacksError(
            "there is no trtexec on this machine: it comes with TensorRT",
            hint="export -f onnx, and build the engine where TensorRT is; the line for it is printed",
        )


def _run(line: Sequence[str]) -> None:
    refuse_without("fp32")
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        raise SegFormerError(f"trtexec failed: {said[-1]}", where=shlex.join(line))


def _shape(what: Exportable, sizes: tuple[int, int, int]) -> list[int]:
    """The example's shape with its free dimensions, in order, set to batch, height and width."""
    shape = list(what.example.shape)
    for index, side in zip(sorted(what.free), sizes, strict=True):
        shape[index] = side
    return shape


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
