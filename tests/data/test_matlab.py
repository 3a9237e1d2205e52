"""Masks in MATLAB files, as scipy writes them, read without it."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from segformer_cli.data.matlab import MatlabIds, read_matrix
from segformer_cli.errors import DataError

IDS = np.arange(15).reshape(3, 5)
S = MatlabIds("S")
SBD = MatlabIds("GTcls", ("Segmentation",))


def put_stuff(path: Path, ids: np.ndarray = IDS, **options: bool) -> Path:
    """As in COCO-Stuff 10k: the matrix S between cells and texts."""
    words = np.array(["person", "grass"], dtype=object)
    savemat(path, {"captions": words, "S": ids, "names": words, "region": ids.astype(np.float64)}, **options)
    return path


def put_sbd(path: Path, ids: np.ndarray = IDS) -> Path:
    """As in SBD: a struct of the boundaries, in cells, the mask, and the classes that are present."""
    cells = np.empty((20, 1), dtype=object)
    for index in range(20):
        cells[index, 0] = np.zeros(ids.shape, bool)
    savemat(path, {"GTcls": {"Boundaries": cells, "Segmentation": ids.astype(np.uint8), "CategoriesPresent": [1, 2]}})
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4", "f8", "?"])
def test_a_matrix_of_any_numbers_becomes_ids(tmp_path: Path, kind: str, compressed: bool) -> None:
    path = put_stuff(tmp_path / "a.mat", (IDS > 6).astype(kind), do_compression=compressed)
    assert S(path).dtype == np.uint8
    assert S(path).tolist() == (IDS > 6).astype(int).tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["u1", "u2", "f8"])
)
def test_ids_of_any_size_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, seed: int, compressed: bool, kind: str
) -> None:
    limit = 256 if kind == "u1" else 65536
    ids = np.random.default_rng(seed).integers(0, limit, (height, width)).astype(kind)
    path = put_stuff(tmp_path_factory.mktemp("matlab") / "a.mat", ids, do_compression=compressed)
    assert S(path).tolist() == ids.tolist()
    assert read_matrix(path, "S").dtype == np.dtype(kind)


def test_large_ids_are_wide(tmp_path: Path) -> None:
    assert S(put_stuff(tmp_path / "a.mat", np.array([[0, 300]], np.uint16))).dtype == np.uint16


def test_a_mask_inside_a_struct_is_found(tmp_path: Path) -> None:
    assert SBD(put_sbd(tmp_path / "a.mat")).tolist() == IDS.tolist()


def test_of_several_structs_the_first_counts_and_structs_may_be_nested(tmp_path: Path) -> None:
    array = np.zeros((2,), dtype=[("mask", object), ("other", object)])
    array["mask"][0], array["mask"][1] = IDS, IDS + 1
    array["other"][:] = ["a", "b"]
    savemat(tmp_path / "a.mat", {"many": array, "outer": {"inner": {"mask": IDS + 2}}})
    assert MatlabIds("many", ("mask",))(tmp_path / "a.mat").tolist() == IDS.tolist()
    assert MatlabIds("outer", ("inner", "mask"))(tmp_path / "a.mat").tolist() == (IDS + 2).tolist()


def test_files_of_other_byte_order_are_read(tmp_path: Path) -> None:
    def element(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + b"\0" * (-len(content) % 8)

    flags, size = element(6, struct.pack(">II", 11, 0)), element(5, struct.pack(">ii", 2, 2))
    name = struct.pack(">HH4s", 1, 1, b"S\0\0\0")            # three letters or four lie within the tag
    matrix = element(14, flags + size + name + element(4, struct.pack(">4H", 1, 2, 3, 400)))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0".ljust(124) + b"\x01\x00MI" + matrix)
    assert S(tmp_path / "a.mat").tolist() == [[1, 3], [2, 400]]


def test_beside_matlab_files_pictures_are_read_as_masks(tmp_path: Path) -> None:
    Image.fromarray(IDS.astype(np.uint8)).save(tmp_path / "a.png")
    assert SBD(tmp_path / "a.png").tolist() == IDS.tolist()


def test_a_variable_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.mat has no variable T") as caught:
        MatlabIds("T")(put_stuff(tmp_path / "a.mat"))
    assert caught.value.hint == "it has: captions, S, names, region"


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (MatlabIds("GTcls", ("Segments",)), "no field Segments, it has: Boundaries, Segmentation, CategoriesPresent"),
        (MatlabIds("GTcls", ("Segmentation", "x")), "no field x in what is no struct"),
        (MatlabIds("GTcls"), "GTcls of a.mat: is no matrix of numbers"),
        (MatlabIds("GTcls", ("Boundaries",)), "GTcls.Boundaries of a.mat: is no matrix of numbers"),
    ],
)
def test_what_is_no_mask_is_said_so(tmp_path: Path, reader: MatlabIds, words: str) -> None:
    with pytest.raises(DataError, match=words):
        reader(put_sbd(tmp_path / "a.mat"))


@pytest.mark.parametrize("ids", [[[0.5, 1]], [[-1, 2]], [[0, 70000]], [[[1, 2], [3, 4]]]])
def test_numbers_that_are_no_ids_are_refused(tmp_path: Path, ids: list) -> None:
    with pytest.raises(DataError, match="a mask is height x width with whole numbers"):
        S(put_stuff(tmp_path / "a.mat", np.array(ids)))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_ends_too_early_is_damaged_wherever_it_was_cut(tmp_path: Path, compressed: bool) -> None:
    whole = tmp_path / "whole.mat"
    savemat(whole, {"S": IDS.astype(np.uint8)}, do_compression=compressed)
    data = whole.read_bytes()
    for length in range(len(data) - 1):
        (tmp_path / "a.mat").write_bytes(data[:length])
        with pytest.raises(DataError, match=r"is damaged|is no MATLAB file|has no variable S"):
            S(tmp_path / "a.mat")


def test_version_7_3_is_met_with_the_way_out(tmp_path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (tmp_path / "a.mat").write_bytes(header.ljust(512) + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match=r"version 7\.3 \(HDF5\)") as caught:
        S(tmp_path / "a.mat")
    assert caught.value.hint == "save it again in MATLAB with -v7, which is read here"


def test_what_is_no_matlab_file_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"no")
    with pytest.raises(DataError, match=r"a\.mat is no MATLAB file of version 5"):
        S(tmp_path / "a.mat")
    with pytest.raises(DataError, match=r"cannot read b\.mat"):
        S(tmp_path / "b.mat")


def test_a_reader_travels_to_reading_processes() -> None:
    assert pickle.loads(pickle.dumps(SBD)) == SBD
