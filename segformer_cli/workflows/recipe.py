"""What a training's steps are made of, from its settings: the recipe of the optimiser, and the loss."""

from __future__ import annotations

import torch

from segformer_cli.config import TrainConfig
from segformer_cli.engine.training.criterion import Criterion, parsed_terms
from segformer_cli.engine.training.trainer import Recipe
from segformer_cli.errors import UsageError


def recipe_of(config: TrainConfig) -> Recipe:
    """What a step needs of a config whose defaults are filled in."""
    assert config.iterations is not None and config.warmup is not None
    assert config.lr is not None and config.head_lr_multiplier is not None
    return Recipe(
        iterations=config.iterations,
        warmup=config.warmup,
        lr=config.lr,
        head_lr_multiplier=config.head_lr_multiplier,
        weight_decay=config.weight_decay,
        poly_power=config.poly_power,
        head_only=config.head_only,
        freeze=config.freeze,
        clip_norm=config.clip_norm,
        ema=config.ema,
        checkpoint_activations=config.checkpoint_activations,
        seed=config.seed,
    )


def criterion_of(config: TrainConfig, ignore_index: int, num_classes: int) -> Criterion:
    """The loss of a config.

    Raises:
        UsageError: it is no sum of known losses, one of them is not for so many classes, or the weights are not one
            a class.
    """
    weights = None
    if config.class_weights == "auto":
        raise ValueError("class_weights is auto: `plan` puts numbers in its place")
    if isinstance(config.class_weights, tuple):
        if len(config.class_weights) != num_classes:
            raise UsageError(
                f"class_weights holds {len(config.class_weights)} numbers, the data has {num_classes} classes",
                hint="give one a class, in the order of their ids",
            )
        weights = torch.tensor(config.class_weights)
    if num_classes > 2 and "bce" in (part.rpartition("*")[-1].strip() for part in config.loss.split("+")):
        raise UsageError(
            f"bce is of one class against the rest, the data has {num_classes} classes",
            where=f"loss {config.loss!r}",
            hint=f"loss={config.loss.replace('bce', 'ce')}",
        )
    terms = parsed_terms(
        config.loss,
        ignore_index=ignore_index,
        weights=weights,
        smoothing=config.label_smoothing,
        gamma=config.focal_gamma,
        threshold=config.ohem_threshold,
        keep=config.ohem_keep,
    )
    return Criterion(terms, ignore_index, config.loss_mean, weights)
