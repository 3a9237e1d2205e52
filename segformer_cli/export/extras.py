"""Packages that not everyone has: fetched where they are needed, with the line that installs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from segformer_cli.errors import EnvironmentLacksError


def needed(package: str, extra: str = "export") -> Any:
    """The package, imported.

    Raises:
        EnvironmentLacksError: it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise EnvironmentLacksError(
            f"{package} is not installed", hint=f'pip install "segformer-cli[{extra}]"'
        ) from error
