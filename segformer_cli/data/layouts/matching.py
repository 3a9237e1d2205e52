"""Pictures below one folder, each with the mask below another that is called like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from segformer_cli.data.own_masks import OWN_MASK_SUFFIXES
from segformer_cli.data.pairs import Pair
from segformer_cli.errors import DataError
from segformer_cli.images import PICTURE_SUFFIXES
from segformer_cli.places import ArchivePath, Place, files_below, name_below

COMMON_SUFFIXES = ("_mask", "_label", "_labels", "_L", "_gt", "_seg", "_gtFine_labelIds", "_labelTrainIds")


def pictures_in(folder: Place, suffix: str | None = None) -> list[Place]:
    """All pictures below a folder, in order of their names."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder.name}", where=str(folder))
    endings = (suffix.lower(),) if suffix else PICTURE_SUFFIXES
    found = (path for path in files_below(folder) if not path.name.startswith("."))
    return sorted((path for path in found if path.name.lower().endswith(endings)), key=str)


def pair_up(
    pictures: Sequence[Place],
    images: Place,
    masks: Place,
    image_suffix: str | None = None,
    mask_suffix: str | None = None,
) -> tuple[Pair, ...]:
    """Each picture with the mask of the same name, give or take the suffixes.

    Raises:
        DataError: a picture has no mask; the message names the first and proposes a suffix that would fit.
    """
    if not pictures:
        ending = image_suffix or ", ".join(PICTURE_SUFFIXES)
        raise DataError("no images found", where=f"{images} (looked for *{ending})", hint="check --image-suffix")
    if not masks.is_dir():
        raise DataError(f"there is no folder {masks.name}", where=str(masks))
    index = {name_below(path, masks): path for path in files_below(masks)}
    endings = (mask_suffix,) if mask_suffix else OWN_MASK_SUFFIXES
    pairs = []
    for picture in pictures:
        key = key_of(picture, images, image_suffix)
        mask = next((index[f"{key}{ending}"] for ending in endings if f"{key}{ending}" in index), None)
        pairs.append(Pair(key, picture, mask))
    lacking = [pair for pair in pairs if pair.mask is None]
    if lacking:
        raise _no_mask(lacking, pairs, images, masks, index, mask_suffix)
    return tuple(pairs)


def key_of(picture: Place, folder: Place, suffix: str | None = None) -> str:
    """What names a picture: its way from a folder, without its ending."""
    relative = name_below(picture, folder)
    return relative[: -len(suffix)] if suffix else relative[: -len(picture.suffix)]


def swapped(place: Place, part: str, other: str) -> Place | None:
    """The place with the last `part` of its path made `other`; None where it has none.

    >>> swapped(Path("images/a/images/train"), "images", "masks").as_posix()
    'images/a/masks/train'
    """
    parts = place.inner.parts if isinstance(place, ArchivePath) else place.parts
    old, new = PurePosixPath(part).parts, PurePosixPath(other).parts
    starts = [at for at in range(len(parts) - len(old) + 1) if parts[at : at + len(old)] == old]
    if not starts:
        return None
    changed = (*parts[: starts[-1]], *new, *parts[starts[-1] + len(old) :])
    return ArchivePath(place.archive, PurePosixPath(*changed)) if isinstance(place, ArchivePath) else Path(*changed)


class Lying:
    """Answers whether files are there by one listing a folder: asking for each takes minutes on a network disk."""

    def __init__(self) -> None:
        self._names: dict[Place, frozenset[str]] = {}

    def __contains__(self, place: Place) -> bool:
        folder = place.parent
        if folder not in self._names:
            lying = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
            self._names[folder] = frozenset(lying)
        return place.name in self._names[folder]

    def first(self, places: Iterable[Place]) -> Place | None:
        """The first of the files that is there."""
        return next((place for place in places if place in self), None)


def _no_mask(
    lacking: list[Pair],
    pairs: list[Pair],
    images: Place,
    masks: Place,
    index: dict[str, Place],
    mask_suffix: str | None,
) -> DataError:
    """What was looked for, what lies there instead, and the suffix that would pair most."""
    first = lacking[0]
    place = str(masks)
    near = sorted(name for name in index if name.startswith(first.key))
    fits = {}
    for ending in (f"{stem}{suffix}" for stem in COMMON_SUFFIXES for suffix in OWN_MASK_SUFFIXES):
        fits[ending] = sum(f"{pair.key}{ending}" in index for pair in pairs)
    best = max(fits, key=lambda ending: fits[ending])
    looked = mask_suffix or ".{" + ",".join(suffix[1:] for suffix in OWN_MASK_SUFFIXES) + "}"
    if near and near[0].lower().endswith((".jpg", ".jpeg")):
        fits[best] = 0
        place = f"{masks} as PNG: JPEG blurs class ids"
    pairing = f"add --mask-suffix {best}   (that would pair {fits[best]} of {len(pairs)})"
    return DataError(
        f"no mask found for {len(lacking)} of {len(pairs)} images (first: {name_below(first.image, images.parent)})",
        where=f"looked for {masks.name}/{first.key}{looked}; found {near[0] if near else 'nothing that begins so'}",
        hint=pairing if fits[best] else f"put masks of the same names into {place}",
    )
