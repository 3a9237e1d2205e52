"""Cross-validation: each image is validated on once, and what was stopped goes on where it was."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segformer_cli.config import TrainConfig
from segformer_cli.data.folding import fold_of
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.training.trainer import Step, Trainer
from segformer_cli.errors import DataError, Interrupted, SegFormerError, UsageError
from segformer_cli.workflows import folds, planning, training
from segformer_cli.workflows.run_list import validations

ROOT = Path(__file__).parents[2]


def put_data(root: Path, splits: dict[str, int]) -> str:
    rng = np.random.default_rng(0)
    for split, count in splits.items():
        for index in range(count):
            mask = np.zeros((40, 56), np.uint8)
            mask[:, 10 + 5 * index :] = 1
            mask[20:, :8] = 2
            image = (mask[..., None] * 80 + rng.integers(0, 40, (40, 56, 3))).astype(np.uint8)
            for folder, array in (("images", image), ("masks", mask)):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(root / folder / split / f"{index}.png")
    return str(root)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return put_data(tmp_path_factory.mktemp("own"), {"": 7})


def tiny(data: str, out: Path, **fields: object) -> TrainConfig:
    values = {
        "data": data, "weights": "none", "iterations": 2, "batch_size": 2, "crop_size": (32, 32), "workers": 0,
        "eval_every": 1, "log_every": 1, "device": "cpu", "folds": 3, "out": str(out), **fields,
    }
    return TrainConfig(**values)  # type: ignore[arg-type]


def named(*keys: str, name: str = "train") -> Split:
    pairs = tuple(Pair(key, Path(f"{name}/{key}.png"), Path(f"{key}.png")) for key in keys)
    return Split(name, "own", Path("own"), ("a", "b"), ((0, 0, 0), (1, 1, 1)), 255, identity_ids(2, 255), pairs)


@given(train=st.integers(1, 20), val=st.integers(1, 20), number_of=st.integers(2, 6))
@settings(deadline=None, max_examples=40)
def test_each_image_is_validated_on_in_one_fold_and_trained_on_in_the_others(
    train: int, val: int, number_of: int
) -> None:
    splits = named(*map(str, range(train))), named(*map(str, range(val)), name="val")
    if train + val < number_of:
        with pytest.raises(DataError, match="cannot be divided"):
            fold_of(*splits, number_of, 1)
        return
    found = [fold_of(*splits, number_of, number) for number in range(1, number_of + 1)]
    everything = sorted(pair.image for split in splits for pair in split.pairs)
    assert sorted(pair.image for _, held_out in found for pair in held_out.pairs) == everything
    sizes = {len(held_out) for _, held_out in found}
    assert max(sizes) - min(sizes) <= 1
    for rest, held_out in found:
        assert sorted(pair.image for pair in (*rest.pairs, *held_out.pairs)) == everything


def test_the_names_alone_decide_and_the_note_says_so() -> None:
    one = fold_of(named("a", "b", "c", "d"), named("e", name="val"), 2, 1)
    other = fold_of(named("e", "c"), named("b", "d", "a", name="val"), 2, 1)
    assert {pair.key for pair in one[1].pairs} == {pair.key for pair in other[1].pairs}
    assert one[1].note == "fold 1 of 2: 3 of 5 images, dealt by a hash of their names, are val"


def test_splits_whose_ids_mean_different_things_are_not_mixed() -> None:
    with pytest.raises(DataError, match="hold other classes or ids"):
        fold_of(named("a", "b"), replace(named("c"), ids=identity_ids(2, 255, (7,))), 2, 1)


def test_folds_leave_a_run_each_and_their_mean_and_spread(data: str, tmp_path: Path) -> None:
    result = folds.cross_validate(tiny(data, tmp_path / "run"))
    assert [fold.val_images for fold in result.folds] == [3, 2, 2]
    assert [fold.train_images for fold in result.folds] == [4, 5, 5]
    best = [max(row["miou"] for row in validations(tmp_path / "run" / f"fold_{n}")) for n in (1, 2, 3)]
    last = [validations(tmp_path / "run" / f"fold_{n}")[-1]["miou"] for n in (1, 2, 3)]
    assert [fold.best_miou for fold in result.folds] == best
    mean = sum(best) / 3
    assert result.best_miou.mean == pytest.approx(mean)
    assert result.best_miou.deviation == pytest.approx((sum((each - mean) ** 2 for each in best) / 2) ** 0.5)
    assert result.last_miou.mean == pytest.approx(sum(last) / 3)
    assert set(result.iou) == {"class_0", "class_1", "class_2"}
    plain = result.to_json()
    assert (plain["best_miou"], plain["best_miou_deviation"]) == (result.best_miou.mean, result.best_miou.deviation)
    assert set(plain) == set(vars(result)) | {"best_miou_deviation", "last_miou_deviation"}
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert f"{100 * mean:.2f}" in page and "3 folds" in page
    with pytest.raises(SegFormerError, match="is finished"):
        folds.cross_validate(TrainConfig(resume=True, out=str(tmp_path / "run")))


def test_one_fold_is_a_training_like_any_other(data: str, tmp_path: Path) -> None:
    planned = planning.plan(tiny(data, tmp_path / "run", fold=2))
    assert planned.train.pairs == fold_of(open_data(data, "train"), open_data(data, "val"), 3, 2)[0].pairs
    assert "fold 2 of 3: 2 of 7 images" in str(planned)
    assert training.train(planned).iterations == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"fold": 4}, "fold is 4 of 3 folds"), ({"folds": None, "fold": 1}, "fold is 1 of no folds"),
     ({}, "folds is 3, and this is one training")],
)
def test_folds_without_meaning_are_refused(data: str, tmp_path: Path, fields: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        planning.plan(tiny(data, tmp_path / "run", **fields))


def stopped_in(fold: int, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """A cross-validation that ends in the second step of a fold."""
    go, seen = Trainer.step, []

    def failing(self: Trainer, *batch: torch.Tensor) -> Step:
        if self not in seen:
            seen.append(self)
        # Planning measures a step with a trainer of its own.
        if self.iteration == 1 and self.recipe.warmup and len([one for one in seen if one.recipe.warmup]) == fold:
            raise error
        return go(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", failing)
        with pytest.raises(type(error)):
            folds.cross_validate(config)


@pytest.mark.parametrize("fields", [{}, {"class_weights": "auto", "sampling": "rare", "checkpoint_every": 1}])
def test_a_cross_validation_that_was_stopped_goes_on_with_the_unfinished_fold(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, object]
) -> None:
    whole = folds.cross_validate(tiny(data, tmp_path / "whole", warmup=1, **fields))
    stopped_in(2, tiny(data, tmp_path / "run", warmup=1, **fields), monkeypatch, KeyError("a crash"))
    assert not (tmp_path / "run" / "fold_3").exists()
    written = [tmp_path / "run" / name for name in ("fold_1/report.html", "fold_2/config.yaml")]
    before = [path.stat().st_mtime_ns for path in written]
    result = folds.cross_validate(TrainConfig(resume=True, out=str(tmp_path / "run")))
    assert [path.stat().st_mtime_ns for path in written] == before
    assert result.best_miou == whole.best_miou
    for number in (1, 2, 3):
        ours, theirs = (load_model(tmp_path / name / f"fold_{number}").state_dict() for name in ("run", "whole"))
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_who_stops_it_is_told_how_the_whole_goes_on(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = Trainer.step

    def interrupting(self: Trainer, *batch: torch.Tensor) -> Step:
        if self.recipe.iterations == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return go(self, *batch)

    monkeypatch.setattr(Trainer, "step", interrupting)
    with pytest.raises(Interrupted, match="fold 1 of 3: stopped after iteration 1 of 5") as caught:
        folds.cross_validate(tiny(data, tmp_path / "run", iterations=5))
    assert str(caught.value.hint).endswith(f"--resume -o {tmp_path / 'run'}")


def test_a_forced_cross_validation_takes_no_fold_of_the_one_before_for_its_own(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds.cross_validate(tiny(data, tmp_path / "run", folds=2))
    with monkeypatch.context() as patch:
        patch.setattr(folds, "train", None)             # a crash before the first fold begins
        with pytest.raises(TypeError):
            folds.cross_validate(tiny(data, tmp_path / "run", folds=2, force=True, seed=1))
    result = folds.cross_validate(TrainConfig(resume=True, out=str(tmp_path / "run")))
    seeds = [(tmp_path / "run" / f"fold_{number}" / "config.yaml").read_text() for number in (1, 2)]
    assert all("seed: 1" in text for text in seeds)
    assert len(result.folds) == 2


def test_one_that_fails_before_its_first_step_leaves_no_folder(tmp_path: Path) -> None:
    data = put_data(tmp_path / "own", {"train": 3, "val": 2})
    for picture in (tmp_path / "own" / "images").rglob("*.png"):
        picture.write_bytes(b"no picture")
    with pytest.raises(SegFormerError):
        folds.cross_validate(tiny(data, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_fold_of_a_run_is_stored_with_its_settings(data: str, tmp_path: Path) -> None:
    folds.cross_validate(tiny(data, tmp_path / "run", folds=2, class_weights="auto"))
    assert "class_weights: auto" in (tmp_path / "run" / "config.yaml").read_text()
    config = (tmp_path / "run" / "fold_2" / "config.yaml").read_text()
    assert "folds: 2" in config and "fold: 2" in config and "class_weights: auto" not in config
    assert json.loads((tmp_path / "run" / "fold_2" / "data.json").read_text())["val"]["images"] == 3


TWO = """
import sys
from segformer_cli.config import TrainConfig
from segformer_cli.errors import SegFormerError
from segformer_cli.workflows.folds import FoldsPlan, cross_validate

try:
    cross_validate(FoldsPlan(TrainConfig(folds=2, out=sys.argv[1]), 1, None))
except SegFormerError as error:
    print(error.message)
"""


def test_a_folder_that_cannot_be_made_is_told_in_each_of_several_processes(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "held.txt").touch()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
    line = [sys.executable, "-c", TWO, str(tmp_path / "run")]
    both = [
        subprocess.Popen(line, env={**common, "RANK": str(rank)}, stdout=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    said = [each.communicate(timeout=120)[0] for each in both]
    assert said == [f"{tmp_path / 'run'} exists already\n"] * 2
