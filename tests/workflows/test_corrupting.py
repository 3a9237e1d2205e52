"""Corrupted pictures as files: where they go, what is made again, what fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segformer_cli.config import CorruptConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.images import read_image
from segformer_cli.robustness import corrupt
from segformer_cli.robustness.corruptions import generator_for, random_state_for
from segformer_cli.workflows.corrupting import Corrupted, corrupt_files, plan
from tests.tiny_data import write_lot


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    found = next(Path("sample_data").rglob("*_leftImg8bit.png"))
    return Path(shutil.copy(found, tmp_path / "street.png"))


def written(*inputs: str | Path, out: Path, **keys: Any) -> Corrupted:
    given = {"corruptions": ("fog", "jpeg_compression"), "severities": (1, 3), "workers": 0, **keys}
    return corrupt_files(CorruptConfig(inputs=tuple(map(str, inputs)), out=str(out), **given))


def test_a_file_is_what_corrupt_gives_for_its_key(picture: Path, tmp_path: Path) -> None:
    found = written(picture, out=tmp_path / "out", seed=5)
    assert (found.pictures, found.written, found.kept) == (1, 4, 0)
    expected = corrupt(read_image(picture), "fog", 3, generator_for(5, "street.png", "fog", 3))
    assert np.array_equal(read_image(tmp_path / "out" / "fog" / "3" / "street.png"), expected)


def test_the_stream_of_chance_and_the_order_of_channels_are_those_asked_for(picture: Path, tmp_path: Path) -> None:
    image = read_image(picture)
    keys: dict[str, Any] = {"rng": "reference", "channel_order": "bgr"}
    written(picture, out=tmp_path / "out", corruptions=("gaussian_noise",), severities=(3,), **keys)
    rng = random_state_for(0, "street.png", "gaussian_noise", 3)
    expected = corrupt(image, "gaussian_noise", 3, rng, mode="reference", channel_order="bgr")
    found = read_image(tmp_path / "out" / "gaussian_noise" / "3" / "street.png")
    assert np.array_equal(found, expected)
    rgb = random_state_for(0, "street.png", "gaussian_noise", 3)
    assert not np.array_equal(found, corrupt(image, "gaussian_noise", 3, rgb, mode="reference"))


def test_a_limit_takes_the_first_pictures(tmp_path: Path) -> None:
    found = written("sample", out=tmp_path / "out", limit=2, corruptions=("brightness",), severities=(1,))
    assert (found.pictures, found.written) == (2, 2)
    names = sorted(path.name for path in (tmp_path / "out" / "brightness").rglob("*_leftImg8bit.png"))
    assert names == [f"sample_00000{index}_000019_leftImg8bit.png" for index in (0, 1)]


def test_a_folder_of_ones_own_is_all_its_pictures_not_one_split(picture: Path, tmp_path: Path) -> None:
    data = write_lot(tmp_path / "lot", sizes=((40, 40),))
    (data / "images" / "train").mkdir()
    shutil.copy(picture, data / "images" / "train" / "street.png")
    found = written(data / "images", out=tmp_path / "out", corruptions=("brightness",), severities=(1,))
    assert found.pictures == 2


def test_without_out_each_call_has_a_folder_of_its_own_and_a_refused_one_leaves_none(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = CorruptConfig(inputs=(str(picture),), corruptions=("brightness",), severities=(1,), workers=0)
    assert plan(config).startswith("would write 1 pictures to runs/corrupt/1")
    with pytest.raises(SegFormerError):
        corrupt_files(CorruptConfig(inputs=("nowhere.png",)))
    assert not (tmp_path / "runs").exists()
    assert [corrupt_files(config).out for _ in range(2)] == ["runs/corrupt/1", "runs/corrupt/2"]


def test_masks_are_linked_wherever_they_lie(tmp_path: Path) -> None:
    data = tmp_path / "segnet"
    for folder in ("val", "valannot"):
        (data / folder).mkdir(parents=True)
    shutil.copy(next(Path("sample_data").rglob("*_leftImg8bit.png")), data / "val" / "0001.png")
    Image.fromarray(np.zeros((256, 512), np.uint8)).save(data / "valannot" / "0001.png")
    linked = written(f"camvid:{data}", out=tmp_path / "out", corruptions=("brightness",), severities=(1,))
    assert linked.notes == ()
    assert open_data(f"camvid:{tmp_path / 'out' / 'brightness' / '1'}", "val").labelled
    shutil.move(data, tmp_path / "inner" / "val")
    for folder, ours in (("val", "images"), ("valannot", "labels")):
        shutil.move(tmp_path / "inner" / "val" / folder, tmp_path / "inner" / "val" / ours)
    beside = written(f"camvid:{tmp_path / 'inner'}", out=tmp_path / "two", corruptions=("brightness",), severities=(1,))
    assert beside.notes == ()
    assert open_data(f"camvid:{tmp_path / 'two' / 'brightness' / '1'}", "val").labelled


def test_all_are_nineteen_at_five_severities(picture: Path, tmp_path: Path) -> None:
    config = CorruptConfig(inputs=(str(picture),), out=str(tmp_path / "out"), all=True)
    assert plan(config).startswith("would write 95 pictures")
    assert not (tmp_path / "out").exists()


def test_a_sheet_shows_every_variant(picture: Path, tmp_path: Path) -> None:
    sheet = read_image(Path(written(picture, out=tmp_path / "out").sheet or ""))
    height, width = read_image(picture).shape[:2]
    assert sheet.shape[0] > 3 * 240 * height // width
    # The clean picture's place and the second row's are not paper, the empty place beside the clean one is.
    assert np.ptp(sheet[30:100, 160:380]) > 50
    assert np.ptp(sheet[30:100, 420:620]) == 0


def test_a_second_call_makes_only_what_is_missing(picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written(picture, out=out)
    (out / "fog" / "1" / "street.png").unlink()
    before = (out / "fog" / "3" / "street.png").stat().st_mtime_ns
    again = written(picture, out=out)
    assert (again.written, again.kept) == (1, 3)
    assert (out / "fog" / "3" / "street.png").stat().st_mtime_ns == before


def test_another_seed_is_another_folder(picture: Path, tmp_path: Path) -> None:
    written(picture, out=tmp_path / "out")
    with pytest.raises(SegFormerError, match="made with another seed"):
        written(picture, out=tmp_path / "out", seed=1)
    assert written(picture, out=tmp_path / "out", seed=1, force=True).written == 4
    assert json.loads((tmp_path / "out" / "corrupt.json").read_text())["seed"] == 1


def test_files_of_another_hand_are_not_overwritten(picture: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "out" / "fog" / "1" / "street.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(SegFormerError, match="exists already"):
        written(picture, out=tmp_path / "out")
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_is_one_again_in_every_variant(streets: str, tmp_path: Path, workers: int) -> None:
    written(streets, out=tmp_path / "out", workers=workers)
    split = open_data(f"cityscapes:{tmp_path / 'out' / 'fog' / '3'}", "val")
    assert split.labelled and len(split) == 3
    image, target = split.read(split.pairs[0])
    theirs, same = open_data(streets, "val").read(open_data(streets, "val").pairs[0])
    assert np.array_equal(target, same)
    assert not np.array_equal(image, theirs)


def test_pictures_that_fail_are_named_and_the_others_done(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:1000])
    found = written(picture, tmp_path / "broken.png", out=tmp_path / "out")
    assert found.pictures == 1
    assert [path for path, _ in found.failed] == [str(tmp_path / "broken.png")]
    assert not list((tmp_path / "out").rglob("broken*"))


def test_small_pictures_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (31, 64)).save(tmp_path / "thin.png")
    with pytest.raises(SegFormerError, match="too small to corrupt"):
        written(tmp_path / "thin.png", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"inputs": ()}, "no picture is named"),
        ({"inputs": ("nowhere.png",)}, "there is no picture"),
        ({"inputs": ("sample",), "out": "a.png"}, "is a file"),
        ({"inputs": ("sample",), "all": True, "protocol": "fan"}, "ask for two things"),
        ({"inputs": ("sample",), "protocol": "none"}, "corrupts nothing"),
        ({"inputs": ("cityscape:x",)}, "no layout 'cityscape'"),
    ],
)
def test_what_has_no_meaning_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SegFormerError, match=message):
        corrupt_files(CorruptConfig(**keys))


def test_two_pictures_of_one_name_are_refused(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    shutil.copy(picture, tmp_path / "b" / "street.png")
    with pytest.raises(UsageError, match=r"street\.png"):
        written(picture, tmp_path / "b" / "street.png", out=tmp_path / "out")


def test_another_picture_of_the_same_name_is_refused(picture: Path, tmp_path: Path) -> None:
    written(picture, out=tmp_path / "out")
    other = tmp_path / "b" / "street.png"
    other.parent.mkdir()
    shutil.copy(sorted(Path("sample_data").rglob("*_leftImg8bit.png"))[1], other)
    with pytest.raises(SegFormerError, match=r"variants of another picture called street\.png"):
        written(other, out=tmp_path / "out")
    assert written(other, out=tmp_path / "out", force=True).written == 4


def test_more_pictures_may_join_those_of_an_earlier_call(picture: Path, tmp_path: Path) -> None:
    written(picture, out=tmp_path / "out")
    other = Path(shutil.copy(sorted(Path("sample_data").rglob("*_leftImg8bit.png"))[1], tmp_path / "other.png"))
    assert written(other, out=tmp_path / "out").written == 4
    assert set(json.loads((tmp_path / "out" / "corrupt.json").read_text())["pictures"]) == {"street.png", "other.png"}


def test_settings_that_are_none_are_said(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "corrupt.json").write_text("[1, 2]")
    with pytest.raises(SegFormerError, match=r"corrupt\.json is not what segformer corrupt writes"):
        written(picture, out=tmp_path / "out")


def test_a_pattern_that_matches_folders_alone_names_no_picture(tmp_path: Path) -> None:
    (tmp_path / "in" / "folder").mkdir(parents=True)
    with pytest.raises(SegFormerError, match="there is no picture"):
        written(str(tmp_path / "in" / "*"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_where_every_picture_fails_nothing_is_left(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(picture.read_bytes()[:1000])
    with pytest.raises(SegFormerError, match="all 1 pictures failed"):
        written(tmp_path / "broken.png", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("divided", [True, False])
def test_someones_own_folder_is_a_data_set_again(tmp_path: Path, divided: bool) -> None:
    lot = Path(write_lot(tmp_path / "lot"))
    if not divided:
        for folder in ("images", "masks"):
            for path in sorted((lot / folder).rglob("*.*")):
                shutil.move(path, lot / folder / path.name)
            for path in [path for path in (lot / folder).iterdir() if path.is_dir()]:
                path.rmdir()
    found = written(f"folder:{lot}", out=tmp_path / "out", corruptions=("brightness",), severities=(1,))
    split = open_data(f"folder:{tmp_path / 'out' / 'brightness' / '1'}", "val" if divided else "all")
    assert found.pictures == len(split) and split.labelled
    assert not (tmp_path / "out" / "brightness" / "1" / "masks").exists() or (
        tmp_path / "out" / "brightness" / "1" / "masks"
    ).is_symlink()


def test_one_variant_of_one_picture_may_be_a_file(picture: Path, tmp_path: Path) -> None:
    found = written(picture, out=tmp_path / "foggy.png", corruptions=("fog",), severities=(2,))
    assert (found.out, found.sheet, found.written) == (str(tmp_path / "foggy.png"), None, 1)
    assert np.array_equal(
        read_image(tmp_path / "foggy.png"),
        corrupt(read_image(picture), "fog", 2, generator_for(0, "street.png", "fog", 2)),
    )
    with pytest.raises(UsageError, match="4 are to be written"):
        written(picture, out=tmp_path / "many.png")
    with pytest.raises(UsageError, match="written as PNG"):
        written(picture, out=tmp_path / "foggy.jpg", corruptions=("fog",), severities=(2,))


def test_the_folder_of_the_pictures_is_not_written_into(picture: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(picture, tmp_path / "in")
    for out in ("in", "in/sub"):
        with pytest.raises(UsageError, match="whose pictures are to be corrupted"):
            written(tmp_path / "in", out=tmp_path / out)
