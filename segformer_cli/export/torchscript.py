"""TorchScript: the network as a file that libtorch runs in C++ and Python without our code."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segformer_cli.export.archive import add_metadata, holds, read_metadata
from segformer_cli.export.exportable import Exportable, Network, without_gradients

__all__ = ["add_metadata", "features", "load", "read_metadata", "recognises", "write"]


def write(what: Exportable, path: Path) -> None:
    """The graph, now at `path`; no size is fixed in it, whatever `what` says, since nothing would be gained."""
    with _quiet(), torch.no_grad():
        torch.jit.trace(what.module, what.example).save(str(path))  # type: ignore[no-untyped-call, unused-ignore]


def load(path: Path) -> Network:
    """The graph in its own runtime; it runs the code in the file."""
    return without_gradients(_read(path))


def features(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """The file's own encoder: pictures to the four stages' maps (B, C, H, W)."""
    graph = _read(path)
    encoder = getattr(graph, "network", graph).encoder

    def run(images: Tensor) -> list[Tensor]:
        x, found = images.to(next(encoder.parameters()).dtype), []
        with torch.inference_mode():
            for _, stage in encoder.stages.named_children():
                x = stage(x)
                found.append(x.float())
        return found

    return run


def recognises(path: Path) -> bool:
    """Whether the file is TorchScript: an archive with code in it."""
    return holds(path, "code/")


def _read(path: Path) -> Any:
    with _quiet():
        return torch.jit.load(str(path))  # type: ignore[no-untyped-call]


@contextmanager
def _quiet() -> Iterator[None]:
    """torch announces that the format will not grow any more; libtorch reads it all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
