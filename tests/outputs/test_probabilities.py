"""Probabilities of the classes, strip by strip."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segformer_cli.errors import EnvironmentLacksError, ImageError, SegFormerError, UsageError
from segformer_cli.outputs.probabilities import largest, probability_file

NAMES = [f"class {index}" for index in range(19)]


def some(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    logits = np.random.default_rng(seed).normal(0, 3, shape)
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float32)


def write(path: Path, whole: NDArray[np.float32], names: list[str], rows: int = 7, **options: Any) -> None:
    with probability_file(path, whole.shape[:2], names, **options) as add:
        for top in range(0, len(whole), rows):
            add(whole[top : top + rows])


def read(path: Path) -> dict[str, NDArray[Any]]:
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(path), mode="r")
    found = {name: array[:] for name, array in group.arrays()}
    return {**found, "class_names": np.array(group.attrs["class_names"])}


def ready(path: Path) -> Path:
    if path.suffix == ".zarr":
        pytest.importorskip("zarr")
    return path


@pytest.mark.parametrize("name", ["a.npz", "a.zarr"])
def test_all_probabilities_come_back_and_add_up_to_one(tmp_path: Path, name: str) -> None:
    whole, path = some((23, 31, 19)), ready(tmp_path / "deep" / name)
    write(path, whole, NAMES)
    found = read(path)
    assert sorted(found) == ["class_names", "probabilities"]
    assert found["class_names"].tolist() == NAMES
    assert (found["probabilities"] == whole.astype(np.float16)).all()
    sums = found["probabilities"].astype(np.float64).sum(2)
    assert abs(sums - 1).max() <= 2**-11 + 19 * 2**-25 + 1e-6
    assert [each.name for each in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.npz", "a.zarr"])
def test_the_largest_come_back_with_their_ids(tmp_path: Path, name: str) -> None:
    whole, path = some((23, 31, 19)), ready(tmp_path / name)
    write(path, whole, NAMES, most=3)
    found = read(path)
    order = np.argsort(-whole, axis=2, kind="stable")[..., :3]
    assert found["ids"].dtype == np.uint8
    assert (found["ids"] == order).all()
    assert (found["probabilities"] == np.take_along_axis(whole, order, 2).astype(np.float16)).all()


def test_of_equals_the_lower_id_comes_first_and_of_many_classes_ids_are_wide() -> None:
    strip = np.full((1, 1, 300), 1 / 300, np.float32)
    strip[0, 0, 299] = 0.5
    ids, values = largest(strip, 3)
    assert (ids.dtype, ids.tolist()) == (np.uint16, [[[299, 0, 1]]])
    assert values[0, 0, 0] == np.float32(0.5)
    assert strip[0, 0, 299] == np.float32(0.5)


def test_channels_first_as_networks_give_them_are_a_view_away(tmp_path: Path) -> None:
    whole = some((4, 5, 19))
    channels_first = np.ascontiguousarray(np.moveaxis(whole, 2, 0))
    with probability_file(tmp_path / "a.npz", (4, 5), NAMES) as add:
        add(np.moveaxis(channels_first, 0, 2))
    assert (read(tmp_path / "a.npz")["probabilities"] == whole.astype(np.float16)).all()


@pytest.mark.parametrize("most", [None, 3])
def test_memory_is_that_of_a_strip_whatever_the_height(tmp_path: Path, most: int | None) -> None:
    strip = some((16, 128, 19))
    tracemalloc.start()
    try:
        with probability_file(tmp_path / "a.npz", (16 * 200, 128), NAMES, most=most) as add:
            for _ in range(200):
                add(strip)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * strip.nbytes          # the whole would be 200


def test_halves_that_torch_made_are_the_same_file(tmp_path: Path) -> None:
    whole = some((6, 5, 19))
    whole[0, 0, :2] = 3e-6, 2**-25
    write(tmp_path / "a.npz", whole, NAMES)
    write(tmp_path / "b.npz", torch.from_numpy(whole).half().numpy(), NAMES)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_picture_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="7 of 23 rows"), probability_file(tmp_path / "a.npz", (23, 31), NAMES) as add:
        add(some((7, 31, 19)))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(24, 31, 19), (7, 30, 19), (7, 31, 18)])
def test_strips_of_another_size_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="strip"), probability_file(tmp_path / "a.npz", (23, 31), NAMES) as add:
        add(some(shape))


def test_what_is_no_number_is_refused_with_its_place(tmp_path: Path) -> None:
    whole = some((23, 31, 19))
    whole[9, 4, 2] = np.nan
    with pytest.raises(ImageError, match="class 2 in row 9, column 4 is nan"):
        write(tmp_path / "a.npz", whole, NAMES)
    assert not any(tmp_path.iterdir())


def test_other_suffixes_and_counts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'\.h5'"):
        write(tmp_path / "a.h5", some((2, 2, 19)), NAMES)
    for most in (0, 20):
        with pytest.raises(UsageError, match=f"the largest {most} of 19"):
            write(tmp_path / "a.npz", some((2, 2, 19)), NAMES, most=most)


@pytest.mark.parametrize("name", ["a.npz", "a.zarr"])
def test_what_exists_is_replaced_only_when_asked(tmp_path: Path, name: str) -> None:
    path = ready(tmp_path / name)
    write(path, some((2, 2, 19)), NAMES)
    with pytest.raises(SegFormerError, match="exists already"):
        write(path, some((3, 3, 19)), NAMES)
    write(path, some((3, 3, 19)), NAMES, force=True)
    assert read(path)["probabilities"].shape == (3, 3, 19)
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_without_zarr_the_way_to_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "zarr":
            raise ModuleNotFoundError("No module named 'zarr'", name="zarr")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnvironmentLacksError, match="zarr") as caught:
        write(tmp_path / "a.zarr", some((2, 2, 19)), NAMES)
    assert caught.value.hint is not None
    assert 'pip install "segformer-cli[zarr]"' in caught.value.hint
