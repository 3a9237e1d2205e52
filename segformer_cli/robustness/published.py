"""The robustness numbers that papers print for Cityscapes-C, with where they stand and what they can be set beside.

Numbers are typed off as printed, percent with one decimal, and read as fractions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from segformer_cli.errors import UsageError, did_you_mean
from segformer_cli.robustness.degradation import Reference
from segformer_cli.robustness.protocols import PAPER_CORRUPTIONS, paper_severities
from segformer_cli.robustness.scores import mean, share

DEFAULT_REFERENCE = "dlv3plus-mbv2"
"""The reference of Kamann and Rother for the backbones of DeepLabv3+ (recalled, spec/robustness.md 2.2)."""

TABLE5_SOURCE = "SegFormer (Xie et al., NeurIPS 2021), Table 5; all rows but its own are from Kamann and Rother"
STL_SOURCE = "STL (ICCV 2023), Table 4"
FAN_SOURCE = "README of NVlabs/FAN"


@dataclass(frozen=True)
class PublishedRow:
    """One row of Table 5: a mean over severities for each of the 16 corruptions, in the table's order.

    `label` is as printed there; DLv3+ is DeepLabv3+.
    """

    name: str
    label: str
    clean: float
    means: Mapping[str, float]
    source: str = TABLE5_SOURCE

    @property
    def mean(self) -> float:
        """Of the 16: the table prints none, papers after it print this one."""
        return mean(self.means.values())

    @property
    def retention(self) -> float:
        """The share of the clean mIoU that is left."""
        return share(self.mean, self.clean)


@dataclass(frozen=True)
class PublishedMean:
    """A model of which only the clean mIoU and the mean over corruptions are printed.

    `comparable` is whether the mean is known to be that of Table 5's cells; `note` says why, or why not. `retention`
    is as printed, None where it is not.
    """

    name: str
    label: str
    clean: float
    mean: float
    retention: float | None
    source: str
    comparable: bool
    note: str


def reference(name: str = DEFAULT_REFERENCE) -> Reference:
    """The row of Table 5 called `name`, in either case, as the reference of a degradation.

    Raises:
        UsageError: there is no such row, or only the mean of this model is published.

    >>> reference("ICNet").means["fog"]
    0.273
    """
    found = TABLE5.get(name.lower())
    if found is not None:
        severities = {corruption: paper_severities(corruption) for corruption in found.means}
        return Reference(found.label, found.clean, found.means, severities)
    if name.lower() in PUBLISHED_MEANS:
        label = PUBLISHED_MEANS[name.lower()].label
        raise UsageError(f"of {label} only a mean is published, which gives no CD", hint="known: " + ", ".join(TABLE5))
    raise UsageError(f"there is no published reference {name!r}", hint=did_you_mean(name.lower(), TABLE5))


Four = tuple[float, float, float, float]


def _row(name: str, label: str, clean: float, blur: Four, noise: Four, digital: Four, weather: Four) -> PublishedRow:
    printed = zip(PAPER_CORRUPTIONS, (*blur, *noise, *digital, *weather), strict=True)
    means = MappingProxyType({corruption: _fraction(percent) for corruption, percent in printed})
    return PublishedRow(name, label, _fraction(clean), means)


def _fraction(percent: float) -> float:
    """Exactly the fraction that is written with three decimals, as 0.691 and not 0.6909999999999999."""
    return round(percent / 100, 3)


_ROWS = (
    _row("dlv3plus-mbv2", "DLv3+ (MBv2)", 72.0, (53.5, 49.0, 45.3, 49.1), (6.4, 7.0, 6.6, 16.6),
         (51.7, 46.7, 32.4, 27.2), (13.7, 38.9, 47.4, 17.3)),
    _row("dlv3plus-r50", "DLv3+ (R50)", 76.6, (58.5, 56.6, 47.2, 57.7), (6.5, 7.2, 10.0, 31.1),
         (58.2, 54.7, 41.3, 27.4), (12.0, 42.0, 55.9, 22.8)),
    _row("dlv3plus-r101", "DLv3+ (R101)", 77.1, (59.1, 56.3, 47.7, 57.3), (13.2, 13.9, 16.3, 36.9),
         (59.2, 54.5, 41.5, 37.4), (11.9, 47.8, 55.1, 22.7)),
    _row("dlv3plus-x41", "DLv3+ (X41)", 77.8, (61.6, 54.9, 51.0, 54.7), (17.0, 17.3, 21.6, 43.7),
         (63.6, 56.9, 51.7, 38.5), (18.2, 46.6, 57.6, 20.6)),
    _row("dlv3plus-x65", "DLv3+ (X65)", 78.4, (63.9, 59.1, 52.8, 59.2), (15.0, 10.6, 19.8, 42.4),
         (65.9, 59.1, 46.1, 31.4), (19.3, 50.7, 63.6, 23.8)),
    _row("dlv3plus-x71", "DLv3+ (X71)", 78.6, (64.1, 60.9, 52.0, 60.4), (14.9, 10.8, 19.4, 41.2),
         (68.0, 58.7, 47.1, 40.2), (18.8, 50.4, 64.1, 20.2)),
    _row("icnet", "ICNet", 65.9, (45.8, 44.6, 47.4, 44.7), (8.4, 8.4, 10.6, 27.9),
         (41.0, 33.1, 27.5, 34.0), (6.3, 30.5, 27.3, 11.0)),
    _row("fcn8s", "FCN8s", 66.7, (42.7, 31.1, 37.0, 34.1), (6.7, 5.7, 7.8, 24.9),
         (53.3, 39.0, 36.0, 21.2), (11.3, 31.6, 37.6, 19.7)),
    _row("dilatednet", "DilatedNet", 68.6, (44.4, 36.3, 32.5, 38.4), (15.6, 14.0, 18.4, 32.7),
         (52.7, 32.6, 38.1, 29.1), (12.5, 32.3, 34.7, 19.2)),
    _row("resnet-38", "ResNet-38", 77.5, (54.6, 45.1, 43.3, 47.2), (13.7, 16.0, 18.2, 38.3),
         (60.0, 50.6, 46.9, 14.7), (13.5, 45.9, 52.9, 22.2)),
    _row("pspnet", "PSPNet", 78.8, (59.8, 53.2, 44.4, 53.9), (11.0, 15.4, 15.4, 34.2),
         (60.4, 51.8, 30.6, 21.4), (8.4, 42.7, 34.4, 16.2)),
    _row("gscnn", "GSCNN", 80.9, (58.9, 58.4, 41.9, 60.1), (5.5, 2.6, 6.8, 24.7),
         (75.9, 61.9, 70.7, 12.0), (12.4, 47.3, 67.9, 32.6)),
    _row("segformer-b5", "SegFormer-B5", 82.4, (69.1, 68.6, 64.1, 69.8), (57.8, 63.4, 52.3, 72.8),
         (81.0, 77.7, 80.1, 58.8), (40.7, 68.4, 78.5, 49.9)),
)

TABLE5: Mapping[str, PublishedRow] = MappingProxyType({row.name: row for row in _ROWS})
"""Table 5 in its order, by name."""

_SAME_CELLS = (
    "printed beside SegFormer-B5, whose mean there is that of Table 5; expect 1 point of difference, as the seeds and "
    "the channel order of the original are not published"
)
_OTHER_CELLS = (
    "not known over which cells; FAN's released script takes all 19 corruptions at severities 1 to 3, Table 5 has "
    "16, twelve of them up to 5"
)


def _published_mean(
    name: str, label: str, clean: float, average: float, retention: float | None, source: str = STL_SOURCE
) -> PublishedMean:
    comparable = name.startswith("segformer-")
    printed = None if retention is None else _fraction(retention)
    note = _SAME_CELLS if comparable else _OTHER_CELLS
    return PublishedMean(name, label, _fraction(clean), _fraction(average), printed, source, comparable, note)


_MEANS = (
    _published_mean("segformer-b0", "SegFormer-B0", 76.2, 48.8, 64.0),
    _published_mean("segformer-b1", "SegFormer-B1", 78.4, 52.7, 67.2),
    _published_mean("segformer-b2", "SegFormer-B2", 81.0, 59.6, 73.6),
    _published_mean("convnext-t", "ConvNeXt-T", 79.0, 54.4, 68.9),
    _published_mean("swin-t", "Swin-T", 78.1, 47.3, 60.6),
    _published_mean("setr", "SETR", 76.0, 55.3, 72.8),
    _published_mean("fan-t-hybrid", "FAN-T-Hybrid", 81.2, 57.1, None, FAN_SOURCE),
    _published_mean("fan-s-hybrid", "FAN-S-Hybrid", 81.5, 66.4, None, FAN_SOURCE),
    _published_mean("fan-b-hybrid", "FAN-B-Hybrid", 82.2, 66.9, 81.5),
    _published_mean("fan-l-hybrid", "FAN-L-Hybrid", 82.3, 68.7, 83.5),
    _published_mean("stl-fan-b-hybrid", "STL (FAN-B-Hybrid)", 82.5, 68.6, 83.2),
    _published_mean("stl-fan-l-hybrid", "STL (FAN-L-Hybrid)", 82.8, 69.2, 83.6),
)

PUBLISHED_MEANS: Mapping[str, PublishedMean] = MappingProxyType({row.name: row for row in _MEANS})
"""Models of which only a mean is printed, by name; B3 and B4 are not published."""
