"""Parquet shards as `datasets` writes them and the Hugging Face hub has them: data/train-00000-of-00001.parquet.

Pictures in them cannot be read one by one, so they are unpacked once, byte by byte, into this user's cache; the shards'
names, sizes and times tell whether what lies there is theirs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.matching import pair_up, pictures_in
from segformer_cli.data.layouts.own import SPLITS, OwnData, open_own
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.data.sample import cache_folder
from segformer_cli.errors import DataError, EnvironmentLacksError, UsageError
from segformer_cli.places import ArchivePath, Place, bytes_of

NAME = "parquet"
NEEDS = "data/{train,validation}-*.parquet with the columns image and label or annotation"
TARGET_COLUMNS = ("label", "annotation", "mask", "labels", "annotations", "segmentation_mask")
IMAGE_COLUMNS = ("image", "pixel_values", "img")
_SUFFIX = ".parquet"
_ROWS = 16
"""Unpacked at a time."""

_BEGINNINGS = {b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif", b"BM": ".bmp"}
"""Of the files of pictures that are no PNG."""


def recognises(root: Place) -> bool:
    """Whether `root`, or data in it, holds shards of splits."""
    return bool(_shards(root))


def split_names(root: Place) -> list[str]:
    """The splits that have shards."""
    return list(_shards(root))


def open_split(root: Place, split: str, bending: Bending) -> Split:
    """The pairs of one split, unpacked into the cache; the classes are those of id2label.json, if it lies there.

    Raises:
        EnvironmentLacksError: pyarrow is not installed.
        DataError: the shards have no column of pictures or of masks.
        UsageError: suffixes are given.
    """
    if bending.image_suffix or bending.mask_suffix:
        raise UsageError("--image-suffix and --mask-suffix are for folders, not for parquet", where=str(root))
    shards = _shards(root)

    @cache
    def pairs(name: str) -> tuple[Pair, ...]:
        home = _unpacked(shards[name])
        images, masks = home / "images", home / "masks"
        found = pair_up(pictures_in(images), images, masks)
        return tuple(replace(pair, key=f"{name}/{pair.key}") for pair in found)

    return open_own(OwnData(root.name, root, tuple(shards), pairs, (root, root / "data")), split, bending)


def _shards(root: Place) -> dict[str, list[Place]]:
    """The shards of each split, in their order."""
    for folder in (root / "data", root):
        lying = sorted(entry for entry in folder.iterdir() if entry.suffix == _SUFFIX) if folder.is_dir() else []
        named = {shard: shard.stem.partition("-")[0] for shard in lying}
        found = {split: [shard for shard in lying if named[shard] in names] for split, names in SPLITS.items()}
        if any(found.values()):
            return {split: shards for split, shards in found.items() if shards}
    return {}


def _unpacked(shards: list[Place]) -> Path:
    """The folder with the pictures and masks of some shards; they are written where it is not there yet."""
    digest = hashlib.sha256()
    for shard in shards:
        file = shard.archive if isinstance(shard, ArchivePath) else shard
        digest.update(f"{shard.absolute()} {bytes_of(shard)} {file.stat().st_mtime_ns}\n".encode())
    home = cache_folder(sys.platform, os.environ) / "parquet" / digest.hexdigest()[:24]
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    try:
        for kind in ("images", "masks"):
            (temporary / kind).mkdir()
        for row, (image, mask) in enumerate(_rows(shards)):
            for kind, data in (("images", image), ("masks", mask)):
                (temporary / kind / f"{row:07d}{_ending(data)}").write_bytes(data)
        try:
            temporary.replace(home)
        except OSError:
            if not home.is_dir():               # another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return home


def _rows(shards: list[Place]) -> Iterator[tuple[bytes, bytes]]:
    """The bytes of each picture and its mask."""
    for shard in shards:
        yield from _rows_of(shard)


def _rows_of(shard: Place) -> Iterator[tuple[bytes, bytes]]:
    pyarrow, parquet = _pyarrow()
    try:
        source = pyarrow.BufferReader(shard.read_bytes()) if isinstance(shard, ArchivePath) else str(shard)
        file = parquet.ParquetFile(source)
        columns = [_column(file, shard, names) for names in (IMAGE_COLUMNS, TARGET_COLUMNS)]
        for batch in file.iter_batches(_ROWS, columns=columns):
            for image, mask in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                yield _bytes(image, shard), _bytes(mask, shard)
    except pyarrow.ArrowException as error:
        raise DataError(f"{shard.name} is no parquet that can be read: {error}", where=str(shard)) from error


def _column(file: Any, shard: Place, names: tuple[str, ...]) -> str:
    known = file.schema_arrow.names
    found = next((name for name in names if name in known), None)
    if found is None:
        raise DataError(
            f"{shard.name} has no column {' or '.join(names[:2])}",
            where=str(shard),
            hint=f"it has {', '.join(known)}; rename_column of `datasets` calls one otherwise",
        )
    return found


def _bytes(cell: Any, shard: Place) -> bytes:
    data = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(data, bytes) or not data:
        raise DataError(
            f"{shard.name} holds names of pictures, not the pictures",
            where=str(shard),
            hint="push_to_hub of `datasets` puts them in; to_parquet alone does not",
        )
    return data


def _ending(data: bytes) -> str:
    return next((ending for start, ending in _BEGINNINGS.items() if data.startswith(start)), ".png")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise EnvironmentLacksError(
            "pyarrow, which reads parquet, is not installed", hint='pip install "segformer-cli[parquet]"'
        ) from None
    return pyarrow, parquet
