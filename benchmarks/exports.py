"""Exported files of B0, B2 and B5: size, time to export, error, agreement, and latency beside transformers' exports.

    python benchmarks/exports.py [--variants b0,b2,b5] [--threads 2] [--turns 3] [--skip aoti] [--sizes 512x512]

Random weights of 150 classes: speed does not depend on them. What 8 bits cost in a score does: `export` tells that for
trained ones. transformers' model is exported by the same exporter, opset 20, with its sizes fixed, which spares its
graph all arithmetic on shapes; ours is for any size. Each contestant computes in a process of its own
(contestant.py), in turns, and the medians are compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from contestant import milliseconds
from peers import transformers_segformer
from record import write_record

from segformer_cli import build_model
from segformer_cli.config import ExportConfig
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

THEIRS = {
    "transformers torch fp32": "transformers",
    "transformers onnx fp32": "onnxruntime",
    "transformers openvino fp32": "openvino-fp32",
    "transformers openvino bf16": "openvino-bf16",
}

CALLS, SECONDS, TURN_S = 5, 20, 300
"""Of one turn of a contestant: calls that count, and when no further one begins; a longer turn of all is the only."""

Contestants = dict[str, tuple[str, str | Path]]


def export_ours(variant: str, folder: Path, skip: set[str]) -> tuple[Contestants, list[dict[str, Any]]]:
    """Our files as contestants, and what their export said."""
    torch.manual_seed(0)
    source = folder / f"{variant}.safetensors"
    save_checkpoint(source, checkpoint_of(build_model(variant, num_classes=CLASSES).eval()))
    contestants: Contestants = {"torch fp32": ("ours", source)}
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
        if check.verdict == "fail":     # classes of an untrained network nearly tie; its time is that of a trained one
            found = export_model(dataclasses.replace(config, out=f"{out}-unverified/", verify=False))
        contestants[f"{name} {precision}"] = ("ours", found.path)
    return contestants, rows


def export_transformers(variant: str, size: tuple[int, int], folder: Path) -> Contestants:
    """transformers' model in torch, and its ONNX in onnxruntime and OpenVINO."""
    path = folder / f"transformers-{size[0]}x{size[1]}.onnx"
    model = transformers_segformer(variant, CLASSES).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.zeros(1, 3, *size),), str(path), dynamo=True, opset_version=20, verbose=False)
    return {name: (kind, variant if kind == "transformers" else path) for name, kind in THEIRS.items()}


def latencies(contestants: Contestants, size: tuple[int, int], threads: int, turns: int) -> dict[str, float]:
    """Median milliseconds of each."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(turns):
        began = time.perf_counter()
        for name, (kind, source) in contestants.items():
            times[name] += milliseconds(kind, source, size, threads, CALLS, SECONDS)
        if time.perf_counter() - began > TURN_S:
            break
    return {name: statistics.median(spent) for name, spent in times.items()}


def measure(
    variant: str, sizes: list[tuple[int, int]], threads: int, turns: int, skip: set[str]
) -> dict[str, Any]:
    """The part of the table that is a variant's: its files, and their latencies at each size."""
    timed = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contestants, files = export_ours(variant, folder, skip)
        for size in sizes:
            found = latencies(contestants | export_transformers(variant, size, folder), size, threads, turns)
            timed.append({"size_hw": list(size), "latency_ms": found, "times_faster": _times_faster(found)})
            print(f"{variant} {size[0]}x{size[1]}: { {name: round(ms, 1) for name, ms in found.items()} }")
            print(f"  times faster: { {name: round(by, 2) for name, by in _times_faster(found).items()} }", flush=True)
    return {"variant": variant, "classes": CLASSES, "files": files, "sizes": timed}


def _times_faster(found: dict[str, float]) -> dict[str, float]:
    """Than transformers' own, in the same runtime and precision."""
    pairs = {name: name.removeprefix("transformers ") for name in THEIRS}
    return {ours: found[theirs] / found[ours] for theirs, ours in pairs.items() if ours in found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default="b0,b2,b5")
    parser.add_argument("--sizes", default="512x512,1024x2048")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--skip", default="", help="formats or precisions, by commas")
    parser.add_argument("--record", default="exports", help="name of the record")
    options = parser.parse_args()
    sizes = [(int(height), int(width)) for height, width in (text.split("x") for text in options.sizes.split(","))]
    rows = []
    for variant in options.variants.split(","):
        rows.append(measure(variant, sizes, options.threads, options.turns, set(options.skip.split(","))))
        # After each: the large ones take long.
        write_record(options.record, {"threads": options.threads, "turns": options.turns, "variants": rows})


if __name__ == "__main__":
    main()
