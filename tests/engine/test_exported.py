"""An exported file in place of a network: the same masks, by the same commands."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.config import EvalConfig, ExportConfig, PredictConfig
from segformer_cli.engine.exported import ExportedModel, is_exported, load_exported, read_exported
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_checkpoint_from, load_model
from segformer_cli.errors import ImageError, UsageError, WeightsError
from segformer_cli.workflows.conversion import inspect_weights
from segformer_cli.workflows.evaluation import evaluate, plan
from segformer_cli.workflows.exporting import export_model
from segformer_cli.workflows.predicting import predict
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


def test_an_onnx_file_of_another_hand_says_nothing_of_its_classes(tmp_path: Path) -> None:
    onnx = peer("onnx")
    graph = onnx.helper.make_graph([], "empty", [], [])
    (tmp_path / "a.onnx").write_bytes(onnx.helper.make_model(graph).SerializeToString())
    assert is_exported(tmp_path / "a.onnx")
    with pytest.raises(WeightsError, match="no ONNX file of segformer"):
        load_model(tmp_path / "a.onnx")


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scripted") / "sample.pt"
    export_model(ExportConfig(weights="sample", out=str(path), limit=1))
    return path


def test_torchscript_that_we_wrote_predicts_as_the_network_does(scripted: Path) -> None:
    assert np.array_equal(Predictor(load_model(scripted))(PICTURE).mask, Predictor("sample")(PICTURE).mask)
    said = read_exported(scripted)
    assert (said.format.name, said.precision, said.size_hw, said.full_pipeline) == ("torchscript", "fp32", None, False)


def test_a_file_that_can_hold_code_and_is_not_ours_opens_only_if_it_is_trusted(scripted: Path, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    path.write_bytes(scripted.read_bytes())
    load_model(path)                                                # the same bytes: ours, wherever they lie
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sample/extra/more", "x")
    with pytest.raises(WeightsError, match="not on record"):
        load_model(path)
    assert load_model(path, trust=True)(torch.zeros(1, 3, 64, 96)).shape == (1, 19, 16, 24)
    assert inspect_weights(path).format == "torchscript"            # reading what it says runs nothing


def test_commands_take_trust(scripted: Path, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pt"
    path.write_bytes(scripted.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sample/extra/more", "x")
    with pytest.raises(WeightsError, match="--trust"):
        evaluate(EvalConfig(weights=str(path), limit=1))
    assert evaluate(EvalConfig(weights=str(path), limit=1, trust=True)).images == 1
    config = PredictConfig(inputs=(str(PICTURE),), weights=str(path), out=str(tmp_path / "out"), trust=True)
    assert "know only drawn streets" in predict(config).notes[0]


def test_a_file_of_one_size_refuses_others_and_says_what_it_takes(tmp_path: Path) -> None:
    export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt2"), size="256x512", verify=False))
    model = load_exported(tmp_path / "a.pt2")
    assert model(torch.zeros(1, 3, 256, 512)).shape == (1, 19, 64, 128)
    small = tmp_path / "small.png"
    Image.fromarray(np.zeros((64, 96, 3), np.uint8)).save(small)
    both = PredictConfig(inputs=(str(small), str(PICTURE)), weights=str(tmp_path / "a.pt2"), out=str(tmp_path / "out"))
    done = predict(both)
    assert [each.input for each in done.images] == [str(PICTURE)] and done.failed[0].input == str(small)
    with pytest.raises(ImageError, match="takes pictures of 256x512 alone, this one comes to 64x96"):
        model(torch.zeros(1, 3, 64, 96))


def test_a_full_pipeline_scores_and_predicts_as_the_network_does(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    export_model(ExportConfig(weights="sample", out=str(path), full_pipeline=True, limit=1))
    found, expected = (evaluate(EvalConfig(weights=str(each), limit=2)) for each in (path, "sample"))
    assert found.miou == pytest.approx(expected.miou, abs=1e-3)
    same = Predictor(load_model(path))(PICTURE).mask == Predictor("sample")(PICTURE).mask
    assert same.mean() > 0.999
    with pytest.raises(UsageError, match="a full pipeline takes whole pictures once, at their own size"):
        evaluate(EvalConfig(weights=str(path), limit=1, flip=True))
    with pytest.raises(UsageError, match="asked for is: whole, at a short side of 64"):
        evaluate(EvalConfig(weights=str(path), limit=1, size="64"))
    with pytest.raises(UsageError, match="how sure it is"):
        evaluate(EvalConfig(weights=str(path), limit=1, calibration=True))


def test_a_file_has_a_precision_of_its_own_and_runs_on_the_cpu(scripted: Path) -> None:
    with pytest.raises(UsageError, match="the file computes in fp32, not in bf16"):
        evaluate(EvalConfig(weights=str(scripted), limit=1, precision="bf16"))
    segmenter = Segmenter.of(load_model(scripted), torch.device("meta"), torch.bfloat16)
    assert (segmenter.device.type, segmenter.dtype) == ("cpu", torch.float32)


def test_a_dry_run_reads_what_a_file_says(scripted: Path) -> None:
    assert "would score" in plan(EvalConfig(weights=str(scripted)))
