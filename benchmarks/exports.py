"""Exported files of B0, B2 and B5: size, time to export, error, agreement, and latency beside transformers' exports.

    python benchmarks/exports.py [--variants b0,b2,b5] [--threads 2] [--rounds 3] [--skip aoti] [--sizes 512x512]

Random weights of 150 classes: speed does not depend on them. What 8 bits cost in a score does: `export` tells that for
trained ones. transformers' model is exported by the same exporter, opset 20, with its
sizes fixed, which spares its graph all arithmetic on shapes; ours is for any size. All take turns on one input, and
the medians are compared.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peers import transformers_segformer
from record import write_record
from torch import Tensor

from segformer_cli import build_model
from segformer_cli.config import ExportConfig
from segformer_cli.engine.loading import load_model
from segformer_cli.model.checkpoint import checkpoint_of, save_checkpoint
from segformer_cli.workflows.exporting import export_model

CLASSES = 150

OURS = (
    ("onnx", "fp32"),
    ("onnx", "int8"),
    ("openvino", "fp32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("torchscript", "fp32"),
    ("pt2", "fp32"),
    ("aoti", "fp32"),
)

Run = Callable[[Tensor], object]


def export_ours(
    variant: str, folder: Path, skip: set[str]
) -> tuple[dict[str, Run], list[dict[str, Any]]]:
    """Our files, loaded, and what their export said."""
    torch.manual_seed(0)
    model = build_model(variant, num_classes=CLASSES).eval()
    source = folder / f"{variant}.safetensors"
    save_checkpoint(source, checkpoint_of(model))
    runs: dict[str, Run] = {"torch fp32": _inference(model.fused())}
    rows = []
    for name, precision in OURS:
        if name in skip or precision in skip:
            continue
        out = folder / f"{name}-{precision}"
        config = ExportConfig(
            weights=str(source), format=name, precision=precision, out=f"{out}/", data="sample", max_drop=100.0
        )
        found = export_model(config)
        check = found.verification
        assert check is not None
        rows.append(
            {
                "format": name,
                "precision": precision,
                "mib": found.size_bytes / 2**20,
                "export_s": found.export_s,
                "max_abs_error": check.max_abs_error,
                "argmax_agreement": check.argmax_agreement,
                "verdict": check.verdict,
                "multiply_adds": found.multiply_adds.exported,
                "textbook_multiply_adds": found.multiply_adds.textbook,
            }
        )
        print(f"{variant} {name} {precision}: {rows[-1]}", flush=True)
        if check.verdict == "pass":
            runs[f"{name} {precision}"] = _inference(load_model(found.path))
    return runs, rows


def export_transformers(variant: str, size: tuple[int, int], folder: Path) -> dict[str, Run]:
    """transformers' model in torch, and its ONNX in onnxruntime and OpenVINO."""
    import onnxruntime
    import openvino

    model = transformers_segformer(variant, CLASSES).eval()
    path = folder / "transformers.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 3, *size),), str(path), dynamo=True, opset_version=20, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    compiled = {
        precision: openvino.Core().compile_model(str(path), "CPU", {**settings, "INFERENCE_PRECISION_HINT": hint})
        for precision, hint in (("fp32", "f32"), ("bf16", "bf16"))
    }
    return {
        "transformers torch fp32": _inference(model),
        "transformers onnx fp32": lambda images: session.run(None, {name: images.numpy()}),
        "transformers openvino fp32": lambda images: compiled["fp32"]([images.numpy()]),
        "transformers openvino bf16": lambda images: compiled["bf16"]([images.numpy()]),
    }


def _inference(model: Any) -> Run:
    @torch.inference_mode()
    def run(images: Tensor) -> object:
        return model(images)

    return run


def latencies(runs: dict[str, Run], size: tuple[int, int], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, all taking turns."""
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run(images)
            if round_:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(spent) for name, spent in times.items()}


def measure(variant: str, sizes: list[tuple[int, int]], rounds: int, skip: set[str]) -> dict[str, Any]:
    """The part of the table that is a variant's: its files, and their latencies at each size."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs, files = export_ours(variant, folder, skip)
        timed = [_timed(variant, size, runs | export_transformers(variant, size, folder), rounds) for size in sizes]
    return {"variant": variant, "classes": CLASSES, "files": files, "sizes": timed}


def _timed(variant: str, size: tuple[int, int], runs: dict[str, Run], rounds: int) -> dict[str, Any]:
    found = latencies(runs, size, rounds)
    print(f"{variant} {size[0]}x{size[1]}: { {name: round(ms, 1) for name, ms in found.items()} }", flush=True)
    faster = {
        f"{runtime} {precision}": found[f"transformers {runtime} {precision}"] / found[f"{runtime} {precision}"]
        for runtime, precision in (("torch", "fp32"), ("onnx", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"))
        if f"{runtime} {precision}" in found
    }
    print(f"  times faster than transformers' own: { {name: round(by, 2) for name, by in faster.items()} }", flush=True)
    return {"size_hw": list(size), "latency_ms": found, "times_faster": faster}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default="b0,b2,b5")
    parser.add_argument("--sizes", default="512x512,1024x2048")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", default="", help="formats or precisions, by commas")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sizes = [(int(height), int(width)) for height, width in (text.split("x") for text in options.sizes.split(","))]
    rows = []
    for variant in options.variants.split(","):
        rows.append(measure(variant, sizes, options.rounds, set(options.skip.split(","))))
        # After each: the large ones take long.
        write_record("exports", {"threads": options.threads, "rounds": options.rounds, "variants": rows})


if __name__ == "__main__":
    main()
