"""Every number of the paper's recipes, from the written record of the released code (spec 3.1 to 3.3)."""

from __future__ import annotations

import re

import pytest

from segformer_cli.config import TrainConfig
from segformer_cli.settings import PRESETS, presets, resolve

COMMON = {
    "weights": "imagenet",
    "lr": 6e-5,
    "head_lr_multiplier": 10.0,
    "weight_decay": 0.01,
    "warmup": 1500,
    "poly_power": 1.0,
    "head_only": 0,
    "freeze": (),
    "clip_norm": None,
    "ema": 0.0,
    "precision": "fp32",
    "drop_path": 0.1,
    "dropout": 0.1,
    "loss": "ce",
    "label_smoothing": 0.0,
    "class_weights": "none",
    "loss_mean": "all",
    "cat_max_ratio": 0.75,
    "flip": 0.5,
    "photometric": "full",
    "sampling": "uniform",
    "log_every": 50,
}
"""Section 3.1, and what section 3.3 has in common to all."""

HALF_TO_DOUBLE, HALF_TO_WHOLE = (0.5, 2.0), (0.5, 1.0)
TABLE = {
    # name                variant  iterations batch crop         base size     scale           eval   checkpoint
    "ade20k-512":          ("b0",  160_000,   16,   (512, 512),   (512, 2048),  HALF_TO_DOUBLE, 16_000, 4_000),
    "ade20k-640":          ("b5",  160_000,   16,   (640, 640),   (640, 2048),  HALF_TO_DOUBLE, 16_000, 4_000),
    "cityscapes-1024":     ("b0",  160_000,   8,    (1024, 1024), (1024, 2048), HALF_TO_DOUBLE, 4_000,  4_000),
    "cityscapes-768":      ("b0",  160_000,   8,    (768, 768),   (768, 1536),  HALF_TO_DOUBLE, 4_000,  4_000),
    "cityscapes-512x1024": ("b0",  160_000,   8,    (512, 1024),  (512, 1024),  HALF_TO_DOUBLE, 4_000,  4_000),
    "coco-stuff-512":      ("b0",  80_000,    16,   (512, 512),   (512, 2048),  HALF_TO_DOUBLE, 16_000, 4_000),
    "mapillary-pretrain":  ("b0",  160_000,   16,   (1024, 1024), (1024, 2048), HALF_TO_WHOLE,  4_000,  4_000),
}  # fmt: skip
"""Section 3.2; sizes are (height, width). What it calls not published, the presets take from others and say so."""

KEYS = (
    "variant", "iterations", "batch_size", "crop_size", "base_size", "scale_range", "eval_every", "checkpoint_every"
)
NOT_PUBLISHED = {
    "coco-stuff-512": ("base_size", "validate and save"),
    "mapillary-pretrain": ("iterations", "validate and save"),
}


def text_of(name: str) -> str:
    return (PRESETS / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TABLE)
def test_a_paper_preset_holds_the_numbers_of_the_released_code(name: str) -> None:
    config = resolve(TrainConfig, preset=name)
    for key, expected in {**COMMON, **dict(zip(KEYS, TABLE[name], strict=True))}.items():
        assert getattr(config, key) == expected, key


@pytest.mark.parametrize("name", TABLE)
def test_a_paper_preset_states_each_number_itself_so_that_no_default_can_move_it(name: str) -> None:
    stated = set(re.findall(r"^(\w+):", text_of(name), re.MULTILINE))
    unsaid = {"head_only", "freeze", "label_smoothing", "sampling"}         # nothing the released code knows of
    assert stated >= (set(COMMON) - unsaid) | (set(KEYS) - {"variant"})


@pytest.mark.parametrize("name", presets())
def test_every_preset_is_short_and_says_where_it_comes_from(name: str) -> None:
    text = text_of(name)
    assert len(text.splitlines()) <= 40
    assert name == "sample" or "Source:" in text
    for words in NOT_PUBLISHED.get(name, ()):
        assert words in text.partition("Not published:")[2]


def test_those_of_the_paper_are_the_ones_that_start_from_imagenet() -> None:
    assert {name for name in presets() if resolve(TrainConfig, preset=name).weights == "imagenet"} == set(TABLE)
    assert set(presets()) == {*TABLE, "finetune", "scratch", "sample"}


@pytest.mark.parametrize("name", ["finetune", "scratch", "sample"])
def test_one_for_own_data_leaves_the_rates_to_the_start_and_counts_labelled_pixels(name: str) -> None:
    config = resolve(TrainConfig, preset=name)
    assert (config.lr, config.head_lr_multiplier, config.loss_mean) == (None, None, "valid")
    assert config.base_size is None         # pictures are scaled from their own size
    assert config.ema == (0.0 if name == "sample" else 0.999)
    if name != "sample":
        assert (config.iterations, config.crop_size) == (None, None)


def test_a_flag_overrules_a_paper_preset() -> None:
    config = resolve(TrainConfig, preset="ade20k-640", flags={"weights": "none", "variant": "b2"})
    assert (config.weights, config.variant, config.crop_size) == ("none", "b2", (640, 640))
