"""Videos: every frame once, at its time, by both readers and writers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from segformer_cli import video
from segformer_cli.app import main
from segformer_cli.config import PredictConfig
from segformer_cli.errors import ImageError, UsageError
from segformer_cli.model.checkpoint import save_checkpoint
from segformer_cli.video import Frame, VideoReader, VideoWriter
from segformer_cli.workflows.predicting import predict
from segformer_cli.workflows.prediction import Predictor
from tests.conftest import RandomCheckpoint

FRAMES = 9
SIZE_HW = 48, 64

Using = Callable[[bool], None]


@pytest.fixture
def using(monkeypatch: pytest.MonkeyPatch) -> Using:
    """Chooses PyAV or OpenCV."""

    def choose(pyav: bool) -> None:
        if pyav:
            pytest.importorskip("av")
        monkeypatch.setattr(video, "_has_pyav", lambda: pyav)

    return choose


@pytest.fixture
def config(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> PredictConfig:
    weights = save_checkpoint(tmp_path / "weights.safetensors", random_checkpoint("b0", classes=5))
    return PredictConfig(
        inputs=(str(film(tmp_path / "drive.mp4")),), weights=str(weights), out=str(tmp_path / "out"),
        save=("mask", "overlay"),
    )


def shade(number: int) -> int:
    return 20 + 25 * number % 225


def film(path: Path, frames: int = FRAMES, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    with VideoWriter(path, Fraction(10), force=True) as writer:
        for number in range(frames):
            writer.write(Frame(np.full((*size_hw, 3), shade(number), np.uint8), number / 10))
    return path


def frames_of(path: Path) -> list[Frame]:
    with VideoReader(path) as reader:
        return list(reader)


@pytest.mark.parametrize("writes", [True, False], ids=["av writes", "cv2 writes"])
@pytest.mark.parametrize("reads", [True, False], ids=["av reads", "cv2 reads"])
def test_no_frame_is_lost_or_doubled_and_each_keeps_its_time(
    tmp_path: Path, using: Using, writes: bool, reads: bool
) -> None:
    using(writes)
    film(tmp_path / "a.mp4", size_hw=(47, 61))
    using(reads)
    found = frames_of(tmp_path / "a.mp4")
    assert [round(frame.seconds, 3) for frame in found] == [number / 10 for number in range(FRAMES)]
    assert [abs(int(frame.picture.mean()) - shade(number)) < 6 for number, frame in enumerate(found)] == [True] * FRAMES
    assert found[0].picture.shape == (48, 62, 3)        # sides are made even
    with VideoReader(tmp_path / "a.mp4") as reader:
        assert (reader.rate, reader.promised) == (10, FRAMES)


def test_frames_at_odd_times_keep_them(tmp_path: Path, using: Using) -> None:
    using(True)
    times = [0.0, 0.1, 0.35, 0.36, 2.0]
    with VideoWriter(tmp_path / "a.mp4", Fraction(10)) as writer:
        for time in times:
            writer.write(Frame(np.zeros((*SIZE_HW, 3), np.uint8), time))
    assert [round(frame.seconds, 3) for frame in frames_of(tmp_path / "a.mp4")] == times


@pytest.mark.parametrize("pyav", [True, False])
def test_a_film_has_the_frames_of_its_source_and_a_line_for_each(
    config: PredictConfig, tmp_path: Path, using: Using, pyav: bool
) -> None:
    using(pyav)
    found = predict(config)
    (made,) = found.videos
    names = "drive.mp4", "drive_overlay.mp4", "drive.csv"
    assert made.outputs == tuple(str(tmp_path / "out" / name) for name in names)
    assert (made.frames, made.size_hw) == (FRAMES, SIZE_HW)
    for name in made.outputs[:2]:
        with VideoReader(name) as reader:
            assert reader.rate == 10 and len(list(reader)) == FRAMES
    with Path(made.outputs[2]).open() as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["frame", "seconds", *(f"thing {index}" for index in range(5))]
    assert [line[0] for line in lines[1:]] == [str(number) for number in range(FRAMES)]
    predictor = Predictor(config.weights)
    for number, frame in enumerate(frames_of(tmp_path / "drive.mp4")):
        counts = np.bincount(predictor(frame.picture).mask.ravel(), minlength=5)
        assert [float(text) for text in lines[1 + number][2:]] == pytest.approx(counts / counts.sum(), abs=1e-6)
    assert sum(each.share for each in made.classes) == pytest.approx(1)
    assert predict(replace(config, resume=True)).kept == 1


def test_smoothing_averages_logits_over_time(config: PredictConfig, tmp_path: Path) -> None:
    predictor = Predictor(config.weights)
    lot = np.random.default_rng(0)
    first, second = (lot.integers(0, 255, (*SIZE_HW, 3)).astype(np.uint8) for _ in range(2))
    alone = [predictor.smoothed(each, None, 0.5)[1][0].windows[0].logits for each in (first, second)]
    _, before = predictor.smoothed(first, None, 0.5)
    found, after = predictor.smoothed(second, before, 0.25)
    assert after[0].windows[0].logits.numpy() == pytest.approx((0.25 * alone[0] + 0.75 * alone[1]).numpy(), abs=1e-5)
    assert found.mask.shape == SIZE_HW
    still, _ = predictor.smoothed(first, before, 0.9)
    assert (still.mask == predictor(first).mask).all()


@pytest.mark.parametrize("pyav", [True, False])
def test_of_a_video_that_is_cut_off_the_frames_so_far_are_kept(
    config: PredictConfig, tmp_path: Path, using: Using, pyav: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    using(pyav)
    whole = film(tmp_path / "whole.mp4", frames=60).read_bytes()
    index = whole.find(b"moov")
    if index > whole.find(b"mdat"):         # the table of frames lies at the end: what is cut is noise in the middle
        spoilt = whole[: len(whole) // 2] + bytes(len(whole[len(whole) // 2 : index])) + whole[index:]
    else:
        spoilt = whole[: len(whole) * 3 // 4]
    (tmp_path / "cut.mp4").write_bytes(spoilt)
    line = ["predict", str(tmp_path / "cut.mp4"), str(tmp_path / "drive.mp4"), "-w", config.weights,
            "-o", str(tmp_path / "out"), "--json"]
    assert main(line) == 5
    results = json.loads(capsys.readouterr().out)["results"]
    cut, sound = results["videos"]
    assert sound["frames"] == FRAMES and 0 < cut["frames"] < 60
    assert len(frames_of(tmp_path / "out/cut.mp4")) == cut["frames"]
    (failed,) = results["failed"]
    assert failed["input"] == str(tmp_path / "cut.mp4") and f"{cut['frames']} frames are done" in failed["error"]


@pytest.mark.parametrize("pyav", [True, False])
def test_what_is_no_video_is_one_error(config: PredictConfig, tmp_path: Path, using: Using, pyav: bool) -> None:
    using(pyav)
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(ImageError, match=r"bad\.mp4 is no video that can be read"):
        predict(replace(config, inputs=(str(tmp_path / "bad.mp4"),)))
    with pytest.raises(ImageError, match="there is no camera:99"):
        predict(replace(config, inputs=("camera:99",)))
    with pytest.raises(UsageError, match="is no video"):
        predict(replace(config, out=str(tmp_path / "a.png")))
    assert not (tmp_path / "out").exists()


def test_a_film_that_fails_leaves_nothing(tmp_path: Path) -> None:
    frames = [Frame(np.zeros((*SIZE_HW, 3), np.uint8), 0.0), None]
    with pytest.raises(AttributeError), VideoWriter(tmp_path / "a.mp4", Fraction(10)) as writer:
        [writer.write(frame) for frame in frames]  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
