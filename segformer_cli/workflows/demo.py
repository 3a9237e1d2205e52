"""The whole tour on the embedded sample, offline: predict, score, export, corrupt; one page with pictures."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segformer_cli import __version__
from segformer_cli.atomic import refuse_unwritable
from segformer_cli.config import DemoConfig, EvalConfig, ExportConfig, PredictConfig, RobustConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Split
from segformer_cli.errors import SegFormerError
from segformer_cli.images import Picture, read_image
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.reports.page import Page, write_page
from segformer_cli.reports.parts import Fact, Facts, Figure, Figures, Gallery, GalleryRow, Headline, Interval, Part
from segformer_cli.reports.thumbnails import CONTACT_SIDE, mask_thumbnail, picture_thumbnail
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.protocols import Cell
from segformer_cli.robustness.source import Source
from segformer_cli.settings import checked
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.evaluation_report import class_table
from segformer_cli.workflows.exporting import Export, export_model
from segformer_cli.workflows.predicting import predict
from segformer_cli.workflows.prediction import Prediction, Predictor
from segformer_cli.workflows.results import numbered_folder
from segformer_cli.workflows.robust_report import curves_part, grid_part
from segformer_cli.workflows.robust_result import RobustResult
from segformer_cli.workflows.robustness import eval_robust
from segformer_cli.workflows.scorecard import Evaluation

PAGE, FILE = "demo.html", "sample.pt"
WEIGHTS = DATA = "sample"
SCENES = 3
CORRUPTED = 2
"""Pictures of the test of robustness: a look, not a result."""

SHOWN = (
    Cell("fog", 3), Cell("snow", 2), Cell("motion_blur", 4), Cell("gaussian_noise", 3), Cell("contrast", 4),
    Cell("spatter", 4),
)


@dataclass(frozen=True, eq=False)
class Demo:
    """What the tour found, and where its files are."""

    out: str
    page: str
    score: Evaluation
    exported: Export
    robust: RobustResult
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The `results` object of `segformer demo --json`."""
        check = self.exported.verification
        return {
            "out": self.out,
            "page": self.page,
            "miou": self.score.miou,
            "miou_ci95": self.score.miou_ci95,
            "mean_miou": self.robust.found.mean,
            "retention": self.robust.found.retention,
            "export_verdict": None if check is None else check.verdict,
            "seconds": self.seconds,
        }


def demo(config: DemoConfig, progress: bool | ProgressListener = False) -> Demo:
    """Each command once, on drawn streets and the small checkpoint of the package; nothing is downloaded.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        SegFormerError: files of an earlier tour lie in the folder.
    """
    config = checked(config)
    place = nullcontext(config.out) if config.out else numbered_folder("demo")
    with listening(progress) as listener, place as folder:
        out = Path(folder)
        # What the last step would write over must not stop it after all the others.
        places = [out / name for name in ("masks", "scores", "robust")]
        there = next((place for place in places if place.exists()), None)
        if there is not None and not config.force:
            raise SegFormerError(f"{there} exists already", where=str(there), hint="name another -o, or add --force")
        refuse_unwritable([out / PAGE, out / FILE], force=config.force)
        return _tour(out, config, listener)


def _tour(out: Path, config: DemoConfig, progress: ProgressListener) -> Demo:
    began = time.perf_counter()

    def step(text: str) -> None:
        progress(Progress("demo", 0, message=f"$ segformer {text}"))

    masks, scores, file, robust = out / "masks", out / "scores", out / FILE, out / "robust"
    common: dict[str, Any] = {"device": config.device, "force": config.force}
    step(f"predict sample -w sample -o {masks} --save mask,overlay")
    drawn = PredictConfig(inputs=(DATA,), weights=WEIGHTS, out=str(masks), save=("mask", "overlay"), **common)
    predict(drawn, progress)
    step(f"eval -w sample -o {scores}")
    score = evaluate(EvalConfig(weights=WEIGHTS, data=DATA, out=str(scores), **common), progress)
    step(f"export -w sample -f torchscript -o {file}")
    as_torchscript = ExportConfig(weights=WEIGHTS, format="torchscript", out=str(file), force=config.force)
    exported = export_model(as_torchscript, progress)
    step(f"eval-robust --cityscapes-c -w sample --limit {CORRUPTED} -o {robust}")
    few = RobustConfig(weights=WEIGHTS, data=DATA, limit=CORRUPTED, cityscapes_c=True, out=str(robust), **common)
    found = eval_robust(few, progress)
    split = open_data(DATA, "val")
    predictor = Predictor(WEIGHTS, device=config.device)
    parts = (
        _headline(score),
        _scenes(split, predictor),
        class_table(score, split.palette),
        _exported(exported),
        _figures(found),
        grid_part(found),
        curves_part(found),
        _weather(split, predictor),
        _next(out),
    )
    page = write_page(
        out / PAGE, Page("segformer: the tour", parts, footer=f"segformer {__version__}"), force=config.force
    )
    return Demo(str(out), str(page), score, exported, found, time.perf_counter() - began)


def _headline(score: Evaluation) -> Headline:
    value: float | Interval = Interval(score.miou, *score.miou_ci95) if score.miou_ci95 else score.miou
    return Headline("mIoU on drawn streets that the network has not seen", value, score.protocol)


def _scenes(split: Split, predictor: Predictor) -> Gallery:
    rows = []
    for pair in split.pairs[:SCENES]:
        pixels, target = split.read(pair)
        image = split.shown(pixels)
        found = predictor(image)
        ignore, palette = split.ignore_index, split.palette
        thumbnails = (
            picture_thumbnail("picture", image),
            mask_thumbnail("target", target, palette, ignore),
            mask_thumbnail("mask", found.mask, palette, ignore),
            picture_thumbnail("overlay", _without_legend(found)),
        )
        rows.append(GalleryRow(pair.key, thumbnails))
    return Gallery(tuple(rows), "Predicted")


def _without_legend(found: Prediction) -> Picture:
    return found.overlay()[:, : found.mask.shape[1]]


def _exported(found: Export) -> Facts:
    facts = [Fact("file", found.path), Fact("size", f"{found.size_bytes / 2**20:.1f} MiB")]
    if found.verification is not None:
        check = found.verification
        facts += [
            Fact("verdict", check.verdict),
            Fact("largest difference of logits", f"{check.max_abs_error:.2g}, of {check.tolerance:.2g} tolerated"),
            Fact("best class the same", f"at {100 * check.argmax_agreement:.4g} % of positions"),
            Fact("compared on", ", ".join("x".join(map(str, shape)) for shape in check.shapes)),
        ]
    return Facts(tuple(facts), "Exported, run in its own runtime, and compared")


def _figures(found: RobustResult) -> Figures:
    return Figures(
        (
            Figure("clean mIoU", found.found.clean),
            Figure("mean under corruptions", found.found.mean),
            Figure("kept", found.found.retention),
            Figure("pixels that keep their class", found.stability.mean),
            Figure("images", found.images, "count"),
        ),
        "Robustness",
        f"Of {found.images} pictures only, for a look: no result.",
    )


def _weather(split: Split, predictor: Predictor) -> Gallery:
    pair = split.pairs[0]
    image, corrupter = read_image(pair.image), Corrupter()
    rows = []
    for cell in (None, *SHOWN):
        picture = image if cell is None else corrupter(Source(image), pair.key, cell)
        mask = predictor(picture).mask
        thumbnails = (
            picture_thumbnail("picture", picture, CONTACT_SIDE),
            mask_thumbnail("mask", mask, split.palette, split.ignore_index, CONTACT_SIDE),
        )
        name = "clean" if cell is None else cell.corruption.replace("_", " ")
        rows.append(GalleryRow(name, thumbnails, "" if cell is None else f"severity {cell.severity}"))
    return Gallery(tuple(rows), "One picture in bad weather", across=3)


def _next(out: Path) -> Part:
    return Facts(
        (
            Fact("your pictures", "segformer predict pictures/ -o masks/ --save mask,overlay", code=True),
            Fact("your data", "segformer train --variant b0 -d my-data/", code=True),
            Fact("a paper's number", "segformer eval -w b0-cityscapes -d cityscapes:PATH", code=True),
            Fact("all files of this tour", str(out)),
        ),
        "And now",
    )
