"""The test split of Cityscapes, which comes with ignored labels or with none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import DataError


def put_test_pictures(root: Path) -> Path:
    for city in ("berlin", "bielefeld"):
        path = root / f"leftImg8bit/test/{city}/{city}_000000_000019_leftImg8bit.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(path)
    return root


def put_test_labels(root: Path, city: str, kind: str = "labelIds") -> Path:
    """The dummies of gtFine_trainvaltest.zip: ego vehicle (1), rectification border (2), out of roi (3), no class."""
    path = root / f"gtFine/test/{city}/{city}_000000_000019_gtFine_{kind}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([[3] * 8, *[[2, *[0] * 6, 2]] * 4, [1] * 8], np.uint8)).save(path)
    return path


def test_the_test_labels_of_the_download_are_labels_of_which_every_pixel_is_ignored(tmp_path: Path) -> None:
    root = put_test_pictures(tmp_path)
    for city in ("berlin", "bielefeld"):
        put_test_labels(root, city)
    split = open_data(str(root), "test")
    assert split.labelled
    assert all((split.read(pair)[1] == 255).all() for pair in split.pairs)


def test_without_gtfine_the_test_split_is_unlabelled(tmp_path: Path) -> None:
    split = open_data(str(put_test_pictures(tmp_path)), "test")
    keys = [("berlin_000000_000019", None), ("bielefeld_000000_000019", None)]
    assert [(pair.key, pair.mask) for pair in split.pairs] == keys


def test_a_city_without_its_labels_is_named(tmp_path: Path) -> None:
    root = put_test_pictures(tmp_path)
    put_test_labels(root, "berlin")
    words = r"1 of 2 images \(first: test/bielefeld/bielefeld_000000_000019_leftImg8bit\.png"
    with pytest.raises(DataError, match=words):
        open_data(str(root), "test")


def test_labels_of_other_kinds_alone_are_an_error_not_an_unlabelled_split(tmp_path: Path) -> None:
    root = put_test_pictures(tmp_path)
    put_test_labels(root, "berlin", "instanceIds")
    with pytest.raises(DataError, match="no mask found for 2 of 2 images") as caught:
        open_data(str(root), "test")
    assert str(caught.value.where).endswith("berlin_000000_000019_gtFine_labelIds.png")


def test_a_folder_that_is_not_cityscapes_is_met_with_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no split 'val'") as caught:
        open_data(f"cityscapes:{tmp_path}", "val")
    assert "needs leftImg8bit" in str(caught.value.hint)
