"""Masks drawn in colours become ids, and colours that stand for nothing are told, never guessed."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.data.colours import ColourTable
from segformer_cli.errors import DataError, ImageError

BLACK, RED, BLUE = (0, 0, 0), (255, 0, 0), (0, 0, 255)
TABLE = ColourTable((RED, BLUE), (BLACK,), ("roof", "water"))

colours = st.tuples(*[st.integers(0, 255)] * 3)


def put(path: Path, pixels: object) -> Path:
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_a_colour_becomes_its_place_in_the_table_and_an_ignored_one_255(tmp_path: Path, suffix: str) -> None:
    ids = TABLE(put(tmp_path / f"a{suffix}", [[RED, BLUE, BLACK], [BLUE, BLUE, RED]]))
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[0, 1, 255], [1, 1, 0]]


@settings(max_examples=15, deadline=None)
@given(st.lists(colours, min_size=2, max_size=12, unique=True), st.integers(0, 2**32 - 1))
def test_ids_drawn_in_any_colours_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list, seed: int
) -> None:
    ids = np.random.default_rng(seed).integers(0, len(table), (7, 5))
    path = put(tmp_path_factory.mktemp("colours") / "a.png", np.array(table)[ids])
    assert ColourTable(tuple(table))(path).tolist() == ids.tolist()
    ignored = ColourTable(tuple(table[:-1]), (table[-1],))
    assert ignored(path).tolist() == np.where(ids == len(table) - 1, 255, ids).tolist()


def test_more_than_255_colours_give_wide_ids_and_65535(tmp_path: Path) -> None:
    table = tuple((index % 256, index // 256, 7) for index in range(300))
    wide = ColourTable(table, (BLACK,))
    ids = wide(put(tmp_path / "a.png", [[table[299], table[255], BLACK]]))
    assert (ids.dtype, ids.tolist()) == (np.uint16, [[299, 255, 65535]])


def test_a_palette_png_is_read_by_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([*BLUE, *BLACK, *RED])
    image.save(tmp_path / "a.png")
    assert TABLE(tmp_path / "a.png").tolist() == [[1, 255, 0]]


def test_a_mask_larger_than_what_is_looked_up_at_a_time_is_read_whole(tmp_path: Path) -> None:
    ids: NDArray[np.int64] = np.arange(1500 * 1100).reshape(1500, 1100) // 977 % 2
    assert (TABLE(put(tmp_path / "a.png", np.array([RED, BLUE])[ids])) == ids).all()


def test_a_colour_of_no_class_is_told_with_its_pixels_and_the_nearest_that_is_known(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", [[RED, (250, 1, 2), (250, 1, 2)], [BLUE, BLACK, (3, 3, 9)]])
    with pytest.raises(DataError) as caught:
        TABLE(path)
    assert caught.value.message == (
        "a.png holds the colour (250, 1, 2) (2 pixels), which stands for no class, and 1 more such colours"
    )
    assert caught.value.where == str(path)
    assert str(caught.value.hint).startswith("the nearest of the 3 known colours is (255, 0, 0), roof; were the masks")


def test_the_likely_cause_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="JPEG blurs colours"):
        TABLE(put(tmp_path / "a.jpg", [[RED, BLUE] * 8] * 16))
    with pytest.raises(DataError, match="are they ids of classes"):
        TABLE(put(tmp_path / "b.png", [[0, 1, 2, 3]]))


@pytest.mark.parametrize(
    ("table", "ignored", "words"),
    [
        ((RED, BLUE, RED), (), "stands for roof and for class 2"),
        ((RED, BLUE), (BLUE,), "stands for water and for what is ignored"),
    ],
)
def test_a_table_in_which_colours_repeat_is_refused(table: tuple, ignored: tuple, words: str) -> None:
    with pytest.raises(DataError, match=words) as caught:
        ColourTable(table, ignored, ("roof", "water"))
    assert "use masks of ids" in str(caught.value.hint)


def test_a_table_travels_to_reading_processes() -> None:
    assert pickle.loads(pickle.dumps(TABLE)) == TABLE


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(ImageError, match=r"a\.png is no picture"):
        TABLE(tmp_path / "a.png")


def test_a_tolerance_takes_careless_colours_for_the_nearest(tmp_path: Path) -> None:
    careless = ColourTable((RED, BLUE), (BLACK,), tolerance=5)
    path = put(tmp_path / "a.png", [[(250, 5, 0), (0, 3, 251), (5, 5, 5)]])
    assert careless(path).tolist() == [[0, 1, 255]]
    with pytest.raises(DataError, match=r"holds the colour \(249, 0, 0\)"):
        careless(put(tmp_path / "b.png", [[RED, (249, 0, 0)]]))
    with pytest.raises(ValueError, match="overlap"):
        ColourTable((RED, (245, 0, 0)), tolerance=5)
