"""`segformer eval-robust` and `segformer corrupt` as people and scripts meet them: a process of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
SCENES = ROOT / "sample_data"


def test_the_readme_example_prints_sixteen_bars_and_where_it_lies(segformer: Run, tmp_path: Path) -> None:
    done = segformer("eval-robust", "--cityscapes-c", "-w", "sample", "--limit", "2", "--set", "size=128")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines[:24])) <= 80
    bars = [line for line in lines if "█" in line]
    assert len(bars) == 17 and bars[0].startswith("clean") and bars[1].startswith("motion_blur")
    assert "mean under corruptions" in done.stdout and "72 variants" in done.stdout
    assert "data: sample (neither --data nor $CITYSCAPES_DATASET is given)" in done.stderr
    assert "next: segformer compare OTHER runs/eval-robust/1" in done.stderr
    assert sorted(path.name for path in (tmp_path / "runs" / "eval-robust" / "1").iterdir()) == [
        "per_image.npz", "result.json", "table5.md", "table5.tex"
    ]


def test_json_is_one_object_and_nothing_else(segformer: Run) -> None:
    done = segformer(
        "eval-robust", "-w", "sample", "--corruptions", "fog", "--severities", "1,5", "--size", "64", "--json", "-q"
    )
    document = json.loads(done.stdout)
    assert (document["command"], document["ok"]) == ("eval-robust", True)
    assert [(cell["corruption"], cell["severity"]) for cell in document["results"]["grid"]] == [("fog", 1), ("fog", 5)]
    assert "█" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--corruptions", "fogg"), 2, "did you mean fog?"),
        (("--severities", "6"), 2, "there is no severity 6"),
        (("--protocol", "fa"), 2, "did you mean fan?"),
        (("--limit", "0"), 2, "limit"),
        (("-d", "nowhere"), 1, "there is no folder nowhere"),
        (("--cd-reference", "b0"), 2, "no published reference 'b0'"),
    ],
)
def test_bad_input_is_one_clear_error(segformer: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    done = segformer("eval-robust", "-w", "sample", *arguments)
    assert done.returncode == code
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_truncated_picture_ends_in_5_with_its_name(segformer: Run, tmp_path: Path) -> None:
    shutil.copytree(SCENES, tmp_path / "scenes")
    picture = sorted((tmp_path / "scenes").glob("leftImg8bit/val/*/*.png"))[1]
    picture.write_bytes(picture.read_bytes()[:1000])
    done = segformer(
        "eval-robust", "-w", "sample", "-d", "cityscapes:scenes", "--corruptions", "fog", "--severities", "1", "--size",
        "64", "--json",
    )
    assert done.returncode == 5
    results = json.loads(done.stdout)["results"]
    assert results["images"] == 7
    assert [Path(each["input"]).name for each in results["failed"]] == [picture.name]
    assert picture.name in done.stderr


def test_pictures_without_labels_are_said_to_have_none(segformer: Run) -> None:
    pictures = SCENES / "leftImg8bit" / "val"
    done = segformer("eval-robust", "-w", "sample", "-d", str(pictures), "--corruptions", "fog", "--size", "64")
    assert done.returncode == 0, done.stderr
    assert "no labels" in done.stderr and "mIoU" not in done.stdout
    assert "pixels keep the class they have in the clean picture" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL on Windows")
def test_a_killed_run_goes_on_to_the_same_files(segformer: Run, tmp_path: Path) -> None:
    asked = ("eval-robust", "-w", "sample", "--protocol", "blur", "--size", "64", "-j", "1")
    assert segformer(*asked, "-o", "whole").returncode == 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Saved after every picture, so that there is something to go on from.
    hurried = (
        "import sys, segformer_cli.workflows.robustness as r; r.SAVE_EVERY_S = 0; "
        "from segformer_cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", hurried, *asked, "-o", "killed"], cwd=tmp_path, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    state = tmp_path / "killed" / "unfinished"
    until = time.monotonic() + 60
    while not list(state.glob("[0-9]*.npz")) and time.monotonic() < until and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert list(state.glob("[0-9]*.npz")) and not (tmp_path / "killed" / "result.json").exists()
    done = segformer(*asked, "-o", "killed")
    assert done.returncode == 0, done.stderr
    assert "going on with killed" in done.stderr
    whole, killed = (np.load(tmp_path / name / "per_image.npz") for name in ("whole", "killed"))
    assert all(np.array_equal(whole[name], killed[name]) for name in whole.files)
    assert not state.exists()


def test_corrupt_writes_files_and_a_sheet(segformer: Run, tmp_path: Path) -> None:
    shutil.copy(next(SCENES.rglob("*_leftImg8bit.png")), tmp_path / "street.png")
    done = segformer("corrupt", "street.png", "-o", "out/", "--all")
    assert done.returncode == 0, done.stderr
    assert "95 files written" in done.stdout and "contact_sheet.png" in done.stdout
    assert len(list((tmp_path / "out").rglob("street.png"))) == 95
    again = segformer("corrupt", "street.png", "-o", "out/", "--all")
    assert "0 files written, 95 were there" in again.stdout


def test_corrupt_says_what_it_would_do(segformer: Run, tmp_path: Path) -> None:
    done = segformer("corrupt", "sample", "-o", "out/", "--corruptions", "fog", "--dry-run")
    assert "would write 40 pictures" in done.stdout
    assert not (tmp_path / "out").exists()


def test_help_has_examples(segformer: Run) -> None:
    for command in ("eval-robust", "corrupt"):
        page = segformer(command, "--help").stdout
        assert f"segformer {command}" in page and "--corruptions" in page and "Also:" in page
