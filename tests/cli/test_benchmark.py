"""`segformer benchmark` as a user meets it."""

from __future__ import annotations

from tests.cli.conftest import RunHere

QUICK = ("--device", "cpu", "--set", "calls=3", "--set", "warm_up=0", "--set", "threads=1")


def test_a_row_for_each_and_what_it_stands_on(run: RunHere) -> None:
    done = run("benchmark", "--size", "64", "-b", "1,2", *QUICK)
    assert done.code == 0, done.err
    rows = [line for line in done.out.splitlines() if line.startswith("b0, torch fp32")]
    assert [line.split()[3:5] for line in rows] == [["64x64", "1"], ["64x64", "2"]]
    assert "b0, 150 classes, 3.75 M parameters; 64x64: " in done.out
    assert "cpu, 1 thread, torch" in done.out


def test_a_row_that_fails_is_told_with_exit_code_5(run: RunHere) -> None:
    done = run("benchmark", "-w", "a.safetensors", "--size", "64", "-b", "1,999999999", "--json", *QUICK)
    assert done.code == 5
    (row,), (failed,) = done.json["results"]["rows"], done.json["results"]["failed"]
    assert (row["name"], row["num_classes"], row["runtime"], row["size_hw"]) == ("a.safetensors", 5, "torch", [64, 64])
    timing = row["model_only"]
    assert timing["quartiles_ms"][0] <= timing["median_ms"] <= timing["quartiles_ms"][1]
    assert len(row["end_to_end"]["calls_ms"]) == 3
    assert "memory is not enough" in failed["error"]


def test_a_dry_run_says_what_and_measures_nothing(run: RunHere) -> None:
    once = run("benchmark", "--variant", "b0,b5", "--size", "64,1024x2048", "--dry-run")
    twice = run("benchmark", "--variant", "b0,b5", "--size", "64", "--size", "1024x2048", "--dry-run")
    assert once.code == twice.code == 0
    assert once.out == twice.out
    assert "would measure b0 at 64x64, batch 1; b0 at 1024x2048, batch 1; b5 at 64x64, batch 1; b5 at" in once.out


def test_a_variant_that_is_none_is_told_with_its_neighbours(run: RunHere) -> None:
    done = run("benchmark", "--variant", "b9")
    assert done.code == 2
    assert "b9" in done.err
    assert "b5" in done.err
