"""The class-map check: masks whose ids mean something else than they are read as, and what is said of them."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.app import main
from segformer_cli.config import CheckConfig, EvalConfig, TrainConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.layouts.file_ids import cityscapes_label_ids
from segformer_cli.data.problems import Problem
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import DataError
from segformer_cli.model.checkpoint import load_checkpoint, network_from, save_checkpoint
from segformer_cli.progress import Progress
from segformer_cli.workflows import class_map, evaluation, training
from segformer_cli.workflows.class_map import ClassMap, class_map_of, looked_at, meaning_of, note_for_training
from segformer_cli.workflows.data_check import DataCheck, check_data
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.planning import TrainingPlan, plan
from segformer_cli.workflows.runs import Run
from segformer_cli.workflows.training import train
from tests.conftest import RandomCheckpoint
from tests.tiny_data import THINGS, take_masks_as_targets, write_lot
from tests.workflows.conftest import CITY, Weights

Ids = NDArray[np.uint8]
TRAIN_IDS = cityscapes_label_ids()[:256].astype(np.uint8)
ORDER = np.random.default_rng(0).permutation(19).astype(np.uint8)


def as_train_ids(stored: Ids) -> Ids:
    return TRAIN_IDS[stored]


def as_they_are(stored: Ids) -> Ids:
    return stored


def from_one(stored: Ids) -> Ids:
    return np.where(TRAIN_IDS[stored] == 255, 0, TRAIN_IDS[stored] + 1).astype(np.uint8)


def swapped(stored: Ids) -> Ids:
    return np.array([1, 0, *range(2, 256)], np.uint8)[TRAIN_IDS[stored]]


def permuted(stored: Ids) -> Ids:
    ids = TRAIN_IDS[stored]
    return np.where(ids == 255, 255, ORDER[np.minimum(ids, 18)]).astype(np.uint8)


def write(root: Path, redrawn: Callable[[Ids], Ids], pictures: int = 4, names: tuple[str, ...] = CITY) -> str:
    """The first drawn streets as someone's own data with Cityscapes' classes, their masks in other ids."""
    for name in ("train", "val"):
        split = open_data("sample", name).first(pictures)
        for at, pair in enumerate(split.pairs):
            assert pair.mask is not None
            for folder in ("images", "masks"):
                (root / folder / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(str(pair.image), root / "images" / name / f"{name[0]}{at}.png")
            ids = redrawn(np.asarray(split.read_ids(pair.mask), np.uint8))
            Image.fromarray(ids).save(root / "masks" / name / f"{name[0]}{at}.png")
    (root / "classes.txt").write_text("\n".join(names))
    return str(root)


def check(data: str, weights: str = "sample", **fields: Any) -> DataCheck:
    return check_data(CheckConfig(data=data, weights=weights, device="cpu", workers=2, **fields))


def of_ids(found: DataCheck) -> Problem:
    """The one problem of the class map."""
    (problem,) = (each for each in found.problems if each.kind == "class_map")
    return problem


def scored(data: str, weights: str = "sample", **fields: Any) -> evaluation.Evaluation:
    return evaluate(EvalConfig(weights=weights, data=data, device="cpu", resamples=0, **fields))


def of_masks(warnings: tuple[str, ...]) -> list[str]:
    return [text for text in warnings if "your masks" in text]


@pytest.mark.parametrize("redrawn", [as_train_ids, from_one, permuted, as_they_are])
def test_what_is_proposed_is_pasted_and_mends_it(
    redrawn: Callable[[Ids], Ids], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "mine", redrawn)
    command = ["data", "check", "-d", data, "-w", "sample", "--device", "cpu", "--json"]
    assert main(command) == (0 if redrawn is as_train_ids else 3)
    problems = {each["kind"]: each for each in json.loads(capsys.readouterr().out)["results"]["problems"]}
    assert ("class_map" in problems) == (redrawn is not as_train_ids)
    if redrawn is as_train_ids:
        return
    said = problems["class_map"]
    assert said["severity"] == "error" and said["count"] > 10 and "/masks/train/t0.png" in said["first"]
    options = said["hint"].removeprefix("use ").partition(" (")[0]
    assert main([*command, *shlex.split(options)]) == 0


def test_two_classes_that_have_changed_places_are_named(tmp_path: Path) -> None:
    problem = of_ids(check(write(tmp_path / "mine", swapped)))
    assert problem.detail.startswith("train, val: road and sidewalk seem to be swapped in your masks (mIoU 0.")
    assert (problem.hint, problem.count) == ("use --map 0=sidewalk --map 1=road", 2)


def test_masks_that_count_from_1_are_met_with_reduce_zero(tmp_path: Path) -> None:
    assert of_ids(check(write(tmp_path / "mine", from_one))).hint == "use --reduce-zero"


def test_masks_that_count_from_0_are_to_be_read_without_reduce_zero(tmp_path: Path) -> None:
    problem = of_ids(check(write(tmp_path / "mine", as_train_ids), reduce_zero=True))
    assert "count the classes from 0" in problem.detail and problem.hint == "use no --reduce-zero"


def test_label_ids_in_data_of_ones_own_are_told_by_name(tmp_path: Path) -> None:
    problem = of_ids(check(write(tmp_path / "mine", as_they_are)))
    assert "your masks look like labelIds" in problem.detail
    assert "--map 7=road --map 8=sidewalk" in problem.hint and "--map '19=traffic light'" in problem.hint


def test_train_ids_in_files_of_label_ids_are_told_by_name(tmp_path: Path) -> None:
    root = tmp_path / "city"
    for pair in open_data("sample", "val").first(4).pairs:
        assert pair.mask is not None
        for path, array in ((pair.image, None), (pair.mask, as_train_ids)):
            place = root / Path(*Path(str(path)).parts[-4:])
            place.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.asarray(Image.open(str(path)))
            Image.fromarray(pixels if array is None else array(pixels)).save(place)
    problem = of_ids(check(f"cityscapes:{root}"))
    assert "look like ids of the classes (train ids), and are read as labelIds" in problem.detail
    assert check(f"cityscapes:{root}", map=tuple(shlex.split(problem.hint)[2::2])).errors == 0


def test_entries_that_were_given_are_kept_and_mended_in_what_is_proposed(tmp_path: Path) -> None:
    data = write(tmp_path / "mine", as_train_ids)
    problem = of_ids(check(data, map=("0=sidewalk", "1=road", "40=ignore")))
    assert problem.hint == "use --map 40=ignore --map 0=road --map 1=sidewalk"


def test_a_fix_has_the_ids_as_they_should_be_read(tmp_path: Path) -> None:
    fixed = tmp_path / "good.yaml"
    check(write(tmp_path / "mine", permuted), fix=str(fixed))
    assert check(str(fixed)).errors == 0
    split, true = open_data(str(fixed), "val"), open_data("sample", "val")
    seen = split.read_target(split.pairs[0])
    assert (seen == true.read_target(true.pairs[0])).mean() > 0.99


def test_a_split_that_is_numbered_otherwise_than_the_rest_is_told_alone_and_not_fixed(tmp_path: Path) -> None:
    data = Path(write(tmp_path / "mine", as_train_ids))
    shutil.copytree(Path(write(tmp_path / "other", swapped)) / "masks" / "val", data / "masks" / "val",
                    dirs_exist_ok=True)
    problem = of_ids(check(str(data), fix=str(tmp_path / "good.yaml")))
    assert problem.detail.startswith("val: road and sidewalk") and "/val/" in problem.first
    assert open_data(str(tmp_path / "good.yaml"), "train").ids[:2].tolist() == [0, 1]


def test_the_sample_itself_is_well(tmp_path: Path) -> None:
    assert check("sample", predict=4).errors == 0


def test_random_weights_say_nothing_of_any_ids(tmp_path: Path, weights_of: Weights) -> None:
    weights = weights_of(class_names=CITY)
    for redrawn in (as_train_ids, permuted):
        assert check(write(tmp_path / redrawn.__name__, redrawn), weights).errors == 0


def test_classes_in_another_order_in_the_weights_are_matched_by_name(tmp_path: Path) -> None:
    names = tuple(reversed(CITY))

    def backwards(stored: Ids) -> Ids:
        ids = TRAIN_IDS[stored]
        return np.where(ids == 255, 255, 18 - np.minimum(ids, 18)).astype(np.uint8)

    assert check(write(tmp_path / "well", backwards, names=names)).errors == 0
    hint = of_ids(check(write(tmp_path / "ill", swapped, names=names))).hint
    assert hint.startswith("use --map 0=sidewalk --map 1=road --map 2=building")


def test_classes_that_the_weights_do_not_know_are_an_error_before_anything_is_read(tmp_path: Path) -> None:
    data = str(write_lot(tmp_path / "lot"))
    (tmp_path / "lot" / "masks" / "val" / "p0.png").write_bytes(b"")
    with pytest.raises(DataError, match="the weights know 19 classes") as caught:
        check(data)
    assert "leave out -w" in str(caught.value.hint)


def test_one_class_against_the_rest_is_looked_at_as_two(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> None:
    checkpoint = random_checkpoint("b0", classes=1, class_names=("crack",))
    checkpoint.tensors["head.classify.bias"].zero_()
    save_checkpoint(tmp_path / "one.safetensors", checkpoint)
    root = write_lot(tmp_path / "mine", names=("background", "crack"))
    take_masks_as_targets(root, checkpoint, wrong=0.1)
    shares = [np.asarray(Image.open(path)).mean() for path in sorted((root / "masks" / "val").iterdir())]
    assert 0.02 < np.mean(shares) < 0.98
    assert check(str(root), str(tmp_path / "one.safetensors")).errors == 0
    for path in (root / "masks" / "val").iterdir():
        Image.fromarray(1 - np.asarray(Image.open(path))).save(path)
    found = check(str(root), str(tmp_path / "one.safetensors"))
    assert "background and crack seem to be swapped" in of_ids(found).detail


def test_a_damaged_picture_is_passed_over(tmp_path: Path) -> None:
    data = write(tmp_path / "mine", swapped)
    (tmp_path / "mine" / "images" / "train" / "t1.png").write_bytes(b"")
    found = check(data)
    assert {each.kind for each in found.problems if each.severity == "error"} == {"empty", "class_map"}
    assert "on 3 pictures of train" in of_ids(found).detail


def test_a_large_picture_passes_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter, split = Segmenter.of(load_model("sample"), torch.device("cpu")), open_data("sample", "val")
    whole = looked_at(segmenter, split, 2)
    monkeypatch.setattr(class_map, "PIXELS", 128 * 256)
    smaller = looked_at(segmenter, split, 2)
    assert (whole.pixels.sum(1) == smaller.pixels.sum(1)).all() and (whole.pixels != smaller.pixels).any()


# --- by itself ------------------------------------------------------------------------------------------


def test_an_evaluation_warns_of_ids_that_mean_other_classes_and_scores_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "mine", swapped, pictures=2)
    result = scored(data)
    (warning,) = of_masks(result.warnings)
    assert warning.startswith("road and sidewalk seem to be swapped") and "use --map 0=sidewalk --map 1=road" in warning
    assert of_masks(scored(data, map=("0=sidewalk", "1=road")).warnings) == []
    monkeypatch.setattr(evaluation, "_watch", lambda *_: None)
    assert (scored(data).confusion == result.confusion).all()


def test_an_evaluation_of_sound_masks_or_by_name_or_of_masks_alone_warns_of_nothing(tmp_path: Path) -> None:
    assert of_masks(scored(write(tmp_path / "well", as_train_ids, pictures=2)).warnings) == []
    data = write(tmp_path / "mine", swapped, pictures=2)
    assert of_masks(scored(data, by_name=True).warnings) == []
    masks = str(tmp_path / "mine" / "masks" / "val")
    result = evaluate(EvalConfig(predictions=masks, data=data, resamples=0))
    assert of_masks(result.warnings) == [] and result.miou == 1


def test_an_evaluation_that_fails_for_an_id_says_what_the_ids_look_like(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which is no class") as caught:
        scored(write(tmp_path / "mine", as_they_are, pictures=2))
    assert str(caught.value.hint).startswith("your masks look like labelIds")


def test_of_many_pictures_the_first_few_warn_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_map, "MANY", 5)
    told: list[Progress] = []
    data = write(tmp_path / "mine", swapped, pictures=6)
    evaluate(EvalConfig(weights="sample", data=data, device="cpu", resamples=0), told.append)
    (early,) = [step for step in told if step.message and "swapped" in step.message]
    assert early.done == 4 and str(early.message).startswith("warning: road and sidewalk")


def test_no_picture_passes_the_network_for_the_look_of_an_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    logits = Segmenter.logits

    def counting(self: Segmenter, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return logits(self, images)

    monkeypatch.setattr(Segmenter, "logits", counting)
    assert of_masks(scored(write(tmp_path / "mine", swapped, pictures=3)).warnings)
    assert sum(seen) == 3


SHORT: dict[str, Any] = {
    "variant": "b0", "device": "cpu", "iterations": 1, "batch_size": 2, "crop_size": (32, 32), "workers": 0,
}


def trained(data: str, out: Path, weights: str = "sample", **fields: Any) -> tuple[list[str], Path]:
    """What was told of masks in a training of one step, and its folder."""
    told: list[Progress] = []
    train(TrainConfig(data=data, weights=weights, out=str(out), **{**SHORT, **fields}), told.append)
    return [step.message for step in told if step.message and "your masks" in step.message], out


def test_a_training_from_weights_warns_and_trains_what_it_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "mine", swapped, pictures=2)
    (said,), run = trained(data, tmp_path / "a")
    assert said.startswith("warning: road and sidewalk seem to be swapped") and "0=sidewalk" in said
    assert "seem to be swapped" in "".join(path.read_text() for path in run.glob("*.jsonl"))
    monkeypatch.setattr(training, "note_for_training", lambda _: None)
    silent, other = trained(data, tmp_path / "b")
    assert silent == []
    ours, theirs = (load_checkpoint(place / "checkpoints" / "last.safetensors").tensors for place in (run, other))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_only_a_training_that_begins_from_weights_of_the_same_classes_is_looked_at(
    tmp_path: Path, weights_of: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write(tmp_path / "mine", swapped, pictures=2)

    def planned(weights: str) -> TrainingPlan:
        return plan(TrainConfig(data=data, weights=weights, out=str(tmp_path / "run"), **SHORT))

    from_sample, fresh, from_things = (planned(each) for each in ("sample", "none", weights_of(class_names=THINGS)))
    first, second = (replace(from_sample, config=replace(from_sample.config, folds=2, fold=k)) for k in (1, 2))
    goes_on = replace(from_sample, run=Run(tmp_path / "run"))
    said = [note_for_training(each) for each in (from_sample, first, fresh, from_things, second, goes_on)]
    assert [text is not None for text in said] == [True, True, False, False, False, False]

    def refuse(*_: object) -> None:
        raise DataError("nothing can be looked at")

    monkeypatch.setattr(class_map, "looked_at", refuse)
    assert note_for_training(from_sample) is None


def test_weights_know_the_data_by_name_where_they_have_all_its_classes(random_checkpoint: RandomCheckpoint) -> None:
    split = open_data("sample", "val")
    same = network_from(random_checkpoint("b0", classes=19, class_names=CITY)).config
    more = network_from(random_checkpoint("b0", classes=20, class_names=("sand", *CITY))).config
    assert meaning_of(same, split) is None
    meaning = meaning_of(more, split)
    assert meaning is not None and meaning.tolist() == [19, *range(19)]


def test_where_no_setting_reads_the_data_so_the_masks_must_be_mended(tmp_path: Path) -> None:
    data = write(tmp_path / "mine", swapped, pictures=2)
    split, segmenter = open_data(data, "val"), Segmenter.of(load_model("sample"), torch.device("cpu"))
    counts = looked_at(segmenter, split, 2)
    found = class_map_of(counts, split, str(tmp_path / "gone"), "val", Bending())
    assert isinstance(found, ClassMap) and found.way_out.startswith("save the masks with the ids")
