"""Makes the checkpoint `sample`: draws scenes, trains B0 on them with our own `train`, halves it, scores it.

    python benchmarks/sample_checkpoint.py WORK [--camvid PATH] [--photos PATH]     # about 40 minutes on two cores

WORK is a folder for scenes and run; what lies there is used again. The checkpoint goes into the package, the
record into benchmarks/results/. Scores are of scenes that neither training nor the choice of the best checkpoint
saw. With --camvid the record also holds the zero-shot score on CamVid val, with --photos the classes found there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import write_record

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.scoring import score_split
from segformer_cli.images import read_image
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import scores
from segformer_cli.model.checkpoint import load_checkpoint, save_checkpoint
from segformer_cli.workflows.scorecard import Evaluation, protocol_sentence, summarise

ASSET = Path(__file__).parents[1] / "segformer_cli" / "assets" / "sample.safetensors"
DRAW_TRAIN = "data sample -o {work}/scenes --train 1600 --val 0 --seed 1000000"
DRAW_VAL = "data sample -o {work}/scenes --train 0 --val 60 --seed 500000 --force"
DRAW_HELD_OUT = "data sample -o {work}/held-out --train 0 --val 60 --seed 600000"
TRAIN = (
    "train -d cityscapes:{work}/scenes --variant b0 -w none --preset scratch --iterations 3000 --crop-size 256x512 "
    "-b 4 --eval-every 500 --seed 0 --workers 1 --set eval_limit=30 --set scale_range=0.75,1.5 "
    "--set photometric=full --set log_every=50 -o {work}/run"
)
NOT_DRAWN = ("truck", "train", "motorcycle")
CAMVID = {
    "sky": "sky",
    "building": "building",
    "pole": "pole",
    "road": "road",
    "pavement": "sidewalk",
    "tree": "vegetation",
    "signsymbol": "traffic sign",
    "fence": "fence",
    "car": "car",
    "pedestrian": "person",
    "bicyclist": "rider",
}
"""CamVid's names -> the name of the same thing in Cityscapes; what else is predicted counts as wrong."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--camvid", type=Path)
    parser.add_argument("--photos", type=Path)
    options = parser.parse_args()
    steps = {DRAW_TRAIN: "scenes", DRAW_VAL: "scenes", TRAIN: "run", DRAW_HELD_OUT: "held-out"}
    lacking = [text for text, folder in steps.items() if not (options.work / folder).is_dir()]
    for text in lacking:
        arguments = text.format(work=options.work).split()
        subprocess.run([sys.executable, "-m", "segformer_cli", *arguments], check=True)
    trained = load_checkpoint(options.work / "run" / "checkpoints" / "best.safetensors")
    config = dataclasses.replace(trained.config, training_data="drawn street scenes", origin="segformer data sample")
    save_checkpoint(ASSET, dataclasses.replace(trained, config=config), force=True, half=True)
    segmenter = Segmenter.of(load_model("sample"), torch.device("cpu"))
    held_out = score_scenes(segmenter, options.work / "held-out")
    drawn = {row.name: row.iou for row in held_out.per_class if row.name not in NOT_DRAWN}
    record: dict[str, Any] = {
        "commands": ["segformer " + text.format(work="WORK") for text in steps],
        "size_bytes": ASSET.stat().st_size,
        "protocol": held_out.protocol,
        "miou_of_drawn_classes": float(np.mean(list(drawn.values()))),
        "least": min(drawn, key=lambda name: drawn[name]),
        "iou": drawn,
        "aacc": held_out.aacc,
    }
    if options.camvid:
        record["camvid_val_zero_shot"] = score_camvid(segmenter, options.camvid)
    if options.photos:
        record["photos"] = {path.name: shares(segmenter, path) for path in sorted(options.photos.iterdir())}
    print(json.dumps(record, indent=1))
    write_record("sample_checkpoint", record)


def score_scenes(segmenter: Segmenter, root: Path) -> Evaluation:
    """The scores on scenes whose seeds training never saw."""
    split = open_data(f"cityscapes:{root}", "val")
    return summarise(score_split(segmenter, split), split, protocol_sentence(split, str(segmenter.protocol)))


def score_camvid(segmenter: Segmenter, root: Path) -> dict[str, Any]:
    """Scores of the untouched weights on CamVid val, classes matched by name."""
    split = open_data(f"camvid:{root}", "val")
    ours, K = class_set("cityscapes").class_names, len(split.class_names)
    to_camvid = np.full(len(ours), K, np.uint8)
    for index, name in enumerate(split.class_names):
        to_camvid[ours.index(CAMVID[name])] = index
    total = np.zeros((K + 1, K + 1), np.int64)
    for pair in split.pairs:
        image, target = split.read(pair)
        total += confusion_matrix(target, to_camvid[segmenter.mask(image)], K + 1, split.ignore_index)
    found = scores(total)
    per_class = dict(zip(split.class_names, found.iou[:K].tolist(), strict=True))
    return {
        "miou": float(np.mean(found.iou[:K])),
        "aacc": found.aacc,
        "iou": per_class,
        "mapping": CAMVID,
        "images": len(split),
    }


def shares(segmenter: Segmenter, path: Path) -> dict[str, float]:
    """What share of a photograph each class gets, where it is at least a hundredth."""
    mask = segmenter.mask(read_image(path))
    counts = np.bincount(mask.ravel(), minlength=segmenter.config.num_classes) / mask.size
    names = segmenter.config.class_names
    return {names[index]: round(float(counts[index]), 3) for index in np.argsort(-counts) if counts[index] >= 0.01}


if __name__ == "__main__":
    main()
