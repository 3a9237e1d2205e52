from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segformer_cli.config import CheckConfig
from segformer_cli.data import promised
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.problems import KINDS, Problem
from segformer_cli.errors import ConfigError, DataError, ImageError, UsageError
from segformer_cli.workflows.data_check import DataCheck, check_data
from tests.faulty_data import ids, put, scene, sound


def check(root: Path, **keys: object) -> DataCheck:
    return check_data(CheckConfig(data=str(root), workers=2, **keys))  # type: ignore[arg-type]


def only(found: DataCheck) -> Problem:
    """The one problem that was found."""
    (problem,) = found.problems
    return problem


def image(root: Path, name: str = "t1.png") -> Path:
    return root / "images" / {"t": "train", "v": "val"}[name[0]] / name


def mask(root: Path, name: str = "t1.png") -> Path:
    return root / "masks" / {"t": "train", "v": "val"}[name[0]] / name


def cut(path: Path) -> None:
    """The file, now without its second half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_nothing_is_wrong_with_sound_data(tmp_path: Path) -> None:
    found = check(sound(tmp_path))
    assert found.problems == ()
    assert (found.images, found.class_names, found.errors, found.layout) == (6, ("road", "sky", "car"), 0, "folder")


def empty_picture(root: Path) -> None:
    image(root).write_bytes(b"")


def empty_mask(root: Path) -> None:
    mask(root).write_bytes(b"")


def truncated_png(root: Path) -> None:
    cut(image(root))


def truncated_mask(root: Path) -> None:
    cut(mask(root))


def truncated_jpeg(root: Path) -> None:
    image(root).unlink()
    cut(put(image(root, "t1.jpg"), scene(1), quality=95))


def no_picture_at_all(root: Path) -> None:
    image(root).write_text("hello")


def link_to_itself(root: Path) -> None:
    image(root).unlink()
    image(root).symlink_to(image(root))


def link_to_nothing(root: Path) -> None:
    image(root).unlink()
    image(root).symlink_to(root / "gone.png")


def mask_of_another_size(root: Path) -> None:
    put(mask(root), ids(0, 1, 2, size_hw=(18, 24)))


def mask_turned(root: Path) -> None:
    put(mask(root), ids(0, 1, 2, size_hw=(48, 36)))


def mask_in_colours(root: Path) -> None:
    put(mask(root), np.array([(128, 64, 128), (70, 130, 180), (0, 0, 142)], np.uint8)[ids(0, 1, 2)])


def jpeg_called_png(root: Path) -> None:
    put(mask(root), ids(0, 1, 2), format="JPEG")


def jpeg_in_colours(root: Path) -> None:
    put(mask(root), scene(7), format="JPEG")


def strange_id(root: Path) -> None:
    put(mask(root), ids(0, 1, 204))
    put(mask(root, "t2.png"), ids(0, 1, 204))


def ids_of_instances(root: Path) -> None:
    put(mask(root), ids(0, 1, 2).astype(np.uint16) * 1000)


def nothing_labelled(root: Path) -> None:
    put(mask(root), ids(255))


def one_class(root: Path) -> None:
    put(mask(root), ids(1))


def nothing_labelled_in_val(root: Path) -> None:
    for name in ("v0.png", "v1.png", "v2.png"):
        put(mask(root, name), ids(255))


def class_never_in_val(root: Path) -> None:
    for name in ("v0.png", "v1.png", "v2.png"):
        put(mask(root, name), ids(0, 1))


def copy_in_train(root: Path) -> None:
    image(root, "t2.png").write_bytes(image(root).read_bytes())


def copy_in_val(root: Path) -> None:
    image(root, "v1.png").write_bytes(image(root).read_bytes())


def brighter_copy_in_train(root: Path) -> None:
    put(image(root, "t2.png"), np.asarray(cv2.add(scene(1), 3), np.uint8))


def darker_copy_in_val(root: Path) -> None:
    put(image(root, "v1.png"), (scene(1) * 0.8).astype(np.uint8))


def gif_beside(root: Path) -> None:
    put(root / "images" / "train" / "t3.gif", scene(3))


def folder_named_like_a_picture(root: Path) -> None:
    (root / "images" / "train" / "t3.png").mkdir()


def mask_without_picture(root: Path) -> None:
    put(root / "masks" / "train" / "t3.png", ids(0, 1, 2))


def exif_of_a_picture(root: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    image(root).unlink()
    put(image(root, "t1.jpg"), scene(1), quality=95, exif=exif)


def turned_by_exif(root: Path) -> None:
    exif_of_a_picture(root, 6)


def upside_down_by_exif(root: Path) -> None:
    exif_of_a_picture(root, 3)


def pages_of_16_bits(root: Path) -> None:
    image(root).unlink()
    bands = [Image.fromarray(scene(band)[..., 0].astype(np.uint16) * 200) for band in range(6)]
    bands[0].save(image(root, "t1.tif"), save_all=True, append_images=bands[1:])


def png_of_16_bits(root: Path) -> None:
    cv2.imwrite(str(image(root)), scene(1).astype(np.uint16) * 200)


@pytest.mark.parametrize(
    ("spoil", "kind", "count", "first"),
    [
        (empty_picture, "empty", 1, "images/train/t1.png"),
        (empty_mask, "empty", 1, "masks/train/t1.png"),
        (truncated_png, "damaged", 1, "images/train/t1.png"),
        (truncated_mask, "damaged", 1, "masks/train/t1.png"),
        (truncated_jpeg, "damaged", 1, "images/train/t1.jpg"),
        (no_picture_at_all, "damaged", 1, "images/train/t1.png"),
        (link_to_itself, "damaged", 1, "images/train/t1.png"),
        (link_to_nothing, "missing", 1, "images/train/t1.png"),
        (mask_of_another_size, "size", 1, "images/train/t1.png"),
        (mask_turned, "size", 1, "images/train/t1.png"),
        (mask_in_colours, "colours", 1, "masks/train/t1.png"),
        (jpeg_called_png, "jpeg_mask", 1, "masks/train/t1.png"),
        (jpeg_in_colours, "jpeg_mask", 1, "masks/train/t1.png"),
        (strange_id, "unknown_id", 2, "masks/train/t1.png"),
        (ids_of_instances, "wide_ids", 1, "masks/train/t1.png"),
        (nothing_labelled, "all_ignored", 1, "masks/train/t1.png"),
        (one_class, "one_class", 1, "masks/train/t1.png"),
        (nothing_labelled_in_val, "all_ignored_split", 1, "val"),
        (class_never_in_val, "absent_class", 1, "val: car"),
        (copy_in_train, "duplicate", 1, "images/train/t2.png"),
        (copy_in_val, "leak", 1, "images/val/v1.png"),
        (brighter_copy_in_train, "near_duplicate", 1, "images/train/t2.png"),
        (darker_copy_in_val, "near_leak", 1, "images/val/v1.png"),
        (gif_beside, "passed_over", 1, "images/train/t3.gif"),
        (folder_named_like_a_picture, "passed_over", 1, "images/train/t3.png"),
        (mask_without_picture, "mask_alone", 1, "masks/train/t3.png"),
        (turned_by_exif, "exif", 1, "images/train/t1.jpg"),
        (upside_down_by_exif, "exif", 1, "images/train/t1.jpg"),
        (pages_of_16_bits, "bands", 1, "images/train/t1.tif"),
        (png_of_16_bits, "bands", 1, "images/train/t1.png"),
    ],
)
def test_each_fault_is_one_finding_with_its_first_file_and_a_way_out(
    tmp_path: Path, spoil: Callable[[Path], None], kind: str, count: int, first: str
) -> None:
    spoil(sound(tmp_path))
    problem = only(check(tmp_path))
    assert (problem.kind, problem.count, problem.severity) == (kind, count, KINDS[kind].severity)
    assert problem.first == (str(tmp_path / first) if "/" in first else first)
    assert problem.hint


def test_all_faults_are_found_in_one_pass_errors_first(tmp_path: Path) -> None:
    sound(tmp_path)
    for spoil in (mask_of_another_size, gif_beside, copy_in_val, strange_id):
        spoil(tmp_path)
    empty_mask(tmp_path)
    found = check(tmp_path)
    assert [each.kind for each in found.problems] == ["empty", "unknown_id", "leak", "passed_over"]
    assert found.errors == 3


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_named(tmp_path: Path) -> None:
    image(sound(tmp_path)).chmod(0)
    assert only(check(tmp_path)).kind == "no_access"


def test_a_folder_that_a_published_layout_takes_for_a_picture_is_an_error(tmp_path: Path) -> None:
    for at in range(2):
        put(tmp_path / f"leftImg8bit/val/a/a_{at}_leftImg8bit.png", scene(at))
        put(tmp_path / f"gtFine/val/a/a_{at}_gtFine_labelIds.png", ids(*range(7, 34)))
    (tmp_path / "leftImg8bit/val/a/a_2_leftImg8bit.png").mkdir()
    put(tmp_path / "gtFine/val/a/a_2_gtFine_labelIds.png", ids(*range(7, 34)))
    kinds = {each.kind: each for each in check(tmp_path).problems}
    assert kinds["folder"].first.endswith("a_2_leftImg8bit.png")
    assert "val has 3, published are 500" in kinds["counts"].detail


def test_the_numbers_of_a_split_that_is_whole_are_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(2):
        put(tmp_path / f"leftImg8bit/val/a/a_{at}_leftImg8bit.png", scene(at))
        put(tmp_path / f"gtFine/val/a/a_{at}_gtFine_labelIds.png", ids(*range(7, 34)))
    assert [each.kind for each in check(tmp_path).problems] == ["absent_class", "counts"]
    monkeypatch.setitem(promised.PROMISED["cityscapes"], "val", (2,))  # type: ignore[arg-type]
    assert [each.kind for each in check(tmp_path).problems] == ["absent_class"]


def test_ids_that_mean_nothing_are_all_counted_and_met_with_the_option_that_bends_them(tmp_path: Path) -> None:
    strange_id(sound(tmp_path))
    put(mask(tmp_path, "t0.png"), ids(0, 1, 2, 77))
    problem = only(check(tmp_path))
    assert problem.count == 3 and len(problem.files) == 3
    assert "204 in 2 masks (1152 pixels), 77 in 1 mask (432 pixels)" in problem.detail
    assert problem.hint.startswith("--map 204=ignore --map 77=ignore passes over them")
    assert check(tmp_path, map=("204=ignore", "77=car")).problems == ()


def test_colours_that_stand_for_no_class_are_told_of_masks_in_colours(tmp_path: Path) -> None:
    colours = np.array([(128, 64, 128), (70, 130, 180), (0, 0, 142), (1, 2, 3)], np.uint8)
    for path in (sound(tmp_path) / "masks").rglob("*.png"):
        put(path, colours[ids(0, 1, 2)])
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "classes.csv").write_text("name,r,g,b\nroad,128,64,128\nsky,70,130,180\ncar,0,0,142\n")
    assert check(tmp_path).problems == ()
    put(mask(tmp_path), colours[ids(0, 1, 3)])
    problem = only(check(tmp_path, fix=str(tmp_path / "good.yaml")))
    assert problem.kind == "unknown_colour" and "(1, 2, 3)" in problem.detail
    assert check(tmp_path / "good.yaml").problems == ()


def test_polygons_may_be_absent_or_empty_where_there_is_no_object(tmp_path: Path) -> None:
    for at, text in enumerate(("0 0.1 0.1 0.9 0.1 0.5 0.9\n", "1 0.1 0.1 0.9 0.1 0.5 0.9\n", "", None)):
        put(tmp_path / f"images/train/p{at}.jpg", scene(at))
        if text is not None:
            (tmp_path / "labels/train").mkdir(parents=True, exist_ok=True)
            (tmp_path / f"labels/train/p{at}.txt").write_text(text)
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [car, door]\n")
    found = check(tmp_path)
    assert [(each.kind, each.count) for each in found.problems] == [("one_class", 2)]
    assert found.looks[0].kinds == {"polygons": 4}


def test_masks_that_count_from_1_are_met_with_reduce_zero(tmp_path: Path) -> None:
    sound(tmp_path)
    for path in (tmp_path / "masks").rglob("*.png"):
        put(path, ids(1, 2, 3))
    found = {each.kind: each for each in check(tmp_path).problems}
    assert "--reduce-zero" in found["unknown_id"].hint
    assert check(tmp_path, reduce_zero=True).problems == ()


def test_another_ending_of_masks_is_proposed_and_the_check_goes_on_with_it(tmp_path: Path) -> None:
    strange_id(sound(tmp_path))
    for path in sorted((tmp_path / "masks").rglob("*.png")):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    found = check(tmp_path)
    assert [each.kind for each in found.problems] == ["pairing", "pairing", "unknown_id"]
    assert found.problems[0].hint.startswith("add --mask-suffix _mask.png")
    assert found.images == 6


def test_a_split_that_cannot_be_opened_does_not_keep_the_others_from_being_checked(tmp_path: Path) -> None:
    strange_id(sound(tmp_path))
    for name in ("v0.png", "v1.png", "v2.png"):
        mask(tmp_path, name).unlink()
    found = check(tmp_path, fix=str(tmp_path / "good.yaml"))
    assert [each.kind for each in found.problems] == ["split", "unknown_id"]
    assert found.problems[0].first == "val" and "no mask found for 3 of 3 images" in found.problems[0].detail
    assert found.images == 3 and len(found.written) == 2


def test_classes_are_not_said_to_lack_where_no_mask_could_be_read(tmp_path: Path) -> None:
    sound(tmp_path)
    for name in ("v0.png", "v1.png", "v2.png"):
        cut(mask(tmp_path, name))
    assert only(check(tmp_path)).kind == "damaged"


def test_damaged_masks_do_not_keep_the_classes_from_being_found_in_the_others(tmp_path: Path) -> None:
    (sound(tmp_path) / "classes.txt").unlink()          # so that all masks are read for their ids
    cut(mask(tmp_path, "t0.png"))
    mask(tmp_path, "v2.png").write_bytes(b"")
    found = check(tmp_path)
    assert [(each.kind, each.count) for each in found.problems] == [("empty", 1), ("damaged", 1)]
    assert (found.images, len(found.class_names)) == (6, 3)
    with pytest.raises(ImageError):
        open_data(str(tmp_path), "train")


def test_where_no_split_can_be_opened_damaged_files_are_told_all_the_same(tmp_path: Path) -> None:
    (sound(tmp_path) / "classes.txt").write_text("road\nroad\n")
    cut(mask(tmp_path))
    mask(tmp_path, "v2.png").write_bytes(b"")
    found = check(tmp_path)
    assert [(each.kind, each.count) for each in found.problems] == [("split", 2), ("empty", 1), ("damaged", 1)]
    assert found.images == 0


def test_a_picture_of_100_million_pixels_is_told_by_its_header(tmp_path: Path) -> None:
    sound(tmp_path)
    Image.new("1", (12_500, 8_000)).save(image(tmp_path))
    Image.new("P", (12_500, 8_000)).save(mask(tmp_path))
    kinds = [each.kind for each in check(tmp_path, masks_only=True).problems]
    assert kinds == ["one_class", "huge"]


def test_masks_only_finds_other_sizes_and_no_damage_of_pictures(tmp_path: Path) -> None:
    mask_of_another_size(sound(tmp_path))
    path = image(tmp_path, "t2.png")
    path.write_bytes(path.read_bytes()[:-40])
    copy_in_val(tmp_path)
    assert [each.kind for each in check(tmp_path, masks_only=True).problems] == ["size"]
    assert [each.kind for each in check(tmp_path).problems] == ["damaged", "size", "leak"]


def test_a_test_split_whose_labels_are_kept_back_is_unlabelled(tmp_path: Path) -> None:
    sound(tmp_path)
    for at in range(2):
        put(tmp_path / "images" / "test" / f"x{at}.png", scene(50 + at))
        put(tmp_path / "masks" / "test" / f"x{at}.png", ids(255))
    problem = only(check(tmp_path))
    assert (problem.kind, problem.first) == ("unlabelled", "test")


def test_data_that_is_not_divided_is_checked_as_train_and_val(tmp_path: Path) -> None:
    for at in range(10):
        put(tmp_path / "images" / f"p{at}.png", scene(at // 9))     # nine of ten are the same picture
        put(tmp_path / "masks" / f"p{at}.png", ids(0, 1, 2))
    found = check(tmp_path)
    assert {each.kind for each in found.problems} == {"duplicate", "leak"}
    assert [looks.split.name for looks in found.looks] == ["train", "val"]


def test_one_split_alone_is_checked_where_it_is_named(tmp_path: Path) -> None:
    strange_id(sound(tmp_path))
    assert check(tmp_path, split="val").problems == ()


def test_a_zip_is_checked_in_place(tmp_path: Path) -> None:
    strange_id(sound(tmp_path / "data"))
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "data")
    problem = only(check(Path(archive)))
    assert problem.kind == "unknown_id" and problem.first.endswith("packed.zip/masks/train/t1.png")


def test_a_zip_that_names_files_outside_of_itself_is_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as file:
        file.writestr("../images/a.png", b"x")
    with pytest.raises(DataError, match="names a file outside of itself"):
        check(tmp_path / "bad.zip")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        check(tmp_path / "nowhere")


def test_the_json_has_the_ids_of_the_masks_and_how_they_are_stored(tmp_path: Path) -> None:
    sound(tmp_path)
    Image.fromarray(ids(0, 1, 2)).convert("P").save(mask(tmp_path))
    put(mask(tmp_path, "t2.png"), ids(0, 1, 204))
    results = check(tmp_path).to_json()
    assert results["images"] == 6
    assert [each["name"] for each in results["classes"]] == ["road", "sky", "car"]  # type: ignore[attr-defined]
    (train, _) = results["splits"]  # type: ignore[misc]
    assert train["mask_kinds"] == {"grey": 2, "palette": 1}
    assert train["ids"][-1] == {"id": 204, "pixels": 576, "masks": 1, "class": None}
    assert {"kind", "severity", "count", "first", "hint"} <= set(results["problems"][0])  # type: ignore[index]


def test_a_mapping_is_written_that_reads_what_is_well_and_nothing_is_touched(tmp_path: Path) -> None:
    sound(tmp_path / "data")
    strange_id(tmp_path / "data")
    empty_picture(tmp_path / "data")
    copy_in = tmp_path / "data" / "images" / "val" / "v1.png"
    copy_in.write_bytes(image(tmp_path / "data", "t0.png").read_bytes())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")}
    fixed = tmp_path / "good set.yaml"
    found = check(tmp_path / "data", fix=str(fixed))
    assert found.errors == 3 and found.written[0] == str(fixed)
    again = check(fixed)
    assert again.errors == 0
    assert [len(each.split) for each in again.looks] == [1, 3]      # t2 with 204 ignored; t1 is empty, t0 lies in val
    assert again.looks[0].split.ids[204] == 255
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*")} == before


def test_a_list_is_written_of_one_split(tmp_path: Path) -> None:
    strange_id(sound(tmp_path / "data"))
    fixed = tmp_path / "train.txt"
    check(tmp_path / "data", split="train", fix=str(fixed))
    (line,) = fixed.read_text().splitlines()
    assert line == f"{image(tmp_path / 'data', 't0.png')}\t{mask(tmp_path / 'data', 't0.png')}"
    with pytest.raises(UsageError, match="a list is of one split"):
        check(tmp_path / "data", fix=str(tmp_path / "both.txt"))


def test_a_mapping_keeps_classes_whose_ids_are_bent(tmp_path: Path) -> None:
    for split, at in (("train", 0), ("val", 1)):
        put(tmp_path / f"data/leftImg8bit/{split}/a/a_{at}_leftImg8bit.png", scene(at))
        put(tmp_path / f"data/gtFine/{split}/a/a_{at}_gtFine_labelIds.png", ids(7, 8, 33, 0))
    before = check(tmp_path / "data", fix=str(tmp_path / "city.yaml")).looks[0].split
    after = check(tmp_path / "city.yaml").looks[0].split
    assert after.class_names == before.class_names
    assert (after.read_target(after.pairs[0]) == before.read_target(before.pairs[0])).all()


def test_a_file_that_exists_or_is_no_mapping_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "there.yaml").write_text("x: 1")
    with pytest.raises(Exception, match="exists already"):
        check(tmp_path / "nowhere", fix=str(tmp_path / "there.yaml"))
    with pytest.raises(UsageError, match="and no list"):
        check(tmp_path / "nowhere", fix=str(tmp_path / "fix.json"))


def test_numbers_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="alike"):
        check_data(replace(CheckConfig(), alike=40))


def test_the_page_on_data_names_every_kind_of_finding() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(KINDS) <= {name for row in rows for name in re.findall(r"`(\w+)`", row)}
