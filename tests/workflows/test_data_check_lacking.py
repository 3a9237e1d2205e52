"""Data with files that lack, and splits that overlap: the rest is checked all the same, and a fix written of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from segformer_cli.config import CheckConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.errors import SegFormerError
from segformer_cli.images import read_mask
from segformer_cli.progress import Progress
from segformer_cli.workflows.data_check import check_data
from tests.faulty_data import ids, put, scene, sound
from tests.workflows.test_data_check import check, cut, image, mask, only


def test_a_missing_mask_does_not_keep_the_other_pairs_from_being_checked(tmp_path: Path) -> None:
    root = sound(tmp_path / "data")
    mask(root, "t0.png").unlink()
    cut(image(root, "t1.png"))
    put(mask(root, "t2.png"), ids(0, 1, 204))
    found = check(root, fix=str(tmp_path / "good.yaml"))
    assert {each.kind: each.first for each in found.problems} == {
        "missing": str(mask(root, "t0.png")), "damaged": str(image(root, "t1.png")),
        "unknown_id": str(mask(root, "t2.png")),
    }
    assert found.images == 6
    assert [len(looks.split) for looks in check(tmp_path / "good.yaml").looks] == [1, 3]


@pytest.mark.parametrize("gone", ["p1.png", "m1.png"])
def test_a_file_that_a_list_names_and_is_not_there_is_one_finding(tmp_path: Path, gone: str) -> None:
    lines = []
    for at in range(3):
        put(tmp_path / f"p{at}.png", scene(at))
        put(tmp_path / f"m{at}.png", ids(0, 1))
        lines.append(f"p{at}.png m{at}.png\n")
    (tmp_path / "train.txt").write_text("".join(lines))
    (tmp_path / gone).unlink()
    found = check(tmp_path / "train.txt", split="train")
    assert (only(found).kind, only(found).first, found.images) == ("missing", str(tmp_path / gone), 3)


def test_voc_is_checked_with_what_its_lists_name_in_vain(tmp_path: Path) -> None:
    root, (first, second, *_) = put_voc(tmp_path, 4)
    (root / "SegmentationClass" / f"{first}.png").unlink()
    (root / "JPEGImages" / f"{second}.jpg").unlink()
    found = check(tmp_path, split="train")
    assert [(each.kind, each.first) for each in found.problems if each.kind == "missing"] == [
        ("missing", "train"), ("missing", str(root / "SegmentationClass" / f"{first}.png")),
    ]
    assert found.images == 2


def put_voc(root: Path, count: int) -> tuple[Path, list[str]]:
    """VOC with lists of all splits: val is the last picture, trainval all, and so is trainaug but for val."""
    home = root / "VOCdevkit" / "VOC2012"
    stems = [f"2007_{at:06}" for at in range(count)]
    for at, stem in enumerate(stems):
        put(home / "JPEGImages" / f"{stem}.jpg", scene(at))
        put(home / "SegmentationClass" / f"{stem}.png", ids(0, *range(20), 255))
    lists = home / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, of in {"train": stems[:-1], "val": stems[-1:], "trainval": stems, "trainaug": stems[:-1]}.items():
        (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in of))
    return home, stems


def test_lists_of_voc_that_overlap_by_design_are_no_leak(tmp_path: Path) -> None:
    put_voc(tmp_path, 3)
    found = check(tmp_path, fix=str(tmp_path / "good.yaml"), split="train")
    assert [each.kind for each in check(tmp_path).problems if "leak" in each.kind] == []
    assert found.written                                    # its masks are PNG, which a list and a .yaml can name


def test_val_of_coco_stuff_10k_is_its_test_and_no_leak(tmp_path: Path) -> None:
    for at, split in enumerate(("train", "test")):
        put(tmp_path / f"images/{split}2014/COCO_train2014_{at:012}.jpg", scene(at))
        put(tmp_path / f"annotations/{split}2014/COCO_train2014_{at:012}_labelTrainIds.png", ids(0, 1))
    found = check(tmp_path)
    assert [looks.split.name for looks in found.looks] == ["train", "val", "test"]
    assert [each.kind for each in found.problems if "leak" in each.kind] == []


def test_where_no_fix_can_be_written_it_is_said_why_with_what_was_found(tmp_path: Path) -> None:
    root = sound(tmp_path / "data")
    for name in ("v0.png", "v1.png", "v2.png"):
        cut(image(root, name))
    found = check(root, fix=str(tmp_path / "good.yaml"))
    assert only(found).kind == "damaged"
    assert (found.written, found.not_written) == ((), "no pair of val is without fault, nothing can be written")
    (root / "classes.txt").write_text("road\nroad\n")
    found = check(root, fix=str(tmp_path / "good.yaml"))
    assert found.not_written == "no split could be opened, nothing can be written"


def test_a_fix_that_cannot_be_written_is_refused_before_any_pair_is_looked_at(tmp_path: Path) -> None:
    root = sound(tmp_path / "data")

    def refuse_to_look(done: Progress) -> None:
        raise AssertionError(done)

    (tmp_path / "good-val.txt").write_text("")
    for fix, words in (("both.txt", "a list is of one split"), ("good.yaml", r"good-val\.txt exists already")):
        with pytest.raises(SegFormerError, match=words):
            check_data(CheckConfig(data=str(root), fix=str(tmp_path / fix)), refuse_to_look)


def test_masks_without_named_classes_are_decoded_once_for_all_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sound(tmp_path) / "classes.txt").unlink()
    decoded: Counter[str] = Counter()
    monkeypatch.setattr(
        "segformer_cli.data.own_masks.read_mask", lambda place: decoded.update([place.name]) or read_mask(place)
    )
    for split in ("train", "val"):
        assert len(open_data(str(tmp_path), split).class_names) == 3
    assert set(decoded.values()) == {1} and len(decoded) == 6
    put(mask(tmp_path, "v0.png"), ids(0, 1, 2, 3))
    assert len(open_data(str(tmp_path), "train").class_names) == 4
