"""Fifty images of one's own: what each part of the recipe is worth, B0 on 50 images of CamVid, three seeds each.

    python benchmarks/small_data.py CAMVID WORK            # about an hour on two cores, 27 runs
    python benchmarks/small_data.py CAMVID WORK --only base,rare --seeds 0 --iterations 20      # a look; no record

CAMVID is the data set's folder, WORK one for the runs; those that are finished there are not trained again. The 50
images are those of the train split whose names have the smallest hashes; each run is scored once, at its end, on all
101 of val, so that no validation is chosen. Every setting differs from `base` (or from `pretrained`, which starts
from the checkpoint `sample`, trained on drawn streets) in one thing; differences are paired by seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from record import write_record

from segformer_cli.config import TrainConfig
from segformer_cli.data.class_statistics import count_classes
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.settings import resolve
from segformer_cli.workflows import defaults, planning, training
from segformer_cli.workflows.run_list import is_finished, validations

IMAGES, ITERATIONS, SEEDS = 50, 600, (0, 1, 2)
COMMON = {"variant": "b0", "batch_size": "4", "crop_size": "192", "workers": "1", "log_every": "50", "device": "cpu"}
SCRATCH, PRETRAINED = {"preset": "scratch", "weights": "none"}, {"preset": "finetune", "weights": "sample"}
RATES_OF_SCRATCH = {"lr": str(defaults.LR_FROM_RANDOM), "head_lr_multiplier": "1"}
RATES_OF_FINETUNE = {"lr": str(defaults.LR_A_CROP * 4), "head_lr_multiplier": "10"}
SETTINGS: dict[str, tuple[str | None, dict[str, str]]] = {
    "base": (None, SCRATCH),
    "mean over all pixels": ("base", {**SCRATCH, "loss_mean": "all"}),
    "no running average": ("base", {**SCRATCH, "ema": "0"}),
    "rare": ("base", {**SCRATCH, "sampling": "rare"}),
    "class weights": ("base", {**SCRATCH, "class_weights": "auto"}),
    "rates of finetune": ("base", {**SCRATCH, **RATES_OF_FINETUNE}),
    "scale of the paper": ("base", {**SCRATCH, "scale_range": "0.5,2.0"}),
    "pretrained": ("base", PRETRAINED),
    "pretrained, rates of scratch": ("pretrained", {**PRETRAINED, **RATES_OF_SCRATCH}),
}
"""Each with what it is compared with, and the keys that make it."""


def main() -> None:
    options = arguments()
    names = options.only.split(",") if options.only else list(SETTINGS)
    seeds = [int(seed) for seed in options.seeds.split(",")] if options.seeds else list(SEEDS)
    scores: dict[str, list[dict[str, float]]] = {}
    chosen = [pair.key for pair in fifty(open_data(f"camvid:{options.data}", "train")).pairs]
    for name in names:
        scores[name] = []
        for seed in seeds:
            scores[name].append(scored(config_of(name, seed, options)))
            print(f"{name}, seed {seed}: mIoU {scores[name][-1]['miou']:.4f}", flush=True)
    table = {name: summary(name, scores) for name in names}
    for name, row in table.items():
        print(f"{name:30} {row['miou']:.4f} +- {row['deviation']:.4f}  {row.get('against', '')}")
    if (names, seeds, options.iterations) != (list(SETTINGS), list(SEEDS), ITERATIONS):
        return
    write_record(
        "small_data",
        {
            "images": chosen,
            "iterations": ITERATIONS,
            "common": COMMON,
            "settings": {name: keys for name, (_, keys) in SETTINGS.items()},
            "seeds": seeds,
            "val": table,
        },
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", help="settings, parted by commas")
    parser.add_argument("--seeds", help="parted by commas")
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    return parser.parse_args()


def config_of(name: str, seed: int, options: argparse.Namespace) -> TrainConfig:
    """One training, scored at its end alone."""
    every = str(options.iterations)
    flags = {
        **COMMON, **SETTINGS[name][1], "data": f"camvid:{options.data}", "seed": str(seed), "iterations": every,
        "eval_every": every, "out": str(options.work / f"{name.replace(',', '').replace(' ', '-')}_{seed}_{every}"),
    }
    return resolve(TrainConfig, flags=flags)


def fifty(train: Split) -> Split:
    """The images of the experiment, chosen by a hash of their names."""
    by_hash = sorted(train.pairs, key=lambda pair: hashlib.sha256(pair.key.encode()).digest())
    chosen = {pair.key for pair in by_hash[:IMAGES]}
    return dataclasses.replace(train, pairs=tuple(pair for pair in train.pairs if pair.key in chosen))


def scored(config: TrainConfig) -> dict[str, float]:
    """The last row of a run's validations, trained unless it is there."""
    assert config.out is not None
    if not is_finished(Path(config.out)):
        training.train(planned(dataclasses.replace(config, force=True)))
    return validations(Path(config.out))[-1]


def planned(config: TrainConfig) -> planning.TrainingPlan:
    """As `segformer train` would do it, but on the fifty images: their classes are counted, not those of all 367."""
    whole = planning.plan(dataclasses.replace(config, class_weights="none", sampling="uniform"))
    train = fifty(whole.train)
    statistics = count_classes(train)
    settings: dict[str, Any] = {"sampling": config.sampling}
    if config.class_weights == "auto":
        settings["class_weights"] = tuple(statistics.weights().tolist())
    return dataclasses.replace(
        whole,
        train=train,
        config=dataclasses.replace(whole.config, **settings),
        statistics=statistics if config.sampling == "rare" else None,
    )


def summary(name: str, scores: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Mean and standard deviation over the seeds; of the difference too, where what it is compared with was run."""
    found = [row["miou"] for row in scores[name]]
    classes = {key.removeprefix("iou/"): key for key in scores[name][0] if key.startswith("iou/")}
    row: dict[str, Any] = {
        "each": found,
        "miou": float(np.mean(found)),
        "deviation": deviation(found),
        "iou": {label: float(np.mean([each[key] for each in scores[name]])) for label, key in classes.items()},
    }
    other = SETTINGS[name][0]
    if other in scores:
        differences = [a - b["miou"] for a, b in zip(found, scores[other], strict=True)]
        row["minus"] = {"other": other, "mean": float(np.mean(differences)), "deviation": deviation(differences)}
        row["against"] = f"{100 * row['minus']['mean']:+.2f} +- {100 * row['minus']['deviation']:.2f} points to {other}"
    return row


def deviation(numbers: Sequence[float]) -> float:
    """Of a sample; 0 of a single number."""
    return float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0


if __name__ == "__main__":
    main()
