"""How much better B is than A, and when that is not to be said."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segformer_cli.config import CompareConfig
from segformer_cli.errors import ConfigError, DataError, UsageError
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.scores import mean
from segformer_cli.workflows.comparison import ResultDifference, compare_results
from segformer_cli.workflows.results import write_results

PIXELS = 100
NAMES = ("road", "sky")
PROTOCOL = "12 images of streets val, whole, at their own size, single scale; counted at label size"


def saved(
    folder: Path,
    shares: np.ndarray,
    *,
    keys: tuple[str, ...] | None = None,
    targets: tuple[str, ...] | None = None,
    names: tuple[str, ...] = NAMES,
    **said: object,
) -> str:
    """A result whose images hold 100 pixels of each class; of each the share (N, K) is found, nothing else predicted.

    So the IoU of a class in an image is that share.
    """
    found = np.asarray(np.rint(np.asarray(shares) * PIXELS), np.int64)
    keys = keys or tuple(f"street {index}" for index in range(len(found)))
    targets = targets or tuple(f"hash of {key}" for key in keys)
    counts = ImageCounts(keys, targets, found, found, np.full_like(found, PIXELS))
    classes = [{"id": index, "name": name} for index, name in enumerate(names)]
    results: dict[str, Any] = {"miou": mean(counts.iou), "per_class": classes, "protocol": PROTOCOL, **said}
    write_results(folder, "eval", results, counts)
    return str(folder)


def by_lot(images: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.2, 0.8, (images, 2))


def compared(a: str, b: str, **fields: Any) -> ResultDifference:
    return compare_results(CompareConfig(a=a, b=b, **fields))


def test_a_constant_gain_is_certain_whatever_the_images_are(tmp_path: Path) -> None:
    shares = by_lot()
    gain = np.array([0.1, -0.05])
    found = compared(saved(tmp_path / "a", shares.round(2)), saved(tmp_path / "b", shares.round(2) + gain))
    assert found.difference == pytest.approx(0.025)
    assert found.miou_b - found.miou_a == pytest.approx(found.difference)
    # Paired: the images' own differences cancel out of every draw.
    assert found.ci95 == pytest.approx((0.025, 0.025))
    assert found.better
    assert found.wins == 1
    road, sky = found.per_class
    assert (road.name, sky.name) == NAMES
    assert (road.difference, sky.difference) == pytest.approx((0.1, -0.05))
    assert road.ci95 == pytest.approx((0.1, 0.1))
    assert road.b - road.a == pytest.approx(road.difference)
    assert found.images == 12
    assert found.interval == "95 % interval: bootstrap, 1,000 draws of 12 images, paired"
    assert found.warnings == ()


def test_a_result_is_not_better_than_itself(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot())
    found = compared(a, a)
    assert (found.difference, found.ci95, found.wins, found.better) == (0, (0, 0), 0, False)


def test_swapping_the_two_turns_the_signs(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", by_lot(seed=1)), saved(tmp_path / "b", by_lot(seed=2))
    there, back = compared(a, b), compared(b, a)
    assert back.difference == -there.difference
    assert back.ci95 == pytest.approx((-there.ci95[1], -there.ci95[0]))
    assert not (there.better and back.better)


def test_images_are_matched_by_key_in_any_order(tmp_path: Path) -> None:
    first, second = by_lot(seed=1), by_lot(seed=2)
    keys = tuple(f"k{index:02}" for index in range(12))
    a = saved(tmp_path / "a", first, keys=keys)
    plain = compared(a, saved(tmp_path / "b", second, keys=keys))
    turned = compared(a, saved(tmp_path / "c", second[::-1], keys=keys[::-1]))
    assert (turned.difference, turned.ci95, turned.per_class) == (plain.difference, plain.ci95, plain.per_class)
    also = compared(saved(tmp_path / "d", first[::-1], keys=keys[::-1]), str(tmp_path / "b"))
    assert (also.difference, also.ci95) == (plain.difference, plain.ci95)


def test_the_seed_and_the_draws_decide_the_interval(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", by_lot(seed=1)), saved(tmp_path / "b", by_lot(seed=2))
    assert compared(a, b).ci95 == compared(a, b, seed=0).ci95
    assert compared(a, b, seed=1).ci95 != compared(a, b, seed=0).ci95
    assert "150 draws" in compared(a, b, resamples=150).interval


def test_whole_videos_are_drawn_where_their_pattern_is_given(tmp_path: Path) -> None:
    keys = tuple(f"{video}_{frame:05}" for video in ("Seq05VD", "0001TP", "0016E5") for frame in range(0, 150, 30))
    # A video's frames are alike: five times the same, which is no more to know than once.
    gains = np.repeat([0.2, 0.1, -0.2], 5)[:, None] * [1, 1]
    a = saved(tmp_path / "a", np.full((15, 2), 0.5), keys=keys)
    b = saved(tmp_path / "b", np.full((15, 2), 0.5) + gains, keys=keys)
    plain, clustered = compared(a, b), compared(a, b, group_images="(.+)_")
    assert clustered.difference == plain.difference
    assert clustered.ci95[1] - clustered.ci95[0] > 1.5 * (plain.ci95[1] - plain.ci95[0])
    assert clustered.interval == "95 % interval: bootstrap, 1,000 draws of 3 groups of images, paired"
    assert any("frames of videos" in warning and "--group-images" in warning for warning in plain.warnings)
    assert not any("frames of videos" in warning for warning in clustered.warnings)
    assert any("only 3 groups of images" in warning for warning in clustered.warnings)


VIDEOS = tuple(f"{video}_{frame}" for video in "abcdefghijkl" for frame in range(2))


def in_videos(folder: Path, seed: int, pattern: str | None) -> str:
    settings = {} if pattern is None else {"group_images": pattern}
    return saved(folder, by_lot(24, seed), keys=VIDEOS, settings=settings)


def test_the_groups_that_both_results_were_scored_with_are_drawn_as_one(tmp_path: Path) -> None:
    a, b = (in_videos(tmp_path / name, seed, "(.)_") for seed, name in enumerate("ab"))
    found, asked = compared(a, b), compared(a, b, group_images="(.)_")
    assert (found.ci95, found.units, found.warnings) == (asked.ci95, 12, asked.warnings)
    how = "95 % interval: bootstrap, 1,000 draws of 12 groups of images, paired"
    assert (found.interval, asked.interval) == (f"{how}, grouped as both were scored", how)
    assert compared(a, b, group_images="_(.)").units == 2


def test_results_that_were_grouped_otherwise_are_told_apart_and_drawn_image_by_image(tmp_path: Path) -> None:
    a, b, c = (in_videos(tmp_path / name, 0, p) for name, p in (("a", "(.)_"), ("b", "_(.)"), ("c", None)))
    one_by_one = "images are drawn one by one; --group-images says which to draw as one"
    found = compared(a, b)
    assert (found.units, found.warnings[-1]) == (
        24, f"A was scored with --group-images '(.)_', B with --group-images '_(.)': {one_by_one}"
    )
    found = compared(c, a)
    assert found.units == 24
    assert found.warnings[-1] == f"A was scored without groups, B with --group-images '(.)_': {one_by_one}"
    assert not any("was scored" in text for text in compared(c, a, group_images="(.)_").warnings)


def test_one_video_leaves_nothing_to_draw_and_nothing_is_better(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", by_lot() * 0.5), saved(tmp_path / "b", by_lot())
    found = compared(a, b, group_images="street")
    assert found.difference > 0
    assert math.isnan(found.ci95[0]) and math.isnan(found.ci95[1]) and math.isnan(found.wins)
    assert not found.better
    assert any("at least two" in warning for warning in found.warnings)


def test_few_images_are_warned_of(tmp_path: Path) -> None:
    a, b = saved(tmp_path / "a", by_lot(3)), saved(tmp_path / "b", by_lot(3))
    assert compared(a, b).warnings == ("an interval from only 3 images is likely too narrow",)


def test_a_result_set_beside_itself_is_said(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot())
    found = compared(a, str(tmp_path / "a" / "result.json"))
    assert found.same
    assert found.warnings == (f"A and B are the same result, {tmp_path / 'a'}",)
    assert not compared(a, saved(tmp_path / "b", by_lot())).same


def test_from_fewer_than_five_units_nothing_is_better(tmp_path: Path) -> None:
    keys = tuple(f"{video}_{frame}" for video in "abcde" for frame in range(3))
    a = saved(tmp_path / "a", np.full((15, 2), 0.4), keys=keys)
    b = saved(tmp_path / "b", np.full((15, 2), 0.6), keys=keys)
    assert compared(a, b, group_images="(.)_").better
    assert compared(b, a, group_images="(.)_").worse
    few = tuple(key.replace("e", "d") + key[0] for key in keys)
    a = saved(tmp_path / "c", np.full((15, 2), 0.4), keys=few)
    b = saved(tmp_path / "d", np.full((15, 2), 0.6), keys=few)
    found = compared(a, b, group_images="(.)_")
    assert (found.units, found.ci95) == (4, pytest.approx((0.2, 0.2)))
    assert not found.better
    assert not compared(b, a, group_images="(.)_").worse
    assert found.why_not_better == "4 images, or groups of them, are too few to draw from: 5 are needed"
    assert compared(a, b).better


@pytest.mark.parametrize("resamples", [1, 99, 100_001, 10**9])
def test_no_verdict_is_drawn_from_few_resamples_nor_from_more_than_memory_holds(tmp_path: Path, resamples: int) -> None:
    a, b = saved(tmp_path / "a", by_lot()), saved(tmp_path / "b", by_lot())
    with pytest.raises(ConfigError, match=f"resamples is {resamples}") as caught:
        compared(a, b, resamples=resamples)
    assert caught.value.hint == "it must lie in 100 to 100000"
    assert "100 draws" in compared(a, b, resamples=100, require_better=True).interval


def test_protocols_that_differ_are_said(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot())
    other = PROTOCOL.replace("whole", "in windows of 64x64 every 48x48 pixels, logits averaged")
    found = compared(a, saved(tmp_path / "b", by_lot(), protocol=other))
    assert found.warnings == (
        "A and B differ in protocol: 'whole' and 'in windows of 64x64 every 48x48 pixels, logits averaged'",
    )
    longer = saved(tmp_path / "c", by_lot(), protocol=PROTOCOL.replace("single scale", "single scale, in bf16"))
    assert compared(a, longer).warnings == ("A and B differ in protocol: nothing and 'in bf16'",)


def test_another_device_and_precision_are_said(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(), device="cpu", precision="fp32")
    found = compared(a, saved(tmp_path / "b", by_lot(), device="cuda", precision="bf16"))
    assert found.warnings == (
        "A and B differ in device: 'cpu' and 'cuda'", "A and B differ in precision: 'fp32' and 'bf16'"
    )


def test_a_class_that_one_result_never_met_has_no_difference(tmp_path: Path) -> None:
    shares = by_lot()
    a = saved(tmp_path / "a", shares)
    found, nothing = np.rint(shares[:, :1] * PIXELS).astype(np.int64), np.zeros((12, 1), np.int64)
    intersection = np.hstack([found, nothing])
    true = np.hstack([np.full((12, 1), PIXELS), nothing])
    keys = tuple(f"street {index}" for index in range(12))
    counts = ImageCounts(keys, tuple(f"hash of {key}" for key in keys), intersection, intersection, true)
    classes = [{"id": index, "name": name} for index, name in enumerate(NAMES)]
    write_results(tmp_path / "b", "eval", {"miou": mean(counts.iou), "per_class": classes}, counts)
    sky = compared(a, str(tmp_path / "b")).per_class[1]
    assert sky.a > 0
    assert all(math.isnan(value) for value in (sky.b, sky.difference, *sky.ci95))


# What cannot be compared.


def test_other_images_are_refused_and_counted(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(3), keys=("x", "y", "z"))
    b = saved(tmp_path / "b", by_lot(3), keys=("x", "y", "w"))
    with pytest.raises(DataError, match="1 only in result A") as caught:
        compared(a, b)
    assert "(first: z), 1 only in result B (first: w)" in caught.value.message


def test_other_targets_of_the_same_images_are_refused(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(3))
    b = saved(tmp_path / "b", by_lot(3), targets=("hash of street 0", "another", "one more"))
    with pytest.raises(DataError, match="2 of 3 images have other targets in result B") as caught:
        compared(a, b)
    assert caught.value.where == "first: street 1"


def test_targets_that_differ_by_what_was_matched_by_name_are_told_by_that(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(3), class_match="2 classes matched by name")
    other = ("hash of street 0", "another", "one more")
    for match, said in ((None, "every class counted"), ("1 class less", "1 class less")):
        b = saved(tmp_path / str(match), by_lot(3), targets=other, class_match=match)
        with pytest.raises(DataError, match="A and B do not count the same classes") as caught:
            compared(a, b)
        assert caught.value.where == f"A: 2 classes matched by name; B: {said}"
        assert "--by-name and --alias" in str(caught.value.hint)
    same = saved(tmp_path / "c", by_lot(3), class_match=None)
    assert compared(a, same).images == 3
    again = saved(tmp_path / "d", by_lot(3), targets=other, class_match="2 classes matched by name")
    with pytest.raises(DataError, match="2 of 3 images have other targets"):
        compared(a, again)


@pytest.mark.parametrize(
    ("names", "where"),
    [(("road", "car"), "'sky' in A, 'car' in B"), (("sky", "road"), "'road' in A, 'sky' in B")],
)
def test_other_classes_are_refused_with_the_first_that_differs(
    tmp_path: Path, names: tuple[str, ...], where: str
) -> None:
    a, b = saved(tmp_path / "a", by_lot(3)), saved(tmp_path / "b", by_lot(3), names=names)
    with pytest.raises(DataError, match="the results are of other classes") as caught:
        compared(a, b)
    assert str(caught.value.where).endswith(where)


def test_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(3))
    b = saved(tmp_path / "b", np.full((3, 3), 0.5), names=("road", "sky", "car"))
    with pytest.raises(DataError, match=r"\(2 in A, 3 in B\)") as caught:
        compared(a, b)
    assert str(caught.value.where).endswith("their number")


def test_an_image_counted_twice_is_refused(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(3), keys=("x", "x", "y"))
    with pytest.raises(DataError, match="result A holds 2 images named x"):
        compared(a, a)


def test_wrong_requests_are_wrong_usage(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", by_lot(3))
    with pytest.raises(UsageError, match="two results are needed"):
        compare_results(CompareConfig(a=a))
    with pytest.raises(ConfigError, match="resamples is 0"):
        compared(a, a, resamples=0)
    with pytest.raises(UsageError, match="finds nothing in 3 of 3 images"):
        compared(a, a, group_images="Seq")
    with pytest.raises(UsageError, match="is no regular expression"):
        compared(a, a, group_images="(")
