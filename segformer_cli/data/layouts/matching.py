"""Pictures below one folder, each with the mask below another that is called like it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from segformer_cli.data.layouts.lacking import LackingMasks, refuse
from segformer_cli.data.own_masks import OWN_MASK_SUFFIXES
from segformer_cli.data.pairs import Pair
from segformer_cli.errors import DataError
from segformer_cli.images import PICTURE_SUFFIXES
from segformer_cli.places import Place, files_below, name_below

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
        DataError: a picture has no mask; the message names the first and proposes a suffix that would fit. Or two have
            one name.
    """
    if not pictures:
        ending = image_suffix or ", ".join(PICTURE_SUFFIXES)
        raise DataError("no images found", where=f"{images} (looked for *{ending})", hint="check --image-suffix")
    if not masks.is_dir():
        raise DataError(f"there is no folder {masks.name}", where=str(masks))
    index = {_plain(name_below(path, masks)): path for path in files_below(masks)}
    endings = (_plain(mask_suffix),) if mask_suffix else OWN_MASK_SUFFIXES
    pairs = []
    for key, picture in keyed(pictures, images, image_suffix).items():
        mask = next((index[f"{key}{ending}"] for ending in endings if f"{key}{ending}" in index), None)
        pairs.append(Pair(key, picture, mask))
    lacking = [pair for pair in pairs if pair.mask is None]
    if lacking:
        refuse(_no_mask(lacking, pairs, images, masks, index, mask_suffix), len(lacking), len(pairs))
    return tuple(replace(pair, mask=pair.mask or masks / f"{pair.key}{endings[0]}") for pair in pairs)


def keyed(pictures: Sequence[Place], images: Place, suffix: str | None = None) -> dict[str, Place]:
    """The picture of each key.

    Raises:
        DataError: two have one name.
    """
    found: dict[str, Place] = {}
    for picture in pictures:
        if (other := found.setdefault(key_of(picture, images, suffix), picture)) != picture:
            raise DataError(
                f"{other.name} and {picture.name} have one name, so one mask and one prediction",
                where=str(picture.parent),
                hint=f"take one of them away, or say which are meant: --image-suffix {picture.suffix}",
            )
    return found


def _plain(name: str) -> str:
    """A name with its ending in small letters: some write .PNG."""
    ending = PurePosixPath(name).suffix
    return name.removesuffix(ending) + ending.lower()


def key_of(picture: Place, folder: Place, suffix: str | None = None) -> str:
    """What names a picture: its way from a folder, without its ending."""
    relative = name_below(picture, folder)
    return relative[: -len(suffix)] if suffix else relative[: -len(picture.suffix)]


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
) -> LackingMasks:
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
    proposed = best if fits[best] > len(pairs) - len(lacking) else None
    return LackingMasks(
        f"no mask found for {len(lacking)} of {len(pairs)} images (first: {name_below(first.image, images.parent)})",
        where=f"looked for {masks.name}/{first.key}{looked}; found {near[0] if near else 'nothing that begins so'}",
        hint=pairing if proposed else f"put masks of the same names into {place}",
        proposed_suffix=proposed,
    )
