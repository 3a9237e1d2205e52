"""The runs below a folder, as the small files in them tell: quick to read, and without torch."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from segformer_cli.errors import SegFormerError
from segformer_cli.workflows.claims import is_claimed

CONFIG, COMMAND, LOG, METRICS, REPORT = "config.yaml", "command.txt", "log.jsonl", "metrics.csv", "report.html"
CHECKPOINTS, STATE, PREVIEWS = "checkpoints", "state.pt", "previews"

RUNS = Path("runs") / "train"
FOLDS = "fold_*"
"""The runs of a cross-validation, in its folder."""

DEEPEST = 3
"""Levels below a folder at which runs are looked for."""

TAIL_BYTES = 16 * 1024
"""Of a log: its last rows, whatever its length."""

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class ListedRun:
    """One run; None for what its files do not say.

    `stopped` can go on; `failed` never came to its first checkpoint. `iterations` are those of the log, whose last
    rows may be a few steps behind. `seconds` is the time it trained, without the pauses of a run that went on. Of a
    cross-validation, `folds` says of how many trainings; iterations and seconds are their sums, the mIoU is the mean of
    those that have one.
    """

    name: str
    folder: str
    state: State
    iterations: int
    all_iterations: int | None
    best_miou: float | None
    best_iteration: int | None
    seconds: float | None
    variant: str | None
    data: str | None
    folds: int | None
    changed: str


def runs_below(folder: Path | None = None) -> tuple[ListedRun, ...]:
    """The runs in a folder, or the one that it is, that which changed last first; None: those of runs/train.

    The folds of a cross-validation are listed where its own folder is named.

    Raises:
        SegFormerError: the folder that is named is not there.
    """
    if folder is not None and not folder.is_dir():
        raise SegFormerError(f"there is no folder {folder}", where=str(folder.absolute()))
    top = folder or RUNS
    found = sorted(_run_folders(top), key=_last_change, reverse=True) if top.is_dir() else []
    return tuple(_listed(run, top) for run in found)


def newest_stopped(runs: Sequence[ListedRun]) -> ListedRun | None:
    """Of runs in the order of `runs_below`, the first that can go on and that no process is at work on.

    A fold goes on with its cross-validation.
    """
    folders = {Path(run.folder) for run in runs}
    return next((run for run in runs if run.state == "stopped" and Path(run.folder).parent not in folders), None)


def is_finished(folder: Path) -> bool:
    """Whether a run came to its end: its report is the last thing written."""
    return (folder / REPORT).is_file()


def state_of(folder: Path) -> State:
    """Where a run stands. Where locks cannot be asked for (Windows), one that is running counts as stopped."""
    if is_claimed(folder / CHECKPOINTS):
        return "running"
    if is_finished(folder):
        return "finished"
    return "stopped" if (folder / CHECKPOINTS / STATE).is_file() else "failed"


def validations(folder: Path) -> list[dict[str, float]]:
    """The whole rows of metrics.csv, NaN for scores that are not defined; none where there is no such file."""
    path = folder / METRICS
    if not path.is_file():
        return []
    # The last row of a run that was killed may be half a row.
    lines = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    return [{name: float(value or math.nan) for name, value in row.items()} for row in csv.DictReader(lines)]


def steps(folder: Path) -> list[dict[str, float]]:
    """The whole rows of log.jsonl that have a loss; none where there is no such file."""
    path = folder / LOG
    return [row for row in _rows(path.read_bytes()) if "loss" in row] if path.is_file() else []


def _run_folders(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Folders that hold a config.yaml beside what else a run has; what lies in one is part of it."""
    if (folder / CONFIG).is_file() and ((folder / COMMAND).is_file() or (folder / CHECKPOINTS).is_dir()):
        yield folder
        if depth == 0:
            yield from _folds(folder)
        return
    if depth == DEEPEST:
        return
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return
    for name in names:
        if not name.startswith("."):
            yield from _run_folders(folder / name, depth + 1)


def _folds(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"{FOLDS}/{CONFIG}"))


def _last_change(folder: Path) -> float:
    files = (folder / CONFIG, folder / LOG, folder / CHECKPOINTS / STATE, folder / REPORT)
    own = max(path.stat().st_mtime for path in files if path.is_file())
    return max([own, *map(_last_change, _folds(folder))])


def _listed(folder: Path, top: Path) -> ListedRun:
    settings = _settings(folder / CONFIG)
    parts = [_trained(each) for each in _folds(folder) or [folder]]
    every, folds = settings.get("iterations"), settings.get("folds") if settings.get("fold") is None else None
    mious = [part.best[1] for part in parts if part.best is not None]
    times = [part.seconds for part in parts if part.seconds is not None]
    best = parts[0].best if folds is None else None
    return ListedRun(
        name=folder.relative_to(top).as_posix() if folder != top else folder.absolute().name,
        folder=str(folder),
        state=state_of(folder),
        iterations=sum(part.iterations for part in parts),
        all_iterations=every * (folds or 1) if isinstance(every, int) else None,
        best_miou=sum(mious) / len(mious) if mious else None,
        best_iteration=None if best is None else best[0],
        seconds=sum(times) if times else None,
        variant=settings.get("variant"),
        data=settings.get("data"),
        folds=folds,
        changed=datetime.fromtimestamp(_last_change(folder)).astimezone().isoformat(timespec="seconds"),
    )


@dataclass(frozen=True)
class _Trained:
    """How far one training came; `best` is an iteration and its mIoU."""

    iterations: int
    best: tuple[int, float] | None
    seconds: float | None


def _trained(folder: Path) -> _Trained:
    rows = _last_rows(folder / LOG)
    scored = [row for row in validations(folder) if not math.isnan(row.get("miou", math.nan))]
    best = max(scored, key=lambda row: row["miou"], default=None)
    elapsed = [row["elapsed_s"] for row in rows if "elapsed_s" in row]
    return _Trained(
        iterations=max([int(row["iteration"]) for row in [*rows, *scored[-1:]]], default=0),
        best=None if best is None else (int(best["iteration"]), best["miou"]),
        seconds=elapsed[-1] if elapsed else None,
    )


def _settings(path: Path) -> Mapping[str, Any]:
    """The keys of config.yaml as they stand; none where it is no YAML. An old key does not keep a run off the list."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _last_rows(path: Path) -> list[dict[str, Any]]:
    """The rows at the end of log.jsonl, but for one that was cut off at either end."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return _rows(file.read())
    except OSError:
        return []


def _rows(log: bytes) -> list[dict[str, Any]]:
    rows = []
    for line in log.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "iteration" in row:
            rows.append(row)
    return rows
