"""CD and rCD: how much a model loses to corruptions beside a reference model.

With D = 1 - mIoU, the CD of a corruption is the sum of D over its severities over the same sum of the reference; its
rCD takes D minus the clean D in both sums. mCD and mrCD are their means over corruptions. Both sums are over the same
severities, so means give the same ratio, and the means that a paper prints are enough.

Source: spec/robustness.md 2.2 after Kamann and Rother (arXiv 1908.05005), whose formulas are recalled there: their text
could not be had. CD is the CE of ImageNet-C (Hendrycks and Dietterich, ICLR 2019) with D in place of the error rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segformer_cli.robustness.protocols import Cell, severity_text
from segformer_cli.robustness.scores import NAN, Grid, Robustness, mean, robustness, share


@dataclass(frozen=True)
class Reference:
    """The model that a degradation is measured against.

    `means` has a number for each corruption, its mean over the severities that `severities` gives it.
    """

    name: str
    clean: float
    means: Mapping[str, float]
    severities: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Degradation:
    """CD and rCD of each corruption; 1 is what the reference loses, less is better, NaN where undefined.

    CD counts all that lacks to a perfect mIoU, rCD only what lacks to the model's own clean one: a model that is weak
    but steady has a high CD and a low rCD. `mcd` and `mrcd` are their means. `left_out` says of each corruption
    without a CD or without a rCD why it has none.
    """

    reference: str
    cd: Mapping[str, float]
    rcd: Mapping[str, float]
    mcd: float
    mrcd: float
    left_out: Mapping[str, str]

    @property
    def note(self) -> str | None:
        """What is missing from the means, None where nothing is."""
        if not self.left_out:
            return None
        why = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
        return f"beside {self.reference}, {len(self.left_out)} of {len(self.cd)} corruptions are not complete ({why})"


def reference_of_grid(name: str, grid: Grid, clean: float, cells: Iterable[Cell]) -> Reference:
    """A reference made of another grid, over those of `cells` that it has.

    >>> reference_of_grid("other", {Cell("fog", 1): 0.5, Cell("fog", 5): 0.25}, 0.75, [Cell("fog", 1)])
    Reference(name='other', clean=0.75, means={'fog': 0.5}, severities={'fog': (1,)})
    """
    found = robustness(grid, clean, (cell for cell in cells if cell in grid))
    return Reference(name, clean, found.means, {row.corruption: row.severities for row in found.per_corruption})


def degradation(found: Robustness, reference: Reference) -> Degradation:
    """CD and rCD of every corruption that the reference has over the same severities.

    >>> fog = robustness({Cell("fog", 1): 0.875, Cell("fog", 2): 0.625}, clean=1.0)
    >>> beside = degradation(fog, Reference("other", 0.75, {"fog": 0.5}, {"fog": (1, 2)}))
    >>> beside.mcd, beside.mrcd
    (0.5, 1.0)
    """
    cd: dict[str, float] = {}
    rcd: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for row in found.per_corruption:
        name = row.corruption
        cd[name] = rcd[name] = NAN
        theirs = reference.means.get(name, NAN)
        why_not = _why_not(row.severities, reference.severities.get(name, ()), row.mean, theirs)
        if why_not is None:
            loss = reference.clean - theirs
            cd[name] = share(1 - row.mean, 1 - theirs)
            # A reference that loses nothing, or gains, is no measure of a loss.
            rcd[name] = share(found.clean - row.mean, loss) if loss > 0 else NAN
            if loss <= 0:
                why_not = "the reference loses nothing to it, so that there is no rCD"
        if why_not is not None:
            left_out[name] = why_not
    return Degradation(reference.name, cd, rcd, mean(cd.values()), mean(rcd.values()), left_out)


def _why_not(here: tuple[int, ...], there: tuple[int, ...], own: float, theirs: float) -> str | None:
    """Why two means of a corruption cannot be set beside each other; None if they can."""
    if math.isnan(own):
        return "it has no result"
    if math.isnan(theirs) or not there:
        return "the reference has none"
    if here != there:
        return f"here {severity_text(here)}, in the reference {severity_text(there)}"
    return None
