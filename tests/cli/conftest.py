"""The command line as its users meet it: a process of its own, or `main` in this one where that is enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from segformer_cli.app import main
from segformer_cli.model.checkpoint import save_checkpoint
from tests.conftest import RandomCheckpoint
from tests.tiny_data import write_lot

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


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout; its shape is that of every command."""
        found: dict[str, Any] = json.loads(self.out)
        assert list(found)[:3] == ["schema", "command", "ok"]
        assert found["ok"] == (self.code == 0)
        if self.code:
            assert set(found["error"]) == {"message", "where", "hint", "exit_code"}
            assert found["error"]["exit_code"] == self.code
        return found


RunHere = Callable[..., Done]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with seven labelled pictures in data/, room for two files of weights, and nothing else."""
    folder = tmp_path_factory.mktemp("studio")
    write_lot(folder / "data")
    return folder


@pytest.fixture
def run(
    studio: Path,
    random_checkpoint: RandomCheckpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> RunHere:
    """Runs `segformer ARGUMENTS` in the studio, in this process, without the user's own variables."""
    monkeypatch.chdir(studio)
    for name in [key for key in os.environ if key.startswith(("SEGFORMER_", "WORLD_SIZE", "RANK"))]:
        monkeypatch.delenv(name)
    for seed, name in enumerate(("a.safetensors", "b.safetensors")):
        if not (studio / name).exists():
            save_checkpoint(studio / name, random_checkpoint("b0", seed=seed))

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = main([*arguments])
        return Done(code, *capsys.readouterr())

    return run


def newest(folder: str) -> str:
    """The numbered folder with the highest number."""
    return max(Path(folder).iterdir(), key=lambda path: int(path.name)).as_posix()


A = ("eval", "-w", "a.safetensors", "-d", "data", "--device", "cpu")
B = ("eval", "-w", "b.safetensors", "-d", "data", "--device", "cpu")
