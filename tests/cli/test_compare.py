"""`segformer compare` as people and scripts meet it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import A, B, RunHere
from tests.tiny_data import write_folder


@pytest.fixture
def scores(run: RunHere, studio: Path) -> None:
    """scores/a and scores/b, two results on the same images."""
    for arguments, name in ((A, "a"), (B, "b")):
        if not (studio / "scores" / name).exists():
            done = run(*arguments, "-o", f"scores/{name}")
            assert done.code == 0, done.err
            assert done.err.splitlines()[-1] == f"next: segformer compare OTHER scores/{name}"


@pytest.mark.usefixtures("scores")
def test_compare_says_how_much_better_b_is_and_how_sure_that_is(run: RunHere, studio: Path) -> None:
    done = run("compare", "scores/a", "scores/b")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["class", "A", "B", "B", "-", "A", "95", "%"]
    assert len(lines) == 1 + 5 + 1 + 2
    found = run("compare", "scores/a/result.json", "scores/b", "--json").json["results"]
    assert set(found) == {
        "a", "b", "score", "miou_a", "miou_b", "difference", "ci95", "wins", "better", "per_class", "images",
        "interval"
    }
    saved = [json.loads((studio / "scores" / name / "result.json").read_text())["results"]["miou"] for name in "ab"]
    assert [found["miou_a"], found["miou_b"]] == saved
    assert found["difference"] == pytest.approx(saved[1] - saved[0])
    assert found["ci95"][0] <= found["difference"] <= found["ci95"][1]
    assert found["images"] == 7
    assert f"B - A = {100 * found['difference']:+.2f}" in lines[-2]
    assert found["interval"].endswith(", paired")


@pytest.mark.usefixtures("scores")
def test_the_next_line_names_no_winner_where_no_difference_is_sure(run: RunHere) -> None:
    done = run("compare", "scores/a", "scores/b", "--group-images", "p0?")
    assert "no difference is sure" in done.out
    assert done.err.splitlines()[-1] == "next: segformer eval -w WEIGHTS_OF_B -d MORE_IMAGES -o OUT"
    ahead = run("compare", "scores/a", "scores/b", "--json").json["results"]["difference"] > 0
    sure = run("compare", "scores/a", "scores/b")
    assert sure.err.splitlines()[-1] == f"next: segformer predict INPUT -w WEIGHTS_OF_{'BA'[not ahead]} -o out/"


@pytest.mark.usefixtures("scores")
def test_require_better_exits_3_unless_the_interval_is_above_zero(run: RunHere) -> None:
    ahead = run("compare", "scores/a", "scores/b", "--json").json["results"]
    better, worse = ("ab", "ba") if ahead["difference"] > 0 else ("ba", "ab")
    assert run("compare", *(f"scores/{name}" for name in better), "--require-better").code == 0
    for pair in (worse, "aa"):
        done = run("compare", *(f"scores/{name}" for name in pair), "--require-better", "--json")
        assert done.code == 3
        assert done.json["results"]["better"] is False
        assert done.json["error"]["message"].startswith("B is not surely better than A: B - A lies in [")
        assert run("compare", *(f"scores/{name}" for name in pair)).code == 0
    for pattern, why in (("p", "there is no interval, since"), ("p0?", "2 images, or groups of them, are")):
        few = run("compare", *(f"scores/{name}" for name in better), "--group-images", pattern, "--require-better")
        assert few.code == 3
        assert few.err.splitlines()[-1].startswith(f"error: B is not surely better than A: {why}")
        assert "nan" not in few.out + few.err


@pytest.mark.usefixtures("scores")
def test_compare_of_a_result_with_itself_says_so_and_proposes_nothing(run: RunHere) -> None:
    done = run("compare", "scores/a", "scores/a/result.json")
    assert done.code == 0
    assert "warning: A and B are the same result, scores/a" in done.err
    assert "next:" not in done.err


@pytest.mark.usefixtures("scores")
def test_the_two_results_may_be_named_in_a_file(run: RunHere, studio: Path) -> None:
    (studio / "pair.yaml").write_text("a: scores/a\nb: scores/b\n", encoding="utf-8")
    found = run("compare", "-c", "pair.yaml", "--json").json["results"]
    assert found == run("compare", "scores/a", "scores/b", "--json").json["results"]
    turned = run("compare", "scores/b", "-c", "pair.yaml", "--json").json["results"]
    assert (turned["a"], turned["b"]) == ("scores/b", "scores/b")


def test_results_of_ignored_pixels_alone_have_no_score_to_compare(run: RunHere, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "d", {f"p{index}": np.full((32, 32), 255, np.uint8) for index in range(7)})
    for name in "ab":
        made = run("eval", "-w", f"{name}.safetensors", "-d", str(data), "-o", str(tmp_path / name))
        assert made.code == 0, made.err
    done = run("compare", str(tmp_path / "a"), str(tmp_path / "b"), "--require-better")
    assert done.code == 3
    assert "no difference: the mIoU of A and B is undefined" in done.out
    assert "nan" not in done.out + done.err


@pytest.mark.usefixtures("scores")
def test_compare_refuses_what_is_not_the_same(run: RunHere, studio: Path, tmp_path: Path) -> None:
    fewer, turned = str(tmp_path / "fewer"), str(tmp_path / "turned")
    assert run(*A, "--limit", "3", "-o", fewer).code == 0
    done = run("compare", "scores/a", fewer)
    assert done.code == 1
    assert "4 only in result A (first: p3)" in done.err
    shutil.copytree(studio / "data", tmp_path / "data")
    mask = tmp_path / "data" / "masks" / "val" / "p0.png"
    Image.fromarray(np.asarray(Image.open(mask))[::-1].copy()).save(mask)
    assert run(*A[:3], "-d", str(tmp_path / "data"), "-o", turned).code == 0
    assert "1 of 7 images have other targets in result B" in run("compare", "scores/a", turned).err
    (tmp_path / "turned" / "per_image.npz").unlink()
    assert "holds no per_image.npz" in run("compare", "scores/a", turned).err


@pytest.mark.usefixtures("scores")
def test_compare_warns_of_protocols_that_differ(run: RunHere, tmp_path: Path) -> None:
    assert run(*B, "--set", "window=48", "-o", str(tmp_path / "slid")).code == 0
    done = run("compare", "scores/a", str(tmp_path / "slid"), "--json")
    assert (
        "A and B differ in protocol: 'whole' and 'in windows of 48x48 every 36x36 pixels, logits averaged'"
    ) in done.json["warnings"]
