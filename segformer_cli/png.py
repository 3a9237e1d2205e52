"""PNG files made quick to decode: inflated by ISA-L where it is installed, two to three times as fast as by zlib.

What OpenCV and Pillow then get is the same picture, its data in stored blocks, which their own zlib merely copies;
undoing the rows' filters is left to them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

_FAST: ModuleType | None = import_module("isal.isal_zlib") if find_spec("isal") else None
"""From the extra `fast`."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8x8xIIBB2xB")
"""Signature and first chunk: width, height, bits of a value, kind of colour, whether the rows are interlaced."""

_BANDS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values of a pixel, by the kind of colour."""

_BLOCK = 0xFFFF
"""The most that a stored block of deflate holds."""

LEAST = 1 << 14
"""Below so many bytes there is nothing to gain."""

MOST = 1 << 30
"""Bytes of a picture above which it is left to the decoders' own limits."""


def inflated(data: bytes) -> bytes:
    """The file with its picture data stored; as it was where it is no PNG, is damaged, or ISA-L is not installed."""
    if _FAST is None or len(data) < LEAST or not data.startswith(_SIGNATURE):
        return data
    try:
        before, packed, after = _parts(data)
        size = _size(data)
        if size > MOST:
            return data
        # Never more than the header promises: a few bytes may unpack to any size.
        unpacking = _FAST.decompressobj()
        rows = unpacking.decompress(packed, size)
        if len(rows) != size or not unpacking.eof:
            return data
    except Exception:           # of ISA-L's own kinds; the decoders say what is wrong with the file
        return data
    return b"".join((before, *_stored_chunk(_FAST, rows), after))


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """What lies before the picture's data, the data, and what lies after it.

    Raises:
        ValueError: the chunks are not as they should be.
    """
    at, first, packed = len(_SIGNATURE), 0, []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            first = first or at
            packed.append(data[at + 8 : at + 8 + length])
        elif first:
            return data[:first], b"".join(packed), data[at:]
        at += 12 + length
    raise ValueError("the file ends within its picture")


def _size(data: bytes) -> int:
    """The bytes of all rows, each with the byte that names its filter.

    Raises:
        ValueError: the rows are interlaced, which only decoders take apart.
    """
    width, height, bits, kind, interlaced = _HEADER.unpack_from(data)
    if interlaced:
        raise ValueError("interlaced")
    return int(height * (1 + (width * bits * _BANDS[kind] + 7) // 8))


def _stored_chunk(fast: ModuleType, rows: bytes) -> Iterator[bytes | memoryview]:
    """The pieces of an IDAT chunk whose data is not packed."""
    view = memoryview(rows)
    pieces: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, len(rows), _BLOCK):
        block = view[start : start + _BLOCK]
        pieces += [struct.pack("<BHH", start + _BLOCK >= len(rows), len(block), len(block) ^ _BLOCK), block]
    pieces.append(struct.pack(">I", fast.adler32(rows)))
    crc = fast.crc32(b"IDAT")
    for piece in pieces:
        crc = fast.crc32(piece, crc)
    yield struct.pack(">I4s", sum(map(len, pieces)), b"IDAT")
    yield from pieces
    yield struct.pack(">I", crc)
