"""Every error a user can expect, and the exit code each one ends a command with.

    SegFormerError              1   an expected error: a bad file, bad data
    ├── DataError               1   a data set is not what its layout promises
    ├── ImageError              1   a picture or mask cannot be read or written
    ├── WeightsError            1   a file of weights cannot be used
    ├── ProcessLost             1   another process of the same job is gone
    ├── UsageError              2   wrong usage
    │   └── ConfigError         2   a wrong key or value in a file, a variable, --set
    ├── CheckFailed             3   the check ran; its answer is no
    ├── EnvironmentLacksError   4   an extra, a device, the network is absent
    ├── SomeInputsFailed        5   some inputs failed, the others are done
    └── Interrupted           130   stopped by Ctrl-C or SIGTERM, what was done is saved

Anything else that reaches the top is a bug of ours: exit code 70, with its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_BUG = 70


class SegFormerError(Exception):
    """Says what is wrong with the value, where, and how to mend it.

    Args:
        message: what is wrong, lower case, with the offending value.
        where: the place: a file, a line, a key; what was looked for.
        hint: the way out.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.where:
            lines.append(f"where: {self.where}")
        if self.hint:
            lines.append(f"hint:  {self.hint}")
        return "\n".join(lines)


class DataError(SegFormerError):
    """A data set is not what its layout promises."""


class ImageError(SegFormerError):
    """A picture or a mask cannot be read or written."""


class WeightsError(SegFormerError):
    """A file of weights cannot be used."""


class ProcessLost(SegFormerError):
    """Another process that shares this one's work is gone."""


class UsageError(SegFormerError):
    """The command was called in a way that has no meaning."""

    exit_code = 2


class ConfigError(UsageError):
    """A key or a value of the configuration is wrong."""


class CheckFailed(SegFormerError):
    """The check ran and its answer is no."""

    exit_code = 3


class EnvironmentLacksError(SegFormerError):
    """This machine lacks something: an extra, a device, the network."""

    exit_code = 4


class SomeInputsFailed(SegFormerError):
    """Some inputs failed; the others are done."""

    exit_code = 5


class Interrupted(SegFormerError):
    """Stopped by the user or the system; what was done is saved."""

    exit_code = 130


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest known word, or lists a few when none is close.

    >>> did_you_mean("cityscape", ["camvid", "cityscapes"])
    'did you mean cityscapes?'
    >>> did_you_mean("zebra", ["b0", "b1"])
    'known: b0, b1'
    """
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return None
    return "known: " + ", ".join(names[:30])
