"""The two files that a scored folder holds, result.json and per_image.npz: written together, read back, checked."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segformer_cli.atomic import refuse_existing, replacing
from segformer_cli.errors import DataError
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.report import as_text, report

RESULT, PER_IMAGE = "result.json", "per_image.npz"


@dataclass(frozen=True, eq=False)
class SavedResult:
    """What a folder says: the `results` of its result.json, and the counts of each image."""

    folder: Path
    results: Mapping[str, Any]
    counts: ImageCounts

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of their ids."""
        return tuple(row["name"] for row in self.results["per_class"])


def refuse_results(folder: Path, *, force: bool) -> None:
    """Nothing, where a result may be written.

    Raises:
        SegFormerError: one lies there and `force` is not given.
    """
    for name in (RESULT, PER_IMAGE):
        refuse_existing(folder / name, force=force)


def write_results(
    folder: Path,
    command: str,
    results: Mapping[str, object],
    counts: ImageCounts,
    warnings: Sequence[str] = (),
    *,
    force: bool = False,
) -> tuple[Path, Path]:
    """The two files, now in `folder`."""
    paths = folder / RESULT, folder / PER_IMAGE
    with replacing(paths[1], force=force) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            key=np.array(counts.keys),
            target_sha256=np.array(counts.targets),
            intersection=counts.intersection,
            predicted=counts.predicted,
            true=counts.true,
        )
    # Last, since a reader looks for it first.
    with replacing(paths[0], force=force) as temporary:
        document = report(command, results, warnings, [str(path) for path in paths])
        temporary.write_text(as_text(document) + "\n", encoding="utf-8")
    return paths


def read_results(path: str | Path) -> SavedResult:
    """What `write_results` wrote.

    Args:
        path: the folder, or its result.json.

    Raises:
        DataError: a file is missing or is not what it should be.
    """
    place = Path(path).expanduser()
    folder = place.parent if place.name == RESULT else place
    hint = "make it with: segformer eval -w WEIGHTS -d DATA -o FOLDER"
    for name in (RESULT, PER_IMAGE):
        if not (folder / name).is_file():
            raise DataError(f"{folder} holds no {name}", where=str((folder / name).absolute()), hint=hint)
    try:
        document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        results = document["results"]
        names = [row["name"] for row in results["per_class"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{RESULT} is no result of eval", where=str(folder / RESULT), hint=hint) from error
    return SavedResult(folder, results, _read_counts(folder / PER_IMAGE, len(names)))


def _read_counts(path: Path, num_classes: int) -> ImageCounts:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            keys, targets = (tuple(str(text) for text in arrays[name]) for name in ("key", "target_sha256"))
            rows = [np.asarray(arrays[name], np.int64) for name in ("intersection", "predicted", "true")]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path.name} cannot be read: {error}", where=str(path)) from error
    if any(each.shape != (len(keys), num_classes) for each in rows) or len(targets) != len(keys):
        raise DataError(
            f"{path.name} has counts of shape {rows[0].shape} for {len(keys)} images and {num_classes} classes",
            where=str(path),
            hint=f"it does not belong to the {RESULT} beside it: score again",
        )
    return ImageCounts(keys, targets, *rows)
