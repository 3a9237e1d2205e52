"""The HTML report of a robustness run: what to look at, composed of the parts that all reports share."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from segformer_cli import __version__
from segformer_cli.data.pairs import Split
from segformer_cli.engine.corrupted import CorruptedMask
from segformer_cli.images import Ids, read_image
from segformer_cli.reports.page import Page, write_page
from segformer_cli.reports.parts import (
    Cell,
    Column,
    Fact,
    Figure,
    Figures,
    Gallery,
    GalleryRow,
    Grid,
    GridCell,
    GridGroup,
    GridRow,
    Headline,
    Interval,
    Legend,
    Notes,
    Panel,
    PanelGroup,
    Part,
    Series,
    SmallCharts,
    Starred,
    Swatch,
    Table,
)
from segformer_cli.reports.thumbnails import CONTACT_BYTES, CONTACT_SIDE, mask_thumbnail, picture_thumbnail
from segformer_cli.robustness import protocols
from segformer_cli.robustness.protocols import CATEGORY_OF, PAPER_CORRUPTIONS, SEVERITIES, RobustProtocol
from segformer_cli.robustness.scores import Robustness, mean
from segformer_cli.robustness.source import Source
from segformer_cli.robustness.table5 import SHORT, TableRow, published_rows
from segformer_cli.workflows.robust_job import Job
from segformer_cli.workflows.robust_result import CleanScore, RobustResult
from segformer_cli.workflows.run_facts import run_facts
from segformer_cli.workflows.scorecard import Bounds

SHOWN_SEVERITY = 3
LEGEND_CLASSES = 20


class Shown:
    """The masks of the first picture that the report shows: clean, and under each corruption at a middle severity."""

    index = 0

    def __init__(self, protocol: RobustProtocol) -> None:
        self.cells = tuple(
            protocols.Cell(name, min(severities, key=lambda severity: abs(severity - SHOWN_SEVERITY)))
            for name, severities in protocols.severities_of(protocol.cells).items()
        )
        self.masks: dict[protocols.Cell | None, Ids] = {}

    def take(self, each: CorruptedMask) -> None:
        """The mask, where it is one of those to show."""
        if each.index == self.index and (each.cell is None or each.cell in self.cells):
            self.masks[each.cell] = each.mask


def write_robust_report(path: Path, job: Job, result: RobustResult, shown: Shown) -> Path:
    """`path`, now one HTML file that needs nothing else."""
    parts: list[Part] = [Notes(result.warnings)] if result.warnings else []
    parts += [_headline(result), _figures(result)]
    if result.grid:
        parts += [grid_part(result), curves_part(result)]
    if result.in_table5:
        parts.append(_beside_table5(result.row))
    if result.labelled and result.grid:
        parts.append(_classes(result, job.split))
    if result.against is not None or (result.clean_ece is not None and result.grid):
        parts.append(_more_of_corruptions(result))
    parts += [
        _clean_scores(title, rows)
        for title, rows in (("Clean, at other sizes", result.resolutions), ("Clean, by condition", result.conditions))
        if rows
    ]
    if result.grid:
        parts.append(_contact_sheet(job, result, shown))
    parts.append(_how(job, result))
    what = Path(str(job.config.weights)).name or str(job.config.weights)
    title = f"{what} under corruptions, on {job.split.data} {job.split.name}"
    return write_page(path, Page(title, tuple(parts), footer=f"segformer {__version__}"), force=job.config.force)


def _headline(result: RobustResult) -> Headline:
    if not result.labelled:
        text = f"pixels that keep the class they have in the clean picture; {result.protocol}"
        return Headline("stability under corruptions", result.stability.mean, text)
    if not result.grid:
        return Headline("clean mIoU", _with_bounds(result.found.clean, result.clean_ci95), result.protocol)
    return Headline("mean mIoU under corruptions", _with_bounds(result.found.mean, result.mean_ci95), result.protocol)


def _figures(result: RobustResult) -> Figures:
    found, figures = result.found, []
    if result.labelled and result.grid:
        figures += [Figure("clean mIoU", found.clean), Figure("kept", found.retention)]
        figures += [Figure(f"mean, {name}", value) for name, value in found.per_category.items()]
        if found.worst is not None:
            figures.append(Figure("worst corruption", found.worst.corruption.replace("_", " ")))
    if result.against is not None:
        known = sum(not math.isnan(value) for value in result.against.cd.values())
        figures += [
            Figure(f"mCD beside {result.against.reference}, {known} corruptions", result.against.mcd, "number"),
            Figure("mrCD", result.against.mrcd, "number"),
        ]
    if result.grid and result.labelled:
        figures.append(Figure("pixels that keep their class", result.stability.mean))
    if result.clean_ece is not None:
        eces = [cell.ece for cell in result.grid if cell.ece is not None]
        figures.append(Figure("ECE, clean", result.clean_ece, "number"))
        figures += [Figure("ECE, corrupted", float(np.mean(eces)), "number")] if eces else []
    return Figures((*figures, Figure("images", result.images, "count")))


def grid_part(result: RobustResult) -> Grid:
    """Every corruption at every severity."""
    found = _curves_of(result)
    cells = {
        protocols.Cell(cell.corruption, cell.severity): GridCell(
            _with_bounds(cell.miou, cell.miou_ci95) if result.labelled else cell.agreement, cell.images
        )
        for cell in result.grid
    }

    def row(name: str) -> GridRow:
        of_severity = tuple(cells.get(protocols.Cell(name, severity)) for severity in SEVERITIES)
        return GridRow(_words(name), of_severity, found.means[name], result.starred.get(name, ""))

    groups = tuple(
        GridGroup(category.capitalize(), tuple(map(row, names)), found.per_category[category])
        for category, names in _categories(result).items()
    )
    clean = GridCell(_with_bounds(result.found.clean, result.clean_ci95), result.images)
    return Grid(
        tuple(map(str, SEVERITIES)),
        groups,
        "corruption",
        "severity",
        "mIoU" if result.labelled else "pixels that keep their class",
        title="Every corruption at every severity",
        note="The mean of a row is over the severities that were run.",
        top=("clean", clean) if result.labelled else None,
    )


def curves_part(result: RobustResult) -> SmallCharts:
    """How the score falls with severity."""
    found = _curves_of(result)
    rows = {row.corruption: row for row in found.per_corruption}

    def panel(name: str) -> Panel:
        return Panel(_words(name), (Series("corrupted", rows[name].severities, rows[name].curve),))

    return SmallCharts(
        tuple(
            PanelGroup(category.capitalize(), tuple(map(panel, names)))
            for category, names in _categories(result).items()
        ),
        "severity",
        "mIoU" if result.labelled else "pixels that keep their class",
        title="How it falls with severity",
        level=("clean", found.clean),
    )


def _beside_table5(row: TableRow) -> Table:
    columns = (
        Column("model"),
        Column("clean", "share", digits=1),
        *(
            Column(short, "share", _words(name), CATEGORY_OF[name].capitalize(), 1) for name, short in SHORT.items()
        ),
        Column("mean", "share", "of the 16 corruptions", digits=1),
        Column("ret.", "share", "retention: the share of the clean mIoU that is left", digits=1),
    )
    published = published_rows()
    rows = tuple(_table5_cells(each) for each in (*published, row))
    return Table(
        columns,
        rows,
        "Beside Table 5",
        "mIoU in percent. Published rows: SegFormer (Xie et al., NeurIPS 2021), Table 5, on Cityscapes val; other "
        "data and other classes are another scale.",
        strong=frozenset({len(published)}),
    )


def _table5_cells(row: TableRow) -> tuple[Cell, ...]:
    means: list[Cell] = [
        Starred(row.value(name), row.starred[name]) if name in row.starred else row.value(name)
        for name in PAPER_CORRUPTIONS
    ]
    average = row.mean_of(PAPER_CORRUPTIONS)
    return row.label, row.clean, *means, average, average / row.clean if row.clean else math.nan


def _classes(result: RobustResult, split: Split) -> Table:
    columns = (
        Column("class", "swatch"), Column("clean IoU", "bar"), Column("corrupted IoU", "bar"), Column("lost", "share"),
        Column("hardest"),
    )
    worst_first = sorted(result.per_class, key=lambda row: -row.drop if not math.isnan(row.drop) else math.inf)
    rows = tuple(
        (Swatch(row.name, split.palette[row.id]), row.clean_iou, row.iou, row.drop, _words(row.hardest or ""))
        for row in worst_first
    )
    return Table(columns, rows, "Classes, those that lose most first", "Corrupted: the mean over corruptions.", ends=50)


def _more_of_corruptions(result: RobustResult) -> Table:
    """CD, rCD and the calibration error of each corruption, as far as they were asked for."""
    columns = [Column("corruption")]
    cells: dict[str, list[Cell]] = {name: [_words(name)] for name in result.cells.corruptions}
    note = ""
    if result.against is not None:
        columns += [Column("CD", "number"), Column("rCD", "number")]
        note = f"CD and rCD: 1 is what {result.against.reference} loses. "
        for name, row in cells.items():
            row += [result.against.cd[name], result.against.rcd[name]]
    if result.clean_ece is not None:
        columns.append(Column("ECE", "number"))
        note += f"ECE: the mean over severities; clean {result.clean_ece:.4f}."
        for name, row in cells.items():
            row.append(mean(cell.ece for cell in result.grid if cell.corruption == name and cell.ece is not None))
    return Table(tuple(columns), tuple(map(tuple, cells.values())), "More of each corruption", note)


def _clean_scores(title: str, rows: tuple[CleanScore, ...]) -> Table:
    columns = (Column(""), Column("images", "count"), Column("mIoU", "bar"), Column("beside the run's own", "share"))
    cells = tuple((row.name, row.images, _with_bounds(row.miou, row.miou_ci95), row.difference) for row in rows)
    return Table(columns, cells, title)


def _contact_sheet(job: Job, result: RobustResult, shown: Shown) -> Gallery:
    """One picture under every corruption beside its masks; those that the run has not kept are made again."""
    failed = {each.input for each in result.failed}
    pairs = job.split.pairs
    index = next(at for at, pair in enumerate(pairs) if str(pair.image) not in failed)
    kept = shown.masks if index == shown.index else {}
    image = read_image(pairs[index].image)
    source, palette, ignore = Source(image), job.split.palette, job.split.ignore_index
    rows, present = [], set[int]()
    for cell in (None, *shown.cells):
        picture = image if cell is None else job.corrupter(source, pairs[index].key, cell)
        mask = kept[cell] if cell in kept else job.segmenter.mask(picture)
        present |= set(np.unique(mask).tolist())
        thumbnails = (
            picture_thumbnail("picture", picture, CONTACT_SIDE, CONTACT_BYTES),
            mask_thumbnail("mask", mask, palette, ignore, CONTACT_SIDE, CONTACT_BYTES),
        )
        name = "clean" if cell is None else _words(cell.corruption)
        rows.append(GalleryRow(name, thumbnails, _caption(cell, result)))
    swatches = [Swatch(job.split.class_names[at], palette[at]) for at in sorted(present) if at < len(palette)]
    return Gallery(
        tuple(rows),
        f"One picture under each corruption: {pairs[index].key}",
        note="mIoU is that of all images." if result.labelled else "Shares are those of all images.",
        legends=(Legend("classes", tuple(swatches[:LEGEND_CLASSES])),),
        across=3,
    )


def _caption(cell: protocols.Cell | None, result: RobustResult) -> str:
    if cell is None:
        return f"mIoU {100 * result.found.clean:.1f} %" if result.labelled else ""
    found = next(each for each in result.grid if (each.corruption, each.severity) == cell)
    what = f"mIoU {100 * found.miou:.1f} %" if result.labelled else f"{100 * found.agreement:.0f} % keep their class"
    return f"severity {cell.severity}, {what}"


def _how(job: Job, result: RobustResult) -> Part:
    spent = result.seconds
    more = [
        Fact("corruptions", str(job.protocol)),
        Fact(
            "time",
            f"{spent.total:.0f} s: network {spent.network:.0f} s, waiting for pictures {spent.waiting:.0f} s; "
            f"corrupting took {spent.corrupting:.0f} s in {job.workers or 'no'} other processes",
        ),
    ]
    return run_facts(job.config, job.segmenter.config, f"{result.device} in {result.precision}", more)


def _curves_of(result: RobustResult) -> Robustness:
    return result.found if result.labelled else result.stability


def _categories(result: RobustResult) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for category in protocols.PAPER_CATEGORIES:
        names = [name for name in result.cells.corruptions if CATEGORY_OF[name] == category]
        found |= {category: names} if names else {}
    return found


def _with_bounds(value: float, limits: Bounds | None) -> float | Interval:
    return value if limits is None or math.isnan(limits[0]) else Interval(value, *limits)


def _words(name: str) -> str:
    return name.replace("_", " ")
