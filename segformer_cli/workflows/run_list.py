"""The runs below a folder, as the small files in them tell: quick to read, and without torch."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from segformer_cli.errors import SegFormerError
from segformer_cli.workflows.claims import is_claimed

CONFIG, COMMAND, LOG, METRICS, REPORT = "config.yaml", "command.txt", "log.jsonl", "metrics.csv", "report.html"
CHECKPOINTS, STATE, PREVIEWS = "checkpoints", "state.pt", "previews"

RUNS = Path("runs") / "train"
DEEPEST = 3
"""Levels below a folder at which runs are looked for: those of `--folds` lie in a folder of their own."""

TAIL_BYTES = 16 * 1024
"""Of a log: its last rows, whatever its length."""

State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class ListedRun:
    """One run; None for what its files do not say.

    `stopped` can go on; `failed` never came to its first checkpoint. `iterations` are those of the log, whose last
    rows may be a few steps behind. `seconds` is the time it trained, without the pauses of a run that went on.
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
    changed: str


def runs_below(folder: Path | None = None) -> tuple[ListedRun, ...]:
    """The runs in a folder, or the one that it is, that which changed last first; None: those of runs/train.

    Raises:
        SegFormerError: the folder that is named is not there.
    """
    if folder is not None and not folder.is_dir():
        raise SegFormerError(f"there is no folder {folder}", where=str(folder.absolute()))
    top = folder or RUNS
    found = sorted(_run_folders(top), key=_last_change, reverse=True) if top.is_dir() else []
    return tuple(_listed(run, top) for run in found)


def newest_stopped(runs: Iterable[ListedRun]) -> ListedRun | None:
    """Of runs in the order of `runs_below`, the first that can go on and that no process is at work on."""
    return next((run for run in runs if run.state == "stopped"), None)


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


def _run_folders(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Folders that hold a config.yaml beside what else a run has."""
    if (folder / CONFIG).is_file() and ((folder / COMMAND).is_file() or (folder / CHECKPOINTS).is_dir()):
        yield folder
    if depth == DEEPEST:
        return
    try:
        entries = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return
    for name in entries:
        if not name.startswith(".") and name not in (CHECKPOINTS, PREVIEWS):
            yield from _run_folders(folder / name, depth + 1)


def _last_change(folder: Path) -> float:
    files = (folder / CONFIG, folder / LOG, folder / CHECKPOINTS / STATE, folder / REPORT)
    return max(path.stat().st_mtime for path in files if path.is_file())


def _listed(folder: Path, top: Path) -> ListedRun:
    settings = _settings(folder / CONFIG)
    rows = _last_rows(folder / LOG)
    scored = [row for row in validations(folder) if not math.isnan(row.get("miou", math.nan))]
    best = max(scored, key=lambda row: row["miou"], default=None)
    elapsed = [row["elapsed_s"] for row in rows if "elapsed_s" in row]
    every = settings.get("iterations")
    return ListedRun(
        name=folder.relative_to(top).as_posix() if folder != top else folder.absolute().name,
        folder=str(folder),
        state=state_of(folder),
        iterations=max([int(row["iteration"]) for row in [*rows, *scored[-1:]]], default=0),
        all_iterations=every if isinstance(every, int) else None,
        best_miou=None if best is None else best["miou"],
        best_iteration=None if best is None else int(best["iteration"]),
        seconds=elapsed[-1] if elapsed else None,
        variant=settings.get("variant"),
        data=settings.get("data"),
        changed=datetime.fromtimestamp(_last_change(folder)).astimezone().isoformat(timespec="seconds"),
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
            lines = file.read().splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "iteration" in row:
            rows.append(row)
    return rows
