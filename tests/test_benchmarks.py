"""The scripts in benchmarks/ still fit the package: each can be imported. None is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "benchmarks"
IMPORTED = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:            # of a program that is compared with, which may be absent
        if (error.name or "segformer_cli").partition(".")[0] == "segformer_cli" or error.name in sys.argv:
            raise
"""


def test_every_benchmark_can_be_imported() -> None:
    names = sorted(path.stem for path in FOLDER.glob("*.py"))
    assert "data_check" in names
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, str(FOLDER), *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "", "a benchmark ran while it was imported"
