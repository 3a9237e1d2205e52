"""What `eval` costs beside the network, and whether its memory stays flat over a large set.

    python benchmarks/evaluation.py [--images 5000] [--threads 1]

Time: B0 with 19 classes on drawn scenes of 1024 x 2048 (as many as Cityscapes' pictures are large), one process; the
share of the wall clock spent outside the network. Memory: B0 with 150 classes under the protocol of ADE20K on
pictures of 512 x 683, each picture under its own name, resident memory after each tenth.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from record import write_record
from torch import Tensor

import segformer_cli as sf
from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.sample import draw_scene
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import build_model
from segformer_cli.engine.protocol import PROTOCOLS
from segformer_cli.engine.scoring import Pace, judge
from segformer_cli.model.checkpoint import checkpoint_of, save_checkpoint
from segformer_cli.progress import Progress

SCENES = 8
LARGE_HW, SMALL_HW = (1024, 2048), (512, 683)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        profile = {name: time_spent(Path(folder), name) for name in ("native", "cityscapes")}
        memory = memory_used(Path(folder), options.images)
    write_record("evaluation", {"threads": options.threads, "time": profile, "memory": memory})


def time_spent(folder: Path, protocol: str) -> dict[str, Any]:
    """Seconds of one pass over the large scenes, in the network and in all."""
    root = folder / "large"
    if not root.is_dir():
        for number in range(SCENES):
            image, labels = draw_scene(number, LARGE_HW)
            name = f"sample_{number:06d}_000019"
            write(root / "leftImg8bit" / "val" / "sample" / f"{name}_leftImg8bit.png", image[..., ::-1])
            write(root / "gtFine" / "val" / "sample" / f"{name}_gtFine_labelIds.png", labels)
    split = open_data(f"cityscapes:{root}", "val")
    segmenter = Segmenter.of(build_model("b0", num_classes=19), torch.device("cpu"), protocol=PROTOCOLS[protocol])
    spent = {"network": 0.0}
    network = segmenter.model.forward

    def timed(images: Tensor) -> Tensor:
        began = time.perf_counter()
        logits = network(images)
        spent["network"] += time.perf_counter() - began
        return logits

    segmenter.model.forward = timed  # type: ignore[method-assign]
    list(judge(segmenter, split.first(1), Pace()))         # the first picture warms caches
    spent["network"] = 0.0
    began = time.perf_counter()
    for _ in judge(segmenter, split, Pace()):
        pass
    total = time.perf_counter() - began
    outside = 1 - spent["network"] / total
    print(f"{protocol}: {total / SCENES:.3f} s a picture, {100 * outside:.1f} % of it outside the network")
    return {"images": SCENES, "seconds_a_picture": total / SCENES, "share_outside_the_network": outside}


def memory_used(folder: Path, images: int) -> dict[str, Any]:
    """Resident memory after each tenth of the pictures."""
    root, names = folder / "small", class_set("ade20k").class_names
    generator = np.random.default_rng(0)
    for number in range(32):
        image, labels = draw_scene(number, SMALL_HW)
        write(root / "originals" / f"{number}.jpg", image[..., ::-1])
        ids = generator.integers(0, len(names), 256).astype(np.uint8)[labels]
        write(root / "originals" / f"{number}.png", ids)
    for number in range(images):
        for kind, suffix in (("images", ".jpg"), ("masks", ".png")):
            path = root / kind / "val" / f"{number:08d}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.hardlink_to(root / "originals" / f"{number % 32}{suffix}")
    (root / "classes.txt").write_text("\n".join(names), encoding="utf-8")
    weights = folder / "b0.safetensors"
    save_checkpoint(weights, checkpoint_of(build_model("b0", class_names=names)))
    every, used = max(1, images // 10), []

    def note(step: Progress) -> None:
        if step.done % every == 0:
            used.append({"images": step.done, "rss_mib": resident_mib()})
            print(f"{step.done} images: {used[-1]['rss_mib']:.0f} MiB", flush=True)

    config = sf.EvalConfig(weights=str(weights), data=f"folder:{root}", protocol="ade20k", out=str(folder / "scores"))
    result = sf.evaluate(config, note)
    per_image = (folder / "scores" / "per_image.npz").stat().st_size
    print(f"at the end, intervals drawn: {resident_mib():.0f} MiB; most {peak_mib():.0f} MiB")
    return {
        "images": result.images,
        "after": used,
        "rss_mib_at_the_end": resident_mib(),
        "peak_mib": peak_mib(),
        "seconds": result.seconds,
        "per_image_npz_bytes": per_image,
    }


def write(path: Path, pixels: np.ndarray[Any, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


def resident_mib() -> float:
    """Memory of this process that lies in RAM now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak_mib() -> float:
    """The most it ever was."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
