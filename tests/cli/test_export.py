"""`segformer export` as people and scripts meet it: a process of its own, its streams and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segformer_cli.app import main
from segformer_cli.export import torchscript
from tests.cli.conftest import Run
from tests.conftest import peer


def test_a_file_that_is_not_what_the_network_is_ends_in_3_and_in_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = torchscript.load
    monkeypatch.setattr(torchscript, "load", lambda path: lambda images: load(path)(images) + 0.01)
    monkeypatch.chdir(tmp_path)
    assert main(["export", "-w", "sample", "-o", "a.pt", "--set", "limit=1", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert not found["ok"] and found["error"]["exit_code"] == 3 and "logits differ by 0.01" in found["error"]["message"]
    assert found["error"]["hint"] == "add --bisect to see where"
    assert found["results"]["verification"]["verdict"] == "fail" and found["artifacts"] == ["a.pt.failed"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt.failed"]


def test_a_missing_extra_ends_in_4_with_the_line_that_mends_it(segformer: Run, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "onnxscript"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError('no', name='onnxscript')", encoding="utf-8")
    root = Path(__file__).parents[2]
    done = segformer("export", "-w", "sample", "-o", "a.onnx", PYTHONPATH=f"{hidden.parent}:{root}")
    assert done.returncode == 4
    assert 'pip install "segformer-cli[export]"' in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-f", "onxx"), "did you mean onnx"),
        (("-o", "a.pt", "--precision", "bf16"), "torchscript cannot be written in bf16"),
        (("-o", "a.pt", "--size", "large"), "--size 'large' is no exact size"),
        (("-f", "hf"), "segformer weights convert sample --to hf"),
    ],
)
def test_what_has_no_meaning_ends_in_2(segformer: Run, arguments: tuple[str, ...], said: str) -> None:
    done = segformer("export", "-w", "sample", *arguments)
    assert done.returncode == 2 and said in done.stderr and not done.stdout


def test_a_file_that_is_no_export_of_ours_is_named(segformer: Run, tmp_path: Path) -> None:
    segformer("export", "-w", "sample", "-o", "a.pt", "--no-verify")
    (tmp_path / "half.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:200_000])
    done = segformer("predict", "sample", "-w", "half.pt", "-o", "masks/")
    assert done.returncode == 1 and "half.pt" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("format_", "package"), [("openvino", "nncf"), ("aoti", "torch"), ("onnx", "onnxruntime")])
def test_stdout_is_one_object_whatever_the_tools_beneath_print(
    segformer: Run, tmp_path: Path, format_: str, package: str
) -> None:
    peer(package)
    precision = "fp32" if format_ == "aoti" else "int8"
    what = ("-w", "sample", "-f", format_, "--precision", precision, "--size", "64x96", "-o", "out/", "--json")
    done = segformer("export", *what, "--set", "limit=1", "--set", "calibration=1", "--set", "max_drop=100")
    assert json.loads(done.stdout)["results"]["format"] == format_, done.stderr
