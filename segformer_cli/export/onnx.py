"""ONNX: the network as a graph that onnxruntime and most other runtimes read."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segformer_cli.errors import WeightsError
from segformer_cli.export.extras import needed

OPSET = 20
"""The first with GELU as one operator."""

META = "segformer"
IMAGES, LOGITS = "images", "logits"

_SEEN_HW = 64, 96
"""Of the picture the graph is made with; no size is frozen in it (tested)."""

_CONTROL_FLOW = {"If", "Loop", "Scan"}
_DIMENSIONS = {0: "batch", 2: "height", 3: "width"}


def write_onnx(network: nn.Module, bands: int, path: Path) -> None:
    """The graph of a network in evaluation, for pictures of any batch, height and width, now at `path`.

    Args:
        bands: of the pictures, C.

    Raises:
        EnvironmentLacksError: onnx or onnxscript is not installed.
    """
    onnx = needed("onnx")
    needed("onnxscript")
    dynamic = dict.fromkeys(_DIMENSIONS, torch.export.Dim.DYNAMIC)
    # Two pictures: of one, the batch would be taken for fixed.
    picture = torch.zeros(2, bands, *_SEEN_HW)
    with _quiet():
        program = torch.onnx.export(
            network, (picture,), dynamo=True, dynamic_shapes=(dynamic,), opset_version=OPSET, verbose=False,
            input_names=[IMAGES], output_names=[LOGITS],
        )
    assert program is not None
    graph = program.model_proto
    _name_dimensions(graph)
    onnx.checker.check_model(graph, full_check=True)
    branches = sorted({node.op_type for node in graph.graph.node} & _CONTROL_FLOW)
    if branches:
        raise WeightsError(f"the graph holds {', '.join(branches)}, which no runtime for devices takes")
    onnx.save(graph, str(path))


def add_onnx_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    """The file with its meaning in it; the graph, which may be verified by now, stays as it is."""
    onnx = needed("onnx")
    graph = onnx.load(str(path))
    entry = graph.metadata_props.add()
    entry.key, entry.value = META, json.dumps(metadata)
    onnx.save(graph, str(path))


def read_onnx_metadata(path: Path) -> dict[str, Any]:
    """What `add_onnx_metadata` wrote.

    Raises:
        WeightsError: the file is no ONNX of ours.
    """
    onnx = needed("onnx")
    try:
        graph = onnx.load(str(path), load_external_data=False)
        found: dict[str, Any] = json.loads(next(each.value for each in graph.metadata_props if each.key == META))
        return found
    except (OSError, ValueError, StopIteration, onnx.checker.ValidationError) as error:
        raise WeightsError(f"{path.name} is no ONNX file of segformer", where=str(path)) from error
    except Exception as error:      # protobuf's DecodeError, whose module moves between versions
        if type(error).__name__ != "DecodeError":
            raise
        raise WeightsError(f"{path.name} is no ONNX file", where=str(path)) from error


def load_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """The graph in onnxruntime on the CPU: pictures (B, C, H, W), normalised, to logits.

    Raises:
        EnvironmentLacksError: onnxruntime is not installed.
    """
    onnxruntime = needed("onnxruntime")
    options = onnxruntime.SessionOptions()
    # As many threads as torch has, so that latencies can be set beside each other.
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run([LOGITS], {IMAGES: images.cpu().numpy()})
        return torch.from_numpy(logits)

    return run


def _name_dimensions(graph: Any) -> None:
    """Names for the free dimensions of what goes in and comes out, in place of torch's own."""
    (images,), (logits,) = graph.graph.input, graph.graph.output
    for index, name in _DIMENSIONS.items():
        images.type.tensor_type.shape.dim[index].dim_param = name
        logits.type.tensor_type.shape.dim[index].dim_param = name if index == 0 else f"ceil({name} / 4)"
    # The sizes in between would still bear the old names; runtimes infer them anew.
    del graph.graph.value_info[:]


@contextlib.contextmanager
def _quiet() -> Any:
    """Without what the exporter tells its own developers."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
