"""The order of pictures in training."""

from __future__ import annotations

from itertools import islice

from segformer_cli.data.sampler import TrainStream, generator


def take(stream: TrainStream, count: int) -> list[list[tuple[int, int]]]:
    return list(islice(iter(stream), count))


def test_each_pass_shows_every_picture_once_in_a_fresh_order() -> None:
    places = [place for batch in take(TrainStream(10, 5, seed=3), 4) for place in batch]
    first, second = [index for _, index in places[:10]], [index for _, index in places[10:]]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert [position for position, _ in places] == list(range(20))


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
