"""Runs that were killed, stopped or went wrong, and went on: as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from segformer_cli.app import main
from segformer_cli.config import EvalConfig, TrainConfig
from segformer_cli.data.class_statistics import STATISTICS
from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.sample import write_sample
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.training.trainer import Diverged, Step, Trainer
from segformer_cli.errors import DataError, Interrupted, SegFormerError, UsageError
from segformer_cli.workflows import training
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.resuming import continued, stored_config
from segformer_cli.workflows.runs import Run

TIMES = ("seconds", "wait_s", "elapsed_s")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": 5, "val": 2}, (64, 96))
    return f"cityscapes:{root}"


def tiny(data: str, out: Path, **fields: object) -> TrainConfig:
    values = {
        "data": data, "weights": "none", "iterations": 8, "batch_size": 2, "crop_size": (32, 32), "workers": 0,
        "lr": 1e-3, "warmup": 2, "eval_every": 4, "checkpoint_every": 2, "log_every": 1, "device": "cpu",
        "ema": 0.9, "accumulate": 2, "out": str(out), **fields,
    }
    return TrainConfig(**values)  # type: ignore[arg-type]


def logged(run: Path) -> list[dict[str, object]]:
    """The log without its times."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def same_weights(a: Path, b: Path) -> bool:
    """Whether all that was saved is equal to the bit: the weights, their average, the optimiser's memory."""
    for name in ("best", "last"):
        ours, theirs = (load_model(Run(run).checkpoint(name)).state_dict() for run in (a, b))
        if not all(torch.equal(ours[key], theirs[key]) for key in ours):
            return False
    ours, theirs = (Run(run).load_state()["trainer"] for run in (a, b))
    for key in ("model", "average"):
        if not all(torch.equal(ours[key][name], theirs[key][name]) for name in ours[key]):
            return False
    moments = [state["optimizer"]["state"] for state in (ours, theirs)]
    return all(torch.equal(moments[0][i][key], moments[1][i][key]) for i in moments[0] for key in moments[0][i])


@pytest.fixture(scope="module")
def whole(scenes: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    training.train(tiny(scenes, run))
    return run


KILLED = """
import os, signal, sys
from segformer_cli.config import TrainConfig
from segformer_cli.engine.training.trainer import Trainer
from segformer_cli.workflows import runs, training

moment, count, config = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])

def dying(function, after):
    def call(*args, **kwargs):
        call.times += 1
        if call.times == count and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*args, **kwargs)
        if call.times == count and after:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    call.times = 0
    return call

if moment == "a step":
    Trainer.step = dying(Trainer.step, True)
elif moment == "a micro-batch":
    Trainer._loss = dying(Trainer._loss, True)
elif moment == "a checkpoint":
    # Written to its temporary place, not yet moved to its own.
    runs.torch.save = dying(runs.torch.save, True)
training.train(config)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("moment", "count", "workers"),
    [
        ("a step", 5, 0),
        ("a micro-batch", 13, 2),
        ("a checkpoint", 4, 0),
        *(pytest.param(*each, marks=pytest.mark.slow)
          for each in (("a step", 5, 2), ("a micro-batch", 13, 0), ("a checkpoint", 4, 2))),
    ],
)
def test_a_run_killed_at_any_moment_goes_on_to_the_very_weights_of_one_that_was_not(
    scenes: str, tmp_path: Path, whole: Path, moment: str, count: int, workers: int
) -> None:
    config = tiny(scenes, tmp_path / "run", workers=workers)
    line = [sys.executable, "-c", KILLED, moment, str(count), repr(config)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "run" / "report.html").exists()
    result = training.train(TrainConfig(resume=True, out=str(tmp_path / "run"), workers=workers))
    assert same_weights(tmp_path / "run", whole)
    assert logged(tmp_path / "run") == logged(whole)
    assert (tmp_path / "run" / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert not list((tmp_path / "run").rglob("*.part*"))
    assert result.iterations == 8


def test_a_run_that_was_stopped_by_a_signal_goes_on_alike(
    scenes: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs" / "train" / "one"
    code = "from segformer_cli.config import TrainConfig\nfrom segformer_cli.workflows import training\n"
    code += f"training.train({tiny(scenes, run)!r}, lambda step: print(step.done, flush=True))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while process.stdout.readline().strip() != "3":
        assert process.poll() is None
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert "Interrupted" in said
    training.train(TrainConfig(resume=True))
    assert same_weights(run, whole)
    assert logged(run) == logged(whole)


def test_going_on_reads_no_data_again(scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped_after(5, tiny(scenes, tmp_path / "run"), monkeypatch)
    positions: list[int] = []
    crop = TrainCrops._crop

    def noted(self: TrainCrops, position: int, index: int) -> object:
        positions.append(position)
        return crop(self, position, index)

    monkeypatch.setattr(TrainCrops, "_crop", noted)
    training.train(TrainConfig(resume=True, out=str(tmp_path / "run")))
    assert positions == list(range(8, 16))      # from the state after step 4 on


def stopped_after(step: int, config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends by an error after a step, as a crash would."""
    go = Trainer.step

    def failing(self: Trainer, *batch: torch.Tensor) -> Step:
        if self.iteration == step:
            raise KeyError("a crash")
        return go(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", failing)
        with pytest.raises(KeyError):
            training.train(config)


def test_a_changed_setting_is_named_with_both_values_and_the_way_to_fork(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    stopped_after(3, tiny(scenes, run), monkeypatch)
    with pytest.raises(UsageError, match=r"lr is 0.5, the run was started with 0.001") as caught:
        training.train(TrainConfig(resume=True, out=str(run), lr=0.5))
    # The way to fork is a command that can be pasted: the same data and settings, but for the rate.
    words = shlex.split(str(caught.value.hint).partition("fork: segformer ")[2])
    assert main([*words, "--dry-run", "--offline"]) == 0
    said = capsys.readouterr()
    assert "5 images to train" in said.out + said.err and "lr 0.5, 8 iterations" in said.out + said.err
    assert f"start: {run}" in said.out + said.err
    training.train(TrainConfig(resume=True, out=str(run), workers=1, log_every=5))


def test_the_command_that_started_a_run_goes_on_with_it(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    asked: dict[str, Any] = {"epochs": 3, "batch_size": "auto", "warmup": 99, "class_weights": "auto"}
    config = tiny(scenes, run, **asked, iterations=None, accumulate=1)
    stopped_after(1, dataclasses.replace(config, checkpoint_every=1), monkeypatch)
    stored = stored_config(run)
    assert (stored.iterations, stored.epochs, stored.batch_size, stored.warmup) == (2, None, 8, 1)
    again = dataclasses.replace(stored, resume=True)
    assert continued(TrainConfig(resume=True, out=str(run), **asked))[0] == again
    for other, words in (
        ({"epochs": 9}, "iterations is 6, .* with 2"), ({"warmup": 0}, "warmup is 0"),
        ({"batch_size": 4}, "batch_size is 4"),
        ({"class_weights": (1.0,) * 19}, "class_weights is"), ({"weights": "imagenet"}, "weights is b0-imagenet"),
    ):
        with pytest.raises(UsageError, match=words):
            continued(TrainConfig(resume=True, out=str(run), **{**asked, **other}))
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("weights: none", "weights: b0-imagenet", 1))
    for name in ("imagenet", "b0-imagenet"):
        assert continued(TrainConfig(resume=True, out=str(run), weights=name))[0].weights == "b0-imagenet"
    (run / STATISTICS).unlink()         # numbers that nobody counted
    with pytest.raises(UsageError, match="class_weights is auto, the run was started with"):
        continued(TrainConfig(resume=True, out=str(run), class_weights="auto"))


def test_there_is_nothing_to_resume_where_nothing_is_unfinished(
    scenes: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SegFormerError, match="there is no unfinished run"):
        training.train(TrainConfig(resume=True))
    with pytest.raises(SegFormerError, match="is finished: nothing is left to do"):
        training.train(TrainConfig(resume=True, out=str(whole)))
    with pytest.raises(SegFormerError, match="is no run"):
        training.train(TrainConfig(resume=True, out=str(tmp_path)))


def test_a_state_that_is_damaged_says_so(scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    stopped_after(3, tiny(scenes, run), monkeypatch)
    state = Run(run).state
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(SegFormerError, match=r"cannot read state.pt"):
        training.train(TrainConfig(resume=True, out=str(run)))


def diverging(at: int, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is no number when step `at` is tried, so often."""
    go, tried = Trainer._descend, []

    def descend(self: Trainer, *batch: torch.Tensor) -> float:
        loss = go(self, *batch)
        if self.iteration == at and len(tried) < times:
            tried.append(1)
            return float("nan")
        return loss

    monkeypatch.setattr(Trainer, "_descend", descend)


def test_a_loss_that_is_no_number_goes_back_to_the_last_state_and_on_with_other_crops(
    scenes: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(5, 2, monkeypatch)
    result = training.train(tiny(scenes, tmp_path / "run"))
    assert result.iterations == 8
    rows = logged(tmp_path / "run")
    assert [row["iteration"] for row in rows if "loss" in row] == list(range(1, 9))
    (note,) = [row["note"] for row in rows if "note" in row][-1:]
    assert note == (
        "the loss became nan at iteration 6: back to iteration 4, and on with other crops (2 of at most 3 times)"
    )
    assert rows[:4] == logged(whole)[:4]
    assert next(row for row in rows if row.get("iteration") == 5) != logged(whole)[4]


def test_a_run_that_goes_back_keeps_no_best_of_the_steps_it_takes_anew(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(5, 1, monkeypatch)
    config = tiny(scenes, tmp_path / "run", eval_every=1, checkpoint_every=4, ema=0.0)
    result = training.train(config)
    checkpoint = str(Run(tmp_path / "run").checkpoint("best"))
    best = evaluate(EvalConfig(weights=checkpoint, data=scenes, device="cpu"))
    assert best.miou == pytest.approx(result.best_miou, abs=1e-6)


def test_a_stop_before_the_first_step_can_be_gone_on_with(
    scenes: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(training._Training, "_is_over", property(lambda self: self.trainer.iteration >= 8))
        patch.setattr("segformer_cli.workflows.training.stop_asked", lambda: nullcontext(lambda: True))
        with pytest.raises(Interrupted, match="stopped after iteration 0 of 8"):
            training.train(tiny(scenes, run))
    training.train(TrainConfig(resume=True, out=str(run)))
    assert same_weights(run, whole)


def test_a_log_that_a_loss_of_power_damaged_is_read_as_far_as_it_goes(
    scenes: str, tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    stopped_after(5, tiny(scenes, run), monkeypatch)
    with (run / "log.jsonl").open("a") as log:
        log.write("\0\0\0\0\n{}\n[1]\n")
    training.train(TrainConfig(resume=True, out=str(run)))
    assert logged(run) == logged(whole)


def test_a_loss_that_stays_no_number_ends_the_run_and_says_where(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(5, 99, monkeypatch)
    with pytest.raises(Diverged, match="the loss became nan at iteration 6"):
        training.train(tiny(scenes, tmp_path / "run"))
    state = Run(tmp_path / "run").load_state()
    assert state["trainer"]["iteration"] == 4
    assert all(tensor.isfinite().all() for tensor in state["trainer"]["model"].values())


def test_patience_ends_a_run_that_gets_no_better(scenes: str, tmp_path: Path) -> None:
    config = tiny(scenes, tmp_path / "run", lr=1e-12, ema=0.0, iterations=40, eval_every=1, patience=3)
    result = training.train(config)
    assert result.iterations == result.best_iteration + 3 < 40
    assert f"stopped at iteration {result.iterations} of 40: no better mIoU" in (tmp_path / "run/log.jsonl").read_text()
    with pytest.raises(SegFormerError, match="is finished"):
        training.train(TrainConfig(resume=True, out=str(tmp_path / "run")))


FULL = """
import resource, sys
from segformer_cli.config import TrainConfig
from segformer_cli.workflows import runs, training

save, times = runs.Run.save_state, []

def saving(self, state):
    times.append(1)
    if len(times) == 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    save(self, state)

runs.Run.save_state = saving
training.train(eval(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_disk_that_is_full_ends_the_run_with_its_last_checkpoint_whole(
    scenes: str, tmp_path: Path, whole: Path
) -> None:
    line = [sys.executable, "-c", FULL, repr(tiny(scenes, tmp_path / "run"))]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot write state.pt: " in done.stderr
    assert f"mend that, then go on: segformer train --resume -o {tmp_path / 'run'}" in done.stderr
    assert Run(tmp_path / "run").load_state()["trainer"]["iteration"] == 2
    assert not list((tmp_path / "run").rglob("*.part*"))
    training.train(TrainConfig(resume=True, out=str(tmp_path / "run")))
    assert same_weights(tmp_path / "run", whole)


def test_a_run_whose_pictures_changed_does_not_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample(tmp_path / "scenes", {"train": 4, "val": 2}, (64, 128))
    run = tmp_path / "run"
    stopped_after(3, tiny(f"cityscapes:{tmp_path / 'scenes'}", run), monkeypatch)
    first = next((tmp_path / "scenes").rglob("train/**/*leftImg8bit.png"))
    kept = first.read_bytes()
    first.unlink()
    with pytest.raises(DataError, match="split 'train' has changed: 3 images, 4 when the run was started") as caught:
        training.train(TrainConfig(resume=True, out=str(run)))
    assert f"-c {run / 'config.yaml'} -o {run}-2 -w {run}" in str(caught.value.hint)
    first.write_bytes(kept)
    assert training.train(TrainConfig(resume=True, out=str(run))).iterations == 8


def test_the_same_command_beside_a_stopped_run_says_how_it_goes_on(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(scenes, tmp_path / "run")
    stopped_after(3, config, monkeypatch)
    with pytest.raises(SegFormerError) as caught:
        training.train(config)
    assert caught.value.hint == f"it was stopped, and goes on with: segformer train --resume -o {tmp_path / 'run'}"
    training.train(TrainConfig(resume=True, out=str(tmp_path / "run")))
    with pytest.raises(SegFormerError) as caught:
        training.train(config)
    assert caught.value.hint == "choose another -o, or add --force"
