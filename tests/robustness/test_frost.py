"""Frost: what is added to what, from which part of which pane; the originals from a folder, and the drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segformer_cli.data.sample import draw_scene
from segformer_cli.errors import DataError, ImageError
from segformer_cli.images import Picture, write_image
from segformer_cli.robustness import frost as module
from segformer_cli.robustness.frost import ORIGINALS, Textures, frost, procedural_textures, textures_from
from segformer_cli.robustness.source import Source

SEVERITIES = range(1, 6)
TWENTIETHS = (20, 8), (16, 12), (14, 14), (13, 14), (12, 15)


def pane(level: int, size_hw: tuple[int, int] = (60, 80)) -> Picture:
    return np.full((*size_hw, 3), level, np.uint8)


def all_levels() -> Picture:
    """(32, 32, 3) and more: every level in every channel."""
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32).repeat(4, 0)
    return np.stack([levels, levels[::-1], levels[:, ::-1]], axis=2)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_shares_of_picture_and_pane_are_added_and_cut(severity: int) -> None:
    kept, added = TWENTIETHS[severity - 1]
    picture = all_levels()
    for level in range(256):
        seen = frost(Source(picture), severity, np.random.default_rng(0), textures=Textures((pane(level),), True))
        expected = np.minimum((kept * picture.astype(int) + added * level) // 20, 255)
        assert np.array_equal(seen, expected)
        rounded = frost(Source(picture), severity, np.random.RandomState(0), textures=Textures((pane(level),), True))
        assert set(np.unique(expected - rounded)) <= {0, 1}


def test_a_pane_is_enlarged_by_a_tenth_more_than_covers_the_picture() -> None:
    textures = Textures((pane(0, (60, 80)),), comparable=False)
    cases = {(40, 50): (66, 88), (120, 80): (132, 176), (60, 160): (132, 176), (300, 100): (330, 440)}
    for size_hw, expected in cases.items():
        assert module._covering(textures, 0, size_hw).shape[:2] == expected


def test_the_pane_and_the_part_of_it_are_drawn_in_the_order_of_the_reference() -> None:
    columns, rows = np.meshgrid(np.arange(120, dtype=np.uint8), np.arange(90, dtype=np.uint8))
    panes = tuple(np.stack([rows, columns, np.full_like(rows, index)], axis=2) for index in range(5))
    textures = Textures(panes, comparable=False)
    black = Source(np.zeros((40, 50, 3), np.uint8))
    for seed in range(20):
        rng = np.random.RandomState(seed)
        index = rng.randint(5)
        enlarged = module._covering(textures, index, (40, 50))
        top, left = rng.randint(0, 99 - 40), rng.randint(0, 132 - 50)
        part = enlarged[top : top + 40, left : left + 50]
        seen = frost(black, 5, np.random.RandomState(seed), textures=textures)
        assert np.array_equal(seen, 15 * part.astype(int) // 20)


def test_every_pane_is_drawn_as_often() -> None:
    textures = Textures(tuple(pane(50 * index) for index in range(5)), comparable=False)
    black, rng = Source(np.zeros((32, 32, 3), np.uint8)), np.random.default_rng(0)
    drawn = [int(frost(black, 1, rng, textures=textures)[0, 0, 0]) for _ in range(500)]
    assert sorted(set(drawn)) == [0, 20, 40, 60, 80]
    assert min(drawn.count(level) for level in set(drawn)) > 60


@pytest.mark.parametrize("size_hw", [(32, 32), (97, 131), (33, 800), (800, 33)])
def test_frost_makes_a_new_picture_of_the_same_size(size_hw: tuple[int, int]) -> None:
    clean = draw_scene(2, (800, 800))[0][: size_hw[0], : size_hw[1]]
    source = Source(clean)
    for severity in SEVERITIES:
        seen = frost(source, severity, np.random.default_rng(severity))
        assert seen.shape == clean.shape
        assert seen.dtype == np.uint8
        assert np.array_equal(seen, frost(Source(clean), severity, np.random.default_rng(severity)))
    assert np.array_equal(source.pixels, clean)


def test_frost_hides_least_at_severity_1() -> None:
    scene = draw_scene(4, (160, 240))[0]
    correlations = [
        np.mean([np.corrcoef(frost(Source(scene), severity, np.random.default_rng(seed)).ravel(), scene.ravel())[0, 1]
                 for seed in range(10)])
        for severity in SEVERITIES
    ]
    assert max(correlations) == correlations[0]
    assert min(correlations) in correlations[2:]


def test_the_originals_are_read_from_their_folder(tmp_path: Path) -> None:
    for index, name in enumerate(ORIGINALS):
        write_image(tmp_path / name, pane(40 * index + 20))
    textures = textures_from(tmp_path)
    assert textures.comparable
    assert [int(each[0, 0, 0]) for each in textures.panes] == [20, 60, 100, 140, 180]


def test_a_folder_that_lacks_some_of_the_originals_is_refused(tmp_path: Path) -> None:
    for name in ORIGINALS[:3]:
        write_image(tmp_path / name, pane(9))
    with pytest.raises(DataError, match=r"2 of the 5 .*: frost4\.jpg, frost5\.jpg") as caught:
        textures_from(tmp_path)
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(DataError, match="5 of the 5"):
        textures_from(tmp_path / "nowhere")


def test_an_original_that_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    for name in ORIGINALS:
        write_image(tmp_path / name, pane(9))
    (tmp_path / "frost2.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"frost2\.png"):
        textures_from(tmp_path)


def test_drawn_panes_are_four_kinds_one_of_them_twice_and_not_comparable() -> None:
    textures = procedural_textures()
    assert not textures.comparable
    assert [each.shape for each in textures.panes] == [
        (600, 900, 3), (315, 560, 3), (315, 560, 3), (350, 527, 3), (495, 660, 3)
    ]
    assert textures.panes[1] is textures.panes[2]
    assert procedural_textures() is textures


def test_drawn_panes_have_the_tones_and_colours_of_the_photographs_they_stand_for() -> None:
    ice, needles, _, grains, ferns = procedural_textures().panes
    means = [each.mean((0, 1)) for each in (ice, needles, grains, ferns)]
    assert np.array(means) == pytest.approx(
        np.array([(77, 149, 166), (201, 205, 214), (138, 153, 165), (112, 123, 135)]), abs=2
    )
    for each, tones in ((needles, (140, 208, 244)), (grains, (81, 150, 231)), (ferns, (43, 117, 237))):
        assert np.percentile(each[..., 1], (1, 50, 99)) == pytest.approx(tones, abs=4)
    # Blue and grey ice is the one whose channels do not go together.
    assert np.corrcoef(ice[..., 0].ravel(), ice[..., 2].ravel())[0, 1] < 0.7


def test_drawn_panes_come_out_the_same_each_time() -> None:
    module.procedural_textures.cache_clear()
    first = procedural_textures()
    module.procedural_textures.cache_clear()
    assert all(np.array_equal(*pair) for pair in zip(first.panes, procedural_textures().panes, strict=True))
