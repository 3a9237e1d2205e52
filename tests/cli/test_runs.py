"""`segformer runs` and `segformer reproduce` as people and scripts meet them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run, RunHere

TRAIN = (
    "train", "-d", "data", "-w", "none", "--preset", "scratch", "--iterations", "4", "-b", "2", "--crop-size", "32",
    "-j", "0", "--eval-every", "2", "--set", "log_every=1", "--device", "cpu", "-q",
)


@pytest.fixture
def trained(run: RunHere, studio: Path) -> Path:
    """A folder of two runs: `one` is finished, `two` stopped."""
    shelf = studio / "shelf"
    if not shelf.exists():
        for name in ("images", "masks"):
            shutil.copytree(studio / "data" / name / "val", studio / "data" / name / "train")
        done = run(*TRAIN, "-o", "shelf/one")
        assert done.code == 0, done.err
        shutil.copytree(shelf / "one", shelf / "two")
        (shelf / "two" / "report.html").unlink()
    return shelf


@pytest.mark.usefixtures("trained")
def test_runs_are_a_table_and_the_way_to_go_on(run: RunHere) -> None:
    done = run("runs", "shelf")
    assert done.code == 0
    head, *rows = done.out.splitlines()
    assert head.split() == ["run", "state", "iterations", "best", "mIoU", "at", "time", "variant", "data"]
    found = {row.split()[0]: row.split()[1:] for row in rows}
    assert found["one"][:2] == ["finished", "4/4"]
    assert found["two"][:2] == ["stopped", "4/4"]
    assert found["one"][-2:] == ["b0", "data"]
    assert done.err.splitlines() == ["next: segformer train --resume -o shelf/two"]


@pytest.mark.usefixtures("trained")
def test_runs_in_json_have_the_same_and_more(run: RunHere) -> None:
    found = run("runs", "shelf", "--json").json["results"]
    assert set(found) == {"folder", "runs", "resume"}
    assert found["resume"] == "segformer train --resume -o shelf/two"
    one = next(row for row in found["runs"] if row["name"] == "one")
    assert set(one) == {
        "name", "folder", "state", "iterations", "all_iterations", "best_miou", "best_iteration", "seconds", "variant",
        "data", "folds", "changed",
    }
    assert 0 <= one["best_miou"] <= 1
    assert one["best_iteration"] in (2, 4)


def test_no_runs_are_said_with_the_way_to_begin(run: RunHere, tmp_path: Path) -> None:
    done = run("runs", str(tmp_path))
    assert (done.code, done.out) == (0, f"no runs below {tmp_path}\n")
    assert done.err == "next: segformer train --variant b0 --iterations 20\n"
    assert run("runs", "nowhere").code == 1


def test_where_nothing_was_stopped_the_best_run_is_the_next_to_use(run: RunHere, trained: Path) -> None:
    done = run("runs", "shelf/one")
    assert done.err == "next: segformer predict INPUT -w shelf/one -o out/\n"


@pytest.mark.usefixtures("trained")
def test_a_run_done_again_is_the_same_to_the_bit(run: RunHere) -> None:
    before = run("reproduce", "shelf/one", "--dry-run")
    assert before.code == 0
    assert before.out.startswith("nothing differs: ")
    assert before.err == "next: segformer reproduce shelf/one\n"
    done = run("reproduce", "shelf/one", "-o", "again", "-q")
    assert (done.code, done.out) == (0, "again: the same weights to the bit, and the same scores\n")
    found = run("reproduce", "shelf/one", "-o", "again", "--json").json
    assert found["results"]["reproduced"] is True
    assert found["artifacts"] == ["again"]


def test_scores_that_differ_exit_3_with_what_differs(run: RunHere, trained: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(trained / "one", tmp_path / "other"))
    known = json.loads((other / "environment.json").read_text())
    (other / "environment.json").write_text(json.dumps({**known, "torch": "1.0", "gpu": "an old one"}))
    text = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(text.replace("seed: 0", "seed: 1"))
    done = run("reproduce", str(other), "-o", str(tmp_path / "new"), "-q")
    assert done.code == 3
    lines = done.out.splitlines()
    assert lines[0].split() == ["then", "now"]
    assert lines[1].split()[:3] == ["versions", "torch", "1.0"]
    assert lines[2].split()[:2] == ["machine", "gpu"]
    assert f"{tmp_path / 'new'}: other scores: they differ by up to 0." in lines[-1]
    assert "hint:  what differs is listed above: machine, versions" in done.err
    found = run("reproduce", str(other), "-o", str(tmp_path / "new"), "--json").json
    assert found["error"]["exit_code"] == 3
    assert found["results"]["reproduced"] is False
    assert [row["of"] for row in found["results"]["differences"]] == ["versions", "machine"]


def test_a_dry_run_writes_nothing_and_exits_0_whatever_differs(run: RunHere, trained: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(trained / "one", tmp_path / "other"))
    text = (other / "data.json").read_text()
    (other / "data.json").write_text(text.replace('"images": 7', '"images": 8'))
    done = run("reproduce", str(other), "--dry-run", "--json")
    results = done.json["results"]
    assert done.code == 0
    assert {row["what"] for row in results["differences"]} == {"train: images", "val: images"}
    assert results["reproduction"] is None
    assert results["reproduced"] is None
    assert {path.name for path in tmp_path.iterdir()} == {"other"}


def test_both_pages_of_help_end_with_examples(segformer_in: Callable[[Path], Run], tmp_path: Path) -> None:
    for command in ("runs", "reproduce"):
        page = segformer_in(tmp_path)(command, "--help").stdout
        examples = page.partition("Examples:")[2].strip().splitlines()
        assert 2 <= len(examples) <= 3
