"""The files of a robustness result: result.json, per_image.npz with a row for every cell, and its row for a paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segformer_cli.atomic import replacing
from segformer_cli.errors import DataError
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.report import as_text, report
from segformer_cli.robustness.degradation import Reference, reference_of_grid
from segformer_cli.robustness.protocols import Cell
from segformer_cli.robustness.table5 import latex_table, markdown_table, published_rows
from segformer_cli.workflows.results import DAMAGED, PER_IMAGE, RESULT, refuse_newer
from segformer_cli.workflows.robust_counts import RobustCounts
from segformer_cli.workflows.robust_result import RobustResult

COMMAND = "eval-robust"
TABLE_MD, TABLE_TEX = "table5.md", "table5.tex"
CLEAN = "clean"

_HINT = "make it with: segformer eval-robust -w WEIGHTS -d DATA -o FOLDER"


@dataclass(frozen=True, eq=False)
class SavedRobustness:
    """What a folder says: the `results` of its result.json, and the counts of each picture in each cell."""

    folder: Path
    results: Mapping[str, Any]
    counts: Mapping[Cell | None, ImageCounts]

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of their ids."""
        return tuple(row["name"] for row in self.results["per_class"])

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All but the clean one."""
        return tuple(cell for cell in self.counts if cell is not None)


def robust_paths(folder: Path) -> tuple[Path, ...]:
    """Every file that `write_robust` writes."""
    return tuple(folder / name for name in (PER_IMAGE, TABLE_MD, TABLE_TEX, RESULT))


def write_robust(folder: Path, result: RobustResult, counts: RobustCounts, *, force: bool = False) -> tuple[Path, ...]:
    """The files of a result, now in `folder`."""
    per_image, markdown, latex, document = robust_paths(folder)
    cells = (None, *result.cells.cells)
    of_cell = [counts.counts(cell) for cell in cells]
    with replacing(per_image, force=force) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            key=np.array(of_cell[0].keys),
            target_sha256=np.array(of_cell[0].targets),
            cell=np.array([_name(cell) for cell in cells]),
            intersection=np.stack([each.intersection for each in of_cell]),
            predicted=np.stack([each.predicted for each in of_cell]),
            true=np.stack([each.true for each in of_cell]),
        )
    written = [per_image, document]
    if result.in_table5:
        rows = [*published_rows(), result.row]
        for path, text in ((markdown, markdown_table(rows)), (latex, latex_table(rows))):
            with replacing(path, force=force) as temporary:
                temporary.write_text(text, encoding="utf-8")
        written += [markdown, latex]
    # Last, since a reader looks for it first.
    with replacing(document, force=force) as temporary:
        paths = [str(path) for path in written]
        temporary.write_text(as_text(report(COMMAND, result.to_json(), result.warnings, paths)) + "\n", "utf-8")
    return tuple(written)


def is_robust(path: str | Path) -> bool:
    """Whether a folder, or a file in it, is of a robustness result."""
    try:
        document = json.loads((_folder(path) / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("command") == COMMAND


def read_robust(path: str | Path) -> SavedRobustness:
    """What `write_robust` wrote.

    Args:
        path: the folder, or one of its files.

    Raises:
        DataError: a file is missing or is not what it should be.
    """
    folder = _folder(path)
    for name in (RESULT, PER_IMAGE):
        if not (folder / name).is_file():
            raise DataError(f"{folder} holds no {name}", where=str((folder / name).absolute()), hint=_HINT)
    try:
        document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        refuse_newer(document, folder)
        results = document["results"]
        asked = {Cell(row["corruption"], int(row["severity"])) for row in results["grid"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{RESULT} is no result of {COMMAND}", where=str(folder / RESULT), hint=_HINT) from error
    try:
        counts = _read_counts(folder / PER_IMAGE)
    except (OSError, *DAMAGED) as error:
        text = f"{PER_IMAGE} is damaged, or not what {COMMAND} writes"
        raise DataError(text, where=str(folder), hint=_HINT) from error
    if {cell for cell in counts if cell is not None} != asked:
        raise DataError(
            f"{RESULT} and {PER_IMAGE} are of different runs", where=str(folder.absolute()), hint="score again"
        )
    return SavedRobustness(folder, results, counts)


def saved_reference(path: str | Path, cells: Sequence[Cell]) -> Reference:
    """Another result as what CD and rCD are measured against.

    Raises:
        DataError: it cannot be read.
    """
    saved = read_robust(path)
    if not saved.results.get("labelled", True):
        raise DataError(f"{path} was made without labels: there is no CD beside it", where=str(saved.folder.absolute()))
    known = (row for row in saved.results["grid"] if row["miou"] is not None)
    grid = {Cell(row["corruption"], row["severity"]): row["miou"] for row in known}
    clean = saved.results["clean_miou"]
    return reference_of_grid(str(path), grid, float("nan") if clean is None else clean, cells)


def _folder(path: str | Path) -> Path:
    place = Path(path).expanduser()
    return place.parent if place.suffix in (".json", ".npz") else place


def _read_counts(path: Path) -> dict[Cell | None, ImageCounts]:
    # Opened here: numpy leaves a file open that turns out to be no archive.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        keys, targets = (tuple(str(text) for text in arrays[name]) for name in ("key", "target_sha256"))
        cells = [_cell(str(text)) for text in arrays["cell"]]
        rows = [np.asarray(arrays[name], np.int64) for name in ("intersection", "predicted", "true")]
    if any(len(each) != len(cells) for each in rows):
        raise ValueError("another number of cells")
    return {cell: ImageCounts(keys, targets, *(each[at] for each in rows)) for at, cell in enumerate(cells)}


def _name(cell: Cell | None) -> str:
    return CLEAN if cell is None else f"{cell.corruption}/{cell.severity}"


def _cell(name: str) -> Cell | None:
    if name == CLEAN:
        return None
    corruption, _, severity = name.partition("/")
    return Cell(corruption, int(severity))
