"""Where measurements go: dated JSON beside the scripts, with the machine, the versions and the command."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGES = ("torch", "numpy", "opencv-python", "transformers", "typer", "rich")


def write_record(benchmark: str, results: Mapping[str, Any]) -> Path:
    """benchmarks/results/<benchmark>-<date>.json, now holding the results and how they came about."""
    now = datetime.now(timezone.utc)
    record = {
        "benchmark": benchmark,
        "date": now.isoformat(timespec="seconds"),
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *map(_plain, sys.argv[1:])]),
        "machine": {"system": platform.platform(), "cpu": cpu_name(), "cpu_cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), **_versions()},
        **results,
    }
    path = ROOT / "benchmarks" / "results" / f"{benchmark}-{now:%Y-%m-%d}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(path.relative_to(ROOT))
    return path


def cpu_name() -> str:
    """The processor as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def _plain(argument: str) -> str:
    """A folder of this machine says nothing to others: its last part stands for it."""
    return Path(argument).name if os.sep in argument else argument


def _versions() -> dict[str, str]:
    return {package: found for package in PACKAGES if (found := _version(package)) is not None}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
