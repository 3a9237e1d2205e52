"""Milliseconds of corrupting one 2048x1024 picture against imagecorruptions-imaug: same picture, one thread.

    OMP_NUM_THREADS=1 PYTHONPATH=. python benchmarks/corruptions.py [--seconds 6] [--set-rounds 3] [--picture FILE]

First each of the 19 at severity 3, alone: the two take turns for some seconds, three rounds at least; nothing is kept
between calls but our tables, and the least time is compared. Then the 72 variants that the paper's protocol makes of a
picture, again taking turns: here ours share what they have in common, as `segformer eval-robust` makes them. The rival
is the fastest faithful package there is; imagecorruptions 1.1.2 itself, whose glass blur alone takes a minute, can no
longer be imported.
"""

from __future__ import annotations

import argparse
import importlib
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import torch
from record import write_record

from segformer_cli.data.sample import draw_scene
from segformer_cli.images import Picture, read_image
from segformer_cli.robustness.corruptions import CORRUPTIONS, corrupt, generator_for
from segformer_cli.robustness.protocols import PROTOCOLS, Cell
from segformer_cli.robustness.source import Source

SIZE_HW, SEVERITY = (1024, 2048), 3
RIVAL = "imagecorruptions-imaug"
Make = Callable[[str, int], Picture]

ASKED: Mapping[str, float] = {
    "gaussian_noise": 3,
    "shot_noise": 8,
    "impulse_noise": 9,
    "speckle_noise": 3,
    "motion_blur": 11,
    "defocus_blur": 1.8,
    "glass_blur": 2.7,
    "gaussian_blur": 5,
    "brightness": 35,
    "contrast": 23,
    "saturate": 29,
    "jpeg_compression": 1.25,
    "snow": 7,
    "spatter": 4,
    "fog": 3,
    "frost": 8,
    "zoom_blur": 10,
    "elastic_transform": 2,
}
"""Times faster than the rival that a prototype was, by which ours are judged."""
SET_ASKED = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6, help="of each corruption")
    parser.add_argument("--set-rounds", type=int, default=3, help="of the 72 variants")
    parser.add_argument("--picture", type=Path, help="instead of a drawn street")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    picture = read_image(options.picture) if options.picture else draw_scene(1, SIZE_HW)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rival = importlib.import_module("imagecorruptions")

    def theirs(name: str, severity: int) -> Picture:
        corrupted: Picture = rival.corrupt(picture, severity, name)
        return corrupted

    rows = [compare(name, picture, theirs, options.seconds) for name in CORRUPTIONS]
    whole = compare_sets(picture, theirs, options.set_rounds)
    write_record(
        "corruptions",
        {
            "threads": 1,
            "size_hw": picture.shape[:2],
            "picture": options.picture.name if options.picture else "draw_scene(1)",
            "rival": {RIVAL: version(RIVAL), "scikit-image": version("scikit-image"), "numba": version("numba")},
            "severity": SEVERITY,
            "seconds": options.seconds,
            "alone": rows,
            "set": whole,
        },
    )


def compare(name: str, picture: Picture, theirs: Make, seconds: float) -> dict[str, object]:
    """Least times in ms of one corruption alone, and how many times faster ours is."""
    runs = {"ours": partial(ours, picture, name, SEVERITY), "theirs": partial(theirs, name, SEVERITY)}
    times = taking_turns(runs, 3, seconds)
    factor = times["theirs"] / times["ours"]
    asked = ASKED.get(name, 1.0)
    print(
        f"{name:18} {times['theirs']:8.1f} ms -> {times['ours']:7.1f} ms  {factor:6.1f}x"
        f"  ({'' if factor >= asked else 'NOT '}the {asked:g}x asked)",
        flush=True,
    )
    return {"name": name, "least_ms": times, "times_faster": factor, "asked": asked}


def compare_sets(picture: Picture, theirs: Make, rounds: int) -> dict[str, object]:
    """Least times in ms of all variants of the paper's protocol."""
    cells = PROTOCOLS["cityscapes-c"].cells
    runs = {
        "ours": lambda: make_all(cells, partial(ours, Source(picture))),
        "theirs": lambda: make_all(cells, theirs),
    }
    times = taking_turns(runs, rounds, 0)
    factor = times["theirs"] / times["ours"]
    print(f"all {len(cells)} variants: {times['theirs']:.0f} ms -> {times['ours']:.0f} ms, {factor:.1f}x", flush=True)
    return {"variants": len(cells), "least_ms": times, "times_faster": factor, "asked": SET_ASKED}


def ours(image: Picture | Source, name: str, severity: int) -> Picture:
    return corrupt(image, name, severity, generator_for(0, "street", name, severity))


def make_all(cells: tuple[Cell, ...], make: Make) -> None:
    for corruption, severity in cells:
        make(corruption, severity)


def taking_turns(runs: Mapping[str, Callable[[], object]], rounds: int, seconds: float) -> dict[str, float]:
    """The least time of each in ms; there is one round before, which fills caches and compiles."""
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    end = time.perf_counter() + seconds
    while min(map(len, times.values())) < rounds or time.perf_counter() < end:
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append(1000 * (time.perf_counter() - began))
    return {name: min(spent) for name, spent in times.items()}


if __name__ == "__main__":
    main()
