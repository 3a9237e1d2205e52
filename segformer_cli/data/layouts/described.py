"""A data set that a .yaml file describes, in ultralytics' words and a few of our own.

    path: ../my-data            # where the rest begins; beside the file where it is left out
    train: images/train         # a folder of pictures, several, or a .txt that names pictures, or pairs of files
    val: images/val
    names: [road, sky]          # or {0: road, 1: sky}
    masks: masks                # (masks_dir) stands where the pictures' path has `images`

Without masks the polygons in labels/*.txt are drawn. `description.DOCS` has every key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from segformer_cli.data.bending import Bending
from segformer_cli.data.class_tables import ClassTable
from segformer_cli.data.layouts.description import Description, read_description
from segformer_cli.data.layouts.folder import MASK_FOLDERS
from segformer_cli.data.layouts.lacking import LackingMasks, refuse
from segformer_cli.data.layouts.listed import read_lines, read_pairs
from segformer_cli.data.layouts.matching import Lying, key_of, keyed, pair_up, pictures_in
from segformer_cli.data.layouts.own import ALL, SPLITS, OwnData, open_own
from segformer_cli.data.layouts.yaml_text import read_yaml
from segformer_cli.data.own_masks import OWN_MASK_SUFFIXES
from segformer_cli.data.pairs import Pair, Split
from segformer_cli.data.polygons import LABEL_SUFFIX, LABELS, PolygonMasks
from segformer_cli.errors import DataError
from segformer_cli.places import ArchivePath, Place, files_below, open_place, swapped

NAME = "yaml"
NEEDS = "a .yaml with train and val, or a folder with data.yaml"
SUFFIXES = (".yaml", ".yml")
_IN_FOLDERS = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")


def recognises(root: Place) -> bool:
    """Whether `root` is a folder with a data.yaml or dataset.yaml of such a data set."""
    if not root.is_dir() or not any((root / name).is_file() for name in _IN_FOLDERS):
        return False
    try:
        keys = read_yaml(_file(root))
    except DataError:
        return True                             # opening it says what is wrong with it
    return bool({"train", "val", "images"} & set(keys))


def split_names(root: Place) -> list[str]:
    """The splits that the file names; train, val and all where it names none."""
    description = read_description(_file(root))
    return [split for split in SPLITS if description.texts(split)] or ["train", "val", ALL]


def open_split(root: Place, split: str, bending: Bending) -> Split:
    """One split of the data that the file describes; what `bending` says stands over what the file says.

    Args:
        root: the file, or its folder.

    Raises:
        DataError: the file cannot be understood, or names what is not there.
    """
    description = read_description(_file(root))
    bending = bending.over(description.bending())
    return open_own(_own(description, bending), split, bending)


def _file(root: Place) -> Place:
    """The file itself, or the one in a folder."""
    if not root.is_dir():
        return root
    found = next((root / name for name in _IN_FOLDERS if (root / name).is_file()), None)
    if found is None:
        raise DataError(f"{root.name} has no data.yaml", where=str(root), hint="name the file: -d FOLDER/NAME.yaml")
    return found


def _own(description: Description, bending: Bending) -> OwnData:
    root = _root(description)
    splits = tuple(split for split in SPLITS if description.texts(split))
    names = description.names()
    if names is None and "label_mapping" in description.entries:
        raise description.error("label_mapping", "needs the names of the classes", "add names: [road, sky]")
    trees = _Trees(description, root, bending)
    title = root.name if description.file.name in _IN_FOLDERS else description.file.stem
    own = OwnData(title, root, splits, cache(trees.pairs), (root, description.file.parent))
    palette = description.palette(None if names is None else len(names))
    if trees.polygons:
        if names is None:
            raise DataError("polygons need the names of the classes", where=str(description.file), hint="add names")
        reader = PolygonMasks(len(names), trees.images)
        return replace(own, table=ClassTable(reader.class_names(names), description.file), read_ids=reader)
    table = None if names is None else ClassTable(names, description.file, palette)
    return replace(own, table=table, whole_map="label_mapping" in description.entries)


class _Trees:
    """The pictures that a file names, with the masks or label files beside them."""

    def __init__(self, description: Description, root: Place, bending: Bending) -> None:
        self.description = description
        self.root = root
        self.endings = bending.image_suffix, bending.mask_suffix
        self.images = description.text("images") or "images"
        self.named = any(description.texts(split) for split in SPLITS)
        self.masks = self._masks()
        self.lying = Lying()

    @property
    def polygons(self) -> bool:
        """Whether masks are drawn from label files."""
        return self.masks is None

    def pairs(self, split: str) -> tuple[Pair, ...]:
        """The pairs of a split; of all pictures where the file names no splits."""
        places = self._places(split)
        found = [pair for place in places for pair in self._of(place)]
        if len(places) > 1:
            found = [replace(pair, key=key_of(pair.image, self.root)) for pair in found]
        if self.polygons and all(pair.mask == pair.image for pair in found):
            raise DataError(f"no picture of {split} has a label file", where=str(places[0]),
                            hint=f"they are looked for where the path has {LABELS} for {self.images}")
        return tuple(found)

    def _of(self, place: Place) -> tuple[Pair, ...]:
        if place.is_dir():
            pictures = pictures_in(place, self.endings[0])
            if self.masks is None:
                return tuple(Pair(key, each, self._label(each)) for key, each in keyed(pictures, place).items())
            return pair_up(pictures, place, self._swapped(place, self.masks), *self.endings)
        pairs = read_pairs(place, self._base_of(place))
        if pairs and pairs[0].mask is not None:
            return pairs
        return tuple(replace(pair, mask=self._mask(pair.image)) for pair in pairs)

    def _base_of(self, file: Place) -> Place:
        """The folder in which a list's names begin: the data's or the list's own, as its first line tells."""
        first = next((names[0] for _, names in read_lines(file)), None)
        return next((home for home in (self.root, file.parent) if first and (home / first).is_file()), self.root)

    def _mask(self, picture: Place) -> Place:
        if self.masks is None:
            return self._label(picture)
        folder, stem = self._swapped(picture.parent, self.masks), key_of(picture, picture.parent, self.endings[0])
        names = [f"{stem}{ending}" for ending in ((self.endings[1],) if self.endings[1] else OWN_MASK_SUFFIXES)]
        capitals = () if self.endings[1] else (f"{stem}{ending.upper()}" for ending in OWN_MASK_SUFFIXES)
        found = self.lying.first(folder / name for name in (*names, *capitals))
        if found is None:
            where = f"looked for {', '.join(names)} in {folder}"
            hint = "put it there, or say where the masks are: `masks: FOLDER`"
            refuse(LackingMasks(f"no mask found for {picture.name}", where=where, hint=hint), 1, 2)
        return found or folder / names[0]

    def _label(self, picture: Place) -> Place:
        """The label file; a picture without objects stands for itself."""
        label = self._swapped(picture.parent, LABELS) / f"{picture.stem}{LABEL_SUFFIX}"
        return label if label in self.lying else picture

    def _swapped(self, folder: Place, masks: str) -> Place:
        found = swapped(folder, self.images, masks)
        if found is None:
            raise DataError(
                f"{folder} has no part called {self.images}, in whose place {masks} would lead to the masks",
                where=str(self.description.file),
                hint="say which part of the path it is, as in `images: photos`",
            )
        return found

    def _masks(self) -> str | None:
        """What stands in the masks' path for `images`; None where label files hold polygons."""
        words = {word for key in ("masks", "masks_dir") if (word := self.description.text(key))}
        if len(words) > 1:
            raise self.description.error("masks_dir", "and masks differ", "they mean the same: leave one out")
        if words:
            return words.pop()
        place = self._places(next((name for name in SPLITS if self.description.texts(name)), ALL))[0]
        if not place.is_dir():
            names = next((names for _, names in read_lines(place)), ("",))
            if len(names) == 2:
                return "masks"                  # the list names the masks itself
            place = (self._base_of(place) / names[0]).parent
        labels = self._swapped(place, LABELS)
        if labels.is_dir() and any(file.suffix == LABEL_SUFFIX for file in files_below(labels)):
            return None
        found = next((name for name in MASK_FOLDERS if self._swapped(place, name).is_dir()), None)
        if found is None:
            raise DataError(f"no masks lie beside {place}", where=f"looked for {', '.join(MASK_FOLDERS)} in place of "
                            f"{self.images}", hint="say where they are, as in `masks: targets`")
        return found

    def _places(self, split: str) -> Sequence[Place]:
        key = split if self.named else "images"
        entries = self.description.texts(split) if self.named else (self.images,)
        return [self._place(entry, key) for entry in entries]

    def _place(self, entry: str, key: str) -> Place:
        place = self.root / entry
        if not place.exists() and entry.startswith("../"):
            place = self.root / entry.removeprefix("../")       # as Roboflow writes paths below the file's own folder
        if not place.exists():
            line = f", line {self.description.entries[key].line}" if key in self.description.entries else ""
            raise DataError(f"{key} names {entry}, which is not there", where=f"{self.description.file}{line}",
                            hint=f"it is looked for in {self.root}; `path:` names another folder")
        return place


def _root(description: Description) -> Place:
    """The folder or archive in which the rest lies."""
    home, text = description.file.absolute().parent, description.text("path")
    if text is None:
        return home
    homes = [home] if isinstance(home, ArchivePath) else [home, home.parent, Path.cwd()]
    tried = [home / text for home in homes]
    found = next((place for place in tried if place.exists()), None)
    if found is None and Path(text).name == home.name:
        return home                             # the file lies in the folder that it names
    if found is None:
        raise description.error("path", f"names {text}, which is not there", "it is looked for beside the file")
    return open_place(found) if isinstance(found, Path) else found
