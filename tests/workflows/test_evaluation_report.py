"""The report of an evaluation as it is written: its size, and the tables that are wide."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tests.tiny_data import Array, write_folder
from tests.workflows.conftest import Weights, scored

K = 150
BIG = (300, 400)


def heaviest(lot: np.random.Generator) -> Array:
    """A map of noise, of which nothing can be packed away."""
    return lot.integers(0, K, BIG).astype(np.uint8)


def test_a_report_of_500_images_and_150_classes_is_under_5_megabytes_though_its_pictures_are_noise(
    tmp_path: Path,
) -> None:
    """The worst and the best four, which the report shows, are as heavy as thumbnails can be."""
    lot = np.random.default_rng(0)
    targets = {f"image {index:03d}": lot.integers(0, K, (8, 8)).astype(np.uint8) for index in range(492)}
    masks = {key: np.where(lot.random((8, 8)) < 0.5, target, 0).astype(np.uint8) for key, target in targets.items()}
    for index in range(4):
        targets |= {f"worst {index}": heaviest(lot), f"best {index}": heaviest(lot)}
        masks |= {f"worst {index}": heaviest(lot), f"best {index}": targets[f"best {index}"]}
    data = write_folder(tmp_path / "data", targets, [f"a class with the number {index}" for index in range(K)])
    predicted = write_folder(tmp_path / "masks", masks, None) / "masks" / "val"
    report = tmp_path / "report.html"

    scored(
        predictions=str(predicted), data=str(data), report=str(report), boundary=True, object_sizes=True,
        dialect=("all",),
    )

    page = report.read_text(encoding="utf-8")
    shown = re.findall(r'alt="mask of (\w+) \d"', page)
    assert sorted(shown) == ["best"] * 4 + ["worst"] * 4
    # Were the thumbnails lighter than this, the test would show nothing.
    assert 2_000_000 < report.stat().st_size < 5_000_000


def test_sentences_have_a_column_that_moves_below_the_numbers_and_many_columns_stand_close(
    lot: str, tmp_path: Path, weights_of: Weights
) -> None:
    report = tmp_path / "report.html"
    scored(
        weights=weights_of(), data=lot, report=str(report), boundary=True, object_sizes=True, dialect=("all",),
    )
    page = report.read_text(encoding="utf-8")
    boxes = re.findall(r'<div class="(box[^"]*)" role="group" aria-label="([^"]*)"', page)
    assert ("box wide", "Classes") in boxes
    assert ("box told", "What other tools make of this matrix") in boxes


def test_the_table_of_groups_counts_their_pixels_and_settings_are_yaml(
    lot: str, tmp_path: Path, weights_of: Weights
) -> None:
    report = tmp_path / "report.html"
    found = scored(
        weights=weights_of(), data=lot, report=str(report), resamples=0, boundary=True, group=("two=thing 0,thing 1",)
    )
    page = report.read_text(encoding="utf-8")
    groups = page.rpartition(">Groups<")[2].partition("</table>")[0]
    assert re.search(r"<th[^>]*>.*pixels", groups)
    assert re.sub(r"\D", "", groups.rpartition("<td")[2].partition(">")[2]) == str(found.groups[0].pixels)
    assert "<code>true</code>" in page
    assert "<code>True</code>" not in page
