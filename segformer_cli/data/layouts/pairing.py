"""The pictures of one split of a published data set, each with the mask that bears its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from segformer_cli.data.pairs import Pair
from segformer_cli.errors import DataError
from segformer_cli.places import Place, name_below


def pair_by_name(
    images: Place, masks: Place, pattern: str, suffixes: Sequence[str], hint: str
) -> tuple[tuple[Pair, ...], str]:
    """The pairs of a split in order of their paths, and the suffix that their masks have.

    Where no mask lies at all, the split is unlabelled: each pair's mask is None, the suffix the first.

    Args:
        images: the folder of the split's pictures.
        masks: the folder of its masks, with the same sub-folders; it may be absent.
        pattern: of the pictures below `images`; what follows its last star is cut off to get the key.
        suffixes: what may follow the key in a mask's name; the first that any mask has is taken for all.
        hint: the way out where masks are missing.

    Raises:
        DataError: some pictures lack masks, or files lie there and none is a mask of these pictures.
    """
    ending = pattern.rpartition("*")[2]
    pictures = sorted(path for path in images.glob(pattern) if not path.name.startswith("."))
    # One listing a folder: asking for each of 118287 masks takes minutes on a network disk.
    lying = {folder: _names(masks / name_below(folder, images)) for folder in {path.parent for path in pictures}}
    suffix = next((s for s in suffixes if any(_mask_name(p, ending, s) in lying[p.parent] for p in pictures)), None)
    wanted = suffix or suffixes[0]
    pairs = []
    for picture in pictures:
        name = _mask_name(picture, ending, wanted)
        mask = masks / name_below(picture.parent, images) / name if name in lying[picture.parent] else None
        pairs.append(Pair(picture.name.removesuffix(ending), picture, mask))
    lacking = [pair.image for pair in pairs if pair.mask is None]
    if lacking and any(lying.values()):
        first = PurePosixPath(name_below(lacking[0], images))
        raise DataError(
            f"no mask found for {len(lacking)} of {len(pairs)} images (first: {images.name}/{first.as_posix()})",
            where=f"looked for {masks / first.parent / _mask_name(lacking[0], ending, wanted)}",
            hint=hint,
        )
    return tuple(pairs), wanted


def _mask_name(picture: Place, ending: str, suffix: str) -> str:
    return picture.name.removesuffix(ending) + suffix


def _names(folder: Place) -> set[str]:
    """What lies in a folder, hidden files apart; nothing where it is absent."""
    return {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.is_dir() else set()
