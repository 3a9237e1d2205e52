"""One contestant in a process of its own: milliseconds of one call, as JSON on the last line.

    python benchmarks/contestant.py ours b0.onnx 512x512 [--threads 2] [--calls 5] [--seconds 30]

Runtimes keep their threads awake between calls; two of them in one process take each other's cores.

`ours`: anything that `segformer predict -w` takes. `transformers`: a variant, in torch. `onnxruntime`, `openvino-fp32`,
`openvino-bf16`: an ONNX file of anyone's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from peers import transformers_segformer
from torch import Tensor

from segformer_cli.engine.loading import load_model
from segformer_cli.model.segformer import SegFormer

Run = Callable[[Tensor], object]


def milliseconds(
    kind: str, source: str | Path, size: tuple[int, int], threads: int, calls: int, seconds: float
) -> list[float]:
    """What a process started for it measured, the first call left out; it loads, computes and ends."""
    line = [sys.executable, __file__, kind, str(source), f"{size[0]}x{size[1]}"]
    line += ["--threads", str(threads), "--calls", str(calls), "--seconds", str(seconds)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)}\n{done.stderr}")
    return cast(list[float], json.loads(done.stdout.splitlines()[-1]))


def _ours(source: str) -> Run:
    model = load_model(source, trust=True)
    return _in_torch(model.fused() if isinstance(model, SegFormer) else model)


def _onnxruntime(source: str) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images.numpy()})


def _openvino(hint: str) -> Callable[[str], Run]:
    def opened(source: str) -> Run:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(source, "CPU", {**settings, "INFERENCE_PRECISION_HINT": hint})
        return lambda images: compiled([images.numpy()])

    return opened


def _in_torch(model: Any) -> Run:
    @torch.inference_mode()
    def run(images: Tensor) -> object:
        return model(images)

    return run


KINDS: dict[str, Callable[[str], Run]] = {
    "ours": _ours,
    "transformers": lambda variant: _in_torch(transformers_segformer(variant, 150).eval()),
    "onnxruntime": _onnxruntime,
    "openvino-fp32": _openvino("f32"),
    "openvino-bf16": _openvino("bf16"),
}


def _timed(run: Run, images: Tensor, calls: int, seconds: float) -> list[float]:
    times: list[float] = []
    began = time.perf_counter()
    while len(times) <= calls and (len(times) < 2 or time.perf_counter() - began < seconds):
        start = time.perf_counter()
        run(images)
        times.append(1000 * (time.perf_counter() - start))
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("source")
    parser.add_argument("size")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    height, width = map(int, options.size.split("x"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = KINDS[options.kind](options.source)
    print(json.dumps(_timed(run, torch.randn(1, 3, height, width), options.calls, options.seconds)))


if __name__ == "__main__":
    main()
