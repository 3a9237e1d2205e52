"""The network as ONNX: a valid graph with names for what is free, without branches, that quotes nothing of ours."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from segformer_cli.errors import WeightsError
from segformer_cli.export.exportable import logits_of
from segformer_cli.export.onnx import load, read_metadata, write
from segformer_cli.model import multiply_adds
from segformer_cli.model.checkpoint import network_from
from segformer_cli.model.segformer import SegFormer
from tests.conftest import RandomCheckpoint, peer
from tests.export.conftest import WrittenAs


@pytest.fixture
def graph(written_as: WrittenAs) -> Any:
    return peer("onnx").load(str(written_as("onnx")))


def test_the_graph_is_valid_names_its_dimensions_and_holds_no_branch(graph: Any) -> None:
    peer("onnx").checker.check_model(graph, full_check=True)
    (images,), (logits,) = graph.graph.input, graph.graph.output
    assert [_dims(images), _dims(logits)] == [
        ["batch", 3, "height", "width"],
        ["batch", 5, "ceil(height / 4)", "ceil(width / 4)"],
    ]
    assert not {node.op_type for node in graph.graph.node} & {"If", "Loop", "Scan"}
    assert [each.version for each in graph.opset_import if not each.domain] == [20]


def test_a_graph_of_one_size_says_its_numbers(written_as: WrittenAs) -> None:
    graph = peer("onnx").load(str(written_as("onnx", (64, 128)))).graph
    assert [_dims(graph.input[0]), _dims(graph.output[0])] == [[1, 3, 64, 128], [1, 5, 16, 32]]


def test_products_of_parameters_are_folded(graph: Any) -> None:
    constants = {each.name for each in graph.graph.initializer}
    products = [node for node in graph.graph.node if node.op_type in ("MatMul", "Gemm")]
    assert products and not [node.name for node in products if set(node.input) <= constants]


def test_the_file_quotes_no_source_and_no_path(written_as: WrittenAs) -> None:
    data = written_as("onnx").read_bytes()
    assert b"segformer.py" not in data and b"stack_trace" not in data


def test_int8_computes_its_products_in_eight_bits(tiny: SegFormer, written_as: WrittenAs) -> None:
    path = written_as("onnx", (64, 96), "int8")
    kinds = [node.op_type for node in peer("onnx").load(str(path)).graph.node]
    assert kinds.count("QuantizeLinear") > 10 and kinds.count("DequantizeLinear") > 20
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = tiny(images)
    error = (load(path)(images) - expected).abs().max() / expected.abs().max()
    assert 1e-4 < error < 0.2


def test_another_file_is_refused(tmp_path: Path) -> None:
    peer("onnx")
    (tmp_path / "a.onnx").write_bytes(b"no graph at all")
    with pytest.raises(WeightsError, match="no ONNX file"):
        read_metadata(tmp_path / "a.onnx")
    peer("onnxruntime")
    with pytest.raises(WeightsError, match="onnxruntime cannot read"):
        load(tmp_path / "a.onnx")


def _dims(value: Any) -> list[object]:
    return [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]


def test_the_products_in_the_graph_are_those_that_are_counted(
    random_checkpoint: RandomCheckpoint, tmp_path: Path
) -> None:
    onnx = peer("onnx")
    peer("onnxscript")
    network = network_from(random_checkpoint("b0"))
    write(logits_of(network.fused(), 3, (64, 96)), tmp_path / "a.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(tmp_path / "a.onnx"))).graph
    shapes = {each.name: list(each.dims) for each in graph.initializer}
    for each in (*graph.value_info, *graph.input, *graph.output):
        shapes[each.name] = [dim.dim_value for dim in each.type.tensor_type.shape.dim]
    total = 0
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            inner = shapes[node.input[0]][0 if transposed else -1]
            total += math.prod(shapes[node.output[0]]) * inner
        elif node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
    assert total == multiply_adds.folded(network.config, (64, 96)).total
    assert total < multiply_adds.textbook(network.config, (64, 96)).total / 2


def test_int8_leaves_attention_and_most_of_the_classifier_exact(written_as: WrittenAs) -> None:
    exact, small = (peer("onnx").load(str(written_as("onnx", (64, 96), each))).graph for each in ("fp32", "int8"))
    weights = {each.name for each in exact.initializer}
    attention = {node.name for node in exact.node if node.op_type == "MatMul" and not weights & set(node.input)}
    classifier = {node.name for node in exact.node if node.op_type == "Gemm"}
    assert len(attention) == 2 * 4 and len(classifier) == 3
    floats = {node.name for node in small.node if not any("DequantizeLinear" in name for name in node.input)}
    assert attention | classifier <= floats
