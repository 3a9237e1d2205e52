"""Bands of files of many kinds."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.bands import as_picture, read_bands, visible
from segformer_cli.errors import EnvironmentLacksError, ImageError

SIX = np.arange(6 * 20 * 30, dtype=np.uint16).reshape(20, 30, 6)


def put_tiff(path: Path, values: NDArray[np.generic], **options: object) -> Path:
    rasterio = pytest.importorskip("rasterio")
    height, width, count = values.shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(
            path, "w", driver="GTiff", height=height, width=width, count=count, dtype=values.dtype, **options
        ) as file:
            file.write(np.moveaxis(values, 2, 0))
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("options", [{}, {"compress": "lzw", "interleave": "band", "tiled": True,
                                          "blockxsize": 16, "blockysize": 16}])
def test_a_tiff_of_six_bands_gives_those_that_are_named(
    tmp_path: Path, kind: type[np.generic], options: dict[str, object]
) -> None:
    values = (SIX % 250).astype(kind)
    found = read_bands(put_tiff(tmp_path / "a.tif", values, **options), (6, 1, 3))
    assert found.dtype == kind
    assert (found == values[..., [5, 0, 2]]).all()


def test_whole_numbers_beyond_16_bits_become_floating_point(tmp_path: Path) -> None:
    values = SIX.astype(np.int32) - 70_000
    found = read_bands(put_tiff(tmp_path / "a.tif", values), (2,))
    assert found.dtype == np.float32 and (found[..., 0] == values[..., 1]).all()


def test_pages_of_one_size_are_bands_and_smaller_ones_overviews(tmp_path: Path) -> None:
    pages = [Image.fromarray(SIX[..., band] % 200).convert("L") for band in range(3)]
    small = Image.new("L", (15, 10))
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=[*pages[1:], small])
    pytest.importorskip("rasterio")
    found = read_bands(tmp_path / "a.tif", (3, 2, 1))
    assert (found == np.stack([np.asarray(page) for page in pages[::-1]], 2)).all()
    with pytest.raises(ImageError, match="has 3 bands, band 4 is asked for"):
        read_bands(tmp_path / "a.tif", (4,))


@pytest.mark.parametrize("form", ["last", "first", "flat"])
def test_an_array_is_read_wherever_its_bands_are(tmp_path: Path, form: str) -> None:
    array = {"last": SIX, "first": np.moveaxis(SIX, 2, 0), "flat": SIX[..., 1]}[form]
    np.save(tmp_path / "a.npy", array)
    assert (read_bands(tmp_path / "a.npy", (1,) if form == "flat" else (2,))[..., 0] == SIX[..., 1]).all()


def test_a_png_keeps_its_16_bits_its_alpha_and_the_order_red_green_blue(tmp_path: Path) -> None:
    colours = np.zeros((4, 5, 4), np.uint16)
    colours[..., 2], colours[..., 0], colours[..., 3] = 40_000, 300, 77          # cv2 writes blue first
    cv2.imwrite(str(tmp_path / "a.png"), colours)
    assert read_bands(tmp_path / "a.png", (1, 2, 3, 4))[0, 0].tolist() == [40_000, 0, 300, 77]
    cv2.imwrite(str(tmp_path / "grey.png"), colours[..., 2])
    assert read_bands(tmp_path / "grey.png", (1,))[0, 0].tolist() == [40_000]


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.tif", b"II*\0 no more", "is no TIFF that can be read"),
    ("a.npy", b"\x93NUMPY\x01\0 no more", "is no array that can be read"),
    ("a.png", b"\x89PNG no more", "is no picture whose bands can be read"),
    ("a.npy", b"", "is empty"),
    ("a.npy", None, "there is no file"),
])
def test_what_cannot_be_read_is_one_error(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if name == "a.tif":
        pytest.importorskip("rasterio")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=said):
        read_bands(tmp_path / name, (1,))


def test_an_array_of_something_else_says_what_it_is(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4, 5)))
    with pytest.raises(ImageError, match=r"a\.npy is 2 x 3 x 4 x 5 of float64"):
        read_bands(tmp_path / "a.npy", (1,))
    text = io.BytesIO()
    np.save(text, np.array([["a"]]))
    (tmp_path / "text.npy").write_bytes(text.getvalue())
    with pytest.raises(ImageError, match="bands are height x width x bands of numbers"):
        read_bands(tmp_path / "text.npy", (1,))


def test_without_rasterio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    monkeypatch.setitem(sys.modules, "rasterio.errors", None)
    with pytest.raises(EnvironmentLacksError) as caught:
        read_bands(tmp_path / "a.tif", (1,))
    assert caught.value.hint == 'pip install "segformer-cli[geo]"'


def test_bands_are_shown_from_their_2nd_to_their_98th_percentile() -> None:
    values = np.zeros((100, 10, 4), np.float32)
    values[..., 1] = np.linspace(1000, 2000, 1000).reshape(100, 10)
    values[0, 0, 1] = np.nan
    shown = visible(values, (2, 1, 2))
    assert shown.dtype == np.uint8 and (shown[..., 1] == 0).all()
    assert (shown[:2, :, 0] == 0).all() and (shown[-2:, :, 0] == 255).all()
    assert abs(int(shown[50, 0, 0]) - 128) < 4 and (shown[..., 0] == shown[..., 2]).all()
    assert (visible(values[..., 1:2]) == visible(values, (2,))).all()


def test_ordinary_pictures_are_shown_as_they_are() -> None:
    picture = np.full((2, 2, 3), 7, np.uint8)
    assert as_picture(picture, ()) is picture
    assert (as_picture(picture, (1, 2, 3)) == 0).all()
