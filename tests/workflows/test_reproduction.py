"""A run done again: the same comes of it where nothing differs, and what differs is said."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from segformer_cli.config import TrainConfig
from segformer_cli.data.sample import write_sample
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.model.checkpoint import load_checkpoint, save_checkpoint
from segformer_cli.workflows import training
from segformer_cli.workflows.reproduction import (
    Difference,
    Reproduction,
    compare_runs,
    prepare,
    reproduce,
)
from segformer_cli.workflows.runs import Run
from tests.conftest import RandomCheckpoint
from tests.tiny_data import write_lot


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": 3, "val": 2}, (64, 96))
    return root


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, random_checkpoint: RandomCheckpoint) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("start") / "start.safetensors", random_checkpoint("b0"))


@pytest.fixture(scope="module")
def made(scenes: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of four steps from weights in a file."""
    run = tmp_path_factory.mktemp("made") / "run"
    training.train(
        TrainConfig(
            data=f"cityscapes:{scenes}", weights=str(start), iterations=4, batch_size=2, crop_size=(32, 32), workers=0,
            lr=1e-3, warmup=1, eval_every=2, log_every=1, device="cpu", accumulate=2, out=str(run),
        )
    )
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def edited(path: Path, change: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_where_nothing_differs_the_same_weights_and_scores_come_of_it(made: Path, tmp_path: Path) -> None:
    prepared = prepare(made, out=str(tmp_path / "new"))
    assert prepared.differences == ()
    assert not (tmp_path / "new").exists()
    found = reproduce(prepared)
    assert found.reproduced
    assert found.same_weights
    assert found.largest_weight_difference == found.largest_score_difference == 0
    assert found.first_other_loss is None
    assert found.verdict == "the same weights to the bit, and the same scores"
    assert found.reproduction == str(tmp_path / "new")
    again = prepare(made, out=str(tmp_path / "new"))
    assert again.plan is None
    assert reproduce(again) == found


def test_what_is_not_as_it_was_is_said_with_both_values(run: Path) -> None:
    environment = json.loads((run / "environment.json").read_text())
    edited(run / "environment.json", {"torch": "2.0", "threads": 64})
    edited(run / "data.json", {"val": {**json.loads((run / "data.json").read_text())["val"], "images": 500}})
    assert prepare(run).differences == (
        Difference("data", "val: images", 500, 2),
        Difference("versions", "torch", "2.0", environment["torch"]),
        Difference("machine", "threads", 64, environment["threads"]),
    )


def test_a_file_of_the_data_that_changed_is_noticed_wherever_the_data_lie_now(
    run: Path, scenes: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(scenes, tmp_path / "moved"))
    assert prepare(run, data=f"cityscapes:{moved}").differences == ()
    mask = next((moved / "gtFine" / "train").rglob("*.png"))
    mask.write_bytes(mask.read_bytes() + b"0")
    (difference,) = prepare(run, data=f"cityscapes:{moved}").differences
    assert (difference.of, difference.what) == ("data", "train: sha256 of names and sizes")
    assert difference.then != difference.now


def test_data_of_another_number_of_classes_is_refused_before_anything_is_trained(run: Path, tmp_path: Path) -> None:
    other = str(write_lot(tmp_path / "lot"))
    shutil.copytree(tmp_path / "lot" / "images" / "val", tmp_path / "lot" / "images" / "train")
    shutil.copytree(tmp_path / "lot" / "masks" / "val", tmp_path / "lot" / "masks" / "train")
    prepared = prepare(run, data=other, out=str(tmp_path / "new"))
    assert ("data", "train: classes") in [(each.of, each.what) for each in prepared.differences]
    with pytest.raises(UsageError, match="the data has 5 classes, that of the run 19"):
        reproduce(prepared)
    assert not (tmp_path / "new").exists()


def test_start_weights_are_known_by_their_tensors_not_their_file(
    run: Path, start: Path, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    copy = Path(shutil.copy(start, tmp_path / "copy.safetensors"))
    assert prepare(run, weights=str(copy)).differences == ()
    other = save_checkpoint(tmp_path / "other.safetensors", random_checkpoint("b0", seed=1))
    (difference,) = prepare(run, weights=str(other)).differences
    assert (difference.of, difference.what) == ("weights", "start")
    assert str(difference.then).startswith(f"{start}, sha256 ")
    assert str(difference.now).startswith(f"{other}, sha256 ")


def test_a_run_that_did_not_record_its_start_says_so(run: Path) -> None:
    known = json.loads((run / "data.json").read_text())
    del known["weights"]
    (run / "data.json").write_text(json.dumps(known))
    for weights, now in ((None, ", sha256 "), ("none", "random weights")):
        (difference,) = prepare(run, weights=weights).differences
        assert (difference.of, difference.then) == ("weights", None)
        assert now in str(difference.now)


def test_what_a_run_found_out_as_it_went_is_taken_from_its_state(run: Path) -> None:
    state = Run(run).load_state()
    state["trainer"]["decisions"] |= {"accumulate": 1, "dtype": "bfloat16", "compiled": True}
    Run(run).save_state(state)
    prepared = prepare(run)
    assert prepared.differences == ()
    assert prepared.plan is not None
    config = prepared.plan.config
    assert (config.accumulate, config.precision, config.compile) == (1, "bf16", "on")


def test_a_reproduction_that_was_stopped_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = training.Trainer.step

    def failing(self: training.Trainer, *batch: torch.Tensor) -> object:
        if self.iteration == 3:
            raise KeyError("a crash")
        return step(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "step", failing)
        with pytest.raises(KeyError):
            reproduce(prepare(made, out=str(tmp_path / "new")))
    assert reproduce(prepare(made, out=str(tmp_path / "new"))).same_weights


def test_another_run_is_not_gone_on_with_nor_the_run_itself(run: Path, made: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("lr: 0.001", "lr: 0.5"))
    with pytest.raises(UsageError, match=r"holds another run: its lr is 0.5, .* again 0.001"):
        prepare(made, out=str(run))
    with pytest.raises(UsageError, match="is the run itself"):
        prepare(made, out=str(made.parent / "." / made.name))


def test_a_run_that_is_not_finished_can_be_looked_at_but_not_done_again(run: Path, tmp_path: Path) -> None:
    (run / "report.html").unlink()
    prepared = prepare(run, out=str(tmp_path / "new"))
    assert prepared.differences == ()
    with pytest.raises(SegFormerError, match="is not finished") as caught:
        reproduce(prepared)
    assert caught.value.hint == f"segformer train --resume -o {run}"
    assert not (tmp_path / "new").exists()


def test_a_cross_validation_is_done_again_fold_by_fold(run: Path) -> None:
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("folds: null", "folds: 3"))
    with pytest.raises(SegFormerError, match="is a cross-validation") as caught:
        prepare(run)
    assert caught.value.hint == f"each fold is a run: segformer reproduce {run / 'fold_1'}"
    found = []
    for fold in (1, 2):
        folded = text.replace("folds: null", "folds: 3").replace("fold: null", f"fold: {fold}")
        (run / "config.yaml").write_text(folded)
        found.append(prepare(run))
    assert [each.plan.config.fold for each in found if each.plan is not None] == [1, 2]
    assert found[0].differences != found[1].differences     # the pictures of one of them at least are others


def test_what_is_no_run_and_what_cannot_be_read_are_expected_errors(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SegFormerError, match="nowhere is no run"):
        prepare(tmp_path / "nowhere")
    (run / "data.json").write_text("{")
    with pytest.raises(SegFormerError, match=r"cannot read data\.json"):
        prepare(run)


def test_two_runs_beside_each_other_say_how_far_apart_they_are(run: Path, made: Path) -> None:
    last = Run(run).checkpoint("last")
    checkpoint = load_checkpoint(last)
    checkpoint.tensors["head.classify.bias"][0] += 0.25
    save_checkpoint(last, checkpoint, force=True)
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    for row in log[2:]:
        row["loss"] = row.get("loss", 0) + 1
    (run / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    head, first, second, *_ = (run / "metrics.csv").read_text().splitlines()
    cells = second.split(",")
    cells[head.split(",").index("aacc")] = str(float(cells[head.split(",").index("aacc")]) + 0.01)
    (run / "metrics.csv").write_text("\n".join([head, first, ",".join(cells), ""]))
    found = compare_runs(made, run)
    assert not found.same_weights
    assert found.largest_weight_difference == pytest.approx(0.25, rel=1e-4)
    assert found.largest_score_difference == pytest.approx(0.01)
    assert not found.reproduced
    others = [row["iteration"] for row in log[2:] if "lr" in row]
    assert found.first_other_loss == others[0]
    assert found.verdict.startswith("other scores: they differ by up to 0.0100 (best mIoU ")
    (run / "metrics.csv").write_text(f"{head}\n{first}\n")
    assert compare_runs(made, run).largest_score_difference == math.inf


def test_scores_within_the_tolerance_are_the_same_though_weights_are_not() -> None:
    found = Reproduction("a", "b", False, 1e-7, 12, (0.5, 0.5), (0.5, 0.5), 9e-5)
    assert found.reproduced
    assert found.verdict == (
        "the same scores (largest difference 9.0e-05); weights differ by up to 1.0e-07; losses part at iteration 12"
    )
