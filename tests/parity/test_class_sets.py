"""Class names, palettes and maps of ids are those that mmsegmentation scores with."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.coco_stuff10k import file_ids
from tests.conftest import peer

# As in test_mmseg.py: mmcv-lite leaves out a compiled module that nothing here calls.
compiled = ModuleType("mmcv._ext")
compiled.__getattr__ = lambda name: None  # type: ignore[method-assign]
sys.modules.setdefault("mmcv._ext", compiled)
peer("mmseg")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")                 # deprecated parts of torch that mmcv uses while it is imported
    datasets = importlib.import_module("mmseg.datasets")

pytestmark = pytest.mark.peers

THEIRS = {
    "cityscapes": "CityscapesDataset",
    "ade20k": "ADE20KDataset",
    "coco-stuff": "COCOStuffDataset",
    "voc2012": "PascalVOCDataset",
    "context59": "PascalContextDataset59",
    "context60": "PascalContextDataset",
    "mapillary": "MapillaryDataset_v1",
    "mapillary-v2": "MapillaryDataset_v2",
    "loveda": "LoveDADataset",
    "potsdam": "PotsdamDataset",
    "vaihingen": "ISPRSDataset",
    "isaid": "iSAIDDataset",
}


@pytest.mark.parametrize("name", THEIRS)
def test_names_and_colours_are_theirs_but_for_stray_blanks(name: str) -> None:
    theirs = getattr(datasets, THEIRS[name]).METAINFO
    ours = class_set(name)
    assert [label.strip() for label in theirs["classes"]] == list(ours.class_names)
    assert [tuple(colour) for colour in theirs["palette"]] == list(ours.palette)


def test_bdd100k_has_the_classes_of_cityscapes() -> None:
    theirs = datasets.BDD100KDataset.METAINFO
    assert tuple(theirs["classes"]) == class_set("cityscapes").class_names
    assert [tuple(colour) for colour in theirs["palette"]] == list(class_set("cityscapes").palette)


def converter(name: str) -> ModuleType:
    """One of mmsegmentation's scripts."""
    assert datasets.__file__ is not None
    path = Path(datasets.__file__).parents[1] / ".mim/tools/dataset_converters" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_ids_of_coco_stuff_10k_become_the_classes_that_their_script_and_reader_make_of_them() -> None:
    pytest.importorskip("scipy")
    theirs = converter("coco_stuff10k").clsID_to_trID
    reduced = {file_id: 255 if rank == 0 else rank - 1 for file_id, rank in theirs.items()}
    ids = file_ids()
    assert {index: int(ids[index]) for index in range(256) if ids[index] != -1} == reduced
