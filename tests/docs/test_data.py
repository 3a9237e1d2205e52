"""What docs/data.md says of data works, in its order."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.app import main
from segformer_cli.data.layouts.description import DOCS

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
COLOURS = np.array([(128, 64, 128), (244, 35, 232), (0, 0, 0)], np.uint8)


def put(path: Path, array: np.ndarray) -> None:  # type: ignore[type-arg]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data in every form that the page shows."""
    place = tmp_path_factory.mktemp("data")
    lot = np.random.default_rng(0)
    for number in range(4):
        split, name = ("train", "val")[number % 2], f"p{number}"
        picture, ids = lot.integers(0, 255, (48, 64, 3)), lot.integers(0, 3, (48, 64))
        stray = np.select([ids == 2, ids == 1], [204, 11], ids)
        masks = {
            f"streets/masks/{split}/{name}.png": np.where(ids == 2, 204, ids),
            f"cracks/masks/{name}_mask.png": np.where(ids == 1, 255, 0),
            f"lists/gt/{name}.png": ids,
            f"coloured/masks/{split}/{name}.png": COLOURS[ids],
            f"cvat/SegmentationClass/{name}.png": COLOURS[ids],
            f"stray/masks/{name}.png": stray,
            f"from-one/annotations/{name}.png": ids,
        }
        for path, mask in masks.items():
            put(place / path, mask)
        pictures = (f"streets/images/{split}", "cracks/images", "lists/img", f"coloured/images/{split}",
                    "cvat/JPEGImages", "stray/images", "from-one/images", f"polygons/{split}/images")
        for folder in pictures:
            put(place / folder / f"{name}.jpg", picture)
        labels = place / "polygons" / split / "labels" / f"{name}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("0 0.1 0.1 0.9 0.1 0.5 0.9\n")
        write_lines(place / "cvat/ImageSets/Segmentation" / f"{split}.txt", name)
        for each in (split, "pairs"):
            write_lines(place / "lists" / f"{each}.{'csv' if each == 'pairs' else 'txt'}",
                        f"img/{name}.jpg gt/{name}.png")
    write_lines(place / "coloured/classes.csv", "name,r,g,b", "road,128,64,128", "sidewalk,244,35,232", "void,0,0,0")
    write_lines(place / "cvat/labelmap.txt", "# label:color_rgb:parts:actions", "background:0,0,0::",
                "road:128,64,128::", "sidewalk:244,35,232::")
    write_lines(place / "polygons/data.yaml", "train: ../train/images", "val: ../val/images", "names: [car, door]")
    (place / "streets.yaml").write_text(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])  # type: ignore[index]
    write_lines(place / "streets/classes.txt", *(f"class {number}" for number in range(205)))
    shutil.make_archive(str(place / "cvat"), "zip", place / "cvat")
    put_shards(place / "sidewalk-semantic")
    return place


def put_shards(root: Path) -> None:
    """Parquet files of four pictures, as `datasets` writes them."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    lot = np.random.default_rng(1)
    (root / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        cells: dict[str, list[dict[str, object]]] = {"pixel_values": [], "label": []}
        for _ in range(2):
            for column, array in (("pixel_values", lot.integers(0, 255, (48, 64, 3))),
                                  ("label", lot.integers(0, 3, (48, 64)))):
                file = io.BytesIO()
                Image.fromarray(array.astype(np.uint8)).save(file, "PNG")
                cells[column].append({"bytes": file.getvalue(), "path": "a.png"})
        parquet.write_table(pyarrow.table(cells), root / "data" / f"{split}-00000-of-00001.parquet")
    (root / "id2label.json").write_text('{"0": "flat", "1": "car", "2": "sky"}')


def write_lines(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))


def test_every_command_of_the_page_runs_in_its_order(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv("SEGFORMER_CACHE_DIR", str(desk / "cache"))
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    classes = {"cracks": 2, "lists": 3, "streets.yaml": 3, "polygons": 3, "coloured": 2, "cvat.zip": 3, "stray": 2,
               "from-one": 2, "streets": 205, "sidewalk-semantic": 3}
    assert len(lines) == 19
    for line in lines:
        small = ["-w", "none", "--crop-size", "32", "-b", "2", "-j", "0", "--device", "cpu", "--json"]
        words = shlex.split(line)[1:]
        assert main([*words, *(small if words[0] == "train" else ["--json"])]) == 0, f"{line}\n{capsys.readouterr()}"
        said = capsys.readouterr().out
        if words[0] == "train":
            data = words[2].partition("/")[0]
            assert len(re.search(r'"classes": \[(.*?)\]', said, re.DOTALL)[1].split(",")) == classes[data], line  # type: ignore[index]


def test_the_page_has_every_key_of_a_yaml_with_its_meaning() -> None:
    (table,) = re.findall(r"^\| key \| meaning \|\n\|.*?\n(.*?)\n\n", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert table.splitlines() == [f"| `{key}` | {meaning} |" for key, meaning in DOCS.items()]


def test_every_link_within_the_page_leads_somewhere() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.*?)\)", PAGE)) <= headings
