"""A whole tour on tiny drawn scenes: train, score, predict."""

from __future__ import annotations

import json
import re
import shutil

import pytest

DATA = ("-d", "cityscapes:scenes")
TINY = ("--iterations", "2", "-b", "1", "--crop-size", "64", "--preset", "scratch", "-w", "none", "--workers", "0")


@pytest.fixture(scope="module")
def studio(tmp_path_factory, segformer_in):
    """A folder with three drawn scenes and a run of two iterations on them."""
    folder = tmp_path_factory.mktemp("studio")
    run = segformer_in(folder)
    assert run("data", "sample", "-o", "scenes", "--train", "2", "--val", "1", "--size", "64x128").returncode == 0
    trained = run("train", *DATA, *TINY, "-o", "trained", "--json")
    assert trained.returncode == 0, trained.stderr
    return folder, run, trained


def test_train_reports_the_run_on_stdout_and_the_plan_on_stderr(studio):
    folder, _, trained = studio
    found = json.loads(trained.stdout)
    assert (found["command"], found["ok"], found["artifacts"]) == ("train", True, ["trained"])
    assert {"run", "best_miou", "iterations", "images_per_s"} <= set(found["results"])
    assert found["results"]["iterations"] == 2
    assert "start: random weights" in trained.stderr
    assert (folder / "trained" / "checkpoints" / "best.safetensors").is_file()


def test_train_dry_run_prints_the_plan_and_leaves_nothing(studio):
    folder, run, _ = studio
    done = run("train", *DATA, *TINY, "-o", "planned", "--dry-run")
    assert done.returncode == 0
    assert "2 iterations of 1 crops of 64 x 64" in done.stdout
    assert not (folder / "planned").exists()


def test_the_written_configuration_of_a_run_repeats_it(studio):
    _, run, _ = studio
    done = run("train", "-c", "trained/config.yaml", "-o", "again", "--dry-run", "--json")
    found = json.loads(done.stdout)["results"]["config"]
    assert (found["iterations"], found["crop_size"], found["preset"]) == (2, [64, 64], "scratch")


def test_eval_scores_a_run_and_min_miou_makes_it_a_check(studio):
    _, run, _ = studio
    done = run("eval", "-w", "trained", *DATA, "--json", "--min-miou", "0.99")
    found = json.loads(done.stdout)
    assert done.returncode == found["error"]["exit_code"] == 3
    assert found["ok"] is False
    assert len(found["results"]["per_class"]) == len(found["results"]["confusion_matrix"]) == 19
    assert found["results"]["images"] == 1
    assert 0 <= found["results"]["miou"] < 0.99


def test_eval_prints_a_plain_table_and_the_next_command(studio):
    _, run, _ = studio
    done = run("eval", "-w", "trained", *DATA)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["class", "IoU", "95", "%", "acc", "Dice", "pixels"]
    assert "mIoU 0." in done.stdout
    assert done.stderr.splitlines()[-1].startswith("next: segformer predict")


def test_data_that_is_not_there_is_an_expected_error_and_weights_that_nobody_named_wrong_usage(studio):
    folder, run, _ = studio
    done = run("eval", "-w", "trained", "-d", "nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no folder nowhere")
    (folder / "own").mkdir()
    done = run("eval", "-d", "camvid:own")
    assert done.returncode == 2
    assert "hint:  add -w WEIGHTS" in done.stderr


def test_predict_writes_a_mask_for_each_picture(studio):
    folder, run, _ = studio
    picture = next((folder / "scenes" / "leftImg8bit" / "val").rglob("*.png"))
    shutil.copy(picture, folder / "street.png")
    done = run("predict", "street.png", "-w", "trained", "-o", "out", "--save", "mask,overlay", "--json")
    found = json.loads(done.stdout)
    assert found["ok"] is True, done.stderr
    (image,) = found["results"]["images"]
    assert image["size_hw"] == [64, 128]
    assert set(found["artifacts"]) == set(image["outputs"])
    assert all((folder / path).is_file() for path in image["outputs"])
    assert abs(sum(row["share"] for row in image["classes"]) - 1) < 1e-6
    again = run("predict", "street.png", "-w", "trained", "-o", "out", "--save", "mask,overlay")
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_the_last_line_of_predict_says_what_was_found_and_where_the_file_is(studio):
    folder, run, _ = studio
    picture = next((folder / "scenes" / "leftImg8bit" / "val").rglob("*.png"))
    shutil.copy(picture, folder / "one.png")
    done = run("predict", "one.png", "-w", "trained", "-o", "found/one.png")
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"found/one\.png: [a-z ]+ \d+ %(, .*)?", done.stdout.splitlines()[-1].replace("\\", "/"))
    assert "next:" not in done.stderr


def test_predict_says_so_when_every_picture_failed(studio):
    folder, run, _ = studio
    (folder / "broken").mkdir()
    for name in ("a.png", "b.png"):
        (folder / "broken" / name).write_bytes(b"no picture")
    done = run("predict", "broken", "-w", "trained", "-o", "nothing")
    assert done.returncode == 5
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1] == "error: all 2 pictures failed; nothing was written"


def test_predict_goes_on_after_a_broken_picture_and_ends_with_5(studio):
    folder, run, _ = studio
    picture = next((folder / "scenes" / "leftImg8bit" / "val").rglob("*.png"))
    (folder / "mixed").mkdir()
    shutil.copy(picture, folder / "mixed" / "a.png")
    (folder / "mixed" / "b.png").write_bytes(b"no picture")
    done = run("predict", "mixed", "-w", "trained", "-o", "masks", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == found["error"]["exit_code"] == 5
    assert len(found["results"]["images"]) == 1
    assert found["results"]["failed"][0]["input"].endswith("b.png")


def test_predict_without_input_is_wrong_usage(studio):
    _, run, _ = studio
    assert run("predict", "-w", "trained").returncode == 2
