"""What trackers are sent, by the programs' own accounts; each is skipped where it is not installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segformer_cli.config import TrainConfig
from segformer_cli.data.sample import write_sample
from segformer_cli.errors import EnvironmentLacksError, Interrupted, SegFormerError
from segformer_cli.images import Picture
from segformer_cli.settings import resolve
from segformer_cli.workflows import training
from segformer_cli.workflows.scorecard import ClassScore, Evaluation
from segformer_cli.workflows.tracking import Ended, Trackers, check_trackers, open_trackers

SHEET = np.full((20, 30, 3), 200, np.uint8)


def scores(miou: float) -> Evaluation:
    rows = (ClassScore(0, "road", miou, 1.0, 10), ClassScore(1, "sign (small)", float("nan"), 1.0, 0))
    return Evaluation(miou, 0.5, 0.25, rows, images=1, confusion=np.zeros((2, 2), np.int64), protocol="whole")


def sent(config: TrainConfig, folder: Path, steps: range) -> None:
    """What a training sends: a loss at each step, one validation at the last."""
    folder.mkdir(exist_ok=True)
    with open_trackers(config, folder, iteration=steps.start - 1) as trackers:
        for iteration in steps:
            trackers.step(iteration, loss=1 / iteration, lr=0.1)
        trackers.validation(steps[-1], scores(0.75), SHEET)


class Listed:
    """A tracker that keeps what it hears, and breaks where it is told to."""

    handle: str | None = None

    def __init__(self, breaks_at: int = 99) -> None:
        self.heard: list[Any] = []
        self.breaks_at = breaks_at

    def numbers(self, iteration: int, values: Mapping[str, float]) -> None:
        if iteration == self.breaks_at:
            raise ConnectionError("no route\nto the host")
        self.heard.append((iteration, dict(values)))

    def picture(self, iteration: int, name: str, picture: Picture) -> None:
        self.heard.append((iteration, name, picture.shape))

    def back_to(self, iteration: int) -> None:
        self.heard.append(("back to", iteration))

    def close(self, ended: Ended) -> None:
        self.heard.append(ended)


def test_steps_scores_classes_and_pictures_have_names_of_their_own() -> None:
    tracker = Listed()
    with Trackers({"one": tracker}) as trackers:
        trackers.picture(0, "previews/inputs", SHEET)
        trackers.step(1, loss=0.5, lr=0.1)
        trackers.back_to(0)
        trackers.validation(1, scores(0.75), SHEET)
    inputs, step, back, (_, values), sheet, ended = tracker.heard
    assert inputs == (0, "previews/inputs", (20, 30, 3))
    assert step == (1, {"train/loss": 0.5, "train/lr": 0.1})
    assert back == ("back to", 0)
    assert list(values) == ["val/miou", "val/macc", "val/aacc", "val/iou/road", "val/iou/sign (small)"]
    assert values["val/miou"] == values["val/iou/road"] == 0.75
    assert sheet == (1, "previews/validation", (20, 30, 3))
    assert ended == "finished"


@pytest.mark.parametrize(
    ("error", "ended"),
    [(Interrupted("x"), "stopped"), (KeyboardInterrupt(), "stopped"), (SegFormerError("x"), "failed")],
)
def test_a_tracker_hears_how_the_run_ended(error: BaseException, ended: str) -> None:
    tracker = Listed()
    with pytest.raises(type(error)), Trackers({"one": tracker}):
        raise error
    assert tracker.heard == [ended]


def test_a_tracker_that_breaks_is_left_behind_and_the_others_go_on() -> None:
    notes: list[str] = []
    broken, whole = Listed(breaks_at=2), Listed()
    with Trackers({"broken": broken, "whole": whole}, notes.append) as trackers:
        for iteration in (1, 2, 3):
            trackers.step(iteration, loss=1.0, lr=0.1)
    assert [row[0] for row in broken.heard] == [1]
    assert [row[0] for row in whole.heard[:-1]] == [1, 2, 3]
    assert notes == ["broken takes no more (no route): the run goes on without it"]


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_one_that_is_not_installed_is_one_line_that_mends_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EnvironmentLacksError, match=f"^{name} is not installed") as caught:
        check_trackers(resolve(TrainConfig, sets=[f"track={name}"]))
    assert caught.value.hint == f'pip install "segformer-cli[{name}]"'
    assert caught.value.exit_code == 4


def test_without_trackers_nothing_is_written(tmp_path: Path) -> None:
    sent(TrainConfig(), tmp_path / "run", range(1, 3))
    assert not list((tmp_path / "run").iterdir())


def test_tensorboard_shows_what_was_sent_and_forgets_what_came_after_the_step_a_run_went_on_from(
    tmp_path: Path,
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = resolve(TrainConfig, sets=["track=tensorboard"])
    sent(config, tmp_path / "run", range(1, 6))
    sent(config, tmp_path / "run", range(4, 7))     # its last state was that of step 3
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [event.step for event in found.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in found.Scalars("val/miou")] == [6]
    assert found.Scalars("val/iou/road")[0].value == 0.75
    (image,) = found.Images("previews/validation")
    assert (image.height, image.width) == (20, 30)
    assert not (tmp_path / "run" / "trackers.json").exists()


def test_tensorboard_forgets_what_came_after_the_step_a_run_stepped_back_to(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with open_trackers(resolve(TrainConfig, sets=["track=tensorboard"]), tmp_path) as trackers:
        for iteration, loss in ((1, 1.0), (2, 9.0)):
            trackers.step(iteration, loss, lr=0.1)
        trackers.back_to(1)
        trackers.step(2, loss=0.5, lr=0.1)
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [(1, 1.0), (2, 0.5)]


def test_wandb_keeps_one_run_on_this_machine_when_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "settings"))
    config = resolve(TrainConfig, sets=["track=wandb", "offline=true"])
    handles = []
    for steps in (range(1, 3), range(3, 5)):
        sent(config, tmp_path / "run", steps)
        handles.append(json.loads((tmp_path / "run" / "trackers.json").read_text())["wandb"])
    assert handles[0] == handles[1]
    logs = [path.read_bytes() for path in (tmp_path / "run" / "wandb").glob(f"offline-run-*/run-{handles[0]}.wandb")]
    assert logs
    for text in (b"train/loss", b"val/iou/road", b"crop_size"):
        assert any(text in log for log in logs)
    assert list((tmp_path / "run" / "wandb").rglob("media/images/previews/*.png"))


def test_mlflow_has_one_run_with_settings_scores_and_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    config = resolve(TrainConfig, sets=["track=mlflow", "offline=true", "lr=0.001"])
    for steps in (range(1, 3), range(3, 5)):
        sent(config, tmp_path / "run", steps)
    client = mlflow.MlflowClient()
    (found,) = client.search_runs([client.get_experiment_by_name("segformer").experiment_id])
    assert found.info.run_name == "run"
    assert found.info.status == "FINISHED"
    assert found.data.params["lr"] == "0.001"
    history = client.get_metric_history(found.info.run_id, "train/loss")
    assert [(row.step, row.value) for row in history] == [(1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25)]
    assert found.data.metrics["val/iou/road"] == 0.75
    assert "val/iou/sign _small_" in found.data.metrics
    assert client.list_artifacts(found.info.run_id)


def test_mlflow_on_a_server_contradicts_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    with pytest.raises(EnvironmentLacksError, match=r"keeps its runs at https://mlflow\.example\.org"):
        open_trackers(resolve(TrainConfig, sets=["track=mlflow", "offline=true"]), tmp_path)


def test_a_tracker_that_cannot_be_opened_ends_the_run_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    (tmp_path / "store").write_text("a file where a folder is to be")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    with pytest.raises(EnvironmentLacksError, match=r"^mlflow cannot be opened: ") as caught:
        open_trackers(resolve(TrainConfig, sets=["track=mlflow"]), tmp_path)
    assert "--set track=[]" in str(caught.value.hint)


def test_a_training_sends_its_steps_scores_and_previews_and_one_that_goes_on_sends_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write_sample(tmp_path / "scenes", {"train": 3, "val": 2}, (64, 96))
    config = TrainConfig(
        data=f"cityscapes:{tmp_path / 'scenes'}", weights="none", iterations=4, batch_size=2, crop_size=(32, 32),
        workers=0, lr=1e-3, warmup=1, eval_every=2, log_every=1, device="cpu", track=("tensorboard",),
        out=str(tmp_path / "run"),
    )
    step = training.Trainer.step

    def failing(self: training.Trainer, *batch: torch.Tensor) -> object:
        if self.iteration == 3:
            raise KeyError("a crash")
        return step(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "step", failing)
        with pytest.raises(KeyError):
            training.train(config)
    training.train(TrainConfig(resume=True, out=str(tmp_path / "run")))
    found = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    logged = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    for name in ("loss", "lr"):
        events = [(event.step, event.value) for event in found.Scalars(f"train/{name}")]
        assert events == [(row["iteration"], pytest.approx(row[name])) for row in logged]
    assert [event.step for event in found.Scalars("val/miou")] == [2, 4]
    assert len([name for name in found.Tags()["scalars"] if name.startswith("val/iou/")]) == 19
    assert found.Tags()["images"] == ["previews/inputs", "previews/validation"]


def test_a_tracker_that_is_not_installed_ends_a_training_before_its_folder_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(EnvironmentLacksError, match="wandb is not installed"):
        training.train(TrainConfig(track=("wandb",), weights="none", out=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()
