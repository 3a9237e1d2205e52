"""Exporting: the file is run before it gets its name, says what it is, and is not written over another."""

from __future__ import annotations

import copy
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as functional

from segformer_cli.config import ExportConfig
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import EnvironmentLacksError, SegFormerError, WeightsError
from segformer_cli.export import onnx, torchscript
from segformer_cli.export.exportable import Exportable
from segformer_cli.export.torchscript import read_metadata
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
    plant_a_wrong_weight(monkeypatch)
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt")))
    assert found.verification is not None and found.verification.verdict == "fail"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt.failed"]
    assert found.path.endswith("a.pt.failed") and found.size_bytes > 1e6 and found.next is None
    assert read_metadata(tmp_path / "a.pt.failed")["verification"]["verdict"] == "fail"


def test_bisection_names_the_stage_with_the_wrong_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_a_wrong_weight(monkeypatch)
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), bisect=True))
    assert found.verification is not None and found.verification.diverges_at == "stage 3 of the encoder"


@pytest.mark.parametrize("fault", ["weight", "gelu", "corners"])
def test_a_fault_in_the_network_inside_a_full_pipeline_is_caught(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Class ids alone would hide some: a few pixels in a million change."""
    write, gelu, interpolate = torchscript.write, functional.gelu, functional.interpolate

    def faulty(what: Exportable, path: Path) -> None:
        network = copy.deepcopy(what.module)
        with monkeypatch.context() as during:
            if fault == "gelu":
                during.setattr(functional, "gelu", lambda x, **exact: gelu(x, approximate="tanh"))
            elif fault == "corners":
                during.setattr(functional, "interpolate", lambda x, size, mode, align_corners: interpolate(
                    x, size=size, mode=mode, align_corners=True
                ))
            else:
                with torch.no_grad():
                    next(network.parameters())[0, 0, 0, 0] += 0.05
            write(replace(what, module=network), path)

    monkeypatch.setattr(torchscript, "write", faulty)
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), full_pipeline=True, limit=1))
    assert found.verification is not None and found.verification.verdict == "fail"
    assert any("logits differ" in each for each in found.verification.faults)


def plant_a_wrong_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the third stage of what TorchScript writes."""
    write = torchscript.write

    def faulty(what: Exportable, path: Path) -> None:
        network = copy.deepcopy(what.module)
        with torch.no_grad():
            network.encoder.stages[2].blocks[0].ffn.shrink.weight[0, 0] += 0.5   # type: ignore[union-attr, index]
        write(replace(what, module=network), path)

    monkeypatch.setattr(torchscript, "write", faulty)


def test_without_verification_that_is_said_in_the_file(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), verify=False))
    assert found.to_json()["verification"] == {"ran": False}
    assert read_metadata(tmp_path / "a.pt")["verification"] == {"ran": False}


def test_a_folder_takes_a_file_named_like_the_weights(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", format="torchscript", out=f"{tmp_path}/", verify=False))
    assert Path(found.path) == tmp_path / "sample.pt"
    assert torchscript.load(tmp_path / "sample.pt")(torch.zeros(1, 3, 64, 64)).shape == (1, 19, 16, 16)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": None}, "no weights are named"),
        ({"format": None, "out": "model.xyz"}, "model.xyz: no format has that ending"),
        ({"format": "onxx"}, "no export format 'onxx'"),
        ({"format": "hf"}, "weights convert"),
        ({"format": "torchscript", "out": "a.onnx"}, r"ends in \.pt"),
        ({"data": "nowhere"}, "there is no folder nowhere"),
        ({"precision": "bf16"}, "torchscript cannot be written in bf16"),
        ({"precision": "fp8"}, "fp8"),
        ({"size": "12"}, "a side has 29 to"),
        ({"size": "512x"}, "is no exact size"),
        ({"size": "512,1024"}, "is no exact size"),
        ({"format": "pt2", "out": "a.pt2", "full_pipeline": True}, "cannot hold the whole pipeline"),
        ({"format": "pt2", "out": "a.pt2", "size": "100x64"}, "multiples of 32"),
        ({"format": "executorch", "out": "a.pte"}, "pictures of one size"),
        ({"bisect": True, "verify": False}, "leave out --no-verify"),
        ({"format": "aoti", "out": "a.pt2", "bisect": True}, "does not show its inner maps"),
        ({"format": "onnx", "out": "a.onnx", "precision": "int8", "weights": "b0-ade20k"}, "pictures like those"),
        ({"max_drop": -1.0}, "max_drop"),
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
    assert onnx.read_metadata(tmp_path / "a.onnx")["verification"]["verdict"] == "pass"


def test_a_missing_extra_is_said_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EnvironmentLacksError, match="onnxruntime is not installed"):
        plan(ExportConfig(weights="sample", out=str(tmp_path / "a.onnx")))


def test_the_cost_is_less_than_that_of_the_graph_as_the_paper_draws_it(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), verify=False))
    cost = found.multiply_adds
    assert cost.size_hw == (512, 512) and cost.exported < 0.5 * cost.textbook


def test_the_scores_of_file_and_network_are_told_where_pictures_have_labels(tmp_path: Path) -> None:
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), limit=2)).verification
    assert found is not None and found.pictures == 2
    assert found.reference_miou is not None and found.miou == pytest.approx(found.reference_miou, abs=1e-4)


def test_pictures_without_labels_are_compared_too(tmp_path: Path) -> None:
    picture = next(Path("sample_data").rglob("*_leftImg8bit.png"))
    (tmp_path / "pictures").mkdir()
    shutil.copy(picture, tmp_path / "pictures")
    config = ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), data=str(tmp_path / "pictures"))
    found = export_model(config).verification
    assert found is not None and (found.verdict, found.pictures, found.miou) == ("pass", 1, None)


def test_nothing_half_written_is_left_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(what: Exportable, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torchscript, "write", broken)
    with pytest.raises(KeyboardInterrupt):
        export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.pt")))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_int8_is_refused_where_the_score_falls_by_more_than_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer("onnxruntime")
    config = ExportConfig(weights="sample", out=str(tmp_path / "a.onnx"), precision="int8", size="256x512", limit=2)
    write = onnx.write

    def costly(what: Exportable, path: Path) -> None:
        """The first class, road, gets a little less of everything."""
        network = copy.deepcopy(what.module)
        with torch.no_grad():
            network.head.head.classify_bias[0] -= 3.0                        # type: ignore[union-attr, index]
        write(replace(what, module=network), path)

    monkeypatch.setattr(onnx, "write", costly)
    found = export_model(replace(config, max_drop=100.0))
    check = found.verification
    assert check is not None and check.verdict == "pass" and check.drop is not None and check.drop > 0.001
    refused = export_model(replace(config, out=str(tmp_path / "b.onnx"), max_drop=50 * check.drop))
    assert refused.path.endswith("b.onnx.failed") and refused.verification is not None
    assert refused.verification.faults[0].startswith("mIoU falls by")


@pytest.mark.slow
def test_openvino_writes_two_files_and_keeps_both_or_none(tmp_path: Path) -> None:
    peer("openvino")
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.xml"), size="256x512"))
    assert found.verification is not None and found.verification.verdict == "pass"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml"]
    (tmp_path / "a.xml").unlink()
    with pytest.raises(SegFormerError, match=r"a\.bin exists already"):
        plan(ExportConfig(weights="sample", out=str(tmp_path / "a.xml")))


@pytest.mark.parametrize("full_pipeline", [False, True])
@pytest.mark.parametrize("fault", ["nan", "raise", "shape", "load"])
def test_a_file_that_does_not_work_at_all_is_kept_as_failed_too(
    fault: str, full_pipeline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is a full pipeline, the network inside is what is broken."""
    load = torchscript.load

    def broken(path: Path) -> Any:
        run = load(path)
        if full_pipeline and path.name == "a.pt":
            return run
        if fault == "load":
            raise RuntimeError("no such operator")
        if fault == "raise":
            return lambda images: run(images[:, :2])
        return lambda images: run(images) * float("nan") if fault == "nan" else run(images)[..., :-1]

    monkeypatch.setattr(torchscript, "load", broken)
    config = ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), limit=1, full_pipeline=full_pipeline)
    found = export_model(config)
    assert found.verification is not None and found.verification.verdict == "fail"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pt.failed"]
    with pytest.raises(WeightsError, match="failed its verification"):
        load_model(found.path)


def test_what_could_not_be_scored_is_told(tmp_path: Path) -> None:
    config = ExportConfig(weights="sample", out=str(tmp_path / "a.pt"), precision="fp16", size="64x96", limit=1)
    found = export_model(config)
    assert found.verification is not None and found.verification.miou is None
    assert found.warnings == (
        "what fp16 costs in mIoU is not known: pictures come to 256x512, the file takes 64x96 alone",
    )


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_openvino_in_lower_precision_keeps_the_classes(precision: str, tmp_path: Path) -> None:
    openvino = peer("openvino")
    if precision == "int8":
        peer("nncf")
    elif "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this CPU has no bf16")
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.xml"), precision=precision, limit=4))
    check = found.verification
    assert check is not None and check.verdict == "pass" and check.argmax_agreement > 0.99
    assert check.shapes[0] == (1, 3, 97, 131) and check.least_on_noise > 0.5
    assert sorted(Path(each).name for each in found.files) == ["a.bin", "a.xml"]


@pytest.mark.slow
def test_a_full_pipeline_in_openvino_gives_the_masks_of_predict(tmp_path: Path) -> None:
    peer("openvino")
    found = export_model(ExportConfig(weights="sample", out=str(tmp_path / "a.xml"), full_pipeline=True, limit=2))
    assert found.verification is not None and found.verification.argmax_agreement > 0.9999


def test_tensorrt_is_looked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer("onnxscript")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentLacksError, match="there is no trtexec"):
        plan(ExportConfig(weights="sample", format="tensorrt", out=f"{tmp_path}/"))
