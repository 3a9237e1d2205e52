"""ONNX: the network as a graph that onnxruntime and most other runtimes read."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from segformer_cli.errors import WeightsError
from segformer_cli.export.exportable import NOT_OURS, Exportable, Network
from segformer_cli.export.extras import needed
from segformer_cli.export.quantised_onnx import quantise

OPSET = 20
"""The first with GELU as one operator."""

META = "segformer"

STAGES = ("stage1", "stage2", "stage3", "stage4")
"""The names, inside the graph, of the encoder's four maps (B, H, W, C)."""

_SECOND_TAGS = b"\x12\x1a\x22\x28\x32\x3a\x42"
"""Of a ModelProto's fields that can follow the first, as protobuf writes them."""

_CONTROL_FLOW = {"If", "Loop", "Scan"}


def write(what: Exportable, path: Path) -> None:
    """The graph, now at `path`.

    Raises:
        EnvironmentLacksError: onnx or onnxscript is not installed; onnxruntime, for int8.
    """
    if what.precision != "int8":
        write_exact(what, path)
        return
    with TemporaryDirectory() as folder:
        exact = Path(folder) / "exact.onnx"
        write_exact(what, exact)
        quantise(exact, what.input, what.calibration, path)


def write_exact(what: Exportable, path: Path) -> None:
    """The graph as the module computes it, now at `path`.

    Raises:
        EnvironmentLacksError: onnx or onnxscript is not installed.
    """
    onnx = needed("onnx")
    needed("onnxscript")
    dynamic = dict.fromkeys(what.free, torch.export.Dim.DYNAMIC)
    with _quiet():
        program = torch.onnx.export(
            what.module, (what.example,), dynamo=True, dynamic_shapes=(dynamic or None,), opset_version=OPSET,
            verbose=False, input_names=[what.input], output_names=[what.output],
        )
    assert program is not None
    # The exporter folds small constants alone; ours are weights brought into the layout of a product.
    limits = {"input_size_limit": 2**31, "output_size_limit": 2**31}
    with _quiet():
        needed("onnxscript.optimizer").optimize_ir(program.model, **limits)
    graph = program.model_proto
    _name_stages(graph)
    _name_dimensions(graph, what)
    _strip(graph)
    onnx.checker.check_model(graph, full_check=True)
    branches = sorted({node.op_type for node in graph.graph.node} & _CONTROL_FLOW)
    assert not branches, f"the graph holds {branches}, which runtimes for devices do not take"
    onnx.save(graph, str(path))


def add_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    """The file with its meaning in it; the graph, which may be verified by now, stays as it is."""
    onnx = needed("onnx")
    graph = onnx.load(str(path))
    entry = graph.metadata_props.add()
    entry.key, entry.value = META, json.dumps(metadata)
    onnx.save(graph, str(path))


def read_metadata(path: Path) -> dict[str, Any]:
    """What `add_metadata` wrote.

    Raises:
        WeightsError: the file is no ONNX of ours.
    """
    onnx = needed("onnx")
    try:
        graph = onnx.load(str(path), load_external_data=False)
        found: dict[str, Any] = json.loads(next(each.value for each in graph.metadata_props if each.key == META))
        return found
    except (OSError, ValueError, StopIteration, onnx.checker.ValidationError) as error:
        raise WeightsError(f"{path.name} is no ONNX file of segformer", where=str(path), hint=NOT_OURS) from error
    except Exception as error:      # protobuf's DecodeError, whose module moves between versions
        if type(error).__name__ != "DecodeError":
            raise
        raise WeightsError(f"{path.name} is no ONNX file", where=str(path), hint=NOT_OURS) from error


def recognises(path: Path) -> bool:
    """Whether the file is an ONNX graph, by its first bytes: a protobuf whose first field is the IR version.

    The length that a safetensors file begins with can look the same; the next field, and its brace, tell them apart.
    """
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[0] == 8 and start[1] < 64 and start[2] in _SECOND_TAGS and start[8:] != b"{"


def load(path: Path) -> Network:
    """The graph in onnxruntime on the CPU.

    Raises:
        EnvironmentLacksError: onnxruntime is not installed.
        WeightsError: it cannot be read.
    """
    session = _session(path)
    (pictures,), (found,) = session.get_inputs(), session.get_outputs()

    def run(images: Tensor) -> Tensor:
        (values,) = session.run([found.name], {pictures.name: images.cpu().numpy()})
        return torch.from_numpy(values)

    return run


def features(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """The file's own encoder: pictures to the four stages' maps (B, C, H, W)."""
    onnx = needed("onnx")
    model = onnx.load(str(path))
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    for name in STAGES:
        norm = next(node for node in model.graph.node if name in node.output)
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, kinds[norm.input[1]], None))
    session = _session(model.SerializeToString())

    def run(images: Tensor) -> list[Tensor]:
        found = session.run(list(STAGES), {session.get_inputs()[0].name: images.cpu().numpy()})
        return [torch.from_numpy(each).float().permute(0, 3, 1, 2) for each in found]

    return run


def _session(source: Path | bytes) -> Any:
    onnxruntime = needed("onnxruntime")
    options = onnxruntime.SessionOptions()
    # As many threads as torch has, so that latencies can be set beside each other.
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        graph = source if isinstance(source, bytes) else str(source)
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:      # its classes lie in a private module; all of them mean that the file is bad
        where = None if isinstance(source, bytes) else str(source)
        raise WeightsError(f"onnxruntime cannot read the graph: {str(error)[:200]}", where=where) from error


def _name_stages(graph: Any) -> None:
    """Names for the four maps of the encoder, so that a file can be asked where it went astray."""
    new: dict[str, str] = {}
    for node in graph.graph.node:
        scopes = next((each.value for each in node.metadata_props if each.key.endswith("name_scopes")), "")
        for index, name in enumerate(STAGES):
            if node.op_type == "LayerNormalization" and f"encoder.stages.{index}.norm'" in scopes:
                new[node.output[0]] = name
    for node in graph.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = new.get(name, name)


def _name_dimensions(graph: Any, what: Exportable) -> None:
    """Names for the free dimensions of what goes in and comes out, in place of torch's own."""
    (pictures,), (found,) = graph.graph.input, graph.graph.output
    for value, names in ((pictures, what.free), (found, what.out_dims)):
        for index, name in names.items():
            value.type.tensor_type.shape.dim[index].dim_param = name
    # The sizes in between would still bear the old names; runtimes infer them anew.
    del graph.graph.value_info[:]


def _strip(graph: Any) -> None:
    """Without the exporter's notes on each node: they quote our source and the paths of this machine."""
    for each in (*graph.graph.node, graph.graph, *graph.functions):
        del each.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
