"""What a score leaves behind: calibrated weights, files of results, a report; and what is refused beforehand."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.config import EvalConfig
from segformer_cli.errors import DataError, ImageError, SegFormerError, UsageError, WeightsError
from segformer_cli.model.checkpoint import load_checkpoint
from segformer_cli.workflows.evaluation import evaluate, plan
from segformer_cli.workflows.results import PER_IMAGE, RESULT, read_results
from tests.tiny_data import SIZES, THINGS, take_masks_as_targets, write_lot
from tests.workflows.conftest import CITY, Weights, masks_of, scored

# Confidence mended.


@pytest.fixture
def known(tmp_path: Path, weights_of: Weights) -> dict[str, str]:
    """Weights, and data four fifths of whose pixels they get right."""
    path = weights_of()
    data = write_lot(tmp_path / "known", SIZES[:4])
    take_masks_as_targets(data, load_checkpoint(Path(path)))
    return {"weights": path, "data": str(data)}


def test_calibrated_weights_predict_the_same_and_need_no_more_calibration(
    known: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "calibrated.safetensors"
    found = scored(**known, fit_temperature=True, calibration=True, out=str(out))
    assert found.temperature is not None
    assert not found.temperature.at_limit
    assert abs(found.temperature.value - 1) > 0.05
    assert found.temperature.nll_after < found.temperature.nll_before
    assert found.temperature.pixels == found.confusion.sum()
    assert found.artifacts == (str(out),)
    assert any("was fitted on val: judge it on other images" in warning for warning in found.warnings)
    again = scored(weights=str(out), data=known["data"], fit_temperature=True, calibration=True)
    assert again.temperature is not None
    assert again.temperature.value == pytest.approx(1, abs=1e-3)
    assert again.temperature.nll_before == pytest.approx(found.temperature.nll_after, abs=1e-6)
    assert np.array_equal(again.confusion, found.confusion)
    before, after = load_checkpoint(Path(known["weights"])), load_checkpoint(out)
    assert after.config == before.config
    changed = {name for name in before.tensors if not torch.equal(before.tensors[name], after.tensors[name])}
    assert changed == {"head.classify.weight", "head.classify.bias"}


def test_calibrated_weights_lie_beside_the_result_where_a_folder_is_named(
    known: dict[str, str], tmp_path: Path
) -> None:
    found = scored(**known, fit_temperature=True, out=str(tmp_path / "out"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "calibrated.safetensors", "per_image.npz", "result.json"
    ]
    assert len(found.artifacts) == 3
    (tmp_path / "out" / RESULT).unlink()
    (tmp_path / "out" / PER_IMAGE).unlink()
    with pytest.raises(SegFormerError, match=r"calibrated\.safetensors exists already"):
        scored(**known, fit_temperature=True, out=str(tmp_path / "out"))


def test_a_temperature_at_the_limit_of_what_is_tried_is_warned_of(
    lot: str, tmp_path: Path, weights_of: Weights
) -> None:
    path = weights_of()
    said = scored(weights=path, data=lot, fit_temperature=True).warnings  # targets drawn by lot: nothing to know
    assert any("lies beyond 32" in warning for warning in said)
    data = write_lot(tmp_path / "right", SIZES[:2])
    take_masks_as_targets(data, load_checkpoint(Path(path)), wrong=0)
    said = scored(weights=path, data=str(data), fit_temperature=True).warnings
    assert any("lies below 0.03125" in warning for warning in said)


def test_weights_that_nobody_named_are_calibrated_too(tmp_path: Path) -> None:
    out = tmp_path / "calibrated.safetensors"
    scored(limit=1, fit_temperature=True, out=str(out), resamples=0)
    assert load_checkpoint(out).config.class_names == CITY


# What is written.


def test_a_folder_holds_the_result_and_the_counts_of_each_image(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    out = tmp_path / "deep" / "out"
    found = scored(weights=weights_of(), data=lot, out=str(out))
    assert found.artifacts == (str(out / RESULT), str(out / PER_IMAGE))
    document = json.loads((out / RESULT).read_text(encoding="utf-8"))
    assert document["results"]["confusion_matrix"] == found.confusion.tolist()
    assert document["results"]["miou"] == found.miou
    assert document["results"]["protocol"] == found.protocol
    assert document["warnings"] == list(found.warnings)
    read = read_results(out)
    assert read.counts.keys == tuple(f"p{index}" for index in range(7))
    assert len(set(read.counts.targets)) == 7
    assert np.array_equal(read.counts.intersection.sum(0), np.diag(found.confusion))
    assert np.array_equal(read.counts.predicted.sum(0), found.confusion.sum(0))
    assert np.array_equal(read.counts.true.sum(0), found.confusion.sum(1))


def test_undefined_scores_are_null_in_the_written_result(streets: str, tmp_path: Path, weights_of: Weights) -> None:
    scored(weights=weights_of(class_names=CITY), data=streets, out=str(tmp_path / "out"))
    rows = json.loads((tmp_path / "out" / RESULT).read_text())["results"]["per_class"]
    train = next(row for row in rows if row["name"] == "train")
    assert (train["acc"], train["pixels"]) == (None, 0)  # never drawn


@pytest.mark.parametrize("written", ["out/result.json", "out/per_image.npz", "report.html", "sub/p6.png"])
def test_what_exists_is_kept_and_known_before_weights_are_looked_for(lot: str, tmp_path: Path, written: str) -> None:
    (tmp_path / written).parent.mkdir(exist_ok=True)
    (tmp_path / written).write_text("precious")
    asked = {
        "weights": "absent.safetensors", "data": lot, "out": str(tmp_path / "out"),
        "report": str(tmp_path / "report.html"), "submission": str(tmp_path / "sub"),
    }
    for run in (evaluate, plan):
        with pytest.raises(SegFormerError, match=f"{Path(written).name} exists already") as caught:
            run(EvalConfig(**asked))  # type: ignore[operator]
        assert caught.value.hint == "add --force to overwrite it; from Python, force=True"
    with pytest.raises(WeightsError):
        evaluate(EvalConfig(**asked, force=True))
    assert (tmp_path / written).read_text() == "precious"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / written]


def test_with_force_everything_is_written_anew(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    asked = {
        "weights": weights_of(), "data": lot, "out": str(tmp_path / "out"), "report": str(tmp_path / "report.html"),
        "submission": str(tmp_path / "sub"),
    }
    scored(**asked)
    before = (tmp_path / "out" / PER_IMAGE).read_bytes()
    (tmp_path / "out" / PER_IMAGE).write_text("old")
    scored(**asked, force=True)
    assert (tmp_path / "out" / PER_IMAGE).read_bytes() == before
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize(
    ("key", "place"), [("out", "file"), ("out", "file/out"), ("report", "file/r.html"), ("submission", "file")]
)
def test_an_output_below_a_file_is_refused_before_weights_are_looked_for(
    lot: str, tmp_path: Path, key: str, place: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SegFormerError, match=f"cannot write .*: {re.escape(str(tmp_path / 'file'))} is a file"):
        scored(**{"weights": "absent.safetensors", "data": lot, key: str(tmp_path / place)})


def test_a_broken_picture_leaves_nothing_half_written(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    data = tmp_path / "d"
    shutil.copytree(lot, data)
    (data / "images" / "val" / "p6.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"p6\.png is no picture"):
        scored(weights=weights_of(), data=str(data), out=str(tmp_path / "out"), report=str(tmp_path / "r.html"))
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_plan_says_what_would_be_scored_and_writes_nothing(lot: str, tmp_path: Path) -> None:
    out = {"out": str(tmp_path / "out"), "report": str(tmp_path / "r.html"), "submission": str(tmp_path / "s")}
    assert plan(EvalConfig(weights="b0-ade20k", data=lot, limit=3, **out)) == (
        f"would score b0-ade20k on 3 images of {lot}, split val"
    )
    masks = str(Path(lot) / "masks" / "val")
    said = f"would score the masks in {masks} on 7 images of {lot}, split val"
    assert plan(EvalConfig(predictions=masks, data=lot)) == said
    assert not any(tmp_path.iterdir())


def test_a_plan_looks_for_weights_and_masks(lot: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="there are no weights named 'nosuch'"):
        plan(EvalConfig(weights="nosuch", data=lot))
    with pytest.raises(DataError, match="there is no folder nosuch"):
        plan(EvalConfig(predictions="nosuch", data=lot))
    with pytest.raises(DataError, match="no mask found for 7 of 7 images"):
        plan(EvalConfig(predictions=str(tmp_path), data=lot))


# What has no place.


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"out": "x", "submission": "x"}, r"-o and --submission both name .*x\n"),
        ({"out": "x.html/", "report": "x.html"}, r"-o and --report both name .*x.html\n"),
        ({"submission": "a/../x.html", "report": "x.html"}, "--report and --submission both name"),
        ({"out": "r.html/out", "report": "r.html"}, "-o names .*out, which lies in the file of --report"),
        ({"submission": "r.html/s", "report": "r.html"}, "--submission names .*s, which lies in the file of --report"),
        (
            {"out": "w.safetensors", "fit_temperature": True, "submission": "w.safetensors/s"},
            "--submission names .*s, which lies in the file of -o",
        ),
        ({"report": "report.pdf"}, "--report report.pdf: a report is an HTML page"),
        ({"report": "report"}, "--report report: a report is an HTML page"),
    ],
    ids=str,
)
def test_outputs_that_get_in_each_others_way_are_wrong_usage(
    lot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: dict[str, Any], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for run in (evaluate, plan):
        with pytest.raises(UsageError, match=words):
            run(EvalConfig(weights="absent.safetensors", data=lot, **places))  # type: ignore[operator]
    assert not any(tmp_path.iterdir())


def test_outputs_may_lie_in_each_others_folders(lot: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = EvalConfig(
        weights="b0-ade20k", data=lot, out=str(out), report=str(out / "r.HTM"), submission=str(out / "masks")
    )
    assert plan(config).startswith("would score b0-ade20k on 7 images")


def test_masks_are_not_replaced_by_those_made_of_them(lot: str, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    shutil.copytree(Path(lot) / "masks" / "val", masks)
    with pytest.raises(UsageError, match="--submission would replace the masks of --predictions"):
        evaluate(EvalConfig(predictions=str(masks), data=lot, submission=f"{masks}/", force=True))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no file, not even root's")
@pytest.mark.parametrize("places", [{"out": "/proc/x"}, {"report": "/proc/r.html"}, {"submission": "/proc/x/masks"}])
def test_a_place_that_takes_no_file_is_known_before_weights_are_looked_for(lot: str, places: dict[str, str]) -> None:
    for run in (evaluate, plan):
        with pytest.raises(SegFormerError, match=r"cannot write /proc/.*: no file can be made in /proc"):
            run(EvalConfig(weights="absent.safetensors", data=lot, **places))  # type: ignore[operator, arg-type]


# The report.


def test_the_report_holds_the_score_its_interval_and_how_it_came_about(
    lot: str, tmp_path: Path, weights_of: Weights
) -> None:
    report = tmp_path / "deep" / "report.html"
    found = scored(
        weights=weights_of(), data=lot, report=str(report), boundary=True, object_sizes=True, calibration=True,
        dialect=("all",), group=("some=thing 0,thing 1",), resamples=100,
    )
    assert found.artifacts == (str(report),)
    page = report.read_text(encoding="utf-8")
    assert re.search(rf"<strong>{100 * found.miou:.2f}</strong>", page)
    assert found.protocol in page
    assert str(found.interval) in page
    assert all(name in page for name in THINGS)
    assert all(f"p{index}" in page for index in range(7))
    assert page.count("data:image/") >= 4 * 7
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page


def test_reports_of_masks_names_and_single_images_are_written_as_well(
    lot: str, streets: str, tmp_path: Path, weights_of: Weights
) -> None:
    masks = Path(masks_of(weights_of(), lot, tmp_path / "masks"))
    Image.fromarray(np.full((40, 56), 77, np.uint8)).save(masks / "p0.png")
    by_name = weights_of(class_names=("Sky", "zebra", "ROAD"))
    cases: dict[str, dict[str, Any]] = {
        "masks": {"predictions": str(masks), "data": lot},
        "names": {"weights": by_name, "data": streets, "by_name": True, "calibration": True},
        "single": {"weights": weights_of(), "data": lot, "limit": 1, "calibration": True},
    }
    for name, fields in cases.items():
        found = scored(**fields, report=str(tmp_path / f"{name}.html"))
        page = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        assert f"{100 * found.miou:.2f}" in page
        assert found.protocol in page
