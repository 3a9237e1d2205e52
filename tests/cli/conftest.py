"""The command line as its users meet it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def segformer_in() -> Callable[[Path], Run]:
    """Runs `segformer ARGUMENTS` in a folder, without the user's own variables, and captures both streams."""

    def in_folder(folder: Path) -> Run:
        def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("SEGFORMER_", "NO_COLOR"))}
            ours = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
            return subprocess.run(
                [sys.executable, "-m", "segformer_cli", *arguments],
                capture_output=True,
                text=True,
                encoding="utf-8",
                cwd=folder,
                env={**kept, **ours, **variables},
                timeout=120,
            )

        return run

    return in_folder


@pytest.fixture
def segformer(segformer_in: Callable[[Path], Run], tmp_path: Path) -> Run:
    """`segformer` in an empty folder."""
    return segformer_in(tmp_path)
