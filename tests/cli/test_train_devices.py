"""`segformer train --devices N`: two processes on loopback, as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from segformer_cli.app import main
from segformer_cli.data.sample import write_sample
from segformer_cli.workflows.runs import Run

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and processes of POSIX")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": 5, "val": 3}, (64, 96))
    return root


def started(scenes: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SEGFORMER_")}
    recipe = ["-d", f"cityscapes:{scenes}", "-w", "none", "--preset", "scratch", "-b", "4", "--crop-size", "32",
              "-j", "0", "--device", "cpu", "--set", "log_every=1", "--set", "checkpoint_every=2", "-o", "run"]
    return subprocess.Popen(
        [sys.executable, "-m", "segformer_cli", "train", *recipe, *arguments], cwd=folder, text=True,
        env={**kept, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )


def finished(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def losses(run: Path) -> list[float]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def wait_for_steps(process: subprocess.Popen[str], run: Path, steps: int) -> None:
    """Until so many are logged, or the process has ended."""
    log, deadline = run / "log.jsonl", time.monotonic() + 120
    while (not log.exists() or log.read_text().count("loss") < steps) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)


EXACT = ("--set", "drop_path=0", "--set", "dropout=0", "--iterations", "4", "--json")


def test_two_devices_train_as_one_does_and_speak_with_one_voice(scenes: Path, tmp_path: Path) -> None:
    for name, more in (("one", ()), ("two", ("--devices", "2"))):
        (tmp_path / name).mkdir()
        code, out, err = finished(started(scenes, tmp_path / name, *EXACT, *more))
        assert code == 0, err
        assert json.loads(out)["results"]["iterations"] == 4
        assert "Warning" not in err
    one, two = (Run(tmp_path / name / "run") for name in ("one", "two"))
    assert losses(two.folder) == pytest.approx(losses(one.folder), rel=1e-5)
    # In float32 Adam makes much of gradients near 0: single weights differ (in float64: engine/training).
    ours, theirs = (run.load_state()["trainer"]["model"] for run in (two, one))
    assert all((ours[name] - theirs[name]).abs().float().mean() < 2e-4 for name in theirs)


def test_two_machines_train_together_where_they_are_told_to_meet(scenes: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        meeting = f"127.0.0.1:{probe.getsockname()[1]}"
    both = [
        started(scenes, tmp_path, *EXACT, "--nnodes", "2", "--rdzv-endpoint", meeting, "--set", "eval_limit=1")
        for _ in range(2)
    ]
    ends = [finished(each) for each in both]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert len(losses(tmp_path / "run")) == 4
    (said,) = [out for _, out, _ in ends if out]        # of one run, not of two beside each other
    assert json.loads(said)["results"]["iterations"] == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--nnodes", "two"), "error: nnodes is 'two'"),
        (("--nnodes", "3:2", "--devices", "2"), "error: nnodes is '3:2'"),
        (("--nnodes", "2"), "hint:  --rdzv-endpoint HOST:PORT"),
    ],
)
def test_machines_without_number_or_meeting_place_are_a_wrong_usage(
    options: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *options]) == 2
    assert words in capsys.readouterr().err


def test_a_process_that_is_killed_ends_all_with_one_error_and_another_number_of_devices_goes_on(
    scenes: Path, tmp_path: Path
) -> None:
    process = started(scenes, tmp_path, "--iterations", "60", "--devices", "2", "--set", "eval_limit=1")
    wait_for_steps(process, tmp_path / "run", 5)
    (worker,) = [pid for pid, rank in _workers(process.pid) if rank == "1"]
    os.kill(worker, signal.SIGKILL)
    code, _, err = finished(process)
    assert code == 1
    assert err.count("error:") == 1, err
    assert "error: process 1 was killed by SIGKILL" in err
    assert "Traceback" not in err
    at = Run(tmp_path / "run").load_state()["trainer"]["iteration"]
    assert at >= 4
    code, _, err = finished(started(scenes, tmp_path, "--iterations", "60", "--resume", "--devices", "1"))
    assert code == 0, err
    assert len(losses(tmp_path / "run")) == 60


def _workers(parent: int) -> list[tuple[int, str]]:
    """The processes that one has started, with their ranks."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and f"PPid:\t{parent}\n" in (folder / "status").read_text():
                variables = (folder / "environ").read_text().split("\0")
                ranks = [text.removeprefix("RANK=") for text in variables if text.startswith("RANK=")]
                found.append((int(folder.name), "".join(ranks)))
    return found


def test_a_stop_saves_in_all_and_is_told_once(scenes: Path, tmp_path: Path) -> None:
    process = started(scenes, tmp_path, "--iterations", "5000", "--devices", "2")
    wait_for_steps(process, tmp_path / "run", 3)
    process.send_signal(signal.SIGINT)
    code, _, err = finished(process)
    assert code == 130
    assert err.count("stopped after iteration") == 1, err
    assert Run(tmp_path / "run").load_state()["trainer"]["iteration"] >= 3


def test_an_error_that_one_process_meets_is_told_once(scenes: Path, tmp_path: Path) -> None:
    write_sample(tmp_path / "scenes", {"train": 5, "val": 3}, (64, 96))
    for picture in list((tmp_path / "scenes" / "leftImg8bit" / "train").rglob("*.png"))[1:]:
        picture.write_bytes(picture.read_bytes()[:200])
    code, _, err = finished(started(tmp_path / "scenes", tmp_path, "--iterations", "5", "--devices", "2"))
    assert code == 1
    assert err.count("error:") == 1, err
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_its_own_settings_and_no_other_file(scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("lr: 1.0\n")
    code, _, err = finished(started(scenes, tmp_path, "--resume", "-c", "mine.yaml"))
    assert code == 2
    assert "error: --config and --resume are both given" in err


def test_more_devices_than_crops_are_refused(scenes: Path, tmp_path: Path) -> None:
    code, _, err = finished(started(scenes, tmp_path, "--iterations", "5", "--devices", "2", "-b", "1"))
    assert code == 2
    assert "a step of 1 crops cannot be shared by 2 devices" in err
