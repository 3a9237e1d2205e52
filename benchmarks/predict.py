"""A folder of pictures to masks on disk: ours beside transformers' model and image processor, weights and sizes alike.

    python benchmarks/predict.py CAMVID PHOTOGRAPHS [--variants b0,b2] [--rounds 3] [--threads 2]

CAMVID: the data set's folder (360x480). PHOTOGRAPHS: a folder of photographs, which are brought to 1024x2048. Both see
a picture at its own size, sides up to a multiple of 32, and write a palette PNG. Each contestant runs in a process of
its own, in turns: pictures a second once it is warm (the time of many less that of few), the peak of the whole process,
and how many pixels of the two masks differ.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from peers import make_torchvision_importable
from PIL import Image
from record import write_record

from segformer_cli.config import PredictConfig
from segformer_cli.engine.loading import load_checkpoint_from
from segformer_cli.images import read_mask, write_mask
from segformer_cli.resize import NATIVE
from segformer_cli.workflows.predicting import predict

FEW = 4
"""Pictures after which a process is warm."""


def ours(weights: Path, pictures: Sequence[Path], out: Path) -> None:
    """What `segformer predict` does."""
    inputs = tuple(map(str, pictures))
    predict(PredictConfig(inputs=inputs, weights=str(weights / "ours.safetensors"), out=str(out), size="native"))


def transformers(weights: Path, pictures: Sequence[Path], out: Path) -> None:
    """As its examples do: PIL, the processor, the model, post-processing, PIL."""
    make_torchvision_importable()
    from transformers import SegformerForSemanticSegmentation, SegformerImageProcessor

    model = SegformerForSemanticSegmentation.from_pretrained(weights / "hf").eval()
    palette = load_checkpoint_from(weights / "ours.safetensors").config.palette
    out.mkdir(parents=True, exist_ok=True)
    for path in pictures:
        image = Image.open(path).convert("RGB")
        height, width = NATIVE.aligned((image.height, image.width))
        processor = SegformerImageProcessor(size={"height": height, "width": width})
        with torch.inference_mode():
            found = model(**processor(image, return_tensors="pt"))
        (ids,) = processor.post_process_semantic_segmentation(found, target_sizes=[(image.height, image.width)])
        write_mask(out / f"{path.stem}.png", ids.numpy().astype(np.uint8), palette, force=True)


CONTESTANTS: dict[str, Callable[[Path, Sequence[Path], Path], None]] = {"ours": ours, "transformers": transformers}


def one(name: str, weights: Path, folder: Path, out: Path, threads: int) -> dict[str, float]:
    """Seconds a picture and peak memory of this process."""
    torch.set_num_threads(threads)
    pictures = sorted(folder.iterdir())
    marks = [time.perf_counter()]
    for count in (FEW, len(pictures)):
        CONTESTANTS[name](weights, pictures[:count], out / str(count))
        marks.append(time.perf_counter())
    few, many = marks[1] - marks[0], marks[2] - marks[1]
    # Of the second call all that the first one found in files and caches is warm, but for loading the weights again.
    CONTESTANTS[name](weights, pictures[:FEW], out / "again")
    few = time.perf_counter() - marks[2]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds_a_picture": (many - few) / (len(pictures) - FEW), "peak_mib": peak}


def compare(weights: Path, folder: Path, rounds: int, threads: int, work: Path) -> dict[str, Any]:
    """Of each contestant the least time and memory of several processes, and how much their masks differ."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for number in range(rounds):
        for name in CONTESTANTS:
            out = work / f"{name}-{number}"
            line = [sys.executable, __file__, "--one", name, str(weights), str(folder), str(out), str(threads)]
            done = subprocess.run(line, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    count = len(list(folder.iterdir()))
    masks = [sorted((work / f"{name}-0" / str(count)).glob("*.png")) for name in CONTESTANTS]
    differ = np.mean([np.mean(read_mask(a) != read_mask(b)) for a, b in zip(*masks, strict=True)])
    least = {name: {key: min(each[key] for each in runs) for key in runs[0]} for name, runs in found.items()}
    mine, theirs = least["ours"], least["transformers"]
    return {
        "pictures": count,
        "least": least,
        "times_as_many_pictures": theirs["seconds_a_picture"] / mine["seconds_a_picture"],
        "share_of_memory": mine["peak_mib"] / theirs["peak_mib"],
        "pixels_that_differ": float(differ),
    }


def main() -> None:
    """Compares, prints and records."""
    if sys.argv[1:2] == ["--one"]:
        name, weights, folder, out, threads = sys.argv[2:]
        print(json.dumps(one(name, Path(weights), Path(folder), Path(out), int(threads))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--variants", default="b0,b2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        kinds = {"camvid 360x480": _camvid(given.camvid, work), "1024x2048": _photographs(given.photographs, work)}
        for variant in given.variants.split(","):
            weights = _weights(variant, work / variant)
            for name, folder in kinds.items():
                row = compare(weights, folder, given.rounds, given.threads, work / f"{variant}-{name}")
                rows.append({"variant": variant, "pictures_of": name, **row})
                print(f"{variant} {name}: {row['times_as_many_pictures']:.2f} times as many pictures a second, "
                      f"{100 * row['share_of_memory']:.0f} % of the memory, {row['pixels_that_differ']:.1e} differ")
    write_record("predict", {"threads": given.threads, "results": rows})


def _camvid(folder: Path, work: Path) -> Path:
    place = work / "camvid"
    place.mkdir()
    for path in sorted(folder.glob("**/images/*.jpg"))[:60]:
        (place / path.name).symlink_to(path.absolute())
    return place


def _photographs(folder: Path, work: Path) -> Path:
    place = work / "photographs"
    place.mkdir()
    for path in sorted(folder.rglob("*.jpg"))[:10]:
        picture = cv2.resize(cv2.imread(str(path)), (2048, 1024), interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(place / path.name), picture)
    return place


def _weights(variant: str, place: Path) -> Path:
    """Random weights in our format and in transformers'."""
    from segformer_cli import build_model
    from segformer_cli.model.checkpoint import checkpoint_of, save_checkpoint

    torch.manual_seed(0)
    save_checkpoint(place / "ours.safetensors", checkpoint_of(build_model(variant, num_classes=19)))
    subprocess.run(
        [sys.executable, "-m", "segformer_cli", "weights", "convert", str(place / "ours.safetensors"),
         str(place / "hf"), "--to", "hf"],
        check=True, capture_output=True,
    )
    return place


if __name__ == "__main__":
    main()
