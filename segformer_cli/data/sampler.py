"""Which picture comes next in training: an endless stream of positions, each with its index.

The stream is a pure function of the seed, so that it can be entered at any position without replay.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

ORDER, AUGMENTATION = 0, 1
"""What a generator is for: kept apart, so that neither's draws depend on the other's number."""


class TrainStream(Sampler[list[tuple[int, int]]]):
    """Batches of (position, index) without end, from `start`; each pass over the data is a fresh permutation.

    Of each batch, `share` (n, of how many) takes the n-th part, for processes that divide a step among them.
    """

    def __init__(
        self, length: int, batch_size: int, seed: int, start: int = 0, share: tuple[int, int] = (0, 1)
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.start = start
        self.share = share

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        places = self._places()
        while True:
            batch = [next(places) for _ in range(self.batch_size)]
            number, parts = self.share
            yield batch[number * len(batch) // parts : (number + 1) * len(batch) // parts]

    def _places(self) -> Iterator[tuple[int, int]]:
        position = self.start
        while True:
            epoch, offset = divmod(position, self.length)
            order = generator(self.seed, ORDER, epoch).permutation(self.length)
            for index in order[offset:]:
                yield position, int(index)
                position += 1


def generator(seed: int, purpose: int, position: int) -> np.random.Generator:
    """The random generator of one place in the stream; equal whichever worker asks."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, purpose, position))))
