"""What a data set's .yaml file says, key by key, each judged when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segformer_cli.classes import Colour, ignore_index_for
from segformer_cli.coercion import SWITCHES, counted
from segformer_cli.data.bending import HIGHEST_ID, IGNORE, Bending, as_entries
from segformer_cli.data.layouts.yaml_text import Entry, Value, read_yaml
from segformer_cli.errors import DataError, did_you_mean
from segformer_cli.places import Place

DOCS: Mapping[str, str] = {
    "path": "the folder, zip or tar in which the rest lies; default: the file's own folder",
    "train": "pictures: a folder, a list of folders, or a .txt that names pictures or pairs of files",
    "val": "the same for validation; without train and val all of images is divided by a hash of the names",
    "test": "the same for the test",
    "names": "the classes: a list, or a table from 0 on; default: as the masks' ids say",
    "images": "the part of the pictures' path that the masks' path has otherwise; default: images",
    "masks": "what stands there in the masks' path; default: labels with polygons, or the folder that is there",
    "masks_dir": "the same as masks, in ultralytics' word",
    "image_suffix": "ending of image names, such as _rgb.jpg",
    "mask_suffix": "ending of mask names, such as _mask.png",
    "palette": "a colour [r, g, b] for each class; of masks drawn in colours these are read",
    "map": "ids that become another class, or are dropped: {204: 1, 7: road, 11: ignore}",
    "label_mapping": "the same, but of all ids: one that is not in it is an error",
    "reduce_zero": "id 0 is ignored, the classes are counted from id 1",
    "bands": "those of the pictures to read, counted from 1: [4, 3, 2]; default: 8-bit red, green and blue",
    "ignore": "an id, or a list of ids, that is ignored beside 255",
}
"""What each key means."""

PASSED_OVER = frozenset(
    ("nc", "download", "roboflow", "kpt_shape", "kpt_names", "flip_idx", "channels", "minival", "description",
     "author", "license", "version", "url", "task")
)
"""Keys of such files that mean something to other programs alone."""

@dataclass(frozen=True)
class Description:
    """The keys of a file; each that is asked for is judged, and a DataError says what is wrong with it."""

    file: Place
    entries: Mapping[str, Entry]

    def error(self, key: str, what: str, hint: str) -> DataError:
        """What is wrong with a key's value, with its line."""
        return DataError(f"{key} {what}", where=f"{self.file}, line {self.entries[key].line}", hint=hint)

    def value(self, key: str) -> Value:
        """What a key holds; None where it is left out."""
        return self.entries[key].value if key in self.entries else None

    def text(self, key: str) -> str | None:
        """The text that a key holds."""
        value = self.value(key)
        if value is not None and not isinstance(value, str):
            raise self.error(key, "is no text", f"{key}: {DOCS[key]}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a key that takes one or a list."""
        value = self.value(key)
        parts = [value] if isinstance(value, str) else value or ()
        if isinstance(parts, Mapping) or not all(isinstance(part, str) for part in parts):
            raise self.error(key, "is no text or list of texts", f"{key}: {DOCS[key]}")
        return tuple(str(part) for part in parts)

    def switch(self, key: str) -> bool:
        """Whether a key is on; left out, it is not."""
        text = (self.text(key) or "false").lower()
        if text not in SWITCHES:
            raise self.error(key, f"is {text!r}", "write true or false")
        return SWITCHES[text]

    def names(self) -> tuple[str, ...] | None:
        """The classes in the order of their ids."""
        value = self.value("names")
        if value is None or isinstance(value, str):
            if value is not None:
                raise self.error("names", f"is {value!r}", "write a list, [road, sky], or a table, {0: road, 1: sky}")
            return None
        if isinstance(value, Mapping):
            if list(value) != [str(index) for index in range(len(value))]:
                hint = "count the classes from 0 in their order; other ids in the masks are for map: {7: 0}"
                raise self.error("names", f"has the ids {', '.join(value)}", hint)
            value = list(value.values())
        if not value or not all(isinstance(name, str) for name in value):
            raise self.error("names", "does not give each class a name", "write a list, [road, sky]")
        if (twice := next((name for at, name in enumerate(value) if name in value[:at]), None)) is not None:
            raise self.error("names", f"holds {twice!r} twice", "call the classes differently")
        return tuple(str(name) for name in value)

    def palette(self, num_names: int | None) -> tuple[Colour, ...] | None:
        """A colour for each class."""
        value = self.value("palette")
        if value is None:
            return None
        hint = "write a colour for each class: [[128, 64, 128], [70, 130, 180]]"
        if not isinstance(value, list) or num_names is None or len(value) != num_names:
            raise self.error("palette", f"has not a colour for each of {num_names or 'no'} names", hint)
        colours = []
        for part in value:
            channels = part if isinstance(part, list) and len(part) == 3 else []
            numbers = [found for each in channels if (found := counted(str(each), 255)) is not None]
            if len(numbers) != 3:
                raise self.error("palette", f"holds {part}, which is no colour", hint)
            colours.append((numbers[0], numbers[1], numbers[2]))
        return tuple(colours)

    def bending(self) -> Bending:
        """What the file says of ids and endings."""
        targets = {**dict.fromkeys(self.texts("ignore"), IGNORE)}
        # -1 is 255 in a file of 8 bits; ultralytics says ignore_label.
        ignored = str(ignore_index_for(len(self.names() or ())))
        for key in ("label_mapping", "map"):
            value = self.value(key)
            if not isinstance(value, Mapping) and value is not None:
                raise self.error(key, "is no table", f"write {key}: {{204: 1, 11: ignore}}")
            for index, target in (value or {}).items():
                if not isinstance(target, str):
                    raise self.error(key, f"sends {index} to no class", f"write {key}: {{204: 1, 11: ignore}}")
                dropped = target in (IGNORE, "ignore_label", "-1", ignored)
                targets[ignored if index == "-1" else index] = IGNORE if dropped else target
        strangers = (index for index in targets if counted(index, HIGHEST_ID) is None)
        if (stranger := next(strangers, None)) is not None:
            hint = f"ids are numbers from 0 to {HIGHEST_ID}"
            raise DataError(f"{stranger!r} is no id of a mask", where=str(self.file), hint=hint)
        entries = as_entries({int(index): target for index, target in targets.items()})
        return Bending(
            self.text("image_suffix"), self.text("mask_suffix"), entries, self.switch("reduce_zero"), self.bands()
        )

    def bands(self) -> tuple[int, ...]:
        """The bands of the pictures to read; none where the key is left out."""
        texts = self.texts("bands")
        numbers = tuple(counted(text, HIGHEST_ID) or 0 for text in texts)
        if not all(numbers):
            raise self.error("bands", f"holds {', '.join(texts)}", "bands are counted from 1: bands: [4, 3, 2]")
        return numbers


def read_description(file: Place) -> Description:
    """The keys of a file.

    Raises:
        DataError: it is no YAML, or a key is none that is known; the hint has a guess.
    """
    entries = read_yaml(file)
    for key, entry in entries.items():
        if key not in DOCS and key not in PASSED_OVER:
            where = f"{file}, line {entry.line}"
            raise DataError(f"there is no key {key!r}", where=where, hint=did_you_mean(key, DOCS))
    return Description(file, entries)
