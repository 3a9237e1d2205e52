"""Seconds that `segformer data check` takes over a set as large as ADE20K: masks alone, and with near duplicates.

    python benchmarks/data_check.py [--pairs 20000] [--keep FOLDER]

Pictures (JPEG, quality 92) and masks (palette PNG) of 512x683 are 32 patterns, rolled by another way for each file, so
that no two are equal. Aims, on 2 cores: under 40 s for the masks alone, under 3 minutes with pictures. A record
is written for 20,000 pairs. With --keep the set is drawn there once and used again.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from record import write_record

from segformer_cli.config import CheckConfig
from segformer_cli.threads import cores
from segformer_cli.workflows.data_check import check_data

SIZE_HW = (512, 683)
PATTERNS = 32
CLASSES = 20
AIM_PAIRS = 20_000
AIMS_S = {"masks alone": 40, "masks and pictures": 180}


def draw(root: Path, pairs: int) -> None:
    """images/train, masks/train and classes.txt, as many pairs as wanted."""
    (root / "images" / "train").mkdir(parents=True, exist_ok=True)
    (root / "masks" / "train").mkdir(parents=True, exist_ok=True)
    (root / "classes.txt").write_text("\n".join(f"class {index}" for index in range(CLASSES)))
    lot = np.random.default_rng(0)
    height, width = SIZE_HW
    palette = lot.integers(0, 255, 768).astype(np.uint8).tobytes()
    scenes, masks = [], []
    for _ in range(PATTERNS):
        coarse = lot.integers(0, 255, (32, 43, 3)).astype(np.uint8)
        scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        scenes.append(np.clip(scene + lot.integers(-12, 12, scene.shape), 0, 255).astype(np.uint8))
        centres = lot.random((60, 2)) * SIZE_HW
        rows, columns = np.mgrid[:height, :width]
        nearest = ((rows[..., None] - centres[:, 0]) ** 2 + (columns[..., None] - centres[:, 1]) ** 2).argmin(axis=2)
        masks.append(lot.integers(0, CLASSES, 60).astype(np.uint8)[nearest])
    for index in range(pairs):
        pattern, shift = index % PATTERNS, index // PATTERNS
        # Each picture is its pattern, rolled; so the files differ, and their hashes too.
        picture = np.roll(scenes[pattern], (7 * shift, 11 * shift), axis=(0, 1))
        cv2.imwrite(str(root / f"images/train/{index:06d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        mask = Image.fromarray(np.roll(masks[pattern], (7 * shift, 11 * shift), axis=(0, 1)))
        mask.putpalette(palette)
        mask.save(root / f"masks/train/{index:06d}.png")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pairs", type=int, default=AIM_PAIRS)
    arguments.add_argument("--keep", type=Path)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (given.keep or Path(temporary)) / f"pairs-{given.pairs}"
        if not (root / "images" / "train" / f"{given.pairs - 1:06d}.jpg").exists():
            draw(root, given.pairs)
        rows = []
        for name, masks_only in (("masks alone", True), ("masks and pictures", False)):
            start, burnt = time.perf_counter(), time.process_time()
            found = check_data(CheckConfig(data=str(root), masks_only=masks_only))
            seconds, cpu = time.perf_counter() - start, time.process_time() - burnt
            rows.append({"check": name, "pairs": found.images, "seconds": round(seconds, 2), "cpu_s": round(cpu, 2)})
            of_aim = seconds * AIM_PAIRS / given.pairs
            print(
                f"{name}: {seconds:.1f} s ({cpu:.1f} s of processor), {1e3 * seconds / given.pairs:.2f} ms a pair; "
                f"{AIM_PAIRS} take {of_aim:.0f} s, the aim is {AIMS_S[name]} s; problems: "
                + (", ".join(f"{each.count} {each.kind}" for each in found.problems) or "none")
            )
        if given.pairs >= AIM_PAIRS:
            write_record("data_check", {"threads": cores(), "cores": os.cpu_count(), "rows": rows})


if __name__ == "__main__":
    main()
