"""What `segformer train` can be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from segformer_cli.config.marks import (
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    RATE,
    SHARE,
    SIDES,
    STAGES,
    Bands,
    Doc,
    IdMap,
    ImageSuffix,
    MaskSuffix,
    Precision,
    Range,
    ReduceZero,
)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Keys of `segformer train`. Defaults are the paper's recipe; presets say what differs."""

    preset: Annotated[str | None, Doc("a recipe by name; default: chosen from weights and data, and said")] = None
    variant: Annotated[str, Doc("b0 to b5")] = "b0"
    weights: Annotated[
        str | None,
        Doc("where to start: WEIGHTS, imagenet for the variant's own, or none; default: imagenet if it can be had"),
    ] = None
    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, a .yaml, a list of files, or `sample`")] = "sample"
    image_suffix: ImageSuffix = None
    mask_suffix: MaskSuffix = None
    map: IdMap = ()
    reduce_zero: ReduceZero = False
    bands: Bands = ()
    iterations: Annotated[
        int | None, Doc("optimiser steps; default: 80 epochs, at least 1,000, at most 40,000"), COUNT
    ] = None
    epochs: Annotated[float | None, Doc("passes over the data, in place of iterations"), POSITIVE] = None
    batch_size: Annotated[
        int | Literal["auto"],
        Doc("crops a step, those of all devices together; auto: the recipe's, in as few parts as the memory allows"),
        COUNT,
    ] = 8
    accumulate: Annotated[
        int, Doc("parts in which a device's share of a step passes the network, to save memory"), COUNT
    ] = 1
    crop_size: Annotated[
        tuple[int, int] | None,
        Doc("height and width of a crop; default: 512, or the pictures' size if smaller"),
        SIDES,
    ] = None
    lr: Annotated[
        float | None,
        Doc("peak learning rate of the encoder; default: 6e-5 x batch_size / 16 from weights, 1e-3 from random ones"),
        POSITIVE,
    ] = None
    head_lr_multiplier: Annotated[
        float | None,
        Doc("the head learns this many times faster; default: 10 from weights, 1 from random ones"),
        NOT_NEGATIVE,
    ] = None
    weight_decay: Annotated[float, Doc("AdamW's, on all but the encoder's norms"), NOT_NEGATIVE] = 0.01
    warmup: Annotated[
        int | None, Doc("steps of linear warm-up; default: min(1500, 10 % of iterations)"), NOT_NEGATIVE
    ] = None
    poly_power: Annotated[float, Doc("of the polynomial decay of the learning rate to 0"), NOT_NEGATIVE] = 1.0
    head_only: Annotated[int, Doc("first steps in which the head alone learns"), NOT_NEGATIVE] = 0
    freeze: Annotated[
        tuple[str, ...], Doc("parts that do not learn, as the state dict names them: encoder, encoder.stages.0 ...")
    ] = ()
    clip_norm: Annotated[float | None, Doc("largest norm of the whole gradient; default: any"), POSITIVE] = None
    ema: Annotated[
        float, Doc("decay of the running average of the weights, which is then what is scored and kept; 0: none"), RATE
    ] = 0.0
    drop_path: Annotated[float, Doc("stochastic depth of the last block, rising from 0"), RATE] = 0.1
    dropout: Annotated[float, Doc("of whole channels before the classifier"), RATE] = 0.1
    loss: Annotated[
        str, Doc("ce, focal, ohem, dice, lovasz, bce (of one class); or a sum, as in `ce + 0.5*dice`")
    ] = "ce"
    label_smoothing: Annotated[
        float, Doc("of cross-entropy: this much of the truth is spread over all classes"), RATE
    ] = 0.0
    class_weights: Annotated[
        tuple[float, ...] | Literal["none", "auto"],
        Doc("of the pixels' losses: one number a class; auto: 1 / ln(1.02 + share of the pixels), as in ENet"),
        POSITIVE,
    ] = "none"
    focal_gamma: Annotated[float, Doc("how much less focal loss counts pixels that are right"), NOT_NEGATIVE] = 2.0
    ohem_threshold: Annotated[float, Doc("ohem counts pixels whose class has less than this probability"), SHARE] = 0.7
    ohem_keep: Annotated[float, Doc("ohem counts at least this share of the pixels, the hardest"), SHARE] = 0.0625
    loss_mean: Annotated[Literal["all", "valid"], Doc("average over all pixels (official code) or labelled ones")] = (
        "all"
    )
    base_size: Annotated[
        tuple[int, int] | None,
        Doc("height and width a picture is fitted into before scaling; default: its own size"),
        COUNT,
    ] = None
    scale_range: Annotated[tuple[float, float], Doc("random scale of a picture"), POSITIVE] = (0.5, 2.0)
    cat_max_ratio: Annotated[float, Doc("largest share of one class in a crop, tried ten times"), SHARE] = 0.75
    flip: Annotated[float, Doc("chance of a horizontal flip"), SHARE] = 0.5
    photometric: Annotated[
        Literal["full", "mild", "off"], Doc("the paper's colour distortion, brightness only, or none")
    ] = "full"
    sampling: Annotated[
        Literal["uniform", "rare"],
        Doc("every picture as often, or each class as often: a picture that shows it, cropped around it"),
    ] = "uniform"
    folds: Annotated[
        int | None, Doc("train on all images but a part, and validate on that, for each of so many parts"), Range(2)
    ] = None
    fold: Annotated[int | None, Doc("of the folds this one alone, counted from 1"), COUNT] = None
    eval_every: Annotated[
        int | None, Doc("steps between validations; default: a tenth of the run, at least 50"), COUNT
    ] = None
    checkpoint_every: Annotated[
        int | None, Doc("steps between writes of last.safetensors; default: as eval_every"), COUNT
    ] = None
    eval_limit: Annotated[int | None, Doc("validate on the first N images only"), COUNT] = None
    patience: Annotated[
        int | None, Doc("validations without a better mIoU after which a run ends; default: it does not"), COUNT
    ] = None
    compile: Annotated[
        Literal["auto", "on", "off"], Doc("the network by torch.compile; auto: on a GPU, if a measurement says it pays")
    ] = "auto"
    checkpoint_activations: Annotated[
        tuple[int, ...], Doc("stages, 1 to 4, that run again in the backward pass: less memory, more time"), STAGES
    ] = ()
    log_every: Annotated[int, Doc("steps between lines of the log"), COUNT] = 10
    track: Annotated[
        tuple[Literal["tensorboard", "wandb", "mlflow"], ...], Doc("programs that are sent scores and pictures too")
    ] = ()
    workers: Annotated[
        int | None, Doc("processes that read files; default: chosen from the machine's cores"), NOT_NEGATIVE
    ] = None
    cache: Annotated[
        Literal["none", "disk", "ram"], Doc("decode the pictures once, into a file that all processes share, or memory")
    ] = "none"
    fast_decode: Annotated[
        bool, Doc("decode JPEG at a half, quarter or eighth of its size where a crop is scaled down as far")
    ] = False
    seed: Annotated[int, Doc("of weights, order and augmentation"), NOT_NEGATIVE] = 0
    deterministic: Annotated[bool, Doc("refuse operations whose result can differ between runs")] = False
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    devices: Annotated[
        int, Doc("processes on this machine that share each step, a GPU each, or the CPU's cores"), COUNT
    ] = 1
    nnodes: Annotated[str, Doc("machines that take part, N or MIN:MAX; start the same command on each")] = "1"
    rdzv_endpoint: Annotated[str | None, Doc("HOST:PORT of one of them, where they meet")] = None
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    resume: Annotated[bool, Doc("go on with the newest unfinished run, or with the one that out names")] = False
    out: Annotated[str | None, Doc("the run's folder; default: runs/train/<date>_<variant>_<data>_<n>")] = None
    force: Annotated[bool, Doc("write into a folder that exists")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
