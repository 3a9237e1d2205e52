"""The tables of a score in eighty columns, piped and on a terminal."""

from __future__ import annotations

import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from segformer_cli.classes import CLASS_SETS, default_palette
from segformer_cli.commands import score_tables
from segformer_cli.commands.console import Console
from segformer_cli.data.pairs import Split, identity_ids
from segformer_cli.metrics.bootstrap import ImageCounts, miou_interval
from segformer_cli.metrics.calibration import calibration, confidence_counts
from segformer_cli.metrics.temperature import Temperature
from segformer_cli.workflows.comparison import ClassDifference, ResultDifference
from segformer_cli.workflows.scorecard import (
    Evaluation,
    GroupScore,
    Means,
    dialect_readings,
    group_scores,
    summarise,
    with_interval,
    without_uncounted,
)

LONG = "a class whose name goes on and on, number "
BILLIONS = 2 * 10**9


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def split_of(names: tuple[str, ...]) -> Split:
    K = len(names)
    return Split("val", "streets", None, names, default_palette(K), 255, identity_ids(K, 255), ())  # type: ignore[arg-type]


def scored(names: tuple[str, ...], seed: int = 0) -> Evaluation:
    """An evaluation with intervals, of 12 images that hold billions of pixels; the IoU of class k rises with k."""
    K = len(names)
    lot = np.random.default_rng(seed)
    true = np.full((12, K), BILLIONS // 12)
    found = (true * np.linspace(0.01, 0.99, K) * lot.uniform(0.9, 1, (12, 1))).astype(np.int64)
    counts = ImageCounts(tuple(f"i{index}" for index in range(12)), ("",) * 12, found, found, true)
    confusion = np.zeros((K, K + 1), np.int64)
    confusion[np.arange(K), np.arange(K)] = found.sum(0)
    confusion[:, K] = (true - found).sum(0)
    result = summarise(confusion, split_of(names), "12 images of streets val, whole")
    result = replace(result, dialects=dialect_readings(confusion, ["all"]))
    return with_interval(result, miou_interval(counts, resamples=20))


def with_everything(result: Evaluation) -> Evaluation:
    """The same with every column that can be asked for, and the groups of Cityscapes."""
    rows = tuple(
        replace(row, boundary_iou=0.12345, trimap_iou=0.54321, iiou=None if row.id % 3 else 0.25,
                iou_by_size=(0.1, math.nan, 0.3))
        for row in result.per_class
    )
    groups = (GroupScore("vehicle", ("car",), 0.5, 0.75, BILLIONS, 0.125), GroupScore(LONG, ("car",), 0.5, 0.75, 1))
    means = Means(boundary_iou=0.12, trimap_iou=0.54, boundary_width=0.02, iou_by_size=(0.1, math.nan, 0.3),
                  size_limits=(1024, 9216), iiou=0.25, category_iiou=0.5)
    return replace(result, per_class=rows, groups=groups, means=means)


def piped(result: Evaluation, capsys: pytest.CaptureFixture[str], *, every_class: bool = False) -> list[str]:
    score_tables.show(Console("eval"), result, every_class=every_class)
    return capsys.readouterr().out.splitlines()


def on_a_terminal(
    result: Evaluation, monkeypatch: pytest.MonkeyPatch, *, every_class: bool = False, columns: int = 80
) -> list[str]:
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    score_tables.show(Console("eval"), result, every_class=every_class)
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()


SETS = {
    **{name: CLASS_SETS[name].class_names for name in ("cityscapes", "ade20k", "mapillary-v2")},
    "long names": tuple(f"{LONG}{index}" for index in range(19)),
    "150 long names": tuple(f"{LONG}{index}" for index in range(150)),
}


@pytest.mark.parametrize("names", SETS.values(), ids=SETS.keys())
@pytest.mark.parametrize("everything", [False, True])
def test_the_tables_fit_eighty_columns_and_nothing_is_cut_or_wrapped(
    names: tuple[str, ...], everything: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = with_everything(scored(names)) if everything else scored(names)
    plain = piped(result, capsys, every_class=True)
    drawn = on_a_terminal(result, monkeypatch, every_class=True)
    for lines in (plain, drawn):
        assert max(map(len, lines)) <= 80
        assert not any("…" in line for line in lines)
    for row in result.per_class:
        start = row.name[:19]
        share = f"{row.iou:.4f}"
        assert any(start in line and share in line for line in plain)
        # One line a class in each table: none is wrapped.
        assert any(start in line and share in line and str(row.pixels) in line for line in drawn)


@pytest.mark.parametrize("columns", [76, 70, 60, 50, 30])
@pytest.mark.parametrize("names", [SETS["cityscapes"], SETS["long names"]], ids=["cityscapes", "long names"])
def test_on_a_narrow_terminal_names_give_way_and_no_figure_is_cut(
    names: tuple[str, ...], columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = with_everything(scored(names))
    drawn = on_a_terminal(result, monkeypatch, columns=columns)
    for row in result.per_class:
        assert row.iou_ci95 is not None
        figures = [f"{row.iou:.4f}", f"{row.iou_ci95[0]:.3f}-{row.iou_ci95[1]:.3f}", f"{row.acc:.4f}", str(row.pixels)]
        (line,) = [line for line in drawn if figures[0] in line and figures[1] in line]
        assert line.split()[-5:] == [*figures[:3], f"{row.dice:.4f}", figures[3]]
        assert line.strip()[:3] == row.name[:3]
    if columns >= 60:
        assert max(map(len, drawn)) <= columns


def test_a_wide_terminal_cuts_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = on_a_terminal(scored(SETS["cityscapes"]), monkeypatch, columns=200)
    assert all(any(line.strip().startswith(name) for line in drawn) for name in SETS["cityscapes"])


def test_the_columns_are_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    result = scored(("road", "sky"))
    assert piped(result, capsys)[0].split() == ["class", "IoU", "95", "%", "acc", "Dice", "pixels"]
    bare = replace(result, miou_ci95=None)
    assert piped(bare, capsys)[0].split() == ["class", "IoU", "acc", "Dice", "pixels"]
    lines = piped(with_everything(result), capsys)
    assert lines[4].split() == ["class", "bound.", "trimap", "iIoU", "small", "medium", "large"]
    assert lines[5].split() == ["road", "0.1235", "0.5432", "0.2500", "0.1000", "-", "0.3000"]
    assert lines[6].split() == ["sky", "0.1235", "0.5432", "-", "0.1000", "-", "0.3000"]
    rows = tuple(replace(row, boundary_iou=0.5, trimap_iou=0.25) for row in result.per_class)
    assert piped(replace(result, per_class=rows), capsys)[4].split() == ["class", "bound.", "trimap"]


def test_of_many_classes_the_worst_and_the_best_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    result = scored(tuple(f"class {index:03}" for index in range(150)))
    lines = piped(result, capsys)
    assert lines[0] == "worst 10 of 150 classes (--all shows every one)"
    assert [line.split()[1] for line in lines[2:12]] == [f"{index:03}" for index in range(10)]
    assert lines[13] == "best 10"
    assert [line.split()[1] for line in lines[15:25]] == [f"{index:03}" for index in range(149, 139, -1)]
    every = piped(result, capsys, every_class=True)
    assert [line.split()[1] for line in every[1:151]] == [f"{index:03}" for index in range(150)]


def test_classes_without_a_score_are_neither_the_worst_nor_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    result = scored(tuple(f"class {index:03}" for index in range(60)))
    rows = tuple(replace(row, iou=math.nan) if row.id < 20 else row for row in result.per_class)
    lines = piped(replace(result, per_class=rows), capsys)
    assert [line.split()[1] for line in lines[2:12]] == [f"{index:03}" for index in range(20, 30)]


def test_forty_classes_are_shown_whole(capsys: pytest.CaptureFixture[str]) -> None:
    lines = piped(scored(tuple(f"class {index:03}" for index in range(40))), capsys)
    assert [line.split()[1] for line in lines[1:41]] == [f"{index:03}" for index in range(40)]


def test_undefined_scores_are_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    confusion = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    lines = piped(summarise(confusion, split_of(("road", "sky", "car")), ""), capsys)
    assert lines[1].split() == ["road", "0.7500", "0.7500", "0.8571", "4"]
    assert lines[2].split() == ["sky", "0.0000", "-", "0.0000", "0"]
    assert lines[3].split() == ["car", "-", "-", "-", "0"]


def test_pixels_of_classes_that_were_not_counted_are_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    confusion = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    found = summarise(confusion, split_of(("road", "sky", "car")), "")
    lines = piped(without_uncounted(found, ("car",)), capsys)
    assert [lines[2].split()[-1], lines[3].split()[-1]] == ["0", "-"]


def test_where_every_pixel_is_ignored_there_is_no_table_of_dashes_either(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = np.zeros((2, 2), np.int64)
    result = summarise(nothing, split_of(("road", "sky")), "2 images of streets val")
    result = replace(result, dialects=dialect_readings(nothing, ["all"]))
    assert all(math.isnan(row.miou) for row in result.dialects)
    assert piped(result, capsys) == []
    assert score_tables.summary(result) == "no score, since every pixel is ignored\n2 images of streets val"


def test_without_labels_there_is_no_table_of_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = np.zeros((2, 2), np.int64)
    result = replace(summarise(nothing, split_of(("road", "sky")), "2 images of streets test"), labelled=False)
    assert piped(result, capsys) == []
    assert score_tables.summary(result) == "no score, since the split has no labels\n2 images of streets test"


def test_groups_and_dialects_have_tables_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("road", "car", "bus")
    confusion = np.array([[8, 0, 0], [0, 3, 3], [0, 2, 4]])
    result = summarise(confusion, split_of(names), "")
    groups = group_scores(confusion, split_of(names), ["vehicle=car,bus", "flat=road"])
    lines = piped(replace(result, groups=groups, dialects=dialect_readings(confusion, ["mmseg", "smp"])), capsys)
    assert [line.split() for line in lines[5:8]] == [
        ["group", "IoU", "acc", "pixels"], ["vehicle", "1.0000", "1.0000", "12"], ["flat", "1.0000", "1.0000", "8"]
    ]
    assert lines[9] == "what other tools make of this matrix"
    assert [line.split()[0] for line in lines[11:13]] == ["mmseg", "smp"]
    weighted = replace(result, groups=(replace(groups[0], iiou=0.5), groups[1]))
    lines = piped(weighted, capsys)
    assert [line.split() for line in lines[6:8]] == [
        ["vehicle", "1.0000", "1.0000", "12", "0.5000"], ["flat", "1.0000", "1.0000", "8", "-"]
    ]


def test_the_summary_says_the_score_how_sure_it_is_and_how_it_came_about() -> None:
    result = with_everything(scored(("road", "sky")))
    sure = calibration(confidence_counts(np.full(4, 0.9), np.array([True, True, True, False])))
    fitted = Temperature(1.25, 0.5, 0.25, 400, at_limit=False)
    result = replace(result, calibration=sure, temperature=fitted, class_match="2 classes matched by name")
    lines = score_tables.summary(result).splitlines()
    low, high = result.miou_ci95 or (0, 0)
    assert lines[0].startswith(f"mIoU {result.miou:.4f} [{low:.3f}, {high:.3f}]  mAcc ")
    assert "boundary IoU 0.1200  trimap IoU 0.5400  (within 2 % of the diagonal)" in lines
    assert "IoU by object size: small 0.1000  medium -  large 0.3000  (limits 1024, 9216 pixels)" in lines
    assert "iIoU 0.2500 of classes, 0.5000 of categories" in lines
    assert "calibration: ECE 0.1500, mean confidence 0.9000, accuracy 0.7500, AURC 0.2500" in lines
    assert "temperature 1.2500: NLL 0.5000 -> 0.2500 on 400 pixels" in lines
    at = lines.index("95 % interval: bootstrap, 20 draws of 12 images")
    assert lines[at + 1 : at + 3] == ["2 classes matched by name", "12 images of streets val, whole"]
    assert sum(line.startswith("  not computed here: ") for line in lines) == len(result.dialects)


def test_without_an_interval_the_summary_has_none() -> None:
    result = replace(scored(("road", "sky")), miou_ci95=None, interval=None, dialects=())
    assert "[" not in score_tables.summary(result)
    assert "[" not in score_tables.summary(replace(result, miou_ci95=(math.nan, math.nan)))


def difference(**fields: object) -> ResultDifference:
    rows = (
        ClassDifference(0, "road", 0.9, 0.91, 0.01, (0.005, 0.015)),
        ClassDifference(1, LONG, 0.5, 0.4, -0.1, (-0.15, -0.05)),
        ClassDifference(2, "car", math.nan, 0.4, math.nan, (math.nan, math.nan)),
    )
    values = {
        "a": "a", "b": "b", "miou_a": 0.7, "miou_b": 0.655, "difference": -0.045, "ci95": (-0.05, -0.04),
        "wins": 0.001, "per_class": rows, "images": 12, "interval": "95 % interval: bootstrap, paired",
        "units": 12, **fields,
    }
    return ResultDifference(**values)  # type: ignore[arg-type]


def test_a_comparison_lists_the_largest_loss_first(capsys: pytest.CaptureFixture[str]) -> None:
    score_tables.show_difference(Console("compare"), difference())
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["class", "A", "B", "B", "-", "A", "95", "%"]
    assert [line.split()[0] for line in lines[1:]] == ["a", "road", "car"]
    assert "-10.00  [-15.00, -5.00]" in lines[1]
    assert "+1.00   [+0.50, +1.50]" in lines[2]
    assert lines[3].split() == ["car", "-", "0.4000", "-", "-"]
    assert max(map(len, lines)) <= 80


def test_a_calibration_of_no_pixel_is_said_to_be_undefined() -> None:
    nothing = calibration(confidence_counts(np.zeros(0), np.zeros(0, bool)))
    said = score_tables.summary(replace(scored(("road", "sky")), calibration=nothing))
    assert "calibration: undefined, since not one labelled pixel was counted" in said
    assert "nan" not in said


def test_no_verdict_is_drawn_from_fewer_than_five_units() -> None:
    for bounds in ((0.01, 0.02), (-0.02, -0.01)):
        assert "no difference is sure" in score_tables.difference_summary(difference(ci95=bounds, units=4))


def test_a_difference_that_is_undefined_says_which_score_is() -> None:
    undefined = difference(miou_a=math.nan, difference=math.nan, ci95=(math.nan, math.nan))
    said = "no difference: the mIoU of A is undefined, since not one labelled pixel was counted"
    assert score_tables.difference_summary(undefined) == said


@pytest.mark.parametrize(
    ("ci95", "verdict"),
    [
        ((-0.05, -0.04), "A is better"),
        ((0.01, 0.02), "B is better"),
        ((-0.01, 0.02), "no difference is sure"),
        ((0.0, 0.02), "no difference is sure"),
        ((math.nan, math.nan), "no difference is sure"),
    ],
)
def test_the_verdict_follows_from_the_interval(ci95: tuple[float, float], verdict: str) -> None:
    said = score_tables.difference_summary(difference(ci95=ci95))
    assert said.splitlines()[0].endswith(f" points; {verdict}")
    assert "nan" not in said
    assert "mIoU A 0.7000, B 0.6550: B - A = -4.50" in said


def test_the_interval_of_a_comparison_is_in_points() -> None:
    assert score_tables.difference_summary(difference()) == (
        "mIoU A 0.7000, B 0.6550: B - A = -4.50 [-5.00, -4.00] points; A is better\n"
        "B is ahead in 0.1 % of the draws; 95 % interval: bootstrap, paired"
    )
