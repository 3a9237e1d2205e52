"""A page as a robustness run would make it: all parts that such a report is made of, with plausible numbers."""

from __future__ import annotations

from functools import cache

import numpy as np

from segformer_cli.classes import class_set
from segformer_cli.data.sample import draw_scene
from segformer_cli.reports.page import Page
from segformer_cli.reports.parts import (
    Cell,
    Column,
    Gallery,
    GalleryRow,
    Grid,
    GridCell,
    GridGroup,
    GridRow,
    Headline,
    Interval,
    Legend,
    Panel,
    PanelGroup,
    Series,
    SmallCharts,
    Starred,
    Swatch,
    Table,
)
from segformer_cli.reports.thumbnails import CONTACT_BYTES, CONTACT_SIDE, mask_thumbnail, picture_thumbnail
from segformer_cli.robustness.corruptions import corrupt
from segformer_cli.robustness.table5 import SHORT, published_rows

NAN = float("nan")
CLEAN = 0.7621
GROUPS = {
    "Blur": ("motion blur", "defocus blur", "glass blur", "gaussian blur", "zoom blur"),
    "Noise": ("gaussian noise", "impulse noise", "shot noise", "speckle noise"),
    "Digital": ("brightness", "contrast", "saturate", "jpeg compression", "elastic transform", "pixelate"),
    "Weather": ("snow", "spatter", "fog", "frost"),
}
EXTRA = ("zoom blur", "elastic transform", "pixelate")
FROST = "drawn textures, not those of the paper"


@cache
def robustness_page(extra: bool = True, pictures: bool = True) -> Page:
    """The report of a made-up model; with `extra` all 19 corruptions, with one cell that was not run."""
    groups = {name: [one for one in names if extra or one not in EXTRA] for name, names in GROUPS.items()}
    curves = {name: curve(name, index) for index, name in enumerate(one for names in groups.values() for one in names)}
    mean = float(np.mean([np.nanmean(values) for values in curves.values()]))
    parts = (
        Headline("mean mIoU under corruption", Interval(mean, mean - 0.011, mean + 0.012), "16 corruptions, 72 cells"),
        grid(groups, curves),
        small_charts(groups, curves),
        table5(curves),
        *((sheet(),) if pictures else ()),
    )
    return Page("SegFormer-B0 on Cityscapes-C", parts, footer="segformer")


def curve(name: str, index: int) -> list[float]:
    """Five severities, of which the noises have three; the last of zoom blur was not run."""
    lost = {"Noise": 0.9, "Weather": 0.55, "Blur": 0.4, "Digital": 0.3}
    group = next(group for group, names in GROUPS.items() if name in names)
    values = [CLEAN * max(0.02, 1 - lost[group] * (0.25 + 0.19 * s) * (0.7 + 0.15 * (index % 5))) for s in range(5)]
    if group == "Noise":
        return [*values[:3], NAN, NAN]
    return [*values[:4], NAN] if name == "zoom blur" else values


def grid(groups: dict[str, list[str]], curves: dict[str, list[float]]) -> Grid:
    def row(name: str) -> GridRow:
        cells = tuple(
            None if value != value else GridCell(Interval(value, value - 0.013, value + 0.012), 500)
            for value in curves[name]
        )
        return GridRow(name, cells, float(np.nanmean(curves[name])), FROST if name == "frost" else "")

    def group(name: str) -> GridGroup:
        rows = tuple(map(row, groups[name]))
        return GridGroup(name, rows, float(np.mean([one.mean for one in rows])))

    return Grid(
        ("1", "2", "3", "4", "5"),
        tuple(map(group, groups)),
        "corruption",
        "severity",
        "mIoU",
        title="Every corruption at every severity",
        note="The mean is that of the severities run.",
        top=("clean", GridCell(Interval(CLEAN, CLEAN - 0.01, CLEAN + 0.01), 500)),
    )


def small_charts(groups: dict[str, list[str]], curves: dict[str, list[float]]) -> SmallCharts:
    return SmallCharts(
        tuple(
            PanelGroup(name, tuple(Panel(one, (Series("b0", range(1, 6), curves[one]),)) for one in names))
            for name, names in groups.items()
        ),
        "severity",
        "mIoU",
        title="How it falls with severity",
        level=("clean", CLEAN),
    )


def table5(curves: dict[str, list[float]]) -> Table:
    categories = [name for name in GROUPS for _ in range(4)]
    columns = (
        Column("model"),
        Column("clean", "share", digits=1),
        *(
            Column(short, "share", name.replace("_", " "), group, 1)
            for (name, short), group in zip(SHORT.items(), categories, strict=True)
        ),
        Column("mean", "share", digits=1),
        Column("ret.", "share", "retention: the share of the clean mIoU that is left", digits=1),
    )
    rows: list[tuple[Cell, ...]] = [
        (row.label, row.clean, *(row.value(name) for name in SHORT), row.mean_of(SHORT), row.mean_of(SHORT) / row.clean)
        for row in published_rows()
    ]
    own = {name: float(np.nanmean(curves[name.replace("_", " ")])) for name in SHORT}
    mean = float(np.mean(list(own.values())))
    cells = [Starred(value, FROST) if name == "frost" else value for name, value in own.items()]
    rows.append(("b0-cityscapes", CLEAN, *cells, mean, mean / CLEAN))
    note = "mIoU. Published rows: SegFormer, Table 5."
    return Table(columns, tuple(rows), "Beside Table 5", note, strong=frozenset({len(rows) - 1}))


def sheet() -> Gallery:
    classes = class_set("cityscapes")
    image, labels = draw_scene(4, (256, 512))
    ids = np.full(256, 255, np.uint8)
    for file_id, index in (classes.id_map or {}).items():
        ids[file_id] = index
    mask = ids[labels]

    def row(name: str, picture: np.ndarray, text: str) -> GalleryRow:
        return GalleryRow(
            name,
            (
                picture_thumbnail("picture", picture, CONTACT_SIDE, CONTACT_BYTES),
                mask_thumbnail("mask", mask, classes.palette, 255, CONTACT_SIDE, CONTACT_BYTES),
            ),
            text,
        )

    rows = [row("clean", image, "mIoU 76.2 %")]
    for name in SHORT:
        picture = corrupt(image, name, 3, np.random.default_rng(0))
        rows.append(row(name.replace("_", " "), picture, "severity 3, mIoU 51.3 %"))
    present = tuple(Swatch(classes.class_names[i], classes.palette[i]) for i in np.unique(mask) if i != 255)
    return Gallery(tuple(rows), "One picture under each corruption", legends=(Legend("classes", present),), across=3)
