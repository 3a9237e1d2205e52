"""The folder of a run: what identifies its weights, and what of an earlier or a lost stretch goes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from segformer_cli.config import TrainConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.model.checkpoint import load_checkpoint, save_checkpoint
from segformer_cli.workflows.runs import Run, environment, tensors_sha256, weights_fingerprint
from tests.conftest import RandomCheckpoint


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.new(TrainConfig(out=str(tmp_path / "run")))


def test_a_hash_of_tensors_does_not_depend_on_their_order_but_on_every_bit_name_type_and_shape() -> None:
    tensors = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3, dtype=torch.int64)}
    known = tensors_sha256(tensors)
    assert tensors_sha256(dict(reversed(tensors.items()))) == known
    others = [
        {**tensors, "a": torch.tensor([1.0, 2.0000002])},
        {**tensors, "a": torch.tensor([[1.0, 2.0]])},
        {**tensors, "a": torch.tensor([1.0, 2.0]).view(torch.int32)},
        {"a": tensors["a"], "c": tensors["b"]},
        {"a": tensors["a"]},
    ]
    assert known not in {tensors_sha256(each) for each in others}


def test_weights_are_known_again_in_another_file(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> None:
    checkpoint = random_checkpoint("b0")
    save_checkpoint(tmp_path / "copy.safetensors", checkpoint)
    ours = weights_fingerprint("first.safetensors", checkpoint)
    copied = weights_fingerprint("copy.safetensors", load_checkpoint(tmp_path / "copy.safetensors"))
    assert ours["sha256_of_tensors"] == copied["sha256_of_tensors"]
    assert ours["start"] == "first.safetensors"
    assert weights_fingerprint("random weights", None)["sha256_of_tensors"] is None


def test_a_run_keeps_what_it_was_made_from_and_nothing_of_the_run_before_it(
    run: Run, lot: str, random_checkpoint: RandomCheckpoint
) -> None:
    split = open_data(lot, "val")
    run.describe(TrainConfig(data=lot), {"train": split, "val": split})
    assert set(json.loads((run.folder / "data.json").read_text())) == {"train", "val"}
    for name in ("curves.png", "trackers.json", "log.jsonl", "previews/iteration_5.png", "tensorboard/x", "wandb/x"):
        (run.folder / name).parent.mkdir(exist_ok=True)
        (run.folder / name).touch()
    run.describe(TrainConfig(data=lot), {"train": split, "val": split}, "w.safetensors", random_checkpoint("b0"))
    assert {entry.name for entry in run.folder.iterdir()} == {
        "checkpoints", "command.txt", "config.yaml", "data.json", "environment.json"
    }
    found = json.loads((run.folder / "data.json").read_text())
    assert found["train"]["images"] == 7
    assert found["weights"]["start"] == "w.safetensors"
    assert len(found["weights"]["sha256_of_tensors"]) == 64
    assert json.loads((run.folder / "environment.json").read_text()) == environment()


def test_previews_of_a_lost_stretch_go_with_its_rows(run: Run) -> None:
    (run.folder / "previews").mkdir()
    for name in ("iteration_4", "iteration_12", "iteration_8", "iteration_x", "inputs"):
        (run.folder / "previews" / f"{name}.png").touch()
    for iteration in (4, 8, 12):
        run.log({"iteration": iteration, "loss": 1.0})
        run.metrics({"iteration": iteration, "miou": 0.5})
    assert list(run.previews()) == [4, 8, 12]
    run.cut_back(8)
    assert list(run.previews()) == [4, 8]
    assert sorted(path.name for path in (run.folder / "previews").iterdir()) == [
        "inputs.png", "iteration_4.png", "iteration_8.png", "iteration_x.png"
    ]
    assert len((run.folder / "log.jsonl").read_text().splitlines()) == 2
    assert len((run.folder / "metrics.csv").read_text().splitlines()) == 3


def test_decisions_are_read_without_the_rest_and_absent_where_there_is_no_state(run: Run) -> None:
    assert run.decisions() == {}
    run.save_state({"trainer": {"decisions": {"accumulate": 4, "dtype": "float32"}, "model": torch.zeros(10)}})
    assert run.decisions() == {"accumulate": 4, "dtype": "float32"}
    run.state.write_bytes(run.state.read_bytes()[:100])
    assert run.decisions() == {}


def test_a_folder_that_holds_something_is_taken_with_force_alone(run: Run) -> None:
    (run.folder / "thesis.txt").touch()
    config = TrainConfig(out=str(run.folder), force=True)
    assert Run.new(config).fresh is False
    with pytest.raises(Exception, match="exists already"):
        Run.new(dataclasses.replace(config, force=False))
