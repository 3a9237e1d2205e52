"""Prediction: pictures in, masks and overlays out; one bad picture does not stop the others."""

from __future__ import annotations

import glob
import io
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.atomic import refuse_unwritable
from segformer_cli.bands import ARRAY_SUFFIX, as_picture, read_bands
from segformer_cli.config import PredictConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.engine.device import choose_device, choose_dtype
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.protocol import OWN, Protocol
from segformer_cli.errors import ImageError, UsageError
from segformer_cli.images import PICTURE_SUFFIXES, Ids, Picture, Pixels, read_image, write_image, write_mask
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.model.segformer import SegFormer
from segformer_cli.overlay import draw_overlay
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.resize import parse_size
from segformer_cli.settings import checked
from segformer_cli.workflows.results import free_folder


@dataclass(frozen=True)
class ClassShare:
    """A class present in a picture, and the share of its pixels."""

    id: int
    name: str
    share: float


@dataclass(frozen=True, eq=False)
class Prediction:
    """The classes of one picture; shows itself as an overlay in a notebook.

    `mask` is (H, W) class ids, uint8, or uint16 with more than 255 classes, at the picture's own size. `picture` is
    what people see of what the network read.
    """

    picture: Picture
    mask: Ids
    config: ModelConfig

    @cached_property
    def classes(self) -> tuple[ClassShare, ...]:
        """The classes present, largest first."""
        counts = np.bincount(self.mask.ravel(), minlength=self.config.num_classes)
        order = np.argsort(-counts, kind="stable")
        names = self.config.class_names
        return tuple(
            ClassShare(int(index), names[index], float(counts[index] / self.mask.size))
            for index in order
            if counts[index] and index < len(names)
        )

    def overlay(self, opacity: float = 0.5) -> Picture:
        """The picture blended with its class colours, a legend to the right, (H, W', 3)."""
        palette = self.config.palette
        rows = [(found.name, palette[found.id], found.share) for found in self.classes]
        return draw_overlay(
            self.picture, self.mask, palette, rows, ignore_index=self.config.ignore_index, opacity=opacity
        )

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """`path`, now the mask as a palette PNG whose pixel values are the class ids.

        Raises:
            SegFormerError: the file exists and `force` is not set.
        """
        return write_mask(Path(path), self.mask, self.config.palette, force=force)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(self.overlay()).save(buffer, format="PNG")
        return buffer.getvalue()


class Predictor:
    """A network ready to predict pictures: from a path, an array (H, W, 3) uint8 RGB, or a PIL image.

    A network of other bands takes an array (H, W, C) of its C bands, in the scale of the files it was trained on.

    Args:
        model: a network or WEIGHTS.
        size: as `--size`; default: the checkpoint's own policy.
        bands: of files, counted from 1; default: those that the network was trained on.
        overlay_bands: three of the C bands, counted from 1, to be shown as red, green and blue; or one.
    """

    def __init__(
        self,
        model: SegFormer | ExportedModel | str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        size: str | None = None,
        bands: tuple[int, ...] = (),
        overlay_bands: tuple[int, ...] = (),
    ) -> None:
        if not isinstance(model, (SegFormer, ExportedModel)):
            model = load_model(model)
        if model.config is None:
            raise UsageError("the model has no .config", hint="build it with segformer_cli.build_model or load_model")
        where = choose_device(device)
        config: ModelConfig = model.config
        protocol = Protocol(name=OWN, size=parse_size(size) if size else config.size)
        self._segmenter = Segmenter.of(model, where, choose_dtype(precision, where), protocol)
        self._bands = bands or config.bands
        self._shown = overlay_bands
        _refuse_other_bands(config, self._bands, overlay_bands)

    def __call__(self, source: str | Path | Pixels | Image.Image) -> Prediction:
        """The classes of one picture.

        Raises:
            ImageError: it cannot be read.
        """
        pixels = as_pixels(source, self._bands)
        picture = as_picture(pixels, self._bands, self._shown)
        return Prediction(picture, self._segmenter.mask(pixels), self._segmenter.config)

    def predict_all(
        self, sources: Iterable[str | Path | Pixels | Image.Image], *, progress: bool = False
    ) -> list[Prediction]:
        """The predictions of many pictures; `progress` draws a bar."""
        found = []
        total = len(sources) if isinstance(sources, Sequence) else None
        with listening(progress) as listener:
            for done, source in enumerate(sources, 1):
                found.append(self(source))
                listener(Progress("predict", done, total, "image"))
        return found


@dataclass(frozen=True)
class Job:
    """One picture and the files that come of it."""

    input: Path
    mask: Path | None
    overlay: Path | None

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files, as text."""
        return tuple(str(path) for path in (self.mask, self.overlay) if path is not None)


@dataclass(frozen=True)
class PredictedImage:
    """What was found in one picture, and where it was written."""

    input: str
    outputs: tuple[str, ...]
    size_hw: tuple[int, int]
    classes: tuple[ClassShare, ...]
    ms: float


@dataclass(frozen=True)
class FailedImage:
    """A picture that could not be done, and why."""

    input: str
    error: str


@dataclass(frozen=True)
class Predictions:
    """What `predict` did; `out` is where its files are."""

    images: tuple[PredictedImage, ...]
    failed: tuple[FailedImage, ...]
    out: str
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[ClassShare, ...]:
        """The classes of all pictures together, each picture counting alike, largest first."""
        shares: dict[tuple[int, str], float] = {}
        for image in self.images:
            for found in image.classes:
                key = found.id, found.name
                shares[key] = shares.get(key, 0.0) + found.share / len(self.images)
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        return tuple(ClassShare(index, name, share) for (index, name), share in ordered)


def predict(config: PredictConfig, progress: bool | ProgressListener = False) -> Predictions:
    """Masks and overlays of all inputs, written where `config.out` says.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        ImageError: the only picture cannot be read.
        UsageError: an input names no picture, or two would write one file.
        SegFormerError: an output exists and `force` is not set.
    """
    with listening(progress) as listener:
        return _predict(config, listener)


def _predict(config: PredictConfig, progress: ProgressListener) -> Predictions:
    config = checked(config)
    jobs, out = plan(config)
    model = load_model(config.weights, offline=config.offline, trust=config.trust, progress=progress)
    predictor = Predictor(
        model,
        device=config.device,
        precision=config.precision,
        size=config.size,
        bands=config.bands,
        overlay_bands=config.overlay_bands,
    )
    done: list[PredictedImage] = []
    failed: list[FailedImage] = []
    for index, job in enumerate(jobs, 1):
        try:
            done.append(_run(job, predictor, config))
        except ImageError as error:
            if len(jobs) == 1:
                raise
            failed.append(FailedImage(str(job.input), str(error).replace("\n", "; ")))
        progress(Progress("predict", index, len(jobs), "image"))
    return Predictions(tuple(done), tuple(failed), str(out), _notes(config, model.config))


def plan(config: PredictConfig) -> tuple[list[Job], Path]:
    """Every picture with the files it will write, and the place they share; nothing is written yet.

    Raises:
        UsageError, ImageError, SegFormerError: as `predict`.
    """
    config = checked(config)
    if not config.inputs:
        raise UsageError("no picture is named", hint="give files, folders, globs, or `sample`")
    if not config.save:
        raise UsageError("nothing is to be saved", hint="add --save mask, --save overlay, or both")
    pictures = list(dict(find_pictures(config.inputs)).items())     # each once, however often it was named
    out = Path(config.out) if config.out else free_folder("predict")
    if out.suffix and not out.is_dir() and not (config.out or "").endswith(("/", os.sep)):
        jobs = [_single(pictures, out, config)]
    else:
        jobs = [_job(picture, out / name, config) for picture, name in named_apart(pictures)]
    _refuse_collisions(jobs, force=config.force)
    return jobs, out


def find_pictures(inputs: Sequence[str]) -> list[tuple[Path, Path]]:
    """Each picture of the inputs in order, and its path relative to the folder it was found through.

    Raises:
        ImageError: an input names nothing.
    """
    found: list[tuple[Path, Path]] = []
    for text in inputs:
        path = Path(text).expanduser()
        if text == "sample" and not path.exists():
            pairs = open_data("sample", "val").pairs
            found += [(Path(str(pair.image)), Path(pair.image.name)) for pair in pairs]
        elif path.is_dir():
            files = sorted(path.rglob("*"))
            inside = [each for each in files if each.suffix.lower() in PICTURE_SUFFIXES]
            # Arrays beside pictures are something else, such as scores; alone they are pictures of many bands.
            inside = inside or [each for each in files if each.suffix.lower() == ARRAY_SUFFIX]
            if not inside:
                raise ImageError(
                    f"there are no pictures in the folder {text}", where=str(path.absolute()), hint=_suffixes()
                )
            found += [(each, each.relative_to(path)) for each in inside]
        elif path.exists():
            found.append((path, Path(path.name)))
        else:
            matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
            matches = [match for match in matches if match.is_file()]
            if not matches:
                raise ImageError(f"there is no picture {text}", where=str(path.absolute()))
            found += [(match, Path(match.name)) for match in matches]
    return found


def as_pixels(source: str | Path | Pixels | Image.Image, bands: tuple[int, ...] = ()) -> Pixels:
    """(H, W, 3) uint8 RGB of a path, an array, or a PIL image; or (H, W, C) of so many `bands`.

    Raises:
        ImageError: the file cannot be read, or the array is no picture.
    """
    if isinstance(source, (str, Path)):
        return read_bands(Path(source), bands) if bands else read_image(Path(source))
    array = np.asarray(source.convert("RGB") if isinstance(source, Image.Image) and not bands else source)
    if bands:
        return _as_bands(array, len(bands))
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or not array.size:
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} is no picture",
            hint="give (H, W, 3) uint8 in RGB order",
        )
    return np.ascontiguousarray(array)


def _as_bands(array: NDArray[np.generic], count: int) -> Pixels:
    if array.ndim != 3 or array.shape[2] != count or array.dtype.kind not in "uif" or not array.size:
        raise ImageError(
            f"an array of shape {array.shape} and type {array.dtype} has not the {count} bands of the network",
            hint=f"give (H, W, {count}) in the scale of the files that it was trained on",
        )
    kept = array if array.dtype in (np.uint8, np.uint16) else array.astype(np.float32)
    return np.ascontiguousarray(kept)


def _refuse_other_bands(config: ModelConfig, bands: tuple[int, ...], shown: tuple[int, ...]) -> None:
    if bands and len(bands) != config.in_channels:
        raise UsageError(
            f"--bands names {len(bands)}, the network reads {config.in_channels}",
            hint=f"name {config.in_channels}, in the order in which it was trained on them",
        )
    if shown and (not bands or len(shown) not in (1, 3) or max(shown) > len(bands)):
        raise UsageError(
            f"overlay_bands is {','.join(map(str, shown))}, the network reads {config.in_channels} bands",
            hint="name three of them, counted from 1 in the order in which the network reads them, or one",
        )


def _run(job: Job, predictor: Predictor, config: PredictConfig) -> PredictedImage:
    began = time.perf_counter()
    found = predictor(job.input)
    if job.mask is not None:
        found.save(job.mask, force=config.force)
    if job.overlay is not None:
        write_image(job.overlay, found.overlay(config.opacity), force=config.force)
    ms = (time.perf_counter() - began) * 1000
    height, width = found.mask.shape
    return PredictedImage(str(job.input), job.outputs, (height, width), found.classes, ms)


def named_apart(pictures: list[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The pictures with the names of their masks; a.jpg beside a.png keep their endings: a.jpg.png, a.png.png."""
    stems = Counter(relative.with_suffix("") for _, relative in pictures)
    return [
        (picture, relative.with_suffix(".png" if stems[relative.with_suffix("")] == 1 else f"{relative.suffix}.png"))
        for picture, relative in pictures
    ]


def _single(pictures: list[tuple[Path, Path]], out: Path, config: PredictConfig) -> Job:
    if len(pictures) != 1:
        raise UsageError(
            f"-o {out} is one file, the inputs are {len(pictures)} pictures",
            hint=f"give a folder: -o {out.with_suffix('')}/",
        )
    if out.suffix.lower() != ".png":
        raise UsageError(f"-o {out}: masks are written as PNG", hint=f"-o {out.with_suffix('.png')}")
    return _job(pictures[0][0], out, config)


def _job(picture: Path, target: Path, config: PredictConfig) -> Job:
    """The mask goes to `target`; an overlay written beside one is called <name>_overlay.png."""
    mask = target if "mask" in config.save else None
    name = f"{target.stem}_overlay.png" if mask is not None else target.name
    overlay = target.with_name(name) if "overlay" in config.save else None
    return Job(picture, mask, overlay)


def _refuse_collisions(jobs: list[Job], *, force: bool) -> None:
    writers: dict[Path, Path] = {}
    inputs = {job.input.resolve() for job in jobs}
    for job in jobs:
        for path in (job.mask, job.overlay):
            if path is None:
                continue
            if path.resolve() in inputs:
                raise UsageError(f"{path} is a picture that is to be read", hint="write into another folder: -o out/")
            if path in writers:
                raise UsageError(
                    f"{writers[path]} and {job.input} would both write {path}",
                    hint="predict them into different folders",
                )
            writers[path] = job.input
    refuse_unwritable(writers, force=force)


SAMPLE_SCENES = "drawn street scenes"
"""What the sample weights, and what is exported from them, say that they were trained on."""


def _notes(config: PredictConfig, model: ModelConfig) -> tuple[str, ...]:
    if model.training_data == SAMPLE_SCENES and config.inputs != ("sample",):
        return ("the sample weights know only drawn streets; on real photos expect little of them (-w b0-ade20k)",)
    return ()


def _suffixes() -> str:
    return "pictures end in " + ", ".join(PICTURE_SUFFIXES)
