"""Windows over pictures that are never held whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.protocol import choose_protocol
from segformer_cli.engine.streaming import Blend, Windows, bytes_held, count_windows, streamed_mask, streamed_values
from segformer_cli.errors import UsageError
from segformer_cli.images import Pixels
from segformer_cli.model.checkpoint import network_from
from segformer_cli.model.header import ModelConfig
from segformer_cli.model.segformer import upsample
from segformer_cli.resize import NATIVE
from tests.conftest import RandomCheckpoint

K = 5


class Local(nn.Module):
    """Logits at stride 4 of which each sees 20 pixels; in float64, so that sums tell nothing of their order."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(K, 3, 20, 20, generator=generator) / 20

    def forward(self, images: Tensor) -> Tensor:
        return torch.nn.functional.conv2d(images.double(), self.weight.double(), stride=4, padding=8).float()


class Constant(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        values = torch.tensor([3.25, -1.5, 0.1, 7.3, 2.0])
        return values[None, :, None, None].expand(len(images), -1, images.shape[2] // 4, images.shape[3] // 4)


def segmenter(model: nn.Module) -> Segmenter:
    config = ModelConfig(
        variant="b0", class_names=tuple("abcde"), palette=((0, 0, 0),) * K, mean=(0.0,) * 3, std=(1.0,) * 3
    )
    protocol = choose_protocol(None, NATIVE, None, "")
    return Segmenter(model, config, torch.device("cpu"), torch.float32, protocol)  # type: ignore[arg-type]


def picture(height: int, width: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)


def reader(pixels: Pixels) -> Callable[[slice, slice], Pixels]:
    return lambda rows, columns: pixels[rows, columns]


def values_of(model: nn.Module, pixels: Pixels, windows: Windows, first_row: int = 0) -> Tensor:
    height, width = pixels.shape[:2]
    strips = list(streamed_values(segmenter(model), reader(pixels), (height, width), windows, first_row))
    assert [rows.start for rows, _ in strips] == [first_row, *(rows.stop for rows, _ in strips[:-1])]
    assert strips[-1][0].stop == height
    return torch.cat([values for _, values in strips])


def whole(model: nn.Module, pixels: Pixels) -> Tensor:
    """The plain way, with the border filled as windows have it."""
    height, width = pixels.shape[:2]
    images = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))[None]
    low = model(torch.nn.functional.pad(images, (0, -width % 4 + 32, 0, -height % 4 + 32)))
    low = low[:, :, : -(-height // 4), : -(-width // 4)]
    return upsample(low, (4 * low.shape[2], 4 * low.shape[3]))[0, :, :height, :width].permute(1, 2, 0)


@pytest.mark.parametrize("blend", ["hann", "gaussian"])
@pytest.mark.parametrize("size_hw", [(200, 333), (64, 64), (61, 300), (130, 67), (31, 29)])
def test_of_a_network_that_sees_less_than_the_overlap_windows_are_the_whole(
    blend: Blend, size_hw: tuple[int, int]
) -> None:
    pixels = picture(*size_hw)
    found = values_of(Local(), pixels, Windows(128, 64, blend))
    expected = whole(Local(), pixels)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_papers_mean_weighs_all_windows_alike() -> None:
    pixels = picture(100, 96)
    found = values_of(Local(), pixels, Windows(64, 32, "mean"))
    inside = whole(Local(), pixels)[:20, :20]
    assert (found[:20, :20] - inside).abs().max() < 1e-5 * inside.abs().max()
    # Where two windows meet, the border of one is counted as much as the middle of the other.
    assert (found - whole(Local(), pixels)).abs().max() > 0.1


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 300), st.sampled_from([(64, 16), (64, 32), (96, 48), (128, 32)]),
    st.sampled_from(["hann", "gaussian", "mean"]),
)
def test_constant_logits_come_back_constant(height: int, width: int, window: tuple[int, int], blend: Blend) -> None:
    found = values_of(Constant(), picture(height, width), Windows(*window, blend))
    assert found.shape == (height, width, K)
    assert (found - torch.tensor([3.25, -1.5, 0.1, 7.3, 2.0])).abs().max() < 1e-6 * 7.3


@pytest.mark.parametrize("first_row", [1, 2, 3, 50, 97, 98, 99, 130, 198, 199])
@pytest.mark.parametrize("blend", ["hann", "mean"])
def test_a_later_start_gives_the_very_rows_of_the_whole(first_row: int, blend: Blend) -> None:
    pixels = picture(200, 120)
    windows = Windows(64, 32, blend)
    assert torch.equal(values_of(Local(), pixels, windows, first_row), values_of(Local(), pixels, windows)[first_row:])


def test_a_network_s_mask_is_told_in_windows_and_no_row_of_the_picture_is_read_twice_at_once(
    random_checkpoint: RandomCheckpoint,
) -> None:
    network = Segmenter.of(network_from(random_checkpoint("b0", classes=K)), torch.device("cpu"))
    pixels, asked = picture(150, 200), []

    def read(rows: slice, columns: slice) -> Pixels:
        asked.append((rows, columns))
        return pixels[rows, columns]

    windows, done = Windows(64, 32), []
    strips = list(streamed_mask(network, read, (150, 200), windows, seen=done.append))
    mask = np.concatenate([ids for _, ids in strips])
    assert mask.shape == (150, 200) and mask.dtype == np.uint8
    assert len(asked) == count_windows(windows, (150, 200)) == done[-1] == 4 * 6
    assert all(rows.stop - rows.start <= 64 and columns.stop - columns.start <= 64 for rows, columns in asked)
    assert np.array_equal(mask, np.concatenate([ids for _, ids in streamed_mask(network, read, (150, 200), windows)]))


def test_what_is_held_does_not_grow_with_the_height() -> None:
    assert bytes_held(Windows(), (1000, 5000), 19) == bytes_held(Windows(), (50_000, 5000), 19)


@pytest.mark.parametrize(("side", "overlap"), [(100, 32), (64, 8), (64, 48), (64, 0)])
def test_windows_that_cannot_be_are_refused(side: int, overlap: int) -> None:
    with pytest.raises(UsageError, match=f"windows of {side} pixels that overlap by {overlap}"):
        Windows(side, overlap)
