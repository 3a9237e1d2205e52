"""What is wrong with one pair of files, and what its mask holds: each check by itself, nothing raised."""

from __future__ import annotations

import errno
import hashlib
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.data.colours import ColourTable
from segformer_cli.data.near_duplicates import difference_hash
from segformer_cli.data.pairs import UNKNOWN, Pair, Split, histogram
from segformer_cli.data.polygons import LABEL_SUFFIX
from segformer_cli.data.upright import is_turned, stored_size
from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.images import Ids, decoded_as_it_is
from segformer_cli.places import Place

HUGE = 100_000_000
"""Pixels of a picture from which on it costs more memory than training has at hand."""

_PNG_KINDS = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"}
_PILLOW_KINDS = {"L": "grey", "P": "palette", "1": "1-bit", "LA": "grey and alpha"}
_COLOURS = ("RGB", "RGBA", "grey and alpha", "CMYK", "YCbCr")

POLYGONS = "polygons"
"""The kind of a mask that is drawn from a label file."""

HARMLESS = frozenset(("huge", "bands", "exif", "all_ignored", "one_class"))
"""Kinds of faults of a pair that training can do with."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with one pair: a kind of `problems.KINDS`, the file, and what is to be said of it."""

    kind: str
    file: Place
    detail: str


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen of one pair.

    `ids` are the ids that the mask's file holds, `pixels` how many each; `mask_kind` is how it holds them. `digest` is
    that of the picture's bytes, `alike` its hash for near duplicates.
    """

    faults: tuple[Fault, ...]
    mask_kind: str | None
    ids: NDArray[np.int64]
    pixels: NDArray[np.int64]
    digest: bytes | None
    alike: int | None

    @property
    def unusable_for(self) -> frozenset[str]:
        """The kinds of faults for which training cannot read the pair; none where it can."""
        return frozenset(fault.kind for fault in self.faults) - HARMLESS


@dataclass(frozen=True)
class _Seen:
    """The picture as its file tells: size in height and width as stored, EXIF orientation."""

    stored_hw: tuple[int, int] | None = None
    orientation: int = 1
    digest: bytes | None = None
    alike: int | None = None


def look_at(split: Split, pair: Pair, *, masks_only: bool = False) -> Look:
    """What was seen of a pair; a picture that is not decoded has its size from its header.

    Args:
        masks_only: decode no picture.
    """
    seen, faults = _look_at_picture(split, pair, masks_only=masks_only)
    if pair.mask is None:
        return Look(tuple(faults), None, _NONE, _NONE, seen.digest, seen.alike)
    kind, fault = _kind_or_fault(pair, pair.mask)
    try:
        stored = split.read_ids(pair.mask) if fault is None else None
    except SegFormerError as error:
        stored, fault = None, _unread_mask(error, kind, split, pair.mask)
    if stored is None:
        assert fault is not None
        return Look((*faults, fault), kind, _NONE, _NONE, seen.digest, seen.alike)
    counts = histogram(stored)
    ids = np.flatnonzero(counts)
    faults += _faults_of_ids(split, pair.mask, kind, ids)
    faults += _faults_of_size(pair, pair.mask, stored, seen)
    return Look(tuple(faults), kind, ids, counts[ids], seen.digest, seen.alike)


def mask_kind(data: bytes, place: Place) -> str:
    """How a mask's file holds ids: palette, grey, 1-bit, 16-bit, RGB, JPEG ...; else its suffix without the dot."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 25:
        bits, name = data[24], _PNG_KINDS.get(data[25], "unknown")
        if name == "grey" and bits != 8:
            return f"{bits}-bit"
        return name
    if data.startswith(b"\xff\xd8"):
        return "JPEG"
    try:
        with Image.open(io.BytesIO(data)) as image:
            return "16-bit" if image.mode.startswith("I") else _PILLOW_KINDS.get(image.mode, image.mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return place.suffix.lower().lstrip(".") or "unknown"


def damage(place: Place) -> Fault | None:
    """What keeps a file from being read at all; None where its bytes can be had."""
    return _bytes_of(place)[1]


_NONE = np.empty(0, np.int64)


def _look_at_picture(split: Split, pair: Pair, *, masks_only: bool) -> tuple[_Seen, list[Fault]]:
    data, fault = _bytes_of(pair.image)
    if data is None:
        assert fault is not None
        return _Seen(), [fault]
    faults = []
    size_hw, orientation = stored_size(data)
    if size_hw is not None and size_hw[0] * size_hw[1] >= HUGE:
        detail = f"{size_hw[0]} x {size_hw[1]}, {size_hw[0] * size_hw[1] / 1e6:.0f} million pixels"
        faults.append(Fault("huge", pair.image, detail))
    if masks_only:
        return _Seen(size_hw, orientation), faults
    if not split.bands and (more := _beyond_rgb(data)) is not None:
        faults.append(Fault("bands", pair.image, f"{more}, read as 8-bit RGB"))
    digest = hashlib.blake2b(data, digest_size=16).digest()
    try:
        picture = split.read_image(pair, upright=False)
    except SegFormerError as error:
        return _Seen(size_hw, orientation, digest), [*faults, Fault("damaged", pair.image, error.message)]
    height, width = picture.shape[:2]
    return _Seen((height, width), orientation, digest, difference_hash(split.shown(picture))), faults


def _beyond_rgb(data: bytes) -> str | None:
    """What a file holds that an 8-bit RGB picture does not: bits, or pages; None where nothing tells of it."""
    if data.startswith(b"\x89PNG"):
        return "16 bits" if data[24:25] == b"\x10" else None
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    values = decoded_as_it_is(data)
    bits = "" if values is None or values.dtype == np.uint8 else f"{8 * values.dtype.itemsize} bits"
    try:
        with Image.open(io.BytesIO(data)) as image:
            pages = getattr(image, "n_frames", 1)
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError):
        pages = 1
    said = [f"{pages} pages"] if pages > 1 else []
    return " of ".join([*said, *([bits] if bits else [])]) or None


def _bytes_of(place: Place) -> tuple[bytes | None, Fault | None]:
    """The bytes of a file, or why there are none."""
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        return None, Fault("missing", place, f"there is no file {place.name}")
    except IsADirectoryError:
        return None, Fault("folder", place, f"{place.name} is a folder")
    except PermissionError:
        return None, Fault("no_access", place, f"{place.name} may not be read")
    except OSError as error:
        loop = error.errno == errno.ELOOP
        return None, Fault("damaged", place, f"{place.name} is a link to itself" if loop else str(error.strerror))
    except SegFormerError as error:
        return None, Fault("damaged", place, error.message)
    return (data, None) if data else (None, Fault("empty", place, f"{place.name} has 0 bytes"))


def _kind_or_fault(pair: Pair, mask: Place) -> tuple[str | None, Fault | None]:
    """How the mask's file holds ids; or what keeps it from being read."""
    # A label file may be empty, and a picture without objects stands for itself.
    if mask == pair.image or mask.suffix == LABEL_SUFFIX:
        return POLYGONS, None
    data, fault = _bytes_of(mask)
    return None if data is None else mask_kind(data, mask), fault


def _unread_mask(error: SegFormerError, kind: str | None, split: Split, mask: Place) -> Fault:
    if isinstance(split.read_ids, ColourTable) and isinstance(error, DataError) and kind != "JPEG":
        return Fault("unknown_colour", mask, error.message)
    if kind == "JPEG":
        return Fault("jpeg_mask", mask, error.message)
    if kind in _COLOURS:
        return Fault("colours", mask, error.message)
    return Fault("damaged", mask, error.message)


def _faults_of_ids(split: Split, mask: Place, kind: str | None, ids: NDArray[np.int64]) -> list[Fault]:
    if kind == "JPEG":
        return [Fault("jpeg_mask", mask, f"{len(ids)} different ids, as JPEG makes of a few")]
    known = ids[ids < len(split.ids)]
    classes = split.ids[known]
    strange = sorted({*ids[ids >= len(split.ids)].tolist(), *known[classes == UNKNOWN].tolist()})
    faults = []
    if strange:
        wide = kind == "16-bit" and strange[-1] > 255 and split.ignore_index == 255
        shown = ", ".join(map(str, strange[:8])) + (" ..." if len(strange) > 8 else "")
        faults.append(Fault("wide_ids" if wide else "unknown_id", mask, shown))
    labelled = {*classes.tolist()} - {UNKNOWN, split.ignore_index}
    if not labelled and not strange:
        faults.append(Fault("all_ignored", mask, "no pixel has a class"))
    elif len(labelled) == 1 and not strange:
        faults.append(Fault("one_class", mask, split.class_names[labelled.pop()]))
    return faults


def _faults_of_size(pair: Pair, mask: Place, stored: Ids, seen: _Seen) -> list[Fault]:
    """A mask of another size than its picture; a picture that EXIF turns and whose mask was drawn on it unturned."""
    if seen.stored_hw is None:
        return []
    height, width = stored.shape
    turned = is_turned(seen.orientation)
    upright_hw = seen.stored_hw[::-1] if turned else seen.stored_hw
    if turned and (height, width) == seen.stored_hw != upright_hw:
        return [Fault("exif", pair.image, f"EXIF turns it to {upright_hw[0]} x {upright_hw[1]}, not its mask")]
    if (height, width) != upright_hw:
        return [Fault("size", pair.image, f"{upright_hw[0]} x {upright_hw[1]}, its mask {height} x {width}")]
    if seen.orientation != 1 and (not turned or height == width):
        return [Fault("exif", pair.image, "EXIF turns or mirrors it: nothing says whether its mask is turned too")]
    return []
