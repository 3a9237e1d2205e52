"""What is counted of each picture, and that several processes' counts are those of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.scoring import Judged, Pace, judge
from segformer_cli.model.checkpoint import network_from
from segformer_cli.workflows.measurements import Measurements, Wanted, instance_file, joined
from tests.conftest import RandomCheckpoint
from tests.tiny_data import write_lot

EVERYTHING = Wanted(boundary_width=0.02, object_sizes=True, confidence=True, sampled=40)


@pytest.fixture
def pictures(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> tuple[Split, list[Judged]]:
    """A split of seven pictures, each with its mask."""
    split = open_data(str(write_lot(tmp_path / "lot")), "val")
    segmenter = Segmenter.of(network_from(random_checkpoint("b0")), torch.device("cpu"))
    return split, list(judge(segmenter, split, Pace(), confident=True))


def counted(split: Split, pictures: list[Judged], wanted: Wanted = EVERYTHING) -> Measurements:
    found = Measurements(split, wanted)
    for each in pictures:
        found.add(each)
    return found


def assert_same(one: Measurements, other: Measurements) -> None:
    for name in ("confusion", "boundary", "trimap", "sizes", "confidence"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert (one.counts.keys, one.counts.targets) == (other.counts.keys, other.counts.targets)
    for name in ("intersection", "predicted", "true"):
        assert np.array_equal(getattr(one.counts, name), getattr(other.counts, name)), name
    for ours, theirs in zip(one.sampled, other.sampled, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_no_order_and_no_number_of_processes_changes_a_count(pictures: tuple[Split, list[Judged]]) -> None:
    split, judged = pictures
    whole = counted(split, judged)
    assert whole.confusion.sum() == whole.counts.true.sum() == whole.confidence[:, 0].sum() > 0
    assert all(getattr(whole, name).any() for name in ("boundary", "trimap", "sizes"))
    assert_same(counted(split, judged[::-1]), whole)
    for shards in (2, 3, 9):
        parts = [counted(split, judged[at::shards]) for at in range(shards)]
        assert_same(joined(parts), whole)
        assert_same(joined(parts[::-1]), whole)


def test_the_counts_of_the_images_are_those_of_their_matrices_in_the_order_of_the_split(
    pictures: tuple[Split, list[Judged]],
) -> None:
    split, judged = pictures
    counts = counted(split, judged[::-1]).counts
    assert counts.keys == tuple(pair.key for pair in split.pairs)
    for at, each in enumerate(judged):
        assert counts.targets[at] == each.target_hash
        assert np.array_equal(counts.intersection[at], np.diag(each.confusion))
        assert np.array_equal(counts.predicted[at], each.confusion.sum(0))
        assert np.array_equal(counts.true[at], each.confusion.sum(1))


def test_only_labelled_pixels_are_sampled_with_their_logits(pictures: tuple[Split, list[Judged]]) -> None:
    split, judged = pictures
    logits, targets = counted(split, judged).sampled
    assert logits.shape == (7 * 40, 5)
    assert targets.max() < 5
    few, _ = counted(split, judged[:1], Wanted(sampled=10**6)).sampled
    assert len(few) == judged[0].confusion.sum()


def test_pixels_of_no_class_are_missed_and_taken_for_no_other_class(pictures: tuple[Split, list[Judged]]) -> None:
    split, (first, *_) = pictures
    true = np.bincount(first.target[first.target != 255], minlength=5)
    nothing = np.zeros((5, 6), np.int64)
    nothing[:, 5] = true
    mask = np.full(first.target.shape, 77, np.uint8)
    lost = Judged(first.index, first.pair, first.target, mask, nothing, first.confidence)
    found = counted(split, [lost], Wanted(boundary_width=0.02, object_sizes=True, confidence=True))
    assert np.array_equal(found.confusion, nothing)
    assert np.array_equal(found.sizes[..., 1].sum(axis=1), true)
    assert not found.sizes[..., [0, 2]].any()       # none found, none besides
    assert not found.boundary[:, 0].any()
    assert found.trimap[:, 5].any() and not found.trimap[:, :5].any()
    assert found.confidence[:, 0].sum() == true.sum()
    assert not found.confidence[:, 1].any()
    assert found.counts.true.sum() == true.sum()
    assert not found.counts.predicted.any()


def test_what_is_not_wanted_is_not_counted(pictures: tuple[Split, list[Judged]]) -> None:
    found = counted(*pictures, Wanted())
    assert found.confusion.any()
    assert not any(getattr(found, name).any() for name in ("boundary", "trimap", "sizes", "confidence"))
    assert not found.samples


def test_a_process_without_pictures_counts_nothing(pictures: tuple[Split, list[Judged]]) -> None:
    split, judged = pictures
    assert not counted(split, []).counts.true.any()
    assert_same(joined([counted(split, judged), counted(split, [])]), counted(split, judged))


def test_the_file_of_instances_lies_beside_the_mask(tmp_path: Path) -> None:
    mask = tmp_path / "bonn_000001_000019_gtFine_labelIds.png"
    assert instance_file(mask) is None
    beside = tmp_path / "bonn_000001_000019_gtFine_instanceIds.png"
    beside.touch()
    assert instance_file(mask) == beside
    assert instance_file(mask.with_name("bonn_000001_000019_gtFine_labelTrainIds.png")) == beside
    assert instance_file(tmp_path / "a.png") is None
    assert instance_file(None) is None
