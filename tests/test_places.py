"""Folders and archives, read alike."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from segformer_cli.errors import DataError
from segformer_cli.places import ArchivePath, Place, bytes_of, files_below, name_below, open_place

FILES = {
    "city/images/train/a.jpg": b"a" * 5000,
    "city/images/train/b.jpg": bytes(range(256)),
    "city/images/val/c.jpg": b"c",
    "city/classes.txt": "Straße\n".encode(),
}


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture(params=["folder", "zip", "stored zip", "tar"])
def city(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        for name, data in FILES.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        return open_place(tmp_path / "city")
    if request.param == "tar":
        return open_place(tarred(tmp_path / "x.tar", FILES))
    method = zipfile.ZIP_STORED if "stored" in request.param else zipfile.ZIP_DEFLATED
    return open_place(zipped(tmp_path / "x.zip", FILES, method))


def test_an_archive_is_walked_and_read_as_the_folder_that_was_packed(city: Place) -> None:
    assert city.name == "city"
    assert sorted(entry.name for entry in city.iterdir()) == ["classes.txt", "images"]
    names = sorted(name_below(path, city) for path in city.glob("images/*/*.jpg"))
    assert names == ["images/train/a.jpg", "images/train/b.jpg", "images/val/c.jpg"]
    found = {name_below(path, city.parent): path.read_bytes() for path in files_below(city)}
    assert found == FILES
    assert (city / "classes.txt").read_text("utf-8") == "Straße\n"
    assert (city / "images" / "train").is_dir() and not (city / "images" / "train").is_file()
    first = city / "images/train/a.jpg"
    assert first.is_file() and not first.is_dir() and first.exists() and not (city / "none").exists()
    assert (first.name, first.stem, first.suffix, first.parent.name) == ("a.jpg", "a", ".jpg", "train")
    assert first.with_name("b.jpg").read_bytes() == FILES["city/images/train/b.jpg"]
    assert bytes_of(first) == 5000


def test_what_is_not_there_raises_what_a_path_would(city: Place) -> None:
    with pytest.raises(FileNotFoundError):
        (city / "none.jpg").read_bytes()
    with pytest.raises((IsADirectoryError, PermissionError)):
        (city / "images").read_bytes()


def test_another_process_can_be_given_a_place(city: Place) -> None:
    place = city / "images" / "val" / "c.jpg"
    assert pickle.loads(pickle.dumps(place)).read_bytes() == b"c"


def test_an_archive_without_a_folder_around_all_is_its_own_top(tmp_path: Path) -> None:
    top = open_place(zipped(tmp_path / "x.zip", {"images/a.jpg": b"1", "masks/a.png": b"2", "__MACOSX/b": b""}))
    assert isinstance(top, ArchivePath)
    assert (top.name, top.inner) == ("x.zip", PurePosixPath())
    assert str(top / "images" / "a.jpg") == str(tmp_path / "x.zip" / "images" / "a.jpg")


def test_an_archive_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a": b"1", "b": b""})
    assert (ArchivePath(path) / "a").read_bytes() == b"1"
    zipped(path, {"a": b"22", "b": b""})
    os.utime(path, (1, 1))
    assert (ArchivePath(path) / "a").read_bytes() == b"22"


@pytest.mark.parametrize("name", ["../out.png", "a/../../out.png", "/etc/passwd", "..\\out.png"])
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside of itself"):
        open_place(zipped(tmp_path / "x.zip", {name: b"", "a": b""}))
    with pytest.raises(DataError, match="outside of itself"):
        open_place(tarred(tmp_path / "x.tar", {name: b"", "a": b""}))


def test_a_byte_that_was_changed_is_seen(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a": b"A" * 100, "b": b""}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"AAAB", 1))
    with pytest.raises(DataError, match=r"a is damaged"):
        (ArchivePath(path) / "a").read_bytes()


def test_what_cannot_be_read_in_place_is_one_error(tmp_path: Path) -> None:
    whole = tarred(tmp_path / "x.tar.gz", FILES, "w:gz")
    with pytest.raises(DataError, match="packed as a whole"):
        open_place(whole)
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with pytest.raises(DataError, match="no archive that can be read"):
        open_place(tmp_path / "broken.zip")
    (tmp_path / "some.txt").write_text("a")
    with pytest.raises(DataError, match="is a file, no data set"):
        open_place(tmp_path / "some.txt")
    with zipfile.ZipFile(tmp_path / "new.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", b"1")
    with pytest.raises(DataError, match="packed in a way"):
        open_place(tmp_path / "new.zip")


def test_names_in_an_archive_are_read_as_paths(tmp_path: Path) -> None:
    files = {"./images/train//a.png": b"1", "masks\\train\\a.png": b"2", "masks\\": b""}
    top = open_place(zipped(tmp_path / "x.zip", files))
    assert sorted(name_below(path, top) for path in files_below(top)) == ["images/train/a.png", "masks/train/a.png"]
    assert (top / "masks" / "train" / "a.png").read_bytes() == b"2"
    top = open_place(tarred(tmp_path / "x.tar", {"./images//a.png": b"1", "./masks/a.png": b"2"}))
    assert (top / "images" / "a.png").read_bytes() == b"1"


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_what_macos_packs_beside_the_folder_does_not_hide_it(tmp_path: Path, pack: Callable[..., Path]) -> None:
    files = {**FILES, ".DS_Store": b"x", "__MACOSX/._city": b"x", "city/.DS_Store": b"x"}
    assert open_place(pack(tmp_path / f"x.{pack.__name__[:3]}", files)).name == "city"


def test_links_in_a_tar_lead_to_the_files_that_are_meant(tmp_path: Path) -> None:
    path = tarred(tmp_path / "x.tar", {"images/a.jpg": b"1", "masks/a.png": b"2", "images/loop.jpg": b"3"})
    links = {
        "images/hard.jpg": (tarfile.LNKTYPE, "images/a.jpg"),
        "images/soft.jpg": (tarfile.SYMTYPE, "./a.jpg"),
        "labels": (tarfile.SYMTYPE, "gt"),
        "gt": (tarfile.SYMTYPE, "masks/"),
        "images/up": (tarfile.SYMTYPE, ".."),
        "images/gone.jpg": (tarfile.SYMTYPE, "../../elsewhere.jpg"),
        "a": (tarfile.SYMTYPE, "b"),
        "b": (tarfile.SYMTYPE, "a"),
    }
    with tarfile.open(path, "a") as archive:
        for name, (kind, target) in links.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
    top = open_place(path)
    names = [name_below(path, top) for path in files_below(top)]
    assert [name for name in names if name.count("/") == 1] == [
        "gt/a.png", "images/a.jpg", "images/hard.jpg", "images/loop.jpg", "images/soft.jpg", "labels/a.png",
        "masks/a.png",
    ]
    assert (top / "images" / "hard.jpg").read_bytes() == (top / "images" / "soft.jpg").read_bytes() == b"1"
    assert (top / "labels" / "a.png").read_bytes() == b"2"


@pytest.mark.parametrize("place", range(6))
def test_a_zip_that_is_damaged_anywhere_is_one_error(tmp_path: Path, place: int) -> None:
    whole = zipped(tmp_path / "x.zip", {"a": b"A" * 100, "b": bytes(range(200))}).read_bytes()
    directory = whole.index(b"PK\x01\x02")
    step = len(whole) // 6 + 1
    for at in range(place * step, min(len(whole), (place + 1) * step)):
        for value in (0xFF, whole[at] ^ 1):
            (tmp_path / "y.zip").write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            os.utime(tmp_path / "y.zip", ns=(at * 4 + value, at * 4 + value))
            with suppress(DataError):
                for file in files_below(open_place(tmp_path / "y.zip")):
                    file.read_bytes()
    (tmp_path / "z.zip").write_bytes(whole[20:directory] + whole[directory:])
    with suppress(DataError):
        [file.read_bytes() for file in files_below(open_place(tmp_path / "z.zip"))]


def test_a_member_is_never_unpacked_beyond_its_size(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a": bytes(50_000_000), "b": b""})
    for at in (path.read_bytes().index(struct.pack("<I", 50_000_000), place) for place in (0, 100)):
        data = bytearray(path.read_bytes())
        data[at : at + 4] = struct.pack("<I", 10)
        path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(DataError, match="a is damaged: its checksum or size differs"):
        (ArchivePath(path) / "a").read_bytes()
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_folders_that_are_links_are_walked_and_loops_end(tmp_path: Path) -> None:
    for name in ("data/images/a.png", "elsewhere/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    images = tmp_path / "data" / "images"
    for name, target in {"more": "../../elsewhere", "up": "..", "gone": "nowhere", "self": "self"}.items():
        (images / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(images)
    names = [name_below(path, images) for path in files_below(images)]
    assert names == ["a.png", "gone", "self", "more/b.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_the_right_to_read_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    with pytest.raises(DataError, match="the folder shut cannot be read: Permission denied"):
        list(files_below(tmp_path))


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder gone cannot be read: No such file"):
        list(files_below(tmp_path / "gone"))
