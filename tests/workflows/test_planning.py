"""What a training will do: recipes, rates and sizes that follow from data and start."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segformer_cli.app import main
from segformer_cli.config import TrainConfig
from segformer_cli.data.class_statistics import STATISTICS, count_classes
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.data.sample import write_sample
from segformer_cli.engine.loading import build_model, load_model
from segformer_cli.engine.training.trainer import Step, Trainer
from segformer_cli.errors import DataError, EnvironmentLacksError, UsageError
from segformer_cli.model.checkpoint import save_checkpoint
from segformer_cli.progress import Progress
from segformer_cli.settings import presets, resolve
from segformer_cli.workflows import defaults, planning, training
from segformer_cli.workflows.recipe import criterion_of, recipe_of
from segformer_cli.workflows.step_cost import StepCost, crops_in_turn
from tests.conftest import RandomCheckpoint

PAPER = [name for name in presets() if resolve(TrainConfig, preset=name).weights == "imagenet"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": 4, "val": 2}, (64, 128))
    return f"cityscapes:{root}"


def tiny(data: str, **fields: object) -> TrainConfig:
    values = {
        "data": data, "weights": "none", "iterations": 4, "batch_size": 2, "crop_size": (32, 32), "workers": 0,
        "eval_every": 2, "log_every": 1, "device": "cpu", **fields,
    }
    return TrainConfig(**values)  # type: ignore[arg-type]


def put_own(root: Path, *masks: np.ndarray) -> str:
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index, mask in enumerate(masks):
        Image.fromarray(mask).save(root / "masks" / f"{index}.png")
        Image.fromarray(np.zeros((*mask.shape, 3), np.uint8)).save(root / "images" / f"{index}.png")
    return str(root)


def of_sizes(root: Path, *sizes: tuple[int, int]) -> str:
    return put_own(root, *(np.indices(size).sum(0).astype(np.uint8) % 2 for size in sizes))


def test_defaults_follow_from_the_data(scenes: str) -> None:
    planned = planning.plan(tiny(scenes, iterations=None, crop_size=None, warmup=None, eval_every=None))
    assert planned.config.iterations == 1000  # 80 epochs of 4 images are fewer than the least
    assert planned.config.crop_size == (64, 128)
    assert planned.config.warmup == 100
    assert planned.config.eval_every == 100
    assert planned.seconds_per_step > 0


@given(images=st.integers(1, 30_000), batch_size=st.integers(1, 64))
@settings(deadline=None, max_examples=60)
def test_iterations_are_80_epochs_at_least_1000_at_most_40000(images: int, batch_size: int) -> None:
    pairs = (Pair("a", Path("a.png"), Path("a.png")),) * images
    split = Split("train", "own", Path(), ("a", "b"), ((0, 0, 0),) * 2, 255, identity_ids(2, 255), pairs)
    config = TrainConfig(batch_size=batch_size, crop_size=(32, 32))
    found = defaults.filled(config, split, torch.device("cpu"), False, None)
    assert found.iterations == min(max(80 * images // batch_size, 1000), 40_000)
    given_epochs = dataclasses.replace(config, epochs=2.5)
    found = defaults.filled(given_epochs, split, torch.device("cpu"), False, None)
    assert (found.iterations, found.epochs) == (max(1, round(2.5 * images / batch_size)), None)


def test_rates_follow_from_the_start_and_the_batch(
    scenes: str, tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    path = str(save_checkpoint(tmp_path / "b0.safetensors", random_checkpoint("b0")))
    fresh = planning.plan(tiny(scenes)).config
    assert (fresh.lr, fresh.head_lr_multiplier) == (1e-3, 1.0)
    started = planning.plan(tiny(scenes, weights=path, batch_size=8)).config
    assert (started.lr, started.head_lr_multiplier) == (pytest.approx(3e-5), 10.0)
    assert planning.plan(tiny(scenes, weights=path, batch_size=16)).config.lr == pytest.approx(6e-5)
    stated = planning.plan(tiny(scenes, weights=path, lr=0.5, head_lr_multiplier=0.0)).config
    assert (stated.lr, stated.head_lr_multiplier) == (0.5, 0.0)
    assert recipe_of(started).lr == started.lr


def test_the_crop_is_that_of_pictures_in_the_middle_up_to_512(tmp_path: Path) -> None:
    sizes = [(500, 40), (70, 90), (70, 600), (75, 95), (70, 90)]
    assert defaults.crop_for(open_data(of_sizes(tmp_path / "small", *sizes), "all")) == (96, 96)
    large = open_data(of_sizes(tmp_path / "large", (600, 700)), "all")
    assert defaults.crop_for(large) == (512, 512)


def test_the_start_that_was_found_is_stored_with_the_settings(
    scenes: str, tmp_path: Path, random_checkpoint: RandomCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    planned = planning.plan(tiny(scenes, weights=None, offline=True))
    assert planned.config.weights == "none"
    assert planned.start == "random weights, since b0-imagenet could not be had"
    path = str(save_checkpoint(tmp_path / "b0.safetensors", random_checkpoint("b0")))
    assert planning.plan(tiny(scenes, weights=path)).config.weights == path


def test_the_preset_follows_from_start_and_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert planning.default_preset(TrainConfig()) == "sample"
    own = str(tmp_path / "own")
    for split in ("train", "val"):
        (tmp_path / "own" / "images" / split).mkdir(parents=True)
        (tmp_path / "own" / "masks" / split).mkdir(parents=True)
    assert planning.default_preset(TrainConfig(data=own, weights="none")) == "scratch"
    assert planning.default_preset(TrainConfig(data=own, weights="w.safetensors")) == "finetune"
    assert planning.default_preset(TrainConfig(data=own, offline=True)) == "scratch"


@pytest.mark.parametrize(
    ("layout", "variant", "preset"),
    [
        ("ade20k", "b0", "ade20k-512"),
        ("ade20k", "b5", "ade20k-640"),
        ("cityscapes", "b5", "cityscapes-1024"),
        ("coco-stuff164k", "b2", "coco-stuff-512"),
        ("camvid", "b0", "scratch"),
    ],
)
def test_the_papers_data_sets_get_its_recipes_unless_another_start_is_named(
    layout: str, variant: str, preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    config = TrainConfig(data=f"{layout}:{tmp_path}", variant=variant, offline=True)
    assert planning.default_preset(config) == preset
    assert planning.default_preset(dataclasses.replace(config, weights="none")) == "scratch"
    assert planning.default_preset(dataclasses.replace(config, weights="w.pth")) == "finetune"
    assert set(planning.PAPER_PRESETS.values()) < set(PAPER)


@pytest.mark.parametrize("name", PAPER)
def test_a_paper_preset_starts_from_imagenet_or_says_how_to_do_without(
    name: str, scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    flags = {"variant": "b2", "data": scenes, "offline": True, "device": "cpu"}
    with pytest.raises(EnvironmentLacksError) as caught:
        planning.plan(resolve(TrainConfig, preset=name, flags=flags))
    assert caught.value.exit_code == 4
    assert caught.value.hint == "add -w none to train from scratch"
    assert "mit-b2" in str(caught.value)
    small = {**flags, "variant": "b0", "weights": "none", "crop_size": "32", "batch_size": "1"}
    planned = planning.plan(resolve(TrainConfig, preset=name, flags=small))
    assert (planned.start, planned.config.weights) == ("random weights", "none")


def test_a_paper_preset_trains_with_the_optimiser_of_the_released_code(scenes: str) -> None:
    flags = {"weights": "none", "data": scenes, "crop_size": "32", "batch_size": "1", "device": "cpu"}
    recipe = recipe_of(planning.plan(resolve(TrainConfig, preset="ade20k-512", flags=flags)).config)
    criterion = criterion_of(TrainConfig(), 255, 2)
    trainer = Trainer(build_model("b0", num_classes=2), criterion, recipe, torch.device("cpu"))
    found = {group["name"]: (group["lr"], group["weight_decay"]) for group in trainer.optimizer.param_groups}
    assert found == {
        "encoder": (6e-5, 0.01), "encoder_norms": (6e-5, 0.0), "head": (pytest.approx(6e-4), 0.01),
    }
    assert {(group["betas"], group["eps"]) for group in trainer.optimizer.param_groups} == {((0.9, 0.999), 1e-8)}
    assert (recipe.iterations, recipe.warmup, recipe.poly_power, recipe.clip_norm) == (160_000, 1500, 1.0, None)
    step = trainer.step(torch.randn(1, 3, 32, 32), torch.zeros(1, 32, 32, dtype=torch.uint8))
    assert step.lr == pytest.approx(6e-11)          # the warm-up begins at a millionth


def test_class_weights_are_counted_told_and_stored(scenes: str) -> None:
    heard: list[Progress] = []
    planned = planning.plan(tiny(scenes, class_weights="auto"), heard.append)
    weights = planned.config.class_weights
    assert isinstance(weights, tuple)
    assert weights == pytest.approx(count_classes(planned.train).weights().tolist(), abs=1e-4)
    assert [step.done for step in heard if step.stage == "classes"] == [1, 2, 3, 4]
    lightest = min(range(19), key=lambda index: weights[index])
    assert f", {planned.train.class_names[lightest]} {weights[lightest]:.2f}\n" in str(planned)
    criterion = criterion_of(planned.config, 255, 19)
    assert criterion.weights is not None and tuple(criterion.weights.tolist()) == pytest.approx(weights)
    with pytest.raises(ValueError, match="puts numbers in its place"):
        criterion_of(tiny(scenes, class_weights="auto"), 255, 19)


def test_class_weights_are_a_flag_too(scenes: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["-d", scenes, "-w", "none", "--crop-size", "32", "-j", "0", "--device", "cpu", "--dry-run", "--json"]
    assert main(["train", *line, "--class-weights", "auto"]) == 0
    found = json.loads(capsys.readouterr().out)["results"]["config"]["class_weights"]
    assert found == list(defaults.counted_weights(count_classes(open_data(scenes, "train"))))


def test_few_class_weights_are_told_one_by_one(tmp_path: Path) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:10] = 1
    planned = planning.plan(tiny(put_own(tmp_path / "own", mask, mask, mask, mask, mask, mask), class_weights="auto"))
    frequent, rare = 1 / np.log(1.77), 1 / np.log(1.27)
    mean = 0.75 * frequent + 0.25 * rare
    assert f"class weights: class_1 {rare / mean:.2f}, class_0 {frequent / mean:.2f}\n" in str(planned)
    assert "\n1 of 6 images, chosen by a hash of their names, are val\n" in str(planned)


def test_a_split_without_a_labelled_pixel_has_no_classes_to_count(tmp_path: Path) -> None:
    nothing = np.full((40, 40), 255, np.uint8)
    put_own(tmp_path / "own", nothing, nothing, nothing, nothing)
    (tmp_path / "own" / "classes.txt").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match="no pixel of split 'train' is labelled"):
        planning.plan(tiny(str(tmp_path / "own"), sampling="rare"))


def test_rare_sampling_is_told_kept_with_the_run_and_the_same_whoever_reads(scenes: str, tmp_path: Path) -> None:
    planned = planning.plan(tiny(scenes, sampling="rare"))
    assert "sampling: each class as often as another" in str(planned)
    runs = {}
    for name, fields in {
        "none": {}, "two": {"workers": 2}, "uniform": {"sampling": "uniform"}
    }.items():
        config = tiny(scenes, **{"sampling": "rare", "out": str(tmp_path / name), **fields})
        runs[name] = training.train(config).run
    weights = {name: load_model(run).state_dict() for name, run in runs.items()}
    assert all(torch.equal(weights["none"][key], weights["two"][key]) for key in weights["none"])
    assert not torch.equal(weights["none"]["head.classify.weight"], weights["uniform"]["head.classify.weight"])
    assert (tmp_path / "none" / STATISTICS).is_file()
    assert not (tmp_path / "uniform" / STATISTICS).exists()


def test_a_run_of_rare_classes_goes_on_to_the_bit_without_reading_masks_again(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(scenes, sampling="rare", class_weights="auto", warmup=1)
    whole = training.train(dataclasses.replace(config, out=str(tmp_path / "whole")))
    go = Trainer.step

    def failing(self: Trainer, *batch: torch.Tensor) -> Step:
        if self.iteration == 3:
            raise KeyError("a crash")
        return go(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", failing)
        with pytest.raises(KeyError):
            training.train(dataclasses.replace(config, out=str(tmp_path / "run")))
    heard: list[Progress] = []
    training.train(TrainConfig(resume=True, out=str(tmp_path / "run")), heard.append)
    assert heard and not [step for step in heard if step.stage == "classes"]
    ours, theirs = (load_model(run).state_dict() for run in (tmp_path / "run", whole.run))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    rows = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("run", "whole")
    ]
    assert rows[0] == rows[1]


def test_too_few_class_weights_are_refused(scenes: str) -> None:
    with pytest.raises(UsageError, match="class_weights holds 2 numbers, the data has 19 classes"):
        planning.plan(tiny(scenes, class_weights=(1.0, 2.0)))


@pytest.mark.parametrize("loss", ["bce", "0.5*bce+dice"])
def test_bce_of_more_than_two_classes_is_refused_before_anything_is_fetched_or_counted(loss: str, scenes: str) -> None:
    with pytest.raises(UsageError, match="one class against the rest, the data has 19 classes") as caught:
        planning.plan(tiny(scenes, loss=loss, weights="no/such/file.pth"))
    assert (caught.value.where, caught.value.hint) == (f"loss {loss!r}", f"loss={loss.replace('bce', 'ce')}")


def test_bce_of_two_classes_is_planned(tmp_path: Path) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:10] = 1
    planned = planning.plan(tiny(put_own(tmp_path / "own", mask, mask, mask, mask), loss="bce + dice"))
    assert len(planned.train.class_names) == 2


def test_the_time_of_a_plan_is_that_of_a_gpus_own_crops_and_of_all_that_share_a_cpu(
    scenes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    config = TrainConfig(batch_size=9, devices=2)
    assert [crops_in_turn(config, device) for device in (gpu, cpu)] == [5, 9]
    of_two = dataclasses.replace(config, nnodes="2")
    assert [crops_in_turn(of_two, device) for device in (gpu, cpu)] == [3, 6]
    monkeypatch.setenv("WORLD_SIZE", "2")       # each process has measured on its part of the cores
    assert [crops_in_turn(config, device) for device in (gpu, cpu)] == [5, 5]
    monkeypatch.setattr(planning, "measured_step", lambda *arguments, **more: StepCost(1.5, None, 0, 0))
    assert planning.plan(tiny(scenes, batch_size=9)).seconds_per_step == 7.5


def test_processes_divide_the_readers_but_those_of_srun_have_cores_of_their_own(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segformer_cli.engine.device.cores", lambda: 16)
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert [defaults.readers_of(TrainConfig(devices=count)) for count in (1, 2, 8, 16)] == [8, 7, 1, 0]
    assert defaults.readers_of(TrainConfig(devices=8, workers=3)) == 3
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert defaults.readers_of(TrainConfig()) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert defaults.readers_of(TrainConfig()) == 3


def test_what_makes_cuda_the_same_each_time_is_set_before_a_step_is_measured(
    scenes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    seen = []
    step = Trainer.step

    def noted(self: Trainer, *batch: torch.Tensor) -> Step:
        seen.append(os.environ.get("CUBLAS_WORKSPACE_CONFIG"))
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "step", noted)
    planning.plan(tiny(scenes))
    assert set(seen) == {None}
    seen.clear()
    planning.plan(tiny(scenes, deterministic=True))
    assert set(seen) == {":4096:8"}
