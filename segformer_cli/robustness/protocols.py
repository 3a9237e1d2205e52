"""Which corruptions, at which severities, a robustness score is made of.

Source: spec/robustness.md 2.1; SegFormer, Table 5 and appendix D ("3 severities for 4 kinds of noise and 5 severities
for the rest 12"). That the three are 1 to 3 follows Kamann and Rother (arXiv 1908.05005), who left out severities with
too low a signal-to-noise ratio.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from segformer_cli.errors import UsageError, did_you_mean

PAPER_CATEGORIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "blur": ("motion_blur", "defocus_blur", "glass_blur", "gaussian_blur"),
        "noise": ("gaussian_noise", "impulse_noise", "shot_noise", "speckle_noise"),
        "digital": ("brightness", "contrast", "saturate", "jpeg_compression"),
        "weather": ("snow", "spatter", "fog", "frost"),
    }
)
"""The 16 corruptions of Table 5 in its order."""

PAPER_CORRUPTIONS: tuple[str, ...] = tuple(name for names in PAPER_CATEGORIES.values() for name in names)

CATEGORY_OF: Mapping[str, str] = MappingProxyType(
    {name: category for category, names in PAPER_CATEGORIES.items() for name in names}
    | {"zoom_blur": "blur", "elastic_transform": "digital", "pixelate": "digital"}
)
"""All 19, Table 5's first; the other three lie where ImageNet-C puts them."""

SEVERITIES = (1, 2, 3, 4, 5)
NOISE_SEVERITIES = (1, 2, 3)
"""Of the four noises in the paper."""

DEFAULT = "cityscapes-c"
NONE = "none"
"""Clean pictures alone: for other sizes and for real weather."""

CUSTOM = "custom"
"""The name of a protocol made of the user's own corruptions or severities."""


class Cell(NamedTuple):
    """One corruption at one severity: a cell of the grid of results."""

    corruption: str
    severity: int

    def __str__(self) -> str:
        return f"{self.corruption} at severity {self.severity}"


@dataclass(frozen=True)
class RobustProtocol:
    """The cells that a score is made of, in the order in which tables show them.

    `sentence` is the middle of one: "the 16 corruptions of SegFormer's Table 5, ...".
    """

    name: str
    cells: tuple[Cell, ...]
    sentence: str

    def __len__(self) -> int:
        """How many corrupted variants of each picture there are."""
        return len(self.cells)

    def __str__(self) -> str:
        if not self.cells:
            return self.sentence
        return f"{self.sentence} ({len(self)} variant{'' if len(self) == 1 else 's'} of each picture)"

    @property
    def corruptions(self) -> tuple[str, ...]:
        """Each corruption once, in order."""
        return tuple(severities_of(self.cells))

    @property
    def comparable(self) -> bool:
        """Whether its mean over all corruptions is made of the same cells as those of Table 5."""
        return set(self.cells) == set(PROTOCOLS[DEFAULT].cells)


def paper_severities(corruption: str) -> tuple[int, ...]:
    """1 to 3 for the paper's four noises, 1 to 5 for every other corruption.

    >>> paper_severities("shot_noise"), paper_severities("fog")
    ((1, 2, 3), (1, 2, 3, 4, 5))
    """
    return NOISE_SEVERITIES if corruption in PAPER_CATEGORIES["noise"] else SEVERITIES


def severities_of(cells: Iterable[Cell]) -> dict[str, tuple[int, ...]]:
    """The severities of each corruption among the cells, all in the cells' order.

    >>> severities_of([Cell("fog", 1), Cell("snow", 3), Cell("fog", 5)])
    {'fog': (1, 5), 'snow': (3,)}
    """
    found: dict[str, tuple[int, ...]] = {}
    for corruption, severity in cells:
        found[corruption] = (*found.get(corruption, ()), severity)
    return found


def choose_robust_protocol(
    name: str | None = None,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
) -> RobustProtocol:
    """The protocol called `name`, its corruptions or severities replaced by those given.

    Given corruptions keep the severities they have in the named protocol, or in the paper where it lacks them; given
    severities go for every corruption. A name twice counts once; the order given is kept, that of severities is
    rising. What comes out equal to the named protocol keeps its name, all else is called "custom".

    Args:
        name: None: that of the paper, "cityscapes-c".
        corruptions: names in any case, with - or _. None: those of the named protocol.
        severities: 1 to 5. None: those of the named protocol.

    Raises:
        UsageError: a protocol or a corruption is unknown, a severity is not one of 1 to 5, a list is empty.

    >>> choose_robust_protocol(corruptions=["fog", "shot-noise"], severities=[5, 1]).cells[:2]
    (Cell(corruption='fog', severity=1), Cell(corruption='fog', severity=5))
    >>> print(choose_robust_protocol("fan", ["snow"]))
    snow at severities 1 to 3 (3 variants of each picture)
    """
    named = named_protocol(name or DEFAULT)
    given = None if severities is None else _severities(severities)
    own = severities_of(named.cells)
    chosen = named.corruptions if corruptions is None else _corruptions(corruptions)
    cells = tuple(
        Cell(corruption, severity)
        for corruption in chosen
        for severity in given or own.get(corruption, paper_severities(corruption))
    )
    return named if cells == named.cells else RobustProtocol(CUSTOM, cells, _sentence(cells))


def named_protocol(name: str) -> RobustProtocol:
    """The protocol called `name`, in either case.

    Raises:
        UsageError: there is no such protocol.
    """
    try:
        return PROTOCOLS[name.lower()]
    except KeyError:
        hint = did_you_mean(name.lower(), PROTOCOLS)
        raise UsageError(f"there is no robustness protocol {name!r}", hint=hint) from None


def _corruptions(names: Sequence[str]) -> tuple[str, ...]:
    found = []
    for name in names:
        plain = name.strip().lower().replace("-", "_")
        if plain in PAPER_CATEGORIES:
            hint = f"{plain} is a category: --protocol {plain}, or name {', '.join(PAPER_CATEGORIES[plain])}"
            raise UsageError(f"there is no corruption {name!r}", hint=hint)
        if plain not in CATEGORY_OF:
            raise UsageError(f"there is no corruption {name!r}", hint=did_you_mean(plain, CATEGORY_OF))
        found.append(plain)
    if not found:
        raise UsageError("no corruption was named", hint="known: " + ", ".join(CATEGORY_OF))
    return tuple(dict.fromkeys(found))


def _severities(severities: Sequence[int]) -> tuple[int, ...]:
    for severity in severities:
        if severity not in SEVERITIES:
            raise UsageError(f"there is no severity {severity}", hint="severities go from 1 (mild) to 5 (severe)")
    if not severities:
        raise UsageError("no severity was named", hint="severities go from 1 (mild) to 5 (severe)")
    return tuple(sorted(set(severities)))


def _sentence(cells: Sequence[Cell]) -> str:
    """What the cells are, corruptions with the same severities taken together."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for corruption, severities in severities_of(cells).items():
        alike.setdefault(severities, []).append(corruption)
    return "; ".join(f"{_names(names)} at {severity_text(severities)}" for severities, names in alike.items())


def _names(names: Sequence[str]) -> str:
    return join_words(names) if len(names) <= 4 else f"{len(names)} corruptions ({', '.join(names)})"


def severity_text(severities: Sequence[int]) -> str:
    """Severities as a sentence has them.

    >>> severity_text([3]), severity_text([1, 2, 3]), severity_text([1, 3, 5])
    ('severity 3', 'severities 1 to 3', 'severities 1, 3 and 5')
    """
    if len(severities) == 1:
        return f"severity {severities[0]}"
    first, last = severities[0], severities[-1]
    if len(severities) > 2 and list(severities) == list(range(first, last + 1)):
        return f"severities {first} to {last}"
    return f"severities {join_words([str(severity) for severity in severities])}"


def join_words(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> join_words(["snow"]), join_words(["snow", "fog", "frost"])
    ('snow', 'snow, fog and frost')
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _paper_cells(corruptions: Iterable[str]) -> tuple[Cell, ...]:
    return tuple(Cell(name, severity) for name in corruptions for severity in paper_severities(name))


def _all_at(severities: Iterable[int]) -> tuple[Cell, ...]:
    return tuple(Cell(name, severity) for name in CATEGORY_OF for severity in tuple(severities))


PROTOCOLS: Mapping[str, RobustProtocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            RobustProtocol(
                DEFAULT,
                _paper_cells(PAPER_CORRUPTIONS),
                "the 16 corruptions of SegFormer's Table 5, the four noises at severities 1 to 3, the others at 1 to 5",
            ),
            RobustProtocol(
                "all19",
                _all_at(SEVERITIES),
                "all 19 corruptions of imagecorruptions at severities 1 to 5, their mean not comparable with Table 5",
            ),
            RobustProtocol(
                "fan",
                _all_at(NOISE_SEVERITIES),
                "all 19 corruptions at severities 1 to 3, as in FAN's released script, their mean not comparable with "
                "Table 5",
            ),
            *(
                RobustProtocol(
                    category,
                    _paper_cells(names),
                    f"the four {category} corruptions of SegFormer's Table 5 at "
                    f"{severity_text(paper_severities(names[0]))}",
                )
                for category, names in PAPER_CATEGORIES.items()
            ),
            RobustProtocol(NONE, (), "no corruption"),
        )
    }
)
"""The protocols that have a name. FAN's script also corrupts in BGR order and draws from one seed for the whole set."""
