"""Runs that go on: which one, and whether what is asked of it is what it was started with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from segformer_cli.config import TrainConfig
from segformer_cli.data.class_statistics import STATISTICS, ClassStatistics
from segformer_cli.data.pairs import Split
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.settings import changed, resolve, written_as_yaml
from segformer_cli.workflows.defaults import (
    IMAGENET,
    batch_of_preset,
    counted_weights,
    imagenet_name,
    iterations_of,
    warmup_of,
)
from segformer_cli.workflows.run_list import RUNS, newest_stopped, runs_below
from segformer_cli.workflows.runs import DATA, Run, fingerprint, is_finished

FREE = frozenset(
    ("resume", "out", "force", "offline", "workers", "cache", "device", "devices", "nnodes", "rdzv_endpoint",
     "log_every", "checkpoint_every", "patience", "track")
)
"""What a run may go on with otherwise: nothing here changes a step."""


def continued(config: TrainConfig, run: Run | None = None) -> tuple[TrainConfig, Run]:
    """The settings of a run that goes on, and the run.

    Args:
        run: None finds the one that `config` means; settings at their default are then the run's.

    Raises:
        SegFormerError: there is no such run, or it is finished.
        UsageError: a setting is not that of the run, nor one that the run's came of.
    """
    folder = run_to_resume(config.out) if run is None else run.folder
    stored = stored_config(folder)
    asked = config if run is not None else dataclasses.replace(stored, **changed_values(config))
    asked = _as_chosen(asked, stored, folder)
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
                hint=f"to train further from its weights: {Run(folder).fork('-w', folder)}",
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


def _as_chosen(asked: TrainConfig, stored: TrainConfig, folder: Path) -> TrainConfig:
    """With the run's own value of a setting wherever that is what the asked one comes to.

    So the command that started a run goes on with it, though a run keeps what was chosen, not what left the choice.
    """
    if asked.batch_size == "auto":
        asked = batch_of_preset(asked)
    images = _images(folder)
    if asked.epochs is not None and images is not None:
        # Of the run's own crops a step: that other ones are asked for is said by itself.
        steps = iterations_of(dataclasses.replace(stored, iterations=None, epochs=asked.epochs), images)
        asked = dataclasses.replace(asked, iterations=steps, epochs=None)
    if asked.warmup is not None and stored.iterations is not None:
        asked = dataclasses.replace(asked, warmup=warmup_of(asked, stored.iterations))
    if asked.weights == IMAGENET:
        asked = dataclasses.replace(asked, weights=imagenet_name(asked))
    if asked.class_weights == "auto" and stored.class_weights != "auto":
        asked = dataclasses.replace(asked, class_weights=_counted(folder) or "auto")
    return asked


def refuse_other_data(folder: Path, splits: Mapping[str, Split]) -> None:
    """Nothing where a run's pictures and masks are those that it was started with, by their names and sizes.

    Raises:
        DataError: they are not.
    """
    for name, split in splits.items():
        earlier, now = _described(folder).get(name), fingerprint(split)
        if earlier is not None and earlier["sha256_of_names_and_sizes"] != now["sha256_of_names_and_sizes"]:
            raise DataError(
                f"split {name!r} has changed: {now['images']} images, {earlier['images']} when the run was started",
                where=f"{split.root}, {folder / DATA}",
                hint=f"restore them; or train on what is there now: {Run(folder).fork('-w', folder)}",
            )


def _images(folder: Path) -> int | None:
    """How many pictures a run trains on; None where it did not write that down."""
    try:
        return int(_described(folder)["train"]["images"])
    except (ValueError, KeyError, TypeError):
        return None


def _described(folder: Path) -> dict[str, Any]:
    """What a run wrote down of its data; nothing where it did not."""
    try:
        found = json.loads((folder / DATA).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _counted(folder: Path) -> tuple[float, ...] | None:
    """The class weights that follow from what a run counted; None where it did not."""
    try:
        with (folder / STATISTICS).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return counted_weights(ClassStatistics(stored["pixels"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def _refuse_changes(asked: TrainConfig, stored: TrainConfig, folder: Path) -> None:
    for field in dataclasses.fields(TrainConfig):
        new, old = getattr(asked, field.name), getattr(stored, field.name)
        if new != old and field.name not in FREE:
            value = written_as_yaml(new)
            raise UsageError(
                f"{field.name} is {value}, the run was started with {written_as_yaml(old)}",
                where=str(folder / "config.yaml"),
                hint=f"leave it out; or fork: {Run(folder).fork('-w', folder, '--set', f'{field.name}={value}')}",
            )
