"""Parquet shards of the Hugging Face hub."""

from __future__ import annotations

import builtins
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import layout_name, open_data
from segformer_cli.errors import DataError, EnvironmentLacksError, UsageError
from tests.data.own_data import targets


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SEGFORMER_CACHE_DIR", str(place))
    return place / "segformer" / "parquet"


def picture(row: list[int], kind: str = "PNG") -> bytes:
    array = np.array([row], np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(array if kind == "PNG" else np.repeat(array[..., None], 3, axis=2)).save(buffer, kind)
    return buffer.getvalue()


def put_shards(root: Path, target: str = "label", image: str = "image", embedded: bool = True) -> Path:
    """As `Dataset.push_to_hub` writes them: a struct of bytes and path for each picture."""
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (root / "data").mkdir(parents=True)
    rows = {"train-00000-of-00002": [[0, 1], [1, 1]], "train-00001-of-00002": [[2, 255]],
            "validation-00000-of-00001": [[0, 2]]}
    for name, masks in rows.items():
        def cells(kind: str, masks: list[list[int]] = masks) -> list[Any]:
            return [{"bytes": picture(row, kind) if embedded else None, "path": "a.png"} for row in masks]

        table = pa.table({image: cells("JPEG"), target: cells("PNG"), "scene": ["x"] * len(masks)})
        parquet.write_table(table, root / "data" / f"{name}.parquet")
    return root


@pytest.mark.parametrize(("image", "target"), [("image", "annotation"), ("pixel_values", "label")])
def test_shards_are_unpacked_once_and_read_as_any_pictures(
    tmp_path: Path, cache: Path, image: str, target: str
) -> None:
    root = put_shards(tmp_path / "hub", target, image)
    (root / "id2label.json").write_text('{"0": "sky", "1": "road", "2": "car"}')
    assert layout_name(str(root)) == "parquet"
    split = open_data(str(root), "train")
    assert split.class_names == ("sky", "road", "car")
    assert list(targets(split).values()) == [[0, 1], [1, 1], [2, 255]]
    assert split.pairs[0].image.suffix == ".jpg"
    assert [len(open_data(str(root), name)) for name in ("train", "val")] == [3, 1]
    first = sorted(path.stat().st_mtime_ns for path in cache.rglob("*.png"))
    open_data(str(root), "train")
    assert sorted(path.stat().st_mtime_ns for path in cache.rglob("*.png")) == first
    assert len(list(cache.iterdir())) == 2


def test_classes_without_names_are_those_of_all_shards_and_can_be_bent(tmp_path: Path) -> None:
    root = put_shards(tmp_path / "hub")
    assert len(open_data(str(root), "val").class_names) == 3
    assert list(targets(open_data(str(root), "val", Bending(reduce_zero=True))).values()) == [[255, 1]]
    with pytest.raises(UsageError, match="not for parquet"):
        open_data(str(root), "val", Bending(mask_suffix=".png"))


def test_shards_that_changed_are_unpacked_anew(tmp_path: Path, cache: Path) -> None:
    root = put_shards(tmp_path / "hub")
    open_data(str(root), "val")
    shard = root / "data" / "validation-00000-of-00001.parquet"
    shard.write_bytes((root / "data" / "train-00000-of-00002.parquet").read_bytes())
    assert len(open_data(str(root), "val")) == 2


def test_columns_and_pictures_that_are_not_there_are_told(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError, match="has no column label or annotation") as caught:
        open_data(str(put_shards(tmp_path / "a", target="depth")), "val")
    assert "it has image, depth, scene" in str(caught.value.hint)
    with pytest.raises(DataError, match="holds names of pictures, not the pictures"):
        open_data(str(put_shards(tmp_path / "b", embedded=False)), "val")
    assert list(cache.iterdir()) == []          # nothing half-done is left


def test_a_file_that_is_no_parquet_is_told(tmp_path: Path) -> None:
    root = put_shards(tmp_path / "hub")
    (root / "data" / "validation-00000-of-00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="is no parquet that can be read"):
        open_data(str(root), "val")


def test_without_pyarrow_the_line_that_installs_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1")
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EnvironmentLacksError, match="pyarrow, which reads parquet, is not installed") as caught:
        open_data(str(tmp_path), "train")
    assert caught.value.hint == 'pip install "segformer-cli[parquet]"'
