"""Pairs decoded once."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.data import decoded as room
from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.decoded import SHARED_MEMORY, Decoded, bytes_needed, decoded, file_of
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Pairs, Split
from segformer_cli.data.transforms import Augmentation
from segformer_cli.errors import ImageError, SegFormerError
from segformer_cli.images import Ids, read_mask
from segformer_cli.places import Place
from tests.tiny_data import SIZES, write_lot


@pytest.fixture
def lot(tmp_path: Path) -> Split:
    write_lot(tmp_path / "data")
    return open_data(str(tmp_path / "data"), "val")


def same(found: Decoded, split: Split) -> bool:
    assert len(found) == len(split)
    ours = [array for index in range(len(split)) for array in found.read(index)]
    read = [array for pair in split.pairs for array in split.read(pair)]
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(ours, read, strict=True))


@pytest.mark.parametrize("where", ["disk", "ram"])
def test_what_was_decoded_is_what_reading_gives(
    lot: Split, tmp_path: Path, where: room.Where, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "memory").mkdir()
    monkeypatch.setattr(room, "SHARED_MEMORY", tmp_path / "memory")
    found = decoded(lot, where, tmp_path / "kept", threads=2)
    assert same(found, lot)
    assert same(pickle.loads(pickle.dumps(found)), lot)
    assert (tmp_path / ("kept" if where == "disk" else "memory")) in found.path.parents
    with pytest.raises(ValueError, match="read-only"):
        found.read(0)[0][:] = 0


def test_the_size_is_known_before(lot: Split, tmp_path: Path) -> None:
    assert decoded(lot, "disk", tmp_path / "kept").path.stat().st_size == bytes_needed(SIZES, 3, wide=False)


def test_wide_ids_are_kept_whole(lot: Split, tmp_path: Path) -> None:
    ids = np.concatenate([lot.ids, np.full(65536 - 256, -1, np.int32)])
    ids[ids == 255] = 65535
    ids[:5] += 300
    wide = replace(lot, ids=ids, ignore_index=65535)
    found = decoded(wide, "disk", tmp_path / "kept")
    assert same(found, wide)
    assert found.read(0)[1].max() > 300


def test_the_file_is_used_again_and_never_stale(lot: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = decoded(lot, "disk", tmp_path / "kept")
    with monkeypatch.context() as patch:
        patch.setattr(Split, "read", lambda *_: pytest.fail("decoded again"))
        assert decoded(lot, "disk", tmp_path / "kept").path == first.path
    image = Path(str(lot.pairs[0].image))
    os.utime(image, ns=(0, 1))
    touched = decoded(lot, "disk", tmp_path / "kept")
    assert touched.path != first.path
    ignored = replace(lot, ids=np.where(lot.ids == 1, 255, lot.ids).astype(np.int32))
    other = decoded(ignored, "disk", tmp_path / "kept")
    assert same(other, ignored)
    touched.close()
    assert len(list((tmp_path / "kept").iterdir())) == 3          # all were open when the others were written
    first.close()
    third = decoded(replace(lot, ids=np.where(lot.ids == 2, 255, lot.ids).astype(np.int32)), "disk", tmp_path / "kept")
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {other.path.name, third.path.name}


def test_what_another_reads_is_not_deleted_and_what_a_killed_process_left_is(lot: Split, tmp_path: Path) -> None:
    first = decoded(lot, "disk", tmp_path / "kept")
    left = first.path.with_name(f".{first.path.stem}.abcd.part.decoded")
    left.write_bytes(b"half")
    again = pickle.loads(pickle.dumps(first))
    decoded(replace(lot, ignore_index=254), "disk", tmp_path / "kept")
    assert first.path.exists() and not left.exists()
    assert same(again, lot)


def test_what_depends_on_the_reader_or_on_bands_has_another_name(lot: Split, tmp_path: Path) -> None:
    def read_otherwise(place: Place) -> Ids:
        return 1 - read_mask(place)

    names = {file_of(each, "disk", tmp_path).name for each in (lot, replace(lot, read_ids=read_otherwise),
                                                                replace(lot, bands=(1, 2)))}
    assert len(names) == 3


def test_a_file_whose_time_was_set_back_is_read_again(lot: Split, tmp_path: Path) -> None:
    before = file_of(lot, "disk", tmp_path)
    image = Path(str(lot.pairs[0].image))
    times = image.stat()
    image.write_bytes(image.read_bytes())
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file_of(lot, "disk", tmp_path) != before


def test_pictures_of_more_bits_keep_their_values(lot: Split, tmp_path: Path) -> None:
    places = []
    for number, kind in enumerate((np.uint16, np.float32)):
        np.save(tmp_path / f"{number}.npy", (np.random.default_rng(number).random((9, 7, 4)) * 900).astype(kind))
        Image.fromarray(np.full((9, 7), number, np.uint8)).save(tmp_path / f"{number}.png")
        places.append(Pair(str(number), tmp_path / f"{number}.npy", tmp_path / f"{number}.png"))
    wide = replace(lot, pairs=Pairs(places), bands=(4, 1))
    found = decoded(wide, "disk", tmp_path / "kept")
    assert [found.read(at)[0].dtype for at in range(2)] == [np.uint16, np.float32]
    assert same(found, wide)


@pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="Linux alone has such a folder")
def test_memory_is_freed_by_its_last_reader(lot: Split, tmp_path: Path) -> None:
    first, second = decoded(lot, "ram", tmp_path), decoded(lot, "ram", tmp_path)
    assert first.path.parent.parent == SHARED_MEMORY
    first.close()
    assert second.path.exists() and same(second, lot)
    second.close()
    assert not second.path.exists()


def test_crops_of_decoded_pairs_are_those_of_files(lot: Split, tmp_path: Path) -> None:
    augmentation = Augmentation(crop_size=(32, 48))
    what = lot, augmentation, (100.0,) * 3, (50.0,) * 3, 0
    files, kept = TrainCrops(*what), TrainCrops(*what, source=decoded(lot, "disk", tmp_path / "kept"))
    for position in range(14):
        ours, theirs = kept[(position, position % 7)], files[(position, position % 7)]
        assert not isinstance(ours, SegFormerError) and not isinstance(theirs, SegFormerError)
        assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])


def test_another_process_finds_the_same_file(lot: Split, tmp_path: Path) -> None:
    code = "import sys\nfrom pathlib import Path\nfrom segformer_cli.data.decoded import file_of\n"
    code += "from segformer_cli.data.layouts.detect import open_data\n"
    code += "print(file_of(open_data(sys.argv[1], 'val'), 'disk', Path(sys.argv[2])))"
    line = [sys.executable, "-c", code, str(tmp_path / "data"), str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(file_of(lot, "disk", tmp_path))


def test_a_file_that_cannot_be_read_is_named_and_leaves_nothing(lot: Split, tmp_path: Path) -> None:
    Path(str(lot.pairs[2].image)).write_bytes(b"")
    with pytest.raises(ImageError, match="is empty"):
        decoded(lot, "disk", tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())


def test_a_folder_that_cannot_be_written_is_one_error(lot: Split, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(SegFormerError, match="cannot write"):
        decoded(lot, "disk", tmp_path / "kept")
