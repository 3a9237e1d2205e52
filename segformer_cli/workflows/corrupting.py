"""Corrupted pictures as files, for tools that want files: <out>/<corruption>/<severity>/<the picture's own path>."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset

import segformer_cli
from segformer_cli.atomic import refuse_unwritable, replacing
from segformer_cli.config import CorruptConfig
from segformer_cli.data.dataset import start_worker
from segformer_cli.data.layouts.detect import locate, open_data
from segformer_cli.data.layouts.own import ALL
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import default_workers
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.images import read_image, write_image
from segformer_cli.places import Place, beginning_of, bytes_of, name_below
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.robustness.contact_sheet import contact_sheet
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.frost import textures_from
from segformer_cli.robustness.protocols import Cell, RobustProtocol, choose_robust_protocol
from segformer_cli.robustness.source import Source
from segformer_cli.settings import checked
from segformer_cli.workflows.inputs import find_pictures, named_apart
from segformer_cli.workflows.linked_masks import linked
from segformer_cli.workflows.results import free_folder, numbered_folder

SETTINGS = "corrupt.json"
"""What the files of a folder were made with: later calls with the same leave alone what is there."""

SHEET = "contact_sheet.png"
_BEGINNING = 65_536


@dataclass(frozen=True)
class Item:
    """A picture to corrupt: the key that chance depends on, its file, and its path within each variant."""

    key: str
    image: Place
    relative: Path


@dataclass(frozen=True)
class Corrupted:
    """What `corrupt_files` wrote; `kept` files were there already, made with the same settings.

    `failed` are files of pictures and why; `notes` say what else was not done.
    """

    out: str
    pictures: int
    written: int
    kept: int
    sheet: str | None
    protocol: str
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The `results` object of `segformer corrupt --json`."""
        found = {name: getattr(self, name) for name in ["out", "pictures", "written", "kept", "sheet", "protocol"]}
        return found | {"failed": [{"input": path, "error": error} for path, error in self.failed]}


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that is decided before the first picture; `single`: `out` is a file for one variant of one picture.

    `earlier` are the pictures that earlier calls with the same settings have left there, as `pictures` has them.
    """

    out: Path
    items: tuple[Item, ...]
    split: Split | None
    protocol: RobustProtocol
    corrupter: Corrupter
    settings: dict[str, object]
    force: bool
    workers: int
    single: bool = False
    earlier: dict[str, str] = field(default_factory=dict)

    @property
    def pictures(self) -> dict[str, str]:
        """What identifies each picture, by its path within a variant."""
        return {item.relative.as_posix(): _identity(item.image) for item in self.items}

    def path(self, item: Item, cell: Cell) -> Path:
        """Where a variant of a picture goes."""
        return self.out / cell.corruption / str(cell.severity) / item.relative


def corrupt_files(config: CorruptConfig, progress: bool | ProgressListener = False) -> Corrupted:
    """Every picture in every variant, as PNG; what an earlier call with the same settings left is not made again.

    For a data set the folder of each variant is laid out as the data set is, and its masks are linked there.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        SegFormerError: a file that another call made, or made with other settings, would be overwritten; or every
            picture fails.
        UsageError: a corruption, severity or protocol is unknown, or there is nothing to corrupt.
    """
    place = nullcontext(config.out) if config.out else numbered_folder("corrupt")
    with listening(progress) as listener, place as out:
        job = _job(config, Path(out))
        return _one(job) if job.single else _run(job, listener)


def plan(config: CorruptConfig) -> str:
    """What `corrupt_files` would do, in one sentence.

    Raises:
        SegFormerError: as `corrupt_files`, for what can be known beforehand.
    """
    job = _job(config, Path(config.out) if config.out else free_folder("corrupt"))
    count = len(job.items) * len(job.protocol)
    return f"would write {count} pictures to {job.out}: {len(job.items)} under {job.protocol}"


def _job(config: CorruptConfig, out: Path) -> Job:
    config = checked(config)
    if config.all and config.protocol not in (None, "all19"):
        raise UsageError(f"--all and --protocol {config.protocol} ask for two things", hint="leave one of the two out")
    protocol = choose_robust_protocol(
        "all19" if config.all else config.protocol, config.corruptions, config.severities
    )
    if not protocol.cells:
        raise UsageError("protocol none corrupts nothing", hint="leave it out, or name --corruptions")
    split = _data_set(config)
    items = (_items_of(split) if split is not None else _pictures(config))[: config.limit]
    _refuse_inside(out, config)
    single = _is_one_file(out, config, len(items) * len(protocol))
    settings: dict[str, object] = {
        "version": segformer_cli.__version__,
        "seed": config.seed,
        "rng": config.rng,
        "channel_order": config.channel_order,
        "frost_dir": config.frost_dir,
    }
    frost = textures_from(Path(config.frost_dir)) if config.frost_dir else None
    corrupter = Corrupter(seed=config.seed, mode=config.rng, channel_order=config.channel_order, frost=frost)
    workers = default_workers() if config.workers is None else config.workers
    job = Job(out, items, split, protocol, corrupter, settings, config.force, workers, single)
    return job if single else replace(job, earlier=_earlier(job))


def _data_set(config: CorruptConfig) -> Split | None:
    """The split that a single input names; None where inputs are pictures."""
    if not config.inputs:
        raise UsageError("no picture is named", hint="give files, folders, globs, or a data set as NAME:PATH")
    if len(config.inputs) > 1 or Path(config.inputs[0]).is_file():
        return None
    data = config.inputs[0]
    try:
        layout, root = locate(data)
    except DataError:
        if ":" in data:
            raise
        return None
    except UsageError:
        # C:\\pictures and a glob with a colon are pictures too.
        if Path(data).exists():
            return None
        raise
    known = layout.split_names(root)
    # Someone's own folder that is not divided is all of them, not the part called val.
    return open_data(data, config.split or (ALL if ALL in known else "val"))


def _items_of(split: Split) -> tuple[Item, ...]:
    return tuple(
        Item(pair.key, pair.image, Path(name_below(pair.image, split.root)).with_suffix(".png")) for pair in split.pairs
    )


def _pictures(config: CorruptConfig) -> tuple[Item, ...]:
    found = dict(find_pictures(config.inputs))
    apart = dict(named_apart(list(found.items())))
    twice = next((name for name, times in Counter(apart.values()).items() if times > 1), None)
    if twice is not None:
        raise UsageError(f"two pictures are called {twice}", hint="corrupt them into different folders")
    return tuple(Item(found[path].as_posix(), path, apart[path]) for path in found)


def _earlier(job: Job) -> dict[str, str]:
    """The pictures that lie in the folder already, made with the same settings.

    Raises:
        SegFormerError: files of another hand would be overwritten, or those of another picture or other settings.
    """
    path = job.out / SETTINGS
    outputs = (job.path(item, cell) for item in job.items for cell in job.protocol.cells)
    if not path.is_file() or job.force:
        refuse_unwritable(outputs, force=job.force)
        return {}
    hint = "name another folder with -o, or add --force to make them again"
    theirs = _read_settings(path)
    pictures: dict[str, str] = theirs.pop("pictures", {})
    other = sorted(name for name in {*theirs, *job.settings} if theirs.get(name) != job.settings.get(name))
    if other:
        raise SegFormerError(
            f"{job.out} holds pictures that were made with another {', '.join(other)}",
            where=str(path.absolute()),
            hint=hint,
        )
    changed = [name for name, identity in job.pictures.items() if pictures.get(name, identity) != identity]
    if changed:
        raise SegFormerError(
            f"{job.out} holds variants of another picture called {changed[0]}", where=str(path.absolute()), hint=hint
        )
    return pictures


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("pictures", {}), dict):
        raise SegFormerError(
            f"{path.name} is not what segformer corrupt writes", where=str(path.absolute()), hint="take another folder"
        )
    return found


def _identity(path: Place) -> str:
    """What two pictures of one name hardly share: the size of the file, and a hash of its beginning."""
    try:
        return f"{bytes_of(path)} {hashlib.sha256(beginning_of(path, _BEGINNING)).hexdigest()[:16]}"
    except OSError:
        return "unreadable"


def _one(job: Job) -> Corrupted:
    """One variant of one picture, in the file that was named."""
    (item,), (cell,) = job.items, job.protocol.cells
    picture = job.corrupter(Source(read_image(item.image)), item.key, cell)
    write_image(job.out, picture, force=job.force)
    return Corrupted(str(job.out), pictures=1, written=1, kept=0, sheet=None, protocol=str(job.protocol))


def _run(job: Job, progress: ProgressListener) -> Corrupted:
    with replacing(job.out / SETTINGS, force=True) as temporary:
        said = {**job.settings, "pictures": {**job.earlier, **job.pictures}}
        temporary.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    notes = tuple(linked(job.split, job.out, job.protocol.cells)) if job.split is not None else ()
    written = kept = 0
    failed: list[tuple[str, str]] = []
    loader: DataLoader[Any] = DataLoader(
        _Writers(job),
        batch_size=None,
        num_workers=min(job.workers, len(job.items)),
        collate_fn=_as_it_is,
        worker_init_fn=start_worker,
    )
    for done, (item, found) in enumerate(zip(job.items, loader, strict=True), start=1):
        if isinstance(found, str):
            failed.append((str(item.image), found))
        else:
            written, kept = written + found[0], kept + found[1]
        progress(Progress("corrupt", done, len(job.items), "image"))
    lost = {path for path, _ in failed}
    first = next((item for item in job.items if str(item.image) not in lost), None)
    if first is None:
        if not job.earlier:
            _unmake(job)
        raise SegFormerError(f"all {len(failed)} pictures failed; the first: {failed[0][1]}", where=failed[0][0])
    sheet = job.out / SHEET
    drawn = contact_sheet(
        read_image(first.image), job.protocol.cells, lambda cell: read_image(job.path(first, cell))
    )
    write_image(sheet, drawn, force=True)
    return Corrupted(
        out=str(job.out),
        pictures=len(job.items) - len(failed),
        written=written,
        kept=kept,
        sheet=str(sheet),
        protocol=str(job.protocol),
        failed=tuple(failed),
        notes=notes,
    )


def _unmake(job: Job) -> None:
    """The folder without what a call leaves there that has written no picture."""
    (job.out / SETTINGS).unlink(missing_ok=True)
    for top, folders, names in os.walk(job.out, topdown=False):
        for link in (Path(top) / name for name in (*folders, *names)):
            if link.is_symlink():
                link.unlink()
        with suppress(OSError):                      # where it holds something
            os.rmdir(top)


class _Writers(Dataset[tuple[int, int] | str]):
    """Each picture, as it is asked for, written in all its variants: how many were written and kept, or the error."""

    def __init__(self, job: Job) -> None:
        # The split's tables are not needed by writing processes.
        self.job = replace(job, split=None)

    def __len__(self) -> int:
        return len(self.job.items)

    def __getitem__(self, place: int) -> tuple[int, int] | str:
        try:
            return _write(self.job, self.job.items[place])
        except SegFormerError as error:
            return str(error).replace("\n", "; ")


def _write(job: Job, item: Item) -> tuple[int, int]:
    cells = [cell for cell in job.protocol.cells if job.force or not job.path(item, cell).exists()]
    if cells:
        source = Source(read_image(item.image))
        for cell in cells:
            write_image(job.path(item, cell), job.corrupter(source, item.key, cell), force=True)
    return len(cells), len(job.protocol) - len(cells)


def _is_one_file(out: Path, config: CorruptConfig, count: int) -> bool:
    """Whether `out` is the name of one picture.

    Raises:
        UsageError: it is, and more are to be written, or they would not be PNG.
        SegFormerError: it exists, or cannot be written.
    """
    if not out.suffix or out.is_dir() or (config.out or "").endswith(("/", os.sep)):
        return False
    if count > 1:
        folder = out.with_suffix("")
        raise UsageError(
            f"-o {out} is a file, {count} are to be written",
            hint=f"give a folder: -o {folder}/, or one picture, one of --corruptions and one of --severities",
        )
    if out.suffix.lower() != ".png":
        raise UsageError(f"-o {out}: pictures are written as PNG", hint=f"-o {out.with_suffix('.png')}")
    refuse_unwritable([out], force=config.force)
    return True


def _refuse_inside(out: Path, config: CorruptConfig) -> None:
    """Nothing where the next call will not take for its pictures what this one writes."""
    for text in config.inputs:
        place = Path(text.partition(":")[2] or text).expanduser()
        if place.is_dir() and place.resolve() in (out.resolve(), *out.resolve().parents):
            raise UsageError(
                f"-o {out} lies in {place}, whose pictures are to be corrupted", hint="name a folder beside it"
            )


def _as_it_is(item: Any) -> Any:
    return item
