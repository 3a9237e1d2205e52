"""The two files that a scored folder holds, result.json and per_image.npz: written together, read back, checked."""

from __future__ import annotations

import itertools
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from segformer_cli.atomic import replacing
from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.scores import mean
from segformer_cli.report import SCHEMA, as_text, report

RESULT, PER_IMAGE = "result.json", "per_image.npz"

DAMAGED = (ValueError, KeyError, TypeError, EOFError, RuntimeError, TokenError, zipfile.BadZipFile, zlib.error)
"""What numpy and zipfile raise over bytes that are no archive of arrays."""


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


def free_folder(command: str) -> Path:
    """runs/<command>/<n> with the lowest number that is free; it is not made yet."""
    top = Path("runs") / command
    return next(folder for number in itertools.count(1) if not (folder := top / str(number)).exists())


def result_paths(folder: Path) -> tuple[Path, Path]:
    """Where the two files of a folder lie."""
    return folder / RESULT, folder / PER_IMAGE


@contextmanager
def numbered_folder(command: str) -> Iterator[str]:
    """A new folder runs/<command>/<n>, for results that were given no place; it goes again if it stays empty.

    It is made at once, so that two commands that run at the same time do not choose the same.

    Raises:
        SegFormerError: it cannot be made.
    """
    top = Path("runs") / command
    try:
        folder = _made_in(top)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SegFormerError(
            f"no folder can be made in {top} ({reason})",
            where=str(top.absolute()),
            hint="name one that can be written: -o FOLDER",
        ) from error
    try:
        yield str(folder)
    finally:
        with suppress(OSError):     # where it holds the results
            os.removedirs(folder)


def _made_in(top: Path) -> Path:
    for number in itertools.count(1):
        folder = top / str(number)
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("numbers do not end")


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
    paths = result_paths(folder)
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
        path: the folder, or one of the two files.

    Raises:
        DataError: a file is missing, is not what it should be or is of a newer segformer, or the two are of different
            scores.
    """
    place = Path(path).expanduser()
    folder = place.parent if place.name in (RESULT, PER_IMAGE) else place
    hint = "make it with: segformer eval -w WEIGHTS -d DATA -o FOLDER"
    for name in (RESULT, PER_IMAGE):
        if not (folder / name).is_file():
            raise DataError(f"{folder} holds no {name}", where=str((folder / name).absolute()), hint=hint)
    try:
        document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        refuse_newer(document, folder)
        results = document["results"]
        names = [row["name"] for row in results["per_class"]]
        miou = math.nan if results["miou"] is None else float(results["miou"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{RESULT} is no result of eval", where=str(folder / RESULT), hint=hint) from error
    counts = _read_counts(folder / PER_IMAGE, len(names))
    counted = mean(counts.iou)
    # Where writing was cut off between the two files, one of them is of an earlier score.
    if not math.isclose(miou, counted, abs_tol=1e-9) and not (math.isnan(miou) and math.isnan(counted)):
        said, counts_to = ("none" if math.isnan(value) else f"{value:.6f}" for value in (miou, counted))
        raise DataError(
            f"{RESULT} says mIoU {said}, {PER_IMAGE} comes to {counts_to}",
            where=str(folder.absolute()),
            hint="the two files are of different scores: score again",
        )
    return SavedResult(folder, results, counts)


def refuse_newer(document: object, folder: Path) -> None:
    """Nothing where the object of a result.json has a form that is known here.

    Raises:
        DataError: a later segformer wrote it.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise DataError(
            f"{RESULT} was written by a newer segformer: its schema is {schema}, this one reads up to {SCHEMA}",
            where=str(folder / RESULT),
            hint="install a newer segformer, or score again",
        )


def _read_counts(path: Path, num_classes: int) -> ImageCounts:
    again = f"it does not belong to the {RESULT} beside it: score again"
    try:
        # Opened here: numpy leaves a file open that turns out to be no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            keys, targets = (tuple(str(text) for text in arrays[name]) for name in ("key", "target_sha256"))
            rows = [np.asarray(arrays[name], np.int64) for name in ("intersection", "predicted", "true")]
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror or error}", where=str(path)) from error
    except DAMAGED as error:
        raise DataError(f"{path.name} is damaged, or not what eval writes", where=str(path), hint=again) from error
    if any(each.shape != (len(keys), num_classes) for each in rows) or len(targets) != len(keys):
        raise DataError(
            f"{path.name} has counts of shape {rows[0].shape} for {len(keys)} images and {num_classes} classes",
            where=str(path),
            hint=again,
        )
    return ImageCounts(keys, targets, *rows)
