"""Lists of image and mask, one pair a line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError, UsageError
from tests.data.own_data import put_ids, put_picture, put_tree, targets


def put_files(root: Path, count: int = 3) -> Path:
    """img/0.jpg ... with gt/0_x.png ..., in no layout that is known."""
    for at in range(count):
        put_picture(root / "img" / f"{at}.jpg", 2)
        put_ids(root / "gt_of_mine" / f"{at}_x.png", [0, at])
    return root


def put_list(file: Path, *numbers: int, separator: str = " ", header: str = "", prefix: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{prefix}img/{at}.jpg{separator}{prefix}gt_of_mine/{at}_x.png" for at in numbers]
    file.write_text("\n".join([*([header] if header else []), *lines, ""]))
    return file


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", ", "  ", ";"])
@pytest.mark.parametrize("header", ["", "# made by hand", "image mask", "image_path,label_path"])
def test_blanks_commas_and_tabs_divide_a_line_and_a_header_is_passed_over(
    tmp_path: Path, separator: str, header: str
) -> None:
    file = put_list(put_files(tmp_path) / "mine.csv", 2, 0, separator=separator, header=header)
    assert layout_name(str(file)) == "list"
    assert targets(open_data(str(file), "all")) == {"img/2": [0, 2], "img/0": [0, 0]}


def test_names_with_blanks_stand_between_tabs(tmp_path: Path) -> None:
    put_picture(tmp_path / "my images" / "a b.jpg", 2)
    put_ids(tmp_path / "my masks" / "a b.png", [0, 1])
    (tmp_path / "mine.lst").write_text("my images/a b.jpg\tmy masks/a b.png\n")
    assert targets(open_data(str(tmp_path / "mine.lst"), "all")) == {"my images/a b": [0, 1]}
    (tmp_path / "mine.lst").write_text("a.jpg a.png\nmy images/a b.jpg my masks/a b.png\n")
    with pytest.raises(DataError, match=r"line 2 of mine\.lst has 6 parts") as caught:
        open_data(str(tmp_path / "mine.lst"), "all")
    assert "put a tab or a comma" in str(caught.value.hint)


@pytest.mark.parametrize(("train", "val"), [("train.txt", "val.txt"), ("train_list.txt", "validation_list.txt"),
                                            ("my-train.lst", "my-val.lst")])
def test_the_list_beside_it_is_the_other_split(tmp_path: Path, train: str, val: str) -> None:
    put_list(put_files(tmp_path) / train, 0, 1)
    put_list(tmp_path / val, 2)
    for data in (str(tmp_path / train), str(tmp_path / val), str(tmp_path)):
        assert layout_name(data) == "list"
        assert [len(open_data(data, split)) for split in ("train", "val")] == [2, 1]
        with pytest.raises(DataError, match="has no split 'test'"):
            open_data(data, "test")
    assert len(open_data(str(tmp_path / val), "val").class_names) == 3   # the classes are those of both lists


def test_a_list_of_another_name_is_divided_by_a_hash(tmp_path: Path) -> None:
    file = put_list(put_files(tmp_path, 10) / "pairs.txt", *range(10))
    splits = {name: open_data(str(file), name) for name in ("train", "val", "all")}
    assert len(splits["train"]) + len(splits["val"]) == len(splits["all"]) == 10
    assert "chosen by a hash" in str(splits["val"].note)


@pytest.mark.parametrize("place", ["lists/train.txt", "lists/deep/train.txt"])
def test_names_may_begin_above_the_list_and_with_a_slash_that_means_nothing(tmp_path: Path, place: str) -> None:
    put_files(tmp_path)
    assert len(open_data(str(put_list(tmp_path / place, 0, 1)), "train")) == 2
    assert len(open_data(str(put_list(tmp_path / place, 0, 1, prefix="/")), "train")) == 2


def test_whole_paths_are_taken_as_they_are(tmp_path: Path) -> None:
    put_files(tmp_path / "data")
    file = put_list(tmp_path / "elsewhere" / "deep" / "below" / "train.txt", 1, prefix=f"{tmp_path}/data/")
    assert list(targets(open_data(str(file), "train")).values()) == [[0, 1]]


def test_classes_are_named_beside_the_list_or_where_its_names_begin(tmp_path: Path) -> None:
    file = put_list(put_files(tmp_path) / "lists" / "train.txt", 0, 1, 2)
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert open_data(str(file), "train").class_names == ("a", "b", "c")
    (tmp_path / "lists" / "labels.txt").write_text("x\ny\nz\n")
    assert open_data(str(file), "train").class_names == ("x", "y", "z")


def test_files_that_are_not_there_are_counted_and_the_first_named_with_its_line(tmp_path: Path) -> None:
    file = put_list(put_files(tmp_path) / "train.txt", 0, 7, 8)
    with pytest.raises(DataError, match=r"4 files that train\.txt names are not there") as caught:
        open_data(str(file), "train")
    assert caught.value.message.endswith("(first: line 2, img/7.jpg)")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no images"),
        ("image mask\n", "names no images"),
        ("my img/0.jpg gt_of_mine/0_x.png\n", "line 1 of train.txt has 3 parts, a line is `image mask`"),
        ("img/0.jpg gt_of_mine/0_x.png\nimg/1.jpg\n", "line 2 of train.txt has 1 parts, the others have 2"),
        ("img/0.jpg gt_of_mine/0_x.png 3\n", "line 1 of train.txt has 3 parts, a line is `image mask`"),
        ("img/0.jpg,\n", "line 1 of train.txt has 2 parts"),
        ("img/0.jpg gt_of_mine/0_x.png\n" * 2, "train.txt names img/0.jpg in line 1 and in line 2"),
    ],
)
def test_a_line_that_is_no_pair_is_told(tmp_path: Path, text: str, words: str) -> None:
    (put_files(tmp_path) / "train.txt").write_text(text)
    with pytest.raises(DataError, match=re.escape(words)):
        open_data(str(tmp_path / "train.txt"), "train")


def test_a_list_is_bent_by_ids_but_not_by_suffixes(tmp_path: Path) -> None:
    file = put_list(put_files(tmp_path) / "train.txt", 0, 1, 2)
    assert targets(open_data(str(file), "train", Bending(map=("2=1",))))["img/2"] == [0, 1]
    with pytest.raises(UsageError, match="a list names its files"):
        open_data(str(file), "train", Bending(mask_suffix="_x.png"))


def test_two_lists_of_one_split_in_a_folder_are_refused(tmp_path: Path) -> None:
    for name in ("train.txt", "train_fine.txt"):
        (tmp_path / name).write_text("images/a.png masks/a.png\n")
    with pytest.raises(DataError, match=r"train\.txt and train_fine\.txt are both of train") as caught:
        open_data(str(tmp_path), "train")
    assert "-d FOLDER/train.txt" in str(caught.value.hint)


def test_whole_paths_are_looked_for_folder_by_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: asked.append(path) or is_file(path))
    counts = []
    for pairs in (2, 12):
        root = put_tree(tmp_path / str(pairs), *[[0, 1]] * pairs)
        lines = (f"{root}/images/p{at}.png {root}/masks/p{at}.png\n" for at in range(pairs))
        (root / "train.txt").write_text("".join(lines))
        asked.clear()
        assert len(open_data(str(root / "train.txt"), "train")) == pairs
        counts.append(len(asked))
    assert counts[0] == counts[1]
