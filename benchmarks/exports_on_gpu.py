"""Runtimes of a GPU beside each other: torch, compiled, AOTInductor, and onnxruntime where it has CUDA.

    python benchmarks/exports_on_gpu.py [--device cuda] [--variants b0,b2,b5] [--sizes 512x512,1024x2048] [--rounds 20]

Random weights of 150 classes, fp32 (TF32 off) and bf16, one picture. transformers' model runs in torch and compiled.
All take turns in one process; medians. What is not installed is left out and named.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from peers import transformers_segformer
from record import write_record
from torch import Tensor, nn

from segformer_cli import build_model
from segformer_cli.export import onnx
from segformer_cli.export.exportable import logits_of

CLASSES = 150

Run = Callable[[Tensor], object]


def runtimes(variant: str, images: Tensor, dtype: torch.dtype, folder: Path) -> tuple[dict[str, Run], list[str]]:
    """Each way to run the variant, and what cannot be had here."""
    device, missing = images.device, []
    ours = build_model(variant, num_classes=CLASSES).eval().fused().to(device, dtype)
    theirs = transformers_segformer(variant, CLASSES).eval().to(device, dtype)
    found: dict[str, Run] = {
        "torch": _inference(ours),
        "compiled": _inference(torch.compile(ours)),
        "transformers torch": _inference(theirs),
        "transformers compiled": _inference(torch.compile(theirs)),
    }
    try:
        with torch.inference_mode(False), torch.no_grad():
            program = torch.export.export(ours, (images,))
            package = torch._inductor.aoti_compile_and_package(program, package_path=str(folder / f"{variant}.pt2"))
        found["aoti"] = _inference(torch._inductor.aoti_load_package(package))
    except Exception as error:      # no compiler, or one at fault: the others are measured all the same
        missing.append(f"aoti: {type(error).__name__}: {str(error).splitlines()[0]}")
    if dtype == torch.float32 and device.type == "cuda":
        try:
            found["onnxruntime"] = _onnxruntime(ours, images, folder / f"{variant}.onnx")
        except (ImportError, RuntimeError) as error:
            missing.append(f"onnxruntime: {error}")
    return found, missing


def _onnxruntime(model: nn.Module, images: Tensor, path: Path) -> Run:
    """The exported graph by CUDA; pictures and logits stay on the GPU.

    Raises:
        RuntimeError: this onnxruntime knows no CUDA.
    """
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise RuntimeError("the installed one has no CUDA")
    size = images.shape[-2], images.shape[-1]
    onnx.write_exact(logits_of(model.cpu(), images.shape[1], size), path)
    model.to(images.device)
    session = onnxruntime.InferenceSession(str(path), providers=["CUDAExecutionProvider"])
    binding = session.io_binding()
    binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.from_dlpack(images.contiguous()))
    binding.bind_output(session.get_outputs()[0].name, "cuda")
    return lambda _: session.run_with_iobinding(binding)


def _inference(model: Callable[[Tensor], object]) -> Run:
    @torch.inference_mode()
    def run(images: Tensor) -> object:
        return model(images)

    return run


def latencies(found: dict[str, Run], images: Tensor, rounds: int) -> dict[str, float]:
    """Median milliseconds of each; the first three turns are left out."""
    times: dict[str, list[float]] = {name: [] for name in found}
    for round_ in range(rounds + 3):
        for name, run in found.items():
            _settled(images.device)
            began = time.perf_counter()
            run(images)
            _settled(images.device)
            if round_ >= 3:
                times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(spent) for name, spent in times.items()}


def _settled(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--variants", default="b0,b2,b5")
    parser.add_argument("--sizes", default="512x512,1024x2048")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    device = torch.device(options.device)
    rows = []
    for variant in options.variants.split(","):
        for size in options.sizes.split(","):
            for dtype in (torch.float32, torch.bfloat16):
                torch.compiler.reset()
                images = torch.randn(1, 3, *map(int, size.split("x")), device=device, dtype=dtype)
                with tempfile.TemporaryDirectory() as folder:
                    found, missing = runtimes(variant, images, dtype, Path(folder))
                    spent = latencies(found, images, options.rounds)
                row = {"variant": variant, "size": size, "dtype": str(dtype), "latency_ms": spent, "missing": missing}
                print(row, flush=True)
                rows.append(row)
    device_name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    write_record("exports_on_gpu", {"device": device_name, "rounds": options.rounds, "cases": rows})


if __name__ == "__main__":
    main()
