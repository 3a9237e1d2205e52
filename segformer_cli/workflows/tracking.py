"""Where the numbers and pictures of a run go beside its folder: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

from segformer_cli.atomic import replacing
from segformer_cli.config import TrainConfig
from segformer_cli.errors import EnvironmentLacksError, Interrupted
from segformer_cli.export.extras import needed
from segformer_cli.images import Picture
from segformer_cli.settings import written_as_yaml
from segformer_cli.workflows.runs import TRACKERS
from segformer_cli.workflows.scorecard import Evaluation

Ended = Literal["finished", "stopped", "failed"]

PROJECT = "segformer"
"""The project of Weights & Biases and the experiment of MLflow, unless their own variables name another."""

LOCAL = ("", "file", "sqlite")
"""Schemes of the places of MLflow that need no network."""


class Tracker(Protocol):
    """A program that shows runs. Any method may raise what it likes: the run then goes on without it."""

    handle: str | None
    """What it calls this run, by which a later process finds it again; None where the folder is enough."""

    def numbers(self, iteration: int, values: Mapping[str, float]) -> None:
        """Values by name, at a step."""

    def picture(self, iteration: int, name: str, picture: Picture) -> None:
        """A picture (H, W, 3), at a step."""

    def back_to(self, iteration: int) -> None:
        """What was sent after a step no longer holds: the run is back there, and goes on from it."""

    def close(self, ended: Ended) -> None:
        """Nothing more will come from this process; `stopped` is a run that may go on."""


class Trackers(AbstractContextManager["Trackers"]):
    """All trackers of a run as one; leaving it closes them. What one of them raises costs the run nothing but it.

    Args:
        note: hears of a tracker that is given up.
    """

    def __init__(self, trackers: Mapping[str, Tracker], note: Callable[[str], None] = lambda text: None) -> None:
        self._trackers = dict(trackers)
        self._note = note

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended: Ended = "finished"
        if kind is not None:
            ended = "stopped" if issubclass(kind, (Interrupted, KeyboardInterrupt)) else "failed"
        self._each(lambda tracker: tracker.close(ended))

    def step(self, iteration: int, loss: float, lr: float) -> None:
        """One step, as the log has it."""
        self._each(lambda tracker: tracker.numbers(iteration, {"train/loss": loss, "train/lr": lr}))

    def validation(self, iteration: int, found: Evaluation, sheet: Picture | None = None) -> None:
        """One validation: its scores, each class, and a sheet of pictures."""
        values = {"val/miou": found.miou, "val/macc": found.macc, "val/aacc": found.aacc}
        values |= {f"val/iou/{row.name}": row.iou for row in found.per_class}
        self._each(lambda tracker: tracker.numbers(iteration, values))
        if sheet is not None:
            self.picture(iteration, "previews/validation", sheet)

    def picture(self, iteration: int, name: str, picture: Picture) -> None:
        """A picture (H, W, 3), at a step."""
        self._each(lambda tracker: tracker.picture(iteration, name, picture))

    def back_to(self, iteration: int) -> None:
        """What was sent after a step no longer holds."""
        self._each(lambda tracker: tracker.back_to(iteration))

    def _each(self, send: Callable[[Tracker], None]) -> None:
        for name in list(self._trackers):
            self._one(name, send)

    def _one(self, name: str, send: Callable[[Tracker], None]) -> None:
        try:
            send(self._trackers[name])
        except Exception as error:      # of whatever program: hours of training are worth more than its curves
            del self._trackers[name]
            self._note(f"{name} takes no more ({_first_line(error)}): the run goes on without it")


def check_trackers(config: TrainConfig) -> None:
    """Nothing where every tracker that is asked for is installed.

    Raises:
        EnvironmentLacksError: one is not; the hint installs it.
    """
    for name in config.track:
        _quiet_at_home(name)
        needed(name, name)


def open_trackers(
    config: TrainConfig, folder: Path, iteration: int = 0, note: Callable[[str], None] = lambda text: None
) -> Trackers:
    """The trackers that a config asks for, each in the run it began for this folder, or in a new one.

    What they call their runs is kept in the folder's trackers.json.

    Args:
        iteration: the step that the run goes on from.

    Raises:
        EnvironmentLacksError: one is not installed or cannot be reached.
    """
    check_trackers(config)
    kept = folder / TRACKERS
    handles: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    opened: dict[str, Tracker] = {
        name: _opened(name, config, folder, handles.get(name), iteration) for name in config.track
    }
    handles |= {name: tracker.handle for name, tracker in opened.items() if tracker.handle is not None}
    if handles:
        with replacing(kept, force=True) as temporary:
            temporary.write_text(json.dumps(handles), encoding="utf-8")
    return Trackers(opened, note)


def _opened(name: str, config: TrainConfig, folder: Path, handle: str | None, iteration: int) -> Tracker:
    try:
        if name == "tensorboard":
            return TensorBoard(folder, iteration)
        kind = WeightsAndBiases if name == "wandb" else MLflow
        return kind(folder, config, handle)
    except EnvironmentLacksError:
        raise
    except Exception as error:
        hint = "--offline keeps it on this machine; --set track=[] goes on without"
        raise EnvironmentLacksError(f"{name} cannot be opened: {_first_line(error)}", hint=hint) from error


class TensorBoard:
    """Event files in <run>/tensorboard; of a run that goes on, later events take the place of those that were lost."""

    handle: str | None = None

    def __init__(self, folder: Path, iteration: int) -> None:
        self._folder = folder / "tensorboard"
        self._writer = self._from(iteration)

    def numbers(self, iteration: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def picture(self, iteration: int, name: str, picture: Picture) -> None:
        self._writer.add_image(name, picture, iteration, dataformats="HWC")

    def back_to(self, iteration: int) -> None:
        self._writer.close()
        self._writer = self._from(iteration)

    def close(self, ended: Ended) -> None:
        self._writer.close()

    def _from(self, iteration: int) -> Any:
        writer = import_module("torch.utils.tensorboard").SummaryWriter
        return writer(str(self._folder), purge_step=iteration + 1, flush_secs=30)


class WeightsAndBiases:
    """A run of Weights & Biases, its files in <run>/wandb; with `offline` they wait there for `wandb sync`."""

    def __init__(self, folder: Path, config: TrainConfig, handle: str | None) -> None:
        self._wandb = needed("wandb", "wandb")
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=os.environ.get("WANDB_NAME", _title(folder, config)),
            id=handle,
            resume="allow",
            dir=str(folder),
            config=dataclasses.asdict(config),
            mode="offline" if config.offline else None,
            # Nothing of the terminal, the code or its repository is sent.
            settings=self._wandb.Settings(silent=True, console="off", disable_code=True, disable_git=True),
        )
        # A run that steps back sends the same step twice, which its own count of steps would refuse.
        self._run.define_metric("iteration")
        self._run.define_metric("*", step_metric="iteration")
        self.handle: str | None = str(self._run.id)

    def numbers(self, iteration: int, values: Mapping[str, float]) -> None:
        self._run.log({"iteration": iteration, **values})

    def picture(self, iteration: int, name: str, picture: Picture) -> None:
        self._run.log({"iteration": iteration, name: self._wandb.Image(picture)})

    def back_to(self, iteration: int) -> None:
        """Nothing can be taken back; what comes again stands beside it."""

    def close(self, ended: Ended) -> None:
        self._run.finish(exit_code=0 if ended == "finished" else 1)


class MLflow:
    """A run of MLflow, at the place that MLFLOW_TRACKING_URI or MLflow itself names."""

    def __init__(self, folder: Path, config: TrainConfig, handle: str | None) -> None:
        self._entities = needed("mlflow.entities", "mlflow")
        mlflow = needed("mlflow", "mlflow")
        place = str(mlflow.get_tracking_uri())
        if config.offline and urlsplit(place).scheme not in LOCAL:
            raise EnvironmentLacksError(
                f"mlflow keeps its runs at {place}, and --offline never touches the network",
                hint="leave out --offline, or let MLFLOW_TRACKING_URI name a place on this machine",
            )
        self._client = mlflow.MlflowClient()
        self.handle: str | None = handle or self._begun(folder, config)
        self._client.update_run(self.handle, status="RUNNING")

    def numbers(self, iteration: int, values: Mapping[str, float]) -> None:
        now = int(1000 * time.time())
        metrics = [self._entities.Metric(_plain(name), value, now, iteration) for name, value in values.items()]
        self._client.log_batch(self.handle, metrics=metrics)

    def picture(self, iteration: int, name: str, picture: Picture) -> None:
        self._client.log_image(self.handle, picture, key=_plain(name), step=iteration)

    def back_to(self, iteration: int) -> None:
        """Nothing can be taken back; what comes again stands beside it."""

    def close(self, ended: Ended) -> None:
        status = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[ended]
        self._client.set_terminated(self.handle, status)

    def _begun(self, folder: Path, config: TrainConfig) -> str:
        """A new run with the settings as its parameters."""
        title = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(title)
        experiment = known.experiment_id if known else self._client.create_experiment(title)
        handle = str(self._client.create_run(experiment, run_name=_title(folder, config)).info.run_id)
        parameters = [
            self._entities.Param(key, written_as_yaml(value)) for key, value in dataclasses.asdict(config).items()
        ]
        self._client.log_batch(handle, params=parameters)
        return handle


def _title(folder: Path, config: TrainConfig) -> str:
    """The folder's name; a fold's is the same in every cross-validation."""
    return folder.name if config.fold is None else f"{folder.absolute().parent.name}_{folder.name}"


def _quiet_at_home(name: str) -> None:
    """Before a tracker is imported: it does not tell its makers how it is used, unless its user asked for that."""
    if name == "wandb":
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    elif name == "mlflow":
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def _plain(name: str) -> str:
    """A name in the letters that MLflow takes.

    >>> _plain("val/iou/traffic light (red)")
    'val/iou/traffic light _red_'
    """
    return re.sub(r"[^/\w.\- ]", "_", name)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
