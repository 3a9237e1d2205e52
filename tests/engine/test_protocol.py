"""The numbers of spec 3.5, and which protocol belongs to what."""

from __future__ import annotations

import pytest

from segformer_cli.engine.protocol import PROTOCOLS, Protocol, choose_protocol, multi_scale, starts
from segformer_cli.errors import UsageError
from segformer_cli.model.named_weights import find
from segformer_cli.resize import NATIVE, SizePolicy

ADE = PROTOCOLS["ade20k"]
CITY = PROTOCOLS["cityscapes"]


@pytest.mark.parametrize(
    ("source_hw", "network_hw"), [((480, 640), (512, 704)), ((500, 3000), (352, 2048)), ((512, 683), (512, 704))]
)
def test_ade20k_keeps_the_aspect_ratio_and_rounds_each_side_up(
    source_hw: tuple[int, int], network_hw: tuple[int, int]
) -> None:
    assert ADE.size.aligned(source_hw) == network_hw


def test_a_ratio_multiplies_the_base_scale_not_the_picture() -> None:
    assert ADE.size.fitted((480, 640), 0.75) == (384, 512)
    assert ADE.size.aligned((480, 640), 1.25) == (640, 864)
    assert PROTOCOLS["native"].size.fitted((480, 640), 0.75) == (360, 480)


def test_the_windows_of_cityscapes_begin_at_0_768_1024() -> None:
    assert CITY.windows((1024, 2048)) == [(0, left, 1024, 1024) for left in (0, 768, 1024)]
    assert CITY.size.aligned((1024, 2048)) == (1024, 2048)


def test_the_window_grids_of_all_cityscapes_scales_are_those_of_the_released_code() -> None:
    grids = {}
    for ratio in multi_scale(CITY, "cityscapes").ratios:
        height, width = CITY.size.aligned((1024, 2048), ratio)
        grids[ratio] = len(starts(height, 1024, 768)), len(starts(width, 1024, 768))
    assert grids == {0.5: (1, 1), 0.75: (1, 2), 1.0: (1, 3), 1.25: (2, 3), 1.5: (2, 4), 1.75: (2, 5), 2.0: (3, 5)}
    # Spec 3.5 lists these grids and calls their sum 43; it is 45.
    assert sum(rows * columns for rows, columns in grids.values()) == 45


def test_b0_at_768_sees_two_windows_of_a_picture_brought_to_768_x_1536() -> None:
    squares = PROTOCOLS["cityscapes-768"]
    assert squares.size.aligned((1024, 2048)) == (768, 1536)
    assert squares.windows((768, 1536)) == [(0, 0, 768, 768), (0, 768, 768, 768)]


def test_small_scenes_in_the_layout_of_cityscapes_stay_at_their_own_size_and_whole() -> None:
    protocol = choose_protocol(None, NATIVE, "cityscapes", "cityscapes")
    assert protocol.size.aligned((256, 512)) == (256, 512)
    assert protocol.windows((256, 512)) == [(0, 0, 256, 512)]


def test_a_picture_smaller_than_the_window_is_one_window_without_padding() -> None:
    assert CITY.windows((360, 480)) == [(0, 0, 360, 480)]
    assert CITY.windows((360, 1200)) == [(0, 0, 360, 1024), (0, 176, 360, 1024)]


def test_windows_cover_every_pixel() -> None:
    for side in range(1, 60):
        for window in range(1, 12):
            for stride in range(1, window + 1):
                begins = starts(side, window, stride)
                seen = {pixel for begin in begins for pixel in range(begin, begin + min(window, side))}
                assert seen == set(range(side)), (side, window, stride)


def test_the_protocol_follows_from_weights_and_data() -> None:
    own = SizePolicy(short=512, long=2048)
    assert choose_protocol(None, NATIVE, "cityscapes", "cityscapes").name == "cityscapes"
    small, squares = (find(f"b0-cityscapes-{size}").size for size in ("512x1024", "768x768"))
    assert small is not None and squares is not None
    assert choose_protocol(None, small, "cityscapes", "cityscapes").window is None
    assert choose_protocol(None, squares, "cityscapes", "cityscapes").name == "cityscapes-768"
    assert choose_protocol(None, own, "ade20k", "ade20k").size == own
    assert choose_protocol(None, NATIVE, "camvid", "cityscapes").size == NATIVE
    assert choose_protocol("cityscapes", NATIVE, None, "camvid").window == (1024, 1024)


def test_an_unknown_protocol_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match="no protocol 'cityscape'") as caught:
        choose_protocol("cityscape", NATIVE, None, "camvid")
    assert caught.value.hint == "did you mean cityscapes?"


def test_multi_scale_takes_the_ratios_of_the_papers() -> None:
    assert multi_scale(ADE, "ade20k").ratios == (0.75, 0.875, 1.0, 1.125, 1.25)
    assert multi_scale(CITY, "cityscapes").ratios == (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    assert multi_scale(Protocol(name="checkpoint", size=NATIVE), "camvid").ratios == (0.5, 0.75, 1, 1.25, 1.5, 1.75)
    assert multi_scale(ADE, "ade20k").flip


def test_a_protocol_reads_as_a_sentence() -> None:
    assert str(ADE) == (
        "whole, at a short side of 512 with a long side of at most 2048, sides rounded up to a multiple of 32, "
        "single scale"
    )
    assert str(multi_scale(CITY, "cityscapes")) == (
        "in windows of 1024x1024 every 768x768 pixels, logits averaged, at their own size, softmax averaged over 0.5, "
        "0.75, 1, 1.25, 1.5, 1.75, 2 times that size, each also mirrored"
    )
