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


@dataclass(frozen=True)
class Range:
    """The numbers of a field that have a meaning, checked by `settings`; of a pair, each must lie in it.

    `at_least` and `at_most` belong to it, `above` and `below` do not; with `or_zero` 0 does, wherever they lie.
    """

    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    below: float | None = None
    or_zero: bool = False

    def holds(self, number: float) -> bool:
        """Whether the number lies in the range; NaN lies in none.

        >>> Range(0, below=1).holds(0), Range(0, below=1).holds(1)
        (True, False)
        """
        return (self.or_zero and number == 0) or (
            (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """What a number must do to be in it: "it must ..."."""
        zero = "be 0 or " if self.or_zero else ""
        if self.at_least is not None and self.at_most is not None:
            return f"{zero}lie in {self.at_least:g} to {self.at_most:g}"
        bounds = {
            "at least": self.at_least, "more than": self.above, "at most": self.at_most, "less than": self.below
        }
        said = " and ".join(f"{words} {bound:g}" for words, bound in bounds.items() if bound is not None)
        return f"{zero or 'be '}{said}"


@dataclass(frozen=True)
class Whole:
    """Marks a list of texts in which a text given alone is one of them, commas and all; others are divided there."""


SHARE = Range(0, 1)
COUNT = Range(1)
NOT_NEGATIVE = Range(0)
POSITIVE = Range(above=0)
RATE = Range(0, below=1)
"""Of dropped values: were all of them dropped, what is kept would be divided by nought."""

DRAWS = Range(100, 100_000)
"""Of fewer, two or three lie beyond either end of a 95 % interval, which then rests on next to nothing."""

DRAWS_OR_NONE = Range(100, 100_000, or_zero=True)
RATIOS = Range(above=0, at_most=16)
"""Of a picture's size; a large one at 16 times its own is more than a machine holds."""

BOUNDARY = Range(above=0, at_most=0.5)
"""Half the diagonal already reaches every pixel of a picture."""

SIDES = Range(32)
"""Of a crop, in pixels: the coarsest stage sees 1/32 of it."""

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
    opacity: Annotated[float, Doc("of the class colours in an overlay"), SHARE] = 0.5
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
    trust: Annotated[bool, Doc("run an exported file that can hold code, though it was not written here")] = False


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """Keys of `segformer eval`."""

    weights: Annotated[str | None, Doc("WEIGHTS; default: `sample` on sample data, b0-cityscapes on Cityscapes")] = (
        None
    )
    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, or `sample`")] = "sample"
    split: Annotated[str, Doc("train, val or test; all is for folders that are not divided into these")] = "val"
    limit: Annotated[int | None, Doc("score only the first N images"), COUNT] = None
    predictions: Annotated[str | None, Doc("a folder of masks that any tool made, scored in place of weights")] = None
    prediction_ids: Annotated[
        Literal["classes", "files"], Doc("those masks hold class ids, or the ids of the data set's own files")
    ] = "classes"
    by_name: Annotated[bool, Doc("match the classes of weights and data by their names")] = False
    alias: Annotated[tuple[str, ...], Doc("WEIGHTS_CLASS=DATA_CLASS, for names that differ; implies by_name")] = ()
    protocol: Annotated[
        str | None, Doc("how pictures pass the network: ade20k, cityscapes, native ...; default: the checkpoint's own")
    ] = None
    multi_scale: Annotated[bool, Doc("average over the protocol's scales, each also mirrored")] = False
    scales: Annotated[tuple[float, ...] | None, Doc("in place of the protocol's scales"), RATIOS] = None
    flip: Annotated[bool | None, Doc("average with the mirror image")] = None
    size: Annotated[str | None, Doc("N (short side), HxW (fits inside) or native; default: the protocol's")] = None
    window: Annotated[tuple[int, int] | None, Doc("height and width of sliding windows"), SIDES] = None
    stride: Annotated[tuple[int, int] | None, Doc("steps of the window down and right; default: 3/4 of it"), COUNT] = (
        None
    )
    image_suffix: Annotated[str | None, Doc("ending of image names, such as _rgb.jpg")] = None
    mask_suffix: Annotated[str | None, Doc("ending of mask names, such as _mask.png")] = None
    batch_size: Annotated[int, Doc("images a step; only images of one size share a step"), COUNT] = 1
    workers: Annotated[int, Doc("processes that read files; 0 reads in the main one"), NOT_NEGATIVE] = 0
    group: Annotated[tuple[str, ...], Doc("NAME=CLASS,CLASS: also score these classes as one"), Whole()] = ()
    dialect: Annotated[tuple[str, ...], Doc("also what these tools' averaging gives: mmseg, paddle ..., or all")] = ()
    boundary: Annotated[bool, Doc("also boundary IoU and trimap IoU")] = False
    boundary_width: Annotated[float, Doc("of the boundary, as a share of the picture's diagonal"), BOUNDARY] = 0.02
    object_sizes: Annotated[bool, Doc("also IoU of small, medium and large objects")] = False
    calibration: Annotated[bool, Doc("also whether the network's confidence is to be believed: ECE, risk-coverage")] = (
        False
    )
    fit_temperature: Annotated[bool, Doc("find the temperature that calibrates; -o FILE writes such weights")] = False
    group_images: Annotated[
        str | None, Doc("a pattern of image names; what its group matches is drawn as one for the interval")
    ] = None
    resamples: Annotated[int, Doc("of the images, for the 95 % interval; 0: none"), DRAWS_OR_NONE] = 1000
    seed: Annotated[int, Doc("of the resampling"), NOT_NEGATIVE] = 0
    submission: Annotated[str | None, Doc("folder for masks in the form that the data set's test server takes")] = None
    report: Annotated[str | None, Doc("an HTML file of its own with everything to look at")] = None
    out: Annotated[
        str | None, Doc("folder for result.json and per_image.npz; default: runs/eval/<n>, none from Python")
    ] = None
    min_miou: Annotated[
        float | None,
        Doc("the least mIoU: below this fraction the command exits with 3, from Python `passed` is false"),
        SHARE,
    ] = None
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
    trust: Annotated[bool, Doc("run an exported file that can hold code, though it was not written here")] = False


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Keys of `segformer compare`."""

    a: Annotated[str, Doc("a folder that `segformer eval -o` wrote, or its result.json")] = ""
    b: Annotated[str, Doc("another, on the same images; the difference is B - A")] = ""
    group_images: Annotated[
        str | None,
        Doc("a pattern of image names; what its group matches is drawn as one; default: that of both results"),
    ] = None
    resamples: Annotated[int, Doc("of the images, for the 95 % interval"), DRAWS] = 1000
    seed: Annotated[int, Doc("of the resampling"), NOT_NEGATIVE] = 0
    require_better: Annotated[
        bool, Doc("exit 3 unless the whole interval of B - A is above zero, drawn from at least five images or groups")
    ] = False


@dataclass(frozen=True, kw_only=True)
class RobustConfig:
    """Keys of `segformer eval-robust`."""

    weights: Annotated[str | None, Doc("WEIGHTS; default: `sample` on sample data, b0-cityscapes on Cityscapes")] = (
        None
    )
    data: Annotated[str | None, Doc("DATA; default: $CITYSCAPES_DATASET, else `sample`")] = None
    split: Annotated[str, Doc("train, val or test")] = "val"
    limit: Annotated[int | None, Doc("score only N images, evenly spaced over the split"), COUNT] = None
    image_suffix: Annotated[str | None, Doc("ending of image names, such as _rgb.jpg")] = None
    mask_suffix: Annotated[str | None, Doc("ending of mask names, such as _mask.png")] = None
    cityscapes_c: Annotated[bool, Doc("the paper's 72 variants; the same as protocol: cityscapes-c, the default")] = (
        False
    )
    protocol: Annotated[
        str | None, Doc("cityscapes-c, all19, fan, blur, noise, digital, weather, or none: clean images only")
    ] = None
    corruptions: Annotated[tuple[str, ...] | None, Doc("in place of the protocol's")] = None
    severities: Annotated[tuple[int, ...] | None, Doc("1 to 5, for every corruption, in place of the protocol's")] = (
        None
    )
    seed: Annotated[int, Doc("of the corruptions"), NOT_NEGATIVE] = 0
    rng: Annotated[
        Literal["fast", "reference"], Doc("where chance comes from; reference draws as imagecorruptions does")
    ] = "fast"
    channel_order: Annotated[
        Literal["rgb", "bgr"], Doc("bgr corrupts as FAN and the tools of OpenMMLab do, without meaning to")
    ] = "rgb"
    frost_dir: Annotated[
        str | None, Doc("folder of the five original frost textures; default: drawn ones, which are not comparable")
    ] = None
    cd_reference: Annotated[
        str | None, Doc("what CD and rCD are beside: a row of Table 5 (dlv3plus-mbv2 ...), or a result's folder")
    ] = None
    resolution_sweep: Annotated[bool, Doc("also clean scores at several sizes, whole and in windows (Table 1c)")] = (
        False
    )
    sweep_sizes: Annotated[
        tuple[int, ...] | None, Doc("short sides of the sweep; default: 1/2, 5/8, 3/4, 1 and 5/4 of the pictures' own"),
        SIDES,
    ] = None
    conditions: Annotated[
        str | None, Doc("a pattern of image names: also a clean score for each text that it matches; ACDC has its own")
    ] = None
    inference: Annotated[
        str | None, Doc("how pictures pass the network, as eval's protocol; default: the checkpoint's own")
    ] = None
    size: Annotated[str | None, Doc("N (short side), HxW (fits inside) or native; default: inference's")] = None
    window: Annotated[tuple[int, int] | None, Doc("height and width of sliding windows"), SIDES] = None
    stride: Annotated[tuple[int, int] | None, Doc("steps of the window down and right; default: 3/4 of it"), COUNT] = (
        None
    )
    calibration: Annotated[bool, Doc("also the calibration error (ECE) under every corruption")] = False
    batch_size: Annotated[int, Doc("variants of one picture that pass the network together"), COUNT] = 1
    workers: Annotated[
        int | None, Doc("processes that read and corrupt; default: chosen from the machine's cores"), NOT_NEGATIVE
    ] = None
    group_images: Annotated[
        str | None, Doc("a pattern of image names; what its group matches is drawn as one for the interval")
    ] = None
    resamples: Annotated[int, Doc("of the images, for the 95 % interval; 0: none"), DRAWS_OR_NONE] = 1000
    report: Annotated[str | None, Doc("an HTML file of its own with everything to look at")] = None
    out: Annotated[str | None, Doc("folder of the result and of what a stopped run goes on from")] = None
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist, and start again what was stopped")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
    trust: Annotated[bool, Doc("run an exported file that can hold code, though it was not written here")] = False


@dataclass(frozen=True, kw_only=True)
class CorruptConfig:
    """Keys of `segformer corrupt`."""

    inputs: Annotated[tuple[str, ...], Doc("pictures, folders or globs, or one data set as NAME:PATH")] = ()
    out: Annotated[
        str | None, Doc("the folder to write to, or a .png for one variant of one picture; default: runs/corrupt/<n>")
    ] = None
    split: Annotated[
        str | None, Doc("of a data set: train, val or test; default: val, or all of a folder that is not divided")
    ] = None
    limit: Annotated[int | None, Doc("take only the first N pictures"), COUNT] = None
    all: Annotated[bool, Doc("all 19 corruptions at all severities; the same as protocol: all19")] = False
    protocol: Annotated[str | None, Doc("cityscapes-c (default), all19, fan, blur, noise, digital or weather")] = None
    corruptions: Annotated[tuple[str, ...] | None, Doc("in place of the protocol's")] = None
    severities: Annotated[tuple[int, ...] | None, Doc("1 to 5, for every corruption, in place of the protocol's")] = (
        None
    )
    seed: Annotated[int, Doc("of the corruptions"), NOT_NEGATIVE] = 0
    rng: Annotated[
        Literal["fast", "reference"], Doc("where chance comes from; reference draws as imagecorruptions does")
    ] = "fast"
    channel_order: Annotated[
        Literal["rgb", "bgr"], Doc("bgr corrupts as FAN and the tools of OpenMMLab do, without meaning to")
    ] = "rgb"
    frost_dir: Annotated[str | None, Doc("folder of the five original frost textures; default: drawn ones")] = None
    workers: Annotated[
        int | None, Doc("processes that corrupt and write; default: chosen from the machine's cores"), NOT_NEGATIVE
    ] = None
    force: Annotated[bool, Doc("overwrite files that exist")] = False


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Keys of `segformer export`."""

    weights: Annotated[str | None, Doc("WEIGHTS: a file, a run folder, a hub name, or `sample`")] = None
    format: Annotated[
        str | None,
        Doc("onnx, torchscript, pt2, openvino, aoti, tensorrt or executorch; default: as the file's ending asks for"),
    ] = None
    out: Annotated[str | None, Doc("the file; default: named like the weights, in this folder")] = None
    size: Annotated[
        str | None, Doc("HxW, or N for a square: the one size of picture that the file takes; default: any")
    ] = None
    precision: Annotated[
        Literal["fp32", "fp16", "bf16", "int8"],
        Doc("bf16: openvino, on a CPU that has it; int8: onnx and openvino, with ranges from the pictures of data"),
    ] = "fp32"
    full_pipeline: Annotated[
        bool, Doc("uint8 pictures (N, H, W, 3) in, class ids at their own size out; onnx, openvino or torchscript")
    ] = False
    verify: Annotated[bool, Doc("run the file in its own runtime and compare logits before it gets its name")] = True
    bisect: Annotated[bool, Doc("where the file fails, name the first part of the network whose maps differ")] = False
    data: Annotated[
        str | None, Doc("DATA whose pictures it is compared on; default: `sample`; int8 wants pictures like yours")
    ] = None
    split: Annotated[str, Doc("train, val or test")] = "val"
    limit: Annotated[
        int | None, Doc("pictures to compare on, evenly spaced over the split; default: 4, for int8 32"), COUNT
    ] = None
    calibration: Annotated[int, Doc("pictures of the training split that int8 takes its ranges from"), COUNT] = 32
    max_drop: Annotated[float, Doc("points of mIoU that int8, fp16 or bf16 may cost"), NOT_NEGATIVE] = 1.0
    force: Annotated[bool, Doc("overwrite a file that exists")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Keys of `segformer demo`."""

    out: Annotated[str | None, Doc("the folder to write to; default: runs/demo/<n>")] = None
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist")] = False


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
    iterations: Annotated[
        int | None, Doc("optimiser steps; default: 80 epochs, at least 1,000, at most 40,000"), COUNT
    ] = None
    epochs: Annotated[float | None, Doc("passes over the data, in place of iterations"), POSITIVE] = None
    batch_size: Annotated[int, Doc("crops a step"), COUNT] = 8
    crop_size: Annotated[
        tuple[int, int] | None,
        Doc("height and width of a crop; default: 512, or the pictures' size if smaller"),
        SIDES,
    ] = None
    lr: Annotated[float, Doc("peak learning rate of the encoder"), POSITIVE] = 6e-5
    head_lr_multiplier: Annotated[float, Doc("the head learns this many times faster"), NOT_NEGATIVE] = 10.0
    weight_decay: Annotated[float, Doc("AdamW's, on all but the encoder's norms"), NOT_NEGATIVE] = 0.01
    warmup: Annotated[
        int | None, Doc("steps of linear warm-up; default: min(1500, 10 % of iterations)"), NOT_NEGATIVE
    ] = None
    poly_power: Annotated[float, Doc("of the polynomial decay of the learning rate to 0"), NOT_NEGATIVE] = 1.0
    drop_path: Annotated[float, Doc("stochastic depth of the last block, rising from 0"), RATE] = 0.1
    dropout: Annotated[float, Doc("of whole channels before the classifier"), RATE] = 0.1
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
    eval_every: Annotated[
        int | None, Doc("steps between validations; default: a tenth of the run, at least 50"), COUNT
    ] = None
    checkpoint_every: Annotated[
        int | None, Doc("steps between writes of last.safetensors; default: as eval_every"), COUNT
    ] = None
    eval_limit: Annotated[int | None, Doc("validate on the first N images only"), COUNT] = None
    log_every: Annotated[int, Doc("steps between lines of the log"), COUNT] = 10
    workers: Annotated[
        int | None, Doc("processes that read files; default: chosen from the machine's cores"), NOT_NEGATIVE
    ] = None
    seed: Annotated[int, Doc("of weights, order and augmentation"), NOT_NEGATIVE] = 0
    deterministic: Annotated[bool, Doc("refuse operations whose result can differ between runs")] = False
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    out: Annotated[str | None, Doc("the run's folder; default: runs/train/<date>_<variant>_<data>_<n>")] = None
    force: Annotated[bool, Doc("write into a folder that exists")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
