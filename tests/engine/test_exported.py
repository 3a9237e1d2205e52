"""An exported file in place of a network: the same masks, by the same commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from segformer_cli.config import EvalConfig, ExportConfig
from segformer_cli.engine.exported import ExportedModel, is_exported
from segformer_cli.engine.loading import load_checkpoint_from, load_model
from segformer_cli.errors import UsageError, WeightsError
from segformer_cli.workflows.conversion import inspect_weights
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.exporting import export_model
from segformer_cli.workflows.prediction import Predictor
from tests.conftest import peer

PICTURE = next(Path("sample_data").rglob("*_leftImg8bit.png"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    peer("onnxruntime")
    path = tmp_path_factory.mktemp("exported") / "sample.onnx"
    export_model(ExportConfig(weights="sample", out=str(path)))
    return path


@pytest.mark.slow
def test_it_predicts_and_scores_as_the_network_does(exported: Path) -> None:
    model = load_model(exported)
    assert isinstance(model, ExportedModel) and not hasattr(model, "encoder")
    assert model.config == load_model("sample").config
    assert np.array_equal(Predictor(model)(PICTURE).mask, Predictor("sample")(PICTURE).mask)
    found, expected = (evaluate(EvalConfig(weights=str(each), limit=4)) for each in (exported, "sample"))
    assert found.miou == pytest.approx(expected.miou, abs=1e-4)
    assert model(torch.zeros(1, 3, 64, 96)).shape == (1, 19, 16, 24)


@pytest.mark.slow
def test_weights_info_says_what_it_is_and_that_it_was_verified(exported: Path) -> None:
    found, source = inspect_weights(exported), inspect_weights("sample")
    assert (found.format, found.kind) == ("onnx", "graph")
    assert (found.class_names, found.parameters, found.licence) == (source.class_names, source.parameters, None)
    assert any(note.startswith("verification: pass") for note in found.notes)


@pytest.mark.slow
def test_it_has_no_weights_to_give(exported: Path) -> None:
    with pytest.raises(WeightsError, match="exported file"):
        load_checkpoint_from(exported)
    with pytest.raises(UsageError, match="cannot be built anew"):
        load_model(exported, num_classes=3)
    with pytest.raises(WeightsError, match="exported file already"):
        export_model(ExportConfig(weights=str(exported), out=str(exported.with_suffix(".pt")), format="torchscript"))


def test_other_files_are_not_taken_for_one(tmp_path: Path) -> None:
    for name, data in (("a", b""), ("b", b"\x08"), ("c", b"PK\x03\x04"), ("d", b"\x80\x02")):
        (tmp_path / name).write_bytes(data)
        assert not is_exported(tmp_path / name)
    assert not is_exported(tmp_path) and not is_exported(tmp_path / "absent")


def test_an_onnx_file_of_another_hand_says_nothing_of_its_classes(tmp_path: Path) -> None:
    onnx = peer("onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    (tmp_path / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert is_exported(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="no ONNX file of segformer"):
        load_model(tmp_path / "a.onnx")
