"""PNG files inflated by ISA-L decode to what they did."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segformer_cli import png
from segformer_cli.errors import ImageError
from segformer_cli.images import read_image, read_mask
from segformer_cli.png import inflated

pytest.importorskip("isal", reason='pip install "segformer-cli[fast]"')


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "LEAST", 0)


def written(array: np.ndarray, mode: str, **options: object) -> bytes:
    image = Image.fromarray(array)
    if mode == "P":
        image.putpalette(bytes(range(256)) * 3)
    elif mode == "1":
        image = image.convert("1")
    file = io.BytesIO()
    image.save(file, "PNG", **options)  # type: ignore[arg-type]
    return file.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["L", "P", "1", "RGB", "RGBA", "I;16"]),
    st.integers(1, 300),
    st.integers(1, 300),
    st.integers(0, 9),
    st.booleans(),
)
def test_the_picture_is_the_same(mode: str, height: int, width: int, level: int, smooth: bool) -> None:
    bands = {"RGB": 3, "RGBA": 4}.get(mode)
    shape = (height, width, bands) if bands else (height, width)
    kind = np.uint16 if mode == "I;16" else np.uint8
    array = np.random.default_rng(level).integers(0, np.iinfo(kind).max, shape).astype(kind)
    if smooth:
        array = np.sort(array, axis=1)
    data = written(array, mode, compress_level=level)
    stored = inflated(data)
    assert stored is not data
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(stored))), np.asarray(Image.open(io.BytesIO(data))))
    if mode != "1":
        theirs, ours = (cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_UNCHANGED) for each in (data, stored))
        assert ours is not None
        assert np.array_equal(ours, theirs)


def test_pictures_and_masks_are_read_through_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    picture, mask = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8), rng.integers(0, 9, (40, 50)).astype(np.uint8)
    (tmp_path / "picture.png").write_bytes(written(picture, "RGB"))
    (tmp_path / "mask.png").write_bytes(written(mask, "P"))
    asked: list[bytes] = []
    monkeypatch.setattr("segformer_cli.images.inflated", lambda data: asked.append(data) or inflated(data))
    assert np.array_equal(read_image(tmp_path / "picture.png"), picture)
    assert np.array_equal(read_mask(tmp_path / "mask.png"), mask)
    assert len(asked) == 2


def test_data_in_many_chunks_is_put_together() -> None:
    whole = written(np.arange(9000, dtype=np.uint8).reshape(90, 100), "L")
    at = whole.index(b"IDAT") - 4
    length = struct.unpack_from(">I", whole, at)[0]
    packed, after = whole[at + 8 : at + 8 + length], whole[at + 12 + length :]

    def chunk(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))

    parts = whole[:at] + b"".join(chunk(packed[start : start + 7]) for start in range(0, length, 7)) + after
    found = np.asarray(Image.open(io.BytesIO(inflated(parts))))
    assert np.array_equal(found, np.asarray(Image.open(io.BytesIO(whole))))


@pytest.mark.parametrize("fault", ["cut off", "a wrong byte", "no data"])
def test_a_damaged_file_is_left_to_the_decoders(fault: str, tmp_path: Path) -> None:
    data = bytearray(written(np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8), "L"))
    if fault == "cut off":
        data = data[: len(data) // 2]
    elif fault == "a wrong byte":
        data[len(data) // 2] ^= 0xFF
    else:
        data = data[:33]
    if fault != "a wrong byte":
        assert inflated(bytes(data)) == bytes(data)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.png"):
        read_mask(tmp_path / "a.png")


def test_other_files_and_small_ones_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert inflated(b"\xff\xd8 no PNG") == b"\xff\xd8 no PNG"
    data = written(np.zeros((8, 8), np.uint8), "L")
    monkeypatch.setattr(png, "LEAST", len(data) + 1)
    assert inflated(data) is data


def test_no_more_is_unpacked_than_the_header_promises() -> None:
    whole = written(np.zeros((16, 16), np.uint8), "L")
    at = whole.index(b"IDAT") - 4
    end = at + 12 + struct.unpack_from(">I", whole, at)[0]
    bomb = zlib.compress(bytes(50_000_000))
    chunk = struct.pack(">I", len(bomb)) + b"IDAT" + bomb + struct.pack(">I", zlib.crc32(b"IDAT" + bomb))
    data = whole[:at] + chunk + whole[end:]
    tracemalloc.start()
    assert inflated(data) is data
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_interlaced_rows_are_left_to_the_decoders() -> None:
    data = bytearray(written(np.arange(256, dtype=np.uint8).reshape(16, 16), "L"))
    data[28] = 1
    assert inflated(bytes(data)) == bytes(data)
