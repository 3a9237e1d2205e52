"""What docs/train.md tells people to type works, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.app import main
from segformer_cli.data.scenes.scene import draw_scene
from segformer_cli.settings import presets

PAGE = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Someone's pictures: of streets, and of what is road in them against the rest."""
    place = tmp_path_factory.mktemp("train")
    for number in range(6):
        image, labels = draw_scene(number, (64, 96))
        road = np.where(labels == 7, 255, 0).astype(np.uint8)
        for name, mask in (("my-images", np.where(labels == 7, 1, 0).astype(np.uint8)), ("cracks", road)):
            for part, content in (("images", image), ("masks", mask)):
                (place / name / part).mkdir(parents=True, exist_ok=True)
                Image.fromarray(content).save(place / name / part / f"p{number}.png")
    (place / "my-images" / "classes.txt").write_text("rest\nroad\n", encoding="utf-8")
    (place / "cracks" / "classes.txt").write_text("crack\n", encoding="utf-8")
    return place


def test_every_command_of_the_page_runs_in_its_order(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 7
    for line in lines:
        assert main([*shlex.split(line)[1:], *_small(line)]) == 0, f"{line}\n{capsys.readouterr().err}"
    assert (folder / "first" / "report.html").is_file()
    assert len(list((folder / "out").rglob("*.png"))) == 12
    assert "crack" in capsys.readouterr().out


def _small(line: str) -> list[str]:
    """Crops of a size that a test has time for."""
    return ["--crop-size", "32", "-b", "2", "-j", "0", "--device", "cpu"] if "segformer train" in line else []


def test_the_page_names_every_preset_that_a_user_would_name() -> None:
    assert set(presets()) - {"sample"} == set(re.findall(r"`([a-z0-9-]+)`", _table("preset"))) & set(presets())


def _table(first: str) -> str:
    """The table whose first column bears this name."""
    (found,) = re.findall(rf"^\| {first} \|.*?\n\n", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(found)
