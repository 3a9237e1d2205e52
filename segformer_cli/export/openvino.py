"""OpenVINO: the network as an .xml graph beside a .bin of weights, for Intel's runtime on CPUs, GPUs and NPUs."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor

from segformer_cli.errors import EnvironmentLacksError, WeightsError
from segformer_cli.export import onnx
from segformer_cli.export.exportable import NOT_OURS, Exportable, Network
from segformer_cli.export.extras import needed
from segformer_cli.places import sha256_of

META = "segformer"

_KEPT = 4
"""Shapes that a graph is kept compiled for."""

_PRECISION = "segformer_precision"
_HASH = "bin_sha256"


def write(what: Exportable, path: Path) -> None:
    """The graph, now at `path`, and its weights beside it with the ending .bin.

    fp16 stores the weights so and computes in float32; bf16 stores float32 and computes in bf16.

    Raises:
        EnvironmentLacksError: openvino, onnx or onnxscript is not installed; nncf, for int8; or the CPU has no bf16.
    """
    openvino = needed("openvino", "openvino")
    refuse_without(what.precision)
    with TemporaryDirectory() as folder:
        graph = Path(folder) / "graph.onnx"
        onnx.write_exact(what, graph)
        model = openvino.Core().read_model(graph)
        if what.precision == "int8":
            model = _quantised(model, what)
        model.set_rt_info(what.precision, [_PRECISION])
        openvino.save_model(model, path, compress_to_fp16=what.precision == "fp16")


def refuse_without(precision: str) -> None:
    """Nothing where the precision can be written and run here.

    Raises:
        EnvironmentLacksError: nncf is not installed, for int8; or the CPU does not know bf16.
    """
    if precision == "int8":
        _nncf()
    if precision == "bf16":
        able = needed("openvino", "openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" not in able:
            raise EnvironmentLacksError("this CPU does not compute in bf16", hint="take fp32, fp16 or int8")


def load(path: Path) -> Network:
    """The graph on the CPU, in the precision it was written for.

    Raises:
        EnvironmentLacksError: openvino is not installed.
        WeightsError: the file cannot be read.
    """
    model = _read(path)
    return _runner(model, _precision(model), lambda outputs: outputs[0])


def features(path: Path) -> Callable[[Tensor], list[Tensor]]:
    """The file's own encoder: pictures to the four stages' maps (B, C, H, W)."""
    model = _read(path)
    model.add_outputs(list(onnx.STAGES))
    return _runner(model, _precision(model), lambda outputs: [each.permute(0, 3, 1, 2) for each in outputs[1:]])


def add_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    """The .xml with its meaning in it, and the hash of the .bin; graph and weights stay as they are."""
    tree = ElementTree.parse(path)
    info = tree.getroot().find("rt_info")
    if info is None:
        info = ElementTree.SubElement(tree.getroot(), "rt_info")
    ElementTree.SubElement(info, META, {"value": json.dumps({**metadata, _HASH: sha256_of(path.with_suffix(".bin"))})})
    tree.write(path, encoding="utf-8", xml_declaration=True)


def read_metadata(path: Path) -> dict[str, Any]:
    """What `add_metadata` wrote; OpenVINO itself is not needed.

    Raises:
        WeightsError: the file is no OpenVINO graph of ours.
    """
    try:
        found = ElementTree.parse(path).getroot().find(f"rt_info/{META}")
        if found is None:
            raise ValueError
        said: dict[str, Any] = json.loads(found.attrib["value"])
        return said
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        raise WeightsError(f"{path.name} is no OpenVINO file of segformer", where=str(path), hint=NOT_OURS) from error


def recognises(path: Path) -> bool:
    """Whether the file is an OpenVINO graph, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(256).lstrip()
    return start.startswith((b"<?xml", b"<net")) and b"<net name=" in start


def _read(path: Path) -> Any:
    openvino = needed("openvino", "openvino")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise WeightsError(f"{path.name} has no weights beside it", where=str(weights), hint="copy both files")
    if _recorded_hash(path) not in (None, sha256_of(weights)):
        raise WeightsError(
            f"{weights.name} is not what {path.name} was written with", where=str(weights),
            hint="it is damaged or another's: copy both files again",
        )
    try:
        return openvino.Core().read_model(path, weights)
    except RuntimeError as error:
        raise WeightsError(
            f"{path.name} cannot be read by OpenVINO",
            where=f"{path} and {weights}",
            hint="one may be cut off: copy both again",
        ) from error


def _recorded_hash(path: Path) -> str | None:
    """Of the .bin as it was written; None where the file does not say, as before its meaning is in it."""
    try:
        found = read_metadata(path).get(_HASH)
    except WeightsError:
        return None
    return None if found is None else str(found)


def _precision(model: Any) -> str:
    return str(model.get_rt_info([_PRECISION]).value) if model.has_rt_info([_PRECISION]) else "fp32"


def _runner(model: Any, precision: str, taken: Callable[[list[Tensor]], Any]) -> Callable[[Tensor], Any]:
    """Compiled anew for each shape that comes, the last few kept: for any shape at once, it runs half as fast."""
    openvino = needed("openvino", "openvino")
    settings = {
        # Left to itself, the runtime takes bf16 wherever the CPU has it.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        # As many threads as torch has, so that latencies can be set beside each other.
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }

    @lru_cache(maxsize=_KEPT)
    def compiled(shape: tuple[int, ...]) -> Any:
        fixed = model.clone()
        fixed.reshape(list(shape))
        return openvino.Core().compile_model(fixed, "CPU", settings).create_infer_request()

    def run(images: Tensor) -> Any:
        found = compiled(tuple(images.shape)).infer([images.cpu().numpy()])
        return taken([torch.from_numpy(each.copy()) for each in found.values()])

    return run


def _quantised(model: Any, what: Exportable) -> Any:
    """The graph with its matrix products in 8 bits, ranges taken from real pictures.

    Not the convolutions: nncf gives depthwise ones a range for each row of the calibration's pictures, taking height
    for channels, and the graph then goes wrong, silently, at every other height (nncf 3.4).
    """
    nncf = _nncf()
    pictures = nncf.Dataset([each.numpy() for each in what.calibration])
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):     # it draws bars there
            return nncf.quantize(
                model,
                pictures,
                model_type=nncf.ModelType.TRANSFORMER,
                subset_size=len(what.calibration),
                ignored_scope=nncf.IgnoredScope(types=["GroupConvolution", "Convolution"], validate=False),
            )
    finally:
        logger.setLevel(level)


def _nncf() -> Any:
    # Said so, it reports nothing to anyone; otherwise it would, without asking.
    os.environ.setdefault("NNCF_CI", "1")
    return needed("nncf", "nncf")
