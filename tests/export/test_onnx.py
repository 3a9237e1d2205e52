"""The network as ONNX: the same function in onnxruntime at every size, and no branch in the graph."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from segformer_cli.errors import EnvironmentLacksError, WeightsError
from segformer_cli.export.extras import needed
from segformer_cli.export.onnx import add_onnx_metadata, load_onnx, read_onnx_metadata, write_onnx
from segformer_cli.model.checkpoint import network_from
from segformer_cli.model.segformer import SegFormer
from tests.conftest import RandomCheckpoint, peer


@pytest.fixture(scope="module")
def exported(
    random_checkpoint: RandomCheckpoint, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SegFormer, Path]:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        peer(package)
    network = network_from(random_checkpoint("b0"))
    path = tmp_path_factory.mktemp("onnx") / "a.onnx"
    write_onnx(network.fused(), 3, path)
    return network, path


def test_it_computes_the_same_at_sizes_and_batches_it_has_not_seen(exported: tuple[SegFormer, Path]) -> None:
    network, path = exported
    run = load_onnx(path)
    for shape in ((1, 3, 97, 131), (3, 3, 29, 29), (1, 3, 64, 160), (2, 3, 32, 224)):
        images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network(images)
        assert run(images).shape == expected.shape
        assert (run(images) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_graph_is_valid_names_its_dimensions_and_holds_no_branch(exported: tuple[SegFormer, Path]) -> None:
    onnx = peer("onnx")
    graph = onnx.load(str(exported[1]))
    onnx.checker.check_model(graph, full_check=True)
    (images,), (logits,) = graph.graph.input, graph.graph.output
    shapes = [[each.dim_param or each.dim_value for each in one.type.tensor_type.shape.dim] for one in (images, logits)]
    assert shapes == [["batch", 3, "height", "width"], ["batch", 5, "ceil(height / 4)", "ceil(width / 4)"]]
    assert not {node.op_type for node in graph.graph.node} & {"If", "Loop", "Scan"}
    assert [each.version for each in graph.opset_import if not each.domain] == [20]


def test_products_of_parameters_are_folded(exported: tuple[SegFormer, Path]) -> None:
    onnx = peer("onnx")
    graph = onnx.load(str(exported[1])).graph
    constants = {each.name for each in graph.initializer}
    products = [node for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    assert products and not [node.name for node in products if set(node.input) <= constants]


def test_metadata_leave_the_graph_as_it_is(exported: tuple[SegFormer, Path], tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(exported[1].read_bytes())
    images = torch.randn(1, 3, 64, 64)
    before = load_onnx(path)(images)
    add_onnx_metadata(path, {"classes": ["road", "straße"]})
    assert read_onnx_metadata(path) == {"classes": ["road", "straße"]}
    assert torch.equal(load_onnx(path)(images), before)


def test_another_file_is_refused(tmp_path: Path) -> None:
    peer("onnx")
    (tmp_path / "a.onnx").write_bytes(b"no graph at all")
    with pytest.raises(WeightsError, match="no ONNX file"):
        read_onnx_metadata(tmp_path / "a.onnx")


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EnvironmentLacksError) as caught:
        needed("onnxruntime")
    assert caught.value.exit_code == 4 and 'pip install "segformer-cli[export]"' in str(caught.value)
