"""torch.export (.pt2): the network as a graph of torch's own operators, which newer versions of torch read."""

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
from segformer_cli.resize import ALIGN

__all__ = ["add_metadata", "captured", "features", "load", "quiet", "read_metadata", "recognises", "write"]

_MOST = {"batch": 4096, "height": 32768, "width": 32768}
"""Of each free dimension; the compiler wants a bound."""


def write(what: Exportable, path: Path) -> None:
    """The graph, now at `path`; free sides are multiples of 32."""
    with quiet():
        torch.export.save(captured(what), str(path))


def captured(what: Exportable) -> torch.export.ExportedProgram:
    """The graph of a module; free sides are multiples of 32, whose roundings need no rule."""
    with quiet(), torch.no_grad():
        return torch.export.export(what.module, (what.example,), dynamic_shapes=(_dynamic(what) or None,))


def load(path: Path) -> Network:
    """The graph in its own runtime; it runs the code in the file."""
    return without_gradients(_read(path))


def features(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """The file's own encoder: pictures to the four stages' maps (B, C, H, W)."""
    graph = _read(path)
    places = _stage_ends(graph)

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            value = super().run_node(n)
            if n.name in places:
                seen[n.name] = value
            return value

    seen: dict[str, Tensor] = {}

    def run(images: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            Watch(graph).run(images)
        return [seen[name].float() for name in places]

    return run


def recognises(path: Path) -> bool:
    """Whether the file is a graph of torch.export."""
    return holds(path, "models/")


def _read(path: Path) -> torch.fx.GraphModule:
    with quiet():
        # Its guards would refuse sides of 32, for strides that differ there and do not matter (tested).
        graph = torch.export.load(str(path)).module(check_guards=False)
    assert isinstance(graph, torch.fx.GraphModule)
    return graph


def _dynamic(what: Exportable) -> dict[int, Any]:
    """For each free dimension its rule."""
    batch = {index: torch.export.Dim(name, min=1, max=_MOST[name]) for index, name in what.free.items() if index == 0}
    sides = {
        index: ALIGN * torch.export.Dim(f"_{name}", min=1, max=_MOST[name] // ALIGN)
        for index, name in what.free.items()
        if index
    }
    return {**batch, **sides}


def _stage_ends(graph: torch.fx.GraphModule) -> list[str]:
    """The names of the nodes that give the four stages' maps: the last of each stage."""
    ends: dict[str, str] = {}
    for node in graph.graph.nodes:
        for path, _ in (node.meta.get("nn_module_stack") or {}).values():
            head, found, index = path.rpartition("encoder.stages.")
            if found and index.isdecimal() and head in ("", "network."):
                ends[index] = node.name
    return [ends[index] for index in sorted(ends)]


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch tells its own developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
