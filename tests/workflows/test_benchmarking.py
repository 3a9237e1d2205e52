"""What is measured of networks and exported files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from segformer_cli.config import BenchmarkConfig, ExportConfig
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.errors import ImageError, SegFormerError, UsageError, WeightsError
from segformer_cli.model.segformer import SegFormer
from segformer_cli.workflows.benchmarking import benchmark
from segformer_cli.workflows.exporting import export_model

QUICK = {"calls": 3, "warm_up": 0, "device": "cpu"}


def test_each_network_is_measured_at_each_size_and_batch_size() -> None:
    found = benchmark(BenchmarkConfig(variant=("b0", "b1"), size=("64", "32x96"), batch_size=(1, 3), **QUICK))  # type: ignore[arg-type]
    assert [(row.name, row.size_hw, row.batch_size) for row in found.rows] == [
        (name, size, batch) for name in ("b0", "b1") for size in ((64, 64), (32, 96)) for batch in (1, 3)
    ]
    assert all(len(row.model_only.calls) == 3 and row.images_per_s > 0 for row in found.rows)
    assert found.rows[1].images_per_s == pytest.approx(3 / found.rows[1].model_only.median)


def test_parameters_and_multiply_adds_are_those_of_the_paper() -> None:
    """Spec 1.9 and 1.10; all six variants are tested in tests/model, this is that they are those of the row."""
    (row,) = benchmark(BenchmarkConfig(size=("512",), **QUICK)).rows  # type: ignore[arg-type]
    assert row.parameters == 3_752_694
    assert round(row.published_macs / 1e9, 2) == 8.40
    assert row.computed_macs < 0.5 * row.textbook_macs
    (row,) = benchmark(BenchmarkConfig(size=("64",), num_classes=19, **QUICK)).rows  # type: ignore[arg-type]
    assert row.parameters == 3_719_027


def test_more_pictures_a_call_need_more_memory() -> None:
    one, eight = benchmark(BenchmarkConfig(size=("256",), batch_size=(1, 8), **QUICK)).rows  # type: ignore[arg-type]
    if one.peak_bytes is None or eight.peak_bytes is None:
        pytest.skip("this system does not tell the peak of a process")
    assert eight.peak_bytes > 3 * one.peak_bytes > 0


@pytest.mark.parametrize("file", [{"format": "torchscript"}, {"format": "torchscript", "full_pipeline": True}])
def test_an_exported_file_is_measured_in_its_own_runtime_at_its_own_size(
    tmp_path: Path, file: dict[str, str | bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "a.pt")
    export_model(ExportConfig(weights="sample", out=path, size="64x96", limit=1, **file))  # type: ignore[arg-type]
    ran: list[tuple[int, ...]] = []
    forward = ExportedModel.forward

    def watched(self: ExportedModel, images: torch.Tensor) -> torch.Tensor:
        ran.append(tuple(images.shape))
        return forward(self, images)

    monkeypatch.setattr(ExportedModel, "forward", watched)
    (row,) = benchmark(BenchmarkConfig(weights=path, **QUICK)).rows  # type: ignore[arg-type]
    assert (row.runtime, row.precision, row.size_hw, row.num_classes) == ("torchscript", "fp32", (64, 96), 19)
    # Once for memory, then the calls, alone and within the whole way.
    assert ran == [(1, 3, 64, 96)] * 7
    with pytest.raises(ImageError, match="pictures of 64x96 alone"):
        benchmark(BenchmarkConfig(weights=path, size=("128",), **QUICK))  # type: ignore[arg-type]


def test_the_network_sees_the_very_size_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    forward = SegFormer.forward

    def watched(self: SegFormer, images: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(images.shape[-2:]))
        return forward(self, images)

    monkeypatch.setattr(SegFormer, "forward", watched)
    benchmark(BenchmarkConfig(size=("29x67",), **QUICK))  # type: ignore[arg-type]
    assert set(seen) == {(29, 67)}


def test_threads_are_those_asked_for_and_then_those_of_before() -> None:
    before = torch.get_num_threads()
    found = benchmark(BenchmarkConfig(size=("32",), threads=before + 1, **QUICK))  # type: ignore[arg-type]
    assert found.machine["threads"] == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"variant": ("b7",)}, UsageError, "b7"),
        ({"size": ("512x",)}, UsageError, "is no exact size"),
        ({"size": ("16",)}, UsageError, "a side has 29 to"),
        ({"batch_size": (0,)}, UsageError, "batch_size"),
        ({"batch_size": ()}, UsageError, "nothing is to be measured"),
        ({"calls": 2}, UsageError, "calls"),
        ({"weights": "no/such.onnx"}, WeightsError, "no/such.onnx"),
        ({"device": "gpu"}, UsageError, "there is no device"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(
    asked: dict[str, object], error: type[SegFormerError], text: str
) -> None:
    with pytest.raises(error, match=text):
        benchmark(BenchmarkConfig(**asked))  # type: ignore[arg-type]
