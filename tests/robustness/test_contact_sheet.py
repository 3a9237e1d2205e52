"""The sheet on which every corruption of a picture is seen at a glance: what stands where."""

from __future__ import annotations

import numpy as np
import pytest

from segformer_cli.images import Picture
from segformer_cli.robustness.contact_sheet import GAP, HEAD, MARGIN, PAPER, WIDTH, contact_sheet, small
from segformer_cli.robustness.protocols import Cell

SMALL_HEIGHT = 120
TALL, WIDE = SMALL_HEIGHT + GAP, WIDTH + GAP
CLEAN = 7
COLOURS = {Cell("fog", 1): 50, Cell("fog", 4): 80, Cell("snow", 2): 110}


def plain(value: int, size_hw: tuple[int, int] = (240, 480)) -> Picture:
    return np.full((*size_hw, 3), value, np.uint8)


def place(sheet: Picture, row: int, column: int) -> Picture:
    top, left = HEAD + row * TALL, MARGIN + column * WIDE
    return sheet[top : top + SMALL_HEIGHT, left : left + WIDTH]


@pytest.fixture
def sheet() -> Picture:
    return contact_sheet(plain(CLEAN), list(COLOURS), lambda cell: plain(COLOURS[cell]))


def test_corruptions_are_rows_below_the_clean_picture_and_severities_columns(sheet: Picture) -> None:
    assert sheet.shape == (HEAD + 3 * TALL, MARGIN + 3 * WIDE, 3)
    assert sheet.dtype == np.uint8
    expected = {(0, 0): CLEAN, (1, 0): 50, (1, 2): 80, (2, 1): 110}        # severities 1, 2 and 4
    for row in range(3):
        for column in range(3):
            assert (place(sheet, row, column) == expected.get((row, column), PAPER[0])).all(), (row, column)


def test_every_row_and_every_column_has_its_name(sheet: Picture) -> None:
    for row in range(3):
        assert (sheet[HEAD + row * TALL : HEAD + row * TALL + SMALL_HEIGHT, :MARGIN] < 128).any()
    for column in range(3):
        assert (sheet[:HEAD, MARGIN + column * WIDE : MARGIN + (column + 1) * WIDE] < 128).any()
    assert (sheet[:HEAD, :MARGIN] == PAPER).all()


def test_the_longest_name_ends_before_the_pictures() -> None:
    sheet = contact_sheet(plain(CLEAN), [Cell("elastic_transform", 1)], lambda cell: plain(CLEAN))
    assert (sheet[HEAD + TALL : HEAD + TALL + SMALL_HEIGHT, MARGIN - GAP : MARGIN] == PAPER).all()


def test_a_variant_is_asked_for_once_a_cell() -> None:
    asked: list[Cell] = []

    def variant(cell: Cell) -> Picture:
        asked.append(cell)
        return plain(0)

    contact_sheet(plain(CLEAN), list(COLOURS), variant)
    assert asked == list(COLOURS)


def test_without_corruptions_there_is_the_clean_picture(sheet: Picture) -> None:
    alone = contact_sheet(plain(CLEAN), [], lambda cell: plain(0))
    assert alone.shape == (HEAD + TALL, MARGIN + WIDE, 3)
    assert (place(alone, 0, 0) == CLEAN).all()


def test_a_small_picture_is_the_mean_of_what_its_pixels_stand_for() -> None:
    checks = np.indices((4, 4)).sum(0) % 2 * 200
    picture = np.repeat(checks.astype(np.uint8)[..., None], 3, axis=2)
    assert (small(picture, (2, 2)) == 100).all()
    assert small(picture, (8, 8)).shape == (8, 8, 3)
