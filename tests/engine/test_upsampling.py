"""Strips of rows against the plain way: every map upsampled whole."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segformer_cli.engine import upsampling
from segformer_cli.engine.upsampling import LogitMap, Window, class_values

HW = tuple[int, int]
SIZES = [((96, 128), (96, 128)), ((512, 704), (300, 411)), ((64, 96), (517, 701)), ((32, 32), (1, 1))]


def resized(logits: Tensor, size_hw: HW) -> Tensor:
    return F.interpolate(logits[None], size=size_hw, mode="bilinear", align_corners=False)[0]


def quarter(size_hw: HW, classes: int = 5) -> Tensor:
    return torch.randn(classes, -(-size_hw[0] // 4), -(-size_hw[1] // 4), dtype=torch.float64)


def found(maps: list[LogitMap], source_hw: HW) -> Tensor:
    return torch.cat([values for _, values in class_values(maps, source_hw)]).permute(2, 0, 1)


@pytest.mark.parametrize(("network_hw", "source_hw"), SIZES)
@pytest.mark.parametrize("strip", [1, 7_000, 10**9])
def test_strips_equal_two_bilinear_steps(
    monkeypatch: pytest.MonkeyPatch, network_hw: HW, source_hw: HW, strip: int
) -> None:
    monkeypatch.setattr(upsampling, "STRIP_VALUES", strip)
    logits = quarter(network_hw)
    expected = resized(resized(logits, network_hw), source_hw)
    assert torch.allclose(
        found([LogitMap((Window(0, 0, network_hw, logits),), network_hw)], source_hw), expected, atol=1e-10, rtol=0
    )


@pytest.mark.parametrize("strip", [1, 7_000, 10**9])
def test_overlapping_windows_have_their_logits_averaged_before_the_second_step(
    monkeypatch: pytest.MonkeyPatch, strip: int
) -> None:
    monkeypatch.setattr(upsampling, "STRIP_VALUES", strip)
    network_hw, source_hw, size = (80, 130), (61, 97), (50, 64)
    places = [(0, 0), (0, 40), (0, 66), (30, 0), (30, 40), (30, 66)]
    windows = tuple(Window(top, left, size, quarter(size)) for top, left in places)
    total, count = torch.zeros(5, *network_hw, dtype=torch.float64), torch.zeros(network_hw)
    for window in windows:
        box = slice(window.top, window.top + 50), slice(window.left, window.left + 64)
        total[(slice(None), *box)] += resized(window.logits, size)
        count[box] += 1
    expected = resized(total / count, source_hw)
    assert torch.allclose(found([LogitMap(windows, network_hw)], source_hw), expected, atol=1e-10, rtol=0)


def test_several_passes_have_their_softmax_averaged_at_the_sources_size() -> None:
    source_hw = (61, 97)
    sizes = [(64, 96), (96, 160), (96, 160)]
    logits = [quarter(size) for size in sizes]
    maps = [
        LogitMap((Window(0, 0, size, each),), size, mirrored=number == 2)
        for number, (size, each) in enumerate(zip(sizes, logits, strict=True))
    ]
    softmaxes = [
        resized(resized(each, size), source_hw).softmax(0) for size, each in zip(sizes, logits, strict=True)
    ]
    expected = (softmaxes[0] + softmaxes[1] + softmaxes[2].flip(-1)) / 3
    assert torch.allclose(found(maps, source_hw), expected, atol=1e-10, rtol=0)
