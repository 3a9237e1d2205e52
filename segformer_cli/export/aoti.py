"""AOTInductor (.pt2): the network compiled to machine code of this machine, which libtorch loads."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from segformer_cli.errors import EnvironmentLacksError
from segformer_cli.export.archive import add_metadata, holds, read_metadata
from segformer_cli.export.exportable import Exportable, Network, without_gradients
from segformer_cli.export.torch_export import captured, quiet

__all__ = ["add_metadata", "features", "load", "read_metadata", "recognises", "refuse_without", "write"]

features = None
"""Machine code does not show its inner maps."""


def write(what: Exportable, path: Path) -> None:
    """The library and its weights in one archive, now at `path`; free sides are multiples of 32.

    Raises:
        EnvironmentLacksError: there is no C++ compiler.
    """
    refuse_without(what.precision)
    with quiet():
        torch._inductor.aoti_compile_and_package(captured(what), package_path=str(path))


def refuse_without(precision: str) -> None:
    """Nothing where a C++ compiler is.

    Raises:
        EnvironmentLacksError: there is none.
    """
    if not any(map(shutil.which, ("g++", "clang++", "cl"))):
        raise EnvironmentLacksError("AOTInductor needs a C++ compiler, and there is none", hint="install g++")


def load(path: Path) -> Network:
    """The library in this process; it runs the code in the file."""
    return without_gradients(torch._inductor.aoti_load_package(str(path)))


def recognises(path: Path) -> bool:
    """Whether the file is a package of AOTInductor."""
    return holds(path, "data/aotinductor/")


