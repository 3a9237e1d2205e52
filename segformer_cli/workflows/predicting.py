"""A job of many pictures and videos: read, predicted and written at the same time, none stopping the others."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeVar

from segformer_cli.atomic import refuse_unwritable, remove_drafts
from segformer_cli.config import PredictConfig
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.streaming import Windows
from segformer_cli.errors import ImageError, UsageError
from segformer_cli.images import Pixels, write_image
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.places import Place
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.settings import checked
from segformer_cli.threads import each_of
from segformer_cli.video import CAMERA, VIDEO_SUFFIXES
from segformer_cli.workflows.filming import Film, predict_video
from segformer_cli.workflows.inputs import SAMPLE, Found, find_pictures, named_apart
from segformer_cli.workflows.journal import Journal, Record
from segformer_cli.workflows.prediction import ClassShare, Prediction, Predictor, shares_of
from segformer_cli.workflows.results import free_folder

READERS = 2
"""Threads that decode; they run while the network does, which needs the cores itself."""

AHEAD = 2
"""Pictures under way for each reader, and results that wait to be written."""

SAMPLE_SCENES = "drawn street scenes"
"""What the sample weights, and what is exported from them, say that they were trained on."""


@dataclass(frozen=True)
class Job:
    """One picture and the files that come of it."""

    input: Place
    mask: Path | None
    overlay: Path | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(path for path in (self.mask, self.overlay) if path is not None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files, as text."""
        return tuple(map(str, self.paths))


@dataclass(frozen=True)
class PredictedImage:
    """What was found in one picture, and where it was written."""

    input: str
    outputs: tuple[str, ...]
    size_hw: tuple[int, int]
    classes: tuple[ClassShare, ...]
    ms: float


@dataclass(frozen=True)
class PredictedVideo:
    """What was found in a video, the mean over its frames, and where it was written."""

    input: str
    outputs: tuple[str, ...]
    size_hw: tuple[int, int]
    classes: tuple[ClassShare, ...]
    frames: int
    ms: float


@dataclass(frozen=True)
class FailedImage:
    """A picture or video that could not be done, or not to its end, and why."""

    input: str
    error: str


@dataclass(frozen=True)
class Predictions:
    """What `predict` did; `out` is where its files are, `kept` how many pictures an earlier call had done."""

    images: tuple[PredictedImage, ...]
    failed: tuple[FailedImage, ...]
    out: str
    notes: tuple[str, ...] = ()
    kept: int = 0
    videos: tuple[PredictedVideo, ...] = ()

    @property
    def classes(self) -> tuple[ClassShare, ...]:
        """The classes of all pictures and videos together, each counting alike, largest first."""
        shares: dict[tuple[int, str], float] = {}
        count = len(self.images) + len(self.videos)
        for found in chain(*(each.classes for each in self.images), *(each.classes for each in self.videos)):
            key = found.id, found.name
            shares[key] = shares.get(key, 0.0) + found.share / count
        ordered = sorted(shares.items(), key=lambda item: -item[1])
        return tuple(ClassShare(index, name, share) for (index, name), share in ordered)


def predict(config: PredictConfig, progress: bool | ProgressListener = False) -> Predictions:
    """Masks and overlays of all inputs, written where `config.out` says.

    Pictures are decoded and files encoded while the network works on others; the results are those of one after the
    other. With `resume`, pictures that an earlier call with the same weights and options has done are passed over.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        ImageError: the only picture cannot be read.
        UsageError: an input names no picture, two would write one file, or an earlier call had other options.
        SegFormerError: an output exists and neither `force` nor `resume` is set, or a file cannot be written.
    """
    with listening(progress) as listener:
        return _predict(config, listener)


def plan(config: PredictConfig) -> tuple[list[Job | Film], Path]:
    """Every picture and video with the files it will write, and the place they share; nothing is written yet.

    Raises:
        UsageError, ImageError, SegFormerError: as `predict`.
    """
    config = checked(config)
    if not config.inputs:
        raise UsageError("no picture is named", hint="give files, folders, globs, lists, archives, or `sample`")
    if not config.save:
        raise UsageError("nothing is to be saved", hint="add --save mask, --save overlay, or both")
    number, count = shard_of(config.shard)
    _windows(config)
    pictures, videos = _told_apart(config.inputs)
    out = Path(config.out) if config.out else free_folder("predict")
    if out.suffix and not out.is_dir() and not (config.out or "").endswith(("/", os.sep)):
        if config.resume:
            raise UsageError(f"-o {out} is one file: there is nothing to continue", hint="give a folder")
        jobs: list[Job | Film] = [_single(pictures, videos, out, config)]
    else:
        # Names depend on all pictures, so that every shard gives a picture the same one.
        jobs = [_job(picture, out / name, config) for picture, name in named_apart(pictures)]
        jobs += [_film(video, out / name.with_suffix(".mp4"), config) for video, name in videos]
    _refuse_collisions(jobs)
    jobs = jobs[number - 1 :: count]
    refuse_unwritable((path for job in jobs for path in job.paths), force=config.force or config.resume)
    return jobs, out


def shard_of(text: str | None) -> tuple[int, int]:
    """Which part of how many a text means; None is all.

    >>> shard_of("2/8"), shard_of(None)
    ((2, 8), (1, 1))

    Raises:
        UsageError: it means none.
    """
    number, _, count = (text or "1/1").partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"--shard {text!r} is no part of a whole", hint="such as 2/8: the second of eight parts")
    return int(number), int(count)


def _predict(config: PredictConfig, progress: ProgressListener) -> Predictions:
    config = checked(config)
    jobs, out = plan(config)
    model = load_model(config.weights, offline=config.offline, trust=config.trust, progress=progress)
    predictor = Predictor(
        model,
        device=config.device,
        precision=config.precision,
        size=config.size,
        windows=_windows(config),
        bands=config.bands,
        overlay_bands=config.overlay_bands,
    )
    total = len(jobs)
    journal = None
    if not (len(jobs) == 1 and out in jobs[0].paths):
        journal = Journal.of(out, config, model)
        if config.resume:
            jobs = [job for job in jobs if not journal.has(str(job.input), job.outputs)]
            remove_drafts(path for job in jobs for path in job.paths)
    kept = total - len(jobs)
    images: list[PredictedImage] = []
    videos: list[PredictedVideo] = []
    failed: list[FailedImage] = []
    for each in _results(jobs, predictor, config, progress):
        if isinstance(each, FailedImage):
            failed.append(each)
        else:
            images.append(each) if isinstance(each, PredictedImage) else videos.append(each)
            if journal is not None:
                journal.add(Record.of(each.input, each.outputs))
        progress(Progress("predict", kept + len(images) + len(videos) + len(failed), total, "image"))
    notes = _notes(config, model.config)
    return Predictions(tuple(images), tuple(failed), str(out), notes, kept, tuple(videos))


def _windows(config: PredictConfig) -> Windows | None:
    if config.window is None:
        if config.overlap is not None:
            raise UsageError("an overlap needs windows", hint="add --set window=1024")
        return None
    if config.size not in (None, "native"):
        raise UsageError(
            f"windows slide over pictures at their own size, --size says {config.size}", hint="leave one of them out"
        )
    return Windows(config.window, config.overlap or config.window // 4, config.blend)


def _results(
    jobs: Sequence[Job | Film], predictor: Predictor, config: PredictConfig, progress: ProgressListener
) -> Iterator[PredictedImage | PredictedVideo | FailedImage]:
    yield from _each([job for job in jobs if isinstance(job, Job)], predictor, config)
    for film in jobs:
        if isinstance(film, Film):
            yield from _filmed(film, predictor, config, progress, alone=len(jobs) == 1)


def _filmed(
    film: Film, predictor: Predictor, config: PredictConfig, progress: ProgressListener, *, alone: bool
) -> Iterator[PredictedVideo | FailedImage]:
    """The video, and what went wrong with it: of a damaged one both."""
    began = time.perf_counter()
    force = config.force or config.resume
    try:
        found = predict_video(
            film, predictor, smooth=config.smooth, opacity=config.opacity, force=force, progress=progress
        )
    except ImageError as error:
        if alone:
            raise
        yield FailedImage(film.input, str(error).replace("\n", "; "))
        return
    classes = shares_of(found.shares, predictor.config.class_names)
    ms = 1000 * (time.perf_counter() - began)
    if found.error is not None:
        yield FailedImage(film.input, f"{found.error}; {found.frames} frames are done")
    yield PredictedVideo(film.input, film.outputs, found.size_hw, classes, found.frames, ms)


def _each(jobs: Sequence[Job], predictor: Predictor, config: PredictConfig) -> Iterator[PredictedImage | FailedImage]:
    """What came of every picture, in their order: some are being decoded, one is in the network, some are written."""
    if len(jobs) == 1:          # its error is the call's
        yield _written(jobs[0], predictor.predict_pixels(predictor.read(jobs[0].input)), config, time.perf_counter())
        return

    def read(job: Job) -> tuple[Job, Pixels | ImageError, float]:
        began = time.perf_counter()
        try:
            return job, predictor.read(job.input), began
        except ImageError as error:
            return job, error, began

    with ThreadPoolExecutor(1) as writer:
        waiting: list[Future[PredictedImage | FailedImage]] = []
        try:
            for job, pixels, began in each_of(read, jobs, READERS, AHEAD):
                waiting.append(_judged(job, pixels, began, predictor, config, writer))
                if len(waiting) > AHEAD:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()


def _judged(
    job: Job,
    pixels: Pixels | ImageError,
    began: float,
    predictor: Predictor,
    config: PredictConfig,
    writer: ThreadPoolExecutor,
) -> Future[PredictedImage | FailedImage]:
    if not isinstance(pixels, ImageError):
        try:
            return writer.submit(_written, job, predictor.predict_pixels(pixels), config, began)
        except ImageError as error:
            pixels = error
    return _known(FailedImage(str(job.input), str(pixels).replace("\n", "; ")))


Known = TypeVar("Known")


def _known(value: Known) -> Future[Known]:
    future: Future[Known] = Future()
    future.set_result(value)
    return future


def _written(job: Job, found: Prediction, config: PredictConfig, began: float) -> PredictedImage:
    force = config.force or config.resume
    if job.mask is not None:
        found.save(job.mask, force=force)
    if job.overlay is not None:
        write_image(job.overlay, found.overlay(config.opacity), force=force)
    ms = (time.perf_counter() - began) * 1000
    height, width = found.mask.shape
    return PredictedImage(str(job.input), job.outputs, (height, width), found.classes, ms)


def _told_apart(inputs: Sequence[str]) -> tuple[list[Found], list[tuple[str, Path]]]:
    """The pictures, and the videos and cameras with the paths that their outputs mirror."""
    cameras = [text for text in inputs if text.startswith(CAMERA)]
    found = find_pictures([text for text in inputs if text not in cameras])
    videos = [(place, name) for place, name in found if place.suffix.lower() in VIDEO_SUFFIXES]
    for place, _ in videos:
        if not isinstance(place, Path):
            raise UsageError(f"{place.name} lies in an archive", where=str(place), hint="unpack videos first")
    named = [(str(place), name) for place, name in videos]
    named += [(text, Path(text.replace(":", "_"))) for text in cameras]
    return [each for each in found if each not in videos], named


def _single(
    pictures: Sequence[Found], videos: Sequence[tuple[str, Path]], out: Path, config: PredictConfig
) -> Job | Film:
    if len(pictures) + len(videos) != 1:
        raise UsageError(
            f"-o {out} is one file, the inputs are {len(pictures) + len(videos)} pictures",
            hint=f"give a folder: -o {out.with_suffix('')}/",
        )
    if videos:
        if out.suffix.lower() not in VIDEO_SUFFIXES:
            raise UsageError(f"-o {out} is no video", hint=f"-o {out.with_suffix('.mp4')}")
        return _film(videos[0][0], out, config)
    if out.suffix.lower() != ".png":
        raise UsageError(f"-o {out}: masks are written as PNG", hint=f"-o {out.with_suffix('.png')}")
    return _job(pictures[0][0], out, config)


def _job(picture: Place, target: Path, config: PredictConfig) -> Job:
    """The mask goes to `target`; an overlay written beside one is called <name>_overlay.png."""
    mask = target if "mask" in config.save else None
    name = f"{target.stem}_overlay.png" if mask is not None else target.name
    overlay = target.with_name(name) if "overlay" in config.save else None
    return Job(picture, mask, overlay)


def _film(video: str, target: Path, config: PredictConfig) -> Film:
    mask = target if "mask" in config.save else None
    beside = target.with_name(f"{target.stem}_overlay{target.suffix}")
    overlay = (target if mask is None else beside) if "overlay" in config.save else None
    return Film(video, mask, overlay, target.with_suffix(".csv"))


def _refuse_collisions(jobs: Sequence[Job | Film]) -> None:
    writers: dict[Path, Place | str] = {}
    inputs = {Path(job.input).resolve() for job in jobs if isinstance(job.input, (Path, str))}
    for job in jobs:
        for path in job.paths:
            if path.resolve() in inputs:
                raise UsageError(f"{path} is a picture that is to be read", hint="write into another folder: -o out/")
            if path in writers:
                raise UsageError(
                    f"{writers[path]} and {job.input} would both write {path}",
                    hint="predict them into different folders",
                )
            writers[path] = job.input


def _notes(config: PredictConfig, model: ModelConfig) -> tuple[str, ...]:
    if model.training_data == SAMPLE_SCENES and config.inputs != (SAMPLE,):
        return ("the sample weights know only drawn streets; on real photos expect little of them (-w b0-ade20k)",)
    return ()
