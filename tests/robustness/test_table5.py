"""Rows for a paper, read back as Markdown and as LaTeX would read them."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from segformer_cli.robustness.protocols import PROTOCOLS, Cell, choose_robust_protocol
from segformer_cli.robustness.scores import Robustness, robustness
from segformer_cli.robustness.table5 import (
    SHORT,
    TableRow,
    escape_latex,
    escape_markdown,
    latex_row,
    latex_table,
    markdown_row,
    markdown_table,
    published_rows,
    row_of,
)

B5 = published_rows()[-1]
PRINTED = (82.4, 69.1, 68.6, 64.1, 69.8, 57.8, 63.4, 52.3, 72.8, 81.0, 77.7, 80.1, 58.8, 40.7, 68.4, 78.5, 49.9)
B5_PRINTED = [*map(str, PRINTED), "65.8", "79.9"]


def run(cells: tuple[Cell, ...], miou: float = 0.5) -> Robustness:
    return robustness(dict.fromkeys(cells, miou), clean=0.8)


def read_markdown(text: str) -> list[list[str]]:
    """The cells of the only table, as a reader of the page sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[str]] = []
    for before, token in itertools.pairwise(tokens):
        if token.type == "tr_open":
            rows.append([])
        if before.type in ("th_open", "td_open"):
            rows[-1].append("".join(child.content for child in token.children or ()))
    return rows


def test_the_published_row_of_b5_has_the_numbers_as_printed_then_mean_and_retention() -> None:
    header, row = read_markdown(markdown_table([B5]))
    assert row == ["SegFormer-B5", *B5_PRINTED]
    assert header == ["Method", "Clean", *SHORT.values(), "Mean", "Ret."]
    assert latex_row(B5) == " & ".join(row) + r" \\"
    assert read_markdown("\n".join([*markdown_table([B5]).splitlines()[:2], markdown_row(B5)])) == [header, row]


def test_a_run_of_the_papers_cells_stands_beside_all_published_rows_without_a_star() -> None:
    text = markdown_table([row_of("mine", run(PROTOCOLS["cityscapes-c"].cells)), *published_rows()])
    header, mine, *published = read_markdown(text)
    assert mine == ["mine", "80.0", *["50.0"] * 17, "62.5"]
    assert len(published) == 13 and {len(row) for row in published} == {len(header)}
    assert "*" not in text


def test_other_severities_are_starred_with_their_reason_and_a_second_mean_is_over_the_rest() -> None:
    mine = row_of("mine", run(choose_robust_protocol(severities=[1, 2, 3]).cells))
    text = markdown_table([mine, B5])
    header, first, b5 = read_markdown(text)
    assert header[-3:] == ["Mean", "Mean of 4", "Ret."]
    assert first[header.index("Fog")] == "50.0*" and first[header.index("Shot")] == "50.0"
    assert first[-3:] == ["50.0*", "50.0", "62.5*"]
    assert b5[-3:] == ["65.8", "61.6", "79.9"]
    assert r"Spatt, Fog, Frost: over severities 1 to 3, not over those of Table 5" in text


def test_a_reason_of_the_callers_own_stars_its_column_and_the_mean_of_15_leaves_it_out() -> None:
    mine = row_of("mine", run(PROTOCOLS["cityscapes-c"].cells), starred={"frost": "drawn textures"})
    text = markdown_table([mine, B5])
    header, first, b5 = read_markdown(text)
    assert [cell for cell in first if cell.endswith("*")] == ["50.0*", "50.0*", "62.5*"]
    assert header[-2] == "Mean of 15" and first[-2] == "50.0" and b5[-2] == "66.9"
    assert text.endswith("\\* Frost: drawn textures\n")
    assert latex_table([mine, B5]).endswith("\\par{\\footnotesize $^*$ Frost: drawn textures}\n")


def test_what_was_not_run_is_a_dash_and_no_mean_is_claimed() -> None:
    noises = row_of("mine", run(PROTOCOLS["noise"].cells), starred={"frost": "drawn textures"})
    header, row, _b5 = read_markdown(markdown_table([noises, B5]))
    assert row[header.index("Fog")] == row[header.index("Frost")] == row[header.index("Mean")] == row[-1] == "–"
    assert row[-2] == "50.0" and header[-2] == "Mean of 4"
    assert "drawn textures" not in markdown_table([noises, B5])
    assert latex_row(noises).count("--") == 14


def test_corruptions_outside_the_table_have_no_column_and_no_weight() -> None:
    cells = PROTOCOLS["all19"].cells
    low = {cell: 0.0 if cell.corruption == "pixelate" else 0.5 for cell in cells}
    row = row_of("mine", robustness(low, 0.8, [*PROTOCOLS["cityscapes-c"].cells, Cell("pixelate", 1)]))
    assert read_markdown(markdown_table([row]))[1][-2:] == ["50.0", "62.5"]


def test_the_latex_table_has_as_many_cells_in_each_line_as_columns() -> None:
    for rows in ([B5], [row_of("m & m", run(PROTOCOLS["fan"].cells)), *published_rows()]):
        lines = latex_table(rows).splitlines()
        columns = re.fullmatch(r"\\begin\{tabular\}\{(l r*)\}".replace(" ", ""), lines[0])
        assert columns is not None
        body = [line for line in lines if line.endswith(r"\\")]
        for line in body:
            spans = 3 * line.count(r"\multicolumn{4}")
            assert len(re.findall(r"(?<!\\)&", line)) + spans + 1 == len(columns[1])
        assert len(body) == len(rows) + 2
        assert lines[3] == r"\cmidrule(lr){3-6} \cmidrule(lr){7-10} \cmidrule(lr){11-14} \cmidrule(lr){15-18}"


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("éß–日"), max_size=30))
@settings(max_examples=200, deadline=None)
def test_a_name_is_read_as_it_was_written_whatever_its_signs(name: str) -> None:
    row = TableRow(name, B5.clean, B5.means)
    _header, shown = read_markdown(markdown_table([row]))
    assert shown == [" ".join(name.split()), *B5_PRINTED]


@given(st.text(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_name_breaks_a_line_or_a_cell(name: str) -> None:
    assert len(markdown_row(TableRow(name, B5.clean, B5.means)).splitlines()) == 1
    latex = latex_row(TableRow(name, B5.clean, B5.means))
    assert len(latex.splitlines()) == 1 and len(re.findall(r"(?<!\\)&", latex)) == 19


@pytest.mark.parametrize(
    ("name", "markdown", "latex"),
    [
        ("my_run", r"my\_run", r"my\_run"),
        ("a|b & c", r"a\|b \& c", r"a\textbar{}b \& c"),
        ("100 % #1 ~x^2", r"100 % #1 \~x^2", r"100 \% \#1 \textasciitilde{}x\textasciicircum{}2"),
        ("b0 --- b1", "b0 --- b1", "b0 -{}-{}- b1"),
        ("C:\\runs\n{b0}", r"C:\\runs {b0}", r"C:\textbackslash{}runs \{b0\}"),
        ("<b>$1 -- \"x\"", r"\<b\>\$1 -- " + '"x"', r"\textless{}b\textgreater{}\$1 -{}- ''x''"),
    ],
)
def test_signs_with_a_meaning_are_escaped(name: str, markdown: str, latex: str) -> None:
    assert escape_markdown(name) == markdown
    assert escape_latex(name) == latex
