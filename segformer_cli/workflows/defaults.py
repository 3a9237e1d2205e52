"""Settings that depend on data, start and machine: what stands in their place, and what auto and imagenet stand for."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from segformer_cli.config import TrainConfig
from segformer_cli.data.class_statistics import ClassStatistics
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import default_workers
from segformer_cli.resize import ALIGN
from segformer_cli.settings import resolve
from segformer_cli.workflows.step_cost import crops_a_step, sharing_cores

EPOCHS, FEWEST, MOST = 80, 1_000, 40_000
CROP = 512
LEAST_BETWEEN_EVALS = 50
LOOKED_AT = 9
"""Pictures whose sizes say how large a crop can be."""

IMAGENET = "imagenet"
"""As weights: the encoder of the variant that was trained on ImageNet, without which a recipe is another one."""

LR_A_CROP = 6e-5 / 16
"""From pretrained weights: the paper's rate is for 16 crops a step."""

LR_FROM_RANDOM = 1e-3
"""From random weights, for encoder and head alike: our own trials on CamVid (docs/decisions/0004)."""


def filled(
    config: TrainConfig, train: Split, device: torch.device, pretrained: bool, statistics: ClassStatistics | None
) -> TrainConfig:
    """The config with what depends on data, start and machine decided.

    Args:
        statistics: of the split to train on, where `class_weights` is auto.
    """
    batch_size = crops_a_step(config)
    iterations = iterations_of(config, len(train))
    eval_every = config.eval_every or min(iterations, max(LEAST_BETWEEN_EVALS, iterations // 10))
    lr, multiplier = (LR_A_CROP * batch_size, 10.0) if pretrained else (LR_FROM_RANDOM, 1.0)
    weights = config.class_weights
    if weights == "auto":
        assert statistics is not None
        weights = counted_weights(statistics)
    return dataclasses.replace(
        config,
        iterations=iterations,
        epochs=None,
        lr=lr if config.lr is None else config.lr,
        head_lr_multiplier=multiplier if config.head_lr_multiplier is None else config.head_lr_multiplier,
        warmup=warmup_of(config, iterations),
        crop_size=config.crop_size or crop_for(train),
        class_weights=weights,
        eval_every=eval_every,
        checkpoint_every=config.checkpoint_every or eval_every,
        workers=readers_of(config),
        device=str(device),
    )


def iterations_of(config: TrainConfig, images: int) -> int:
    """Steps: as many as are asked for, or as come of epochs, or of the number of pictures."""
    batch_size = crops_a_step(config)
    if config.iterations is not None:
        return config.iterations
    if config.epochs is not None:
        return max(1, round(config.epochs * images / batch_size))
    return min(max(EPOCHS * images // batch_size, FEWEST), MOST)


def warmup_of(config: TrainConfig, iterations: int) -> int:
    """Steps of warm-up: a run cut short for a look still reaches its peak rate."""
    return min(1500, iterations // 10) if config.warmup is None else min(config.warmup, iterations // 2)


def counted_weights(statistics: ClassStatistics) -> tuple[float, ...]:
    """The class weights that auto stands for."""
    return tuple(round(float(weight), 4) for weight in statistics.weights())


def batch_of_preset(config: TrainConfig) -> TrainConfig:
    """The config with the crops a step of its own recipe, which is what auto leaves them at."""
    return dataclasses.replace(config, batch_size=resolve(TrainConfig, preset=config.preset).batch_size)


def imagenet_name(config: TrainConfig) -> str:
    """The weights that `imagenet` stands for."""
    return f"{config.variant}-{IMAGENET}"


def readers_of(config: TrainConfig) -> int:
    """Processes that read files."""
    return default_workers(sharing_cores(config)) if config.workers is None else config.workers


def crop_for(train: Split) -> tuple[int, int]:
    """512 x 512, each side cut to that of the pictures in the middle, rounded up as the network wants it."""
    sizes = [train.read(pair)[0].shape[:2] for pair in train.spread(LOOKED_AT).pairs]
    height, width = (min(CROP, -(-int(side) // ALIGN) * ALIGN) for side in np.median(sizes, axis=0))
    return height, width
