"""Masks bent before they are written."""

from __future__ import annotations

import numpy as np
import pytest

from segformer_cli.classes import class_set
from segformer_cli.errors import UsageError
from segformer_cli.outputs.choosing import as_file_ids, class_ids, class_name, kept, rejected


def test_unsure_pixels_and_those_without_a_number_are_ignored_and_the_threshold_itself_is_sure() -> None:
    mask = np.array([[1, 2, 3, 4]], np.uint8)
    sure = np.array([[0.6, 0.59, np.nan, 1.0]], np.float64)
    assert rejected(mask, sure, 0.6, 255).tolist() == [[1, 255, 255, 4]]
    assert mask.tolist() == [[1, 2, 3, 4]]


def test_wide_masks_are_bent_as_wide_masks() -> None:
    mask = np.array([[300, 2]], np.uint16)
    assert rejected(mask, np.array([[0.1, 0.9]]), 0.5, 65535).tolist() == [[65535, 2]]
    assert kept(mask, [300], 65535).tolist() == [[300, 65535]]


@pytest.mark.parametrize("least", [-0.1, 1.5, 60, float("nan")])
def test_a_threshold_that_is_no_share_is_refused(least: float) -> None:
    with pytest.raises(UsageError, match="a confidence of"):
        rejected(np.zeros((1, 1), np.uint8), np.zeros((1, 1)), least, 255)


def test_confidence_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="confidence is"):
        rejected(np.zeros((1, 2), np.uint8), np.zeros((2, 1)), 0.5, 255)


def test_classes_are_named_by_name_or_number_and_a_class_called_by_a_number_by_that() -> None:
    assert class_ids(["ROAD", "traffic-light", "2"], ["road", "traffic light", "car"]) == (0, 1, 2)
    assert class_ids(["1"], ["1", "0"]) == (0,)
    assert class_ids(["road"], ["road", "Road"]) == (0,)


@pytest.mark.parametrize("name", ["raod", "3", "-1", ""])
def test_a_class_that_is_not_there_is_refused_with_a_guess(name: str) -> None:
    with pytest.raises(UsageError, match="there is no class") as caught:
        class_ids([name], ["road", "traffic light", "car"])
    if name == "raod":
        assert caught.value.hint == "did you mean road?"


def test_label_ids_of_cityscapes() -> None:
    mask = np.array([[0, 1, 13, 18, 255]], np.uint8)
    assert as_file_ids(mask, class_set("cityscapes")).tolist() == [[7, 8, 26, 33, 0]]


def test_ids_of_a_set_whose_files_hold_class_ids_stay() -> None:
    mask = np.array([[0, 20, 255]], np.uint8)
    assert as_file_ids(mask, class_set("voc2012")).tolist() == [[0, 20, 255]]


def test_a_class_that_the_set_does_not_have_is_refused() -> None:
    for mask in (np.array([[19]], np.uint8), np.array([[700]], np.uint16)):
        with pytest.raises(UsageError, match="cityscapes has 19 classes"):
            as_file_ids(mask, class_set("cityscapes"))


def test_a_class_without_a_name_is_refused() -> None:
    assert class_name(1, ["a", "b"]) == "b"
    with pytest.raises(UsageError, match="the mask holds class 2, 2 classes are named"):
        class_name(2, ["a", "b"])
