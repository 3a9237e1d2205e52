"""A training step beside transformers': time and memory, with the same loss, optimiser, threads and batch, fp32.

    python benchmarks/training.py [--threads 1] [--rounds 4] [--variants b0,b2] [--classes 19,150] [--batch-size 2]
    python benchmarks/training.py --device cuda --batch-size 8 --variants b0,b2,b5      (bf16)

A step is forward, cross-entropy at label size, backward and AdamW; ours is the `Trainer` of `segformer train`. For time
the two take turns in one process, and the least time counts. For memory each runs in a process of its own: the peak of
one step, less what the process held before it, is what lies between the two passes, plus gradients' temporaries.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from peers import transformers_segformer
from record import write_record
from torch import Tensor

from segformer_cli import build_model
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy
from segformer_cli.engine.training.trainer import Decisions, Recipe, Trainer

SIDE, IGNORE, LR = 512, 255, 1e-4
RECIPE = Recipe(iterations=1000, warmup=0, lr=LR, head_lr_multiplier=1.0, weight_decay=0.01, poly_power=0.0)
LOSS = Criterion(((1.0, CrossEntropy(ignore_index=IGNORE)),), IGNORE, "valid")

Stepper = Callable[[Tensor, Tensor], object]


class PlainLoss(Criterion):
    """The same loss, of a map of all classes at label size."""

    def __call__(self, logits: Tensor, targets: Tensor, pixels: Tensor | None = None, part: float = 1.0) -> Tensor:
        large = F.interpolate(logits.float(), size=targets.shape[-2:], mode="bilinear", align_corners=False)
        return F.cross_entropy(large, targets, ignore_index=IGNORE)


def ours(
    variant: str, classes: int, device: torch.device, checkpointed: bool = False, loss: Criterion = LOSS
) -> Stepper:
    """One step of ours."""
    model = build_model(variant, num_classes=classes)
    decisions = Decisions(dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    trainer = Trainer(model, loss, RECIPE, device, decisions)
    for stage in model.encoder.stages:
        stage.checkpointed = checkpointed  # type: ignore[assignment]
    return trainer.step


def theirs(variant: str, classes: int, device: torch.device) -> Stepper:
    """One step of transformers' model, as its own code and a plain loop make it."""
    model = transformers_segformer(variant, classes).train().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)

    def step(images: Tensor, targets: Tensor) -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = model(images.to(device)).float()
        logits = F.interpolate(logits, size=targets.shape[-2:], mode="bilinear", align_corners=False)
        loss = F.cross_entropy(logits, targets.to(device), ignore_index=IGNORE)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


CONTESTANTS: dict[str, Callable[[str, int, torch.device], Stepper]] = {
    "ours": ours,
    "ours_checkpointed": lambda variant, classes, device: ours(variant, classes, device, True),
    "ours_plain_loss": lambda variant, classes, device: ours(variant, classes, device, loss=PLAIN),
    "transformers": theirs,
}


PLAIN = PlainLoss(LOSS.terms, IGNORE, "valid")


def batch_of(size: int, classes: int, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Noise to learn."""
    return torch.randn(size, 3, side, side), torch.randint(0, classes, (size, side, side))


def times(variant: str, classes: int, rounds: int, size: int, device: torch.device) -> dict[str, list[float]]:
    """Milliseconds of each contestant's steps, taking turns; the first is left out."""
    steps = {name: make(variant, classes, device) for name, make in CONTESTANTS.items()}
    batch = batch_of(size, classes)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step(*batch)
            if round_:
                found[name].append(1000 * (time.perf_counter() - began))
    return found


def peak_mib(name: str, variant: str, classes: int, size: int, device: torch.device) -> float:
    """Of one step, in this process, which must be fresh."""
    step = CONTESTANTS[name](variant, classes, device)
    step(*batch_of(2, classes, 64))     # the optimiser's memory is there before
    batch = batch_of(size, classes)
    if device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(*batch)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before_mib = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    step(*batch)
    return _resident("VmHWM") - before_mib


def peaks(variant: str, classes: int, size: int, device: str) -> dict[str, float]:
    """MiB of each contestant, in a process of its own."""
    found = {}
    for name in CONTESTANTS:
        line = [sys.executable, __file__, "--memory-of", name, "--variants", variant, "--classes", str(classes)]
        line += ["--batch-size", str(size), "--threads", str(torch.get_num_threads()), "--device", device]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def _resident(key: str) -> float:
    """MiB that /proc tells of this process (Linux)."""
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found[1]) / 1024


def compare(variant: str, classes: int, rounds: int, size: int, device: str) -> dict[str, object]:
    """The row of a variant and a number of classes."""
    spent = times(variant, classes, rounds, size, torch.device(device))
    least = {name: min(each) for name, each in spent.items()}
    peak = peaks(variant, classes, size, device)
    return {
        "variant": variant,
        "classes": classes,
        "least_ms": least,
        "images_per_s": {name: 1000 * size / each for name, each in least.items()},
        "all_ms": spent,
        "times_faster": least["transformers"] / least["ours"],
        "checkpointed_takes": least["ours_checkpointed"] / least["ours"],
        "loss_in_strips_takes": least["ours"] / least["ours_plain_loss"],
        "peak_mib": peak,
        "share_of_memory": peak["ours"] / peak["transformers"],
        "share_of_memory_of_plain_loss": peak["ours"] / peak["ours_plain_loss"],
        "share_of_memory_checkpointed": peak["ours_checkpointed"] / peak["transformers"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--variants", default="b0,b2")
    parser.add_argument("--classes", default="19")
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory-of", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        device = torch.device(options.device)
        print(peak_mib(options.memory_of, options.variants, int(options.classes), options.batch_size, device))
        return
    rows = []
    for variant in options.variants.split(","):
        for classes in map(int, options.classes.split(",")):
            row = compare(variant, classes, options.rounds, options.batch_size, options.device)
            print(f"{variant}, {classes} classes: {row['times_faster']:.2f} times faster, ", end="")
            print(f"{row['share_of_memory']:.2f} of the memory; checkpointed ", end="")
            print(f"{row['share_of_memory_checkpointed']:.2f}, {row['checkpointed_takes']:.2f} of the time", flush=True)
            rows.append(row)
    setting = {"threads": options.threads, "batch_size": options.batch_size, "side": SIDE, "device": options.device}
    write_record("training", {**setting, "cases": rows})


if __name__ == "__main__":
    main()
