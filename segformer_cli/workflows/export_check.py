"""Whether an exported file is as good as its network: logits, classes and score, on pictures of the user's data."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from segformer_cli.config import ExportConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.data.pairs import Split
from segformer_cli.engine.exported import ExportedFile, ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.scoring import score_split
from segformer_cli.errors import DataError, EnvironmentLacksError, UsageError
from segformer_cli.export.bisect import first_divergence
from segformer_cli.export.exportable import HW, Network, without_gradients
from segformer_cli.export.verify import MASK_AGREEMENT, TOLERANCES, Tolerance, Verification, random_pictures, verify
from segformer_cli.images import Pixels
from segformer_cli.metrics.scores import scores
from segformer_cli.model.segformer import SegFormer, upsample
from segformer_cli.progress import Progress, ProgressListener
from segformer_cli.resize import NATIVE
from segformer_cli.workflows.class_match import check_classes

FEW, MANY = 4, 32
"""Pictures that a file is compared on: where both compute the same, and where the score decides (int8)."""


@dataclass(frozen=True)
class Pictures:
    """What a file is compared on, and what int8 takes its ranges from."""

    compared: Split
    ranges: Split
    same: bool = False
    """Whether both are of one split, for lack of another."""


def open_export_pictures(config: ExportConfig, model: SegFormer) -> Pictures:
    """The pictures that a config names; the ranges come from the training split where the data has one.

    Raises:
        DataError: it is no data set and holds no pictures, or has no such split.
    """
    names = model.config.class_names
    bending = Bending(map=config.map, reduce_zero=config.reduce_zero, bands=model.config.bands)
    bands = model.config.bands
    if bands and config.data is None:
        raise UsageError(
            f"the network reads the bands {', '.join(map(str, bands))}, which the built-in pictures have not",
            hint="name pictures that have them: -d DATA; or --no-verify",
        )
    whole = open_pictures(config.data or "sample", config.split, names, bending)
    compared = whole.spread(config.limit or (MANY if config.precision == "int8" else FEW))
    if config.precision != "int8":
        return Pictures(compared, compared)
    try:
        training = open_pictures(config.data or "sample", "train", names, bending)
    except DataError:
        return Pictures(compared, whole.spread(config.calibration), same=True)
    return Pictures(compared, training.spread(config.calibration), same=training.pairs == whole.pairs)


@dataclass(frozen=True)
class Intake:
    """What a file is fed: pictures as they are for a full pipeline, else prepared; of one size, if it takes but one."""

    bands: int
    full: bool
    any_side: bool
    size_hw: HW | None

    def real(self, segmenter: Segmenter, image: Pixels) -> Tensor:
        """A batch of one picture (H, W, C)."""
        if self.full:
            batch = torch.from_numpy(image)[None]
            if self.size_hw is None:
                return batch
            return upsample(batch.permute(0, 3, 1, 2).float(), self.size_hw).permute(0, 2, 3, 1).to(torch.uint8)
        batch = segmenter.prepare(image)[0]
        height, width = batch.shape[-2:]
        size = self.size_hw or (height, width)
        if not self.any_side:
            size = NATIVE.aligned(size)
        return batch if size == (height, width) else upsample(batch, size)

    def noise(self) -> dict[str, Tensor]:
        """Noise at sizes that the export has not seen."""
        found = random_pictures(self.bands, any_side=self.any_side, size_hw=self.size_hw)
        if not self.full:
            return found
        return {name: (60 * each + 120).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
                for name, each in found.items()}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A file that has no name yet, and what it says of itself."""

    path: Path
    said: ExportedFile

    @property
    def intake(self) -> Intake:
        """What it is fed."""
        said = self.said
        return Intake(said.config.in_channels, said.full_pipeline, said.format.any_side, said.size_hw)


def check_export(
    candidate: Candidate,
    config: ExportConfig,
    model: SegFormer,
    pictures: Pictures,
    progress: ProgressListener,
    *,
    scored: bool = True,
) -> Verification:
    """The file in its own runtime beside the network as it was loaded, head unfolded.

    Args:
        scored: by mIoU too, where the pictures have labels.

    Raises:
        EnvironmentLacksError: the runtime is not installed.
    """
    said = candidate.said
    segmenter = Segmenter.of(model, torch.device("cpu"))
    try:
        exported = said.format.runtime.load(candidate.path)
    except EnvironmentLacksError:
        raise
    except Exception as error:      # each runtime has its own kinds; all of them mean that the file does not work
        return Verification((), 0.0, TOLERANCES[said.precision].agreement, unlike=f"it cannot be opened: {error}")
    compared = pictures.compared
    real = {pair.key: candidate.intake.real(segmenter, compared.read_image(pair)) for pair in compared.pairs}
    what = "masks" if said.full_pipeline else "logits"
    progress(Progress("export", 0, message=f"comparing {what} on {len(real)} picture{'' if len(real) == 1 else 's'}"))
    tolerance = TOLERANCES[said.precision]
    if said.full_pipeline and said.precision == "fp32":
        tolerance = Tolerance(None, MASK_AGREEMENT)
    found = verify(
        _masks_of(segmenter) if said.full_pipeline else without_gradients(model),
        exported,
        noise=candidate.intake.noise(),
        real=real,
        tolerance=tolerance,
    )
    found = dataclasses.replace(found, pictures=len(real))
    if scored and found.unlike is None and math.isfinite(found.max_abs_error or 0.0):
        found = _with_scores(found, candidate, exported, segmenter, pictures.compared)
    if said.precision != "fp32":
        found = dataclasses.replace(found, max_drop=config.max_drop / 100)
    if config.bisect and found.faults and found.unlike is None and not said.full_pipeline:
        found = dataclasses.replace(found, diverges_at=_bisected(candidate, model, next(iter(real.values()))))
    return found


def _masks_of(segmenter: Segmenter) -> Network:
    """Class ids (B, H, W) of pictures (B, H, W, C), as `predict` gives them."""

    def run(pictures: Tensor) -> Tensor:
        return torch.stack([torch.from_numpy(segmenter.mask(each.numpy())) for each in pictures])

    return run


def _with_scores(
    found: Verification, candidate: Candidate, exported: Network, segmenter: Segmenter, split: Split
) -> Verification:
    """With the file's mIoU and the network's, where pictures have labels of the same classes, and a size it takes."""
    said, why = candidate.said, None
    if not split.labelled:
        why = "the pictures have no labels"
    elif said.size_hw and (other := _other_size(said, split)):
        why = f"pictures come to {other[0]}x{other[1]}, the file takes {said.size_hw[0]}x{said.size_hw[1]} alone"
    else:
        try:
            check_classes(segmenter.config, split)
        except DataError:
            why = "the labels are of other classes than the network's"
    if why is not None:
        return dataclasses.replace(found, no_miou=why)
    theirs = Segmenter.of(ExportedModel(exported, said, ""), torch.device("cpu"))
    miou, expected = (scores(score_split(each, split)).miou for each in (theirs, segmenter))
    return dataclasses.replace(found, miou=miou, reference_miou=expected)


def _other_size(said: ExportedFile, split: Split) -> HW | None:
    """The first size among the pictures that is not the file's; None where all are."""
    sizes = (_network_hw(said, split.read_image(pair)) for pair in split.pairs)
    return next((size for size in sizes if size != said.size_hw), None)


def _network_hw(said: ExportedFile, image: Pixels) -> HW:
    """The size at which the file would get a picture."""
    height, width = image.shape[:2]
    return (height, width) if said.full_pipeline else said.config.size.aligned((height, width))


def _bisected(candidate: Candidate, model: SegFormer, images: Tensor) -> str:
    """The first part of the network whose maps differ from the file's by more than logits may."""
    features = candidate.said.format.runtime.features
    assert features is not None
    with torch.inference_mode():
        expected = model.encoder(images)
    tolerance = TOLERANCES[candidate.said.precision].error or TOLERANCES["bf16"].error
    assert tolerance is not None
    return first_divergence(expected, features(candidate.path)(images), tolerance)


