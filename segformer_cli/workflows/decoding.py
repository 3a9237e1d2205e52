"""Pictures decoded once for a whole training, and by how much that fills the disk or the memory."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path

import torch
from PIL import Image

from segformer_cli.config import TrainConfig
from segformer_cli.data.decoded import SHARED_MEMORY, Decoded, bytes_needed, decoded, file_of
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.data.sample import cache_folder
from segformer_cli.engine.distributed import Group
from segformer_cli.engine.memory import free_bytes
from segformer_cli.errors import UsageError
from segformer_cli.progress import ProgressListener
from segformer_cli.threads import cores
from segformer_cli.workflows.step_cost import said_bytes

LOOKED_AT = 50
"""Pictures whose sizes stand for all."""


def cache_bytes(config: TrainConfig, split: Split) -> int:
    """What the decoded pairs take, reckoned from some; 0 where none are kept or they lie there already.

    Raises:
        UsageError: it is more than is free.
    """
    if config.cache == "none" or file_of(split, config.cache, _folder()).is_file():
        return 0
    some = split.spread(LOOKED_AT)
    bands, wide = len(split.bands) or 3, split.ignore_index > 255
    sizes = [_header_hw(some, pair) for pair in some.pairs]
    depth = some.read_image(some.pairs[0]).dtype.itemsize
    needed = bytes_needed(sizes, bands * depth, wide=wide) * len(split) // len(some)
    free = _free_memory() if config.cache == "ram" else _free_disk()
    if free is not None and needed > free:
        ways = {"ram": "docker run --shm-size gives more", "disk": "SEGFORMER_CACHE_DIR names another disk"}
        raise UsageError(
            f"cache={config.cache} would take {said_bytes(needed)}, {said_bytes(free)} are free",
            where=str(file_of(split, config.cache, _folder()).parent),
            hint=f"leave it out: pictures are then read from their files; {ways[config.cache]}",
        )
    return needed


def decoded_pairs(config: TrainConfig, split: Split, group: Group, progress: ProgressListener) -> Decoded | None:
    """The split's pairs decoded where the settings ask for it, by one process for all of a machine.

    Raises:
        SegFormerError: a picture or mask cannot be read, or the disk is full.
    """
    where = config.cache
    if where == "none":
        return None
    threads = max(cores(), config.workers or 0)
    if group.size > 1:          # the first writes, and the others find what it wrote
        group.agreed(lambda: decoded(split, where, _folder(), threads, progress) if group.leads else None)
    return group.agreed(lambda: decoded(split, where, _folder(), threads, progress))


def _folder() -> Path:
    return cache_folder(sys.platform, os.environ) / "decoded"


def _free_memory() -> int | None:
    """What is left of the memory, and of the folder that is memory: a container's is often small."""
    if not SHARED_MEMORY.is_dir():
        return _free_disk()
    left = free_bytes(torch.device("cpu"))
    shared = shutil.disk_usage(SHARED_MEMORY).free
    return shared if left is None else min(left, shared)


def _free_disk() -> int:
    folder = next(each for each in (_folder(), *_folder().parents) if each.is_dir())
    return shutil.disk_usage(folder).free


def _header_hw(split: Split, pair: Pair) -> tuple[int, int]:
    """Height and width as the file's header says; of what has none that Pillow knows, of the decoded picture."""
    try:
        with Image.open(io.BytesIO(pair.image.read_bytes())) as image:
            return image.height, image.width
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        height, width = split.read_image(pair).shape[:2]
        return height, width
