from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from segformer_cli.data import sample
from segformer_cli.data.sample import SAMPLE_SPLITS, cache_folder, sample_root, seeds_of, write_sample
from segformer_cli.data.scenes import Label, draw_scene
from segformer_cli.data.scenes.canvas import Pixels
from segformer_cli.errors import DataError
from segformer_cli.progress import Progress

REPOSITORY = Path(__file__).parents[2]
TINY = (32, 64)
DRAWN = {int(label) for label in Label}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEGFORMER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "segformer" / "sample-v1"


def pictures(root: Path) -> dict[str, Pixels]:
    found: dict[str, Pixels] = {}
    for path in sorted(root.rglob("*.png")):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        found[path.relative_to(root).as_posix()] = np.asarray(picture, np.uint8)
    return found


def test_the_same_seed_draws_the_same_scene() -> None:
    for first, second in zip(draw_scene(5), draw_scene(5), strict=True):
        np.testing.assert_array_equal(first, second)


def test_another_seed_draws_another_street() -> None:
    assert (draw_scene(5)[1] == draw_scene(6)[1]).mean() < 0.8


def test_drawing_does_not_touch_the_global_random_state() -> None:
    np.random.seed(3)
    before = repr(np.random.get_state())
    draw_scene(5, TINY)
    assert repr(np.random.get_state()) == before


@pytest.mark.parametrize("size_hw", [(64, 128), (256, 512), (200, 200), (131, 77), (512, 1024)])
def test_a_scene_has_the_size_asked_for(size_hw: tuple[int, int]) -> None:
    image, labels = draw_scene(2, size_hw)
    assert image.shape == (*size_hw, 3) and image.dtype == np.uint8
    assert labels.shape == size_hw and labels.dtype == np.uint8


@pytest.mark.parametrize("seed", range(4))
def test_a_scene_at_twice_the_size_is_the_same_street(seed: int) -> None:
    image, labels = draw_scene(seed)
    large_image, large_labels = draw_scene(seed, (512, 1024))
    assert (large_labels[::2, ::2] == labels).mean() >= 0.97
    halved = cv2.resize(large_image, (512, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(halved.astype(int) - image).mean() < 8


def test_labels_are_known_cityscapes_ids() -> None:
    for seed in range(40):
        assert set(np.unique(draw_scene(seed, (64, 128))[1]).tolist()) <= DRAWN


def test_every_drawn_class_is_in_the_val_scenes_and_in_the_train_scenes() -> None:
    for seeds in seeds_of(SAMPLE_SPLITS).values():
        found: set[int] = set()
        for seed in seeds:
            ids, pixels = np.unique(draw_scene(seed)[1], return_counts=True)
            found |= {int(i) for i, count in zip(ids, pixels, strict=True) if count >= 100}
        assert found == DRAWN


def test_shares_of_the_classes_are_those_of_a_street() -> None:
    pixels = np.zeros(256)
    for seed in range(500_000, 500_040):
        pixels += np.bincount(draw_scene(seed, (128, 256))[1].ravel(), minlength=256)
    share = pixels / pixels.sum()
    assert 0.25 < share[Label.ROAD] < 0.45
    assert 0.08 < share[Label.SKY] < 0.25
    assert 0.08 < share[Label.BUILDING] < 0.25
    assert 0.04 < share[Label.CAR] < 0.15
    assert min(share[label] for label in Label) > 0.004


def test_sky_is_above_and_road_is_below() -> None:
    for seed in range(8):
        labels = draw_scene(seed)[1]
        assert (labels[:40] != Label.ROAD).all()
        assert (labels[-60:] != Label.SKY).all()
        assert np.median(np.where(labels == Label.SKY)[0]) + 80 < np.median(np.where(labels == Label.ROAD)[0])


def test_image_and_labels_have_their_edges_in_the_same_places() -> None:
    image, labels = draw_scene(1)
    light = image.astype(int).sum(-1)
    steps = np.abs(light[:, 2:] - light[:, :-2])[:, 1:-1]
    at_edge = (labels[:, 1:] != labels[:, :-1])[:, 1:-1]
    assert steps[at_edge[:, : steps.shape[1]]].mean() > 2 * steps[~at_edge[:, : steps.shape[1]]].mean()


def test_a_set_has_the_cityscapes_layout(tmp_path: Path) -> None:
    assert write_sample(tmp_path / "set", {"train": 2, "val": 1}, TINY) == 3
    assert list(pictures(tmp_path / "set")) == [
        "gtFine/train/sample/sample_001000_000019_gtFine_labelIds.png",
        "gtFine/train/sample/sample_001001_000019_gtFine_labelIds.png",
        "gtFine/val/sample/sample_000000_000019_gtFine_labelIds.png",
        "leftImg8bit/train/sample/sample_001000_000019_leftImg8bit.png",
        "leftImg8bit/train/sample/sample_001001_000019_leftImg8bit.png",
        "leftImg8bit/val/sample/sample_000000_000019_leftImg8bit.png",
    ]


def test_files_hold_the_scene_of_the_seed_in_their_name(tmp_path: Path) -> None:
    write_sample(tmp_path, {"test": 1}, TINY, first_seed=1_000_003)
    image, labels = draw_scene(1_000_003, TINY)
    found = list(pictures(tmp_path).items())
    assert [name.split("/")[-1][:14] for name, _ in found] == ["sample_1000003"] * 2
    np.testing.assert_array_equal(found[0][1], labels)
    np.testing.assert_array_equal(found[1][1][..., ::-1], image)


def test_two_sets_are_equal_to_the_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_sample(tmp_path / name, {"val": 2}, TINY)
    names = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.png")]
    assert len(names) == 4
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_progress_counts_the_scenes(tmp_path: Path) -> None:
    heard: list[Progress] = []
    write_sample(tmp_path, {"val": 2}, TINY, progress=heard.append)
    assert heard == [Progress("drawing", 1, 2, "scene"), Progress("drawing", 2, 2, "scene")]


def test_a_folder_that_is_not_empty_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="is not empty") as refused:
        write_sample(tmp_path, {"val": 1}, TINY)
    assert refused.value.where == str(tmp_path) and "--force" in (refused.value.hint or "")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("")
    with pytest.raises(DataError, match="is a file"):
        write_sample(tmp_path / "set", {"val": 1}, TINY, force=True)


def test_force_replaces_the_scenes_and_keeps_everything_else(tmp_path: Path) -> None:
    write_sample(tmp_path / "set", {"val": 3}, TINY)
    (tmp_path / "set" / "letter.txt").write_text("dear")
    write_sample(tmp_path / "set", {"val": 1}, (16, 32), force=True)
    assert (tmp_path / "set" / "letter.txt").read_text() == "dear"
    assert [picture.shape[:2] for picture in pictures(tmp_path / "set").values()] == [(16, 32)] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_set_that_could_not_be_finished_leaves_nothing(tmp_path: Path) -> None:
    def stop(step: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(tmp_path / "set", {"val": 2}, TINY, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write the sample scenes") as refused:
        write_sample(tmp_path / "file" / "set", {"val": 1}, TINY)
    assert refused.value.where == str(tmp_path / "file" / "set")


def test_train_and_val_share_no_scene_and_leave_the_training_seeds_alone() -> None:
    seeds = seeds_of(SAMPLE_SPLITS)
    assert not set(seeds["train"]) & set(seeds["val"])
    assert max(max(split) for split in seeds.values()) < 500_000 < sample.TRAINING_SEEDS_FROM


def test_splits_that_would_share_scenes_are_refused() -> None:
    with pytest.raises(DataError, match="would share the scenes 1000 to 1001") as refused:
        seeds_of({"train": 5, "val": 1002})
    assert "first seed" in (refused.value.hint or "")


def test_an_unknown_split_needs_a_first_seed() -> None:
    with pytest.raises(DataError, match="no split 'extra'"):
        seeds_of({"extra": 1})
    assert seeds_of({"extra": 1}, first_seed=9) == {"extra": range(9, 10)}


def test_the_cache_folder_is_the_one_of_the_platform() -> None:
    home = Path.home()
    assert cache_folder("linux", {}) == home / ".cache" / "segformer"
    assert cache_folder("linux", {"XDG_CACHE_HOME": "/x"}) == Path("/x/segformer")
    assert cache_folder("darwin", {"XDG_CACHE_HOME": "/x"}) == home / "Library" / "Caches" / "segformer"
    assert cache_folder("win32", {"LOCALAPPDATA": "/local"}) == Path("/local/segformer")
    assert cache_folder("win32", {"SEGFORMER_CACHE_DIR": "/mine"}) == Path("/mine/segformer")


def test_the_cached_set_equals_the_one_in_the_repository(cache: Path) -> None:
    assert sample_root() == cache
    drawn, kept = pictures(cache), pictures(REPOSITORY / "sample_data")
    assert list(drawn) == list(kept) and len(drawn) == 2 * sum(SAMPLE_SPLITS.values())
    for name, picture in drawn.items():
        np.testing.assert_array_equal(picture, kept[name], err_msg=name)


def test_the_cached_set_is_drawn_once_and_repaired_when_a_file_is_gone(cache: Path) -> None:
    label = next(iter(sorted(sample_root().rglob("*_labelIds.png"))))
    stamp = label.stat().st_mtime_ns
    assert sample_root() == cache and label.stat().st_mtime_ns == stamp
    kept = label.read_bytes()
    label.write_bytes(b"")
    assert sample_root() == cache and label.read_bytes() == kept


def test_two_processes_that_draw_the_cache_at_once_both_succeed(cache: Path) -> None:
    code = "from segformer_cli.data.sample import sample_root; print(sample_root())"
    command = [sys.executable, "-c", code]
    racers = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
        for _ in range(2)
    ]
    answers = [racer.communicate(timeout=120) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0], answers
    assert {out.strip() for out, _ in answers} == {str(cache)}
    assert [path.name for path in cache.parent.iterdir()] == ["sample-v1"]
    assert sample.is_whole(cache)


def test_a_cache_that_cannot_be_written_names_the_variable_that_moves_it(cache: Path) -> None:
    cache.parents[1].write_text("a file where a folder is wanted")
    with pytest.raises(DataError, match="cannot write") as refused:
        sample_root()
    assert "SEGFORMER_CACHE_DIR" in (refused.value.hint or "")
