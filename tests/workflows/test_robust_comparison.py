"""Two robustness results beside each other, paired, and what cannot be set beside each other."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segformer_cli.commands.score_tables import difference_summary
from segformer_cli.config import CompareConfig, EvalConfig, RobustConfig
from segformer_cli.errors import DataError
from segformer_cli.metrics.bootstrap import bounds, resampled_mious
from segformer_cli.robustness.protocols import Cell
from segformer_cli.workflows.comparison import compare_results
from segformer_cli.workflows.evaluation import evaluate
from segformer_cli.workflows.robust_files import read_robust
from segformer_cli.workflows.robustness import eval_robust


def robust(out: Path, **keys: Any) -> Path:
    given = {"weights": "sample", "data": "sample", "size": "64", "workers": 0, "resamples": 100,
             "corruptions": ("fog", "snow"), "severities": (1, 2), **keys}
    eval_robust(RobustConfig(out=str(out), **given))
    return out


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    top = tmp_path_factory.mktemp("robust")
    return robust(top / "a"), robust(top / "b", size="96")


def test_the_difference_is_that_of_the_means_with_paired_draws(results: tuple[Path, Path]) -> None:
    a, b = results
    found = compare_results(CompareConfig(a=str(a), b=str(b), resamples=200))
    saved = [read_robust(each) for each in results]
    assert found.difference == pytest.approx(saved[1].results["mean_miou"] - saved[0].results["mean_miou"])
    cells = [Cell(name, severity) for name in ("fog", "snow") for severity in (1, 2)]
    draws = [np.mean([resampled_mious(each.counts[cell], resamples=200) for cell in cells], axis=0) for each in saved]
    assert found.ci95 == pytest.approx(bounds(draws[1] - draws[0]))
    assert found.wins == np.mean(draws[1] > draws[0])
    assert [row.corruption for row in found.per_corruption] == ["clean", "fog", "snow"]
    clean = saved[1].results["clean_miou"] - saved[0].results["clean_miou"]
    assert found.per_corruption[0].difference == pytest.approx(clean)
    assert (found.score, found.images) == ("mean mIoU under corruptions", 8)


def test_only_cells_of_both_are_compared(results: tuple[Path, Path], tmp_path: Path) -> None:
    less = robust(tmp_path / "less", corruptions=("fog",), severities=(1, 3))
    found = compare_results(CompareConfig(a=str(results[0]), b=str(less), resamples=100))
    assert [row.corruption for row in found.per_corruption] == ["clean", "fog"]
    saved = read_robust(less).results["grid"][0]
    assert found.per_corruption[1].b == pytest.approx(saved["miou"])
    assert any("left out" in warning and "snow 2" in warning for warning in found.warnings)


def test_results_without_a_corruption_in_common_are_refused(results: tuple[Path, Path], tmp_path: Path) -> None:
    other = robust(tmp_path / "other", corruptions=("frost",))
    with pytest.raises(DataError, match="no corruption at the same severity in common"):
        compare_results(CompareConfig(a=str(results[0]), b=str(other)))


def test_other_pictures_are_refused(results: tuple[Path, Path], tmp_path: Path) -> None:
    fewer = robust(tmp_path / "fewer", limit=3)
    with pytest.raises(DataError, match="not of the same images"):
        compare_results(CompareConfig(a=str(results[0]), b=str(fewer)))


def test_a_result_of_eval_is_of_another_kind(results: tuple[Path, Path], tmp_path: Path) -> None:
    evaluate(EvalConfig(weights="sample", size="64", out=str(tmp_path / "eval")))
    for a, b in ((results[0], tmp_path / "eval"), (tmp_path / "eval", results[0])):
        with pytest.raises(DataError, match="is a result of eval-robust"):
            compare_results(CompareConfig(a=str(a), b=str(b)))


def test_damaged_counts_are_said(results: tuple[Path, Path], tmp_path: Path) -> None:
    broken = robust(tmp_path / "broken", corruptions=("fog",), limit=2)
    (broken / "per_image.npz").write_bytes((broken / "per_image.npz").read_bytes()[:300])
    with pytest.raises(DataError, match=r"per_image\.npz is damaged"):
        compare_results(CompareConfig(a=str(results[0]), b=str(broken)))


def test_a_file_of_the_folder_names_it_too(results: tuple[Path, Path]) -> None:
    assert read_robust(results[0] / "result.json").cells == read_robust(results[0]).cells


def test_the_seed_and_the_groups_are_those_asked_for(results: tuple[Path, Path]) -> None:
    a, b = map(str, results)
    config = CompareConfig(a=a, b=b, resamples=100, seed=5, group_images="sample_00000(.)")
    saved = [read_robust(each) for each in results]
    groups = [key[12] for key in saved[0].counts[None].keys]
    cells = [Cell(name, severity) for name in ("fog", "snow") for severity in (1, 2)]
    draws = [np.mean([resampled_mious(each.counts[cell], groups, 100, 5) for cell in cells], axis=0) for each in saved]
    found = compare_results(config)
    assert found.ci95 == pytest.approx(bounds(draws[1] - draws[0]))
    assert "8 groups of images" in found.interval
    one = compare_results(replace(config, group_images="sample"))
    assert np.isnan(one.ci95).all() and not one.better


def test_groups_that_both_were_scored_with_are_drawn_and_a_newer_result_is_refused(
    results: tuple[Path, Path], tmp_path: Path
) -> None:
    pattern = "sample_00000(.)"
    a, b = (robust(tmp_path / name, size=size, group_images=pattern) for name, size in (("a", "64"), ("b", "96")))
    found = compare_results(CompareConfig(a=str(a), b=str(b), resamples=100))
    assert found.interval.endswith("8 groups of images, paired, grouped as both were scored")
    mixed = compare_results(CompareConfig(a=str(results[0]), b=str(b), resamples=100))
    assert any("A was scored without groups, B with --group-images" in text for text in mixed.warnings)
    document = json.loads((b / "result.json").read_text(encoding="utf-8"))
    (b / "result.json").write_text(json.dumps({**document, "schema": 99}), encoding="utf-8")
    with pytest.raises(DataError, match="written by a newer segformer"):
        compare_results(CompareConfig(a=str(a), b=str(b)))


def test_results_without_labels_are_refused(tmp_path: Path) -> None:
    pictures = str(next(Path("sample_data").rglob("*_leftImg8bit.png")).parent)
    a = robust(tmp_path / "a", data=pictures, limit=2, corruptions=("fog",))
    with pytest.raises(DataError, match="made without labels"):
        compare_results(CompareConfig(a=str(a), b=str(a)))


def test_two_files_of_different_runs_in_one_folder_are_said(results: tuple[Path, Path], tmp_path: Path) -> None:
    mixed = shutil.copytree(results[0], tmp_path / "mixed")
    shutil.copy(robust(tmp_path / "less", corruptions=("fog",)) / "per_image.npz", mixed)
    with pytest.raises(DataError, match="are of different runs"):
        compare_results(CompareConfig(a=str(results[0]), b=str(mixed)))


def test_clean_results_are_compared_by_their_clean_score(tmp_path: Path) -> None:
    a, b = (
        robust(tmp_path / name, protocol="none", corruptions=None, severities=None, limit=3, size=size)
        for name, size in (("a", "64"), ("b", "96"))
    )
    found = compare_results(CompareConfig(a=str(a), b=str(b), resamples=100))
    assert (found.score, [row.corruption for row in found.per_corruption]) == ("mIoU", ["clean"])
    assert found.difference == found.per_corruption[0].difference == found.miou_b - found.miou_a


def test_what_is_no_result_at_all_is_said_to_be_none(results: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no result\.json"):
        compare_results(CompareConfig(a=str(results[0]), b=str(tmp_path / "nope")))


def test_a_verdict_says_where_pictures_are_too_few(tmp_path: Path) -> None:
    a, b = (robust(tmp_path / name, size=size, limit=4) for name, size in (("a", "64"), ("b", "128")))
    found = compare_results(CompareConfig(a=str(a), b=str(b)))
    assert found.too_few and not found.better
    assert "4 images, or groups of them, are too few" in difference_summary(found)


def test_a_result_of_a_newer_segformer_is_refused(results: tuple[Path, Path], tmp_path: Path) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(results[0], newer)
    document = json.loads((newer / "result.json").read_text("utf-8"))
    (newer / "result.json").write_text(json.dumps(document | {"schema": 99}), "utf-8")
    with pytest.raises(DataError, match="newer segformer"):
        read_robust(newer)
