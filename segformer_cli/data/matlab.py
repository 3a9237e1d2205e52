"""Class ids out of MATLAB files: matrices of numbers, also inside structs, of files in MATLAB's version 5 format.

The format is described in "MAT-File Format" (The MathWorks, chapter 1). What is no matrix of numbers and no struct
(cells, texts, sparse matrices) is passed over.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import DataError
from segformer_cli.images import Ids, read_mask
from segformer_cli.places import Place

_HEADER = 128
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_MATRIX, _COMPRESSED = 14, 15
_STRUCT = 2
_NUMERIC = range(6, 16)
"""Classes of matrices that hold numbers, double to uint64."""

_LARGEST = 1 << 30
"""Bytes of a compressed element that are unpacked: what goes on after them is no mask, and counts as damaged."""


@dataclass(frozen=True)
class MatlabIds:
    """Reads masks of class ids that lie in MATLAB files; a file that does not end in .mat is read as a picture.

    Args:
        variable: the matrix of ids, or the struct that holds it.
        fields: the way from the struct to the matrix; of an array of structs the first is taken.
    """

    variable: str
    fields: tuple[str, ...] = ()

    def __call__(self, place: Place) -> Ids:
        """The ids (H, W), uint8 or uint16.

        Raises:
            ImageError: a picture cannot be read.
            DataError: the file is no MATLAB file of version 5, is damaged, or holds no such matrix of ids.
        """
        if place.suffix.lower() != ".mat":
            return read_mask(place)
        matrix = read_matrix(place, self.variable, self.fields)
        low, high = matrix.min(initial=0), matrix.max(initial=0)
        if matrix.ndim != 2 or low < 0 or high > 65535 or not np.array_equal(matrix, np.floor(matrix)):
            size = " x ".join(map(str, matrix.shape))
            raise DataError(
                f"{_way(self.variable, self.fields)} of {place.name} is {size} with values from {low} to {high}; a "
                "mask is height x width with whole numbers in 0 to 65535",
                where=str(place),
            )
        return np.ascontiguousarray(matrix, np.uint8 if high < 256 else np.uint16)


def read_matrix(place: Place, variable: str, fields: tuple[str, ...] = ()) -> NDArray[np.generic]:
    """A matrix of numbers by its name, in the type in which the file stores it.

    Raises:
        DataError: the file is missing, no MATLAB file of version 5, damaged, or has no such matrix.
    """
    try:
        data = place.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {place.name}: {error.strerror}", where=str(place)) from error
    order = _byte_order(data, place)
    names = []
    try:
        for kind, content in _elements(memoryview(data)[_HEADER:], order):
            if kind == _COMPRESSED:
                kind, content = next(_elements(memoryview(_unpacked(content)), order))
            if kind != _MATRIX:
                continue
            matrix = _Matrix(content, order)
            if matrix.name != variable:
                names.append(matrix.name)
                continue
            for field in fields:
                matrix = matrix.field(field)
            return matrix.numbers()
    except (struct.error, zlib.error, ValueError, StopIteration, IndexError) as error:
        raise DataError(f"{place.name} is damaged: {error or 'it ends too early'}", where=str(place)) from error
    except _Absent as absent:
        raise DataError(f"{_way(variable, fields)} of {place.name}: {absent}", where=str(place)) from None
    known = ", ".join(name for name in names if name)
    raise DataError(f"{place.name} has no variable {variable}", where=str(place), hint=f"it has: {known or 'none'}")


class _Absent(Exception):
    """What is asked of a matrix is not in it."""


class _Matrix:
    """One matrix of a file: its class, dimensions and name, and the elements with what it holds."""

    def __init__(self, content: memoryview, order: str) -> None:
        self._order = order
        self._parts = _elements(content, order)
        flags = next(self._parts, (0, content[:0]))[1]
        if not flags:                           # a field that was never set is an empty matrix without any parts
            self.kind, self.shape, self.name = 0, (0, 0), ""
            return
        self.kind = struct.unpack_from(f"{order}I", flags)[0] & 255
        self.shape = tuple(np.frombuffer(next(self._parts)[1], f"{order}i4").tolist())
        self.name = bytes(next(self._parts)[1]).decode("latin-1")

    def field(self, wanted: str) -> _Matrix:
        """What the first of these structs has under a name."""
        if self.kind != _STRUCT:
            raise _Absent(f"there is no field {wanted} in what is no struct")
        width = struct.unpack_from(f"{self._order}i", next(self._parts)[1])[0]
        text = bytes(next(self._parts)[1])
        names = [text[at : at + width].split(b"\0")[0].decode("latin-1") for at in range(0, len(text), width)]
        if wanted not in names or 0 in self.shape:
            raise _Absent(f"there is no field {wanted}, it has: {', '.join(names) or 'none'}")
        for name, (_, content) in zip(names, self._parts, strict=False):
            if name == wanted:
                return _Matrix(content, self._order)
        raise ValueError("it ends too early")

    def numbers(self) -> NDArray[np.generic]:
        """The matrix, its first dimension the rows."""
        if self.kind not in _NUMERIC:
            raise _Absent("is no matrix of numbers")
        kind, content = next(self._parts)
        stored = np.frombuffer(content, f"{self._order}{_NUMBERS.get(kind, 'u1')}")
        return stored.reshape(self.shape, order="F")


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Type and content of each element: after a tag of eight bytes, or, up to four bytes long, within it."""
    at = 0
    while at + 8 <= len(data):
        first, size = struct.unpack_from(f"{order}II", data, at)
        if first >> 16:
            kind, size, start, after = first & 0xFFFF, first >> 16, at + 4, at + 8
        else:
            kind, start = first, at + 8
            after = start + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if start + size > len(data):
            raise ValueError("it ends too early")
        yield kind, data[start : start + size]
        at = after


def _unpacked(content: memoryview) -> bytes:
    return zlib.decompressobj().decompress(content, _LARGEST)


def _byte_order(data: bytes, place: Place) -> str:
    """`<` or `>`, as the end of the header says."""
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data.startswith(b"MATLAB 7.3") or data[512:520] == b"\x89HDF\r\n\x1a\n":
        raise DataError(
            f"{place.name} is a MATLAB file of version 7.3 (HDF5)",
            where=str(place),
            hint="save it again in MATLAB with -v7, which is read here",
        )
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None or struct.unpack(f"{order}H", data[124:126])[0] >> 8 != 1:
        raise DataError(f"{place.name} is no MATLAB file of version 5", where=str(place))
    return order


def _way(variable: str, fields: tuple[str, ...]) -> str:
    return ".".join((variable, *fields))
