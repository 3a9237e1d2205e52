"""Tiny data and weights to score, made once a file of tests."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segformer_cli.classes import class_set
from segformer_cli.config import EvalConfig, PredictConfig
from segformer_cli.data.sample import write_sample
from segformer_cli.model.checkpoint import save_checkpoint
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.predicting import predict
from segformer_cli.workflows.scorecard import Evaluation
from tests.conftest import RandomCheckpoint
from tests.tiny_data import THINGS, write_lot

CITY = class_set("cityscapes").class_names


@pytest.fixture(scope="module")
def lot(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Seven pictures of five classes and of five sizes."""
    return str(write_lot(tmp_path_factory.mktemp("data") / "lot"))


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three drawn streets with labels, and two without: the split test."""
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"val": 3, "test": 2}, (64, 128))
    shutil.rmtree(root / "gtFine" / "test")
    return f"cityscapes:{root}"


Weights = Callable[..., str]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the weights of this file's tests lie."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def weights_of(shelf: Path, random_checkpoint: RandomCheckpoint) -> Weights:
    """The path of random weights with these fields, saved once."""

    def save(**fields: Any) -> str:
        path = shelf / f"{hashlib.sha256(repr(fields).encode()).hexdigest()[:12]}.safetensors"
        if not path.exists():
            names = fields.get("class_names", THINGS)
            checkpoint = random_checkpoint("b0", **{"classes": len(names), "class_names": names, **fields})
            save_checkpoint(path, checkpoint)
        return str(path)

    return save


def scored(**fields: Any) -> Evaluation:
    """The evaluation that these settings ask for, on the CPU, with few draws."""
    return evaluate(EvalConfig(**{"device": "cpu", "resamples": 100, **fields}))


def masks_of(weights: str, data: str, out: Path) -> str:
    """The folder with the masks that `segformer predict` makes of the pictures of val."""
    predict(PredictConfig(inputs=(str(Path(data) / "images" / "val"),), weights=weights, out=str(out), device="cpu"))
    return str(out)
