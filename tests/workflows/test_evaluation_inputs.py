"""What is scored: splits without labels, masks made elsewhere, classes that differ, weights that are no good."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.config import EvalConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.engine.inference import Segmenter
from segformer_cli.errors import DataError, ImageError, SegFormerError, UsageError, WeightsError
from segformer_cli.images import read_image, read_mask
from segformer_cli.model.checkpoint import load_checkpoint, network_from, save_checkpoint
from segformer_cli.workflows.evaluation import evaluate, plan
from segformer_cli.workflows.results import RESULT
from tests.conftest import RandomCheckpoint
from tests.tiny_data import write_folder
from tests.workflows.conftest import CITY, Weights, masks_of, scored


def test_a_folder_without_splits_is_scored_on_its_fifth_and_that_is_said_or_whole(tmp_path: Path) -> None:
    targets = {f"p{index:02}": np.full((8, 8), index % 5, np.uint8) for index in range(30)}
    data = write_folder(tmp_path / "d", targets, split="")
    asked = {"predictions": str(data / "masks"), "data": str(data)}
    fifth = scored(**asked)
    assert fifth.warnings[1] == (
        f"{fifth.images} of 30 images, chosen by a hash of their names, are val; --split all takes all"
    )
    assert 0 < fifth.images < 30
    whole = scored(**asked, split="all")
    assert (whole.images, whole.warnings) == (30, ())
    assert "30 images of d all" in whole.protocol


# Data without labels, or nothing but ignored pixels.


def test_a_split_without_labels_says_so(streets: str, weights_of: Weights) -> None:
    with pytest.raises(DataError, match="split 'test' of cityscapes has no labels to score against") as caught:
        scored(weights=weights_of(class_names=CITY), data=streets, split="test")
    assert "--submission FOLDER" in str(caught.value.hint)
    with pytest.raises(DataError, match="has no labels to fit a temperature to"):
        scored(weights="absent", data=streets, split="test", submission="out", fit_temperature=True)


def test_a_split_without_labels_gives_masks_for_the_test_server_and_no_score(
    streets: str, tmp_path: Path, weights_of: Weights
) -> None:
    path = weights_of(class_names=CITY)
    found = scored(weights=path, data=streets, split="test", submission=str(tmp_path / "sub"), boundary=True)
    assert math.isnan(found.miou)
    assert found.miou_ci95 is None
    assert found.warnings == ("split 'test' of cityscapes has no labels: masks were written, there is no score",)
    assert not found.labelled
    assert found.artifacts == (str(tmp_path / "sub"),)
    split = open_data(streets, "test")
    segmenter = Segmenter.of(network_from(load_checkpoint(path)), torch.device("cpu"))
    ids = class_set("cityscapes").file_ids()
    assert len(list((tmp_path / "sub").iterdir())) == 2
    for pair in split.pairs:
        written = read_mask(tmp_path / "sub" / f"{pair.key}.png")
        mask = segmenter.mask(read_image(pair.image))
        assert np.array_equal(written, np.vectorize(ids.get)(mask))


def test_masks_are_written_beside_a_score_too(streets: str, tmp_path: Path, weights_of: Weights) -> None:
    path = weights_of(class_names=CITY)
    found = scored(weights=path, data=streets, submission=str(tmp_path / "sub"))
    assert found.miou == scored(weights=path, data=streets).miou
    again = scored(predictions=str(tmp_path / "sub"), data=streets, prediction_ids="files")
    assert np.array_equal(again.confusion, found.confusion)
    with pytest.raises(SegFormerError, match="exists already"):
        scored(weights="absent", data=streets, submission=str(tmp_path / "sub"))


def test_a_split_that_is_not_there_or_holds_nothing_is_an_expected_error(tmp_path: Path, streets: str) -> None:
    with pytest.raises(DataError, match="has no split 'vall'") as caught:
        scored(weights="absent", data=streets, split="vall")
    assert caught.value.hint == "did you mean val?"
    for folder in ("images", "masks"):
        (tmp_path / "own" / folder / "val").mkdir(parents=True)
    with pytest.raises(DataError, match="no images found"):
        scored(weights="absent", data=str(tmp_path / "own"))


def test_where_every_pixel_is_ignored_no_score_is_defined_and_that_is_said(
    tmp_path: Path, weights_of: Weights
) -> None:
    nothing = {f"p{index}": np.full((40, 32), 255, np.uint8) for index in range(2)}
    data = str(write_folder(tmp_path / "d", nothing))
    path = weights_of()
    found = scored(
        weights=path, data=data, boundary=True, object_sizes=True, calibration=True, dialect=("all",),
        group=("x=thing 0",), out=str(tmp_path / "out"), report=str(tmp_path / "r.html"),
    )
    assert all(map(math.isnan, (found.miou, found.macc, found.aacc, found.fwiou, found.mdice)))
    assert all(math.isnan(row.iou) and row.pixels == 0 for row in found.per_class)
    assert found.warnings[0] == "every pixel is ignored: no score is defined"
    assert json.loads((tmp_path / "out" / RESULT).read_text())["results"]["miou"] is None
    assert all(math.isnan(row.miou) for row in found.dialects)
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "every pixel is ignored" in page
    assert "<table" not in page
    with pytest.raises(DataError, match="no labelled pixel"):
        scored(weights=path, data=data, fit_temperature=True)


# Masks made elsewhere.


def test_masks_of_predict_score_as_the_network_does(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    path = weights_of()
    own = scored(weights=path, data=lot, boundary=True, object_sizes=True, dialect=("all",))
    masks = masks_of(path, lot, tmp_path / "masks")
    found = scored(predictions=masks, data=lot, boundary=True, object_sizes=True, dialect=("all",))
    assert found.protocol == (
        "7 images of lot val, masks of another tool, taken as they are; counted at label size, classes in neither map "
        "left out of the mean"
    )
    same = {"protocol": "", "seconds": 0.0, "settings": {}, "device": None, "precision": None}
    ours, theirs = (dataclasses.replace(each, **same).to_json() for each in (own, found))
    assert repr(ours) == repr(theirs)
    assert own.warnings == found.warnings


def test_pixels_of_no_class_count_as_wrong_and_are_told(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    path = weights_of()
    masks = Path(masks_of(path, lot, tmp_path / "masks"))
    before = scored(predictions=str(masks), data=lot, resamples=0)
    target = open_data(lot, "val").read_target(open_data(lot, "val").pairs[0])
    Image.fromarray(np.full(target.shape, 77, np.uint8)).save(masks / "p0.png")
    found = scored(predictions=str(masks), data=lot, resamples=0, boundary=True, object_sizes=True, dialect=("all",))
    lost = np.count_nonzero(target != 255)
    assert sum(found.none_of_them) == lost
    assert found.confusion.sum() + lost == before.confusion.sum()
    assert [row.pixels for row in found.per_class] == [row.pixels for row in before.per_class]
    assert found.aacc < before.aacc
    assert found.warnings == (f"{lost} labelled pixels were predicted as no class of the data; they count as wrong",)
    assert found.to_json()["none_of_them"] == list(found.none_of_them)
    assert "none_of_them" not in before.to_json()


def test_masks_are_found_before_any_is_scored(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    masks = Path(masks_of(weights_of(), lot, tmp_path / "masks"))
    (masks / "p3.png").unlink()
    with pytest.raises(DataError, match=r"no mask found for 1 of 7 images \(first: p3\)"):
        scored(predictions=str(masks), data=lot, out=str(tmp_path / "out"))
    few = scored(predictions=str(masks), data=lot, limit=3, out=str(tmp_path / "few"), submission=str(tmp_path / "s"))
    assert few.images == 3
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["p0.png", "p1.png", "p2.png"]
    shutil.copy(masks / "p0.png", masks / "p3.png")
    with pytest.raises(DataError, match=r"p3\.png is 40 x 56, its target 64 x 64"):
        scored(predictions=str(masks), data=lot, out=str(tmp_path / "out"))
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(masks / "p3.png")
    with pytest.raises(ImageError, match="a mask of class ids is one channel"):
        scored(predictions=str(masks), data=lot, out=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": "sample"}, {"protocol": "native"}, {"multi_scale": True}, {"scales": (0.5,)}, {"flip": True},
        {"by_name": True}, {"alias": ("a=b",)}, {"size": "64"}, {"window": (64, 64)}, {"stride": (64, 64)},
        {"calibration": True}, {"fit_temperature": True},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_about_a_network_is_not_for_masks_that_are_made_already(lot: str, fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is about a network, and --predictions scores masks"):
        scored(predictions="masks", data=lot, **fields)


def test_masks_for_data_without_labels_are_not_scored(streets: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no labels to score against"):
        scored(predictions=str(tmp_path), data=streets, split="test", submission=str(tmp_path / "sub"))


# Whose classes.


def test_weights_of_other_classes_are_not_scored(streets: str, tmp_path: Path, weights_of: Weights) -> None:
    path = weights_of(class_names=tuple(f"thing {index}" for index in range(11)))
    with pytest.raises(DataError, match="the weights know 11 classes") as caught:
        scored(weights=path, data=streets)
    assert "class 0: 'thing 0' in the weights, 'road' in the data" in str(caught.value.where)


def test_without_weights_those_of_the_data_are_taken_or_asked_for(streets: str, tmp_path: Path) -> None:
    assert plan(EvalConfig()) == "would score sample on 8 images of sample, split val"
    assert plan(EvalConfig(data=streets)) == f"would score b0-cityscapes on 3 images of {streets}, split val"
    for run in (evaluate, plan):
        with pytest.raises(UsageError, match="no weights are named") as caught:
            run(EvalConfig(data=f"folder:{tmp_path}"))  # type: ignore[operator]
        assert caught.value.hint == "add -w WEIGHTS"


def test_by_name_only_classes_that_both_know_are_counted(streets: str, weights_of: Weights) -> None:
    names = ("Sky", "zebra", "ROAD", "autobus")
    path = weights_of(class_names=names)
    found = scored(weights=path, data=streets, by_name=True)
    said = str(found.class_match)
    assert said.startswith("2 classes matched by name; not counted, unknown to the weights: sidewalk, ")
    assert said.endswith("; always wrong, unknown to the data: zebra, autobus")
    assert found.protocol.endswith(", only classes counted that weights and data both know")
    counted = {row.name: row.pixels for row in found.per_class if row.pixels}
    assert set(counted) == {"road", "sky"}
    assert sum(found.none_of_them) > 0
    assert found.confusion.sum() + sum(found.none_of_them) == sum(counted.values())
    assert found.miou == pytest.approx(np.mean([row.iou for row in found.per_class if row.name in counted]))
    more = scored(weights=path, data=streets, alias=("autobus=bus",), calibration=True)
    assert str(more.class_match).startswith("3 classes matched by name (autobus = bus)")
    assert any(row.name == "bus" and row.pixels for row in more.per_class)


def test_by_name_dialects_that_count_absent_classes_are_said_to_mislead(streets: str, weights_of: Weights) -> None:
    path = weights_of(class_names=("Sky", "zebra", "ROAD"))
    (warning,) = [text for text in scored(weights=path, data=streets, by_name=True, dialect=("all",)).warnings
                  if "flatter" in text]
    assert warning == (
        "these readings flatter what was matched by name: smp and paddle count each of the 17 classes unknown to the "
        "weights as 1; ultralytics leaves out the pixels predicted as no class of the data"
    )
    fair = scored(weights=path, data=streets, by_name=True, dialect=("mmseg", "cityscapes"))
    assert not any("flatter" in text for text in fair.warnings)
    whole = scored(weights=weights_of(class_names=CITY), data=streets, by_name=True, dialect=("all",))
    assert not any("flatter" in text for text in whole.warnings)


def test_by_name_the_same_classes_in_another_order_score_the_same(
    streets: str, tmp_path: Path, weights_of: Weights
) -> None:
    plain = weights_of(class_names=CITY)
    checkpoint = load_checkpoint(Path(plain))
    turned = {name: tensor.flip(0) if "classify" in name else tensor for name, tensor in checkpoint.tensors.items()}
    config = dataclasses.replace(checkpoint.config, class_names=CITY[::-1], palette=checkpoint.config.palette[::-1])
    backwards = dataclasses.replace(checkpoint, config=config, tensors=turned)
    path = str(save_checkpoint(tmp_path / "turned.safetensors", backwards))
    found = scored(weights=path, data=streets, by_name=True)
    assert np.array_equal(found.confusion, scored(weights=plain, data=streets).confusion)
    assert found.class_match == "19 classes matched by name"


# Weights that are no good.


def test_weights_that_hold_no_numbers_are_refused(
    lot: str, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    checkpoint = random_checkpoint("b0")
    checkpoint.tensors["head.classify.bias"][1] = math.nan
    path = save_checkpoint(tmp_path / "nan.safetensors", checkpoint)
    with pytest.raises(WeightsError, match=r"head\.classify\.bias holds values that are no numbers"):
        scored(weights=str(path), data=lot)


def test_logits_that_are_no_numbers_leave_nothing_behind(
    lot: str, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    checkpoint = random_checkpoint("b0")
    checkpoint.tensors["encoder.stages.0.embed.conv.weight"].fill_(3e37)
    path = save_checkpoint(tmp_path / "huge.safetensors", checkpoint)
    with pytest.raises(WeightsError, match="logits are not finite") as caught:
        scored(weights=str(path), data=lot, out=str(tmp_path / "out"), report=str(tmp_path / "r.html"))
    assert str(caught.value.where).endswith("p0.png")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "r.html").exists()
