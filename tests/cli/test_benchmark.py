"""`segformer benchmark` as a user meets it."""

from __future__ import annotations

from tests.cli.conftest import RunHere

QUICK = ("--device", "cpu", "--set", "calls=3", "--set", "warm_up=0")


def test_a_row_for_each_and_what_it_stands_on(run: RunHere) -> None:
    done = run("benchmark", "--size", "64,32x96", "-b", "1,2", *QUICK)
    assert done.code == 0
    rows = [line for line in done.out.splitlines() if line.startswith("b0, torch fp32")]
    assert [line.split()[3:5] for line in rows] == [["64x64", "1"], ["64x64", "2"], ["32x96", "1"], ["32x96", "2"]]
    assert "b0 (b0): 3.75 M parameters, 150 classes; 64x64: " in done.out
    assert "1 threads, torch" in done.out


def test_sizes_by_commas_are_sizes_repeated(run: RunHere) -> None:
    once = run("benchmark", "--size", "64,96", "--json", *QUICK).json["results"]
    twice = run("benchmark", "--size", "64", "--size", "96", "--json", *QUICK).json["results"]
    assert [row["size_hw"] for row in once["rows"]] == [row["size_hw"] for row in twice["rows"]] == [[64, 64], [96, 96]]
    timing = once["rows"][0]["model_only"]
    assert timing["quartiles_ms"][0] <= timing["median_ms"] <= timing["quartiles_ms"][1]
    assert len(once["rows"][0]["end_to_end"]["calls_ms"]) == 3
    assert once["machine"]["torch"]


def test_weights_of_ones_own(run: RunHere) -> None:
    (row,) = run("benchmark", "-w", "a.safetensors", "--size", "64", "--json", *QUICK).json["results"]["rows"]
    assert (row["name"], row["num_classes"], row["runtime"]) == ("a.safetensors", 5, "torch")


def test_a_dry_run_says_what_and_measures_nothing(run: RunHere) -> None:
    done = run("benchmark", "--variant", "b0,b5", "--size", "1024x2048", "--dry-run")
    assert done.code == 0
    assert "would measure b0, b5 at 1024x2048, batch 1, on" in done.out


def test_a_variant_that_is_none_is_told_with_its_neighbours(run: RunHere) -> None:
    done = run("benchmark", "--variant", "b9")
    assert done.code == 2
    assert "b9" in done.err
    assert "b5" in done.err
