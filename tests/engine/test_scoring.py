"""A network over a split: each picture once, counted exactly, the same however it is worked through."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter, mask_and_confidence
from segformer_cli.engine.protocol import Protocol
from segformer_cli.engine.scoring import (
    MOST_TOGETHER,
    Judged,
    Pace,
    judge,
    pictures_together,
    score_split,
    told,
    values_at,
)
from segformer_cli.engine.upsampling import class_values
from segformer_cli.errors import ImageError, WeightsError
from segformer_cli.images import read_image
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import scores
from segformer_cli.model.checkpoint import Checkpoint, network_from
from segformer_cli.progress import Progress
from segformer_cli.resize import NATIVE, SizePolicy
from tests.conftest import RandomCheckpoint
from tests.tiny_data import SIZES, THINGS, drawn_by_lot, write_folder, write_lot

CPU = torch.device("cpu")
HW = tuple[int, int]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """Seven pictures of five classes and of five sizes; their neighbours share sizes only in places."""
    return open_data(str(write_lot(tmp_path_factory.mktemp("data") / "lot")), "val")


def of(checkpoint: Checkpoint, **protocol: object) -> Segmenter:
    fields = {"name": "test", "size": NATIVE, **protocol}
    return Segmenter.of(network_from(checkpoint), CPU, protocol=Protocol(**fields))  # type: ignore[arg-type]


# A plain reference: every map upsampled whole, in float64, by torch; every loop written out.


def enlarged(logits: Tensor, size_hw: HW) -> Tensor:
    return F.interpolate(logits, size=size_hw, mode="bilinear", align_corners=False)


def resized(picture: NDArray[np.uint8], size_hw: HW) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_LINEAR))


def plain_logits(
    checkpoint: Checkpoint, picture: NDArray[np.uint8], network_hw: HW, offsets: list[HW], window: HW
) -> Tensor:
    """(1, K, H, W) at the network's size: windows at these offsets, their logits averaged where they overlap."""
    network = network_from(checkpoint)
    mean, std = np.array(checkpoint.config.mean), np.array(checkpoint.config.std)
    bands = torch.from_numpy(((picture - mean) / std).transpose(2, 0, 1)).float()[None]
    total = torch.zeros(1, checkpoint.config.num_classes, *network_hw, dtype=torch.double)
    hits = torch.zeros(1, 1, *network_hw, dtype=torch.double)
    for top, left in offsets:
        box = (..., slice(top, top + window[0]), slice(left, left + window[1]))
        with torch.inference_mode():
            total[box] += enlarged(network(bands[box]).double(), window)
        hits[box] += 1
    return total / hits


def values_of(segmenter: Segmenter, picture: NDArray[np.uint8]) -> Tensor:
    """(K, H, W), as the segmenter has it."""
    (maps,) = segmenter.passes(segmenter.prepare(picture))
    return torch.cat([rows for _, rows in class_values(maps, picture.shape[:2])]).permute(2, 0, 1).double()


def noise(size_hw: HW, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (*size_hw, 3), np.uint8)


def test_sliding_windows_equal_a_loop_over_whole_maps(random_checkpoint: RandomCheckpoint) -> None:
    checkpoint = random_checkpoint("b0", classes=4)
    picture = noise((90, 131))
    # Native size, no alignment; windows of 64 every 48: rows at 0 and 26, columns at 0, 48 and 67.
    offsets = [(top, left) for top in (0, 26) for left in (0, 48, 67)]
    expected = plain_logits(checkpoint, picture, (90, 131), offsets, (64, 64))[0]
    segmenter = of(checkpoint, size=SizePolicy(align=1), window=(64, 64), stride=(48, 48))
    assert torch.allclose(values_of(segmenter, picture), expected, atol=1e-4 * float(expected.std()), rtol=0)
    agree = segmenter.mask(picture) == expected.argmax(0).numpy()
    assert agree.mean() > 0.9995


def test_multi_scale_with_mirror_images_equals_a_loop_over_whole_maps(random_checkpoint: RandomCheckpoint) -> None:
    checkpoint = random_checkpoint("b0", classes=4)
    picture = noise((50, 70))
    # A short side of 64 times the ratio: (64, 90) and (32, 45), each side then up to a multiple of 32.
    steps = {1.0: ((64, 90), (64, 96)), 0.5: ((32, 45), (32, 64))}
    expected = torch.zeros(4, 50, 70, dtype=torch.double)
    for fitted, aligned in steps.values():
        sized = resized(resized(picture, fitted), aligned)
        for mirrored in (False, True):
            seen = sized[:, ::-1].copy() if mirrored else sized
            logits = plain_logits(checkpoint, seen, aligned, [(0, 0)], aligned)
            softmax = enlarged(logits, (50, 70)).softmax(1)[0]
            expected += (softmax.flip(-1) if mirrored else softmax) / 4
    segmenter = of(checkpoint, size=SizePolicy(short=64, long=256), ratios=(1.0, 0.5), flip=True)
    found = values_of(segmenter, picture)
    assert torch.allclose(found, expected, atol=1e-5, rtol=0)
    assert (segmenter.mask(picture) == expected.argmax(0).numpy()).mean() > 0.9995
    (maps,) = segmenter.passes(segmenter.prepare(picture))
    mask, confidence = mask_and_confidence(maps, (50, 70))
    assert torch.allclose(confidence.double(), expected.amax(0), atol=1e-5)
    assert np.array_equal(mask.numpy(), segmenter.mask(picture))


def test_windows_at_several_scales_and_mirrored_equal_a_loop_over_whole_maps(
    random_checkpoint: RandomCheckpoint,
) -> None:
    checkpoint = random_checkpoint("b0", classes=3)
    picture = noise((64, 100))
    # At half the size, 32 x 50, the window is cut to the picture's height: columns at 0 and 2.
    grids = {
        (64, 100): ((48, 48), [(top, left) for top in (0, 16) for left in (0, 32, 52)]),
        (32, 50): ((32, 48), [(0, 0), (0, 2)]),
    }
    expected = torch.zeros(3, 64, 100, dtype=torch.double)
    for network_hw, (window, offsets) in grids.items():
        sized = resized(picture, network_hw) if network_hw != (64, 100) else picture
        for mirrored in (False, True):
            seen = sized[:, ::-1].copy() if mirrored else sized
            logits = plain_logits(checkpoint, seen, network_hw, offsets, window)
            softmax = enlarged(logits, (64, 100)).softmax(1)[0]
            expected += (softmax.flip(-1) if mirrored else softmax) / 4
    segmenter = of(
        checkpoint, size=SizePolicy(align=1), window=(48, 48), stride=(32, 32), ratios=(1.0, 0.5), flip=True
    )
    assert torch.allclose(values_of(segmenter, picture), expected, atol=1e-5, rtol=0)


def test_the_confidence_of_one_pass_is_the_softmax_of_the_class_chosen(random_checkpoint: RandomCheckpoint) -> None:
    checkpoint = random_checkpoint("b0", classes=4)
    picture = noise((33, 47))
    segmenter = of(checkpoint)
    (maps,) = segmenter.passes(segmenter.prepare(picture))
    _, confidence = mask_and_confidence(maps, (33, 47))
    assert torch.allclose(confidence.double(), values_of(segmenter, picture).softmax(0).amax(0), atol=1e-5)


# However a split is worked through.

PACES = [Pace(batch_size=3), Pace(workers=2), Pace(batch_size=3, workers=1), Pace(batch_size="auto")]


@pytest.mark.parametrize("protocol", [{}, {"window": (48, 48), "stride": (32, 32), "flip": True, "ratios": (1.0, 0.5)}])
def test_the_matrix_is_the_same_for_any_batch_workers_and_order_of_pictures_of_any_size(
    split: Split, random_checkpoint: RandomCheckpoint, protocol: dict[str, object]
) -> None:
    segmenter = of(random_checkpoint("b0"), **protocol)
    expected = score_split(segmenter, split)
    assert expected.sum() == sum(np.count_nonzero(split.read_target(pair) != 255) for pair in split.pairs)
    for pace in PACES[: 3 if not protocol else 1]:
        assert score_split(segmenter, split, pace).tobytes() == expected.tobytes()
    backwards = dataclasses.replace(split, pairs=split.pairs[::-1])
    assert score_split(segmenter, backwards, Pace(batch_size=2)).tobytes() == expected.tobytes()


def test_shards_take_every_picture_once_and_add_up_to_the_whole(
    split: Split, random_checkpoint: RandomCheckpoint
) -> None:
    segmenter = of(random_checkpoint("b0"))
    whole = list(judge(segmenter, split, Pace()))
    shards = [list(judge(segmenter, split, Pace(batch_size=2, shard=at, shards=3))) for at in range(3)]
    assert [[each.index for each in shard] for shard in shards] == [[0, 3, 6], [1, 4], [2, 5]]
    for each in (found for shard in shards for found in shard):
        assert np.array_equal(each.confusion, whole[each.index].confusion)
        assert np.array_equal(each.mask, whole[each.index].mask)
        assert each.target_hash == whole[each.index].target_hash
    assert list(judge(segmenter, split.first(2), Pace(shard=2, shards=3))) == []


def test_each_picture_has_its_mask_its_target_and_their_matrix(
    split: Split, random_checkpoint: RandomCheckpoint
) -> None:
    segmenter = of(random_checkpoint("b0"))
    for each, size in zip(judge(segmenter, split, Pace(batch_size=2)), SIZES, strict=True):
        assert each.mask.shape == each.target.shape == size
        assert np.array_equal(each.target, split.read_target(each.pair))
        assert np.array_equal(each.mask, segmenter.mask(read_image(each.pair.image)))
        assert np.array_equal(each.confusion, confusion_matrix(each.target, each.mask, 5, 255))
        assert each.confidence is None


def test_one_class_is_predicted_where_its_output_is_above_zero(
    tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    target = drawn_by_lot((64, 96), classes=2, seed=0)
    data = open_data(str(write_folder(tmp_path / "d", {"a": target}, ("background", "water"))), "val")
    checkpoint = random_checkpoint("b0", class_names=("water",), classes=1)
    (found,) = judge(of(checkpoint), data, Pace(), confident=True)
    z = plain_logits(checkpoint, read_image(data.pairs[0].image), (64, 96), [(0, 0)], (64, 96))[0, 0].numpy()
    assert 0.02 < (z > 0).mean() < 0.98
    assert (found.mask == (z > 0)).mean() > 0.999
    assert found.confusion.shape == (2, 2)
    assert found.confidence is not None
    assert np.allclose(found.confidence, 1 / (1 + np.exp(-np.abs(z))), atol=1e-5)


def test_classes_of_the_network_are_counted_as_what_they_mean_in_the_data(
    split: Split, random_checkpoint: RandomCheckpoint
) -> None:
    segmenter = of(random_checkpoint("b0", classes=3))
    names = dataclasses.replace(split, class_names=(*THINGS, "more", "still more"))
    plain = list(judge(segmenter, names, Pace()))
    # The network's three classes are the data's 6 and 1, and none of its seven.
    meaning = np.array([6, 1, 7])
    for each, before in zip(judge(segmenter, names, Pace(), meaning=meaning), plain, strict=True):
        assert np.array_equal(each.mask, meaning[before.mask])
        expected = np.zeros((7, 8), np.int64)
        expected[:, [6, 1, 7]] = before.confusion[:, :3]
        assert np.array_equal(each.confusion, expected)


def test_the_values_of_some_pixels_are_those_of_the_whole_map(random_checkpoint: RandomCheckpoint) -> None:
    segmenter = of(random_checkpoint("b0"), flip=True)
    picture = noise((45, 61))
    whole = values_of(segmenter, picture).flatten(1).T
    places = np.array([0, 7, 60, 61, 1000, 45 * 61 - 1])
    (maps,) = segmenter.passes(segmenter.prepare(picture))
    found = values_at(maps, (45, 61), places)
    assert found.shape == (6, 5)
    assert np.allclose(found, whole[places].numpy(), atol=1e-6)
    assert values_at(maps, (45, 61), places[:0]).shape == (0, 5)


def test_progress_tells_the_running_score_and_counts_to_the_end(
    split: Split, random_checkpoint: RandomCheckpoint
) -> None:
    heard: list[Progress] = []
    total = score_split(of(random_checkpoint("b0")), split, progress=heard.append, stage="validation")
    assert [(step.stage, step.done, step.total) for step in heard] == [("validation", at, 7) for at in range(1, 8)]
    assert heard[-1].figures["mIoU"] == scores(total).miou


# What stands beside a picture.


def judged(target: NDArray[np.integer]) -> Judged:
    nothing = np.zeros((1, 1), np.int64)
    return Judged(0, None, target, target, nothing)  # type: ignore[arg-type]


def test_a_targets_hash_knows_its_ids_and_its_shape_but_not_how_wide_they_are_stored() -> None:
    ids = np.arange(6, dtype=np.uint8).reshape(2, 3)
    same = judged(ids).target_hash
    assert judged(ids.astype(np.uint16)).target_hash == same
    assert judged(np.asfortranarray(ids)).target_hash == same
    assert judged(ids.reshape(3, 2)).target_hash != same
    assert judged(ids[::-1].copy()).target_hash != same
    assert len(same) == 64


def test_pictures_without_labels_are_predicted_and_nothing_is_counted(
    split: Split, random_checkpoint: RandomCheckpoint
) -> None:
    bare = dataclasses.replace(
        split, pairs=tuple(dataclasses.replace(pair, mask=None) for pair in split.pairs[:2])
    )
    for each, size in zip(judge(of(random_checkpoint("b0")), bare, Pace()), SIZES, strict=False):
        assert each.mask.shape == size
        assert (each.target == 255).all()
        assert not each.confusion.any()


# What goes wrong.


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_named_whoever_reads_it(
    tmp_path: Path, random_checkpoint: RandomCheckpoint, workers: int
) -> None:
    data = write_lot(tmp_path / "d", [(32, 32)] * 3)
    (data / "images" / "val" / "p1.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"p1\.png is empty"):
        score_split(of(random_checkpoint("b0")), open_data(str(data), "val"), Pace(workers=workers))


@pytest.fixture
def overflowing(random_checkpoint: RandomCheckpoint) -> Callable[[Path], tuple[Segmenter, Split]]:
    """Weights whose values overflow on any picture that is not black, and four pictures of which p2 is not."""

    def make(root: Path) -> tuple[Segmenter, Split]:
        checkpoint = random_checkpoint("b0", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        checkpoint.tensors["encoder.stages.0.embed.conv.weight"].fill_(3e37)
        data = write_lot(root, [(32, 32)] * 4)
        for name in ("p0", "p1", "p3"):
            cv2.imwrite(str(data / "images" / "val" / f"{name}.png"), np.zeros((32, 32, 3), np.uint8))
        return of(checkpoint), open_data(str(data), "val")

    return make


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_logits_that_are_no_numbers_are_an_error_that_names_their_picture(
    tmp_path: Path, overflowing: Callable[[Path], tuple[Segmenter, Split]], batch_size: int
) -> None:
    segmenter, data = overflowing(tmp_path / "d")
    with pytest.raises(WeightsError, match="logits are not finite") as caught:
        score_split(segmenter, data, Pace(batch_size=batch_size))
    assert caught.value.where == str(data.pairs[2].image)


def test_pictures_before_a_broken_one_are_judged_all_the_same(
    tmp_path: Path, overflowing: Callable[[Path], tuple[Segmenter, Split]]
) -> None:
    segmenter, data = overflowing(tmp_path / "d")
    found = told(judge(segmenter, data, Pace()), 4)
    assert [next(found).index, next(found).index] == [0, 1]
    with pytest.raises(WeightsError):
        next(found)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CPU takes one picture at a time")
def test_auto_lets_small_pictures_pass_a_gpu_together(split: Split, random_checkpoint: RandomCheckpoint) -> None:
    segmenter = Segmenter.of(network_from(random_checkpoint("b0")), torch.device("cuda"))
    assert pictures_together(segmenter, split, "auto") == MOST_TOGETHER
    assert pictures_together(segmenter, split, 3) == 3
