"""The kinds of what can be wrong with a data set: how grave each is, what it is called, how it is mended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from segformer_cli.data.findings import Fault

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Kind:
    """How grave it is, what there is so many of, and the way out."""

    severity: Severity
    what: str
    hint: str = ""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the data: `count` of `what`, the first of them, and how to mend it.

    `detail` is what is to be said of the first; `files` are all, where they are files.
    """

    kind: str
    severity: Severity
    count: int
    first: str
    hint: str
    what: str
    detail: str = ""
    files: tuple[str, ...] = ()


_WRITE_IDS = "save ids of classes in a grey or palette PNG of one channel"
_OR_FIX = "or leave the pairs out: --fix FILE.yaml"

KINDS: Mapping[str, Kind] = {
    "split": Kind("error", "splits that cannot be opened"),
    "pairing": Kind("error", "splits whose masks have another ending"),
    "missing": Kind("error", "files that are not there", f"put them there, {_OR_FIX}"),
    "empty": Kind("error", "files of 0 bytes", f"copy them anew, {_OR_FIX}"),
    "damaged": Kind("error", "files that cannot be read", f"copy them anew, {_OR_FIX}"),
    "no_access": Kind("error", "files without the right to read", "give yourself the right: chmod u+r FILE"),
    "folder": Kind("error", "folders named like files", f"move them away, {_OR_FIX}"),
    "size": Kind(
        "error", "masks of another size than their pictures", f"export the masks anew, not resized, {_OR_FIX}"
    ),
    "colours": Kind(
        "error", "masks in colours where ids are wanted",
        f"{_WRITE_IDS}; or say in classes.csv which colour is which class",
    ),
    "unknown_colour": Kind(
        "error", "masks with colours of no class",
        f"add the colour to the table, save masks without smoothing or resizing, {_OR_FIX}",
    ),
    "jpeg_mask": Kind("error", "masks saved as JPEG, which blurs ids", f"{_WRITE_IDS}, from what the JPEG was made of"),
    "unknown_id": Kind("error", "masks with ids that are no class"),
    "wide_ids": Kind(
        "error", "masks of 16 bits with ids above 255",
        "ids of instances (class x 1000 + number)? Export those of classes; or bend them with --map",
    ),
    "class_map": Kind("error", "ids that seem to mean another class than they are read as"),
    "all_ignored_split": Kind(
        "error", "splits without any labelled pixel",
        "every pixel of every mask is ignored: are these the right masks, is --map or --reduce-zero meant so?",
    ),
    "leak": Kind(
        "error", "pictures that lie in two splits", "training sees what it is scored on: take them out of one"
    ),
    "near_leak": Kind(
        "warning", "pictures nearly like one of another split",
        "copies, or frames of one video? Scores are too good unless such pictures share a split",
    ),
    "absent_class": Kind(
        "warning", "classes that a split lacks",
        "in train nothing is learnt of them, elsewhere they have no score: divide the pictures otherwise",
    ),
    "all_ignored": Kind("warning", "masks without any labelled pixel", "nothing is learnt of them"),
    "one_class": Kind("warning", "masks of one class alone", "no fault where there is nothing else to see"),
    "exif": Kind(
        "warning", "pictures turned by EXIF whose masks may not be",
        "look at them with `segformer data preview`; save them upright, without that entry",
    ),
    "bands": Kind(
        "warning", "pictures of more bits or bands than the 8-bit RGB they are read as",
        "--bands 1,2,3,4 reads the bands that are named as they are stored: docs/bands.md",
    ),
    "huge": Kind("warning", "pictures of 100 million pixels or more", "cut them into tiles of some 2048 x 2048"),
    "duplicate": Kind("warning", "pictures that are in their split already", "keep one of each"),
    "near_duplicate": Kind(
        "warning", "pictures nearly like another of their split", "no fault in frames of a video; copies count twice"
    ),
    "unlabelled": Kind("warning", "splits without masks", "they can be predicted, not trained or scored on"),
    "mask_alone": Kind("warning", "masks without a picture", "are pictures missing, or called otherwise?"),
    "passed_over": Kind(
        "warning", "files beside the pictures that are not read", "save them as JPEG or PNG, or move them away"
    ),
    "counts": Kind(
        "warning", "splits of another size than published",
        "is the download whole? Scores cannot be compared with published ones",
    ),
}
"""In the order in which they are told: what makes training wrong comes first."""


def problem(
    kind: str, count: int, first: str, *, detail: str = "", hint: str | None = None, files: tuple[str, ...] = ()
) -> Problem:
    """A problem of a kind, with what is particular to this one.

    >>> found = problem("empty", 2, "images/a.png")
    >>> found.severity, found.count, found.what
    ('error', 2, 'files of 0 bytes')
    """
    known = KINDS[kind]
    return Problem(kind, known.severity, count, first, hint or known.hint, known.what, detail, files)


def gathered(faults: Iterable[Fault]) -> list[Problem]:
    """A problem for each kind of fault that files have; the count is of files."""
    by_kind: dict[str, dict[str, str]] = {}
    for fault in faults:
        by_kind.setdefault(fault.kind, {}).setdefault(str(fault.file), fault.detail)
    found = []
    for kind, files in by_kind.items():
        first = next(iter(files))
        found.append(problem(kind, len(files), first, detail=files[first], files=tuple(files)))
    return found


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems, those that make training wrong first."""
    places = {kind: place for place, kind in enumerate(KINDS)}
    return tuple(sorted(problems, key=lambda each: places[each.kind]))
