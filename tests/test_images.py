"""Pictures and masks between files and arrays."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segformer_cli.errors import ImageError, SegFormerError
from segformer_cli.images import read_image, read_mask, write_image, write_mask

PALETTE = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (7, 8, 9)]


def png_bytes(values: np.ndarray, bits: int, colour_type: int) -> bytes:
    """A PNG of one channel, to the letter of its specification."""
    rows = b""
    for row in values:
        packed = "".join(format(int(value), f"0{bits}b") for value in row)
        packed += "0" * (-len(packed) % 8)
        rows += b"\0" + int(packed, 2).to_bytes(len(packed) // 8, "big")

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    palette = chunk(b"PLTE", bytes(range(3 * min(2**bits, 80)))) if colour_type == 3 else b""
    return b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bits", "colour_type"), [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (1, 3), (2, 3), (4, 3), (8, 3)]
)
def test_a_mask_of_any_png_kind_gives_the_ids_it_stores(tmp_path: Path, bits: int, colour_type: int) -> None:
    top = {1: 2, 2: 4, 4: 16, 8: 80, 16: 40_000}[bits]
    ids = np.random.default_rng(0).integers(0, top, (7, 13))
    path = tmp_path / "mask.png"
    path.write_bytes(png_bytes(ids, bits, colour_type))

    read = read_mask(path)

    assert read.dtype == (np.uint16 if bits == 16 else np.uint8)
    assert np.array_equal(read, ids)


def test_a_written_mask_is_a_palette_png_whose_indices_are_the_ids(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 2], [3, 4, 255]], np.uint8)
    path = write_mask(tmp_path / "mask.png", ids, PALETTE)
    image = Image.open(path)
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), ids)
    assert image.convert("RGB").getpixel((1, 0)) == (128, 0, 0)
    assert np.array_equal(read_mask(path), ids)


def test_a_mask_of_many_classes_is_16_bit(tmp_path: Path) -> None:
    ids = np.array([[0, 299], [65535, 256]], np.uint16)
    path = write_mask(tmp_path / "mask.png", ids, PALETTE)
    assert np.array_equal(read_mask(path), ids)


def test_a_grey_mask_saved_as_rgb_is_read_and_a_coloured_one_refused(tmp_path: Path) -> None:
    grey = np.repeat(np.array([[0, 1], [2, 3]], np.uint8)[..., None], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    assert np.array_equal(read_mask(tmp_path / "grey.png"), [[0, 1], [2, 3]])
    grey[0, 0, 1] = 200
    Image.fromarray(grey).save(tmp_path / "coloured.png")
    with pytest.raises(ImageError, match=r"coloured\.png is a RGB picture") as caught:
        read_mask(tmp_path / "coloured.png")
    assert "class ids" in str(caught.value.hint)


def test_every_kind_of_picture_becomes_three_bytes_a_pixel(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    image = Image.fromarray(rgb)
    image.save(tmp_path / "rgb.png")
    image.convert("L").save(tmp_path / "grey.png")
    image.convert("RGBA").save(tmp_path / "alpha.png")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=98)
    image.convert("P").save(tmp_path / "palette.gif")
    cv2.imwrite(str(tmp_path / "wide.png"), rgb[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "wide.tif"), rgb[..., 0].astype(np.uint16) * 257)
    for name in ("rgb.png", "grey.png", "alpha.png", "cmyk.jpg", "palette.gif", "wide.png", "wide.tif"):
        read = read_image(tmp_path / name)
        assert read.shape == (20, 30, 3), name
        assert read.dtype == np.uint8, name
    assert np.array_equal(read_image(tmp_path / "rgb.png"), rgb)
    assert np.array_equal(read_image(tmp_path / "alpha.png"), rgb)
    assert np.array_equal(read_image(tmp_path / "wide.png"), rgb)
    assert np.array_equal(read_image(tmp_path / "wide.tif")[..., 1], rgb[..., 0])
    difference = np.abs(read_image(tmp_path / "cmyk.jpg").astype(int) - rgb).mean()
    assert difference < 40  # colours are those of the picture, not its negative (which differs by 85)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_orientation_says(tmp_path: Path, orientation: int) -> None:
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = (250, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    Image.fromarray(stored).save(path, exif=exif, quality=95, subsampling=0)

    upright = read_image(path)

    assert upright.shape[:2] == ((16, 32) if orientation <= 4 else (32, 16))
    rows, columns = np.nonzero(upright[..., 0] > 128)
    top, left = rows.mean() < upright.shape[0] / 2, columns.mean() < upright.shape[1] / 2
    corner = {1: (1, 1), 2: (1, 0), 3: (0, 0), 4: (0, 1), 5: (1, 1), 6: (1, 0), 7: (0, 0), 8: (0, 1)}
    assert (bool(top), bool(left)) == tuple(map(bool, corner[orientation]))
    assert read_image(path, upright=False).shape[:2] == (16, 32)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_truncated_picture_is_an_error_that_names_the_file(tmp_path: Path, suffix: str) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    whole = write_image(tmp_path / f"whole{suffix}", picture).read_bytes()
    broken = tmp_path / f"broken{suffix}"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="broken") as caught:
        read_image(broken)
    assert str(broken) in str(caught.value.where)


def test_what_is_no_picture_is_one_clear_error_each(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "folder.png").mkdir()
    for name, words in (
        ("empty.png", "is empty"),
        ("text.jpg", "is no picture"),
        ("folder.png", "is a folder"),
        ("absent.png", "there is no file"),
    ):
        with pytest.raises(ImageError, match=words):
            read_image(tmp_path / name)
        with pytest.raises(ImageError, match=words):
            read_mask(tmp_path / name)


def test_a_file_is_not_overwritten_without_force_and_nothing_half_written_stays(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    ids = np.zeros((4, 4), np.uint8)
    write_mask(path, ids, PALETTE)
    with pytest.raises(SegFormerError, match="exists already"):
        write_mask(path, ids + 1, PALETTE)
    assert read_mask(path).max() == 0
    write_mask(path, ids + 1, PALETTE, force=True)
    assert read_mask(path).min() == 1
    with pytest.raises(ImageError, match="cannot write a picture"):
        write_image(tmp_path / "picture.xyz", np.zeros((4, 4, 3), np.uint8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["mask.png"]


def test_a_png_that_claims_to_be_huge_is_an_error_and_not_decoded(tmp_path: Path) -> None:
    data = png_bytes(np.zeros((4, 4)), 8, 0)
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    path = tmp_path / "huge.png"
    path.write_bytes(data[:8] + chunk + data[33:])
    with pytest.raises(ImageError, match="more pixels than is safe"):
        read_image(path)


def test_ids_that_no_mask_can_hold_are_named_as_such(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 70_000]], np.int32)).save(tmp_path / "wide.tif")
    with pytest.raises(ImageError, match=r"wide.tif holds the values 0 to 70000, ids of classes lie in 0 to 65535"):
        read_mask(tmp_path / "wide.tif")
