"""Seconds of one training step against transformers: same loss, optimiser, threads and batch, fp32, one process.

    python benchmarks/training.py [--threads 1] [--rounds 4] [--variants b0,b2] [--batch-size 2]

A step is forward, cross-entropy at label size, backward and AdamW. The two take turns; the least time counts.
Our loss is the one `segformer train` uses; transformers' is the one of its own model code.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from peers import transformers_segformer
from record import write_record
from torch import Tensor, nn

from segformer_cli import build_model
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy

CLASSES, SIDE, IGNORE = 19, 512, 255
OUR_LOSS = Criterion(((1.0, CrossEntropy(ignore_index=IGNORE)),), IGNORE, "valid")


def their_loss(logits: Tensor, targets: Tensor) -> Tensor:
    logits = F.interpolate(logits, size=targets.shape[-2:], mode="bilinear", align_corners=False)
    return F.cross_entropy(logits, targets, ignore_index=IGNORE)


def stepper(model: nn.Module, loss: Callable[[Tensor, Tensor], Tensor], batch_size: int) -> Callable[[], None]:
    """One optimiser step of a model on a fixed batch."""
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-4)
    images = torch.randn(batch_size, 3, SIDE, SIDE)
    targets = torch.randint(0, CLASSES, (batch_size, SIDE, SIDE))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(model(images), targets).backward()
        optimizer.step()

    return step


def compare(variant: str, rounds: int, batch_size: int) -> dict[str, object]:
    """Times in ms and how many times faster ours is."""
    steps = {
        "ours": stepper(build_model(variant, num_classes=CLASSES), OUR_LOSS, batch_size),
        "transformers": stepper(transformers_segformer(variant, CLASSES), their_loss, batch_size),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if round_:
                times[name].append(1000 * (time.perf_counter() - began))
    least = {name: min(spent) for name, spent in times.items()}
    ratio = least["transformers"] / least["ours"]
    return {"variant": variant, "least_ms": least, "all_ms": times, "times_faster": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--variants", default="b0,b2")
    parser.add_argument("--batch-size", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for variant in options.variants.split(","):
        row = compare(variant, options.rounds, options.batch_size)
        print(f"{variant}: {row['least_ms']} ms, {row['times_faster']:.2f} times faster", flush=True)
        rows.append(row)
    setting = {"threads": options.threads, "batch_size": options.batch_size, "side": SIDE, "classes": CLASSES}
    write_record("training", {**setting, "cases": rows})


if __name__ == "__main__":
    main()
