"""result.json and per_image.npz: there and back, and every way in which they can be broken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segformer_cli.errors import DataError, SegFormerError
from segformer_cli.metrics.bootstrap import ImageCounts
from segformer_cli.metrics.scores import mean
from segformer_cli.workflows.results import (
    PER_IMAGE,
    RESULT,
    numbered_folder,
    read_results,
    result_paths,
    write_results,
)

COUNTS = ImageCounts(
    ("straße/1", "b"),
    ("f" * 64, "0" * 64),
    np.array([[3, 0], [5, 1]]),
    np.array([[4, 0], [6, 2]]),
    np.array([[3, 1], [6, 2**40]]),
)
"""Two images, two classes."""


def results_of(counts: ImageCounts, names: tuple[str, ...] = ("road", "sky")) -> dict[str, Any]:
    """The `results` of the JSON object, as far as a reader looks at them."""
    return {"miou": mean(counts.iou), "per_class": [{"id": at, "name": name} for at, name in enumerate(names)]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_results(tmp_path / "scores", "eval", results_of(COUNTS), COUNTS, ["few images"])
    return tmp_path / "scores"


def damage(folder: Path, **arrays: NDArray[Any] | None) -> None:
    """Some arrays of per_image.npz replaced, or left out where None."""
    with np.load(folder / PER_IMAGE) as stored:
        kept = {name: stored[name] for name in stored}
    np.savez(folder / PER_IMAGE, **{name: array for name, array in {**kept, **arrays}.items() if array is not None})


def test_what_was_written_is_read_back(folder: Path) -> None:
    assert result_paths(folder) == (folder / RESULT, folder / PER_IMAGE)
    for path in (folder, str(folder), folder / RESULT, folder / PER_IMAGE):
        read = read_results(path)
        assert read.folder == folder
        assert read.class_names == ("road", "sky")
        assert read.counts.keys == COUNTS.keys
        assert read.counts.targets == COUNTS.targets
        for name in ("intersection", "predicted", "true"):
            array = getattr(read.counts, name)
            assert array.dtype == np.int64
            assert np.array_equal(array, getattr(COUNTS, name))


def test_the_document_is_the_one_that_the_command_prints(folder: Path) -> None:
    document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    assert (document["schema"], document["command"], document["ok"]) == (1, "eval", True)
    assert document["results"] == results_of(COUNTS)
    assert document["warnings"] == ["few images"]
    assert document["artifacts"] == [str(folder / RESULT), str(folder / PER_IMAGE)]


def test_the_same_score_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    _, again = write_results(tmp_path / "again", "eval", results_of(COUNTS), COUNTS)
    assert again.read_bytes() == (folder / PER_IMAGE).read_bytes()


def test_a_score_that_is_undefined_is_null_and_read_back(tmp_path: Path) -> None:
    nothing = np.zeros((1, 2), np.int64)
    counts = ImageCounts(("a",), ("",), nothing, nothing, nothing)
    write_results(tmp_path / "s", "eval", results_of(counts), counts)
    assert json.loads((tmp_path / "s" / RESULT).read_text())["results"]["miou"] is None
    assert math.isnan(mean(read_results(tmp_path / "s").counts.iou))


def test_one_that_lies_there_is_kept_unless_forced(folder: Path) -> None:
    before = (folder / RESULT).read_bytes(), (folder / PER_IMAGE).read_bytes()
    with pytest.raises(SegFormerError, match="exists already"):
        write_results(folder, "eval", results_of(COUNTS), COUNTS)
    assert ((folder / RESULT).read_bytes(), (folder / PER_IMAGE).read_bytes()) == before
    (folder / RESULT).unlink()
    with pytest.raises(SegFormerError, match=r"per_image\.npz exists already"):
        write_results(folder, "eval", results_of(COUNTS), COUNTS)
    write_results(folder, "eval", results_of(COUNTS), COUNTS, force=True)
    assert sorted(path.name for path in folder.iterdir()) == [PER_IMAGE, RESULT]


@pytest.mark.parametrize("name", [RESULT, PER_IMAGE])
def test_a_folder_without_one_of_the_two_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"holds no {name}") as caught:
        read_results(folder)
    assert caught.value.where == str(folder / name)
    assert caught.value.hint == "make it with: segformer eval -w WEIGHTS -d DATA -o FOLDER"


def test_a_folder_that_is_not_there_is_an_expected_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere holds no result\.json"):
        read_results(tmp_path / "nowhere")


NO_RESULTS: Mapping[str, str] = {
    "empty": "",
    "not JSON": "miou: 0.5",
    "cut off": '{"results": {"miou"',
    "a list": "[]",
    "null": "null",
    "of a failure": '{"results": null}',
    "of predict": '{"results": {"images": [], "failed": []}}',
    "no classes": '{"results": {"miou": 0.5, "per_class": null}}',
    "classes without names": '{"results": {"miou": 0.5, "per_class": [{"id": 0}]}}',
    "no score": '{"results": {"per_class": [{"name": "road"}, {"name": "sky"}]}}',
    "a score in words": '{"results": {"miou": "good", "per_class": [{"name": "road"}, {"name": "sky"}]}}',
}


@pytest.mark.parametrize("text", NO_RESULTS.values(), ids=NO_RESULTS.keys())
def test_a_file_that_is_no_result_is_an_expected_error(folder: Path, text: str) -> None:
    (folder / RESULT).write_text(text)
    with pytest.raises(DataError, match="is no result of eval") as caught:
        read_results(folder)
    assert caught.value.where == str(folder / RESULT)


def test_bytes_that_are_no_text_are_an_expected_error(folder: Path) -> None:
    (folder / RESULT).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is no result of eval"):
        read_results(folder)


DAMAGED = "per_image.npz is damaged, or not what eval writes"


@pytest.mark.parametrize("name", ["key", "target_sha256", "intersection", "predicted", "true"])
def test_counts_that_lack_an_array_are_damaged(folder: Path, name: str) -> None:
    damage(folder, **{name: None})
    with pytest.raises(DataError, match=DAMAGED):
        read_results(folder)


def test_pickled_arrays_are_not_opened(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "sprung",)

    damage(folder, key=np.array([Trap(), Trap()], dtype=object))
    with pytest.raises(DataError, match=DAMAGED):
        read_results(folder)
    np.save(folder / "bare.npy", np.array([Trap()], dtype=object))
    (folder / "bare.npy").rename(folder / PER_IMAGE)
    with pytest.raises(DataError, match=DAMAGED):
        read_results(folder)
    assert not (tmp_path / "sprung").exists()


def test_other_archives_and_arrays_are_damaged_counts(folder: Path) -> None:
    np.save(folder / "bare.npy", np.zeros((2, 2)))
    bare = (folder / "bare.npy").read_bytes()
    for wrong in (b"", b"P", b"no archive", bare, (folder / PER_IMAGE).read_bytes()[:-1]):
        (folder / PER_IMAGE).write_bytes(wrong)
        with pytest.raises(DataError, match=DAMAGED):
            read_results(folder)
    for scalar in ("key", "target_sha256"):
        write_results(folder, "eval", results_of(COUNTS), COUNTS, force=True)
        damage(folder, **{scalar: np.array("a")})
        with pytest.raises(DataError, match=DAMAGED):
            read_results(folder)


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_wrong_bit_is_an_expected_error_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    folder = tmp_path_factory.mktemp("scores")
    _, path = write_results(folder, "eval", results_of(COUNTS), COUNTS)
    damaged = bytearray(path.read_bytes())
    damaged[int(place * len(damaged))] ^= 1 << bit
    path.write_bytes(bytes(damaged))
    try:
        read = read_results(folder).counts
    except DataError:
        return
    assert (read.keys, read.targets) == (COUNTS.keys, COUNTS.targets)
    assert np.array_equal(read.true, COUNTS.true)


@pytest.mark.parametrize(
    "arrays",
    [
        {"true": np.zeros((2, 3), np.int64)},
        {"predicted": np.zeros((1, 2), np.int64)},
        {"intersection": np.zeros(2, np.int64)},
        {"key": np.array(["a"])},
        {"target_sha256": np.array(["a", "b", "c"])},
    ],
    ids=lambda arrays: next(iter(arrays)),
)
def test_counts_of_another_shape_are_said_to_belong_elsewhere(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    damage(folder, **arrays)
    with pytest.raises(DataError, match=r"per_image\.npz has counts of shape") as caught:
        read_results(folder)
    assert caught.value.hint == "it does not belong to the result.json beside it: score again"


def test_counts_of_other_classes_are_refused(folder: Path) -> None:
    document = {"results": results_of(COUNTS, ("road", "sky", "car"))}
    (folder / RESULT).write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"of shape \(2, 2\) for 2 images and 3 classes"):
        read_results(folder)


def test_results_without_a_place_get_the_next_number_and_an_empty_folder_goes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with numbered_folder("eval") as first, numbered_folder("eval") as second:
        assert (Path(first), Path(second)) == (Path("runs/eval/1"), Path("runs/eval/2"))
        (Path(second) / "result.json").touch()
    assert [path.as_posix() for path in sorted(Path("runs").rglob("*"))] == [
        "runs/eval", "runs/eval/2", "runs/eval/2/result.json"
    ]
    with numbered_folder("other"):
        pass
    with pytest.raises(KeyError), numbered_folder("eval"):
        raise KeyError
    assert [path.name for path in sorted(Path("runs").iterdir())] == ["eval"]
    (tmp_path / "runs" / "blocked").touch()
    with pytest.raises(SegFormerError, match="no folder can be made in") as caught, numbered_folder("blocked"):
        pass
    assert caught.value.hint == "name one that can be written: -o FOLDER"


def test_two_files_of_different_scores_are_told_apart(folder: Path) -> None:
    damage(folder, intersection=COUNTS.intersection - [[1, 0], [0, 0]])
    with pytest.raises(DataError, match=r"result\.json says mIoU 0\.\d+, per_image\.npz comes to 0\.\d+") as caught:
        read_results(folder)
    assert caught.value.hint == "the two files are of different scores: score again"
    nothing = np.zeros((2, 2), np.int64)
    damage(folder, intersection=nothing, predicted=nothing, true=nothing)
    with pytest.raises(DataError, match=r"per_image\.npz comes to none"):
        read_results(folder)


def newer(folder: Path) -> None:
    document = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    (folder / RESULT).write_text(json.dumps({**document, "schema": 99}), encoding="utf-8")


def test_a_result_of_a_newer_segformer_is_refused(tmp_path: Path) -> None:
    write_results(tmp_path, "eval", results_of(COUNTS), COUNTS)
    newer(tmp_path)
    with pytest.raises(DataError, match=r"result\.json was written by a newer segformer: its schema is 99") as caught:
        read_results(tmp_path)
    assert caught.value.where == str(tmp_path / RESULT)
