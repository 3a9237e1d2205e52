"""Data of one's own on the command line: ids bent, yaml files, and what is said where they have no meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import A, RunHere
from tests.tiny_data import THINGS


@pytest.fixture(scope="module")
def strange(studio: Path) -> str:
    """The studio's data with another id for `thing 4`, 204, and some of 11."""
    for folder in ("images", "masks"):
        for path in sorted((studio / "data" / folder / "val").iterdir())[:3]:
            array = np.array(Image.open(path))
            if folder == "masks":
                array[array == 4] = 204
                array[:2] = 11
            place = studio / "strange" / folder / "val" / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(place)
    (studio / "strange" / "classes.txt").write_text("\n".join(THINGS))
    return "strange"


def score(data: str, *options: str) -> tuple[str, ...]:
    return (*A[:3], "-d", data, "--device", "cpu", "-o", f"scores-{Path(data).stem}-{len(options)}", "--force",
            "--json", *options)


def test_a_strange_id_is_met_with_the_option_that_bends_it(run: RunHere, strange: str) -> None:
    done = run(*score(strange))
    assert done.code == 1
    assert "holds the id 204" in done.json["error"]["message"]
    assert "--map 204=ignore passes over it" in done.json["error"]["hint"]


def test_ids_are_bent_by_options_keys_and_a_yaml_alike(run: RunHere, strange: str, studio: Path) -> None:
    done = run(*score(strange, "--map", "204=thing 4", "--map", "11=ignore"))
    assert done.code == 0, done.err
    pixels = [each["pixels"] for each in done.json["results"]["per_class"]]
    masks = [np.array(Image.open(path)) for path in (studio / strange / "masks" / "val").iterdir()]
    assert pixels == [sum(int((mask == index).sum()) for mask in masks) for index in (0, 1, 2, 3, 204)]
    (studio / "strange.yaml").write_text(
        f"path: strange\nval: images/val\nnames: {list(THINGS)}\nmap: {{204: 4, 11: ignore}}\n"
    )
    for other in (score(strange, "--set", "map=[204=4, 11=ignore]"), score("strange.yaml")):
        found = run(*other)
        assert found.code == 0, found.err
        assert found.json["results"]["confusion_matrix"] == done.json["results"]["confusion_matrix"]


def test_reduce_zero_counts_the_classes_from_1(run: RunHere, studio: Path) -> None:
    for path in sorted((studio / "data" / "masks" / "val").iterdir())[:2]:
        mask = np.array(Image.open(path))
        for folder, array in (("images", np.array(Image.open(studio / "data/images/val" / path.name))),
                              ("masks", np.where(mask == 255, 0, mask + 1).astype(np.uint8))):
            place = studio / "ade" / folder / "val" / path.name
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(place)
    (studio / "ade" / "classes.txt").write_text("\n".join(THINGS))
    done = run(*score("ade", "--reduce-zero"))
    first_two = run(*score("data", "--limit", "2"))
    assert done.code == first_two.code == 0, done.err
    assert done.json["results"]["confusion_matrix"] == first_two.json["results"]["confusion_matrix"]
    lacking = run(*score("ade"))
    assert lacking.code == 1
    assert "--reduce-zero" in lacking.json["error"]["hint"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--map", "204=4", "--map", "204=3"), "--map says both 204=4 and 204=3"),
        (("--map", "204"), "--map '204' is no ID=CLASS"),
        (("--map", "204=thin 4"), "has no class thin 4"),
        (("--map", "204=9"), "has no class 9"),
        (("--reduce-zero", "--map", "0=1"), "--reduce-zero ignores the id 0"),
    ],
)
def test_a_map_without_meaning_is_a_wrong_usage(
    run: RunHere, strange: str, options: tuple[str, ...], words: str
) -> None:
    done = run(*score(strange, *options))
    assert done.code == 2
    assert words in done.json["error"]["message"]


def test_training_and_corruptions_take_the_same_options(run: RunHere, strange: str, studio: Path) -> None:
    (studio / "strange" / "train.txt").write_text("")
    options = ("-d", strange, "--map", "204=4", "--map", "11=ignore")
    robust = run("eval-robust", "-w", "a.safetensors", "--device", "cpu", "--corruptions", "fog", "--severities", "1",
                 "--limit", "1", "-o", "robust", "-j", "0", *options, "--json")
    assert robust.code == 0, robust.err
    for folder in ("images", "masks"):
        (studio / "strange" / folder / "train").mkdir(exist_ok=True)
        for path in sorted((studio / "strange" / folder / "val").iterdir()):
            (studio / "strange" / folder / "train" / path.name).write_bytes(path.read_bytes())
    plan = run("train", "-w", "none", *options, "--dry-run", "--json", "--device", "cpu", "--iterations", "2")
    assert plan.code == 0, plan.err
    assert plan.json["results"]["config"]["map"] == ["204=4", "11=ignore"]


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("trian: images/train\n", "there is no key 'trian'", "did you mean train?"),
        ("train: a\n\tval: b\n", "mine.yaml is not YAML", "indent with spaces, not tabs"),
        ("names: !!python/object:os.system {}\n", "the tag tag:yaml.org,2002:python/object:os.system", "no objects"),
    ],
)
def test_a_yaml_that_is_wrong_is_one_clear_error(
    run: RunHere, studio: Path, text: str, words: str, hint: str
) -> None:
    (studio / "mine.yaml").write_text(text)
    done = run(*score("mine.yaml"))
    assert done.code == 1
    assert words in done.json["error"]["message"]
    assert hint in done.json["error"]["hint"]
    assert "mine.yaml, line" in done.json["error"]["where"]


def test_what_was_considered_stands_a_line_a_layout(run: RunHere, studio: Path) -> None:
    (studio / "odd" / "images").mkdir(parents=True, exist_ok=True)
    done = run(*A[:3], "-d", "odd")
    assert done.code == 1
    lines = [line.strip() for line in done.err.splitlines()]
    assert any(line.startswith("folder: has images/, but no masks/ or labels/ or annotations/") for line in lines)
    assert any(line.startswith("cityscapes needs leftImg8bit") for line in lines)
