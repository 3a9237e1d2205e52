"""Which picture comes next in training: an endless stream of positions, each with its index.

The stream is a pure function of the seed, so that it can be entered at any position without replay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

ORDER, AUGMENTATION, CLASSES, PICTURES = 0, 1, 3, 4
"""What a generator is for: kept apart, so that none's draws depend on another's number. 2 is a step's dropout."""

Place = tuple[int, int] | tuple[int, int, int]
"""Position in the stream, index of the picture; and, where it was chosen for one, the class to be seen."""


class TrainStream(Sampler[list[Place]]):
    """Batches of places without end, from `start`; each pass over the data is a fresh permutation.

    With `shown`, classes take turns in place of pictures: each round brings every class once, in a fresh order, and
    of the pictures that show it the next one of a permutation of their own. So a picture comes as often as
    its classes are rare: 1 / the pictures that show a class, summed over its classes (class-uniform sampling:
    Rota Bulo et al., CVPR 2018; Zhu et al., CVPR 2019).

    Args:
        share: (n, of how many): the n-th part of each batch, for processes that divide a step among them.
        shown: for each class the indices of the pictures that show it; classes that none shows are left out.
    """

    def __init__(
        self,
        length: int,
        batch_size: int,
        seed: int,
        start: int = 0,
        share: tuple[int, int] = (0, 1),
        shown: Sequence[NDArray[np.int64]] | None = None,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.start = start
        self.share = share
        self.shown = shown
        self._classes = [index for index, pictures in enumerate(shown or ()) if len(pictures)]
        if shown is not None and not self._classes:
            raise ValueError("no picture shows any class")

    def __iter__(self) -> Iterator[list[Place]]:
        places = self._places() if self.shown is None else map(self._of_a_class, count(self.start))
        while True:
            batch = [next(places) for _ in range(self.batch_size)]
            number, parts = self.share
            yield batch[number * len(batch) // parts : (number + 1) * len(batch) // parts]

    def _places(self) -> Iterator[Place]:
        position = self.start
        while True:
            epoch, offset = divmod(position, self.length)
            order = generator(self.seed, ORDER, epoch).permutation(self.length)
            for index in order[offset:]:
                yield position, int(index)
                position += 1

    def _of_a_class(self, position: int) -> Place:
        """A place whose class has had its turn as often as there were rounds before."""
        assert self.shown is not None
        rounds, turn = divmod(position, len(self._classes))
        wanted = self._classes[_permutation(self.seed, CLASSES, rounds, len(self._classes))[turn]]
        pictures = self.shown[wanted]
        passes, turn = divmod(rounds, len(pictures))
        order = _permutation(self.seed, PICTURES, passes * len(self.shown) + wanted, len(pictures))
        return position, int(pictures[order[turn]]), wanted


def generator(seed: int, purpose: int, position: int) -> np.random.Generator:
    """The random generator of one place in the stream; equal whichever worker asks."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, purpose, position))))


@lru_cache(maxsize=1024)
def _permutation(seed: int, purpose: int, position: int, length: int) -> NDArray[np.int64]:
    return generator(seed, purpose, position).permutation(length)
