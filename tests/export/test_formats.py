"""Every format: the same function in its own runtime at sizes it has not seen, told from others by its content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from segformer_cli.errors import EnvironmentLacksError, WeightsError
from segformer_cli.export.extras import needed
from segformer_cli.export.formats import FORMATS, format_of
from segformer_cli.model.segformer import SegFormer
from tests.export.conftest import WrittenAs

SLOW = pytest.mark.slow
RUNNING = [
    "onnx",
    "torchscript",
    "pt2",
    pytest.param("openvino", marks=SLOW),
    pytest.param("aoti", marks=SLOW),
]
SHAPES = [(1, 3, 97, 131), (3, 3, 29, 29), (1, 3, 64, 160), (2, 3, 32, 224)]
ROUND = [(1, 3, 96, 128), (3, 3, 32, 32), (1, 3, 64, 160), (2, 3, 32, 224)]


@pytest.mark.parametrize("name", RUNNING)
def test_a_file_computes_the_same_at_sizes_and_batches_it_has_not_seen(
    name: str, tiny: SegFormer, written_as: WrittenAs
) -> None:
    run = FORMATS[name].runtime.load(written_as(name))
    for shape in SHAPES if FORMATS[name].any_side else ROUND:
        images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = tiny(images)
        found = run(images)
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ["onnx", "pt2", "openvino", pytest.param("executorch", marks=SLOW)])
def test_a_file_of_one_size_computes_the_same(name: str, tiny: SegFormer, written_as: WrittenAs) -> None:
    run = FORMATS[name].runtime.load(written_as(name, (64, 128)))
    images = torch.randn(1, 3, 64, 128)
    with torch.no_grad():
        expected = tiny(images)
    assert (run(images) - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", ["torchscript", *(pytest.param(n, marks=SLOW) for n in ("onnx", "pt2", "openvino"))])
def test_half_precision_is_near_and_the_file_half_as_large(name: str, tiny: SegFormer, written_as: WrittenAs) -> None:
    kind = FORMATS[name]
    half, whole = written_as(name, None, "fp16"), written_as(name)
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = tiny(images)
    error = (kind.runtime.load(half)(images) - expected).abs().max() / expected.abs().max()
    assert 1e-6 < error < 5e-3
    # The small network's graph weighs as much as its weights: they are what halves.
    weights = 4 * sum(each.numel() for each in tiny.fused().parameters())
    sizes = [sum(file.stat().st_size for file in kind.files(path)) for path in (whole, half)]
    assert sizes[0] - sizes[1] > 0.3 * weights


@pytest.mark.parametrize("precision", ["fp32", pytest.param("fp16", marks=SLOW)])
@pytest.mark.parametrize("name", ["onnx", "torchscript", "pt2", pytest.param("openvino", marks=SLOW)])
def test_a_file_shows_the_maps_of_its_four_stages(
    name: str, precision: str, tiny: SegFormer, written_as: WrittenAs
) -> None:
    features = FORMATS[name].runtime.features
    assert features is not None
    tolerance = 1e-5 if precision == "fp32" else 1e-2
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = tiny.encoder(images)
    found = features(written_as(name, None, precision))(images)
    assert [each.shape for each in found] == [each.shape for each in expected]
    for ours, theirs in zip(expected, found, strict=True):
        assert (ours - theirs).abs().max() < tolerance * ours.abs().max()


@pytest.mark.parametrize("name", RUNNING)
def test_metadata_leave_the_graph_as_it_is(name: str, written_as: WrittenAs, tmp_path: Path) -> None:
    kind = FORMATS[name]
    source = written_as(name)
    path = tmp_path / f"a{kind.suffix}"
    for ours, theirs in zip(kind.files(path), kind.files(source), strict=True):
        ours.write_bytes(theirs.read_bytes())
    images = torch.randn(1, 3, 64, 64)
    before = kind.runtime.load(path)(images)
    with pytest.raises(WeightsError, match="segformer"):
        kind.runtime.read_metadata(path)
    kind.runtime.add_metadata(path, {"classes": ["road", 'straße <"&>']})
    assert kind.runtime.read_metadata(path)["classes"] == ["road", 'straße <"&>']
    assert torch.equal(kind.runtime.load(path)(images), before)


@pytest.mark.parametrize("name", RUNNING)
def test_a_file_is_told_by_its_content_whatever_it_is_called(
    name: str, written_as: WrittenAs, tmp_path: Path
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(written_as(name).read_bytes())
    found = format_of(path)
    assert found is not None and found.name == name


@pytest.mark.parametrize("data", [b"", b"\x08", b"PK\x03\x04", b"\x80\x02", b"<?xml version='1.0'?><html/>"])
def test_other_files_are_of_no_format(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    assert format_of(tmp_path / "a") is None
    assert format_of(tmp_path) is None and format_of(tmp_path / "absent") is None


@pytest.mark.parametrize("length", [0x0A08, 0x1208, 0x1A08, 0x3A08])
def test_weights_in_safetensors_are_of_no_format_whatever_their_length(length: int, tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}).ljust(length)
    for size in (length, length | 0x120000):        # the third byte may be a tag of ONNX's: the brace decides
        (tmp_path / "a").write_bytes(size.to_bytes(8, "little") + header.encode())
        assert format_of(tmp_path / "a") is None


def test_weights_of_torch_are_of_no_format(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, tmp_path / "a.pth")
    assert format_of(tmp_path / "a.pth") is None


@pytest.mark.parametrize(("package", "extra"), [("onnxruntime", "export"), ("openvino", "openvino"), ("nncf", "nncf")])
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(EnvironmentLacksError) as caught:
        needed(package, extra)
    assert caught.value.exit_code == 4 and f'pip install "segformer-cli[{extra}]"' in str(caught.value)


def test_a_byte_of_openvino_s_weights_that_changed_is_seen(written_as: WrittenAs, tmp_path: Path) -> None:
    kind = FORMATS["openvino"]
    path = tmp_path / "a.xml"
    for ours, theirs in zip(kind.files(path), kind.files(written_as("openvino")), strict=True):
        ours.write_bytes(theirs.read_bytes())
    kind.runtime.add_metadata(path, {"a": 1})
    kind.runtime.load(path)
    weights = bytearray(path.with_suffix(".bin").read_bytes())
    weights[3] ^= 0x80
    path.with_suffix(".bin").write_bytes(weights)
    with pytest.raises(WeightsError, match=r"a\.bin is not what a\.xml was written with"):
        kind.runtime.load(path)
