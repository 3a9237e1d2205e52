"""`data stats` and `data preview`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.config import PreviewConfig, StatsConfig
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.images import read_image
from segformer_cli.workflows.data_preview import preview_data
from segformer_cli.workflows.data_stats import data_stats
from tests.faulty_data import ids, put, sound


def test_shares_images_and_weights_are_those_of_the_masks(tmp_path: Path) -> None:
    put(sound(tmp_path) / "masks/train/t0.png", ids(0, 0, 0, 1))
    found = data_stats(StatsConfig(data=str(tmp_path)))
    pixels = 36 * np.array([36 + 16 + 16, 12 + 16 + 16, 16 + 16])
    assert found.classes.shares == pytest.approx(pixels / pixels.sum())
    assert found.images_showing.tolist() == [3, 3, 2]
    results = found.to_json()
    assert [each["pixels"] for each in results["classes"]] == pixels.tolist()  # type: ignore[attr-defined]
    weights = np.array([each["weight"] for each in results["classes"]])  # type: ignore[attr-defined]
    assert (weights * pixels / pixels.sum()).sum() == pytest.approx(1)


def test_mean_and_deviation_are_those_of_all_pixels_whatever_the_sizes(tmp_path: Path) -> None:
    lot = np.random.default_rng(0)
    sound(tmp_path)
    put(tmp_path / "images/train/t0.png", lot.integers(0, 60, (20, 30, 3)).astype(np.uint8))
    put(tmp_path / "masks/train/t0.png", ids(0, 1, 2, size_hw=(20, 30)))
    found = data_stats(StatsConfig(data=str(tmp_path), workers=2))
    pixels = np.concatenate([read_image(tmp_path / f"images/train/t{at}.png").reshape(-1, 3) for at in range(3)])
    assert found.values.mean == pytest.approx(pixels.mean(axis=0))
    assert found.values.std == pytest.approx(pixels.std(axis=0))
    assert found.values.sizes == {(36, 48): 2, (20, 30): 1}


def test_of_a_sample_all_masks_are_counted_and_few_pictures_measured(tmp_path: Path) -> None:
    found = data_stats(StatsConfig(data=str(sound(tmp_path)), limit=1))
    assert (found.values.measured, sum(found.values.sizes.values()), len(found.classes.pixels)) == (1, 1, 3)


def test_what_has_no_masks_has_no_numbers(tmp_path: Path) -> None:
    put(tmp_path / "leftImg8bit/val/a/a_0_leftImg8bit.png", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match="no masks to count"):
        data_stats(StatsConfig(data=str(tmp_path), split="val"))
    with pytest.raises(DataError, match="no masks to show"):
        preview_data(PreviewConfig(data=str(tmp_path), split="val", out=str(tmp_path / "a.png")))


def test_a_sheet_shows_every_picture_its_target_and_crops(tmp_path: Path) -> None:
    put(sound(tmp_path) / "masks/train/t0.png", ids(0, 0, 0, 255))
    steps: list[int] = []
    found = preview_data(
        PreviewConfig(data=str(tmp_path), out=str(tmp_path / "sheet.png")), lambda step: steps.append(step.done)
    )
    assert (found.keys, found.crop_size, steps) == (("t0", "t1", "t2"), (64, 64), [1, 2, 3])
    with Image.open(found.path) as sheet:
        width, height = sheet.size
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(width * height) or ()}
    assert width > 6 * 300 and height > 3 * 225
    assert {(230, 159, 0), (86, 180, 233), (0, 158, 115), (0, 0, 0)} <= colours


def test_the_same_seed_draws_the_same_sheet_and_another_one_another(tmp_path: Path) -> None:
    sound(tmp_path)
    sheets = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        out = tmp_path / f"{name}.png"
        preview_data(PreviewConfig(data=str(tmp_path), out=str(out), seed=seed, limit=1, crop_size=(32, 32)))
        sheets.append(out.read_bytes())
    assert sheets[0] == sheets[1] != sheets[2]


def test_a_sheet_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    (sound(tmp_path) / "sheet.png").write_bytes(b"mine")
    with pytest.raises(SegFormerError, match="exists already"):
        preview_data(PreviewConfig(data=str(tmp_path), out=str(tmp_path / "sheet.png")))
    with pytest.raises(UsageError, match="is no picture"):
        preview_data(PreviewConfig(data=str(tmp_path), out=str(tmp_path / "sheet.txt")))
