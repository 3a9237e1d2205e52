"""Exporting: the file is run before it gets its name, says what it is, and is not written over another."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from segformer_cli.config import ExportConfig
from segformer_cli.errors import EnvironmentLacksError, SegFormerError
from segformer_cli.export.onnx import read_onnx_metadata
from segformer_cli.export.torchscript import load_torchscript, read_metadata
from segformer_cli.workflows import exporting
from segformer_cli.workflows.exporting import export_model, plan
from tests.conftest import peer


def test_the_file_says_what_it_is_and_that_it_was_compared(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt")))
    assert found.verification is not None and found.verification.verdict == "pass"
    assert (1, 3, 256, 512) in found.verification.shapes
    said = read_metadata(tmp_path / "a.pt")
    assert said["config"]["class_names"][0] == "road" and said["config"]["variant"] == "b0"
    assert said["verification"]["verdict"] == "pass"
    assert said["licence"] == "no third-party weights"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt"]
    assert found.to_json()["verification"]["argmax_agreement"] == found.verification.argmax_agreement


def test_a_file_that_computes_something_else_keeps_the_ending_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off(path: Path) -> Any:
        run = load_torchscript(path)
        return lambda images: run(images) + 0.01

    monkeypatch.setitem(
        exporting.FORMATS, "torchscript", replace(exporting.FORMATS["torchscript"], load=off)   # type: ignore[misc]
    )
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt")))
    assert found.verification is not None and found.verification.verdict == "fail"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt.failed"]
    assert found.path.endswith("a.pt.failed")


def test_without_verification_that_is_said_in_the_file(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), verify=False))
    assert found.to_json()["verification"] == {"ran": False}
    assert read_metadata(tmp_path / "a.pt")["verification"] == {"ran": False}


def test_a_folder_takes_a_file_named_like_the_weights(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", format="torchscript", out=f"{tmp_path}/", verify=False))
    assert Path(found.path) == tmp_path / "sample.pt"
    assert load_torchscript(tmp_path / "sample.pt")(torch.zeros(1, 3, 64, 64)).shape == (1, 19, 16, 16)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": None}, "no weights are named"),
        ({"format": None, "out": "model.xyz"}, "no format is named"),
        ({"format": "onxx"}, "no export format 'onxx'"),
        ({"format": "hf"}, "weights convert"),
        ({"format": "torchscript", "out": "a.onnx"}, r"ends in \.pt"),
        ({"data": "nowhere"}, "there is no folder nowhere"),
    ],
)
def test_what_has_no_meaning_is_refused(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"weights": "sample", "out": str(tmp_path / "a.pt"), **keys}
    with pytest.raises(SegFormerError) as caught:
        export_model(ExportConfig(**given))
    assert caught.match(message) or message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"theirs")
    with pytest.raises(SegFormerError, match="exists already"):
        plan(ExportConfig(weights="sample", out=str(tmp_path / "a.pt")))
    assert (tmp_path / "a.pt").read_bytes() == b"theirs"


@pytest.mark.slow
def test_onnx_is_asked_for_by_the_ending_and_verified_in_its_own_runtime(tmp_path: Path) -> None:
    peer("onnxruntime")
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.onnx")))
    assert found.format == "onnx"
    assert found.verification is not None and found.verification.verdict == "pass"
    assert read_onnx_metadata(tmp_path / "a.onnx")["verification"]["verdict"] == "pass"


def test_a_missing_extra_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EnvironmentLacksError, match="onnxruntime is not installed"):
        plan(ExportConfig(weights="sample", out=str(tmp_path / "a.onnx")))
