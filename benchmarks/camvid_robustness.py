"""The full test of robustness on CamVid val, with two seeds: the result, where the time goes, how much seeds matter.

    python benchmarks/camvid_robustness.py CAMVID RUN [--threads 2] [--out FOLDER]

RUN is a training's folder or any other weights of CamVid's 11 classes. Each seed is one `segformer eval-robust
--cityscapes-c` of 72 variants of 101 pictures, about 20 minutes with B0 on two cores; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from record import write_record

from segformer_cli.metrics.bootstrap import bounds
from segformer_cli.workflows.robust_draws import drawn
from segformer_cli.workflows.robust_files import read_robust

SEEDS = (0, 1)
PACES = ((1, 0), (1, 1), (2, 0), (2, 1))
"""Threads of the network and reading processes: what keeps two cores busy, measured on a few pictures."""

PACE_PICTURES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs") / "camvid-robustness")
    options = parser.parse_args()
    found = {seed: scored(options, seed) for seed in SEEDS}
    record = {
        "threads": options.threads,
        "command": shown(options, SEEDS[0]),
        "seeds": {str(seed): results for seed, results in found.items()},
        "seed_difference": differences(found[SEEDS[0]], found[SEEDS[1]]),
        "paces": [pace(options, threads, workers) for threads, workers in PACES],
    }
    write_record("camvid-robustness", record)
    print(json.dumps(record["seed_difference"], indent=2))


def scored(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """The `results` of one seed, run now unless its folder holds them."""
    result = options.out / f"seed{seed}" / "result.json"
    if not result.exists():
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
        subprocess.run([sys.executable, "-m", "segformer_cli", *arguments(options, seed)], check=True, env=environment)
    results: dict[str, Any] = json.loads(result.read_text("utf-8"))["results"]
    # All pictures of val are frames of one video: drawn one by one, their interval is too narrow, but drawn as one
    # video there is none.
    draws = drawn(read_robust(result).counts, None, 1000)
    assert draws.overall is not None
    results |= {"mean_miou_ci95": bounds(draws.overall), "clean_miou_ci95": bounds(draws.cells[None])}
    return {name: value for name, value in results.items() if name != "settings"}


def pace(options: argparse.Namespace, threads: int, workers: int) -> dict[str, Any]:
    """Seconds of a few pictures in all variants, and the share of two cores that they kept busy."""
    command = [
        sys.executable, "-m", "segformer_cli", "eval-robust", "-w", str(options.run), "-d", f"camvid:{options.camvid}",
        "--limit", str(PACE_PICTURES), "-j", str(workers), "--json", "-q", "--set", "resamples=0",
    ]
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, "-o", folder + "/out"], check=True, text=True, stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = json.loads(done.stdout)["results"]["seconds"]
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"threads": threads, "workers": workers, **seconds, "busy_cores": busy / seconds["total"]}


def arguments(options: argparse.Namespace, seed: int) -> list[str]:
    folder = options.out / f"seed{seed}"
    return [
        "eval-robust", "--cityscapes-c", "-w", str(options.run), "-d", f"camvid:{options.camvid}", "--seed", str(seed),
        "--cd-reference", "dlv3plus-mbv2", "-o", str(folder),
        "--report", str(folder / "report.html"),
    ]


def shown(options: argparse.Namespace, seed: int) -> str:
    """The command without this machine's paths."""
    text = " ".join(["segformer", *arguments(options, seed)])
    return text.replace(str(options.camvid), "CAMVID").replace(str(options.run), "RUN").replace(str(options.out), "OUT")


def differences(a: dict[str, Any], b: dict[str, Any]) -> dict[str, float]:
    """What another seed changes, in points of mIoU: of the mean, and of each corruption."""
    rows = zip(a["per_corruption"], b["per_corruption"], strict=True)
    found = {one["corruption"]: 100 * (other["miou"] - one["miou"]) for one, other in rows}
    return {"mean": 100 * (b["mean_miou"] - a["mean_miou"]), **found}


if __name__ == "__main__":
    main()
