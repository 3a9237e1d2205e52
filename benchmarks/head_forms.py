"""The two forms of the exported head (docs/decisions/0007), for any size and for one, in onnxruntime and in OpenVINO.

    python benchmarks/head_forms.py [--variants b0,b2] [--size 512x512] [--threads 2] [--turns 3]

Random weights of 150 classes, medians in milliseconds; each in a process of its own, in turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import torch
from contestant import milliseconds
from record import write_record

from segformer_cli import build_model
from segformer_cli.export.exportable import logits_of
from segformer_cli.export.onnx import write_exact
from segformer_cli.model.graph_forms import with_convolutional_head


def measure(
    variant: str, size: tuple[int, int], threads: int, turns: int, folder: Path
) -> dict[str, dict[str, float]]:
    """Of each runtime, the forms' medians."""
    torch.manual_seed(0)
    network = build_model(variant, num_classes=150).eval().fused()
    files = {}
    for form, head in (("products", network), ("convolutions", with_convolutional_head(network))):
        for one in (None, size):
            path = folder / f"{form}-{one}.onnx"
            write_exact(logits_of(head, 3, one), path)
            files[f"{form}, {'one size' if one else 'any size'}"] = path
    times: dict[str, dict[str, list[float]]] = {
        runtime: {name: [] for name in files} for runtime in ("onnxruntime", "openvino-fp32")
    }
    for _ in range(turns):
        for runtime, found in times.items():
            for name, path in files.items():
                found[name] += milliseconds(runtime, path, size, threads, 10, 20)
    return {
        runtime: {name: statistics.median(spent) for name, spent in found.items()} for runtime, found in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", default="b0,b2")
    parser.add_argument("--size", default="512x512")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    size = height, width
    rows = {}
    for variant in options.variants.split(","):
        with tempfile.TemporaryDirectory() as folder:
            rows[variant] = measure(variant, size, options.threads, options.turns, Path(folder))
        print(f"{variant}: {rows[variant]}", flush=True)
    write_record(
        "head_forms", {"threads": options.threads, "turns": options.turns, "size_hw": size, "latency_ms": rows}
    )


if __name__ == "__main__":
    main()
