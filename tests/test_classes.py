"""Class sets, their id maps, and the rules that follow from a class count."""

from __future__ import annotations

import pytest

from segformer_cli.classes import (
    CLASS_SETS,
    class_set,
    default_palette,
    ignore_index_for,
    known_set,
    mask_dtype,
)
from segformer_cli.errors import UsageError


@pytest.mark.parametrize("name", sorted(CLASS_SETS))
def test_a_set_has_one_colour_and_one_distinct_name_a_class(name: str) -> None:
    known = class_set(name)

    assert len(known.palette) == known.num_classes
    assert len(set(known.class_names)) == known.num_classes
    assert all(label == label.strip() for label in known.class_names)
    recognised = known_set(known.class_names)           # potsdam and vaihingen have the same classes
    assert recognised is not None
    assert recognised.class_names == known.class_names


def test_the_three_main_sets_have_their_published_sizes() -> None:
    assert [class_set(name).num_classes for name in ("cityscapes", "ade20k", "camvid")] == [19, 150, 11]


def test_ade20k_names_its_beds_without_a_trailing_blank() -> None:
    assert class_set("ade20k").class_names[7] == "bed"


def test_camvid_paints_pavement_60_40_222() -> None:
    camvid = class_set("camvid")

    assert camvid.palette[camvid.class_names.index("pavement")] == (60, 40, 222)


def test_the_cityscapes_id_map_is_that_of_its_own_scripts() -> None:
    labels = pytest.importorskip("cityscapesscripts.helpers.labels").labels

    assert class_set("cityscapes").id_map == {label.id: label.trainId for label in labels if label.id >= 0}


def test_cityscapes_train_ids_map_back_to_the_ids_of_its_files() -> None:
    cityscapes = class_set("cityscapes")
    assert cityscapes.id_map is not None

    assert all(cityscapes.id_map[file_id] == index for index, file_id in cityscapes.file_ids().items())
    assert len(cityscapes.file_ids()) == 19


def test_an_unknown_set_is_answered_with_a_guess() -> None:
    with pytest.raises(UsageError, match="did you mean cityscapes"):
        class_set("citiscapes")


def test_names_are_recognised_in_other_case_and_spacing_but_not_in_other_order() -> None:
    names = [f" {name.upper().replace(' ', '_')}" for name in class_set("cityscapes").class_names]

    assert known_set(names) == class_set("cityscapes")
    assert known_set(names[::-1]) is None


@pytest.mark.parametrize("classes", [1, 2, 8, 9, 150, 255, 1000])
def test_a_default_palette_never_repeats_a_colour(classes: int) -> None:
    assert len(set(default_palette(classes))) == classes


def test_a_longer_default_palette_starts_like_a_shorter_one() -> None:
    assert default_palette(100)[:20] == default_palette(20)


def test_more_than_255_classes_need_16_bits() -> None:
    assert (ignore_index_for(255), mask_dtype(255)) == (255, "uint8")
    assert (ignore_index_for(256), mask_dtype(256)) == (65535, "uint16")
