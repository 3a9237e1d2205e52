"""Memory that is not enough, told as an error that a user can expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from segformer_cli.engine.memory import lacks_memory
from segformer_cli.errors import EnvironmentLacksError, SegFormerError


@contextmanager
def memory_told(less: str) -> Iterator[None]:
    """Nothing where the memory is enough.

    Args:
        less: the settings that take less of it.

    Raises:
        EnvironmentLacksError: it is not.

    >>> with memory_told("a smaller --size"):
    ...     raise MemoryError
    Traceback (most recent call last):
    segformer_cli.errors.EnvironmentLacksError: the memory is not enough
    hint:  a smaller --size
    """
    try:
        yield
    except SegFormerError:
        raise
    except Exception as error:
        text = str(error)
        if not lacks_memory(error):
            raise
        reason = f": {text.strip().splitlines()[0]}" if text.strip() else ""
        raise EnvironmentLacksError(f"the memory is not enough{reason}", hint=less) from error
