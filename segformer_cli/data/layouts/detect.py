"""DATA as users name it (NAME:PATH, a folder, a list, a .yaml, `sample`) -> one split of a data set."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from segformer_cli.data import sample
from segformer_cli.data.bending import NOT_BENT, Bending, bend
from segformer_cli.data.layouts import (
    acdc,
    ade20k,
    bdd100k,
    camvid,
    camvid32,
    cityscapes,
    cityscapes_coarse,
    coco_stuff,
    coco_stuff10k,
    context59,
    context60,
    dark_zurich,
    described,
    folder,
    kitti,
    listed,
    loveda,
    mapillary,
    mapillary_cityscapes,
    mapillary_v2,
    night_driving,
    parquet,
    potsdam,
    sbd,
    vaihingen,
    voc2012,
)
from segformer_cli.data.layouts.own import ALL
from segformer_cli.data.pairs import Split
from segformer_cli.errors import DataError, UsageError, did_you_mean
from segformer_cli.places import ARCHIVES, Place, open_place

# In the order in which they are asked whether they recognise a folder; someone's own comes last, since it takes most.
LAYOUTS: dict[str, ModuleType] = {
    layout.NAME: layout
    for layout in (
        night_driving,                          # before Cityscapes, whose folder of pictures it has
        cityscapes,
        cityscapes_coarse,
        acdc,
        dark_zurich,
        bdd100k,
        kitti,
        mapillary,
        mapillary_v2,
        mapillary_cityscapes,
        camvid,
        camvid32,
        ade20k,
        coco_stuff,
        coco_stuff10k,
        voc2012,
        sbd,
        context59,                              # before context60: the same masks, of which most papers score 59
        context60,
        loveda,
        potsdam,
        vaihingen,
        described,
        listed,
        parquet,
        folder,
    )
}

OWN = (described, listed, parquet, folder)
"""The layouts of someone's own data, which can be bent in every way."""


def open_data(data: str, split: str, bending: Bending = NOT_BENT) -> Split:
    """One split of the data set that `data` names.

    Args:
        data: NAME:PATH for a known layout, a folder, zip or tar (its layout is recognised), a list file, a .yaml, or
            `sample`.
        bending: how to read it otherwise than it lies there.

    Raises:
        UsageError: NAME is no layout, or `bending` has no meaning for this data.
        DataError: nothing there is a data set, or it has no such split.
    """
    layout, root = locate(data)
    known = layout.split_names(root)
    if split not in known:
        hint = did_you_mean(split, known) or f"needs {layout.NEEDS}"
        if split == ALL and known:
            hint = f"all is for data that is not divided into splits; known: {', '.join(known)}"
        raise DataError(f"{data} has no split {split!r}", where=str(root), hint=hint)
    found: Split
    if layout in OWN:
        found = layout.open_split(root, split, bending)
    else:
        _refuse_what_is_fixed(bending, data, layout, root)
        found = bend(layout.open_split(root, split), bending)
    if data == "sample":
        found = replace(found, data="sample")
    if not found.pairs:
        raise DataError(f"no images found in split {split!r}", where=str(root), hint=f"needs {layout.NEEDS}")
    return found


def layout_name(data: str) -> str:
    """The name of the layout that `data` is in."""
    return str(locate(data)[0].NAME)


def locate(data: str) -> tuple[ModuleType, Place]:
    """The layout and the folder, archive or file that `data` names."""
    if data == "sample":
        return cityscapes, sample.sample_root()
    # A single letter before the colon is a Windows drive.
    named = re.match(r"^([A-Za-z][\w-]+):(.*)$", data)
    if named is None:
        file = Path(data).expanduser()
        for layout in (described, listed):
            if file.suffix.lower() in layout.SUFFIXES and file.is_file():
                return layout, file
        root = _existing(data)
        return _recognised(root), root
    name, path = named.groups()
    if not path.strip():
        raise UsageError(f"-d {data} has no path after the colon", hint=f"give the folder: -d {name}:FOLDER")
    if name not in LAYOUTS:
        raise UsageError(f"there is no layout {name!r}", where=f"-d {data}", hint=did_you_mean(name, LAYOUTS))
    file = Path(path).expanduser()
    if LAYOUTS[name] in (described, listed) and file.is_file() and file.suffix.lower() not in ARCHIVES:
        return LAYOUTS[name], file
    return LAYOUTS[name], _existing(path)


def _refuse_what_is_fixed(bending: Bending, data: str, layout: ModuleType, root: Place) -> None:
    """The layouts of published data say themselves how files are called, and what 0 means; other ids can be bent."""
    if bending.image_suffix or bending.mask_suffix:
        raise UsageError(
            f"--image-suffix and --mask-suffix are for a folder of your own, {data} is in the layout {layout.NAME}",
            hint=f"name the layout: -d folder:{root}",
        )
    if bending.reduce_zero:
        raise UsageError(
            f"--reduce-zero is for data of your own: the layout {layout.NAME}, in which {data} is, says what 0 means",
            hint=f"leave it out; to read the same files as your own: -d folder:{root}",
        )


def _existing(path: str) -> Place:
    root = open_place(Path(path).expanduser())
    if not root.is_dir():
        raise DataError(
            f"there is no folder {path}",
            where=str(root.absolute()),
            hint="give NAME:PATH, the folder or zip of a data set, a .yaml, a list of files, or `sample` for the "
            "built-in street scenes",
        )
    return root


def _recognised(root: Place) -> ModuleType:
    for layout in LAYOUTS.values():
        if layout.recognises(root):
            return layout
    lying = sorted(entry.name for entry in root.iterdir())[:8]
    considered = [f"{layout.NAME} needs {layout.NEEDS}" for layout in LAYOUTS.values() if layout is not folder]
    raise DataError(
        f"{root} is in no known layout (it holds {', '.join(lying) or 'nothing'})",
        where="what was considered:\n" + "\n".join([f"{folder.NAME}: {folder.lacks(root)}", *considered]),
        hint="lay images and masks into two folders, images/ and masks/, or name the layout: -d NAME:PATH",
    )
