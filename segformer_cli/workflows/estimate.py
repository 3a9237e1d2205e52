"""How long a robustness run will take, from a few variants of one picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter, upsampled_mask
from segformer_cli.errors import SegFormerError
from segformer_cli.images import Picture, read_image
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.protocols import Cell, severities_of
from segformer_cli.robustness.source import SMALLEST, Source

WORTH_SAYING_S = 60.0
LONG_S = 15 * 60.0
"""From here on a smaller run is proposed, one of about half of it."""


def time_estimate(
    segmenter: Segmenter,
    split: Split,
    indices: Sequence[int],
    cells: Sequence[Cell],
    corrupter: Corrupter,
    workers: int,
) -> str | None:
    """What is ahead in a sentence, with a `--limit` where it is long; None where it is not worth one.

    Args:
        indices: of the pictures that are still to be taken.
    """
    taken = next((found for found in (_readable(split, index) for index in indices) if found is not None), None)
    if taken is None:
        return None
    key, image = taken
    network_s = (len(cells) + 1) * _second_of_two(partial(_through, segmenter, image))
    corrupting_s = 0.0
    for name, severities in severities_of(cells).items():
        middle = Cell(name, severities[len(severities) // 2])
        corrupting_s += len(severities) * _second_of_two(partial(corrupter, Source(image), key, middle))
    return estimate_sentence(network_s, corrupting_s, len(indices), len(cells), workers)


def estimate_sentence(
    network_s: float, corrupting_s: float, pictures: int, cells: int, workers: int
) -> str | None:
    """The sentence from the seconds that one picture takes in all its variants.

    Args:
        cells: corrupted variants of each picture.
        workers: processes that corrupt while the network runs; 0: both take turns in one.

    >>> estimate_sentence(100.0, 4.0, 500, 72, 1)
    '500 images ... in 72 variants: about 14 h (...33 min in 1 process beside it); --limit 9 would take about 15 min'
    """
    each_s = max(network_s, corrupting_s / workers) if workers else network_s + corrupting_s
    total_s = each_s * pictures
    if total_s < WORTH_SAYING_S:
        return None
    beside = "in the same process" if not workers else f"in {workers} process{'es' if workers > 1 else ''} beside it"
    text = (
        f"{pictures} images as they are and in {cells} variants: about {duration(total_s)} (network "
        f"{duration(network_s * pictures)}, corruptions {duration(corrupting_s * pictures)} {beside})"
    )
    few = max(2, int(LONG_S / each_s))
    if total_s > LONG_S and few < pictures:
        text += f"; --limit {few} would take about {duration(few * each_s)}"
    return text


def duration(seconds: float) -> str:
    """A time as a person says it.

    >>> duration(42.4), duration(1500), duration(5400), duration(54000)
    ('42 s', '25 min', '1.5 h', '15 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.2g} h"


def _readable(split: Split, index: int) -> tuple[str, Picture] | None:
    """The key and the picture (H, W, 3), None where it cannot be read or is too small to corrupt."""
    pair = split.pairs[index]
    try:
        image = read_image(pair.image)
    except SegFormerError:
        return None
    return (pair.key, image) if min(image.shape[:2]) >= SMALLEST else None


def _through(segmenter: Segmenter, image: Picture) -> None:
    (maps,) = segmenter.passes(segmenter.prepare(image))
    upsampled_mask(maps, (image.shape[0], image.shape[1])).cpu()


def _second_of_two(work: Callable[[], object]) -> float:
    """Seconds of the second time: the first makes tables and kernels that all pictures share."""
    seconds = 0.0
    for _ in range(2):
        began = time.perf_counter()
        work()
        seconds = time.perf_counter() - began
    return seconds
