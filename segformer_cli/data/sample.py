"""The sample data set: drawn street scenes in the Cityscapes layout, made where they are wanted.

    seeds       0 ...           val of the sample set
             1000 ...           train of the sample set
          500_000 ...           test: scenes that nothing was trained on
        1_000_000 ...           scenes that the shipped checkpoint was trained on
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from segformer_cli.data.scenes import draw_scene as draw_scene
from segformer_cli.errors import DataError
from segformer_cli.progress import Progress, ProgressListener, ignore_progress

SAMPLE_SPLITS: Mapping[str, int] = MappingProxyType({"train": 24, "val": 8})
SAMPLE_SIZE = (256, 512)
SAMPLE_CITY = "sample"
SAMPLE_VERSION = "sample-v1"
"""The name in the cache; a change to the drawing needs a new one."""

FIRST_SEEDS: Mapping[str, int] = MappingProxyType({"train": 1_000, "val": 0, "test": 500_000})
TRAINING_SEEDS_FROM = 1_000_000

IMAGES, LABELS = "leftImg8bit", "gtFine"
IMAGE_SUFFIX, LABEL_SUFFIX = "leftImg8bit", "gtFine_labelIds"


def write_sample(
    root: Path,
    splits: Mapping[str, int] = SAMPLE_SPLITS,
    size_hw: tuple[int, int] = SAMPLE_SIZE,
    first_seed: int | None = None,
    progress: ProgressListener = ignore_progress,
    *,
    force: bool = False,
) -> int:
    """The number of scenes written, each an image and its labelIds, all of them or none.

    Args:
        root: the folder to make; it may exist if it is empty.
        splits: scenes of each split.
        first_seed: the seed of the first scene, from which all splits count on; without it each split
            starts at its own in `FIRST_SEEDS`. The seed is the number in the file's name.
        force: replace the scenes in a folder that has some; whatever else lies there stays.

    Raises:
        DataError: the folder is not empty or cannot be written, or two splits would share a scene.
    """
    seeds = seeds_of(splits, first_seed)
    refuse_occupied(root, force=force)
    # Beside its place, so that moving it there is one rename on one disk.
    temporary = root.absolute().with_name(f".{root.absolute().name}.{secrets.token_hex(4)}.part")
    scenes = [(split, seed) for split in seeds for seed in seeds[split]]
    try:
        for done, (split, seed) in enumerate(scenes, start=1):
            write_scene(temporary, split, seed, size_hw)
            progress(Progress("drawing", done, len(scenes), "scene"))
        move_into_place(temporary, root)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot write the sample scenes: {reason}", where=str(root)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(scenes)


def seeds_of(splits: Mapping[str, int], first_seed: int | None = None) -> dict[str, range]:
    """The seeds of each split.

    Raises:
        DataError: a split without a first seed of its own, or two splits that would share a scene.

    >>> seeds_of({"train": 3, "val": 2})
    {'train': range(1000, 1003), 'val': range(0, 2)}
    >>> seeds_of({"train": 3, "val": 2}, first_seed=70)
    {'train': range(70, 73), 'val': range(73, 75)}
    """
    seeds: dict[str, range] = {}
    following = first_seed
    for split, count in splits.items():
        start = FIRST_SEEDS.get(split) if following is None else following
        if start is None:
            hint = f"name one of {', '.join(FIRST_SEEDS)}, or give a first seed"
            raise DataError(f"the sample has no split {split!r}", hint=hint)
        seeds[split] = range(start, start + count)
        following = None if following is None else start + count
    in_order = sorted((taken for taken in seeds.values() if taken), key=lambda taken: taken.start)
    for earlier, later in pairwise(in_order):
        if earlier.stop > later.start:
            raise DataError(
                f"two splits would share the scenes {later.start} to {min(earlier.stop, later.stop) - 1}",
                hint="give a first seed, from which all splits count on",
            )
    return seeds


def scene_paths(root: Path, split: str, seed: int) -> tuple[Path, Path]:
    """Where the image and the labels of a scene lie below the root of a set."""
    stem = f"{SAMPLE_CITY}_{seed:06d}_000019"
    return (
        root / IMAGES / split / SAMPLE_CITY / f"{stem}_{IMAGE_SUFFIX}.png",
        root / LABELS / split / SAMPLE_CITY / f"{stem}_{LABEL_SUFFIX}.png",
    )


def write_scene(root: Path, split: str, seed: int, size_hw: tuple[int, int]) -> None:
    """Two PNG files, the same bytes for the same seed and size."""
    image, labels = draw_scene(seed, size_hw)
    blue_first = np.ascontiguousarray(image[..., ::-1])
    for path, pixels in zip(scene_paths(root, split, seed), (blue_first, labels), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_bytes(pixels))


def png_bytes(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG file of an array (H, W) or (H, W, 3), blue first."""
    fixed = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]
    return bytes(cv2.imencode(".png", pixels, fixed)[1])


def refuse_occupied(root: Path, *, force: bool) -> None:
    """Nothing, where a set may be written.

    Raises:
        DataError: root is a file, or a folder with something in it and `force` is not given.
    """
    if root.exists() and not root.is_dir():
        raise DataError(f"{root.name} is a file, a folder is to be written there", where=str(root))
    if root.is_dir() and any(root.iterdir()) and not force:
        raise DataError(
            f"{root.name} is not empty",
            where=str(root),
            hint="name a new folder, or add --force to replace the scenes in this one",
        )


def move_into_place(temporary: Path, root: Path) -> None:
    """The folder `temporary` as `root`: one rename, or file by file where there is something already."""
    if not root.is_dir():
        os.replace(temporary, root)
        return
    new = {path.relative_to(temporary) for path in temporary.rglob("*.png")}
    # Splits that are not drawn anew keep their scenes.
    splits = {name.parts[1] for name in new}
    scenes = root.glob(f"*/*/{SAMPLE_CITY}/{SAMPLE_CITY}_*.png")
    old = {name for path in scenes if (name := path.relative_to(root)).parts[1] in splits}
    for name in sorted(new):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary / name, root / name)
    for name in old - new:
        (root / name).unlink()


def sample_root() -> Path:
    """The folder of the sample set, drawn into the user's cache on first use.

    Raises:
        DataError: the cache cannot be written.
    """
    root = cache_folder(sys.platform, os.environ) / SAMPLE_VERSION
    if not is_whole(root):
        try:
            # Drawn again where a file is gone: a folder that others read from is never without its files.
            write_sample(root, force=root.exists())
        except DataError as error:
            # Two processes may draw at once; the later one finds the earlier one's set.
            if not is_whole(root):
                error.hint = "set SEGFORMER_CACHE_DIR to a folder that can be written"
                raise
    return root


def is_whole(root: Path) -> bool:
    """Whether no scene of the sample set is missing or empty."""
    for split, seeds in seeds_of(SAMPLE_SPLITS).items():
        for seed in seeds:
            if not all(path.is_file() and path.stat().st_size > 0 for path in scene_paths(root, split, seed)):
                return False
    return True


def cache_folder(platform: str, environ: Mapping[str, str]) -> Path:
    """Where this user's programs keep what they can make again.

    >>> cache_folder("linux", {"SEGFORMER_CACHE_DIR": "/scratch/me"}).as_posix()
    '/scratch/me/segformer'
    """
    if chosen := environ.get("SEGFORMER_CACHE_DIR"):
        base = Path(chosen).expanduser()
    elif platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "segformer"
