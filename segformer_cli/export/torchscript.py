"""TorchScript: the network as a file that libtorch runs in C++ and Python without our code."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segformer_cli.errors import WeightsError

META = "segformer.json"
"""What the numbers mean, beside the graph in the archive; libtorch reads it as an extra file."""

_SEEN_HW = 64, 96
"""Of the picture the graph is traced with; no size is frozen in it (tested)."""


def write_torchscript(network: nn.Module, bands: int, path: Path) -> None:
    """The graph of a network in evaluation, for pictures of any batch, height and width, now at `path`.

    Args:
        bands: of the pictures, C.
    """
    picture = torch.zeros(1, bands, *_SEEN_HW)
    with warnings.catch_warnings(), torch.no_grad():
        # torch announces that the format will not grow any more; libtorch reads it all the same.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.trace(network, picture).save(str(path))  # type: ignore[no-untyped-call, unused-ignore]


def add_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    """The archive with its meaning in it; the graph, which may be verified by now, stays as it is."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        top = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{top}/extra/{META}", json.dumps(metadata, indent=1))


def read_metadata(path: Path) -> dict[str, Any]:
    """What `add_metadata` wrote.

    Raises:
        WeightsError: the file is no TorchScript of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/extra/{META}"))
            found: dict[str, Any] = json.loads(archive.read(name))
            return found
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path.name} is no TorchScript file of segformer", where=str(path)) from error


def load_torchscript(path: Path) -> Callable[[Tensor], Tensor]:
    """The graph in its own runtime: pictures (B, C, H, W), normalised, to logits; it runs the code in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = torch.jit.load(str(path))  # type: ignore[no-untyped-call]

    def run(images: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = graph(images)
        return logits

    return run
