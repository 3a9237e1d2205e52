"""ONNX graphs in 8 bits: quantised and dequantised around each product (QDQ), ranges taken from real pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from segformer_cli.export.extras import needed

_KINDS = ("MatMul", "Conv")
"""Not Gemm, as which three of the four groups of the classifier are written: their sums decide."""


def quantise(exact: Path, name: str, pictures: Sequence[Tensor], path: Path) -> None:
    """The graph with 8-bit products, now at `path`.

    Args:
        exact: the graph in float32.
        name: of its input.
        pictures: batches to take the ranges of activations from.

    Raises:
        EnvironmentLacksError: onnxruntime is not installed.
    """
    tools = needed("onnxruntime.quantization")
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)      # it advises on the root logger
    try:
        tools.quantize_static(
            str(exact),
            str(path),
            _Pictures(name, pictures),
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=list(_KINDS),
            nodes_to_exclude=_delicate(exact),
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
        )
    finally:
        logger.setLevel(level)


def _delicate(path: Path) -> list[str]:
    """The names of the products that stay exact, for eight bits cost much there and gain little.

    Those of two maps (attention, the upsampling of a full pipeline), depthwise convolutions, and the first
    convolution, which sees the picture.
    """
    graph = needed("onnx").load(str(path)).graph
    weights = {each.name: list(each.dims) for each in graph.initializer}
    maps = [node.name for node in graph.node if node.op_type == "MatMul" and not weights.keys() & set(node.input)]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    depthwise = [node.name for node in convolutions if weights.get(node.input[1], [0, 0])[1] == 1]
    return [*maps, *depthwise, convolutions[0].name]


class _Pictures:
    """What the calibration asks for pictures, one batch at a time."""

    def __init__(self, name: str, pictures: Sequence[Tensor]) -> None:
        self.name, self.left = name, iter(pictures)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.left, None)
        return None if batch is None else {self.name: batch.numpy()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.get_next, None)
