"""What holds of every published layout: where to get it is said, and each tree is recognised by its own layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from segformer_cli.classes import class_set
from segformer_cli.data.layouts.detect import LAYOUTS, layout_name
from tests.data import (
    test_layouts_aerial,
    test_layouts_camvid32,
    test_layouts_coco_stuff,
    test_layouts_coco_stuff10k,
    test_layouts_mapillary,
    test_layouts_street,
    test_layouts_voc,
)

PUBLISHED = (
    "acdc",
    "ade20k",
    "bdd100k",
    "camvid",
    "camvid32",
    "cityscapes",
    "cityscapes-coarse",
    "coco-stuff10k",
    "coco-stuff164k",
    "context59",
    "context60",
    "dark-zurich",
    "kitti",
    "loveda",
    "mapillary",
    "mapillary-cityscapes",
    "mapillary-v2",
    "night-driving",
    "potsdam",
    "sbd",
    "vaihingen",
    "voc2012",
)

TREES: dict[str, tuple[Callable[[Path], Path], set[str]]] = {
    "bdd100k": (lambda root: test_layouts_street.put_bdd(root, "new"), set()),
    "camvid32": (test_layouts_camvid32.put_original, set()),
    "coco-stuff10k": (test_layouts_coco_stuff10k.put_stuff10k, set()),
    "coco-stuff164k": (test_layouts_coco_stuff.put_coco, set()),
    "context59": (test_layouts_voc.put_context, {"context60"}),
    "dark-zurich": (test_layouts_street.put_dark_zurich, set()),
    "loveda": (test_layouts_aerial.put_loveda, set()),
    "mapillary": (lambda root: test_layouts_mapillary.put_vistas(root, "v1.2", "v2.0"), set()),
    "night-driving": (test_layouts_street.put_night, {"cityscapes"}),
    "potsdam": (test_layouts_aerial.put_potsdam, set()),
    "sbd": (lambda root: test_layouts_voc.put_sbd(root, "2008_000026"), set()),
    "vaihingen": (test_layouts_aerial.put_vaihingen, set()),
    "voc2012": (test_layouts_voc.put_voc, set()),
}
"""For each layout a tree, and the layouts asked later that would take it too."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_layout_says_in_a_line_what_it_needs_and_where_to_get_it(name: str) -> None:
    layout = LAYOUTS[name]
    assert layout.SOURCE.startswith("http")
    for line in (layout.NEEDS, layout.SOURCE):
        assert "\n" not in line and len(line) < 170


@pytest.mark.parametrize("name", TREES)
def test_a_tree_is_recognised_by_its_own_layout_and_no_other_published_one(tmp_path: Path, name: str) -> None:
    put, others = TREES[name]
    put(tmp_path)
    assert layout_name(str(tmp_path)) == name
    assert {other for other in PUBLISHED if LAYOUTS[other].recognises(tmp_path)} == {name} | others


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_empty_folder_is_no_published_data_set_and_has_no_splits(tmp_path: Path, name: str) -> None:
    assert not LAYOUTS[name].recognises(tmp_path)
    assert LAYOUTS[name].split_names(tmp_path) == []


def test_the_classes_of_cityscapes_have_the_names_and_colours_of_its_own_scripts() -> None:
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels
    scored = sorted((label for label in labels if 0 <= label.trainId < 255), key=lambda label: label.trainId)
    ours = class_set("cityscapes")
    assert tuple(label.name for label in scored) == ours.class_names
    assert tuple(tuple(label.color) for label in scored) == ours.palette


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_page_on_layouts_has_a_section_of_each_with_the_line_that_reads_it(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs/data-layouts.md").read_text(encoding="utf-8")
    section = page.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    assert f"-d {name}:PATH" in section
    source = LAYOUTS[name].SOURCE.split()[0]
    assert source in section or "Download as [" in section
