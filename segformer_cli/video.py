"""Videos, between files and frames: by PyAV where it is installed (the extra `video`), else by OpenCV.

PyAV keeps every frame's own time and writes H.264, which browsers play; OpenCV takes frames for evenly spaced and
writes MPEG-4.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from segformer_cli.atomic import refuse_existing
from segformer_cli.errors import ImageError, SegFormerError
from segformer_cli.images import QUIET, Picture

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
CAMERA = "camera:"
"""Before the number of a camera, in place of a file."""

# FFmpeg would tell the terminal of every damaged frame; what matters of it is raised as an error.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

_FINEST = 90_000
"""Steps of a second in which times of frames are written."""


@dataclass(frozen=True)
class Frame:
    """One frame (H, W, 3), RGB, upright, and its time in seconds from the first."""

    picture: Picture
    seconds: float


class VideoReader:
    """The frames of a file or camera, in order, each once.

    `rate` is in frames a second; `promised` how many frames the file says it has, None where it does not.
    """

    def __init__(self, source: str | Path) -> None:
        """
        Args:
            source: a file, or `camera:0`.

        Raises:
            ImageError: it cannot be opened, or holds no video.
        """
        self.source = str(source)
        self.camera = self.source.startswith(CAMERA)
        if not self.camera and not Path(source).is_file():
            raise ImageError(f"there is no video {Path(source).name}", where=str(Path(source).absolute()))
        self._frames: _Frames = _ByPyAV(self.source) if _has_pyav() and not self.camera else _ByOpenCV(self.source)
        self.rate: Fraction = self._frames.rate
        self.promised: int | None = self._frames.promised

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames.

        Raises:
            ImageError: one cannot be decoded; those before it were given.
        """
        count = 0
        for frame in self._frames:
            count += 1
            yield frame
        if not self.camera and (count == 0 or (self.promised is not None and count < self.promised)):
            missing = "no frame" if count == 0 else f"{count} of {self.promised} frames"
            raise ImageError(f"{Path(self.source).name} is damaged: {missing} can be read", where=self.source)


class VideoWriter:
    """A video that appears when the `with` ends, with as many frames as were written; not where it ends in an error."""

    def __init__(self, path: Path, rate: Fraction, *, force: bool = False) -> None:
        """
        Args:
            rate: frames a second, for players; each frame has its own time.

        Raises:
            SegFormerError: the file exists and `force` is not given.
        """
        refuse_existing(path, force=force)
        self.path, self.rate = path, rate
        self._draft = path.with_name(f".{path.stem}.{os.getpid():08x}.part{path.suffix}")
        self._encoder: _Encoder | None = None

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, frame: Frame) -> None:
        """One more frame; all have the size of the first.

        Raises:
            SegFormerError: the file cannot be written.
        """
        if self._encoder is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            height, width = frame.picture.shape[:2]
            kind = _PyAVEncoder if _has_pyav() else _OpenCVEncoder
            self._encoder = kind(self._draft, self.rate, (height, width))
        self._encoder.write(frame)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._encoder is None:
            return
        try:
            self._encoder.close()
            if error is None:
                os.replace(self._draft, self.path)
        except OSError as failure:
            raise SegFormerError(f"cannot write {self.path.name}: {failure}", where=str(self.path)) from failure
        finally:
            self._draft.unlink(missing_ok=True)


class _Frames(Protocol):
    rate: Fraction
    promised: int | None

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class _Encoder(Protocol):
    def __init__(self, path: Path, rate: Fraction, size_hw: tuple[int, int]) -> None: ...

    def write(self, frame: Frame) -> None: ...

    def close(self) -> None: ...


def _has_pyav() -> bool:
    return find_spec("av") is not None


class _ByPyAV:
    def __init__(self, source: str) -> None:
        import av

        self._error: type[Exception] = av.error.FFmpegError
        try:
            self._container = av.open(source)
            self._stream = self._container.streams.video[0]
        except (av.error.FFmpegError, IndexError, OSError) as error:
            raise ImageError(f"{Path(source).name} is no video that can be read", where=source) from error
        self._source = source
        self._stream.thread_type = "AUTO"
        self.rate = Fraction(self._stream.average_rate or self._stream.guessed_rate or 25)
        self.promised = self._stream.frames or None

    def __iter__(self) -> Iterator[Frame]:
        first: float | None = None
        try:
            for count, frame in enumerate(self._container.decode(self._stream)):
                time = float(frame.time) if frame.time is not None else count / float(self.rate)
                first = time if first is None else first
                picture = np.ascontiguousarray(_turned(frame.to_ndarray(format="rgb24"), frame.rotation))
                yield Frame(picture, time - first)
        except self._error as error:
            raise ImageError(f"{Path(self._source).name} is damaged: {error}", where=self._source) from error

    def close(self) -> None:
        self._container.close()


def _turned(picture: NDArray[Any], degrees: int) -> Picture:
    """Upright: phones store how they were held, counterclockwise."""
    return np.asarray(np.rot90(picture, degrees // 90), np.uint8)


class _ByOpenCV:
    def __init__(self, source: str) -> None:
        number = source.removeprefix(CAMERA)
        camera = source.startswith(CAMERA) and number.isdecimal()
        with QUIET:
            self._capture = cv2.VideoCapture(int(number)) if camera else cv2.VideoCapture(source)
        if not self._capture.isOpened():
            what = f"there is no {source}" if source.startswith(CAMERA) else f"{Path(source).name} is no video"
            raise ImageError(f"{what} that can be read", where=source)
        self.rate = Fraction(self._capture.get(cv2.CAP_PROP_FPS) or 25).limit_denominator(1001)
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.promised = count if count > 0 and not camera else None

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        while True:
            with QUIET:
                read, picture = self._capture.read()
            if not read:
                return
            yield Frame(np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8), count / float(self.rate))
            count += 1

    def close(self) -> None:
        self._capture.release()


class _PyAVEncoder:
    def __init__(self, path: Path, rate: Fraction, size_hw: tuple[int, int]) -> None:
        import av

        self._container = av.open(str(path), "w", options={"movflags": "+faststart"})
        self._stream: Any = self._container.add_stream("libx264", rate=rate, options={"crf": "18", "preset": "fast"})
        self._stream.height, self._stream.width = _even(size_hw)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _FINEST)
        self._before = -1

    def write(self, frame: Frame) -> None:
        import av

        encoded = av.VideoFrame.from_ndarray(_padded(frame.picture), format="rgb24")
        # Two frames of one time would be one.
        self._before = max(round(frame.seconds * _FINEST), self._before + 1)
        encoded.pts, encoded.time_base = self._before, Fraction(1, _FINEST)
        self._container.mux(self._stream.encode(encoded))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


class _OpenCVEncoder:
    def __init__(self, path: Path, rate: Fraction, size_hw: tuple[int, int]) -> None:
        height, width = _even(size_hw)
        with QUIET:
            self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), float(rate), (width, height))
        if not self._writer.isOpened():
            raise SegFormerError(
                f"OpenCV cannot write {path.suffix} videos here", where=str(path),
                hint='name it .mp4, or pip install "segformer-cli[video]"',
            )

    def write(self, frame: Frame) -> None:
        self._writer.write(cv2.cvtColor(_padded(frame.picture), cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        self._writer.release()


def _even(size_hw: tuple[int, int]) -> tuple[int, int]:
    """Colours have half the resolution in such files: sides are even."""
    return size_hw[0] + size_hw[0] % 2, size_hw[1] + size_hw[1] % 2


def _padded(picture: Picture) -> Picture:
    height, width = _even((picture.shape[0], picture.shape[1]))
    rows, columns = height - picture.shape[0], width - picture.shape[1]
    if not rows and not columns:
        return picture
    return np.asarray(cv2.copyMakeBorder(picture, 0, rows, 0, columns, cv2.BORDER_REPLICATE), np.uint8)
