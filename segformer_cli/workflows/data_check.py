"""What `segformer data check` means: every pair of every split looked at, and all that is wrong in one list."""

from __future__ import annotations

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
from segformer_cli.data.layouts.lacking import LackingMasks, tolerated
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
from segformer_cli.workflows.data_fix import refuse_inexpressible, refuse_unfixable, write_fix

if TYPE_CHECKING:
    from segformer_cli.workflows.class_map_check import MapCheck


@dataclass(frozen=True, eq=False)
class DataCheck:
    """What was found: the problems, those that make training wrong first; and what the masks hold.

    `not_written` says why a fix that was asked for could not be written.
    """

    data: str
    layout: str
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]
    looks: tuple[SplitLooks, ...]
    written: tuple[str, ...] = ()
    not_written: str | None = None

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
        UsageError: NAME is no layout, an id is bent to what is not there, or no fix can say what this data is.
        SegFormerError: the file of `fix` exists.
    """
    config = checked(config)
    if config.fix is not None:
        refuse_unfixable(Path(config.fix), force=config.force)
    threads = config.workers or cores()
    splits, problems = _opened(config)
    if config.fix is not None:
        refuse_inexpressible(Path(config.fix), splits, force=config.force)
    layout, root = locate(config.data)
    seeing = _seeing(config, splits, progress)
    with _large_pictures_allowed():
        looks = tuple(_looked(split, number, config, threads, progress) for number, split in enumerate(splits))
        if not splits:
            problems += gathered(_of_loose_files(root, threads, progress))
    repeated = repeated_in(looks, layout.NAME, config.alike)
    problems += problems_of(looks, "" if config.data == "sample" else layout.NAME, repeated)
    written: tuple[str, ...] = ()
    not_written = None
    good = looks
    if seeing is not None:
        told, good = seeing.judged(looks, progress)
        problems += told
    if config.fix is not None:
        try:
            written = tuple(map(str, write_fix(Path(config.fix), good, repeated, force=config.force)))
        except SegFormerError as error:
            not_written = error.message         # what was found is told all the same
    names = splits[0].class_names if splits else ()
    return DataCheck(config.data, layout.NAME, names, in_order(problems), looks, written, not_written)


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
        splits.append(found[0])
        problems += found[1]
    if not names:
        raise DataError(f"{config.data} has no splits", where=str(root), hint=f"needs {layout.NEEDS}")
    for (message, hint), which in refused.items():
        problems.append(problem("split", len(which), which[0], detail=message, hint=hint))
    return splits, problems


def _open(config: CheckConfig, name: str, bending: Bending) -> tuple[Split, list[Problem]] | SegFormerError:
    """A split with what it lacks, as far as no pair tells; with the ending that more masks have; or what is wrong."""
    found: Split | SegFormerError
    with tolerated() as lacking:
        try:
            found = open_data(config.data, name, bending)
        except (DataError, ImageError) as error:
            found = error
    wrong = [*lacking, *([found] if isinstance(found, LackingMasks) else [])]
    other = next((each for each in wrong if isinstance(each, LackingMasks) and each.proposed_suffix), None)
    if other is not None and config.mask_suffix is None:
        suffix = other.proposed_suffix
        again = _open(replace(config, mask_suffix=suffix), name, replace(bending, mask_suffix=suffix))
        if not isinstance(again, SegFormerError):
            hint = f"add --mask-suffix {suffix}; the rest of this check has done so"
            return again[0], [problem("pairing", 1, name, detail=other.message, hint=hint), *again[1]]
    if isinstance(found, SegFormerError):
        return found
    absent = [each for each in lacking if not isinstance(each, LackingMasks)]
    return found, [problem("missing", 1, name, detail=each.message, hint=each.hint) for each in absent]


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
    try:
        below = list(files_below(root)) if root.is_dir() else []
    except DataError as error:
        yield Fault("no_access", root, error.message)
        return
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
