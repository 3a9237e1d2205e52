"""What is measured of networks and exported files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from segformer_cli.config import BenchmarkConfig, ExportConfig
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.timing import Timing
from segformer_cli.errors import SegFormerError, UsageError, WeightsError
from segformer_cli.model import multiply_adds
from segformer_cli.model.segformer import SegFormer
from segformer_cli.workflows import benchmark_row, benchmarking
from segformer_cli.workflows.benchmark_row import Measured, Task, measured, measured_apart
from segformer_cli.workflows.benchmarking import benchmark, plan
from segformer_cli.workflows.exporting import export_model


def task(**fields: Any) -> Task:
    values: dict[str, Any] = {
        "weights": None, "variant": "b0", "num_classes": 5, "size_hw": (64, 64), "batch_size": 1, "warm_up": 0,
        "calls": 3, "seconds": 60.0, "threads": None, "device": "cpu", "precision": "auto", "offline": True,
        "trust": False, **fields,
    }
    return Task(**values)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Rows measure nothing, and tell what was asked of them."""
    asked: list[Task] = []

    def instead(each: Task) -> Measured | str:
        asked.append(each)
        timing = Timing((0.5, 0.25, 0.75))
        return "memory is not enough" if each.batch_size > 100 else Measured(timing, timing, 7)

    monkeypatch.setattr(benchmarking, "measured_apart", instead)
    return asked


def test_each_network_is_measured_at_each_size_and_batch_size(at_once: list[Task]) -> None:
    found = benchmark(BenchmarkConfig(variant=("b0", "b1"), size=("64", "32x96"), batch_size=(1, 3), threads=2))
    wanted = [(name, size, batch) for name in ("b0", "b1") for size in ((64, 64), (32, 96)) for batch in (1, 3)]
    assert [(row.contestant.name, row.size_hw, row.batch_size) for row in found.rows] == wanted
    assert [(each.variant, each.size_hw, each.batch_size) for each in at_once] == wanted
    assert {each.threads for each in at_once} == {found.machine["threads"]} == {2}
    assert found.rows[1].images_per_s == 3 / 0.5


def test_parameters_and_multiply_adds_are_those_of_the_paper(at_once: list[Task]) -> None:
    """Spec 1.9 and 1.10 for all six."""
    parameters = (3_752_694, 13_715_798, 27_461_974, 47_337_814, 64_108_374, 84_708_694)
    published = (8.40, 15.90, 62.39, 79.03, 95.65, 111.61)
    rows = benchmark(BenchmarkConfig(variant=tuple(f"b{index}" for index in range(6)))).rows
    assert tuple(row.contestant.parameters for row in rows) == parameters
    assert tuple(round(row.published_macs / 1e9, 2) for row in rows) == published
    assert all(row.computed_macs < row.textbook_macs < row.published_macs for row in rows)
    (row,) = benchmark(BenchmarkConfig(num_classes=19)).rows
    assert row.contestant.parameters == 3_719_027


def test_a_row_that_fails_does_not_stop_the_others(at_once: list[Task]) -> None:
    found = benchmark(BenchmarkConfig(size=("64",), batch_size=(1, 1000, 2)))
    assert [row.batch_size for row in found.rows] == [1, 2]
    assert [(each.batch_size, each.error) for each in found.failed] == [(1000, "memory is not enough")]


def test_calls_are_counted_and_the_network_sees_the_very_size_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    forward = SegFormer.forward

    def watched(self: SegFormer, images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape))
        return forward(self, images)

    monkeypatch.setattr(SegFormer, "forward", watched)
    found = measured(task(size_hw=(29, 67), batch_size=2, warm_up=1, calls=4))
    # Once for memory, the warm-up and the calls with the batch; the warm-up and the calls from a picture to its mask.
    assert seen == [(2, 3, 29, 67)] * 6 + [(1, 3, 29, 67)] * 5
    assert len(found.model_only.calls) == len(found.end_to_end.calls) == 4


def test_a_process_of_its_own_measures_what_one_holds(tmp_path: Path) -> None:
    one, eight = (measured_apart(task(size_hw=(256, 256), batch_size=batch, threads=1)) for batch in (1, 8))
    assert isinstance(one, Measured) and isinstance(eight, Measured)
    assert len(one.model_only.calls) == 3
    if one.peak_bytes is None or eight.peak_bytes is None:
        pytest.skip("this system does not tell the peak of a process")
    # 3.7 M parameters of four bytes lie there too.
    assert eight.peak_bytes > 2 * one.peak_bytes > 2 * 4 * 3.7e6


def test_what_goes_wrong_in_a_process_is_told() -> None:
    assert measured_apart(task(batch_size=10**9)) == "memory is not enough; a smaller --batch-size or --size"
    missing = measured_apart(task(weights="no/such.onnx"))
    assert isinstance(missing, str) and "there is no file or folder 'no/such.onnx'" in missing
    with pytest.raises(RuntimeError, match="TypeError"):
        measured_apart(task(warm_up="three"))


def test_a_process_that_was_killed_is_a_row_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_row, "_STARTS", "import os; os.kill(os.getpid(), 9)")
    assert measured_apart(task()) == "its process was ended by SIGKILL, likely for lack of memory"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """small.pt takes pictures of 64x96, whole.pt any, sizing them inside."""
    folder = tmp_path_factory.mktemp("files")
    for name, fields in (("small", {"size": "64x96"}), ("whole", {"full_pipeline": True})):
        export_model(ExportConfig(weights="sample", out=str(folder / f"{name}.pt"), limit=1, **fields))  # type: ignore[arg-type]
    return folder


def test_an_exported_file_is_measured_in_its_own_runtime_at_its_own_size(
    files: Path, at_once: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = str(files / "small.pt")
    (row,) = benchmark(BenchmarkConfig(weights=weights)).rows
    assert (row.contestant.runtime, row.contestant.precision, row.size_hw) == ("torchscript", "fp32", (64, 96))
    ran: list[tuple[int, ...]] = []
    forward = ExportedModel.forward

    def watched(self: ExportedModel, images: torch.Tensor) -> torch.Tensor:
        ran.append(tuple(images.shape))
        return forward(self, images)

    monkeypatch.setattr(ExportedModel, "forward", watched)
    measured(at_once[0])
    assert set(ran) == {(1, 3, 64, 96)}


def test_of_a_whole_pipeline_the_multiply_adds_are_those_at_the_size_inside(files: Path, at_once: list[Task]) -> None:
    (row,) = benchmark(BenchmarkConfig(weights=str(files / "whole.pt"), size=("40x100",))).rows
    assert row.size_hw == (40, 100)
    assert row.computed_macs == multiply_adds.folded(row.contestant.meaning, (64, 128)).total
    assert measured(at_once[0]).model_only.median > 0


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"variant": ("b7",)}, UsageError, "b7"),
        ({"size": ("512x",)}, UsageError, "is no exact size"),
        ({"size": ("16",)}, UsageError, "a side has 29 to"),
        ({"batch_size": (0,)}, UsageError, "batch_size"),
        ({"batch_size": ()}, UsageError, "no batch size"),
        ({"calls": 2}, UsageError, "calls"),
        ({"num_classes": 10**8}, UsageError, "num_classes"),
        ({"weights": "no/such.onnx"}, WeightsError, "no/such.onnx"),
        ({"weights": "sample", "variant": ("b0",)}, UsageError, "--variant b0 is for random weights"),
        ({"weights": "sample", "num_classes": 7}, UsageError, "num_classes 7 is for random weights"),
        ({"weights": "small.pt", "size": ("128",)}, UsageError, "pictures of 64x96 alone, not 128x128"),
        ({"weights": "small.pt", "batch_size": (1, 2)}, UsageError, "one picture a call, not 2"),
        ({"weights": "small.pt", "precision": "bf16"}, UsageError, "computes in fp32, not in bf16"),
        ({"device": "gpu"}, UsageError, "there is no device"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    asked: dict[str, Any], error: type[SegFormerError], text: str, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    with pytest.raises(error, match=text):
        plan(BenchmarkConfig(**asked))
