"""DATA as users name it (NAME:PATH, a folder, `sample`) -> one split of a data set."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from segformer_cli.data import sample
from segformer_cli.data.layouts import acdc, ade20k, camvid, cityscapes, coco_stuff, folder
from segformer_cli.data.pairs import Split
from segformer_cli.errors import DataError, UsageError, did_you_mean
from segformer_cli.places import Place, open_place

# In the order in which they are asked whether they recognise a folder; someone's own comes last, since it takes most.
LAYOUTS: dict[str, ModuleType] = {
    layout.NAME: layout for layout in (cityscapes, acdc, ade20k, coco_stuff, camvid, folder)
}


def open_data(
    data: str, split: str, *, image_suffix: str | None = None, mask_suffix: str | None = None
) -> Split:
    """One split of the data set that `data` names.

    Args:
        data: NAME:PATH for a known layout, a folder, zip or tar (its layout is recognised), or `sample`.
        image_suffix, mask_suffix: endings of names, for a folder of one's own.

    Raises:
        UsageError: NAME is no layout.
        DataError: nothing there is a data set, or it has no such split.
    """
    layout, root = locate(data)
    known = layout.split_names(root)
    if split not in known:
        hint = did_you_mean(split, known) or f"needs {layout.NEEDS}"
        if split == folder.ALL and known:
            hint = f"all is for folders that are not divided into splits; known: {', '.join(known)}"
        raise DataError(f"{data} has no split {split!r}", where=str(root), hint=hint)
    if layout is folder:
        found = folder.open_split(root, split, image_suffix, mask_suffix)
    elif image_suffix or mask_suffix:
        raise UsageError(
            f"--image-suffix and --mask-suffix are for a folder of your own, {data} is in the layout {layout.NAME}",
            hint=f"name the layout: -d folder:{root}",
        )
    else:
        found = layout.open_split(root, split)
    if data == "sample":
        found = replace(found, data="sample")
    if not found.pairs:
        raise DataError(f"no images found in split {split!r}", where=str(root), hint=f"needs {layout.NEEDS}")
    return found


def layout_name(data: str) -> str:
    """The name of the layout that `data` is in."""
    return str(locate(data)[0].NAME)


def locate(data: str) -> tuple[ModuleType, Place]:
    """The layout and the folder or archive that `data` names."""
    if data == "sample":
        return cityscapes, sample.sample_root()
    # A single letter before the colon is a Windows drive.
    named = re.match(r"^([A-Za-z][\w-]+):(.*)$", data)
    if named is None:
        root = _existing(data)
        return _recognised(root), root
    name, path = named.groups()
    if not path.strip():
        raise UsageError(f"-d {data} has no path after the colon", hint=f"give the folder: -d {name}:FOLDER")
    if name not in LAYOUTS:
        raise UsageError(f"there is no layout {name!r}", where=f"-d {data}", hint=did_you_mean(name, LAYOUTS))
    return LAYOUTS[name], _existing(path)


def _existing(path: str) -> Place:
    root = open_place(Path(path).expanduser())
    if not root.is_dir():
        raise DataError(
            f"there is no folder {path}",
            where=str(root.absolute()),
            hint="give NAME:PATH, the folder or zip of a data set, or `sample` for the built-in street scenes",
        )
    return root


def _recognised(root: Place) -> ModuleType:
    for layout in LAYOUTS.values():
        if layout.recognises(root):
            return layout
    considered = "; ".join(f"{layout.NAME} needs {layout.NEEDS}" for layout in LAYOUTS.values())
    lying = sorted(entry.name for entry in root.iterdir())[:8]
    raise DataError(f"{root} is in no known layout (it holds {', '.join(lying) or 'nothing'})", hint=considered)
