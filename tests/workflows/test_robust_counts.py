"""What is counted picture by picture, and kept on disk for a run that goes on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.engine.corrupted import CorruptedMask
from segformer_cli.errors import DataError
from segformer_cli.robustness.protocols import Cell
from segformer_cli.workflows.robust_counts import RobustCounts, saved_settings

FOG = Cell("fog", 1)
CELLS: tuple[Cell | None, ...] = (None, FOG)
TARGET = [[0, 0, 1, 255]]
CLEAN = [[0, 1, 1, 1]]
FOGGY = [[1, 1, 1, 0]]


def split_of(pictures: int) -> Split:
    pairs = tuple(Pair(f"p{index}", Path(f"p{index}.png"), None) for index in range(pictures))
    return Split("val", "lot", Path(), ("road", "sky"), ((0, 0, 0), (1, 1, 1)), 255, identity_ids(2, 255), pairs)


def seen(index: int, cell: Cell | None, confidence: list[list[float]] | None = None) -> CorruptedMask:
    target, clean, foggy = (np.array(ids, np.uint8) for ids in (TARGET, CLEAN, FOGGY))
    how_sure = None if confidence is None else np.array(confidence, np.float32)
    return CorruptedMask(index, cell, target, clean if cell is None else foggy, clean, how_sure)


def through(counts: RobustCounts, index: int) -> None:
    for cell in CELLS:
        counts.add(seen(index, cell))
    counts.close(index)


def test_masks_are_counted_against_targets_and_against_the_clean_mask() -> None:
    counts = RobustCounts(split_of(1), [FOG])
    through(counts, 0)
    assert counts.confusion.tolist() == [[[1, 1], [0, 1]], [[0, 2], [0, 1]]]          # three pixels that count
    assert counts.stability.tolist() == [[[1, 0], [0, 3]], [[0, 1], [1, 2]]]          # all four
    foggy = counts.counts(FOG)
    assert (foggy.keys, foggy.intersection.tolist()) == (("p0",), [[0, 1]])
    assert (foggy.predicted.tolist(), foggy.true.tolist()) == ([[0, 3]], [[2, 1]])


def test_confidence_is_that_of_pixels_with_a_target() -> None:
    counts = RobustCounts(split_of(1), [FOG], confident=True)
    for cell in CELLS:
        counts.add(seen(0, cell, [[0.9, 0.9, 0.9, 0.1]]))
    counts.close(0)
    assert counts.confidence.sum(axis=1)[:, 0].tolist() == [3, 3]


def test_a_picture_that_fails_on_its_way_leaves_nothing_behind() -> None:
    counts = RobustCounts(split_of(2), [FOG])
    through(counts, 1)
    before = counts.confusion.copy()
    counts.add(seen(0, None))
    assert (counts.cells_done, counts.done) == (3, {1})
    counts.fail(0, "truncated")
    assert np.array_equal(counts.confusion, before)
    assert counts.counts(None).keys == ("p1",)
    assert (counts.cells_done, counts.done, counts.failed) == (4, {0, 1}, {0: "truncated"})


def test_counts_are_in_the_order_of_the_split_and_of_those_that_are_asked_for() -> None:
    counts = RobustCounts(split_of(3), [FOG])
    for index in (2, 0):
        through(counts, index)
    assert counts.counts(FOG).keys == ("p0", "p2")
    assert counts.counts(FOG, [2, 1]).keys == ("p2",)


def test_what_is_saved_in_parts_comes_back_as_a_whole(tmp_path: Path) -> None:
    settings = {"seed": 0}
    counts = RobustCounts(split_of(3), [FOG])
    for index in (1, 0):
        through(counts, index)
        counts.save(tmp_path, settings)
    counts.add(seen(2, None))
    counts.save(tmp_path, settings)                     # nothing new is through: no file more
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.npz", "000001.npz"]
    assert saved_settings(tmp_path) == '{"seed": 0}'
    again = RobustCounts(split_of(3), [FOG])
    again.load(tmp_path, settings)
    assert again.done == {0, 1}
    for name in ("confusion", "stability", "confidence"):
        assert np.array_equal(getattr(again, name), getattr(counts, name))
    for cell in CELLS:
        for name in ("keys", "targets", "intersection", "predicted", "true"):
            assert np.array_equal(getattr(again.counts(cell), name), getattr(counts.counts(cell), name))
    through(again, 2)
    again.save(tmp_path, settings)
    last = RobustCounts(split_of(3), [FOG])
    last.load(tmp_path, settings)
    assert np.array_equal(last.confusion, 3 * counts.confusion // 2)


def test_a_state_of_other_settings_is_refused_with_what_differs(tmp_path: Path) -> None:
    counts = RobustCounts(split_of(1), [FOG])
    through(counts, 0)
    counts.save(tmp_path, {"seed": 0, "rng": "fast"})
    with pytest.raises(DataError, match=r"differs in seed\n"):
        RobustCounts(split_of(1), [FOG]).load(tmp_path, {"seed": 1, "rng": "fast"})


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The one file of a state."""
    counts = RobustCounts(split_of(1), [FOG])
    through(counts, 0)
    counts.save(tmp_path, {})
    return tmp_path / "000000.npz"


def test_a_file_that_was_cut_off_goes_and_its_pictures_are_taken_again(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in range(0, len(whole), 97):
        saved.write_bytes(whole[:length])
        assert saved_settings(saved.parent) is None
        found = RobustCounts(split_of(1), [FOG])
        found.load(saved.parent, {})
        assert (found.damaged, found.pictures, found.confusion.any()) == (1, {}, False)
        assert not saved.exists()


def test_what_lies_beside_a_damaged_file_is_kept(tmp_path: Path) -> None:
    counts = RobustCounts(split_of(2), [FOG])
    for index in range(2):
        through(counts, index)
        counts.save(tmp_path, {})
    (tmp_path / "000000.npz").write_bytes(b"damaged")
    found = RobustCounts(split_of(2), [FOG])
    found.load(tmp_path, {})
    assert (found.damaged, set(found.pictures)) == (1, {1})
    through(found, 0)
    found.save(tmp_path, {})
    again = RobustCounts(split_of(2), [FOG])
    again.load(tmp_path, {})
    assert np.array_equal(again.confusion, counts.confusion)


def test_no_flipped_byte_of_a_state_is_a_crash_or_a_wrong_count(saved: Path) -> None:
    expected = RobustCounts(split_of(1), [FOG])
    expected.load(saved.parent, {})
    whole, lost = saved.read_bytes(), 0
    for at in range(0, len(whole), 23):
        saved.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        found = RobustCounts(split_of(1), [FOG])
        with suppress(DataError):                       # it hit the settings, which are others then
            found.load(saved.parent, {})
            lost += found.damaged
            # Else a byte that means nothing, such as one of a date.
            assert found.damaged or np.array_equal(found.confusion, expected.confusion)
            assert not found.damaged or not found.confusion.any()
    assert lost > len(whole) // 23 // 2
