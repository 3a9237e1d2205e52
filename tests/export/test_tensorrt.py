"""TensorRT by way of trtexec. No GPU is at hand: a stand-in takes its place that understands the same words."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from segformer_cli.errors import EnvironmentLacksError, SegFormerError, WeightsError
from segformer_cli.export import tensorrt
from segformer_cli.export.exportable import logits_of
from segformer_cli.model.segformer import SegFormer
from tests.conftest import peer

STAND_IN = '''#!{python}
"""What trtexec does with these words, the engine being the ONNX file itself."""
import json, shutil, sys
words = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:])
if "onnx" in words:
    assert "stronglyTyped" in words and words["maxShapes"].startswith("images:4x3x"), words
    shutil.copy(words["onnx"], words["saveEngine"])
    bounds = {{edge: list(map(int, words[edge + "Shapes"].split(":")[1].split("x"))) for edge in ("min", "max")}}
    json.dump(bounds, open(words["saveEngine"] + ".bounds", "w"))
else:
    import numpy, onnxruntime
    name, _, shape = words["shapes"].partition(":")
    bounds = json.load(open(words["loadEngine"] + ".bounds"))
    given = list(map(int, shape.split("x")))
    assert all(a <= b <= c for a, b, c in zip(bounds["min"], given, bounds["max"])), (bounds, given)
    values = numpy.fromfile(words["loadInputs"].partition(":")[2], numpy.float32)
    session = onnxruntime.InferenceSession(words["loadEngine"], providers=["CPUExecutionProvider"])
    found, = session.run(None, {{name: values.reshape(tuple(map(int, shape.split("x"))))}})
    output = {{"name": "logits", "dimensions": "x".join(map(str, found.shape)), "values": found.ravel().tolist()}}
    json.dump([output], open(words["exportOutput"], "w"))
'''


@pytest.fixture
def trtexec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, first in the search path."""
    program = tmp_path / "bin" / "trtexec"
    program.parent.mkdir()
    program.write_text(STAND_IN.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return program


@pytest.mark.slow
def test_an_engine_is_built_of_the_onnx_file_and_run(trtexec: Path, tiny: SegFormer, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        peer(package)
    engine = tmp_path / "a.engine"
    tensorrt.write(logits_of(tiny.fused(), 3), engine)
    images = torch.randn(3, 3, 29, 31)
    with torch.no_grad():
        expected = tiny(images)
    assert (tensorrt.load(engine)(images) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_what_trtexec_says_when_it_fails_is_told(trtexec: Path, tmp_path: Path) -> None:
    trtexec.write_text("#!/bin/sh\necho no kernel for this GPU >&2\nexit 1\n", encoding="utf-8")
    with pytest.raises(SegFormerError, match="trtexec failed: no kernel for this GPU"):
        tensorrt.load(tmp_path / "a.engine")(torch.zeros(1, 3, 32, 32))


def test_without_trtexec_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentLacksError, match="there is no trtexec"):
        tensorrt.load(tmp_path / "a.engine")(torch.zeros(1, 3, 32, 32))


def test_the_line_fixes_what_is_fixed_and_bounds_what_is_free(tiny: SegFormer) -> None:
    free = tensorrt.build_line(Path("a.onnx"), Path("a.engine"), logits_of(tiny, 3))
    assert free[:3] == ["trtexec", "--onnx=a.onnx", "--saveEngine=a.engine"]
    assert "--noTF32" in free and "--minShapes=images:1x3x29x29" in free and "--maxShapes=images:4x3x1024x2048" in free
    fixed = tensorrt.build_line(Path("a.onnx"), Path("a.engine"), logits_of(tiny, 3, (64, 96), "fp16"))
    assert not [word for word in fixed if "Shapes" in word or "TF32" in word]


def test_metadata_lie_beside_the_engine(tmp_path: Path) -> None:
    tensorrt.add_metadata(tmp_path / "a.engine", {"classes": ["road"]})
    assert tensorrt.read_metadata(tmp_path / "a.engine") == {"classes": ["road"]}
    with pytest.raises(WeightsError, match="nothing beside"):
        tensorrt.read_metadata(tmp_path / "b.engine")
