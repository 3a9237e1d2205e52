"""A video predicted frame by frame: class colours or an overlay as a video, and the share of each class in a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import replacing
from segformer_cli.engine.upsampling import LogitMap
from segformer_cli.errors import ImageError
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.overlay import blended, colour_mask
from segformer_cli.progress import Progress, ProgressListener
from segformer_cli.threads import prefetched
from segformer_cli.video import Frame, VideoReader, VideoWriter
from segformer_cli.workflows.prediction import Prediction, Predictor

AHEAD = 4
"""Frames that are decoded while the network works on others."""


@dataclass(frozen=True)
class Film:
    """A video, or `camera:0`, and the files that come of it; a `mask` is in class colours, since videos keep no ids."""

    input: str
    mask: Path | None
    overlay: Path | None
    table: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(path for path in (self.mask, self.overlay, self.table) if path is not None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The files, as text."""
        return tuple(map(str, self.paths))


@dataclass(frozen=True, eq=False)
class Filmed:
    """What came of a video: how many frames, the mean share (K,) of each class, and what went wrong, if anything did.

    Files of a video that is damaged hold the frames before the damage.
    """

    frames: int
    size_hw: tuple[int, int]
    shares: NDArray[np.float64]
    error: str | None = None


def predict_video(
    film: Film, predictor: Predictor, *, smooth: float, opacity: float, force: bool, progress: ProgressListener
) -> Filmed:
    """Writes a film's files; each frame of the video becomes one of theirs, at its time.

    Raises:
        ImageError: the video cannot be opened, or not one frame of it can be read.
        SegFormerError: a file cannot be written.
    """
    config = predictor.config
    total = np.zeros(config.num_classes)
    count, size_hw, error = 0, (0, 0), None
    with ExitStack() as files:
        reader = files.enter_context(VideoReader(film.input))
        mask, overlay = (
            None if path is None else files.enter_context(VideoWriter(path, reader.rate, force=force))
            for path in (film.mask, film.overlay)
        )
        table = _Table(files.enter_context(_opened(film.table, force=force)), config)
        try:
            for frame, found in _predicted(reader, predictor, smooth):
                ignore = config.ignore_index
                if mask is not None:
                    mask.write(Frame(colour_mask(found.mask, config.palette, ignore), frame.seconds))
                if overlay is not None:
                    seen = blended(found.picture, found.mask, config.palette, ignore_index=ignore, opacity=opacity)
                    overlay.write(Frame(seen, frame.seconds))
                total += table.add(count, frame.seconds, found)
                count, size_hw = count + 1, (found.mask.shape[0], found.mask.shape[1])
                progress(Progress("predict", count, reader.promised, "frame"))
        except ImageError as failure:
            if not count:
                raise
            error = str(failure).replace("\n", "; ")
        except KeyboardInterrupt:
            if not (reader.camera and count):       # which has no end of its own
                raise
    return Filmed(count, size_hw, total / count, error)


def _predicted(reader: VideoReader, predictor: Predictor, smooth: float) -> Iterator[tuple[Frame, Prediction]]:
    """Every frame with its prediction; the next ones are decoded meanwhile."""
    before: list[LogitMap] | None = None
    for frame in prefetched(reader, AHEAD):
        found, before = predictor.smoothed(frame.picture, before, smooth)
        yield frame, found


class _Table:
    """A line a frame: its number, its time, and the share of each class."""

    def __init__(self, file: IO[str], config: ModelConfig) -> None:
        self._lines = csv.writer(file, lineterminator="\n")
        self._lines.writerow(["frame", "seconds", *config.class_names])
        self._count = config.num_classes

    def add(self, number: int, seconds: float, found: Prediction) -> NDArray[np.float64]:
        """The shares (K,) of a frame."""
        counts = np.bincount(found.mask.ravel(), minlength=self._count)[: self._count]
        shares = np.asarray(counts / found.mask.size)
        self._lines.writerow([number, f"{seconds:.3f}", *(f"{share:.6f}" for share in shares)])
        return shares


class _opened:
    """A file of text that appears whole when the `with` ends."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._replacing = replacing(path, force=force)

    def __enter__(self) -> IO[str]:
        self._file = self._replacing.__enter__().open("w", encoding="utf-8", newline="")
        return self._file

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._replacing.__exit__(*error)  # type: ignore[arg-type]
