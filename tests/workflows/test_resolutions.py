"""Which sizes and windows a sweep over resolutions tries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.data.pairs import Split
from segformer_cli.workflows.resolutions import sweep_protocols


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """One picture, whose short side of 200 is its width."""
    Image.fromarray(np.zeros((320, 200, 3), np.uint8)).save(tmp_path / "a.png")
    return open_pictures(str(tmp_path), "val", ["thing"])


def test_the_sizes_are_shares_of_the_short_side_and_windows_are_smaller_than_it(split: Split) -> None:
    found = sweep_protocols(split)
    assert [name for name in found if name.startswith("whole")] == [
        f"whole, short side {side}" for side in (100, 125, 150, 200, 250)
    ]
    # To the nearest multiple of 32: 100 is 96, 125 is 128, 150 is 160, 200 is 192; 256 is more than there is.
    assert [name for name in found if not name.startswith("whole")] == [
        f"windows of {side}x{side} at native size" for side in (96, 128, 160, 192)
    ]


def test_a_row_is_whole_at_its_short_side_or_in_windows_every_three_quarters_at_the_native_size(split: Split) -> None:
    found = sweep_protocols(split, [64])
    whole, windows = found["whole, short side 64"], found["windows of 64x64 at native size"]
    assert (whole.size.short, whole.window) == (64, None)
    assert (windows.size.short, windows.window, windows.stride) == (None, (64, 64), (48, 48))
    assert windows.size.fitted((320, 200)) == (320, 200)
    assert all(protocol.single for protocol in found.values())


def test_sizes_that_are_given_stand_in_their_order_each_once(split: Split) -> None:
    assert list(sweep_protocols(split, [320, 64, 70, 64])) == [
        "whole, short side 320",
        "whole, short side 64",
        "whole, short side 70",
        "windows of 64x64 at native size",          # of 70 too
    ]


def test_no_side_of_a_small_picture_is_below_32(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(tmp_path / "a.png")
    found = sweep_protocols(open_pictures(str(tmp_path), "val", ["thing"]))
    assert list(found) == [
        *(f"whole, short side {side}" for side in (32, 40, 50)), "windows of 32x32 at native size"
    ]
