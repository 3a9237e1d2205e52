"""From a picture to class ids at its own size."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as F

from segformer_cli.engine.inference import Segmenter, prepare, upsampled_mask
from segformer_cli.engine.protocol import Protocol
from segformer_cli.engine.upsampling import LogitMap, Window
from segformer_cli.model.checkpoint import network_from
from segformer_cli.resize import SizePolicy
from tests.conftest import RandomCheckpoint


def whole(logits: torch.Tensor, network_hw: tuple[int, int]) -> list[LogitMap]:
    """The one pass of a picture that went through the network whole."""
    return [LogitMap((Window(0, 0, network_hw, logits),), network_hw)]


def test_upsampling_comes_before_the_argmax() -> None:
    # Between a pixel sure of class 0 and one sure of class 1 lies a point where class 2, second at both, wins.
    logits = torch.tensor([[[4.0, 0.0]], [[0.0, 4.0]], [[3.0, 3.0]]])
    mask = upsampled_mask(whole(logits, (4, 8)), (4, 8))
    assert mask[0].tolist() == [0, 0, 0, 2, 2, 1, 1, 1]


def test_more_than_255_classes_give_16_bit_ids() -> None:
    logits = torch.zeros(300, 2, 2)
    logits[299] = 1
    mask = upsampled_mask(whole(logits, (8, 8)), (8, 8)).numpy()
    assert mask.dtype == np.uint16
    assert (mask == 299).all()


def test_the_mask_has_the_pictures_size_and_classes(random_checkpoint: RandomCheckpoint) -> None:
    model = network_from(random_checkpoint("b0", classes=5, size=SizePolicy(short=64, long=256)))
    segmenter = Segmenter.of(model, torch.device("cpu"))
    picture = np.random.default_rng(0).integers(0, 255, (75, 100, 3), np.uint8)
    mask = segmenter.mask(picture)
    assert mask.shape == (75, 100)
    assert mask.max() < 5
    assert [tuple(each.shape) for each in segmenter.prepare(picture)] == [(1, 3, 64, 96)]
    override = dataclasses.replace(segmenter, protocol=Protocol(name="own", size=SizePolicy(), ratios=(1.0, 0.5)))
    assert [tuple(each.shape) for each in override.prepare(picture)] == [(1, 3, 96, 128), (1, 3, 64, 64)]


def test_the_result_equals_the_plain_way(random_checkpoint: RandomCheckpoint) -> None:
    model = network_from(random_checkpoint("b0", classes=7, size=SizePolicy(short=96)))
    picture = np.random.default_rng(1).integers(0, 255, (130, 201, 3), np.uint8)
    (images,) = prepare(picture, model.config, Protocol(name="own", size=model.config.size))
    with torch.inference_mode():
        logits = F.interpolate(model(images), size=images.shape[-2:], mode="bilinear", align_corners=False)
        logits = F.interpolate(logits, size=picture.shape[:2], mode="bilinear", align_corners=False)
    plain = logits[0].argmax(0).numpy()
    mask = Segmenter.of(model, torch.device("cpu")).mask(picture)
    assert (mask == plain).mean() > 0.9995  # ties within rounding


def test_one_class_is_read_as_two_whose_first_scores_zero(random_checkpoint: RandomCheckpoint) -> None:
    model = network_from(random_checkpoint("b0", classes=1))
    segmenter = Segmenter.of(model, torch.device("cpu"))
    images = torch.randn(1, 3, 64, 64)
    logits = segmenter.logits(images)
    assert logits.shape == (1, 2, 16, 16)
    assert not logits[:, 0].any()
    assert segmenter.config.class_names == ("background", "thing 0")


def test_bf16_on_the_cpu_stays_close_to_fp32(random_checkpoint: RandomCheckpoint) -> None:
    model = network_from(random_checkpoint("b0"))
    images = torch.randn(1, 3, 64, 64)
    exact = Segmenter.of(model, torch.device("cpu")).logits(images)
    rough = Segmenter.of(model, torch.device("cpu"), torch.bfloat16).logits(images)
    assert rough.dtype == torch.float32
    assert (exact - rough).abs().mean() < 0.05 * exact.std()
