"""Scoring under corruptions: the grid is that of single evaluations, a stopped run goes on, failures are named."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segformer_cli.config import CorruptConfig, EvalConfig, RobustConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.engine.inference import Segmenter
from segformer_cli.errors import DataError, SegFormerError, UsageError
from segformer_cli.images import read_image
from segformer_cli.metrics.bootstrap import bounds, resampled_mious
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import scores
from segformer_cli.model.checkpoint import load_checkpoint, network_from
from segformer_cli.progress import Progress
from segformer_cli.report import as_text, report
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.protocols import Cell
from segformer_cli.robustness.published import TABLE5
from segformer_cli.robustness.source import Source
from segformer_cli.workflows import robustness
from segformer_cli.workflows.corrupting import corrupt_files
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.robust_files import read_robust
from segformer_cli.workflows.robust_job import STATE, default_data, plan, prepared
from segformer_cli.workflows.robust_result import RobustResult
from segformer_cli.workflows.robustness import eval_robust
from tests.tiny_data import write_lot
from tests.workflows.conftest import CITY, Weights


@pytest.fixture(autouse=True)
def _no_cityscapes_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)


@pytest.fixture
def street_weights(weights_of: Weights) -> str:
    return weights_of(class_names=CITY)


def found_for(out: Path, **keys: Any) -> RobustResult:
    """A small run, the same for all tests but for `keys`."""
    given = {"corruptions": ("fog", "gaussian_noise"), "severities": (2, 4), "workers": 0, "resamples": 100}
    return eval_robust(RobustConfig(out=str(out), **{**given, **keys}))


def without_times(result: RobustResult) -> str:
    """As text, in which what is undefined equals itself."""
    kept = {name: value for name, value in result.to_json().items() if name not in ("seconds", "settings")}
    return as_text(report("eval-robust", kept))


# What is counted.


def test_a_cell_is_what_eval_finds_on_the_files_that_corrupt_writes(
    streets: str, street_weights: str, tmp_path: Path
) -> None:
    found = found_for(tmp_path / "robust", weights=street_weights, data=streets)
    corrupt_files(
        CorruptConfig(inputs=(streets,), out=str(tmp_path / "files"), corruptions=("fog", "gaussian_noise"),
                      severities=(2, 4), workers=0)
    )
    for cell in found.grid:
        data = f"cityscapes:{tmp_path / 'files' / cell.corruption / str(cell.severity)}"
        assert evaluate(EvalConfig(weights=street_weights, data=data)).miou == cell.miou
    assert found.found.clean == evaluate(EvalConfig(weights=street_weights, data=streets)).miou
    assert len({cell.miou for cell in found.grid}) == 4


def test_means_are_over_severities_and_then_over_corruptions(streets: str, street_weights: str, tmp_path: Path) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data=streets)
    by_cell = {Cell(cell.corruption, cell.severity): cell.miou for cell in found.grid}
    fog = (by_cell[Cell("fog", 2)] + by_cell[Cell("fog", 4)]) / 2
    noise = (by_cell[Cell("gaussian_noise", 2)] + by_cell[Cell("gaussian_noise", 4)]) / 2
    assert found.found.mean == pytest.approx((fog + noise) / 2, abs=1e-12)
    assert found.found.retention == pytest.approx(found.found.mean / found.found.clean)
    document = found.to_json()
    assert [row["corruption"] for row in document["per_corruption"]] == ["fog", "gaussian_noise"]
    assert document["per_corruption"][0]["miou"] == pytest.approx(fog)
    assert document["per_corruption"][0]["retention"] == pytest.approx(fog / found.found.clean)
    low, high = document["per_corruption"][0]["miou_ci95"]
    assert low <= fog <= high
    assert document["mean_miou_without_frost"] == found.found.mean
    counts = read_robust(tmp_path / "a").counts
    ious = np.mean([counts[cell].iou for cell in by_cell], axis=0)         # NaN where a cell has no score for a class
    assert not np.isnan(ious).all()
    for row in found.per_class:
        assert row.clean_iou == pytest.approx(counts[None].iou[row.id], nan_ok=True)
        assert row.drop == pytest.approx(row.clean_iou - row.iou, nan_ok=True)
        assert np.isnan(ious[row.id]) or row.iou == pytest.approx(ious[row.id])
        assert row.hardest in ("fog", "gaussian_noise", None)


def test_the_interval_of_the_mean_draws_the_same_pictures_in_every_cell(
    streets: str, street_weights: str, tmp_path: Path
) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data=streets)
    counts = read_robust(tmp_path / "a").counts
    draws = [resampled_mious(counts[Cell(*cell)], resamples=100) for cell in
             (("fog", 2), ("fog", 4), ("gaussian_noise", 2), ("gaussian_noise", 4))]
    assert found.mean_ci95 == pytest.approx(bounds(np.mean(draws, axis=0)))
    assert found.clean_ci95 == pytest.approx(bounds(resampled_mious(counts[None], resamples=100)))


def test_stability_is_the_share_of_pixels_that_keep_their_class(
    streets: str, street_weights: str, tmp_path: Path
) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data=streets, corruptions=("fog", "brightness"))
    split = open_data(streets, "val")
    segmenter = Segmenter.of(network_from(load_checkpoint(Path(street_weights))), torch.device("cpu"))
    same = []
    for pair in split.pairs:
        image = read_image(pair.image)
        foggy = Corrupter()(Source(image), pair.key, Cell("fog", 2))
        same.append(segmenter.mask(image) == segmenter.mask(foggy))
    assert found.grid[0].agreement == np.mean(same)
    assert found.stability.mean == pytest.approx(np.mean([cell.agreement for cell in found.grid]))


@pytest.mark.parametrize("pace", [{"workers": 2}, {"batch_size": 3}, {"workers": 1, "batch_size": 2}])
def test_no_pace_changes_a_result(streets: str, street_weights: str, tmp_path: Path, pace: dict[str, int]) -> None:
    expected = found_for(tmp_path / "a", weights=street_weights, data=streets, calibration=True)
    found = found_for(tmp_path / "b", weights=street_weights, data=streets, calibration=True, **pace)
    assert without_times(found) == without_times(expected)
    assert expected.clean_ece is not None and all(cell.ece is not None for cell in expected.grid)


def test_stability_miou_is_against_the_clean_masks(streets: str, street_weights: str, tmp_path: Path) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data=streets, corruptions=("brightness",))
    split = open_data(streets, "val")
    segmenter = Segmenter.of(network_from(load_checkpoint(Path(street_weights))), torch.device("cpu"))
    confusion = np.zeros((len(CITY), len(CITY)), np.int64)
    for pair in split.pairs:
        image = read_image(pair.image)
        bright = Corrupter()(Source(image), pair.key, Cell("brightness", 2))
        confusion += confusion_matrix(segmenter.mask(image), segmenter.mask(bright), len(CITY), 255)
    assert found.grid[0].stability_miou == scores(confusion).miou


def test_images_of_one_group_are_drawn_together(streets: str, street_weights: str, tmp_path: Path) -> None:
    """All are one group: every draw is the whole, so that there is no interval."""
    found = found_for(tmp_path / "a", weights=street_weights, data=streets, group_images="(sample)")
    assert all(cell.miou_ci95 is not None and math.isnan(cell.miou_ci95[0]) for cell in found.grid)
    assert any("group" in warning for warning in found.warnings)


def test_a_limit_takes_pictures_from_all_over_the_split(street_weights: str, tmp_path: Path) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data="sample", limit=2, protocol="none",
                      corruptions=None, severities=None, size="64")
    assert read_robust(tmp_path / "a").counts[None].keys == ("sample_000000_000019", "sample_000004_000019")
    assert found.protocol.startswith("2 of 8 images, evenly spaced, of sample val")


# A run that was stopped.


class Stopped(Exception):
    """A run is over before its end."""


def stopping_at(variant: int) -> Any:
    def listen(step: Progress) -> None:
        if step.done >= variant:
            raise Stopped

    return listen


def test_a_stopped_run_goes_on_to_the_same_result(streets: str, street_weights: str, tmp_path: Path) -> None:
    expected = found_for(tmp_path / "whole", weights=street_weights, data=streets)
    config = RobustConfig(
        weights=street_weights, data=streets, out=str(tmp_path / "stopped"), corruptions=("fog", "gaussian_noise"),
        severities=(2, 4), workers=0, resamples=100,
    )
    with pytest.raises(Stopped):
        eval_robust(config, stopping_at(8))
    assert (tmp_path / "stopped" / STATE).is_dir()
    messages: list[str] = []
    found = eval_robust(config, lambda step: messages.append(step.message or ""))
    assert any("1 of 3 images are done" in message for message in messages)
    assert without_times(found) == without_times(expected)
    assert not (tmp_path / "stopped" / STATE).exists()
    for name in ("intersection", "predicted", "true", "target_sha256"):
        whole, gone_on = (np.load(tmp_path / folder / "per_image.npz")[name] for folder in ("whole", "stopped"))
        assert np.array_equal(whole, gone_on)


def test_without_out_the_newest_run_of_the_same_settings_goes_on(
    streets: str, street_weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = RobustConfig(weights=street_weights, data=streets, corruptions=("fog",), severities=(2,), workers=0)
    with pytest.raises(Stopped):
        eval_robust(config, stopping_at(3))
    assert eval_robust(config).artifacts[0].startswith("runs/eval-robust/1/")
    assert eval_robust(config).artifacts[0].startswith("runs/eval-robust/2/")


def test_other_settings_do_not_go_on(streets: str, street_weights: str, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"weights": street_weights, "data": streets, "out": str(tmp_path / "a"), "workers": 0,
                            "corruptions": ("fog",)}
    with pytest.raises(Stopped):
        eval_robust(RobustConfig(**keys), stopping_at(7))
    with pytest.raises(DataError, match="differs in seed"):
        eval_robust(RobustConfig(**keys, seed=1))
    assert eval_robust(RobustConfig(**keys, seed=1, force=True)).images == 3


@pytest.mark.parametrize(
    "keys",
    [
        {"seed": 1}, {"rng": "reference"}, {"channel_order": "bgr"}, {"limit": 2}, {"severities": (2,)}, {"size": "32"},
        {"calibration": True}, {"precision": "bf16"}, {"data": "sample"}, {"weights": "sample"},
    ],
    ids=str,
)
def test_whatever_changes_a_count_is_in_the_state(
    streets: str, street_weights: str, tmp_path: Path, keys: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"weights": street_weights, "data": streets, "out": str(tmp_path / "a"),
                             "corruptions": ("fog",)}
    ours, theirs = (prepared(RobustConfig(**{**given, **more}), lambda step: None).state for more in ({}, keys))
    assert ours != theirs


def test_what_changes_no_count_is_not_in_the_state(streets: str, street_weights: str, tmp_path: Path) -> None:
    keys: dict[str, Any] = {"weights": street_weights, "data": streets, "out": str(tmp_path / "a")}
    more: dict[str, Any] = {"resamples": 300, "workers": 2, "batch_size": 4, "group_images": "(sample)",
                            "report": str(tmp_path / "a.html"), "cd_reference": "icnet", "resolution_sweep": True}
    ours, theirs = (prepared(RobustConfig(**keys, **each), lambda step: None).state for each in ({}, more))
    assert ours == theirs


def test_without_out_a_run_of_other_settings_is_not_gone_on_with(
    streets: str, street_weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = RobustConfig(weights=street_weights, data=streets, corruptions=("fog",), severities=(2,), workers=0)
    with pytest.raises(Stopped):
        eval_robust(config, stopping_at(3))
    other = eval_robust(dataclasses.replace(config, seed=1))
    assert other.artifacts[0].startswith("runs/eval-robust/2/")
    assert (tmp_path / "runs/eval-robust/1" / STATE).is_dir()


def test_other_pictures_of_the_same_names_do_not_go_on(
    streets: str, street_weights: str, tmp_path: Path
) -> None:
    written = corrupt_files(
        CorruptConfig(inputs=(streets,), out=str(tmp_path / "files"), corruptions=("fog",), severities=(5,), workers=0)
    )
    keys: dict[str, Any] = {"weights": street_weights, "out": str(tmp_path / "a"), "workers": 0, "severities": (1,)}
    with pytest.raises(Stopped):
        eval_robust(RobustConfig(data=streets, **keys), stopping_at(20))
    with pytest.raises(DataError, match="differs in images"):
        eval_robust(RobustConfig(data=f"cityscapes:{written.out}/fog/5", **keys))


# Pictures that fail, and pictures without labels.


def test_a_truncated_picture_is_named_and_in_no_score(streets: str, street_weights: str, tmp_path: Path) -> None:
    root = Path(streets.partition(":")[2])
    broken = tmp_path / "scenes"
    shutil.copytree(root, broken)
    pictures = sorted(broken.glob("leftImg8bit/val/*/*.png"))
    pictures[1].write_bytes(pictures[1].read_bytes()[:2000])
    found = found_for(tmp_path / "a", weights=street_weights, data=f"cityscapes:{broken}")
    assert found.images == 2
    assert [each.input for each in found.failed] == [str(pictures[1])]
    assert any(pictures[1].name in warning for warning in found.warnings)
    counts = read_robust(tmp_path / "a").counts
    assert all(len(each) == 2 for each in counts.values())


def test_where_every_picture_fails_nothing_is_written(street_weights: str, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    shutil.copy(next(Path("sample_data").rglob("*_leftImg8bit.png")), folder / "a.png")
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:500])
    with pytest.raises(DataError, match="all 1 pictures failed"):
        found_for(tmp_path / "a", weights=street_weights, data=str(folder))
    assert not (tmp_path / "a").exists()


def test_pictures_without_labels_have_a_stability_and_no_score(
    streets: str, street_weights: str, tmp_path: Path
) -> None:
    folder = Path(streets.partition(":")[2]) / "leftImg8bit" / "val"
    for data, split in ((streets, "test"), (str(folder), "val")):
        found = found_for(tmp_path / split, weights=street_weights, data=data, split=split)
        assert not found.labelled and math.isnan(found.found.mean) and found.mean_ci95 is None
        assert 0 < found.stability.mean < 1
        assert any("no labels" in warning for warning in found.warnings)


def test_weights_of_other_classes_are_refused(streets: str, weights_of: Weights, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="class"):
        found_for(tmp_path / "a", weights=weights_of(), data=streets)
    assert not (tmp_path / "a").exists()


# What it is beside, and beside what.


def test_degradation_beside_a_published_row_and_beside_itself(
    streets: str, street_weights: str, tmp_path: Path
) -> None:
    first = found_for(tmp_path / "a", weights=street_weights, data=streets, severities=None,
                      cd_reference="dlv3plus-mbv2")
    assert first.against is not None
    expected = (1 - first.found.means["fog"]) / (1 - TABLE5["dlv3plus-mbv2"].means["fog"])
    assert first.to_json()["cd"]["fog"] == pytest.approx(expected)
    again = found_for(tmp_path / "b", weights=street_weights, data=streets, severities=None,
                      cd_reference=str(tmp_path / "a"))
    assert again.against is not None
    assert again.against.mcd == pytest.approx(1.0)


def test_the_sweep_scores_whole_pictures_and_windows(streets: str, street_weights: str, tmp_path: Path) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data=streets, protocol="none", corruptions=None,
                      severities=None, resolution_sweep=True, sweep_sizes=(32, 64))
    rows = {row.name: row for row in found.resolutions}
    assert list(rows) == ["whole, short side 32", "whole, short side 64", "windows of 32x32 at native size"]
    whole = evaluate(EvalConfig(weights=street_weights, data=streets, size="32"))
    windows = evaluate(EvalConfig(weights=street_weights, data=streets, size="native", window=(32, 32),
                                  stride=(24, 24)))
    assert rows["whole, short side 32"].miou == whole.miou
    assert rows["windows of 32x32 at native size"].miou == windows.miou
    assert rows["whole, short side 64"].difference == pytest.approx(0.0)


def test_conditions_are_scored_by_themselves(streets: str, street_weights: str, tmp_path: Path) -> None:
    found = found_for(tmp_path / "a", weights=street_weights, data=streets, protocol="none", corruptions=None,
                      severities=None, conditions=r"sample_00000(\d)")
    assert [(row.name, row.images) for row in found.conditions] == [("0", 1), ("1", 1), ("2", 1)]
    alone = evaluate(EvalConfig(weights=street_weights, data=streets, limit=1))
    assert found.conditions[0].miou == alone.miou
    assert found.conditions[0].difference == alone.miou - found.found.clean


def test_the_row_for_a_paper_stars_drawn_frost(streets: str, street_weights: str, tmp_path: Path) -> None:
    found_for(tmp_path / "a", weights=street_weights, data=streets, corruptions=("frost", "fog"), severities=None)
    table = (tmp_path / "a" / "table5.md").read_text("utf-8")
    assert "SegFormer-B5" in table and r"\*" in table.splitlines()[-1]
    assert "tabular" in (tmp_path / "a" / "table5.tex").read_text("utf-8")


# What is refused.


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"corruptions": ("fogg",)}, "no corruption 'fogg'"),
        ({"severities": (6,)}, "no severity 6"),
        ({"protocol": "cityscapes"}, "no robustness protocol"),
        ({"cityscapes_c": True, "protocol": "fan"}, "--cityscapes-c is a protocol of its own"),
        ({"cd_reference": "dlv3plus-mbv3"}, "no published reference"),
        ({"frost_dir": "nowhere"}, "frost textures are not there"),
        ({"resolution_sweep": True, "window": (64, 64)}, "the sweep chooses its own windows"),
        ({"conditions": "^nothing"}, "conditions '.nothing' finds nothing"),
        ({"weights": None}, "no weights are named"),
    ],
)
def test_what_has_no_meaning_is_refused(
    streets: str, street_weights: str, tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    data = str(write_lot(tmp_path / "lot")) if "weights" in keys else streets
    given: dict[str, Any] = {"weights": street_weights, "data": data, "out": str(tmp_path / "a"), **keys}
    with pytest.raises(SegFormerError, match=message):
        eval_robust(RobustConfig(**given))
    assert not (tmp_path / "a").exists()


def test_a_result_is_not_overwritten_without_force(streets: str, street_weights: str, tmp_path: Path) -> None:
    found_for(tmp_path / "a", weights=street_weights, data=streets)
    with pytest.raises(SegFormerError, match="exists already"):
        found_for(tmp_path / "a", weights=street_weights, data=streets)
    found_for(tmp_path / "a", weights=street_weights, data=streets, force=True)


def test_a_damaged_state_is_said_and_taken_again(streets: str, street_weights: str, tmp_path: Path) -> None:
    state = tmp_path / "a" / STATE
    state.mkdir(parents=True)
    (state / "000000.npz").write_bytes(b"no archive")
    config = RobustConfig(weights=street_weights, data=streets, corruptions=("fog",), out=str(tmp_path / "a"))
    messages: list[str] = []
    assert eval_robust(config, lambda step: messages.append(step.message or "")).images == 3
    assert any("1 of the files" in message and "taken again" in message for message in messages)


# What is scored where nothing is named.


def test_the_default_data_are_cityscapes_if_the_variable_says_where() -> None:
    assert default_data({}) == "sample"
    assert default_data({"CITYSCAPES_DATASET": "/data/cs"}) == "cityscapes:/data/cs"


def test_acdc_is_bad_weather_already(tmp_path: Path, street_weights: str) -> None:
    root = tmp_path / "acdc"
    sample = sorted(Path("sample_data").rglob("*_leftImg8bit.png"))[:2]
    for picture, condition in zip(sample, ("fog", "night"), strict=True):
        name = f"GOPR0001_frame_{condition}"
        image = root / "rgb_anon" / condition / "val" / "GOPR0001" / f"{name}_rgb_anon.png"
        mask = root / "gt" / condition / "val" / "GOPR0001" / f"{name}_gt_labelIds.png"
        for path in (image, mask):
            path.parent.mkdir(parents=True)
        shutil.copy(picture, image)
        target = str(picture).replace("leftImg8bit", "gtFine").replace("_gtFine.png", "_gtFine_labelIds.png")
        shutil.copy(target, mask)
    config = RobustConfig(weights=street_weights, data=f"acdc:{root}", size="64", workers=0, out=str(tmp_path / "a"))
    assert "no corruption" in plan(config)
    found = eval_robust(config)
    assert [(row.name, row.images) for row in found.conditions] == [("fog", 1), ("night", 1)]
    assert found.grid == ()


def test_the_estimate_is_said_where_it_is_long(
    streets: str, street_weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(robustness, "time_estimate", lambda *_: "3 images: about 15 h")
    config = RobustConfig(weights=street_weights, data=streets, out=str(tmp_path / "a"), corruptions=("fog",))
    eval_robust(config, lambda step: messages.append(step.message or ""))
    assert "3 images: about 15 h" in messages


def test_json_has_what_the_reference_promises(streets: str, street_weights: str, tmp_path: Path) -> None:
    found_for(tmp_path / "a", weights=street_weights, data=streets)
    document = json.loads((tmp_path / "a" / "result.json").read_text("utf-8"))
    assert (document["schema"], document["command"], document["ok"]) == (1, "eval-robust", True)
    results = document["results"]
    assert {"clean_miou", "grid", "per_corruption", "mean_miou", "retention"} <= set(results)
    assert {"corruption", "severity", "miou", "images"} <= set(results["grid"][0])


def test_usage_errors_come_before_weights_are_loaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no corruption"):
        eval_robust(RobustConfig(weights="nowhere.safetensors", data="sample", corruptions=("fogg",)))
