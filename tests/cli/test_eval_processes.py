"""`segformer eval` in processes of its own: two that share the pictures, and one that is cut off."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segformer_cli.app import main
from segformer_cli.model.checkpoint import save_checkpoint
from tests.conftest import RandomCheckpoint
from tests.tiny_data import write_lot

ROOT = Path(__file__).parents[2]


@pytest.fixture
def studio(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> Path:
    """A folder with seven labelled pictures in data/, and weights for them."""
    write_lot(tmp_path / "studio" / "data")
    save_checkpoint(tmp_path / "studio" / "a.safetensors", random_checkpoint("b0"))
    return tmp_path / "studio"


def environ() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SEGFORMER_")}
    return {**kept, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def in_two_processes(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", "segformer_cli", *arguments],
        cwd=folder, env=environ(), capture_output=True, text=True, timeout=240,
    )


EVERYTHING = ("--boundary", "--object-sizes", "--calibration", "--fit-temperature", "--dialect", "all", "--json")


def test_two_processes_write_what_one_writes_and_print_one_object(
    studio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("eval", "-w", str(studio / "a.safetensors"), "-d", str(studio / "data"), "--device", "cpu")
    asked = (*arguments, *EVERYTHING, "-o", "scores", "--submission", "masks", "--report", "report.html")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    two = in_two_processes(folders[1], *asked)
    assert two.returncode == 0, two.stderr
    monkeypatch.chdir(folders[0])
    assert main([*asked]) == 0
    said = [json.loads(text) for text in (capsys.readouterr().out, two.stdout)]
    saved = [json.loads((folder / "scores" / "result.json").read_text()) for folder in folders]
    for document in (*said, *saved):
        assert document["results"].pop("seconds") > 0
    assert said[0] == said[1]
    assert saved[0] == saved[1]
    ours, theirs = ((folder / "scores" / "per_image.npz").read_bytes() for folder in folders)
    assert ours == theirs
    masks = [sorted((folder / "masks").iterdir()) for folder in folders]
    assert [path.name for path in masks[0]] == [f"p{index}.png" for index in range(7)]
    assert [path.read_bytes() for path in masks[0]] == [path.read_bytes() for path in masks[1]]
    assert (folders[1] / "report.html").is_file()
    assert two.stderr.count("warning: an interval from only 7 images") == 1


@pytest.mark.slow
def test_a_no_and_an_error_of_two_processes_are_one_object_too(studio: Path) -> None:
    asked = ("eval", "-w", "a.safetensors", "-d", "data", "-o", "out", "--json")
    done = in_two_processes(studio, *asked, "--report", "report.html", "--min-miou", "1")
    assert done.returncode != 0
    assert json.loads(done.stdout)["error"]["exit_code"] == 3
    assert json.loads(done.stdout)["results"]["images"] == 7
    assert (studio / "report.html").is_file()
    done = in_two_processes(studio, *asked)
    assert json.loads(done.stdout)["error"]["message"] == "result.json exists already"
    assert "this is a bug" not in done.stderr
    shutil.rmtree(studio / "out")
    (studio / "data" / "images" / "val" / "p1.png").write_bytes(b"no picture")  # the second process reads it
    done = in_two_processes(studio, *asked)
    assert done.returncode != 0
    assert json.loads(done.stdout)["error"]["message"] == "p1.png is no picture that can be read"
    assert "this is a bug" not in done.stderr
    assert not (studio / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_score_that_is_cut_off_leaves_nothing(studio: Path, number: signal.Signals) -> None:
    # Masks written for a server show how far it has come.
    arguments = ["eval", "-w", "a.safetensors", "-d", "data", "--submission", "masks", "--size", "1024"]
    outputs = ["-o", "out", "--report", "report.html", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "segformer_cli", *arguments, *outputs],
        cwd=studio, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    deadline = time.monotonic() + 120
    while not (studio / "masks" / "p0.png").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert len(list((studio / "masks").glob("*.png"))) < 7
    assert sorted(path.name for path in studio.iterdir()) == ["a.safetensors", "data", "masks"]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert json.loads(out)["error"]["exit_code"] == 130
        assert "Traceback" not in err
