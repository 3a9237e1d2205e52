"""What each command can be told, as frozen dataclasses: one field a key, its meaning beside it.

A field's name is its YAML key, its `--set` key and (upper case, after `SEGFORMER_`) its environment
variable. `settings.py` fills these from files, variables and flags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class Doc:
    """The meaning of a field, read by `--help-config` and the docs."""

    text: str


Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Keys of `segformer predict`."""

    inputs: Annotated[tuple[str, ...], Doc("pictures, folders, globs, or `sample`")] = ()
    weights: Annotated[str, Doc("WEIGHTS: a file, a run folder, a hub name, or `sample`")] = "b0-ade20k"
    out: Annotated[str | None, Doc("a file if it has a suffix, else a folder")] = None
    save: Annotated[tuple[Literal["mask", "overlay"], ...], Doc("what to write for each picture")] = ("mask",)
    size: Annotated[str | None, Doc("N (short side), HxW (fits inside) or native; default: the checkpoint's own")] = (
        None
    )
    opacity: Annotated[float, Doc("of the class colours in an overlay, 0 to 1")] = 0.5
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """Keys of `segformer eval`."""

    weights: Annotated[str | None, Doc("WEIGHTS; default: `sample` on sample data, b0-cityscapes on Cityscapes")] = (
        None
    )
    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, or `sample`")] = "sample"
    split: Annotated[str, Doc("train, val or test")] = "val"
    limit: Annotated[int | None, Doc("score only the first N images")] = None
    size: Annotated[str | None, Doc("N (short side), HxW (fits inside) or native; default: the checkpoint's own")] = (
        None
    )
    image_suffix: Annotated[str | None, Doc("ending of image names, such as _rgb.jpg")] = None
    mask_suffix: Annotated[str | None, Doc("ending of mask names, such as _mask.png")] = None
    batch_size: Annotated[int, Doc("images a step; only images of one size share a step")] = 1
    workers: Annotated[int, Doc("processes that read files; 0 reads in the main one")] = 0
    out: Annotated[str | None, Doc("folder for result.json; default: none is written")] = None
    min_miou: Annotated[float | None, Doc("exit 3 when mIoU is below this fraction")] = None
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Keys of `segformer train`. Defaults are the paper's recipe; presets say what differs."""

    preset: Annotated[str | None, Doc("a recipe by name; default: chosen from weights and data, and said")] = None
    variant: Annotated[str, Doc("b0 to b5")] = "b0"
    weights: Annotated[str | None, Doc("where to start: WEIGHTS, or none; default: bN-imagenet if it can be had")] = (
        None
    )
    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, or `sample`")] = "sample"
    image_suffix: Annotated[str | None, Doc("ending of image names, such as _rgb.jpg")] = None
    mask_suffix: Annotated[str | None, Doc("ending of mask names, such as _mask.png")] = None
    iterations: Annotated[int | None, Doc("optimiser steps; default: 80 epochs, at least 1,000, at most 40,000")] = (
        None
    )
    epochs: Annotated[float | None, Doc("passes over the data, in place of iterations")] = None
    batch_size: Annotated[int, Doc("crops a step")] = 8
    crop_size: Annotated[
        tuple[int, int] | None, Doc("height and width of a crop; default: 512, or the pictures' size if smaller")
    ] = None
    lr: Annotated[float, Doc("peak learning rate of the encoder")] = 6e-5
    head_lr_multiplier: Annotated[float, Doc("the head learns this many times faster")] = 10.0
    weight_decay: Annotated[float, Doc("AdamW's, on all but the encoder's norms")] = 0.01
    warmup: Annotated[int | None, Doc("steps of linear warm-up; default: min(1500, 10 % of iterations)")] = None
    poly_power: Annotated[float, Doc("of the polynomial decay of the learning rate to 0")] = 1.0
    drop_path: Annotated[float, Doc("stochastic depth of the last block, rising from 0")] = 0.1
    dropout: Annotated[float, Doc("of whole channels before the classifier")] = 0.1
    loss_mean: Annotated[Literal["all", "valid"], Doc("average over all pixels (official code) or labelled ones")] = (
        "all"
    )
    base_size: Annotated[
        tuple[int, int] | None, Doc("height and width a picture is fitted into before scaling; default: its own size")
    ] = None
    scale_range: Annotated[tuple[float, float], Doc("random scale of a picture")] = (0.5, 2.0)
    cat_max_ratio: Annotated[float, Doc("largest share of one class in a crop, tried ten times")] = 0.75
    flip: Annotated[float, Doc("chance of a horizontal flip")] = 0.5
    photometric: Annotated[
        Literal["full", "mild", "off"], Doc("the paper's colour distortion, brightness only, or none")
    ] = "full"
    eval_every: Annotated[int | None, Doc("steps between validations; default: a tenth of the run")] = None
    checkpoint_every: Annotated[int | None, Doc("steps between writes of last.safetensors; default: as eval_every")] = (
        None
    )
    eval_limit: Annotated[int | None, Doc("validate on the first N images only")] = None
    log_every: Annotated[int, Doc("steps between lines of the log")] = 10
    workers: Annotated[int | None, Doc("processes that read files; default: chosen from the machine's cores")] = None
    seed: Annotated[int, Doc("of weights, order and augmentation")] = 0
    deterministic: Annotated[bool, Doc("refuse operations whose result can differ between runs")] = False
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    out: Annotated[str | None, Doc("the run's folder; default: runs/train/<date>_<variant>_<data>_<n>")] = None
    force: Annotated[bool, Doc("write into a folder that exists")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
