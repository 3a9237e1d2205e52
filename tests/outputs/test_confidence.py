"""Shares as grey pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from segformer_cli.errors import ImageError, SegFormerError
from segformer_cli.outputs.confidence import write_share


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_what_is_read_back_is_within_half_a_step(tmp_path: Path, bits: Literal[8, 16], dtype: type) -> None:
    values = np.random.default_rng(0).random((300, 7)).astype(dtype)
    values[0, :2] = 0, 1
    with Image.open(write_share(tmp_path / "a.png", values, bits)) as image:
        assert image.mode == ("L" if bits == 8 else "I;16")
        read = np.asarray(image).astype(np.float64)
    most = 2**bits - 1
    assert read[0, :2].tolist() == [0, most]
    assert abs(read / most - values.astype(np.float64)).max() <= 0.5 / most + 1e-12


def test_halves_go_to_the_even_number(tmp_path: Path) -> None:
    values = np.array([[0.5, 1.5, 2.5]]) / 255
    with Image.open(write_share(tmp_path / "a.png", values)) as image:
        assert np.asarray(image).tolist() == [[0, 2, 2]]


def test_what_rounding_put_beyond_the_ends_is_taken_for_the_ends(tmp_path: Path) -> None:
    with Image.open(write_share(tmp_path / "a.png", np.array([[-1e-4, 1.0005]], np.float32))) as image:
        assert np.asarray(image).tolist() == [[0, 255]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
def test_what_is_no_share_is_refused_with_its_place(tmp_path: Path, value: float) -> None:
    values = np.zeros((600, 4), np.float32)
    values[517, 3] = value
    with pytest.raises(ImageError, match=r"row 517, column 3 is"):
        write_share(tmp_path / "a.png", values)
    assert not any(tmp_path.iterdir())


def test_arrays_that_are_no_picture_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shares are"):
        write_share(tmp_path / "a.png", np.zeros((2, 2, 1), np.float32))
    with pytest.raises(ValueError, match="in 12"):
        write_share(tmp_path / "a.png", np.zeros((2, 2), np.float32), 12)  # type: ignore[arg-type]


def test_a_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = write_share(tmp_path / "deep" / "a.png", np.zeros((1, 1)))
    with pytest.raises(SegFormerError, match="exists already"):
        write_share(path, np.ones((1, 1)))
    write_share(path, np.ones((1, 1)), force=True)
    with Image.open(path) as image:
        assert np.asarray(image).tolist() == [[255]]
