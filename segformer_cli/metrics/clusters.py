"""Which images belong together, as the frames of one video do: their groups, read off their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from segformer_cli.errors import UsageError


def clusters_of(keys: Sequence[str], pattern: str, setting: str = "group_images") -> tuple[str, ...]:
    """The name of each key's cluster: what the first parentheses of a regular expression hold, or the whole match.

    Args:
        setting: the key that holds the pattern, for messages.

    Raises:
        UsageError: `pattern` is no regular expression, or finds nothing in some key.

    >>> clusters_of(["Seq05VD_f00030", "0001TP_006690"], "(.+)_")
    ('Seq05VD', '0001TP')
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"{setting} {pattern!r} is no regular expression: {error}") from error
    group = min(expression.groups, 1)
    matches = [expression.search(key) for key in keys]
    found = [None if match is None else match.group(group) for match in matches]
    lost = [key for key, name in zip(keys, found, strict=True) if not name]
    if lost:
        raise UsageError(
            f"{setting} {pattern!r} finds nothing in {len(lost)} of {len(keys)} images (first: {lost[0]})",
            hint="its first parentheses must hold what names the video or place of every image, as in (.+)_",
        )
    return tuple(name for name in found if name)


_FRAME_PATTERNS = (r"(.+)[_/-]f?\d+$", r"(.+)_frame_?\d+")
_FRAMES = 5
"""So many images of one name, at least, make a recording."""


def dependence_warning(keys: Sequence[str]) -> str | None:
    """What to know of an interval whose images look like frames of videos, None where they do not."""
    pattern = suggested_clusters(keys)
    if pattern is None:
        return None
    videos = set(clusters_of(keys, pattern))
    if len(videos) == 1:
        return f"all images look like frames of one video, {videos.pop()}: no honest interval exists"
    return (
        "the images look like frames of videos, which are not independent: the interval is too narrow; "
        f"--group-images '{pattern}' draws whole videos"
    )


def suggested_clusters(keys: Sequence[str]) -> str | None:
    r"""A pattern for `clusters_of` where the images look like frames of recordings, None where they do not.

    They do where a third of them or more are of recordings: at least five that share a name with letters and digits
    ("0016E5", "frankfurt_000001"). Words alone are more often classes ("beagle_10"), digits alone years or folders.
    Where all share one name, it may be that of the data set: then most numbers must rise by one step above 1.

    >>> suggested_clusters([f"0016E5_{frame:05}" for frame in range(390, 600, 30)])
    '(.+)[_/-]f?\\d+$'
    >>> suggested_clusters([f"ADE_val_{number:08}" for number in range(1, 2001)])
    """
    for pattern in _FRAME_PATTERNS:
        if not all(re.search(pattern, key) for key in keys):
            continue
        sizes = Counter(clusters_of(keys, pattern))
        frames = sum(size for name, size in sizes.items() if size >= _FRAMES and _names_a_recording(name))
        if 3 * frames >= len(keys) > 0 and (len(sizes) > 1 or _evenly_spaced(keys)):
            return pattern
    return None


def _names_a_recording(name: str) -> bool:
    return re.search(r"\d", name) is not None and re.search(r"[A-Za-z]", name) is not None


def _evenly_spaced(keys: Sequence[str]) -> bool:
    numbers = sorted(int(re.findall(r"\d+", key)[-1]) for key in keys)
    step, times = Counter(np.diff(numbers).tolist()).most_common(1)[0]
    return step > 1 and 2 * times > len(keys)
