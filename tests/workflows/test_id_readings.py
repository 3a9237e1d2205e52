"""What ids of masks mean, judged by what a network predicts there: on counts that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segformer_cli.classes import class_set
from segformer_cli.data.bending import shifted
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.workflows.id_readings import Agreement, IdCounts, Reading, better_reading, fits

CITY = class_set("cityscapes").class_names
FILE_IDS = class_set("cityscapes").file_ids()
Table = NDArray[np.int32]


def split_of(ids: Table, names: tuple[str, ...] = tuple("abcdef")) -> Split:
    """A split without pictures whose ids are read by a table."""
    return Split("val", "mine", Path("mine"), names, tuple((k, 0, 0) for k in range(len(names))), 255, ids, ())


def counted(file_id_of: dict[int, int], num_classes: int, right: float = 0.8, pixels: int = 1000) -> IdCounts:
    """Masks in which class k has the id `file_id_of[k]`, and a network that is right in that share of each class."""
    counts = IdCounts(num_classes)
    for k, index in file_id_of.items():
        wrong = round(pixels * (1 - right))
        mask = np.full(pixels, k)
        mask[:wrong] = np.resize(np.delete(np.arange(num_classes), k), wrong)
        counts.add(np.full((1, pixels), index, np.uint16 if index > 255 else np.uint8), mask[None].astype(np.uint8))
    return counts


def found_in(file_id_of: dict[int, int], split: Split, right: float = 0.8) -> Reading | None:
    return better_reading(counted(file_id_of, len(split.class_names), right), split)


def only(reading: Reading | None) -> Reading:
    assert reading is not None
    return reading


def test_ids_are_counted_beside_what_is_predicted_for_their_pixels() -> None:
    counts = IdCounts(2)
    counts.add(np.array([[0, 0, 7], [7, 7, 255]], np.uint8), np.array([[0, 1, 1], [1, 9, 0]], np.uint8))
    counts.add(np.array([[7, 40000]], np.uint16), np.array([[0, 1]], np.uint8))
    assert counts.images == 2
    assert counts.ids.tolist() == [0, 7, 255, 40000]
    assert counts.pixels.tolist() == [[1, 1, 0], [1, 2, 1], [1, 0, 0], [0, 1, 0]]


def test_a_large_picture_is_counted_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    lot = np.random.default_rng(0)
    stored, mask = (lot.integers(0, 3, (50, 40)).astype(np.uint8) for _ in range(2))
    whole, strips = IdCounts(3), IdCounts(3)
    whole.add(stored, mask)
    monkeypatch.setattr("segformer_cli.workflows.id_readings._STRIP", 77)
    strips.add(stored, mask)
    assert (whole.pixels == strips.pixels).all() and whole.pixels.sum() == 2000


def test_kappa_is_1_where_all_agree_and_0_where_one_class_is_predicted_all_over() -> None:
    assert Agreement(np.array([[3, 0, 0], [0, 5, 0]])).kappa == 1
    assert Agreement(np.array([[9, 0, 0], [1, 0, 0]])).kappa == 0
    assert Agreement(np.array([[2, 1, 0], [1, 2, 0]])).kappa == pytest.approx((4 / 6 - 0.5) / 0.5)
    assert Agreement(np.zeros((2, 3), np.int64)).kappa == 0


def test_ids_that_mean_what_they_should_are_left_in_peace() -> None:
    split = split_of(identity_ids(6, 255))
    assert found_in({k: k for k in range(6)}, split) is None
    assert found_in({k: k for k in range(6)}, split, right=0.4) is None


@settings(max_examples=60, deadline=None)
@given(st.permutations(range(6)))
def test_every_permutation_is_found_and_undone(order: list[int]) -> None:
    split = split_of(identity_ids(6, 255))
    found = found_in(dict(enumerate(order)), split)
    if order == sorted(order):
        assert found is None
        return
    table = only(found).table
    assert [int(table[index]) for index in order] == list(range(6))
    assert set(only(found).moved) >= {index for k, index in enumerate(order) if k != index}
    assert only(found).unclear == ()
    moved = sum(k != index for k, index in enumerate(order))
    assert only(found).name == "swap" if moved == 2 else only(found).name in ("other", "from_one", "from_zero")


def test_two_classes_that_have_changed_places_are_a_swap() -> None:
    found = only(found_in({0: 0, 1: 4, 2: 2, 3: 3, 4: 1, 5: 5}, split_of(identity_ids(6, 255))))
    assert (found.name, found.moved) == ("swap", (1, 4))
    assert found.miou < found.best_miou


def test_two_classes_of_two_that_have_changed_places_are_a_swap() -> None:
    split = split_of(identity_ids(2, 255), ("rest", "crack"))
    found = only(found_in({0: 1, 1: 0}, split, right=0.95))
    assert (found.name, found.moved) == ("swap", (0, 1))
    # As random weights may do that tell bright from dark.
    assert found_in({0: 1, 1: 0}, split, right=0.85) is None


def test_classes_counted_from_1_are_told_by_name() -> None:
    split = split_of(identity_ids(6, 255))
    found = only(found_in({k: k + 1 for k in range(6)}, split))
    assert found.name == "from_one" and found.table[0] == 255 and found.table[6] == 5


def test_classes_counted_from_0_that_are_read_as_from_1_are_told_by_name() -> None:
    split = split_of(shifted(identity_ids(6, 255), 255))
    found = only(found_in({k: k for k in range(6)}, split))
    assert found.name == "from_zero" and found.table[:6].tolist() == list(range(6))


def test_label_ids_read_as_train_ids_are_told_by_name_and_the_reverse_too() -> None:
    train_ids, label_ids = split_of(identity_ids(19, 255), CITY), split_of(cityscapes_label_ids(), CITY)
    assert only(found_in(FILE_IDS, train_ids)).name == "file_ids"
    assert only(found_in({k: k for k in range(19)}, label_ids)).name == "class_ids"
    assert found_in(FILE_IDS, label_ids) is None
    assert found_in({k: k for k in range(19)}, train_ids) is None


def test_an_id_of_no_class_becomes_the_class_that_is_seen_there() -> None:
    found = only(found_in({0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 40000}, split_of(identity_ids(6, 255))))
    assert found.moved == (40000,) and found.table[40000] == 5


def test_an_id_that_is_ignored_stays_so_though_the_network_sees_a_class_there() -> None:
    # Caravans, which Cityscapes does not score, are seen as trucks where there are no trucks.
    split = split_of(identity_ids(6, 255, (40,)))
    assert found_in({0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 40}, split) is None


def test_ids_that_are_read_as_one_class_stay_together() -> None:
    ids = identity_ids(6, 255)
    ids[9] = 0
    counts = counted({0: 1, 1: 0, 2: 2, 3: 3, 4: 4, 5: 5}, 6)
    counts.add(np.full((1, 400), 9, np.uint8), np.full((1, 400), 1, np.uint8))
    found = only(better_reading(counts, split_of(ids)))
    assert found.name == "swap" and found.table[[0, 1, 9]].tolist() == [1, 0, 1]


def test_ids_that_were_not_seen_and_whose_class_is_taken_are_unclear() -> None:
    found = only(found_in({0: 1, 1: 2, 2: 3, 3: 0}, split_of(identity_ids(6, 255))))
    assert found.unclear == ()
    found = only(found_in({0: 4, 1: 5, 2: 1, 3: 0}, split_of(identity_ids(6, 255))))
    assert found.unclear == (2, 3)


def test_a_network_that_knows_little_says_nothing() -> None:
    split = split_of(identity_ids(6, 255))
    assert found_in(dict(enumerate((3, 4, 5, 0, 1, 2))), split, right=0.3) is None


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_network_that_predicts_one_class_all_over_says_nothing(share: float) -> None:
    for predicted in (0, 1):
        counts = IdCounts(2)
        stored = (np.arange(1000) < 1000 * share).astype(np.uint8)[None]
        counts.add(stored, np.full((1, 1000), predicted, np.uint8))
        assert better_reading(counts, split_of(identity_ids(2, 255), ("rest", "crack"))) is None


def test_without_a_picture_there_is_nothing_to_say() -> None:
    assert better_reading(IdCounts(6), split_of(identity_ids(6, 255))) is None


def test_a_reading_found_elsewhere_fits_pictures_that_are_numbered_alike_alone() -> None:
    split, swapped = split_of(identity_ids(6, 255)), {0: 1, 1: 0, 2: 2, 3: 3, 4: 4, 5: 5}
    found = only(found_in(swapped, split))
    assert fits(counted(swapped, 6), split, found)
    assert not fits(counted({k: k for k in range(6)}, 6), split, found)
    assert not fits(counted(swapped, 6), replace(split, ids=found.table), found)
