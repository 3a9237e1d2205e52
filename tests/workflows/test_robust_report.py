"""The HTML report of a robustness run: which parts it has, and which masks it shows."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from segformer_cli.config import RobustConfig
from segformer_cli.engine.corrupted import CorruptedMask
from segformer_cli.robustness.protocols import Cell, choose_robust_protocol
from segformer_cli.workflows.robust_report import Shown
from segformer_cli.workflows.robust_result import RobustResult
from segformer_cli.workflows.robustness import eval_robust

PICTURES = sorted(Path("sample_data").rglob("val/**/*_leftImg8bit.png"))


def reported(folder: Path, **keys: Any) -> tuple[RobustResult, str]:
    """A small run, and the text of its report."""
    given = {"weights": "sample", "data": "sample", "limit": 2, "size": "64", "workers": 0, "resamples": 100,
             "corruptions": ("fog", "frost"), "severities": (1, 4), **keys}
    report = folder / "report.html"
    found = eval_robust(RobustConfig(out=str(folder / "out"), report=str(report), **given))
    assert str(report) in found.artifacts
    return found, report.read_text("utf-8")


def titles(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>([^<]*)</h2>", page)


def test_a_labelled_run_has_grid_curves_table_5_classes_and_a_picture(tmp_path: Path) -> None:
    found, page = reported(tmp_path, resolution_sweep=True, sweep_sizes=(64,), conditions="sample", calibration=True)
    shown = titles(page)
    for title in ("Every corruption at every severity", "How it falls with severity", "Beside Table 5",
                  "Classes, those that lose most first", "Clean, at other sizes", "Clean, by condition",
                  "One picture under each corruption: sample_000000_000019", "How it was run"):
        assert title in shown, title
    assert "sample under corruptions, on sample val" in page
    assert f"{100 * found.found.mean:.1f}" in page and "SegFormer-B5" in page
    # Of severities 1 and 4 the one nearest to 3, and the clean picture.
    assert re.findall(r"severity (\d), mIoU", page) == ["4", "4"]
    fog = next(cell for cell in found.grid if (cell.corruption, cell.severity) == ("fog", 4))
    assert f"severity 4, mIoU {100 * fog.miou:.1f} %" in page
    assert "textures drawn by segformer" in page


def test_without_labels_the_report_is_of_agreement(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(PICTURES[0], folder / "a.png")
    found, page = reported(tmp_path, data=str(folder))
    assert not {"Beside Table 5", "Classes, those that lose most first"} & set(titles(page))
    assert "stability under corruptions" in page and "mIoU" not in page
    agreement = next(cell.agreement for cell in found.grid if (cell.corruption, cell.severity) == ("fog", 4))
    assert f"severity 4, {100 * agreement:.0f} % keep their class" in page


def test_clean_pictures_alone_have_neither_grid_nor_gallery(tmp_path: Path) -> None:
    _, page = reported(tmp_path, protocol="none", corruptions=None, severities=None)
    assert "clean mIoU" in page
    assert titles(page)[-1] == "How it was run"
    assert not {"Every corruption at every severity", "How it falls with severity", "Beside Table 5"} & {*titles(page)}
    assert "One picture under each corruption" not in page


def test_where_the_first_picture_failed_the_next_is_shown(tmp_path: Path) -> None:
    shutil.copytree("sample_data", tmp_path / "scenes")
    first = sorted((tmp_path / "scenes").glob("leftImg8bit/val/*/*.png"))[0]
    first.write_bytes(first.read_bytes()[:1000])
    _, page = reported(tmp_path, data=f"cityscapes:{tmp_path / 'scenes'}", limit=None, corruptions=("fog",))
    assert "One picture under each corruption: sample_000001_000019" in titles(page)
    assert first.name in page


def test_the_masks_kept_are_those_of_the_first_picture_at_the_severity_nearest_to_three() -> None:
    shown = Shown(choose_robust_protocol(corruptions=["fog", "snow"], severities=[1, 2, 5]))
    assert shown.cells == (Cell("fog", 2), Cell("snow", 2))
    for index in (0, 1):
        for cell in (None, Cell("fog", 1), Cell("fog", 2), Cell("snow", 2)):
            mask = np.full((1, 1), 10 * index + (cell.severity if cell else 0), np.uint8)
            shown.take(CorruptedMask(index, cell, mask, mask, mask))
    assert {cell: int(mask[0, 0]) for cell, mask in shown.masks.items()} == {
        None: 0, Cell("fog", 2): 2, Cell("snow", 2): 2
    }
