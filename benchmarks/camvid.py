"""B0 from random weights on CamVid, crop 256, batch 8; what it reaches, and under which protocol.

    python benchmarks/camvid.py CAMVID RUN                        # 3400 iterations, about 40 minutes on two cores
    python benchmarks/camvid.py CAMVID RUN --iterations 600       # 7 minutes

CAMVID is the data set's folder, RUN a new one for the run; a run that lies there is recorded as it is. No picture
of CamVid goes into the record: its licence is for research use.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import write_record

TRAIN = (
    "train --variant b0 -d camvid:{data} -w none --preset scratch --iterations {iterations} --crop-size 256 -b 8 "
    "--seed 0 --workers 1 -o {run}"
)
EVAL = "eval -w {run} -d camvid:{data} --split val --json"
TEST = "eval -w {run} -d camvid:{data} --split test --group-images (.+)_ --json"
PROTOCOLS = {"whole": "", "slide": " --set window=256x256", "multi-scale": " --multi-scale"}
COMPARE = "compare {run}/scores/whole {run}/scores/{name} --group-images (.+)_ --json"
LONG = ("confusion_matrix", "per_image")
"""Of a result: too long for a record."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--iterations", type=int, default=3400)
    options = parser.parse_args()
    places = {"data": options.data, "run": options.run, "iterations": options.iterations}
    if not options.run.is_dir():
        segformer(TRAIN.format(**places))
    scored = results_of(EVAL.format(**places))
    test = {}
    for name, how in PROTOCOLS.items():
        found = results_of(f"{TEST}{how} -o {{run}}/scores/{name} --force".format(**places))
        test[name] = {"score": found}
        if name != "whole":
            test[name]["minus_whole"] = results_of(COMPARE.format(**places, name=name))
        print(name, found["miou"], found["miou_ci95"])
    shown = places | {"data": "CAMVID", "run": "RUN"}
    log = [json.loads(line) for line in (options.run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    with (options.run / "metrics.csv").open(encoding="utf-8") as file:
        validations = [{"iteration": int(row["iteration"]), "miou": float(row["miou"])} for row in csv.DictReader(file)]
    write_record(
        "camvid",
        {
            "commands": ["segformer " + text.format(**shown) for text in (TRAIN, EVAL, TEST)],
            "protocols": {name: how.strip() for name, how in PROTOCOLS.items()},
            "val": scored,
            "test": test,
            "validations": validations,
            "loss": [[row["iteration"], round(row["loss"], 4)] for row in log],
            "seconds_of_logged_steps": [round(row["seconds"], 3) for row in log],
        },
    )
    print(f"val mIoU {scored['miou']:.4f}, aAcc {scored['aacc']:.4f}")


def results_of(text: str) -> dict[str, Any]:
    """The `results` of a command that prints JSON, without what is too long, and without folders of this machine."""
    results: dict[str, Any] = json.loads(segformer(text, capture=True))["results"]
    if "settings" in results:
        results["settings"] = {key: value for key, value in results["settings"].items() if os.sep not in str(value)}
    return {key: value for key, value in results.items() if key not in (*LONG, "a", "b")}


def segformer(text: str, *, capture: bool = False) -> str:
    """What a command prints, where it is to be read."""
    command = [sys.executable, "-m", "segformer_cli", *text.split()]
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE if capture else None)
    return done.stdout or ""


if __name__ == "__main__":
    main()
