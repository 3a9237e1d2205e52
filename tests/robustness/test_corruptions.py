"""What holds of all corruptions: any size, the source unchanged, chance by key alone, and the figures of one scene.

Golden statistics, of both modes, lie beside this file. After a change that was meant to change them:

    PYTHONPATH=. python tests/robustness/test_corruptions.py
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segformer_cli.data.sample import draw_scene
from segformer_cli.errors import ImageError, UsageError
from segformer_cli.images import Picture
from segformer_cli.robustness.corruptions import (
    CATEGORIES,
    CORRUPTIONS,
    Mode,
    corrupt,
    generator_for,
    random_state_for,
)
from segformer_cli.robustness.frost import Textures
from segformer_cli.robustness.protocols import CATEGORY_OF
from segformer_cli.robustness.source import Random, Source

GOLDEN = Path(__file__).with_name("corruption_statistics.json")
MODES: tuple[Mode, ...] = "fast", "reference"
SEVERITIES = range(1, 6)
WITHOUT_CHANCE = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
)


def chance(mode: Mode, name: str, severity: int, seed: int = 0) -> Random:
    key = seed, "scene", name, severity
    return generator_for(*key) if mode == "fast" else random_state_for(*key)


def corrupted(image: Picture | Source, mode: Mode, name: str, severity: int, seed: int = 0) -> Picture:
    return corrupt(image, name, severity, chance(mode, name, severity, seed), mode=mode)


@pytest.fixture(scope="module")
def scene() -> Picture:
    return draw_scene(5, (128, 256))[0]


def statistics(picture: Picture, clean: Picture) -> list[float]:
    """Mean of red, green and blue, standard deviation, and peak signal-to-noise ratio in dB against the clean scene."""
    error = ((picture.astype(float) - clean) ** 2).mean()
    ratio = 10 * math.log10(255**2 / error) if error else math.inf
    return [round(float(figure), 3) for figure in (*picture.mean((0, 1)), picture.std(), ratio)]


def all_statistics(scene: Picture) -> dict[str, dict[str, list[list[float]]]]:
    """By mode and corruption, one row a severity; and the scene's own."""
    source = Source(scene)
    figures = {
        mode: {
            name: [statistics(corrupted(source, mode, name, severity), scene) for severity in SEVERITIES]
            for name in CORRUPTIONS
        }
        for mode in MODES
    }
    return {"clean": {"scene": [statistics(scene, scene)[:4]]}, **figures}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_figures_of_a_scene_are_those_on_record(scene: Picture, name: str, mode: Mode) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    if statistics(scene, scene)[:4] != golden["clean"]["scene"][0]:
        pytest.fail(f"the drawn scene has changed: make the figures anew, see {__file__}")
    source = Source(scene)
    for severity, expected in zip(SEVERITIES, golden[mode][name], strict=True):
        figures = statistics(corrupted(source, mode, name, severity), scene)
        # What other versions of NumPy and OpenCV round differently stays well within.
        assert figures == pytest.approx(expected, abs=0.04), f"severity {severity}"


def test_there_are_nineteen_by_the_numbers_of_imagecorruptions() -> None:
    assert list(CORRUPTIONS) == [
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
        "speckle_noise",
        "gaussian_blur",
        "spatter",
        "saturate",
    ]
    assert CATEGORIES == ("noise", "blur", "weather", "digital")
    assert {name: corruption.category for name, corruption in CORRUPTIONS.items()} == dict(CATEGORY_OF)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORRUPTIONS)
@settings(max_examples=5, deadline=None)
@given(
    height=st.integers(32, 90), width=st.integers(32, 90), severity=st.sampled_from(SEVERITIES), seed=st.integers(0, 99)
)
def test_pictures_of_any_size_give_new_pictures_of_that_size(
    mode: Mode, name: str, height: int, width: int, severity: int, seed: int
) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    before = picture.copy()
    result = corrupted(picture, mode, name, severity, seed)
    assert result.shape == picture.shape and result.dtype == np.uint8
    assert result.flags.c_contiguous and result.flags.writeable
    assert not np.shares_memory(result, picture)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_black_and_white_pictures_are_no_special_case(name: str, mode: Mode, level: int) -> None:
    picture = np.full((40, 48, 3), level, np.uint8)
    for severity in SEVERITIES:
        assert corrupted(picture, mode, name, severity).shape == picture.shape


@pytest.mark.parametrize("mode", MODES)
def test_a_variant_depends_on_its_key_alone_not_on_what_was_made_before(scene: Picture, mode: Mode) -> None:
    variants = [(name, severity) for name in CORRUPTIONS for severity in (1, 4)]
    picture = scene[:64, :96].copy()
    alone = {variant: corrupted(picture, mode, *variant) for variant in variants}
    shared = Source(picture)
    for variant in reversed(variants):
        assert np.array_equal(corrupted(shared, mode, *variant), alone[variant]), variant
    assert np.array_equal(shared.pixels, picture)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_another_seed_is_another_picture_where_chance_has_a_part(scene: Picture, name: str, mode: Mode) -> None:
    first, second = (corrupted(scene, mode, name, 3, seed) for seed in (1, 2))
    assert np.array_equal(first, second) == (name in WITHOUT_CHANCE)


def test_another_process_makes_the_same_pictures(scene: Picture, tmp_path: Path) -> None:
    np.save(tmp_path / "scene.npy", scene)
    script = """
import sys, zlib, numpy
from segformer_cli.robustness.corruptions import CORRUPTIONS, corrupt, generator_for
picture = numpy.load(sys.argv[1])
for name in reversed(CORRUPTIONS):
    print(name, zlib.crc32(corrupt(picture, name, 2, generator_for(0, "scene", name, 2))))
"""
    there = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "scene.npy"],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    sums = [f"{name} {zlib.crc32(corrupted(scene, 'fast', name, 2))}" for name in reversed(CORRUPTIONS)]
    assert there.stdout.splitlines() == sums


def test_seeds_keys_corruptions_and_severities_each_have_draws_of_their_own() -> None:
    keys = [
        (0, "a", "fog", 1),
        (1, "a", "fog", 1),
        (0, "b", "fog", 1),
        (0, "a", "snow", 1),
        (0, "a", "fog", 2),
        (0, 'a", "fog', "snow", 1),
        (0, "\udce9.png", "fog", 1),                                                # a name that is no UTF-8
    ]
    for make in (generator_for, random_state_for):
        draws = [make(*key).uniform() for key in keys]
        assert len(set(draws)) == len(keys)
        assert draws == [make(*key).uniform() for key in keys]
    # On record: a result says its seed, so that anyone can make its pictures again.
    assert generator_for(0, "a", "fog", 1).bit_generator.random_raw() == 6396288077463494797
    assert random_state_for(0, "a", "fog", 1).randint(2**31) == 614459046


def test_frost_draws_from_the_textures_given() -> None:
    black, white = (np.full((200, 200, 3), level, np.uint8) for level in (0, 255))
    picture = np.full((40, 40, 3), 100, np.uint8)
    for pane, expected in ((black, 100), (white, 202)):                             # 100 + 0.4 of the pane
        textures = Textures((pane,), comparable=False)
        assert (corrupt(picture, "frost", 1, frost=textures) == expected).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_bgr_corrupts_the_channels_in_reverse_order_and_gives_rgb(scene: Picture, name: str) -> None:
    variant = 0, "scene", name, 4
    swapped = corrupt(scene, name, 4, generator_for(*variant), channel_order="bgr")
    by_hand = corrupt(scene[..., ::-1], name, 4, generator_for(*variant))[..., ::-1]
    assert np.array_equal(swapped, by_hand)
    assert swapped.flags.c_contiguous


def test_bgr_turns_saturated_grey_bluish() -> None:
    grey = np.full((32, 32, 3), 100, np.uint8)
    assert corrupt(grey, "saturate", 5)[0, 0].tolist() == [100, 80, 80]
    assert corrupt(grey, "saturate", 5, channel_order="bgr")[0, 0].tolist() == [80, 80, 100]


def test_without_a_generator_fast_mode_draws_afresh(scene: Picture) -> None:
    assert not np.array_equal(corrupt(scene, "shot_noise", 1), corrupt(scene, "shot_noise", 1))


def test_wrong_names_severities_modes_and_orders_are_refused_with_a_way_out(scene: Picture) -> None:
    with pytest.raises(UsageError, match=r"there is no corruption 'gausian_noise'[\s\S]*did you mean gaussian_noise\?"):
        corrupt(scene, "gausian_noise", 1)
    for severity in (0, 6, -1):
        with pytest.raises(UsageError, match=rf"there is no severity {severity}[\s\S]*1 \(mild\) to 5"):
            corrupt(scene, "fog", severity)
    with pytest.raises(UsageError, match="there is no mode 'slow'"):
        corrupt(scene, "fog", 1, mode="slow")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no channel order 'rbg'"):
        corrupt(scene, "fog", 1, channel_order="rbg")  # type: ignore[arg-type]


def test_a_generator_of_the_other_mode_is_refused(scene: Picture) -> None:
    with pytest.raises(UsageError, match="fast mode draws from a Generator, not from a RandomState"):
        corrupt(scene, "contrast", 1, np.random.RandomState(0))
    with pytest.raises(UsageError, match="reference mode draws from a RandomState, not from a Generator"):
        corrupt(scene, "contrast", 1, np.random.default_rng(0), mode="reference")
    with pytest.raises(UsageError, match=r"draws from a RandomState, not from None[\s\S]*random_state_for"):
        corrupt(scene, "contrast", 1, mode="reference")


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((40, 40), np.uint8), r"\(40, 40\) uint8"),
        (np.zeros((40, 40, 4), np.uint8), r"\(40, 40, 4\) uint8"),
        (np.zeros((40, 40, 3), np.float32), r"\(40, 40, 3\) float32"),
        (np.zeros((31, 40, 3), np.uint8), "40 x 31 pixels is too small"),
        (np.zeros((40, 0, 3), np.uint8), "0 x 40 pixels is too small"),
    ],
)
def test_arrays_that_are_no_picture_to_corrupt_are_refused(picture: Picture, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        corrupt(picture, "fog", 1)
    with pytest.raises(ImageError, match=said):
        corrupt(Source(picture), "fog", 1)


if __name__ == "__main__":
    modes = []
    for mode, figures in all_statistics(draw_scene(5, (128, 256))[0]).items():
        rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in figures.items())
        modes.append(f"{json.dumps(mode)}: {{\n{rows}\n}}")
    GOLDEN.write_text("{\n" + ",\n".join(modes) + "\n}\n", encoding="utf-8")
