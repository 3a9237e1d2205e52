"""Files that a data set lacks while others are there: an error, or, while `tolerated`, files like the others.

Whoever checks data looks at what is there; whoever trains on it is told at once. As numpy's `errstate`, this holds for
all that is opened within.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from segformer_cli.errors import DataError


class LackingMasks(DataError):
    """Pictures have no mask; `proposed_suffix` is the ending with which more of them would have one."""

    def __init__(self, message: str, *, where: str, hint: str, proposed_suffix: str | None = None) -> None:
        super().__init__(message, where=where, hint=hint)
        self.proposed_suffix = proposed_suffix


_TOLERATED: ContextVar[list[DataError] | None] = ContextVar("tolerated", default=None)


@contextmanager
def tolerated() -> Iterator[list[DataError]]:
    """What is lacking in the data that is opened within; such files are then named as if they were there."""
    found: list[DataError] = []
    token = _TOLERATED.set(found)
    try:
        yield found
    finally:
        _TOLERATED.reset(token)


def is_tolerated() -> bool:
    """Whether files may lack or be damaged."""
    return _TOLERATED.get() is not None


def refuse(error: DataError, lacking: int, of: int) -> None:
    """Nothing while it is tolerated and something is there; `lacking` of `of` files are not.

    Raises:
        DataError: what was given.
    """
    found = _TOLERATED.get()
    if found is None or lacking == of:
        raise error
    found.append(error)
