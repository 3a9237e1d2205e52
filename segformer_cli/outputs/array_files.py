"""Files of several arrays that grow row by row together: .npz, and .zarr where zarr is installed."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.errors import EnvironmentLacksError, SegFormerError

Shapes = dict[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Shape and type of each array, by its name."""

Append = Callable[[Mapping[str, NDArray[Any]]], None]
"""Takes the next rows of each array."""

CHUNK = 1 << 22
"""Bytes of a chunk of a .zarr: as many whole rows as fit, one at least."""


@contextmanager
def npz_file(path: Path, shapes: Shapes, class_names: Sequence[str], *, force: bool) -> Iterator[Append]:
    """Writes what is appended, and the names, as `numpy.load` reads them.

    Not packed: that takes several times as long, for a sixth less.

    Raises:
        SegFormerError: the file exists and `force` is not given, or it cannot be written.
    """
    with replacing(path, force=force) as temporary, ExitStack() as open_files:
        archive = open_files.enter_context(zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED, allowZip64=True))
        # An archive takes one file after the other: all but the first wait beside it.
        first, *later = shapes
        waiting = {name: open_files.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in later}
        with archive.open(_member(first), "w", force_zip64=True) as member:
            _write_header(member, *shapes[first])

            def append(rows: Mapping[str, NDArray[Any]]) -> None:
                member.write(np.ascontiguousarray(rows[first]).data)
                for name, file in waiting.items():
                    file.write(np.ascontiguousarray(rows[name]).data)

            yield append
        for name, file in waiting.items():
            with archive.open(_member(name), "w", force_zip64=True) as member:
                _write_header(member, *shapes[name])
                file.seek(0)
                shutil.copyfileobj(file, member)
        with archive.open(_member("class_names"), "w") as member:
            np.lib.format.write_array(member, np.array(class_names, np.str_), allow_pickle=False)


def _member(name: str) -> zipfile.ZipInfo:
    """Without the time, so that the same arrays are the same file."""
    return zipfile.ZipInfo(f"{name}.npy")


def _write_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})


@contextmanager
def zarr_file(path: Path, shapes: Shapes, class_names: Sequence[str], *, force: bool) -> Iterator[Append]:
    """Writes what is appended into a group of arrays in chunks of whole rows; the names are its attribute.

    Raises:
        EnvironmentLacksError: zarr is not installed.
        SegFormerError: the folder exists and `force` is not given, or it cannot be written.
    """
    try:
        import zarr
    except ModuleNotFoundError as error:
        if error.name != "zarr":
            raise
        raise EnvironmentLacksError(
            f"zarr, which writes {path.name}, is not installed",
            where=str(path),
            hint='pip install "segformer-cli[zarr]", or write .npz, which needs nothing',
        ) from error
    with _replacing_folder(path, force=force) as temporary:
        group = zarr.open_group(str(temporary), mode="w")
        group.attrs["class_names"] = list(class_names)
        arrays = {
            name: group.zeros(name=name, shape=shape, chunks=(_rows_a_chunk(shape, dtype), *shape[1:]), dtype=dtype)
            for name, (shape, dtype) in shapes.items()
        }
        top = 0

        def append(rows: Mapping[str, NDArray[Any]]) -> None:
            nonlocal top
            height = len(next(iter(rows.values())))
            for name, array in arrays.items():
                array[top : top + height] = rows[name]
            top += height

        yield append


def _rows_a_chunk(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    row = max(1, int(np.prod(shape[1:])) * dtype.itemsize)
    return max(1, min(shape[0], CHUNK // row))


@contextmanager
def _replacing_folder(path: Path, *, force: bool) -> Iterator[Path]:
    """As `atomic.replacing`, of a folder; where one is replaced, there is none for a moment."""
    if path.exists() and not force:
        hint = "add --force to overwrite it; from Python, force=True"
        raise SegFormerError(f"{path.name} exists already", where=str(path), hint=hint)
    mark = secrets.token_hex(4)
    temporary, former = (path.with_name(f".{path.stem}.{mark}.{word}{path.suffix}") for word in ("part", "old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.exists():
            os.replace(path, former)
        os.replace(temporary, path)
    except OSError as error:
        raise SegFormerError(f"cannot write {path.name}: {error.strerror or error}", where=str(path)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if former.is_dir():
            shutil.rmtree(former, ignore_errors=True)
        else:
            former.unlink(missing_ok=True)
