"""Runs that go on: which one, and whether what is asked of it is what it was started with."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from segformer_cli.config import TrainConfig
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.settings import changed, resolve, written_as_yaml
from segformer_cli.workflows.run_list import RUNS, newest_stopped, runs_below
from segformer_cli.workflows.runs import Run, is_finished

FREE = frozenset(
    ("resume", "out", "force", "offline", "workers", "device", "devices", "nnodes", "rdzv_endpoint", "log_every",
     "checkpoint_every", "patience", "track")
)
"""What a run may go on with otherwise: nothing here changes a step."""

def continued(config: TrainConfig, run: Run | None = None) -> tuple[TrainConfig, Run]:
    """The settings of a run that goes on, and the run.

    Args:
        run: None finds the one that `config` means; settings at their default are then the run's.

    Raises:
        SegFormerError: there is no such run, or it is finished.
        UsageError: a setting differs from that of the run.
    """
    folder = run_to_resume(config.out) if run is None else run.folder
    stored = stored_config(folder)
    asked = config if run is not None else dataclasses.replace(stored, **changed_values(config))
    _refuse_changes(asked, stored, folder)
    return dataclasses.replace(asked, out=str(folder)), Run(folder)


def run_to_resume(out: str | None) -> Path:
    """The folder that `out` names, or the newest unfinished run below runs/train.

    Raises:
        SegFormerError: there is none, or it is finished.
    """
    if out is not None:
        folder = Path(out)
        if not (folder / "config.yaml").is_file():
            raise SegFormerError(f"{out} is no run", where=str(folder.absolute()), hint="-o names the run's folder")
        if is_finished(folder):
            raise SegFormerError(
                f"the run {folder.name} is finished: nothing is left to do",
                where=str(folder),
                hint=f"to train further from its weights: segformer train -w {folder}",
            )
        return folder
    newest = newest_stopped(runs_below())
    if newest is None:
        raise SegFormerError(
            "there is no unfinished run to go on with",
            where=str(RUNS.absolute()),
            hint="-o RUN names one that lies elsewhere",
        )
    return Path(newest.folder)


def stored_config(folder: Path) -> TrainConfig:
    """The settings that a run was started with."""
    return resolve(TrainConfig, file=folder / "config.yaml")


def changed_values(config: TrainConfig) -> dict[str, Any]:
    """The settings that are not at their default."""
    return {key: getattr(config, key) for key in changed(config)}


def _refuse_changes(asked: TrainConfig, stored: TrainConfig, folder: Path) -> None:
    for field in dataclasses.fields(TrainConfig):
        new, old = getattr(asked, field.name), getattr(stored, field.name)
        if new != old and field.name not in FREE:
            raise UsageError(
                f"{field.name} is {written_as_yaml(new)}, the run was started with {written_as_yaml(old)}",
                where=str(folder / "config.yaml"),
                hint=f"leave it out; or fork: segformer train -w {folder} --set {field.name}={written_as_yaml(new)}",
            )
