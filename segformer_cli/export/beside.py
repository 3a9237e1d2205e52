"""The meaning of a file that has no room for it: JSON beside it, with the ending .json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segformer_cli.errors import WeightsError

SUFFIX = ".json"


def add_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    """The JSON, now beside the file."""
    path.with_suffix(SUFFIX).write_text(json.dumps(metadata, indent=1) + "\n", encoding="utf-8")


def read_metadata(path: Path) -> dict[str, Any]:
    """What `add_metadata` wrote.

    Raises:
        WeightsError: there is no such JSON.
    """
    beside = path.with_suffix(SUFFIX)
    try:
        found: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"nothing beside {path.name} says what its numbers mean", where=str(beside), hint="copy both files"
        ) from error
