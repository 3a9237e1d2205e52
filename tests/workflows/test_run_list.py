"""Runs as a list: what their small files say, in whatever state they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segformer_cli.errors import SegFormerError
from segformer_cli.workflows.claims import claimed
from segformer_cli.workflows.run_list import newest_stopped, runs_below, steps, validations


def write_run(
    folder: Path, *, changed: float = 0.0, state: bool = True, finished: bool = False, mious: tuple[float, ...] = ()
) -> Path:
    """A run of 40 iterations with a log row at every tenth of the first 20, and a validation for each mIoU."""
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("variant: b2\ndata: cityscapes:/data/city\niterations: 40\n")
    (folder / "command.txt").write_text("segformer train\n")
    rows = [{"iteration": 10 * n, "loss": 1.0, "lr": 0.1, "elapsed_s": 5.0 * n} for n in (1, 2)]
    rows.append({"iteration": 20, "note": "memory is not enough"})      # type: ignore[dict-item]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if mious:
        lines = [f"{10 * n},{miou},0.5" for n, miou in enumerate(mious, 1)]
        (folder / "metrics.csv").write_text("\n".join(["iteration,miou,macc", *lines, ""]))
    if state:
        (folder / "checkpoints" / "state.pt").write_bytes(b"not read")
    if finished:
        (folder / "report.html").write_text("report")
    for path in folder.rglob("*"):
        os.utime(path, (1e9 + changed, 1e9 + changed))
    return folder


def test_a_run_says_how_far_it_came_and_what_it_reached(tmp_path: Path) -> None:
    write_run(tmp_path / "one", finished=True, mious=(0.25, 0.5, 0.5, float("nan")))
    (run,) = runs_below(tmp_path)
    assert (run.name, run.folder) == ("one", str(tmp_path / "one"))
    assert (run.state, run.iterations, run.all_iterations) == ("finished", 30, 40)
    assert (run.best_miou, run.best_iteration) == (0.5, 20)
    assert run.seconds == 10.0
    assert (run.variant, run.data) == ("b2", "cityscapes:/data/city")
    assert run.changed.startswith("2001-09-")


def test_the_one_that_changed_last_is_first_and_the_newest_that_stopped_can_go_on(tmp_path: Path) -> None:
    write_run(tmp_path / "old", changed=1)
    write_run(tmp_path / "stopped", changed=2)
    write_run(tmp_path / "finished", changed=3, finished=True)
    write_run(tmp_path / "failed", changed=4, state=False)
    write_run(tmp_path / "running", changed=5)
    with claimed(tmp_path / "running" / "checkpoints"):
        runs = runs_below(tmp_path)
    assert [(run.name, run.state) for run in runs] == [
        ("running", "running"), ("failed", "failed"), ("finished", "finished"), ("stopped", "stopped"),
        ("old", "stopped"),
    ]
    newest = newest_stopped(runs)
    assert newest is not None
    assert newest.name == "stopped"
    assert newest_stopped(runs[:3]) is None


def test_a_lock_that_a_killed_process_left_does_not_make_a_run_running(tmp_path: Path) -> None:
    write_run(tmp_path / "one")
    (tmp_path / "one" / "checkpoints" / "lock").touch()
    assert runs_below(tmp_path)[0].state == "stopped"


def test_runs_lie_up_to_three_levels_down_and_a_run_itself_is_a_list_of_one(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "b2" / f"seed_{number}", changed=number) for number in (1, 2)]
    write_run(tmp_path / "a" / "b" / "c" / "d")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "config.yaml").write_text("no run: nothing else is here")
    assert [run.name for run in runs_below(tmp_path)] == ["b2/seed_2", "b2/seed_1"]
    (alone,) = runs_below(runs[0])
    assert (alone.name, alone.folder) == ("seed_1", str(runs[0]))


def test_a_cross_validation_is_one_run_whose_folds_are_seen_where_it_is_named(tmp_path: Path) -> None:
    top = write_run(tmp_path / "five", changed=1)
    for name in ("log.jsonl", "config.yaml"):
        (top / name).unlink()
    (top / "config.yaml").write_text("variant: b0\ndata: x\niterations: 40\nfolds: 5\nfold: null\n")
    write_run(top / "fold_1", changed=3, finished=True, mious=(0.25, 0.5))
    write_run(top / "fold_2", changed=4, mious=(0.25,))
    (run,) = runs_below(tmp_path)
    assert (run.name, run.state, run.folds) == ("five", "stopped", 5)
    assert (run.iterations, run.all_iterations, run.seconds) == (40, 200, 20.0)
    assert (run.best_miou, run.best_iteration) == (0.375, None)
    found = runs_below(top)
    assert {run.name for run in found} == {"five", "fold_1", "fold_2"}
    assert next(run.best_iteration for run in found if run.name == "fold_1") == 20
    newest = newest_stopped(found)
    assert newest is not None
    assert newest.folder == str(top)


def test_rows_that_were_cut_off_are_not_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one", mious=(0.25,))
    with (run / "metrics.csv").open("a") as file:
        file.write("20,0.99,0.")
    with (run / "log.jsonl").open("a") as file:
        file.write('{"iteration": 39, "lo')
    assert [row["miou"] for row in validations(run)] == [0.25]
    (listed,) = runs_below(tmp_path)
    assert (listed.iterations, listed.best_miou) == (20, 0.25)


def test_a_run_without_scores_and_one_with_damaged_files_are_listed_too(tmp_path: Path) -> None:
    write_run(tmp_path / "new", state=False)
    (tmp_path / "new" / "log.jsonl").unlink()
    broken = write_run(tmp_path / "broken")
    (broken / "config.yaml").write_text("a: [\n")
    found = {run.name: run for run in runs_below(tmp_path)}
    assert (found["new"].iterations, found["new"].best_miou, found["new"].seconds) == (0, None, None)
    assert (found["broken"].variant, found["broken"].data, found["broken"].all_iterations) == (None, None, None)
    assert found["broken"].iterations == 20


def test_no_runs_are_no_error_but_a_folder_that_is_not_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert runs_below() == ()
    with pytest.raises(SegFormerError, match="there is no folder nowhere"):
        runs_below(Path("nowhere"))
    write_run(tmp_path / "runs" / "train" / "one")
    assert [run.folder for run in runs_below()] == [str(Path("runs/train/one"))]


def test_a_long_log_costs_no_more_than_its_end(tmp_path: Path) -> None:
    run = write_run(tmp_path / "one")
    row = {"iteration": 7, "loss": 1.0, "lr": 0.1, "seconds": 0.1, "wait_s": 0.1, "elapsed_s": 3.0}
    with (run / "log.jsonl").open("a") as file:
        file.write((json.dumps(row) + "\n") * 200_000)
        file.write(json.dumps({**row, "iteration": 38, "elapsed_s": 99.0}) + "\n")
    began = time.perf_counter()
    (listed,) = runs_below(tmp_path)
    assert (listed.iterations, listed.seconds) == (38, 99.0)
    assert time.perf_counter() - began < 1.0


def test_listing_loads_neither_torch_nor_numpy(tmp_path: Path) -> None:
    write_run(tmp_path / "one", mious=(0.5,))
    code = (
        "import sys; from segformer_cli.app import main; code = main(['runs', sys.argv[1], '--json']);"
        "heavy = {'torch', 'numpy', 'cv2', 'PIL'} & set(sys.modules); sys.exit(f'loaded: {heavy}' if heavy else code)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"]["runs"][0]["best_miou"] == 0.5


def test_the_steps_of_a_log_are_its_whole_rows_with_a_loss(tmp_path: Path) -> None:
    assert steps(tmp_path) == []
    rows = ({"iteration": 1, "loss": 0.5}, {"iteration": 1, "note": "in float32"}, {"iteration": 2, "loss": 0.25})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"iteration": 3, "lo')
    assert steps(tmp_path) == [rows[0], rows[2]]
