"""What `segformer data check` means: every pair of every split looked at, and all that is wrong in one list."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from segformer_cli.config import CheckConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.findings import Fault, damage, look_at
from segformer_cli.data.layouts.detect import locate, open_data
from segformer_cli.data.layouts.own import ALL
from segformer_cli.data.pairs import Split
from segformer_cli.data.problems import Problem, gathered, in_order, problem
from segformer_cli.data.split_problems import SplitLooks, problems_of, repeated_in
from segformer_cli.errors import DataError, ImageError, SegFormerError
from segformer_cli.images import PICTURE_SUFFIXES, read_image
from segformer_cli.places import Place, files_below
from segformer_cli.progress import Progress, ProgressListener, ignore_progress
from segformer_cli.settings import checked
from segformer_cli.threads import cores, each_of
from segformer_cli.workflows.data_fix import refuse_unfixable, write_fix

if TYPE_CHECKING:
    from segformer_cli.workflows.class_map_check import MapCheck


@dataclass(frozen=True, eq=False)
class DataCheck:
    """What was found: the problems, those that make training wrong first; and what the masks hold."""

    data: str
    layout: str
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]
    looks: tuple[SplitLooks, ...]
    written: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Pairs that were looked at."""
        return sum(len(looks.split) for looks in self.looks)

    @property
    def errors(self) -> int:
        """Problems that make training wrong."""
        return sum(each.severity == "error" for each in self.problems)

    def to_json(self) -> dict[str, object]:
        """`results` of the JSON object."""
        pixels = sum((looks.class_pixels() for looks in self.looks), np.zeros(len(self.class_names), np.int64))
        return {
            "data": self.data,
            "layout": self.layout,
            "images": self.images,
            "classes": [
                {"id": k, "name": name, "pixels": int(pixels[k])} for k, name in enumerate(self.class_names)
            ],
            "problems": [
                {
                    "kind": each.kind, "severity": each.severity, "count": each.count, "first": each.first,
                    "hint": each.hint, "what": each.what, "detail": each.detail, "files": list(each.files),
                }
                for each in self.problems
            ],
            "splits": [
                {"name": looks.split.name, "images": len(looks.split), "mask_kinds": dict(looks.kinds),
                 "ids": looks.ids()}
                for looks in self.looks
            ],
        }


def check_data(config: CheckConfig, progress: ProgressListener = ignore_progress) -> DataCheck:
    """Everything that is wrong with a data set, as far as files tell; none of it is touched.

    Raises:
        DataError: there is no data set, or it has classes that the weights do not know.
        UsageError: NAME is no layout, or an id is bent to what is not there.
        SegFormerError: the file of `fix` exists or cannot be written.
    """
    config = checked(config)
    if config.fix is not None:
        refuse_unfixable(Path(config.fix), force=config.force)
    threads = config.workers or cores()
    splits, problems = _opened(config)
    layout, root = locate(config.data)
    seeing = _seeing(config, splits, progress)
    with _large_pictures_allowed():
        looks = tuple(_looked(split, number, config, threads, progress) for number, split in enumerate(splits))
        if not splits:
            problems += gathered(_of_loose_files(root, threads, progress))
    repeated = repeated_in(looks, config.alike)
    problems += problems_of(looks, "" if config.data == "sample" else layout.NAME, repeated)
    written: tuple[str, ...] = ()
    good = looks
    if seeing is not None:
        told, good = seeing.judged(looks, progress)
        problems += told
    if config.fix is not None and looks:
        written = tuple(map(str, write_fix(Path(config.fix), good, repeated, force=config.force)))
    names = splits[0].class_names if splits else ()
    return DataCheck(config.data, layout.NAME, names, in_order(problems), looks, written)


def _seeing(config: CheckConfig, splits: list[Split], progress: ProgressListener) -> MapCheck | None:
    """What looks at ids with a network; without weights none, and no torch is loaded."""
    if config.weights is None or not splits:
        return None

    from segformer_cli.workflows.class_map_check import MapCheck

    return MapCheck.of(config, splits[0], progress)


def _opened(config: CheckConfig) -> tuple[list[Split], list[Problem]]:
    """The splits that are asked for, and what keeps others from being opened."""
    layout, root = locate(config.data)
    names = [config.split] if config.split != ALL else layout.split_names(root)
    if ALL in names and config.split == ALL:
        names = ["train", "val"]                # of data that is not divided these are all of it
    bending = Bending.of(config, config.bands)
    splits: list[Split] = []
    refused: dict[tuple[str, str], list[str]] = {}
    problems = []
    for name in names:
        found = _open(config, name, bending)
        if isinstance(found, SegFormerError):
            refused.setdefault((found.message, found.hint or f"the layout needs {layout.NEEDS}"), []).append(name)
            continue
        split, ending = found
        splits.append(split)
        if ending is not None:
            problems.append(ending)
    if not names:
        raise DataError(f"{config.data} has no splits", where=str(root), hint=f"needs {layout.NEEDS}")
    for (message, hint), which in refused.items():
        problems.append(problem("split", len(which), which[0], detail=message, hint=hint))
    return splits, problems


def _open(config: CheckConfig, name: str, bending: Bending) -> tuple[Split, Problem | None] | SegFormerError:
    """A split; where masks have another ending, as the error proposes it, with that problem; or what is wrong."""
    try:
        return open_data(config.data, name, bending), None
    except (DataError, ImageError) as error:
        proposed = re.search(r"--mask-suffix (\S+)", error.hint or "")
        if proposed is None or config.mask_suffix is not None:
            return error
        try:
            split = open_data(config.data, name, replace(bending, mask_suffix=proposed[1]))
        except SegFormerError:
            return error
        hint = f"add --mask-suffix {proposed[1]}; the rest of this check has done so"
        return split, problem("pairing", 1, name, detail=error.message, hint=hint)


def _looked(
    split: Split, number: int, config: CheckConfig, threads: int, progress: ProgressListener
) -> SplitLooks:
    found = SplitLooks(split)
    looks = each_of(lambda pair: look_at(split, pair, masks_only=config.masks_only), split.pairs, threads)
    for index, look in enumerate(looks):
        found.add(number, index, look)
        progress(Progress(f"check {split.name}", index + 1, len(split), "pair"))
    return found


def _of_loose_files(root: Place, threads: int, progress: ProgressListener) -> Iterator[Fault]:
    """Files that cannot be read, of data in which no split can be opened."""
    below = files_below(root) if root.is_dir() else iter(())
    files = [place for place in below if place.suffix.lower() in PICTURE_SUFFIXES and place.name[0] != "."]
    for done, fault in enumerate(each_of(_unreadable, files, threads), 1):
        progress(Progress("look for damaged files", done, len(files), "file"))
        if fault is not None:
            yield fault


def _unreadable(place: Place) -> Fault | None:
    fault = damage(place)
    if fault is None:
        try:
            read_image(place, upright=False)
        except SegFormerError as error:
            fault = Fault("damaged", place, error.message)
    return fault


@contextmanager
def _large_pictures_allowed() -> Iterator[None]:
    """Pillow's own warning about large pictures held back: they are a finding."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        yield
