"""ExecuTorch (.pte): the network for phones and boards, its products in XNNPACK, at one size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segformer_cli.export.beside import add_metadata, read_metadata
from segformer_cli.export.exportable import Exportable, Network
from segformer_cli.export.extras import needed
from segformer_cli.export.torch_export import captured, quiet

__all__ = ["add_metadata", "features", "load", "read_metadata", "recognises", "write"]

features = None
"""A program does not show its inner maps."""


def write(what: Exportable, path: Path) -> None:
    """The program, now at `path`.

    Raises:
        EnvironmentLacksError: executorch is not installed.
    """
    exir = needed("executorch.exir", "executorch")
    partitioner = needed("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    with quiet():
        lowered = exir.to_edge_transform_and_lower(captured(what), partitioner=[partitioner.XnnpackPartitioner()])
        path.write_bytes(lowered.to_executorch().buffer)


def load(path: Path) -> Network:
    """The program in its own runtime.

    Raises:
        EnvironmentLacksError: executorch is not installed.
    """
    runtime = needed("executorch.runtime", "executorch")
    program: Any = runtime.Runtime.get().load_program(path)
    method = program.load_method("forward")

    def run(images: Tensor) -> Tensor:
        # The program must outlive its method.
        assert program is not None
        with torch.inference_mode():
            found: Tensor = method.execute([images.contiguous()])[0].clone()
        return found

    return run


def recognises(path: Path) -> bool:
    """Whether the file is a program of ExecuTorch, by its identifier."""
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ET12"
