from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.data.repeated import Shown, repeats


def shown(split: int, index: int, digest: str, alike: int | None = None) -> Shown:
    return Shown(split, index, digest.encode(), alike)


Place = tuple[int, int]


def told(pictures: list[Shown], names: list[str]) -> list[tuple[Place, Place, bool]]:
    found = repeats(pictures, names, distance=2)
    return [
        ((each.picture.split, each.picture.index), (each.other.split, each.other.index), each.near) for each in found
    ]


def test_a_copy_is_told_with_the_first_of_its_split() -> None:
    pictures = [shown(0, 0, "a"), shown(0, 1, "b"), shown(0, 2, "a"), shown(0, 3, "a")]
    assert told(pictures, ["train"]) == [((0, 2), (0, 0), False), ((0, 3), (0, 0), False)]


def test_a_picture_of_val_that_train_has_is_told_once() -> None:
    pictures = [shown(0, 0, "a"), shown(0, 1, "a"), shown(1, 0, "a"), shown(1, 1, "b")]
    assert told(pictures, ["train", "val"]) == [((0, 1), (0, 0), False), ((1, 0), (0, 0), False)]


def test_trainval_shares_its_pictures_with_train_and_val_by_design() -> None:
    pictures = [shown(0, 0, "a", 5), shown(1, 0, "b", 99), shown(2, 0, "a", 5), shown(2, 1, "b", 99)]
    assert told(pictures, ["train", "val", "trainval"]) == []


def test_near_ones_are_told_within_a_split_and_between_two() -> None:
    train = [shown(0, 0, "a", 0b0000), shown(0, 1, "b", 0b0011)]
    pictures = [*train, shown(1, 0, "c", 0b0001), shown(1, 1, "d", 2**40 - 1)]
    assert told(pictures, ["train", "val"]) == [((0, 1), (0, 0), True), ((1, 0), (0, 0), True)]


def test_exact_copies_are_not_told_again_as_near_ones() -> None:
    pictures = [shown(0, 0, "a", 7), shown(0, 1, "a", 7), shown(1, 0, "a", 7)]
    assert [near for *_, near in told(pictures, ["train", "val"])] == [False, False]


def test_pictures_that_show_nothing_are_never_alike() -> None:
    assert told([shown(0, 0, "a"), shown(0, 1, "b")], ["train"]) == []


Drawn = tuple[int, str, int | None]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdef"), st.sampled_from([0, 1, 3, 255, None]))))
def test_near_ones_are_those_that_comparing_all_finds(drawn: list[Drawn]) -> None:
    ordered = sorted(drawn, key=lambda each: each[0])
    pictures = [shown(split, at, digest, alike) for at, (split, digest, alike) in enumerate(ordered)]
    kept = list({(each.split, each.digest): each for each in reversed(pictures)}.values())
    wanted = set()
    for picture, other in product(kept, repeat=2):
        if other.index < picture.index and is_near(picture, other):
            if picture.split == other.split:
                wanted.add((picture.index, True))
            elif {picture.split, other.split} == {0, 1}:        # trainval, 2, shares its pictures with both
                wanted.add((picture.index, False))
    found = [each for each in repeats(pictures, ["train", "val", "trainval"], distance=2) if each.near]
    assert {(each.picture.index, each.picture.split == each.other.split) for each in found} == wanted
    assert all(is_near(each.picture, each.other) for each in found)


def is_near(one: Shown, other: Shown) -> bool:
    if one.alike is None or other.alike is None or one.digest == other.digest:
        return False
    return bin(one.alike ^ other.alike).count("1") <= 2


def test_a_hundred_thousand_pictures_of_one_hash_are_compared_at_once() -> None:
    pictures = [shown(at % 2, at, str(at), 7) for at in range(100_000)]
    assert len(repeats(pictures, ["train", "val"], distance=3)) == 2 * 49_999 + 50_000
