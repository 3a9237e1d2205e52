"""What docs/robustness.md tells people to type works, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import segformer_cli as sf
from segformer_cli.app import main

PAGE = (Path(__file__).parents[2] / "docs" / "robustness.md").read_text(encoding="utf-8")


def test_the_page_names_every_key_of_the_results(tmp_path: Path) -> None:
    config = sf.RobustConfig(
        weights="sample", data="sample", limit=2, size="64", corruptions=("fog",), calibration=True,
        cd_reference="dlv3plus-mbv2", resolution_sweep=True, sweep_sizes=(64,), conditions=r"(\d)$",
        out=str(tmp_path / "out"),
    )
    found = sf.eval_robust(config).to_json()
    named = set(re.findall(r"`(\w+)`", PAGE.partition("| key of `results`")[2]))
    keys = {*found, *found["grid"][0], *found["per_corruption"][0], *found["per_class"][0], *found["resolutions"][0]}
    assert not keys - named


def test_every_command_of_the_page_runs_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) >= 7
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, (line, capsys.readouterr())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corrupted", "robust", "robust.html", "runs"]


def test_the_python_of_the_page_runs() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/robustness.md", "exec"), {})
