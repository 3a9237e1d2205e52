"""ONNX graphs in 8 bits: quantised and dequantised around each product (QDQ), ranges taken from real pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from segformer_cli.export.extras import needed

_PRODUCTS = ("MatMul", "Gemm", "Conv")


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
    reader = _Pictures(name, pictures)
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)      # it advises on the root logger
    try:
        tools.quantize_static(
            str(exact),
            str(path),
            reader,
            quant_format=tools.QuantFormat.QDQ,
            op_types_to_quantize=list(_PRODUCTS),
            nodes_to_exclude=_without_weights(exact),
            per_channel=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
        )
    finally:
        logger.setLevel(level)


def _without_weights(path: Path) -> list[str]:
    """The names of the products of two maps: attention, and the upsampling of a full pipeline, stay exact."""
    graph = needed("onnx").load(str(path)).graph
    weights = {each.name for each in graph.initializer}
    return [node.name for node in graph.node if node.op_type == "MatMul" and not weights & set(node.input)]


class _Pictures:
    """What the calibration asks for pictures, one batch at a time."""

    def __init__(self, name: str, pictures: Sequence[Tensor]) -> None:
        self.name, self.left = name, iter(pictures)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.left, None)
        return None if batch is None else {self.name: batch.numpy()}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.get_next, None)
