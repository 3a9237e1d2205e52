"""Rows in the order of SegFormer's Table 5, as Markdown or as LaTeX for a paper: percent with one decimal.

A number that Table 5's cannot be set beside is starred, and one that is not known a dash. Where rows have stars or
dashes, a second mean is over the corruptions that every row has without a star.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from segformer_cli.robustness.protocols import PAPER_CATEGORIES, PAPER_CORRUPTIONS, severity_text
from segformer_cli.robustness.published import TABLE5
from segformer_cli.robustness.scores import NAN, Robustness, mean, share

SHORT: Mapping[str, str] = {
    "motion_blur": "Motion",
    "defocus_blur": "Defoc",
    "glass_blur": "Glass",
    "gaussian_blur": "Gauss",
    "gaussian_noise": "GaussN",
    "impulse_noise": "Impul",
    "shot_noise": "Shot",
    "speckle_noise": "Speck",
    "brightness": "Bright",
    "contrast": "Contr",
    "saturate": "Satur",
    "jpeg_compression": "JPEG",
    "snow": "Snow",
    "spatter": "Spatt",
    "fog": "Fog",
    "frost": "Frost",
}
"""The column of each corruption; GaussN is the noise, Gauss the blur."""


@dataclass(frozen=True)
class TableRow:
    """One model: its clean mIoU and the mean of each corruption, fractions; `starred` says why a mean has a star."""

    label: str
    clean: float
    means: Mapping[str, float]
    starred: Mapping[str, str] = field(default_factory=dict)

    def value(self, corruption: str) -> float:
        """The mean of a corruption, NaN where it is not known."""
        return self.means.get(corruption, NAN)

    def mean_of(self, corruptions: Collection[str]) -> float:
        """The mean over some corruptions; NaN unless all of them are known."""
        values = [self.value(corruption) for corruption in corruptions]
        return NAN if any(map(math.isnan, values)) else mean(values)


def row_of(label: str, found: Robustness, starred: Mapping[str, str] | None = None) -> TableRow:
    """The row of a result; means over other severities than the paper's are starred.

    Args:
        starred: more corruptions whose mean is not comparable, each with the reason: `{"frost": "drawn textures"}`.
    """
    reasons = {
        row.corruption: f"over {severity_text(row.severities)}, not over those of Table 5"
        for row in found.per_corruption
        if row.severities and not row.comparable
    }
    for name, reason in (starred or {}).items():
        reasons[name] = f"{reasons[name]}; {reason}" if name in reasons else reason
    return TableRow(label, found.clean, found.means, reasons)


def published_rows() -> tuple[TableRow, ...]:
    """Table 5 itself."""
    return tuple(TableRow(row.label, row.clean, row.means) for row in TABLE5.values())


def markdown_table(rows: Sequence[TableRow]) -> str:
    """Header, rows and the reasons of the stars.

    >>> table = markdown_table([published_rows()[-1]]).splitlines()
    >>> table[0][:36], table[2][:36], table[2][-21:]
    ('| Method | Clean | Motion | Defoc | ', '| SegFormer-B5 | 82.4 | 69.1 | 68.6 ', ' 49.9 | 65.8 | 79.9 |')
    """
    common = common_corruptions(rows)
    header = _header(common)
    lines = [_line(header), _line(["---"] + ["---:"] * (len(header) - 1))]
    lines += [markdown_row(row, common) for row in rows]
    notes = [f"\n\\* {escape_markdown(note)}" for note in star_notes(rows)]
    return "\n".join([*lines, *notes]) + "\n"


def markdown_row(row: TableRow, common: Collection[str] = PAPER_CORRUPTIONS) -> str:
    """One row of a Markdown table.

    Args:
        common: the corruptions of the second mean; all 16: there is none.
    """
    return _line([escape_markdown(row.label), *_numbers(row, common, star=r"\*")])


def latex_table(rows: Sequence[TableRow]) -> str:
    """A tabular for the booktabs package, and the reasons of the stars below it.

    >>> print(latex_table([published_rows()[-1]]).splitlines()[6][:44])
    SegFormer-B5 & 82.4 & 69.1 & 68.6 & 64.1 & 6
    """
    common = common_corruptions(rows)
    header = _header(common)
    groups = "".join(rf" & \multicolumn{{4}}{{c}}{{{category.capitalize()}}}" for category in PAPER_CATEGORIES)
    rules = " ".join(rf"\cmidrule(lr){{{first}-{first + 3}}}" for first in (3, 7, 11, 15))
    lines = [
        rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
        r"\toprule",
        rf" & {groups}{' &' * (len(header) - 18)} \\",
        rules,
        " & ".join(header) + r" \\",
        r"\midrule",
        *(latex_row(row, common) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    lines += [rf"\par{{\footnotesize $^*$ {escape_latex(note)}}}" for note in star_notes(rows)]
    return "\n".join(lines) + "\n"


def latex_row(row: TableRow, common: Collection[str] = PAPER_CORRUPTIONS) -> str:
    r"""One row of a tabular, with its `\\`.

    Args:
        common: the corruptions of the second mean; all 16: there is none.
    """
    cells = [escape_latex(row.label), *_numbers(row, common, star="$^*$")]
    return " & ".join("--" if cell == _UNKNOWN else cell for cell in cells) + r" \\"


def common_corruptions(rows: Sequence[TableRow]) -> tuple[str, ...]:
    """Those of the 16 that every row has without a star."""
    return tuple(
        name
        for name in PAPER_CORRUPTIONS
        if all(name not in row.starred and not math.isnan(row.value(name)) for row in rows)
    )


def star_notes(rows: Sequence[TableRow]) -> list[str]:
    """Why numbers have a star, each reason once with the columns that it holds for.

    >>> row = TableRow("b0", 0.75, {"fog": 0.5, "frost": 0.25}, {"frost": "drawn textures"})
    >>> star_notes([row, row])
    ['Frost: drawn textures']
    """
    columns: dict[str, set[str]] = {}
    for row in rows:
        for corruption, reason in row.starred.items():
            if corruption in SHORT and not math.isnan(row.value(corruption)):
                columns.setdefault(reason, set()).add(corruption)
    return [
        f"{', '.join(SHORT[name] for name in PAPER_CORRUPTIONS if name in names)}: {reason}"
        for reason, names in columns.items()
    ]


def escape_markdown(text: str) -> str:
    r"""Text as one line that Markdown shows as it is.

    >>> print(escape_markdown("my_run|2 *new*"))
    my\_run\|2 \*new\*
    """
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|~&!$" else letter for letter in " ".join(text.split()))


def escape_latex(text: str) -> str:
    r"""Text as one line that LaTeX prints as it is.

    >>> print(escape_latex("my_run & 50 % of {b0}"))
    my\_run \& 50 \% of \{b0\}
    """
    plain = "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
    # Two hyphens would become one dash.
    return plain.replace("--", "-{}-").replace("--", "-{}-")


_UNKNOWN = "–"

_LATEX: Mapping[str, str] = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
}


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _header(common: Collection[str]) -> list[str]:
    return ["Method", "Clean", *SHORT.values(), "Mean", *_second_mean(f"Mean of {len(common)}", common), "Ret."]


def _numbers(row: TableRow, common: Collection[str], star: str) -> list[str]:
    """Clean, the sixteen, their mean, the second mean if there is one, retention."""
    average = row.mean_of(PAPER_CORRUPTIONS)
    any_star = star if any(corruption in row.starred for corruption in PAPER_CORRUPTIONS) else ""
    means = [_percent(row.value(name), star if name in row.starred else "") for name in PAPER_CORRUPTIONS]
    second = _second_mean(_percent(row.mean_of(common)), common)
    retention = _percent(share(average, row.clean), any_star)
    return [_percent(row.clean), *means, _percent(average, any_star), *second, retention]


def _second_mean(cell: str, common: Collection[str]) -> list[str]:
    return [cell] if 1 < len(common) < len(PAPER_CORRUPTIONS) else []


def _percent(value: float, star: str = "") -> str:
    return _UNKNOWN if math.isnan(value) else f"{100 * value:.1f}{star}"
