"""The order of pictures in training."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.data.sampler import Place, TrainStream, generator

SHOWN = (np.arange(6), np.array([2, 5]), np.array([], int), np.array([4]))
"""Class 0 is in all six pictures, class 1 in two, class 3 in one; none shows class 2."""


def take(stream: TrainStream, count: int) -> list[list[Place]]:
    return list(islice(iter(stream), count))


def rare(positions: int, seed: int = 0, start: int = 0) -> list[tuple[int, ...]]:
    stream = TrainStream(6, 1, seed, start=start, shown=SHOWN)
    return [place for batch in take(stream, positions) for place in batch]


def test_each_pass_shows_every_picture_once_in_a_fresh_order() -> None:
    places = [place for batch in take(TrainStream(10, 5, seed=3), 4) for place in batch]
    first, second = [place[1] for place in places[:10]], [place[1] for place in places[10:]]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [place[0] for place in places] == list(range(20))


def test_the_stream_can_be_entered_anywhere_and_depends_on_the_seed_alone() -> None:
    whole = [place for batch in take(TrainStream(7, 3, seed=1), 10) for place in batch]
    entered = [place for batch in take(TrainStream(7, 3, seed=1, start=9), 7) for place in batch]
    assert entered == whole[9:]
    assert whole != [place for batch in take(TrainStream(7, 3, seed=2), 10) for place in batch]


def test_batches_are_full_even_when_larger_than_the_data() -> None:
    assert [len(batch) for batch in take(TrainStream(2, 5, seed=0), 3)] == [5, 5, 5]


def test_generators_of_different_purposes_and_positions_differ() -> None:
    draws = {generator(*key).integers(2**60) for key in ((0, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0))}
    assert len(draws) == 4
    assert generator(5, 1, 9).integers(2**60) == generator(5, 1, 9).integers(2**60)


def test_of_rare_classes_each_comes_once_a_round_with_a_picture_that_shows_it() -> None:
    places = rare(36)
    for number in range(0, 36, 3):
        assert {wanted for _, _, wanted in places[number : number + 3]} == {0, 1, 3}
    assert all(index in SHOWN[wanted] for _, index, wanted in places)
    assert len({tuple(wanted for *_, wanted in places[n : n + 3]) for n in range(0, 36, 3)}) > 2


def test_the_pictures_of_a_class_all_come_before_one_comes_again() -> None:
    of_class = [index for _, index, wanted in rare(3 * 18) if wanted == 0]
    passes = [of_class[number : number + 6] for number in (0, 6, 12)]
    assert all(sorted(each) == list(range(6)) for each in passes)
    assert passes[0] != passes[1] or passes[1] != passes[2]


def test_a_picture_comes_as_often_as_its_classes_are_rare() -> None:
    counts = Counter(index for _, index, _ in rare(3 * 60))
    # Of 60 rounds: 10 of every picture for class 0, 30 each of pictures 2 and 5 for class 1, 60 of picture 4.
    assert counts == {0: 10, 1: 10, 2: 40, 3: 10, 4: 70, 5: 40}


@given(start=st.integers(0, 200), seed=st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_the_stream_of_rare_classes_can_be_entered_anywhere(start: int, seed: int) -> None:
    assert rare(20, seed, start) == rare(start + 20, seed)[start:]
    assert rare(40, seed) != rare(40, seed + 1)


def test_processes_divide_the_batches_of_rare_classes_among_them() -> None:
    whole = take(TrainStream(6, 4, 0, shown=SHOWN), 5)
    parts = [take(TrainStream(6, 4, 0, share=(rank, 2), shown=SHOWN), 5) for rank in (0, 1)]
    assert [a + b for a, b in zip(*parts, strict=True)] == whole


def test_where_no_picture_shows_a_class_there_is_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no picture shows any class"):
        TrainStream(6, 1, 0, shown=[np.array([], int)])
