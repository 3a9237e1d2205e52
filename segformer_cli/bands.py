"""Pictures of other bands than red, green and blue, or of more than 8 bits, as their files hold them; a look at them.

Satellites, microscopes and depth cameras write such files. Their values stay what they are: no scale, no colour.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.errors import EnvironmentLacksError, ImageError
from segformer_cli.images import QUIET, Picture, Pixels, decoded_as_it_is, read_bytes
from segformer_cli.places import Place

ARRAY_SUFFIX = ".npy"
TIFF_SUFFIXES = (".tif", ".tiff")

DARKEST, LIGHTEST = 2.0, 98.0
"""Per cent of a band's values that are shown as black and as white."""

LOOKED_AT = 250_000
"""Values of a band from which these are taken."""


def read_bands(place: Place, bands: Sequence[int]) -> Pixels:
    """(H, W, C) values of some bands of a file, as stored: uint8, uint16 or float32.

    TIFF of any number of bands (rasterio reads it), one page a band too; `.npy` of (H, W), (H, W, C) or (C, H, W); PNG
    and whatever else OpenCV reads, RGB first, then what is beside it. Such files are not turned by EXIF.

    Args:
        bands: counted from 1, as GDAL and QGIS do; in the order in which the network is to see them.

    Raises:
        ImageError: the file cannot be read, or has fewer bands.
        EnvironmentLacksError: it is a TIFF, and rasterio is not installed.
    """
    data = read_bytes(place)
    suffix = place.suffix.lower()
    if suffix == ARRAY_SUFFIX:
        values = _array(data, place)
    elif suffix in TIFF_SUFFIXES:
        values = _tiff(data, place)
    else:
        values = _picture(data, place)
    if max(bands) > values.shape[2]:
        raise ImageError(
            f"{place.name} has {_counted(values.shape[2])}, band {max(bands)} is asked for",
            where=str(place),
            hint="bands are counted from 1: --bands 4,3,2",
        )
    return _as_kept(values[..., [band - 1 for band in bands]])


def visible(pixels: Pixels, shown: Sequence[int] = ()) -> Picture:
    """(H, W, 3) to look at of (H, W, C): three bands from their 2nd to their 98th percentile, or one in grey.

    Args:
        shown: three of the C, counted from 1, as red, green and blue; or one. Default: the first three.
    """
    C = pixels.shape[2]
    chosen = tuple(shown) or ((1, 2, 3) if C >= 3 else (1,))
    grey = [_stretched(pixels[..., band - 1]) for band in chosen]
    return np.asarray(np.stack(grey * 3 if len(grey) == 1 else grey, axis=2), np.uint8)


def as_picture(pixels: Pixels, bands: Sequence[int], shown: Sequence[int] = ()) -> Picture:
    """The picture (H, W, 3) itself where it is an ordinary one, no `bands` being named; else what `visible` shows."""
    return visible(pixels, shown) if bands else np.asarray(pixels, np.uint8)


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    sample = values.ravel()[:: max(1, values.size // LOOKED_AT)].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    low, high = np.percentile(sample, (DARKEST, LIGHTEST)) if sample.size else (0.0, 0.0)
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / max(high - low, 1e-12))
    return np.asarray(np.clip(np.nan_to_num(scaled), 0, 255), np.uint8)


def _array(data: bytes, place: Place) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:      # a damaged header is read by Python's own parser, with all its errors
        raise ImageError(f"{place.name} is no array that can be read: {error}", where=str(place)) from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "biuf" or not array.size:
        shape = " x ".join(map(str, array.shape)) or "one value"
        raise ImageError(
            f"{place.name} is {shape} of {array.dtype}, bands are height x width x bands of numbers", where=str(place)
        )
    if array.ndim == 2:
        return array[..., None]
    # The axis of the bands is the shorter end; pictures have more rows and columns than bands.
    return np.moveaxis(array, 0, 2) if array.shape[0] < array.shape[2] else array


def _tiff(data: bytes, place: Place) -> NDArray[Any]:
    try:
        from rasterio.errors import RasterioError
        from rasterio.io import MemoryFile
    except ImportError:
        raise EnvironmentLacksError(
            f"bands of {place.name} are read by rasterio, which is not installed",
            where=str(place),
            hint='pip install "segformer-cli[geo]"',
        ) from None
    try:
        with QUIET, MemoryFile(data) as memory, memory.open() as file:
            values: NDArray[Any] = np.moveaxis(file.read(), 0, 2)
    except (RasterioError, OSError, ValueError) as error:
        raise ImageError(f"{place.name} is no TIFF that can be read: {error}", where=str(place)) from error
    return _pages(data) if values.shape[2] == 1 else values


def _pages(data: bytes) -> NDArray[Any]:
    """A page a band, as microscopes and `tifffile` write them; smaller pages are overviews of the first."""
    with QUIET:
        _, pages = cv2.imdecodemulti(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return np.stack([page for page in pages if page.ndim == 2 and page.shape == pages[0].shape[:2]], axis=2)


def _picture(data: bytes, place: Place) -> NDArray[Any]:
    values = decoded_as_it_is(data)
    if values is None:
        raise ImageError(f"{place.name} is no picture whose bands can be read", where=str(place))
    if values.ndim == 2:
        return values[..., None]
    return values[..., [2, 1, 0, 3][: values.shape[2]]]         # OpenCV has blue first


def _as_kept(values: NDArray[Any]) -> Pixels:
    """In the smallest of the three types that holds all values of the file's type; whole numbers where they fit."""
    if values.dtype.kind == "b" or values.dtype == np.uint8:
        return np.ascontiguousarray(values, np.uint8)
    if values.dtype == np.uint16:
        return np.ascontiguousarray(values, np.uint16)
    return np.ascontiguousarray(values, np.float32)


def _counted(count: int) -> str:
    return "1 band" if count == 1 else f"{count} bands"
