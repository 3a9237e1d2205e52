"""CPU time of a fresh `segformer --help`, of the page of `train`, and of importing the package.

    python benchmarks/startup.py [--rounds 9]

Prints the medians, in seconds of user and system time, and writes them to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys

from record import ROOT, write_record

CASES = {
    "python": ["-c", "pass"],
    "import segformer_cli": ["-c", "import segformer_cli"],
    "segformer --help": ["-m", "segformer_cli", "--help"],
    "segformer train --help": ["-m", "segformer_cli", "train", "--help"],
}


def cpu_seconds(arguments: list[str]) -> float:
    """User and system time of one child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    cpu_s = {name: statistics.median(cpu_seconds(case) for _ in range(rounds)) for name, case in CASES.items()}
    for name, seconds in cpu_s.items():
        print(f"{seconds:6.3f} s  {name}")
    write_record("startup", {"rounds": rounds, "median_cpu_s": cpu_s})


if __name__ == "__main__":
    main()
