"""Pictures and masks, between files and arrays.

Pictures are read by OpenCV, masks by Pillow: OpenCV turns the class ids of a palette PNG into the
luminance of its colours, and 1-bit and 4-bit ids into other numbers.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from segformer_cli.atomic import replacing
from segformer_cli.errors import ImageError
from segformer_cli.places import Place
from segformer_cli.png import inflated

Picture = NDArray[np.uint8]
"""(H, W, 3) uint8, RGB, upright."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
"""(H, W, C) values of the bands of a picture: `Picture`, or what `bands.read_bands` reads."""

Ids = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) class ids."""

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp")


_JPEG = b"\xff\xd8"
_REDUCED = {
    1: cv2.IMREAD_COLOR_RGB,
    # Of the sizes' flags OpenCV takes those of grey beside RGB, not those of colour, which mean BGR.
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
"""OpenCV's flag of a decoded picture, by the divisor of its size."""


def read_image(path: Place, *, upright: bool = True, divisor: int = 1) -> Picture:
    """The picture as (H, W, 3) uint8 RGB, whatever it was: grey, alpha, 16-bit, CMYK, palette.

    Args:
        upright: turn it as its EXIF orientation says.
        divisor: 2, 4 or 8 decodes a JPEG at so much less than its size, rounded up, several times faster.

    Raises:
        ImageError: the file is missing, empty, truncated, or no picture.
    """
    data = read_bytes(path)
    if _is_whole(data):
        flags = _REDUCED[divisor] if data.startswith(_JPEG) else _REDUCED[1]
        flags |= (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
        picture = _decode(inflated(data), flags)
        if picture is not None:
            return picture
    return _read_by_pillow(data, path, upright)


def read_mask(path: Place) -> Ids:
    """The class ids as stored, (H, W) uint8 or uint16: palette indices, 1, 2, 4, 8 or 16 bits.

    Raises:
        ImageError: the file cannot be read, or holds colours instead of ids.
    """
    data = read_bytes(path)
    image = _open_by_pillow(data, path)
    if image.mode in ("1", "P"):
        return np.asarray(image, np.uint8)
    if image.mode == "L":
        # Pillow spreads 2- and 4-bit grey over 0..255; ids are what the file holds.
        return np.asarray(np.asarray(image) // (255 // (2 ** _grey_bits(data) - 1)), np.uint8)
    if image.mode in ("I", "I;16", "I;16B"):
        wide = np.asarray(image)
        if wide.min(initial=0) >= 0 and wide.max(initial=0) <= 65535:
            return wide.astype(np.uint16)
        raise ImageError(
            f"{path.name} holds the values {wide.min()} to {wide.max()}, ids of classes lie in 0 to 65535",
            where=str(path),
        )
    if image.mode == "F":
        raise ImageError(
            f"{path.name} holds floating-point numbers, ids of classes are whole", where=str(path), hint="store the ids"
        )
    channels = np.asarray(image)
    if channels.ndim == 3 and (channels[..., :1] == channels[..., :3]).all():
        return np.ascontiguousarray(channels[..., 0])
    raise ImageError(
        f"{path.name} is a {image.mode} picture, a mask of class ids is one channel",
        where=str(path),
        hint="give masks whose pixels are class ids (grey or palette PNG), not colours",
    )


def read_bytes(path: Place) -> bytes:
    """What a file holds.

    Raises:
        ImageError: it is missing or empty, or may not be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"there is no file {path.name}", where=str(path)) from None
    except IsADirectoryError:
        raise ImageError(f"{path.name} is a folder, not a picture", where=str(path)) from None
    except OSError as error:
        raise ImageError(f"cannot read {path.name}: {error.strerror}", where=str(path)) from error
    if not data:
        raise ImageError(f"{path.name} is empty (0 bytes)", where=str(path))
    return data


def decoded_as_it_is(data: bytes) -> NDArray[np.generic] | None:
    """(H, W) or (H, W, C), blue first, of a file's own type, by OpenCV; None where it has no reading of it."""
    return _decode(inflated(data), cv2.IMREAD_UNCHANGED) if _is_whole(data) else None


def write_mask(path: Path, mask: Ids, palette: Sequence[tuple[int, int, int]], *, force: bool = False) -> Path:
    """`path`, now a PNG whose pixel values are the class ids: with the palette's colours if 8-bit, else 16-bit grey."""
    image = Image.fromarray(mask)
    if mask.dtype == np.uint8:
        # All 256 colours are given: Pillow stores fewer bits a pixel for fewer, and would lose id 255.
        colours = np.zeros((256, 3), np.uint8)
        colours[: len(palette)] = palette
        image.putpalette(colours.tobytes())
    with replacing(path, force=force) as temporary:
        image.save(temporary, format="PNG")
    return path


def write_image(path: Path, picture: Picture, *, force: bool = False) -> Path:
    """`path`, now a picture in the format of its suffix."""
    with replacing(path, force=force) as temporary:
        try:
            Image.fromarray(picture).save(temporary)
        except (ValueError, KeyError) as error:
            raise ImageError(f"cannot write a picture as {path.suffix!r}", where=str(path), hint="use .png") from error
    return path


def _is_whole(data: bytes) -> bool:
    """False where OpenCV should not be asked: it fills what a truncated file lacks with grey, in silence.

    A JPEG's last end-of-image marker comes after its last start-of-scan; a PNG ends with its IEND chunk.
    Pillow judges the files that fail this.
    """
    if data.startswith(_JPEG):
        return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
    if data.startswith(b"\x89PNG"):
        return b"IEND" in data[-64:]
    return not data.startswith(b"GIF8")


def _read_by_pillow(data: bytes, path: Place, upright: bool) -> Picture:
    image = _open_by_pillow(data, path)
    if upright:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        wide = np.asarray(image, np.float64)
        grey = (wide / max(wide.max(initial=0) / 255, 1.0)).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _open_by_pillow(data: bytes, path: Place) -> Image.Image:
    """The decoded image; what Pillow warns about (huge, odd metadata) is either fatal here or no matter."""
    try:
        with QUIET:
            image = Image.open(io.BytesIO(inflated(data)))
            image.load()
    except UnidentifiedImageError:
        many = path.suffix.lower() in (".tif", ".tiff", ".npy")
        hint = "of many bands, say which are to be read: --bands 1,2,3,4" if many else None
        raise ImageError(f"{path.name} is no picture that can be read", where=str(path), hint=hint) from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{path.name} says it has more pixels than is safe to decode",
            where=str(path),
            hint="tile it first, if you trust where it comes from",
        ) from None
    # Its readers of damaged files raise whatever their parsing meets.
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError) as error:
        raise ImageError(f"{path.name} is damaged: {error}", where=str(path)) from error
    return image


def _grey_bits(data: bytes) -> int:
    """Bits a pixel of a grey PNG as its header says; 8 for all else."""
    is_grey_png = data.startswith(b"\x89PNG") and len(data) > 25 and data[25] == 0
    return min(data[24], 8) if is_grey_png else 8


def _decode(data: bytes, flags: int) -> NDArray[Any] | None:
    """OpenCV's reading of a file; None where it has none (it raises on a picture that claims to be huge)."""
    with QUIET:
        try:
            return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error:
            return None


class _Quiet:
    """What Pillow warns of and OpenCV logs held back: what matters of it is raised as an error.

    Both are settings of the whole process: the first thread that enters makes them, the last that leaves undoes them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._warnings = warnings.catch_warnings()
            self._warnings.__enter__()
            warnings.simplefilter("ignore")
            self._level = cv2.utils.logging.getLogLevel()
            cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                cv2.utils.logging.setLogLevel(self._level)
                self._warnings.__exit__(None, None, None)


QUIET = _Quiet()
"""Around whatever decodes."""
