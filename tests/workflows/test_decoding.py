"""Pictures decoded once for a whole training."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from segformer_cli.config import TrainConfig
from segformer_cli.data.decoded import SHARED_MEMORY, bytes_needed
from segformer_cli.data.sample import write_sample
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import UsageError
from segformer_cli.workflows import decoding, planning, training

ROOT = Path(__file__).parents[2]
PAIRS = 4


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": PAIRS, "val": 2}, (64, 128))
    return f"cityscapes:{root}"


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGFORMER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "segformer" / "decoded"


def tiny(data: str, **fields: object) -> TrainConfig:
    values = {"data": data, "weights": "none", "iterations": 3, "crop_size": (32, 32), "batch_size": 2, "workers": 0,
              "device": "cpu", **fields}
    return TrainConfig(**values)  # type: ignore[arg-type]


def test_a_training_from_decoded_pictures_is_the_same_training(scenes: str, tmp_path: Path, kept: Path) -> None:
    weights = []
    for name, fields in (("files", {}), ("disk", {"cache": "disk"}), ("again", {"cache": "disk", "workers": 2}),
                         ("ram", {"cache": "ram"})):
        run = training.train(tiny(scenes, out=str(tmp_path / name), **fields))
        weights.append(load_model(run.run).state_dict())
    assert all(torch.equal(weights[0][key], other[key]) for other in weights[1:] for key in weights[0])
    assert len(list(kept.iterdir())) == 1
    assert not list(SHARED_MEMORY.glob("segformer-*/*")) or not SHARED_MEMORY.is_dir()


def test_the_plan_says_what_the_cache_takes_until_it_is_there(scenes: str, tmp_path: Path, kept: Path) -> None:
    plan = planning.plan(tiny(scenes, cache="disk"))
    assert plan.cache_bytes == bytes_needed([(64, 128)] * PAIRS, 3, wide=False)
    assert "of decoded pictures, written first (disk)" in str(plan) and not kept.exists()
    training.train(tiny(scenes, cache="disk", out=str(tmp_path / "run")))
    (file,) = kept.iterdir()
    assert file.stat().st_size == plan.cache_bytes
    later = planning.plan(tiny(scenes, cache="disk"))
    assert later.cache_bytes == 0 and "decoded pictures" not in str(later)


@pytest.mark.parametrize("where", ["disk", "ram"])
def test_a_cache_that_does_not_fit_is_refused_before_anything_is_written(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(decoding.shutil, "disk_usage", lambda _: usage(9, 9, 1000))
    monkeypatch.setattr(decoding, "free_bytes", lambda _: 1000)
    with pytest.raises(UsageError, match=f"cache={where} would take 0 MiB, 0 MiB are free"):
        training.train(tiny(scenes, cache=where, out=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists() and not (tmp_path / "cache").exists()


def test_shared_memory_smaller_than_the_machine_s_is_what_counts(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(decoding, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(decoding.shutil, "disk_usage", lambda place: usage(9, 9, 10 if place == tmp_path else 10**9))
    with pytest.raises(UsageError) as caught:
        planning.plan(tiny(scenes, cache="ram"))
    assert "--shm-size" in str(caught.value)


def test_two_processes_decode_once_and_train_as_one(scenes: str, tmp_path: Path, kept: Path) -> None:
    line = [sys.executable, "-m", "segformer_cli", "train", "-d", scenes, "-w", "none", "--iterations", "2", "-b", "2",
            "--crop-size", "32x32", "--devices", "2", "--set", "cache=disk", "-j", "0", "--device", "cpu"]
    line += ["-o", str(tmp_path / "run")]
    done = subprocess.run(line, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(kept.iterdir())) == 1 and (tmp_path / "run/checkpoints/best.safetensors").is_file()
