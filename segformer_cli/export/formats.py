"""The formats that weights can be exported to, and how a file of one is told from others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor

from segformer_cli.export import aoti, executorch, onnx, openvino, tensorrt, torch_export, torchscript
from segformer_cli.export.exportable import Exportable, Network

Features = Callable[[Tensor], list[Tensor]]


class Runtime(Protocol):
    """What the module of a format offers."""

    def write(self, what: Exportable, path: Path) -> None:
        """The file, now at `path`."""

    def load(self, path: Path) -> Network:
        """The file in its own runtime."""

    def add_metadata(self, path: Path, metadata: Mapping[str, object]) -> None:
        """The file with its meaning in it."""

    def read_metadata(self, path: Path) -> dict[str, Any]:
        """What `add_metadata` wrote; nothing of the file is run."""

    def recognises(self, path: Path) -> bool:
        """Whether a file is of this format."""

    @property
    def features(self) -> Callable[[Path], Features] | None:
        """A file's own encoder: pictures to the four stages' maps (B, C, H, W); None where it is out of reach."""


def _nothing(precision: str) -> None:
    """No tool is needed."""


@dataclass(frozen=True)
class Format:
    """One format.

    `packages` are those it needs beside torch to write and run, and `extra` is what installs them.
    `companion` is the ending of a second file, written beside the first. `runs_code`: a file can hold code that runs
    when it is opened. `any_side`: sides need not be multiples of 32. `one_size`: it takes no other than `--size`.
    `full`: it can hold the whole pipeline. `edition` is that of the format itself. `opens`: our own commands run it.
    `convolutional_head`: when the head is said in convolutions (docs/decisions/0007). `refuse_without` raises where a
    tool that is no package of `extra` is missing for a precision.
    """

    name: str
    suffix: str
    runtime: Runtime
    packages: tuple[str, ...] = ()
    extra: str = "export"
    precisions: tuple[str, ...] = ("fp32", "fp16")
    companion: str | None = None
    runs_code: bool = False
    any_side: bool = True
    one_size: bool = False
    full: bool = True
    edition: str | None = None
    opens: bool = True
    convolutional_head: Literal["never", "one size", "always"] = "never"
    refuse_without: Callable[[str], None] = _nothing

    def files(self, path: Path) -> tuple[Path, ...]:
        """All that is written for a file, the one that names it last."""
        return (*([path.with_suffix(self.companion)] if self.companion else []), path)


_ONNX = ("onnx", "onnxscript")

FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format(
            "onnx",
            ".onnx",
            onnx,
            (*_ONNX, "onnxruntime"),
            precisions=("fp32", "fp16", "int8"),
            edition=f"opset {onnx.OPSET}",
            convolutional_head="one size",
        ),
        Format("torchscript", ".pt", torchscript, runs_code=True),
        Format("pt2", ".pt2", torch_export, runs_code=True, any_side=False, full=False),
        Format(
            "openvino",
            ".xml",
            openvino,
            (*_ONNX, "openvino"),
            extra="openvino",
            precisions=("fp32", "fp16", "bf16", "int8"),
            companion=".bin",
            convolutional_head="always",
            refuse_without=openvino.refuse_without,
        ),
        Format(
            "tensorrt",
            ".engine",
            tensorrt,
            _ONNX,
            companion=".json",
            opens=False,
            convolutional_head="one size",
            refuse_without=tensorrt.refuse_without,
        ),
        Format(
            "executorch",
            ".pte",
            executorch,
            ("executorch.exir", "executorch.runtime"),
            extra="executorch",
            precisions=("fp32",),
            companion=".json",
            any_side=False,
            one_size=True,
            full=False,
        ),
        Format(
            "aoti",
            ".pt2",
            aoti,
            precisions=("fp32",),
            runs_code=True,
            any_side=False,
            full=False,
            refuse_without=aoti.refuse_without,
        ),
    )
}


def format_of(path: Path) -> Format | None:
    """The format of a file by its content; None where it is of none."""
    if not path.is_file():
        return None
    return next((each for each in FORMATS.values() if each.runtime.recognises(path)), None)
