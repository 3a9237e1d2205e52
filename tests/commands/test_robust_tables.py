"""The tables of a robustness result in eighty columns, piped and on a terminal."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from segformer_cli.classes import CLASS_SETS
from segformer_cli.commands import robust_tables
from segformer_cli.commands.console import Console
from segformer_cli.robustness.degradation import degradation
from segformer_cli.robustness.protocols import CATEGORY_OF, RobustProtocol, choose_robust_protocol
from segformer_cli.robustness.published import reference
from segformer_cli.robustness.scores import NAN, robustness
from segformer_cli.workflows.robust_result import (
    CellScore,
    ClassRobustness,
    CleanScore,
    RobustResult,
    Seconds,
)

LONG = "a class whose name goes on and on, number "
ALL = choose_robust_protocol("all19")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def result_of(
    protocol: RobustProtocol = ALL, names: tuple[str, ...] = CLASS_SETS["cityscapes"].class_names, **fields: object
) -> RobustResult:
    """A result whose mIoU is the clean one of 1.0 at severity 1, and falls by 0.2 with each severity."""
    grid = {cell: 1.2 - 0.2 * cell.severity for cell in protocol.cells}
    rows = tuple(
        ClassRobustness(index, name, 0.9, 0.9 - 0.9 * index / len(names), 0.9 * index / len(names), "elastic_transform")
        for index, name in enumerate(names)
    )
    values = {
        "found": robustness(grid, 1.0, protocol.cells),
        "stability": robustness({cell: miou / 2 for cell, miou in grid.items()}, 1.0, protocol.cells),
        "grid": tuple(CellScore(*cell, miou, 8, None, miou / 2, miou / 2) for cell, miou in grid.items()),
        "per_class": rows, "images": 8, "protocol": "8 images of streets val", "labelled": True, "cells": protocol,
        "clean_ci95": (0.9, 1.0), "mean_ci95": (0.5, 0.7), **fields,
    }
    return RobustResult(**values)  # type: ignore[arg-type]


def with_everything(result: RobustResult) -> RobustResult:
    """The same beside a reference, with a sweep and conditions."""
    rows = (
        CleanScore("windows of 1024x1024 at native size", 500, 0.5, (0.4, 0.6), -0.5),
        CleanScore("whole, short side 512", 500, 0.5, None, -0.5),
    )
    beside = degradation(result.found, reference("dlv3plus-mbv2"))
    return replace(result, against=beside, resolutions=rows, conditions=(CleanScore(LONG, 8, 0.5, None, 0.1),))


def piped(result: RobustResult, capsys: pytest.CaptureFixture[str]) -> list[str]:
    robust_tables.show(Console("eval-robust"), result)
    return capsys.readouterr().out.splitlines()


def on_a_terminal(result: RobustResult, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    robust_tables.show(Console("eval-robust"), result)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


SETS = {
    **{name: CLASS_SETS[name].class_names for name in ("cityscapes", "ade20k", "mapillary-v2")},
    "long names": tuple(f"{LONG}{index}" for index in range(19)),
}


@pytest.mark.parametrize("names", SETS.values(), ids=SETS.keys())
def test_the_tables_of_19_corruptions_fit_eighty_columns_and_no_line_is_cut_or_wrapped(
    names: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = with_everything(result_of(names=names))
    for lines in (piped(result, capsys), on_a_terminal(result, monkeypatch)):
        assert max(map(len, lines)) <= 80
        assert not any("…" in line for line in lines)
        for name in ("clean", *CATEGORY_OF):
            (line,) = [line for line in lines if line.split()[:1] == [name] and "█" in line]
            if name != "clean":
                assert line.split()[2:] == ["0.6000", "0.6000", "100", "80", "60", "40", "20"]
        assert sum("elastic_transform" in line and "0.9000" in line for line in lines) == robust_tables.HARDEST


def test_bars_are_as_long_as_the_share_of_the_clean_score(capsys: pytest.CaptureFixture[str]) -> None:
    protocol = choose_robust_protocol(corruptions=["fog", "snow"], severities=[1, 3])
    bars = {line.split()[0]: line.count("█") for line in piped(result_of(protocol), capsys) if "█" in line}
    assert bars == {"clean": 18, "fog": 14, "snow": 14}             # 0.8 of 18


def test_the_classes_that_lose_most_come_first_and_those_without_a_score_not_at_all(
    capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_of(names=tuple(f"c{index}" for index in range(9)))
    rows = tuple(replace(row, drop=NAN) if row.id == 8 else row for row in result.per_class)
    lines = piped(replace(result, per_class=rows), capsys)
    at = lines.index("classes that lose most")
    assert [line.split()[0] for line in lines[at + 2 :]] == ["c7", "c6", "c5", "c4", "c3"]


def test_a_cell_without_a_result_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    protocol = choose_robust_protocol(corruptions=["fog"], severities=[1, 2])
    none = robustness({}, NAN, protocol.cells)
    lines = piped(result_of(protocol, found=none), capsys)
    assert lines[2].split() == ["fog", "-", "-"]


def test_without_labels_the_table_is_of_agreement_and_there_are_no_classes(capsys: pytest.CaptureFixture[str]) -> None:
    protocol = choose_robust_protocol(corruptions=["fog"], severities=[1, 2])
    result = result_of(protocol, found=robustness({}, NAN, protocol.cells), labelled=False, per_class=())
    lines = piped(result, capsys)
    assert lines[0].split() == ["corruption", "agree", "by", "severity,", "%"]
    assert lines[2].split()[2:] == ["0.4500", "50", "40"]
    assert len(lines) == 3
    said = robust_tables.summary(result).splitlines()
    assert said[0] == "stability: 45.0 % of pixels keep the class they have in the clean picture"


def test_clean_pictures_alone_have_no_table_of_corruptions(capsys: pytest.CaptureFixture[str]) -> None:
    result = result_of(choose_robust_protocol("none"))
    assert piped(result, capsys) == []
    assert robust_tables.summary(result).splitlines()[0] == "clean mIoU 1.0000 [0.900, 1.000]"


def test_the_summary_says_means_what_is_worst_and_how_sure_it_is() -> None:
    protocol = choose_robust_protocol(corruptions=["fog", "contrast"], severities=[1, 2])
    result = with_everything(result_of(protocol, seconds=Seconds(12.4, 3.0, 8.0, 1.0)))
    lines = robust_tables.summary(replace(result, clean_ece=0.125)).splitlines()
    assert lines[:3] == [
        "clean mIoU 1.0000 [0.900, 1.000]  mean under corruptions 0.9000 [0.500, 0.700]  kept 90.0 %",
        "digital 0.9000  weather 0.9000",
        "worst: fog (0.9000), fog at severity 2",
    ]
    assert any(line.startswith("beside DLv3+ (MBv2): mCD ") for line in lines)
    assert "calibration: ECE 0.1250 clean" in lines
    assert lines[-2:] == [
        "time: 12 s; network 8 s, waiting for pictures 1 s, corrupting 3 s", "8 images of streets val"
    ]


def test_what_is_undefined_is_a_dash_in_the_summary() -> None:
    protocol = choose_robust_protocol(corruptions=["fog"], severities=[1])
    none = robustness({}, NAN, protocol.cells)
    lines = robust_tables.summary(result_of(protocol, found=none, clean_ci95=None, mean_ci95=(NAN, NAN))).splitlines()
    assert lines[0] == "clean mIoU -  mean under corruptions -"
    assert "nan" not in "\n".join(lines)


def test_the_mean_ece_is_over_the_cells() -> None:
    result = result_of(choose_robust_protocol(corruptions=["fog"], severities=[1, 2]), clean_ece=0.125)
    grid = tuple(replace(cell, ece=cell.severity / 4) for cell in result.grid)
    assert "calibration: ECE 0.1250 clean, 0.3750 under corruptions" in robust_tables.summary(
        replace(result, grid=grid)
    )
    assert np.isfinite(result.found.mean) and not math.isnan(result.stability.mean)
