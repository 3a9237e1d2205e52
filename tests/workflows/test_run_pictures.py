"""The sheets of what a network sees and says: right pictures, right colours, in the right places."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.config import TrainConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.sample import write_sample
from segformer_cli.data.transforms import normalise
from segformer_cli.engine.inference import Segmenter
from segformer_cli.images import Picture
from segformer_cli.model.checkpoint import ModelConfig, network_from
from segformer_cli.workflows import training
from segformer_cli.workflows.run_pictures import (
    CAPTION,
    GAP,
    HEAD,
    KEPT,
    MARGIN,
    NAMED,
    SIDE,
    TITLES,
    Meaning,
    Panels,
    sheet,
    write_inputs,
    write_validation,
)
from segformer_cli.workflows.scorecard import Evaluation
from tests.conftest import RandomCheckpoint

NETWORK = ModelConfig(variant="b0", class_names=("road", "sky"), palette=((200, 0, 0), (0, 0, 200)))
SCORES = Evaluation(0.5, 0.5, 0.5, (), images=1, confusion=np.zeros((2, 2), np.int64), protocol="whole")
TOP = HEAD + TITLES + CAPTION


def panel(picture: Picture, row_top: int, column: int, size: tuple[int, int] = (SIDE, SIDE)) -> Picture:
    left = MARGIN + column * (SIDE + GAP)
    return picture[row_top : row_top + size[0], left : left + size[1]]


def test_the_network_sees_crops_in_their_own_colours_beside_their_targets(tmp_path: Path) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    target = np.zeros((SIDE, SIDE), np.uint8)
    target[:, 100:] = 1
    target[200:] = 255
    images = torch.from_numpy(normalise(crop, NETWORK.mean, NETWORK.std))[None]
    picture = write_inputs(tmp_path, images, torch.from_numpy(target)[None], NETWORK, 255)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "previews" / "inputs.png")), picture)
    assert np.array_equal(panel(picture, TOP, 0), crop)
    coloured = panel(picture, TOP, 1)
    assert (coloured[0, 0] == (200, 0, 0)).all()
    assert (coloured[0, 100] == (0, 0, 200)).all()
    assert (coloured[250, 50] == 0).all()


def test_crops_lie_two_by_two_and_no_more_than_eight_are_shown(tmp_path: Path) -> None:
    heights = []
    for count in (1, 2, 3, 8, 16):
        images, targets = torch.zeros(count, 3, 32, 64), torch.zeros(count, 32, 64, dtype=torch.int32)
        heights.append(write_inputs(tmp_path, images, targets, NETWORK, 255).shape)
    row = CAPTION + SIDE // 2
    assert [shape[0] - heights[0][0] for shape in heights] == [0, 0, row, 3 * row, 3 * row]
    assert heights[0][1] == 2 * MARGIN + 2 * SIDE + GAP
    assert heights[1][1] == 2 * heights[0][1] - 2 * MARGIN + 2 * GAP


def test_other_bands_than_three_are_shown_in_grey(tmp_path: Path) -> None:
    network = ModelConfig(
        variant="b0", class_names=("a",), palette=((9, 9, 9),), in_channels=1, mean=(100.0,), std=(2.0,)
    )
    picture = write_inputs(tmp_path, torch.full((1, 1, 8, 8), 5.0), torch.zeros(1, 8, 8), network, 255)
    assert (panel(picture, TOP, 0) == 110).all()


def test_a_validation_shows_picture_target_mask_and_errors(
    tmp_path: Path, lot: str, random_checkpoint: RandomCheckpoint
) -> None:
    split = open_data(lot, "val").first(1)
    segmenter = Segmenter.of(network_from(random_checkpoint("b0")), torch.device("cpu"))
    picture = write_validation(tmp_path, split, segmenter, SCORES, 30, 20)
    image, target = split.read(split.pairs[0])
    mask = segmenter.mask(image)
    scale = SIDE / 56
    size = round(40 * scale), SIDE
    for y, x in ((3, 5), (20, 30), (35, 50)):
        at = round((y + 0.5) * scale), round((x + 0.5) * scale)
        shown = [panel(picture, TOP, column, size)[at] for column in range(4)]
        assert (shown[0] == image[y, x]).all()
        assert (shown[1] == (split.palette[target[y, x]] if target[y, x] != 255 else (0, 0, 0))).all()
        assert (shown[2] == split.palette[mask[y, x]]).all()
        red = shown[3][0] > 2 * shown[3][1].astype(int)
        assert bool(red) == (target[y, x] not in (255, mask[y, x]))


def test_the_latest_sheets_and_that_of_the_best_are_kept(
    tmp_path: Path, lot: str, random_checkpoint: RandomCheckpoint
) -> None:
    split = open_data(lot, "val").first(1)
    segmenter = Segmenter.of(network_from(random_checkpoint("b0")), torch.device("cpu"))
    for iteration in range(10, 90, 10):
        write_validation(tmp_path, split, segmenter, SCORES, iteration, best_iteration=min(iteration, 20))
    assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == [
        f"iteration_{iteration}.png" for iteration in (20, 40, 50, 60, 70, 80)
    ]


@pytest.mark.parametrize("size", [(7, 9), (700, 900)])
def test_colours_of_ids_are_never_mixed_however_they_are_sized(size: tuple[int, int]) -> None:
    colours = ((250, 0, 0), (0, 250, 0), (0, 0, 250))
    ids = 2 * np.random.default_rng(0).integers(0, 2, size).astype(np.uint8)
    shown = Meaning(("a", "b", "c"), colours, 255).colours(ids)
    assert max(shown.shape) == SIDE
    assert set(map(tuple, shown.reshape(-1, 3).tolist())) == {colours[0], colours[2]}


def test_the_legend_names_what_is_there_the_most_frequent_first() -> None:
    meaning = Meaning(("road", "sky", "car"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), 255)
    assert meaning.legend([np.array([[2, 2, 0]], np.uint8), np.array([[2, 255]], np.uint8)]) == [
        ("car", (3, 3, 3)), ("road", (1, 1, 1)), ("ignored", (0, 0, 0))
    ]
    many = Meaning([f"class {n}" for n in range(300)], [(n % 256, 0, 0) for n in range(300)], 65535)
    shown = many.legend([np.arange(300, dtype=np.uint16)[None]])
    assert len(shown) == NAMED + 1
    assert shown[-1][0] == f"and {300 - NAMED} more"


@pytest.mark.parametrize("name", ["a" * 500, "日本語" * 200, ""])
def test_names_of_any_length_stay_within_the_sheet(name: str) -> None:
    grey = np.full((10, SIDE, 3), 128, np.uint8)
    entries = [(f"{name}{number}", (number, 0, 0)) for number in range(6)]
    picture = sheet(name, ("one", "two"), [Panels(name, (grey, grey))], entries)
    assert (picture[:, -MARGIN // 2 :] == 255).all()
    assert (picture[TOP : TOP + 10, MARGIN : MARGIN + SIDE] == 128).all()


def test_a_legend_breaks_into_lines_and_none_lies_over_another() -> None:
    grey = np.full((10, SIDE, 3), 128, np.uint8)
    groups = [Panels("p", (grey,))]
    one, two = (
        sheet("h", ("t",), groups, [("word " * 6, (250, 0, 0))] * count).shape[0] for count in (1, 3)
    )
    assert two - one == 2 * 24


def test_a_run_that_was_killed_and_went_on_leaves_the_pictures_of_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample(tmp_path / "scenes", {"train": 3, "val": 2}, (64, 96))
    config = TrainConfig(
        data=f"cityscapes:{tmp_path / 'scenes'}", weights="none", iterations=6, batch_size=2, crop_size=(32, 32),
        workers=0, lr=1e-3, warmup=1, eval_every=1, checkpoint_every=2, log_every=1, device="cpu",
    )
    training.train(dataclasses.replace(config, out=str(tmp_path / "whole")))
    step = training.Trainer.step

    def failing(self: training.Trainer, *batch: torch.Tensor) -> object:
        if self.iteration == 3:
            raise KeyError("a crash")
        return step(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(training.Trainer, "step", failing)
        with pytest.raises(KeyError):
            training.train(dataclasses.replace(config, out=str(tmp_path / "run")))
    training.train(TrainConfig(resume=True, out=str(tmp_path / "run")))
    files = {
        name: {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.png")}
        for name in ("run", "whole")
    }
    assert files["run"] == files["whole"]
    names = {path.as_posix() for path in files["run"]}
    assert {"curves.png", "previews/inputs.png", "previews/iteration_6.png"} <= names
    assert KEPT + 2 <= len(names) <= KEPT + 3
