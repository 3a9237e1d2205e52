"""`segformer eval` as people and scripts meet it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.classes import class_set
from segformer_cli.data.sample import write_sample
from segformer_cli.model.checkpoint import save_checkpoint
from tests.cli.conftest import ROOT, A, RunHere, newest
from tests.conftest import RandomCheckpoint
from tests.tiny_data import drawn_by_lot, write_folder, write_lot

# eval, in words and as JSON.


def test_eval_prints_its_table_its_score_and_how_it_came_about(run: RunHere) -> None:
    done = run(*A)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["class", "IoU", "95", "%", "acc", "Dice", "pixels"]
    assert [line.split()[1] for line in lines[1:6]] == list("01234")
    assert lines[6] == ""
    assert lines[7].startswith("mIoU 0.")
    assert lines[8] == "95 % interval: bootstrap, 1,000 draws of 7 images"
    assert lines[9].startswith("7 images of data val, whole, at their own size")
    folder = newest("runs/eval")
    assert done.err.splitlines() == [
        "warning: an interval from only 7 images is likely too narrow",
        f"wrote {folder}/result.json",
        f"wrote {folder}/per_image.npz",
        "next: segformer predict INPUT -w a.safetensors -o out/ --save mask,overlay",
    ]


def test_eval_with_json_is_one_object_with_the_fixed_names(run: RunHere) -> None:
    done = run(*A, "--json")
    found = done.json
    assert (found["command"], found["warnings"]) == ("eval", ["an interval from only 7 images is likely too narrow"])
    folder = newest("runs/eval")
    assert found["artifacts"] == [f"{folder}/result.json", f"{folder}/per_image.npz"]
    assert "wrote" not in done.err
    results = found["results"]
    assert {"miou", "macc", "aacc", "per_class", "images", "miou_ci95", "confusion_matrix", "protocol"} <= set(results)
    assert results["images"] == 7
    assert results["miou_ci95"][0] <= results["miou"] <= results["miou_ci95"][1]
    assert [set(row) >= {"id", "name", "iou", "acc", "pixels"} for row in results["per_class"]] == [True] * 5
    matrix = np.array(results["confusion_matrix"])
    assert matrix.shape == (5, 5)
    assert results["aacc"] == np.trace(matrix) / matrix.sum()
    assert "boundary_iou" not in results["per_class"][0]
    assert "calibration" not in results


def test_what_is_asked_for_by_flags_is_in_the_object(run: RunHere) -> None:
    flags = ("--boundary", "--object-sizes", "--calibration", "--fit-temperature", "--limit", "2")
    tools = ("--dialect", "mmseg, smp", "--dialect", "paddle")
    found = run(*A, *flags, *tools, "--group", "x=thing 0,thing 1", "--group", "y=thing 1", "--json").json
    results = found["results"]
    assert {"boundary_iou", "trimap_iou", "iou_by_size"} <= set(results["means"])
    assert 0 <= results["calibration"]["ece"] <= 1
    assert len(results["calibration"]["bins"]) == 15
    assert results["temperature"]["value"] > 0
    assert [row["name"] for row in results["dialects"]] == ["mmseg", "smp", "paddle"]
    assert [(row["name"], row["classes"]) for row in results["groups"]] == [
        ("x", ["thing 0", "thing 1"]), ("y", ["thing 1"])
    ]
    assert results["images"] == 2


def test_min_miou_is_a_check_that_reports_all_the_same(run: RunHere) -> None:
    reached = run(*A, "--min-miou", "0.0", "--json")
    assert (reached.code, reached.json["ok"]) == (0, True)
    done = run(*A, "--min-miou", "0.9", "--json")
    assert done.code == 3
    assert done.json["results"]["images"] == 7
    assert done.json["error"]["message"].endswith("is not the 0.9 or more that --min-miou asks for")
    text = run(*A, "--min-miou", "0.9")
    assert text.code == 3
    assert "mIoU 0." in text.out
    assert text.err.splitlines()[-1].startswith("error: mIoU 0.")
    assert "next:" not in text.err


def test_a_score_that_is_undefined_fails_the_check(run: RunHere, tmp_path: Path) -> None:
    data = write_folder(tmp_path / "d", {"p": np.full((32, 32), 255, np.uint8)})
    done = run("eval", "-w", "a.safetensors", "-d", str(data), "--min-miou", "0", "--json")
    assert done.code == 3
    assert done.json["results"]["miou"] is None
    assert done.json["results"]["per_class"][0]["iou"] is None
    text = run("eval", "-w", "a.safetensors", "-d", str(data), "--min-miou", "0")
    said = "mIoU is undefined, since every pixel is ignored: it is not the 0 or more that --min-miou asks for"
    assert text.err.splitlines()[-1] == f"error: {said}"
    done = run("eval", "-w", "a.safetensors", "-d", str(data), "--calibration")
    assert done.code == 0
    assert "nan" not in done.out + done.err + text.out + text.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*A, "--protocol", "ade"), 2, "there is no protocol 'ade'"),
        ((*A, "--dialect", "mmseg,mmsg"), 2, "there is no dialect 'mmsg'"),
        ((*A, "--group", "x=thing 9"), 2, "there is no class 'thing 9'"),
        ((*A, "--group-images", "("), 2, "no regular expression"),
        ((*A, "--split", "vall"), 1, "has no split 'vall'"),
        ((*A, "--predictions", "data/masks"), 2, "weights is about a network"),
        (("eval", "--predictions", "nowhere", "-d", "data"), 1, "there is no folder nowhere"),
        (("eval", "-w", "a.safetensors", "-d", "nowhere"), 1, "there is no folder nowhere"),
        (("eval", "-w", "absent.safetensors", "-d", "data"), 1, "absent.safetensors"),
        (("eval", "-d", "data"), 2, "no weights are named, and none belong to data"),
        ((*A, "-o", "scores.json"), 2, "-o scores.json is one file"),
        ((*A, "--fit-temperature", "-o", "scores.json"), 2, "weights are written as .safetensors"),
        ((*A, "--fit-temperature", "--multi-scale"), 2, "fitted to the logits of one pass"),
        ((*A, "--fit-temperature", "--by-name"), 2, "fitted on the weights' own classes"),
        (("compare", "nowhere", "nowhere"), 1, "nowhere holds no result.json"),
        (("compare", "nowhere"), 2, "two results are needed"),
        (("eval", "-w", "nosuch", "-d", "data", "--dry-run"), 1, "there are no weights named 'nosuch'"),
        ((*A, "--report", "report.pdf"), 2, "--report report.pdf: a report is an HTML page"),
        ((*A, "-o", "x", "--submission", "x"), 2, "-o and --submission both name"),
        (("eval", "-w", "", "-d", "data"), 2, "weights is an empty text"),
        (("eval", "-w", "a.safetensors", "-d", ""), 2, "data is an empty text"),
        ((*A, "--group-images", " "), 2, "group_images is an empty text"),
        (("compare", "x", "y", "--resamples", "50", "--require-better"), 2, "resamples is 50"),
        (("compare", "x", "y", "--resamples", "0"), 2, "resamples is 0"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else None,
)
def test_an_expected_error_is_one_object_and_a_few_lines(
    run: RunHere, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = run(*arguments, "--json")
    assert done.code == code
    assert words in done.json["error"]["message"]
    assert done.json["results"] is None
    text = run(*arguments)
    assert (text.code, text.out) == (code, "")
    assert text.err.startswith("error: ")
    assert words in text.err
    assert "Traceback" not in text.err


def test_weights_of_other_classes_name_the_way_out(run: RunHere, tmp_path: Path) -> None:
    names = ("thing 1", "zebra", "thing 0")
    data = write_folder(tmp_path / "d", {"p": drawn_by_lot((32, 32), 3, 0)}, names)
    other = ("eval", "-w", "a.safetensors", "-d", str(data))
    done = run(*other)
    assert done.code == 1
    assert "the weights know 5 classes (thing 0, thing 1, thing 2 ...), d has 3 (thing 1, zebra, thing 0)" in done.err
    assert "--by-name would match 2 classes by their names" in done.err
    named = run(*other, "--by-name")
    assert named.code == 0
    assert (
        "2 classes matched by name; not counted, unknown to the weights: zebra; "
        "always wrong, unknown to the data: thing 2, thing 3, thing 4"
    ) in named.out
    aliased = run(*other, "--alias", "thing 4=zebra")
    assert "3 classes matched by name (thing 4 = zebra)" in aliased.out
    wrong = run(*other, "--alias", "thing 4=zebr")
    assert (wrong.code, wrong.err.splitlines()[-1]) == (2, "hint:  did you mean zebra?")


def test_dry_run_writes_nothing(run: RunHere, studio: Path) -> None:
    before = sorted(studio.rglob("*"))
    done = run(*A, "-o", "dry", "--report", "dry.html", "--submission", "dry-masks", "--dry-run")
    assert (done.code, done.out) == (0, "would score a.safetensors on 7 images of data, split val\n")
    assert run(*A, "-o", "dry", "--dry-run", "--json").json["results"]["config"]["out"] == "dry"
    assert sorted(studio.rglob("*")) == before
    assert run(*A, "--dry-run").code == 0
    assert sorted(studio.rglob("*")) == before
    assert run(*A, "-o", "data/classes.txt/x", "--dry-run").code == 1


def test_a_report_is_a_file_of_its_own_and_kept_unless_forced(run: RunHere, studio: Path) -> None:
    done = run(*A, "--report", "report.html", "--json")
    assert done.json["artifacts"][-1] == "report.html"
    page = (studio / "report.html").read_text(encoding="utf-8")
    assert f"{100 * done.json['results']['miou']:.2f}" in page
    assert done.json["results"]["protocol"] in page
    again = run(*A, "--report", "report.html")
    assert again.code == 1
    assert "report.html exists already" in again.err
    assert any((studio / newest("runs/eval")).iterdir())    # a score that was not made leaves no folder
    assert run(*A, "--report", "report.html", "--force").code == 0


def test_groups_and_aliases_may_come_from_a_file_and_from_set(run: RunHere, studio: Path) -> None:
    for text in ("group: ['x=thing 0,thing 1']", "group: x=thing 0,thing 1"):
        (studio / "my.yaml").write_text(f"{text}\n", encoding="utf-8")
        groups = run(*A, "-c", "my.yaml", "--json").json["results"]["groups"]
        assert [(row["name"], row["classes"]) for row in groups] == [("x", ["thing 0", "thing 1"])]
    for text in ("group=['y=thing 0,thing 1']", "group=y=thing 0,thing 1"):
        groups = run(*A, "--set", text, "--json").json["results"]["groups"]
        assert [(row["name"], row["classes"]) for row in groups] == [("y", ["thing 0", "thing 1"])]
    bare = run(*A, "--set", "group=[y=thing 0,thing 1]")
    assert (bare.code, bare.err.splitlines()[0]) == (2, "error: --group 'thing 1' is no group")
    assert bare.err.splitlines()[1].endswith("in a list, in quotes: group=['vehicle=car,bus']")
    wrong = run(*A, "--set", "alias=['thing 9=thing 0']")
    assert (wrong.code, wrong.err.splitlines()[0]) == (2, "error: the weights have no class 'thing 9'")


def test_masks_of_predict_score_as_their_network_does(run: RunHere, studio: Path) -> None:
    own = run(*A, "--json").json["results"]
    assert run("predict", "data/images/val", "-w", "a.safetensors", "-o", "masks", "--save", "mask,overlay").code == 0
    found = run("eval", "--predictions", "masks", "-d", "data", "--json").json["results"]
    for name in ("miou", "macc", "aacc", "fwiou", "mdice", "miou_ci95", "per_class", "confusion_matrix", "images"):
        assert found[name] == own[name]
    assert "masks of another tool, taken as they are" in found["protocol"]
    (studio / "masks" / "p1.png").unlink()
    lacking = run("eval", "--predictions", "masks", "-d", "data")
    assert lacking.code == 1
    assert lacking.err.splitlines()[0] == "error: no mask found for 1 of 7 images (first: p1)"
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(studio / "masks" / "p1.png")
    assert "p1.png is 2 x 3, its target 64 x 64 (height x width)" in run(
        "eval", "--predictions", "masks", "-d", "data"
    ).err


def test_a_split_without_labels_gives_masks_one_warning_and_no_table(
    run: RunHere, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    write_sample(tmp_path / "scenes", {"test": 2}, (64, 128))
    shutil.rmtree(tmp_path / "scenes" / "gtFine")
    names = class_set("cityscapes").class_names
    weights = save_checkpoint(tmp_path / "city.safetensors", random_checkpoint(classes=19, class_names=names))
    asked = ("eval", "-w", str(weights), "-d", f"cityscapes:{tmp_path / 'scenes'}", "--split", "test")
    done = run(*asked, "--submission", str(tmp_path / "masks"), "--calibration")
    assert done.code == 0, done.err
    first, second = done.out.splitlines()
    assert first == "no score, since the split has no labels"
    assert second.startswith("2 images of cityscapes test, ")
    assert [line for line in done.err.splitlines() if line.startswith("warning: ")] == [
        "warning: split 'test' of cityscapes has no labels: masks were written, there is no score"
    ]
    assert f"wrote {tmp_path / 'masks'}" in done.err
    again = run(*asked, "--submission", str(tmp_path / "more"), "--min-miou", "0.5")
    assert again.code == 3
    assert again.err.splitlines()[-1].startswith("error: mIoU is undefined, since the split has no labels")


def test_on_a_real_terminal_of_60_columns_every_figure_is_whole(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    names = tuple(f"a class of a long name {index}" for index in range(5))
    data = write_lot(tmp_path / "data", names=names)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("SEGFORMER_", "NO_COLOR"))}
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "segformer_cli", "eval", "--predictions", str(data / "masks"), "-d", str(data)],
        stdout=theirs, stderr=subprocess.DEVNULL, cwd=tmp_path,
        env={**environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "60"},
    )
    os.close(theirs)
    text = b""
    with suppress(OSError):     # a terminal that nobody writes to any more
        while part := os.read(ours, 10_000):
            text += part
    assert done.wait(timeout=60) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", text.decode()).splitlines()
    rows = [line.strip() for line in lines if line.strip().startswith("a class")]
    assert len(rows) == 5
    for row in rows:
        assert len(row) <= 60
        assert re.fullmatch(r"a class.*…  1\.0000  1\.000-1\.000  1\.0000  1\.0000 +\d+", row)
