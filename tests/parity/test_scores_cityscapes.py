"""cityscapesscripts' pixel-level evaluation and ours on the same PNG files: matrix, IoU, iIoU, class and category."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segformer_cli.classes import class_set
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.dialects import DIALECTS
from segformer_cli.metrics.instances import (
    AVERAGE_PIXELS,
    CATEGORIES,
    InstanceCounts,
    instance_counts,
    instance_scores,
)
from segformer_cli.metrics.scores import grouped, iou, scores
from tests.conftest import peer

CITYSCAPES = class_set("cityscapes")
NAMES, FILE_IDS = CITYSCAPES.class_names, CITYSCAPES.file_ids()
LABEL_OF_CLASS = np.array([FILE_IDS[index] for index in range(19)], np.uint8)
CLASS_OF_LABEL = np.array([(CITYSCAPES.id_map or {}).get(label, 255) for label in range(256)], np.uint8)
BUS, TRAIN = 28, 31
WITH_INSTANCES = [24, 25, 26, 27, 28, 29, 30, 31, 32, 33]

Picture = tuple[np.ndarray, np.ndarray, np.ndarray]
Evaluate = Callable[[list[Picture], Path], dict[str, Any]]


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    """Their evaluation of (labels, instances, predicted labels), by the files they read; leaves no trace of itself."""
    for variable in ("CITYSCAPES_DATASET", "CITYSCAPES_RESULTS", "CITYSCAPES_EXPORT_DIR"):
        monkeypatch.delenv(variable, raising=False)
    peer("cityscapesscripts")
    module = importlib.import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    if not hasattr(np, "in1d"):                     # they call it still; numpy 2.4 has left it out
        monkeypatch.setattr(np, "in1d", np.isin, raising=False)

    def run(pictures: list[Picture], folder: Path) -> dict[str, Any]:
        targets, masks = [], []
        for number, (labels, instances, predicted) in enumerate(pictures):
            stem = folder / f"town_{number:06d}_000019"
            targets.append(f"{stem}_gtFine_labelIds.png")
            masks.append(f"{stem}_leftImg8bit.png")
            for path, ids in ((targets[-1], labels), (masks[-1], predicted)):
                assert cv2.imwrite(path, ids)
            assert cv2.imwrite(f"{stem}_gtFine_instanceIds.png", instances)
        settings = copy.copy(module.args)           # one object for the whole process: they write into it
        settings.quiet, settings.JSONOutput, settings.evalLabels, settings.evalInstLevelScore = True, False, [], True
        result: dict[str, Any] = module.evaluateImgLists(masks, targets, settings)
        return result

    return run


def picture(seed: int, size_hw: tuple[int, int] = (96, 160), *, strangers: bool = False) -> Picture:
    """Blocks of every label but trains; cars and people as instances and in groups; a prediction right for two
    thirds, with trains but no bus; with `strangers` some of it is labels that the evaluation ignores."""
    generator = np.random.default_rng(seed)
    grid = size_hw[0] // 8, size_hw[1] // 8
    blocks = generator.choice(np.delete(np.arange(34), TRAIN), grid)
    numbers = blocks * 1000 + generator.integers(0, 40, grid)
    single = np.isin(blocks, WITH_INSTANCES) & (generator.random(grid) < 0.8)
    instances = np.where(single, numbers, blocks)
    labels, instances = (np.kron(ids, np.ones((8, 8), np.int64)) for ids in (blocks, instances))
    allowed = [label for label in LABEL_OF_CLASS if label != BUS] + ([0, 9, 18] if strangers else [])
    predicted = np.where(generator.random(size_hw) < 0.65, labels, generator.choice(allowed, size_hw))
    predicted = np.where(np.isin(predicted, allowed), predicted, 7)
    return labels.astype(np.uint8), instances.astype(np.uint16), predicted.astype(np.uint8)


def ours(pictures: list[Picture], folder: Path) -> tuple[np.ndarray, InstanceCounts]:
    """Matrix and instances, from the files that lie in the folder."""
    confusion, instances = np.zeros((19, 20), np.int64), InstanceCounts()
    for number in range(len(pictures)):
        stem = folder / f"town_{number:06d}_000019"
        read = [
            cv2.imread(f"{stem}_{kind}.png", cv2.IMREAD_UNCHANGED)
            for kind in ("gtFine_labelIds", "gtFine_instanceIds", "leftImg8bit")
        ]
        labels, ids, predicted = (np.asarray(each) for each in read)
        mask = CLASS_OF_LABEL[predicted]
        confusion += confusion_matrix(CLASS_OF_LABEL[labels], mask, 19, 255, others=True)
        instances += instance_counts(ids, mask)
    return confusion, instances


def assert_printed_alike(found: dict[str, float], theirs: dict[str, float]) -> None:
    """Equal in the three decimals they print and, but for the order of their sums, in all."""
    for name, value in found.items():
        assert f"{value:>5.3f}" == f"{theirs[name]:>5.3f}", name
        assert value == pytest.approx(theirs[name], rel=1e-12, nan_ok=True), name


@pytest.mark.parametrize("strangers", [False, True])
def test_matrix_and_scores_are_those_of_cityscapesscripts(
    evaluate: Evaluate, tmp_path: Path, strangers: bool
) -> None:
    pictures = [picture(seed, strangers=strangers) for seed in range(4)]
    theirs = evaluate(pictures, tmp_path)
    confusion, instances = ours(pictures, tmp_path)

    their_matrix = np.array(theirs["confMatrix"])
    assert np.array_equal(their_matrix[np.ix_(LABEL_OF_CLASS, LABEL_OF_CLASS)], confusion[:, :19])
    assert np.array_equal(their_matrix[LABEL_OF_CLASS].sum(1), confusion.sum(1))
    assert (confusion[:, 19].sum() > 0) == strangers

    by_class = dict(zip(NAMES, iou(confusion).tolist(), strict=True))
    assert_printed_alike(by_class, theirs["classScores"])
    assert_printed_alike({"mean": scores(confusion).miou}, {"mean": theirs["averageScoreClasses"]})
    assert DIALECTS["cityscapes"].read(confusion).miou == pytest.approx(theirs["averageScoreClasses"], rel=1e-12)

    groups = [[NAMES.index(name) for name in members] for members in CATEGORIES.values()]
    found = scores(grouped(confusion, groups), len(groups))
    assert_printed_alike(dict(zip(CATEGORIES, found.iou.tolist(), strict=True)), theirs["categoryScores"])
    assert_printed_alike({"mean": found.miou}, {"mean": theirs["averageScoreCategories"]})

    weighted = instance_scores(instances, confusion)
    assert_printed_alike(dict(zip(NAMES, weighted.iou.tolist(), strict=True)), theirs["classInstScores"])
    assert_printed_alike(dict(weighted.category_iou), theirs["categoryInstScores"])
    assert_printed_alike({"mean": weighted.miou}, {"mean": theirs["averageScoreInstClasses"]})
    assert_printed_alike({"mean": weighted.category_miou}, {"mean": theirs["averageScoreInstCategories"]})
    assert weighted.iou[NAMES.index("train")] == 0              # only predicted
    assert weighted.iou[NAMES.index("bus")] == 0                # never predicted
    assert np.isnan(weighted.iou[NAMES.index("road")])


def test_classes_in_neither_map_are_left_out_of_their_means_and_ours(evaluate: Evaluate, tmp_path: Path) -> None:
    labels = np.repeat(np.array([[7, 7, 24, 24, 29, 0]], np.uint8), 4, axis=0)
    instances = np.repeat(np.array([[7, 7, 24000, 24001, 29000, 0]], np.uint16), 4, axis=0)
    predicted = np.repeat(np.array([[7, 24, 24, 25, 24, 24]], np.uint8), 4, axis=0)
    theirs = evaluate([(labels, instances, predicted)], tmp_path)
    confusion, counts = ours([(labels, instances, predicted)], tmp_path)
    weighted = instance_scores(counts, confusion)
    assert scores(confusion).miou == pytest.approx(theirs["averageScoreClasses"], rel=1e-12)
    assert np.isnan(scores(confusion).iou).sum() == sum(np.isnan(theirs["classScores"][name]) for name in NAMES) == 16
    assert weighted.miou == pytest.approx(theirs["averageScoreInstClasses"], rel=1e-12)
    assert np.isnan(weighted.category_iou["vehicle"])
    assert np.isnan(theirs["categoryInstScores"]["vehicle"])
    assert weighted.category_miou == pytest.approx(theirs["averageScoreInstCategories"], rel=1e-12)


@pytest.mark.usefixtures("evaluate")
def test_the_average_sizes_and_categories_are_theirs() -> None:
    module = importlib.import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    assert {name: module.args.avgClassSize[name] for name in AVERAGE_PIXELS} == dict(AVERAGE_PIXELS)
    evaluated = [label for label in module.labels if not label.ignoreInEval]
    assert {name: category for category, names in CATEGORIES.items() for name in names} == {
        label.name: label.category for label in evaluated
    }
    assert {label.name for label in evaluated if label.hasInstances} == set(AVERAGE_PIXELS)
