"""Seconds of one forward pass against transformers: same process, same threads, same input, fp32, model only.

    python benchmarks/inference.py [--threads 1] [--rounds 7] [--device cpu]

The two take turns, so that a busy moment of the machine meets both; the least time of each is compared.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from peers import transformers_segformer
from record import write_record

from segformer_cli import build_model

CASES = [("b0", (512, 512), 150), ("b0", (1024, 1024), 150), ("b2", (512, 512), 150)]


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Of one call, the device's work included."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


@torch.inference_mode()
def compare(variant: str, size: tuple[int, int], classes: int, rounds: int, device: torch.device) -> dict[str, object]:
    """Times in ms and how many times faster ours is."""
    model = build_model(variant, num_classes=classes).eval().to(device)
    contestants = {"ours": model, "ours_fused": model.fused(), "transformers": transformers_segformer(variant, classes)}
    contestants["transformers"].eval().to(device)
    images = torch.randn(1, 3, *size, device=device)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, network in contestants.items():
            spent = seconds(lambda network=network: network(images), device)  # type: ignore[misc]
            if round_:
                times[name].append(1000 * spent)
    least = {name: min(spent) for name, spent in times.items()}
    return {
        "variant": variant,
        "size_hw": list(size),
        "classes": classes,
        "least_ms": least,
        "median_ms": {name: sorted(spent)[len(spent) // 2] for name, spent in times.items()},
        "times_faster": least["transformers"] / least["ours"],
        "times_faster_fused": least["transformers"] / least["ours_fused"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for variant, size, classes in CASES:
        row = compare(variant, size, classes, options.rounds, torch.device(options.device))
        print(f"{variant} {size[0]}x{size[1]}, {classes} classes: {row['least_ms']} ms,", end=" ")
        print(f"{row['times_faster']:.2f} times faster, fused {row['times_faster_fused']:.2f}", flush=True)
        rows.append(row)
    write_record("inference", {"threads": options.threads, "rounds": options.rounds, "cases": rows})


if __name__ == "__main__":
    main()
