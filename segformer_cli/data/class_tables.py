"""The file beside someone's own masks that names the classes, and their colours where masks are drawn in colours.

| file | a line |
|---|---|
| classes.txt, labels.txt | `name`, in the order of the ids |
| classes.csv, class_dict.csv, _classes.csv | `name,r,g,b` or `id,name`, below a header that says which is which |
| label_colors.txt | `r g b name` |
| labelmap.txt | `name:r,g,b:parts:actions`, as CVAT writes it |
| id2label.json | `{"0": "name", ...}`, as on the Hugging Face hub |

What is called void, unlabeled, unknown or ignored, or has an id below 0, is no class: its pixels are ignored.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from segformer_cli.classes import Colour, same_name
from segformer_cli.coercion import counted
from segformer_cli.data.bending import HIGHEST_ID
from segformer_cli.errors import DataError
from segformer_cli.places import Place

VOID = frozenset(("void", "unlabeled", "unlabelled", "unknown", "ignore", "ignored"))
"""What such files call what is no class."""

_COLUMNS = {
    "name": ("name", "class", "label", "class name"),
    "id": ("id", "pixel value", "index", "value"),
    "r": ("r", "red"),
    "g": ("g", "green"),
    "b": ("b", "blue"),
}


@dataclass(frozen=True)
class ClassTable:
    """The classes of someone's own data.

    `colours` are those of the classes, None where the file has none; `void` those of what is no class. `ids` are those
    that masks of ids hold of the classes, 0, 1 ... where it is None; `void_ids` those of what is no class.
    """

    names: tuple[str, ...]
    source: Place
    colours: tuple[Colour, ...] | None = None
    void: tuple[Colour, ...] = ()
    ids: tuple[int, ...] | None = None
    void_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Row:
    """A class as a line has it."""

    name: str
    line: int
    colour: Colour | None = None
    index: int | None = None


def read_class_table(root: Place, *, colours: bool = False) -> ClassTable | None:
    """The classes that a file in `root` names; None where there is no such file.

    Args:
        colours: only a file that says the classes' colours will do.

    Raises:
        DataError: the file cannot be understood, or names a class twice.
    """
    for name, read in _READERS.items():
        place = root / name
        if place.is_file() and not (colours and name in _NAMES_ALONE):
            table = _table(list(read(place)), place)
            if table.colours is not None or not colours:
                return table
    return None


def _table(rows: Sequence[_Row], source: Place) -> ClassTable:
    if not rows:
        raise DataError(f"{source.name} names no class", where=str(source), hint="write one name a line")
    _refuse_twice(rows, source)
    coloured = [row.colour for row in rows if row.colour is not None]
    if coloured and len(coloured) < len(rows):
        row = next(row for row in rows if row.colour is None)
        raise _not_understood(source, row.line, row.name, "the others have a colour, this one none")
    numbers = [index if row.index is None else row.index for index, row in enumerate(rows)]
    known = [at for at, row in enumerate(rows) if numbers[at] >= 0 and same_name(row.name) not in VOID]
    void = [at for at in range(len(rows)) if at not in set(known)]
    if not known:
        raise DataError(f"{source.name} names no class but void", where=str(source))
    if len(known) == 1 and void:
        name = rows[void[0]].name
        hint = f"if pixels of {name} are where {rows[known[0]].name} is not, call it background"
        raise DataError(f"{source.name} names one class, and {name}, which is ignored", where=str(source), hint=hint)
    ids = tuple(numbers[at] for at in known)
    return ClassTable(
        tuple(rows[at].name for at in known),
        source,
        tuple(coloured[at] for at in known) if coloured else None,
        tuple(coloured[at] for at in void) if coloured else (),
        None if ids == tuple(range(len(ids))) else ids,
        tuple(numbers[at] for at in void if numbers[at] >= 0),
    )


def _refuse_twice(rows: Sequence[_Row], source: Place) -> None:
    named: dict[str, int] = {}
    numbered: dict[int, int] = {}
    for row in rows:
        first = named.setdefault(same_name(row.name), row.line)
        if first != row.line:
            raise DataError(
                f"{source.name} names {row.name!r} in line {first} and in line {row.line}",
                where=str(source),
                hint="each line is a class of its own, the first has the id 0: call them differently",
            )
        if row.index is not None and (first := numbered.setdefault(row.index, row.line)) != row.line:
            raise DataError(
                f"{source.name} gives the id {row.index} in line {first} and in line {row.line}", where=str(source)
            )


def _names(source: Place) -> Iterator[_Row]:
    for number, line in _lines(source):
        yield _Row(line, number)


def _colours_first(source: Place) -> Iterator[_Row]:
    """`64 128 64  Animal`, and the same with commas."""
    for number, line in _lines(source):
        found = re.fullmatch(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(.+)", line)
        if found is None:
            raise _not_understood(source, number, line, "a line is red, green, blue and the name")
        yield _Row(found[4].strip(), number, _colour(found.group(1, 2, 3), source, number))


def _labelmap(source: Place) -> Iterator[_Row]:
    for number, line in _lines(source):
        name, colon, rest = line.partition(":")
        if not colon:
            raise _not_understood(source, number, line, "a line is name:red,green,blue:parts:actions")
        colour = [part.strip() for part in rest.partition(":")[0].split(",")]
        yield _Row(name.strip(), number, _colour(colour, source, number) if colour != [""] else None)


def _by_columns(source: Place) -> Iterator[_Row]:
    lines = list(_lines(source))
    if not lines:
        return
    number, header = lines[0]
    columns = [part.strip().lower() for part in _cells(header)]
    places = {kind: next((columns.index(name) for name in names if name in columns), None)
              for kind, names in _COLUMNS.items()}
    name_at, id_at = places["name"], places["id"]
    colour_at = [places[channel] for channel in "rgb"]
    if name_at is None:
        hint = "its first line must say what the columns are: name,r,g,b or id,name"
        raise DataError(f"{source.name} has no column of names in its header {header!r}", where=str(source), hint=hint)
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in _cells(line)]
        if len(cells) != len(columns):
            raise _not_understood(source, number, line, f"the header has {len(columns)} columns")
        channels = [cells[at] for at in colour_at if at is not None]
        colour = _colour(channels, source, number) if len(channels) == 3 else None
        yield _Row(cells[name_at], number, colour, None if id_at is None else _index(cells[id_at], source, number))


def _id2label(source: Place) -> Iterator[_Row]:
    try:
        found = json.loads(_text(source)).items()
    except (ValueError, AttributeError, RecursionError) as error:
        hint = 'it holds {"0": "name of id 0", "1": ...}'
        raise DataError(f"{source.name} cannot be understood: {error}", where=str(source), hint=hint) from error
    rows = [_Row(str(name), number, index=_index(key, source, number)) for number, (key, name) in enumerate(found, 1)]
    yield from sorted(rows, key=lambda row: row.index or 0)


_READERS: dict[str, Callable[[Place], Iterator[_Row]]] = {
    "classes.txt": _names,
    "labelmap.txt": _labelmap,
    "classes.csv": _by_columns,
    "class_dict.csv": _by_columns,
    "_classes.csv": _by_columns,
    "label_colors.txt": _colours_first,
    "labels.txt": _names,
    "id2label.json": _id2label,
}
"""In the order in which they are looked for."""

_NAMES_ALONE = ("classes.txt", "labels.txt", "id2label.json")
CLASS_FILES = tuple(_READERS)


def _lines(source: Place) -> Iterator[tuple[int, str]]:
    """The lines that hold something, with their numbers; # begins a comment."""
    for number, line in enumerate(_text(source).splitlines(), 1):
        if (text := line.strip()) and not text.startswith("#"):
            yield number, text


def _text(source: Place) -> str:
    try:
        return source.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{source.name} is no text in UTF-8", where=str(source)) from None


def _cells(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=";" if ";" in line and "," not in line else ","))


def _colour(parts: Sequence[str], source: Place, line: int) -> Colour:
    channels = [found for part in parts if (found := counted(part, 255)) is not None]
    if len(parts) != 3 or len(channels) != 3:
        raise _not_understood(source, line, ",".join(parts), "a colour is three numbers from 0 to 255")
    return channels[0], channels[1], channels[2]


def _index(text: str, source: Place, line: int) -> int:
    """An id; below 0 of what no mask can hold."""
    found = counted(text.removeprefix("-"), HIGHEST_ID)
    if found is None:
        raise _not_understood(source, line, text, f"an id is a number from 0 to {HIGHEST_ID}; below 0, no class")
    return -found if text.startswith("-") else found


def _not_understood(source: Place, line: int, text: str, why: str) -> DataError:
    return DataError(f"{source.name}, line {line}, cannot be understood: {text!r}", where=str(source), hint=why)
