"""A page as an evaluation would make it: drawn scenes, masks with mistakes in them, and their true scores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from segformer_cli.classes import ClassSet, class_set
from segformer_cli.data.sample import draw_scene
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import accuracy, iou, scores
from segformer_cli.reports.page import Page
from segformer_cli.reports.parts import (
    Column,
    Fact,
    Facts,
    Figure,
    Figures,
    Gallery,
    GalleryRow,
    Headline,
    HeatMap,
    Histogram,
    Interval,
    Legend,
    LineChart,
    Notes,
    Series,
    SideBySide,
    Swatch,
    Table,
    binned,
)
from segformer_cli.reports.thumbnails import ERROR_LEGEND, error_map, error_thumbnail, mask_thumbnail, picture_thumbnail
from tests.reports import browser

ExamplePage = Callable[[int, int], Page]

SCENES = 8
NAMES = {19: "cityscapes", 150: "ade20k"}
Scored = list[tuple[str, float, np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture(scope="session")
def example_page() -> ExamplePage:
    """Makes the page of a number of classes (19 or 150) and of images."""
    return make_example


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Tab]:
    """A tab of Chromium, one for each file of tests."""
    if browser.fcntl is None:
        pytest.skip("Chromium is steered through descriptors, which Windows has not")
    program = next(filter(None, map(shutil.which, browser.NAMES)), None)
    if program is None:
        pytest.skip(f"none of {', '.join(browser.NAMES)} is installed")
    tab = browser.Tab(program, tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


@dataclass
class Element:
    """One element of a page, with the text right inside it and inside its descendants."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str, **attributes: str) -> list[Element]:
        """The descendants of this tag; `class_` is one of their classes."""
        return [one for one in self.inside if one.tag == tag and one.has(attributes)]

    def has(self, attributes: dict[str, str]) -> bool:
        for name, value in attributes.items():
            if name == "class_":
                if value not in (self.attributes.get("class") or "").split():
                    return False
            elif self.attributes.get(name.replace("_", "-")) != value:
                return False
        return True


class _Parser(HTMLParser):
    EMPTY = ("meta", "link", "img", "br")

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        for outer in self.open:
            outer.inside.append(element)
        if tag not in self.EMPTY:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for outer in self.open:
            outer.text += data


@pytest.fixture(scope="session")
def parsed() -> Callable[[str], Element]:
    """Reads a page; each element must be closed where it was opened."""

    def read(html: str) -> Element:
        parser = _Parser()
        parser.feed(html)
        parser.close()
        assert parser.open == [parser.root]
        return parser.root

    return read


@cache
def make_example(num_classes: int, images: int) -> Page:
    classes = class_set(NAMES[num_classes])
    rng = np.random.default_rng(3)
    scored, confusion = scored_scenes(classes, rng)
    found = scores(confusion)
    drawn = np.clip(rng.normal(found.miou, 0.09, images), 0.05, 0.97).tolist()
    per_image = [(f"sample_{index:06d}", value, 131_072 - index) for index, value in enumerate(drawn)]
    per_image.sort(key=lambda row: row[1])
    values = [row[1] for row in per_image]
    return Page(
        f"SegFormer-B0 on {classes.name}",
        parts=(
            Headline(
                "mean IoU",
                Interval(found.miou, found.miou - 0.0143, found.miou + 0.0128),
                f"{images} images of the sample val split, whole, at their own size with sides rounded up to a "
                "multiple of 32, single scale; counted at label size, classes in neither map left out of the mean.",
            ),
            Figures(
                (
                    Figure("mIoU", found.miou),
                    Figure("mAcc", found.macc),
                    Figure("aAcc", found.aacc),
                    Figure("fwIoU", 0.9 * found.aacc),
                    Figure("Dice", 2 * found.miou / (1 + found.miou)),
                    Figure("boundary IoU", float("nan")),
                    Figure("images", images, "count"),
                )
            ),
            Notes(
                (
                    "3 classes are in neither map and have no score: train, motorcycle, wall.",
                    "The weights are licensed for research and evaluation only.",
                ),
                title="Warnings",
            ),
            class_table(classes, confusion, rng),
            groups(),
            HeatMap(classes.class_names, confusion.tolist(), title="Confusion"),
            calibration(rng),
            SideBySide(
                (
                    histogram(values),
                    Table(
                        (Column("image", "code"), Column("mIoU", "bar"), Column("pixels", "count")),
                        tuple(per_image),
                        title="Lowest and highest",
                        ends=8,
                    ),
                ),
                title="Images",
                note="The mean of the classes present in the image.",
            ),
            gallery("Lowest scores", classes, scored[:4]),
            gallery("Highest scores", classes, scored[-4:]),
            facts(),
        ),
        footer="made by segformer 0.1.0",
    )


def scored_scenes(classes: ClassSet, rng: np.random.Generator) -> tuple[Scored, np.ndarray]:
    K = classes.num_classes
    id_map = class_set("cityscapes").id_map
    table = np.full(256, 255, np.uint8)
    for file_id, index in (id_map or {}).items():
        table[file_id] = index
    scored: Scored = []
    total = np.zeros((K, K), np.int64)
    for seed in range(SCENES):
        image, labels = draw_scene(seed, (256, 512))
        target = table[labels]
        if K != 19:
            target = np.where(target == 255, 255, (target.astype(int) * 7 + seed) % K).astype(np.uint8)
        mask = with_mistakes(target, K, rng, 0.1 + 0.07 * seed)
        counts = confusion_matrix(target, mask, K, 255)
        total += counts
        scored.append((f"sample_{seed:06d}_000019", scores(counts).miou, image, target, mask))
    scored.sort(key=lambda row: row[1])
    return scored, total


def with_mistakes(target: np.ndarray, num_classes: int, rng: np.random.Generator, amount: float) -> np.ndarray:
    """The target moved a little, with blobs of it taken for a neighbouring class."""
    mask = np.roll(target, (2, 3), (0, 1))
    mask[mask == 255] = 0
    field = cv2.GaussianBlur(rng.normal(size=target.shape), (0, 0), 14)
    blobs = field > np.quantile(field, 1 - amount / 3)
    mask[blobs] = (mask[blobs] + 1) % num_classes
    return mask


def class_table(classes: ClassSet, confusion: np.ndarray, rng: np.random.Generator) -> Table:
    per_iou, per_acc = iou(confusion), accuracy(confusion)
    rows = tuple(
        (
            Swatch(name, classes.palette[index]),
            index,
            Interval(value, max(0.0, value - spread), min(1.0, value + spread)),
            float(per_acc[index]),
            2 * value / (1 + value),
            int(confusion[index].sum()),
        )
        for index, (name, value) in enumerate(zip(classes.class_names, per_iou.tolist(), strict=True))
        for spread in [float(rng.uniform(0.01, 0.06))]
    )
    columns = (
        Column("class", "swatch"),
        Column("id", "count"),
        Column("IoU", "bar"),
        Column("acc", "share"),
        Column("Dice", "share"),
        Column("pixels", "count"),
    )
    return Table(columns, rows, title="Classes", note="Whiskers and the small numbers are 95 % intervals over images.")


def groups() -> Table:
    rows = (
        ("flat", Interval(0.914, 0.90, 0.93), "road, sidewalk"),
        ("human", Interval(0.512, 0.44, 0.59), "person, rider"),
        ("vehicle", Interval(0.701, 0.66, 0.74), "car, truck, bus, train, motorcycle, bicycle"),
        ("nothing here", float("nan"), ""),
    )
    return Table((Column("group"), Column("IoU", "bar"), Column("classes")), rows, title="Groups")


def calibration(rng: np.random.Generator) -> SideBySide:
    confidence = [0.05 + 0.1 * index for index in range(10)]
    accuracy = [float("nan"), *(value**1.25 for value in confidence[1:])]
    kept = np.linspace(0.02, 1, 50)
    risk = 0.002 + 0.09 * kept**3
    return SideBySide(
        (
            LineChart(
                (Series("this model", confidence, accuracy),),
                "confidence",
                "accuracy",
                title="Reliability",
                note="Below the diagonal the model is surer than it should be.",
                x_kind="share",
                x_range=(0, 1),
                y_range=(0, 1),
                diagonal=True,
            ),
            LineChart(
                (
                    Series("by confidence", kept.tolist(), risk.tolist()),
                    Series("ideal", kept.tolist(), np.maximum(0, kept - 0.92).tolist()),
                ),
                "pixels kept",
                "pixels wrong",
                title="Risk and coverage",
                note="What is wrong among the most confident pixels.",
                x_kind="share",
                x_range=(0, 1),
            ),
        ),
        title="Calibration",
        note="Expected calibration error 2.31 % over 15 bins.",
    )


def histogram(values: list[float]) -> Histogram:
    edges, counts = binned(values, 0, 1, 25)
    marks = (("median", float(np.median(values))),)
    return Histogram(edges, counts, "mIoU", "images", title="Distribution", marks=marks)


def gallery(title: str, classes: ClassSet, scored: Scored) -> Gallery:
    rows = tuple(
        GalleryRow(
            key,
            (
                picture_thumbnail("picture", image),
                mask_thumbnail("target", target, classes.palette, 255),
                mask_thumbnail("mask", mask, classes.palette, 255),
                error_thumbnail("errors", error_map(image, target, mask, 255)),
            ),
            f"mIoU {100 * value:.2f} %",
        )
        for key, value, image, target, mask in scored
    )
    present = np.unique(np.stack([target for _, _, _, target, _ in scored]))
    colours = tuple(Swatch(classes.class_names[index], classes.palette[index]) for index in present if index != 255)
    return Gallery(rows, title=title, legends=(Legend("classes", colours), ERROR_LEGEND))


def facts() -> Facts:
    return Facts(
        (
            Fact("command", "segformer eval -w sample -d sample --report report.html", code=True),
            Fact("weights", "sample (SegFormer-B0, 19 classes)"),
            Fact("sha256", "9f2c" * 16, code=True),
            Fact("licence", "Apache-2.0"),
            Fact("versions", "segformer 0.1.0, torch 2.10.0, Python 3.11.7"),
            Fact("device", "cpu, fp32"),
        ),
        title="How it was run",
    )
