"""Clean scores at several sizes, whole and in windows: what a change of resolution costs (SegFormer, Table 1c)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.protocol import OWN, Protocol
from segformer_cli.engine.scoring import Pace, judge, told
from segformer_cli.images import read_image
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.progress import ProgressListener
from segformer_cli.resize import ALIGN, NATIVE, SizePolicy
from segformer_cli.workflows.measurements import Measurements, Wanted

SHARES = (0.5, 0.625, 0.75, 1.0, 1.25)
"""Of the pictures' own short side: 512, 640, 768, 1024 and 1280 for Cityscapes."""


def sweep_protocols(split: Split, sizes: Sequence[int] | None = None) -> dict[str, Protocol]:
    """How pictures pass the network in each row of the sweep, by the row's name.

    Whole at each short side; in square windows of that side, every three quarters of it, where that is smaller than
    the pictures.

    Args:
        sizes: short sides; None: `SHARES` of that of the first picture.
    """
    short = min(read_image(split.pairs[0].image).shape[:2])
    chosen = list(dict.fromkeys(sizes or [max(ALIGN, round(share * short)) for share in SHARES]))
    whole = {
        f"whole, short side {side}": Protocol(name=OWN, size=SizePolicy(short=side)) for side in chosen
    }
    windows = {}
    for side in chosen:
        window = max(ALIGN, round(side / ALIGN) * ALIGN)
        if window < short:
            name = f"windows of {window}x{window} at native size"
            stride = window * 3 // 4
            windows[name] = Protocol(name=OWN, size=NATIVE, window=(window, window), stride=(stride, stride))
    return whole | windows


def sweep(
    segmenter: Segmenter, split: Split, protocols: Mapping[str, Protocol], progress: ProgressListener
) -> Iterator[tuple[str, ImageCounts]]:
    """The counts of every picture under each protocol."""
    for name, protocol in protocols.items():
        found = Measurements(split, Wanted())
        seen = replace(segmenter, protocol=protocol)
        for each in told(judge(seen, split, Pace()), len(split), progress, name):
            found.add(each)
        yield name, found.counts
