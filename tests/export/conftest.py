"""A small network, and its file in each format, written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segformer_cli.export.exportable import Exportable, logits_of
from segformer_cli.export.formats import FORMATS
from segformer_cli.model.segformer import SegFormer
from tests.conftest import peer

WrittenAs = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny() -> SegFormer:
    """One block a stage; norms and running statistics are random, since fresh ones hide mistakes."""
    torch.manual_seed(0)
    network = SegFormer(widths=(8, 16, 40, 64), depths=(1, 1, 1, 1), head_width=16, num_classes=5)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.normal_(0.0 if name.endswith(("bias", "mean")) else 1.0, 0.1)
    return network.eval()


@pytest.fixture(scope="session")
def written_as(tiny: SegFormer, tmp_path_factory: pytest.TempPathFactory) -> WrittenAs:
    """The tiny network as a file of a format; a test whose runtime is absent is skipped."""
    folder = tmp_path_factory.mktemp("exported")
    done: dict[tuple[object, ...], Path] = {}

    def write(name: str, size_hw: tuple[int, int] | None = None, precision: str = "fp32") -> Path:
        key = name, size_hw, precision
        if key not in done:
            kind = FORMATS[name]
            for package in kind.packages:
                peer(package)
            path = folder / f"{len(done)}{kind.suffix}"
            kind.runtime.write(exportable(tiny, size_hw, precision), path)
            done[key] = path
        return done[key]

    return write


def exportable(network: SegFormer, size_hw: tuple[int, int] | None = None, precision: str = "fp32") -> Exportable:
    """What `export` would hand to a format, with noise to take int8's ranges from."""
    what = logits_of(network.fused(), 3, size_hw, precision)
    noise = tuple(torch.randn(1, 3, *(size_hw or (64, 96)), generator=torch.Generator().manual_seed(i)) for i in (1, 2))
    return Exportable(what.module, what.example, what.free, what.input, what.output, what.out_dims, precision, noise)
