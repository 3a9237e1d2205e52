"""What docs/runs.md tells people to type works, in its order; it names every file and every key."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest

from segformer_cli.app import main
from segformer_cli.config import TrainConfig
from segformer_cli.settings import document
from segformer_cli.workflows.run_list import State

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
STOPPED = "# stopped with Ctrl-C"


def stop(line: str, run: Path) -> None:
    """Runs a training, and interrupts it once it logs."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "segformer_cli", *shlex.split(line, comments=True)[1:], "-q"]
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (run / "log.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands of the page have run."""
    place = tmp_path_factory.mktemp("runs")
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 7
    before = Path.cwd()
    os.chdir(place)
    try:
        for line in lines:
            if line.endswith(STOPPED):
                stop(line, Path("runs/train/second"))
            else:
                assert main(shlex.split(line)[1:]) == 0, line
    finally:
        os.chdir(before)
    return place


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_every_command_of_the_page_runs_in_its_order(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {"runs", "again"}
    assert {path.name for path in (folder / "runs" / "train").iterdir()} == {"first", "second"}
    assert (folder / "runs" / "train" / "second" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_page_names_every_file_of_a_run_and_no_other(folder: Path) -> None:
    table = PAGE.partition("| file |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    run = folder / "runs" / "train" / "second"
    found = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    found = {re.sub(r"iteration_\d+", "iteration_N", name).removeprefix("checkpoints/") for name in found}
    assert found == {name.removeprefix("checkpoints/") for name in named}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_page_names_every_key_of_both_results(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    for words, table in (
        (["runs"], PAGE.split("| key of `results`")[1]),
        (["reproduce", "runs/train/first", "-o", "again"], PAGE.split("| key of `results`")[2]),
    ):
        capsys.readouterr()
        assert main([*words, "--json", "-q"]) == 0
        found = json.loads(capsys.readouterr().out)["results"]
        keys = {*found, *(found["runs"][0] if "runs" in found else {})}
        assert not keys - set(re.findall(r"`(\w+)`", table.partition("\n\n")[0]))


def test_the_states_of_the_page_are_those_that_there_are() -> None:
    table = PAGE.partition("| `state` |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)) == get_args(State)


def test_the_trackers_of_the_page_are_those_that_there_are() -> None:
    (row,) = (row for row in document(TrainConfig) if row.key == "track")
    table = PAGE.partition("| `track` |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert row.accepts == f"a list, each one of {', '.join(named)}"
