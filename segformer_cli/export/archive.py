"""Archives of torch (TorchScript, torch.export, AOTInductor): zip files, into which more can be put."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segformer_cli.errors import WeightsError
from segformer_cli.export.exportable import NOT_OURS

META = "segformer.json"
"""What the numbers mean, beside the graph; torch's own loaders give it as an extra file."""


def add_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    """The archive with its meaning in it; the graph, which may be verified by now, stays as it is."""
    with zipfile.ZipFile(path, "a", zipfile.ZIP_STORED) as archive:
        top = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{top}/extra/{META}", json.dumps(metadata, indent=1))


def read_metadata(path: Path) -> dict[str, Any]:
    """What `add_metadata` wrote; nothing in the archive is run.

    Raises:
        WeightsError: the file is no archive of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/extra/{META}"))
            found: dict[str, Any] = json.loads(archive.read(name))
            return found
    except (OSError, ValueError, StopIteration, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path.name} is no file that segformer exported", where=str(path), hint=NOT_OURS) from error


def holds(path: Path, part: str) -> bool:
    """Whether the file is an archive with a member whose name, below its top folder, starts with `part`."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[2].startswith(part) for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
