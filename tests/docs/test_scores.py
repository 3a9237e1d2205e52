"""What docs/scores.md tells people to type works, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import segformer_cli as sf
from segformer_cli.app import main

PAGE = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")


def test_the_page_names_every_key_of_the_results(tmp_path: Path) -> None:
    config = sf.EvalConfig(
        weights="sample", limit=2, boundary=True, object_sizes=True, calibration=True, fit_temperature=True,
        dialect=("all",), out=str(tmp_path / "w.safetensors"),
    )
    found = sf.evaluate(config).to_json()
    table = PAGE.split("| key of `results`")[1]
    named = set(re.findall(r"`(\w+)`", table))
    keys = {*found, *found["per_class"][0], *found["groups"][0], *found["dialects"][0], *found["means"]}
    assert not {*keys, *found["calibration"], *found["temperature"]} - named


def test_the_page_names_every_key_of_a_comparison_and_no_other(tmp_path: Path) -> None:
    for name, limit in (("eval", None), ("eval-robust", "fog")):
        more = ["--set", f"corruptions=[{limit}]", "--set", "severities=[1]"] if limit else []
        asked = [name, "-w", "sample", "--size", "64", "--limit", "2", "-o", str(tmp_path / name), *more]
        assert main(asked) == 0
    found = {
        name: sf.compare_results(sf.CompareConfig(a=str(tmp_path / name), b=str(tmp_path / name))).to_json()
        for name in ("eval", "eval-robust")
    }
    table = PAGE.split("| key of `results`")[2]
    named = {key for line in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == {*found["eval"], *found["eval-robust"]}
    assert set(found["eval-robust"]) - set(found["eval"]) == {"per_corruption"}


def test_every_command_of_the_page_runs_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) >= 14
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calibrated.safetensors", "for-the-server", "masks", "report.html", "runs", "scores"
    ]
