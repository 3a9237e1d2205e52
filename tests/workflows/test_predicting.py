"""Jobs of many pictures: at the same time, in parts, and after a stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.config import PredictConfig
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.images import read_mask
from segformer_cli.model.checkpoint import save_checkpoint
from segformer_cli.workflows.predicting import plan, predict, shard_of
from segformer_cli.workflows.prediction import Prediction, Predictor
from tests.conftest import RandomCheckpoint

COUNT = 7


@pytest.fixture
def config(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> PredictConfig:
    weights = save_checkpoint(tmp_path / "weights.safetensors", random_checkpoint("b0", classes=5))
    (tmp_path / "in").mkdir()
    for number in range(COUNT):
        noise = np.random.default_rng(number).integers(0, 255, (40, 56 + 8 * (number % 2), 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"in/{number}.png")
    return PredictConfig(
        inputs=(str(tmp_path / "in"),), weights=str(weights), out=str(tmp_path / "out"), save=("mask", "overlay")
    )


def masks(folder: str | Path | None) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(str(folder)).glob("*.png"))}


def test_many_at_once_are_those_of_one_after_the_other_in_their_order(config: PredictConfig, tmp_path: Path) -> None:
    found = predict(config)
    assert [Path(each.input).name for each in found.images] == [f"{number}.png" for number in range(COUNT)]
    predictor = Predictor(config.weights)
    for each in found.images:
        assert (read_mask(Path(each.outputs[0])) == predictor(each.input).mask).all()


def test_pictures_are_read_while_others_are_predicted_and_written(
    config: PredictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    for room, name in ((Predictor, "read"), (Predictor, "predict_pixels"), (Prediction, "save")):
        plain = getattr(room, name)

        def noted(*words: object, name: str = name, plain: object = plain, **more: object) -> object:
            seen.append(name)
            return plain(*words, **more)  # type: ignore[operator]

        monkeypatch.setattr(room, name, noted)
    predict(config)
    third = [at for at, name in enumerate(seen) if name == "predict_pixels"][2]
    assert seen[:third].count("read") > 3


def test_what_an_earlier_call_has_done_is_not_done_again(config: PredictConfig, tmp_path: Path) -> None:
    predict(config)
    before = masks(config.out)
    os.remove(tmp_path / "out/1.png")
    (tmp_path / "out/2_overlay.png").write_bytes(b"of another hand")
    with pytest.raises(SegFormerError, match="exists already"):
        predict(config)
    again = predict(replace(config, resume=True))
    assert (again.kept, [Path(each.input).name for each in again.images]) == (COUNT - 2, ["1.png", "2.png"])
    assert masks(config.out) == before
    done = predict(replace(config, resume=True))
    assert (done.kept, done.images) == (COUNT, ())


@pytest.mark.parametrize(("fields", "said"), [
    ({"size": "32"}, "size is 32, what lies there was made with None"),
    ({"opacity": 0.1}, "opacity is 0.1"),
    ({"save": ("mask",)}, "save is"),
])
def test_other_options_or_weights_do_not_go_on(
    config: PredictConfig, tmp_path: Path, random_checkpoint: RandomCheckpoint, fields: dict[str, object], said: str
) -> None:
    predict(config)
    with pytest.raises(UsageError, match=said):
        predict(replace(config, resume=True, **fields))  # type: ignore[arg-type]
    other = save_checkpoint(tmp_path / "other.safetensors", random_checkpoint("b0", classes=6))
    with pytest.raises(UsageError, match="weights is"):
        predict(replace(config, resume=True, weights=str(other)))
    same = tmp_path / "moved.safetensors"
    Path(config.weights).rename(same)
    assert predict(replace(config, resume=True, weights=str(same))).kept == COUNT


def test_a_journal_whose_last_line_was_cut_goes_on_and_a_damaged_one_is_one_error(
    config: PredictConfig, tmp_path: Path
) -> None:
    predict(config)
    journal = tmp_path / "out/.predict.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]) + lines[-1][:20])
    assert predict(replace(config, resume=True)).kept == COUNT - 1
    assert predict(replace(config, resume=True)).kept == COUNT
    journal.write_text(lines[0] + "no json\n" + lines[1])
    with pytest.raises(SegFormerError, match="is damaged"):
        predict(replace(config, resume=True))


def test_shards_are_all_pictures_once_and_names_are_those_of_the_whole(config: PredictConfig, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "in/0.jpg")
    whole, _ = plan(config)
    parts = [plan(replace(config, shard=f"{number}/3"))[0] for number in (1, 2, 3)]
    assert sorted(job.outputs for part in parts for job in part) == sorted(job.outputs for job in whole)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    for number in (1, 2, 3):
        predict(replace(config, shard=f"{number}/3"))
    predict(replace(config, out=str(tmp_path / "whole")))
    assert masks(config.out) == masks(tmp_path / "whole")
    assert predict(replace(config, resume=True)).kept == COUNT + 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no part of a whole"):
        shard_of(text)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_job_that_was_killed_goes_on_to_the_same_files(config: PredictConfig, tmp_path: Path) -> None:
    code = "import sys, time\nfrom segformer_cli.app import main\n"
    code += "from segformer_cli.workflows.prediction import Predictor\nplain = Predictor.predict_pixels\n"
    code += "Predictor.predict_pixels = lambda *words: (time.sleep(0.2), plain(*words))[1]\n"
    code += "main(sys.argv[1:])"
    line = [sys.executable, "-c", code, "predict", *config.inputs, "-w", config.weights, "-o", str(config.out),
            "--save", "mask,overlay"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "out/.predict.jsonl"
    while not journal.exists() or journal.read_text().count("\n") < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = predict(replace(config, resume=True))
    assert again.kept >= 2 and again.kept + len(again.images) == COUNT
    predict(replace(config, out=str(tmp_path / "whole")))
    assert masks(config.out) == masks(tmp_path / "whole")


def test_the_flag_and_its_summary(config: PredictConfig, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "segformer_cli", "predict", *config.inputs, "-w", config.weights, "-o",
            str(config.out), "--save", "mask,overlay", "--continue"]
    first, second = (subprocess.run(line, capture_output=True, text=True, check=True) for _ in range(2))
    assert f"{COUNT} pictures;" in first.stdout
    assert f"all {COUNT} were done already" in second.stdout
    said = json.loads(subprocess.run([*line, "--json"], capture_output=True, text=True, check=True).stdout)
    assert said["results"]["kept"] == COUNT and said["results"]["images"] == []


def test_one_file_is_nothing_to_continue(config: PredictConfig, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is one file: there is nothing to continue"):
        plan(replace(config, inputs=(str(tmp_path / "in/0.png"),), out=str(tmp_path / "a.png"), resume=True))

