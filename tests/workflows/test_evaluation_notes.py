"""What a score says beside its numbers: what passed, what was not counted, what settings cannot be."""

from __future__ import annotations

import os
from multiprocessing.process import BaseProcess as Process
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import segformer_cli as sf
from segformer_cli.classes import class_set
from segformer_cli.config import CompareConfig, EvalConfig
from segformer_cli.errors import ConfigError, DataError, EnvironmentLacksError, UsageError, WeightsError
from segformer_cli.workflows.class_match import ClassMatch
from segformer_cli.workflows.evaluation import plan
from segformer_cli.workflows.evaluation_report import class_table
from segformer_cli.workflows.memory import memory_told
from segformer_cli.workflows.scorecard import misled_dialects
from tests.conftest import RandomCheckpoint
from tests.tiny_data import THINGS, drawn_by_lot, write_folder
from tests.workflows.conftest import CITY, Weights, scored


def test_whether_the_least_miou_is_reached_is_known_from_python(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    path = weights_of()
    assert scored(weights=path, data=lot, resamples=0).passed is None
    assert scored(weights=path, data=lot, resamples=0, min_miou=0.0).passed is True
    assert scored(weights=path, data=lot, resamples=0, min_miou=0.99).passed is False
    nothing = write_folder(tmp_path / "d", {"p": np.full((32, 32), 255, np.uint8)})
    assert scored(weights=path, data=str(nothing), min_miou=0.0).passed is False


def test_classes_that_were_not_counted_are_marked(streets: str, lot: str, weights_of: Weights) -> None:
    found = scored(weights=weights_of(class_names=("sky", "road")), data=streets, by_name=True)
    assert {row.name for row in found.per_class if row.counted is not False} == {"sky", "road"}
    rows = {row["name"]: row for row in found.to_json()["per_class"]}
    assert rows["car"]["counted"] is False
    assert "counted" not in rows["road"]
    table = class_table(found, class_set("cityscapes").palette)
    shown = dict(zip(CITY, (cells[-1] for cells in table.rows), strict=True))
    assert shown["car"] is None and shown["road"] == rows["road"]["pixels"] > 0


def test_an_alias_that_displaces_a_namesake_is_warned_of(streets: str, weights_of: Weights) -> None:
    found = scored(weights=weights_of(class_names=CITY), data=streets, alias=("bus=truck",))
    assert any(text.startswith("--alias bus=truck takes bus away") for text in found.warnings)


def test_classes_matched_by_number_are_warned_of(tmp_path: Path, weights_of: Weights) -> None:
    data = write_folder(tmp_path / "d", {"p": drawn_by_lot((64, 96), 5, seed=0)}, names=None)
    found = scored(weights=weights_of(), data=str(data), resamples=0)
    assert [row.name for row in found.per_class] == [f"class_{index}" for index in range(5)]
    (warning,) = found.warnings
    assert warning.startswith("classes were matched by number, since the data name none")


def test_a_plan_knows_the_classes_of_weights_that_lie_here(
    lot: str, tmp_path: Path, weights_of: Weights
) -> None:
    with pytest.raises(DataError, match=r"the weights know 19 classes .* lot has 5"):
        plan(EvalConfig(weights="sample", data=lot))
    with pytest.raises(DataError, match="the weights know 2 classes"):
        plan(EvalConfig(weights=weights_of(class_names=("a", "b")), data=lot))
    with pytest.raises(DataError, match="no class of the weights"):
        plan(EvalConfig(weights=weights_of(class_names=("a", "b")), data=lot, by_name=True))
    (tmp_path / "cut.safetensors").write_bytes(Path(weights_of()).read_bytes()[:5000])
    with pytest.raises(WeightsError, match=r"cut\.safetensors"):
        plan(EvalConfig(weights=str(tmp_path / "cut.safetensors"), data=lot))
    assert plan(EvalConfig(weights=weights_of(), data=lot)).endswith("on 7 images of " + lot + ", split val")


def test_more_workers_than_cores_are_said_once_and_never_more_than_images(
    lot: str, weights_of: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Warnings are errors here: torch's own would be one.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    started = []
    start = Process.start
    monkeypatch.setattr(Process, "start", lambda self: (started.append(self), start(self))[1])
    many = scored(weights=weights_of(), data=lot, limit=2, workers=64, resamples=0)
    assert len(started) == 2
    assert many.warnings == ("2 workers share 1 core: fewer may be faster",)
    assert scored(weights=weights_of(), data=lot, limit=2, workers=1, resamples=0).warnings == ()


def test_one_unknown_class_is_spoken_of_in_the_singular() -> None:
    match = ClassMatch((("a", "a"),), ("b",), (), np.zeros(1, np.intp))
    both = str(misled_dialects(["smp", "paddle"], match, (0,)))
    assert both.endswith("smp and paddle count the one class unknown to the weights as 1")
    assert "paddle counts the one class" in str(misled_dialects(["paddle"], match, (0,)))


@pytest.mark.parametrize("given", [{"weights": "sample"}, None, EvalConfig, CompareConfig()])
def test_settings_of_another_kind_are_wrong_usage_and_say_what_to_give(given: object) -> None:
    with pytest.raises(UsageError, match="settings are a EvalConfig, ") as caught:
        sf.evaluate(given)
    assert caught.value.hint == "give EvalConfig(KEY=VALUE, ...)"
    with pytest.raises(UsageError, match="settings are a CompareConfig, a dict was given"):
        sf.compare_results({"a": "x"})


def test_a_long_value_is_cut_off_in_an_error(random_checkpoint: RandomCheckpoint) -> None:
    model = sf.build_model("b0", class_names=THINGS)
    with pytest.raises(ConfigError) as caught:
        sf.evaluate(EvalConfig(weights=model))
    assert caught.value.message == "weights is a SegFormer; accepted: a text, or null"
    with pytest.raises(ConfigError) as caught:
        sf.evaluate(EvalConfig(weights=["x"] * 1000))  # type: ignore[arg-type]
    assert len(caught.value.message) < 150


def test_memory_that_is_not_enough_is_an_expected_error() -> None:
    hungry = (
        lambda: np.empty(10**16),
        lambda: torch.empty(10**16),
        lambda: cv2.resize(np.zeros((2, 2, 3), np.uint8), (10**6, 10**7)),
    )
    for work in hungry:
        with pytest.raises(EnvironmentLacksError, match=r"the memory is not enough: .") as caught, memory_told("less"):
            work()
        assert caught.value.hint == "less"
    with pytest.raises(ZeroDivisionError), memory_told("less"):
        raise ZeroDivisionError
