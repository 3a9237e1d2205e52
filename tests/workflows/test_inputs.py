"""The pictures that people name."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.errors import DataError, ImageError
from segformer_cli.images import read_image
from segformer_cli.workflows.inputs import find_pictures


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5, 3), 90, np.uint8)).save(path)
    return path


def named(*inputs: object) -> list[tuple[str, str]]:
    return [(place.name, relative.as_posix()) for place, relative in find_pictures([str(each) for each in inputs])]


def test_a_list_names_pictures_from_its_folder_or_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "lists/day/a.png")
    picture(tmp_path / "here/b.png")
    (tmp_path / "lists/some.txt").write_text("# two of them\nday/a.png\n\nb.png  # from here\n")
    monkeypatch.chdir(tmp_path / "here")
    assert named("../lists/some.txt") == [("a.png", "day/a.png"), ("b.png", "b.png")]
    monkeypatch.setattr(sys, "stdin", io.StringIO("b.png\n../lists/day/a.png\n"))
    assert named("-") == [("b.png", "b.png"), ("a.png", "a.png")]


@pytest.mark.parametrize(
    ("text", "said"), [("absent.png\n", "there is no picture absent.png"), ("\n# \n", "names no picture")]
)
def test_a_list_that_names_nothing_is_one_error(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "some.txt").write_text(text)
    with pytest.raises(ImageError) as caught:
        find_pictures([str(tmp_path / "some.txt")])
    assert said in str(caught.value)


def test_archives_and_what_lies_in_them_are_inputs(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scenes.zip", "w") as archive:
        for name in ("day/a.png", "night/b.png"):
            archive.write(picture(tmp_path / name), name)
        archive.writestr("day/notes.txt", "")
    whole = find_pictures([str(tmp_path / "scenes.zip")])
    assert [relative.as_posix() for _, relative in whole] == ["day/a.png", "night/b.png"]
    assert (read_image(whole[0][0]) == 90).all()
    assert named(tmp_path / "scenes.zip/night") == [("b.png", "b.png")]
    assert named(tmp_path / "scenes.zip/night/b.png", tmp_path / "scenes.zip") == [
        ("b.png", "b.png"), ("a.png", "day/a.png"),
    ]
    with pytest.raises(ImageError, match="there is no picture"):
        find_pictures([str(tmp_path / "scenes.zip/absent.png")])
    (tmp_path / "bad.zip").write_bytes(b"PK no more")
    with pytest.raises(DataError, match="is no archive that can be read"):
        find_pictures([str(tmp_path / "bad.zip")])


def test_arrays_alone_are_pictures_and_beside_pictures_are_not(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6)))
    assert named(tmp_path) == [("a.npy", "a.npy")]
    picture(tmp_path / "b.png")
    picture(tmp_path / ".hidden.png")
    assert named(tmp_path) == [("b.png", "b.png")]
