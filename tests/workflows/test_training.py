"""Training from end to end, on tiny drawn scenes."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.config import TrainConfig
from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.sample import write_sample
from segformer_cli.data.transforms import Augmentation
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.model.checkpoint import load_checkpoint, save_checkpoint
from segformer_cli.progress import Progress
from segformer_cli.resize import NATIVE, SizePolicy
from segformer_cli.workflows import planning, training, training_parts
from segformer_cli.workflows.runs import Run
from tests.conftest import RandomCheckpoint


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": 4, "val": 3}, (64, 128))
    return f"cityscapes:{root}"


def tiny(data: str, **fields: object) -> TrainConfig:
    values = {
        "data": data, "weights": "none", "iterations": 4, "batch_size": 2, "crop_size": (64, 64), "workers": 0,
        "lr": 1e-3, "warmup": 1, "eval_every": 2, "log_every": 1, "device": "cpu", **fields,
    }
    return TrainConfig(**values)  # type: ignore[arg-type]


def test_a_run_holds_what_was_asked_what_happened_and_its_weights(scenes: str, tmp_path: Path) -> None:
    heard: list[Progress] = []
    result = training.train(tiny(scenes, out=str(tmp_path / "run")), heard.append)
    run = tmp_path / "run"
    assert {entry.name for entry in run.iterdir()} == {
        "checkpoints", "command.txt", "config.yaml", "curves.png", "data.json", "environment.json", "log.jsonl",
        "metrics.csv", "previews", "report.html",
    }
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in log] == [1, 2, 3, 4]
    assert all(np.isfinite(row["loss"]) for row in log)
    assert len((run / "metrics.csv").read_text().splitlines()) == 3
    assert json.loads((run / "data.json").read_text())["train"]["images"] == 4
    for name in ("best", "last"):
        config = load_checkpoint(run / "checkpoints" / f"{name}.safetensors").config
        assert config.class_names[0] == "road"
        assert config.training_data == "cityscapes"
        assert config.licence is None
    assert result.run == str(run)
    assert result.iterations == 4
    assert any(step.figures.get("loss") for step in heard)


def test_the_same_seed_gives_the_same_weights_whoever_reads_the_files(scenes: str, tmp_path: Path) -> None:
    runs = {
        name: training.train(tiny(scenes, out=str(tmp_path / name), workers=workers, seed=seed))
        for name, workers, seed in (("a", 0, 0), ("b", 2, 0), ("c", 0, 1))
    }
    tensors = {name: load_model(run.run).state_dict() for name, run in runs.items()}
    assert all(torch.equal(tensors["a"][key], tensors["b"][key]) for key in tensors["a"])
    assert not torch.equal(tensors["a"]["head.classify.weight"], tensors["c"]["head.classify.weight"])


def test_workers_may_be_spawned_as_windows_and_macos_do(scenes: str) -> None:
    split = open_data(scenes, "train")
    crops = TrainCrops(split, Augmentation(crop_size=(32, 32)), (0.0,) * 3, (1.0,) * 3, seed=0)
    loader = torch.utils.data.DataLoader(
        crops, batch_sampler=[[(0, 0), (1, 2)]], num_workers=1, multiprocessing_context="spawn"
    )
    (images, targets), = list(loader)
    expected = crops[(1, 2)]
    assert torch.equal(images[1], expected[0])
    assert torch.equal(targets[1], expected[1])


def test_the_network_learns_one_picture_by_heart(scenes: str, tmp_path: Path) -> None:
    config = tiny(
        scenes, iterations=40, batch_size=2, lr=2e-3, head_lr_multiplier=1, scale_range=(1.0, 1.0), flip=0.0,
        photometric="off", crop_size=(64, 128), eval_every=40, drop_path=0.0, loss_mean="valid", log_every=1,
        out=str(tmp_path / "run"),
    )
    planned = planning.plan(config)
    one = dataclasses.replace(planned.train, pairs=planned.train.pairs[:1])
    result = training.train(dataclasses.replace(planned, train=one, val=one))
    log = [json.loads(line)["loss"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert np.mean(log[-3:]) < 0.35 * log[0]
    assert result.final.aacc > 0.7


def test_fine_tuning_keeps_the_encoder_and_the_rows_of_equal_names(
    scenes: str, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    source = random_checkpoint("b0", classes=3, class_names=("Road", "zebra", "sky"), licence="someone's")
    path = save_checkpoint(tmp_path / "source.safetensors", source)
    planned = planning.plan(tiny(scenes, weights=str(path)))
    model, said = training_parts.starting_network(planned)
    assert torch.equal(model.encoder.stages[0].norm.weight, source.tensors["encoder.stages.0.norm.weight"])
    rows = model.state_dict()["head.classify.weight"]
    assert torch.equal(rows[0], source.tensors["head.classify.weight"][0])
    assert torch.equal(rows[10], source.tensors["head.classify.weight"][2])
    assert any("road" in line.lower() and "sky" in line for line in said)
    assert model.config.licence == "someone's"
    assert model.config.class_names[10] == "sky"


def test_an_own_training_is_tested_at_native_size_and_sees_one_normalisation(
    scenes: str, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    source = random_checkpoint("b0", classes=3, size=SizePolicy(short=512, long=2048), mean=(1.0, 2.0, 3.0))
    path = save_checkpoint(tmp_path / "source.safetensors", source)
    planned = planning.plan(tiny(scenes, weights=str(path)))
    model, _ = training_parts.starting_network(planned)
    assert model.config.size == NATIVE
    assert model.config.mean == (1.0, 2.0, 3.0)
    assert training_parts.crops_of(planned, model.config).mean == (1.0, 2.0, 3.0)


def test_a_forced_run_leaves_no_weights_of_the_one_before(scenes: str, tmp_path: Path) -> None:
    run = Run.new(tiny(scenes, out=str(tmp_path / "run")))
    run.checkpoint("best").write_text("old")
    planned = planning.plan(tiny(scenes, out=str(tmp_path / "run"), force=True))
    Run.new(planned.config).describe(planned.config, {"train": planned.train})
    assert not run.checkpoint("best").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_mask_is_named_whoever_reads_it_and_no_folder_is_left(tmp_path: Path, workers: int) -> None:
    root = tmp_path / "scenes"
    write_sample(root, {"train": 2, "val": 1}, (64, 128))
    for mask in (root / "gtFine" / "train").rglob("*.png"):
        Image.fromarray(np.full((64, 128), 99, np.uint8)).save(mask)
    planned = planning.plan(tiny(f"cityscapes:{root}", crop_size=(32, 32), out=str(tmp_path / "run"), workers=workers))
    with pytest.raises(DataError, match=r"holds the id 99 \(8192 pixels\)") as caught:
        training.train(planned)
    assert "Traceback" not in str(caught.value)
    assert "0-33, 255" in str(caught.value.hint)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"iterations": 0}, "iterations is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"flip": 3.0}, "flip is 3"),
        ({"lr": -1.0}, "lr is -1"),
        ({"scale_range": (2.0, 0.5)}, "scale_range is 2 to 0.5"),
        ({"crop_size": (8, 64)}, "crop_size is"),
        ({"variant": "b9"}, "there is no variant 'b9'"),
        ({"epochs": 2.0}, "are both given"),
        ({"devices": 2}, "devices is 2, and this is one process"),
        ({"nnodes": "2"}, "nnodes is 2, and this is one process"),
    ],
)
def test_values_without_meaning_are_refused_before_anything_runs(
    scenes: str, tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        training.train(tiny(scenes, out=str(tmp_path / "run"), **fields))
    assert not (tmp_path / "run").exists()


def test_the_report_shows_loss_scores_and_pictures_without_reaching_the_network(scenes: str, tmp_path: Path) -> None:
    result = training.train(tiny(scenes, out=str(tmp_path / "run")))
    page = Path(result.report).read_text(encoding="utf-8")
    assert result.report == str(tmp_path / "run" / "report.html")
    for title in ("How it went", "The hardest classes", "Classes", "Confusion matrix", "As the last weights see it"):
        assert title in page
    assert f"{100 * result.best_miou:.2f}" in page
    assert page.count("data:image") >= 4
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page


def test_a_run_folder_that_holds_something_is_not_written_into(scenes: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").touch()
    with pytest.raises(SegFormerError, match="exists already"):
        training.train(tiny(scenes, out=str(tmp_path / "run")))


def test_weights_of_another_variant_are_refused(
    scenes: str, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    path = save_checkpoint(tmp_path / "b1.safetensors", random_checkpoint("b1"))
    with pytest.raises(UsageError, match="the weights are a b1, --variant says b0"):
        training.train(tiny(scenes, weights=str(path), out=str(tmp_path / "run")))


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_weights_and_exits_130(scenes: str, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "segformer_cli", "train", "-d", scenes, "-w", "none", "--preset", "scratch"]
    command += ["--iterations", "100000", "-b", "1", "--crop-size", "32", "-j", "1", "--set", "log_every=1"]
    run = tmp_path / "run"
    process = subprocess.Popen([*command, "-o", str(run)], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopped after iteration" in said
    assert "Traceback" not in said
    assert load_checkpoint(run / "checkpoints" / "last.safetensors").config.variant == "b0"
