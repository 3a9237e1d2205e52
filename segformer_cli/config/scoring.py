"""What the commands that score can be told: `eval`, `compare`, `eval-robust`, and `corrupt`, which shares words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from segformer_cli.config.marks import (
    BOUNDARY,
    COUNT,
    DRAWS,
    DRAWS_OR_NONE,
    NOT_NEGATIVE,
    RATIOS,
    SHARE,
    SIDES,
    Bands,
    Doc,
    IdMap,
    ImageSuffix,
    MaskSuffix,
    Precision,
    ReduceZero,
    Whole,
)


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """Keys of `segformer eval`."""

    weights: Annotated[str | None, Doc("WEIGHTS; default: `sample` on sample data, b0-cityscapes on Cityscapes")] = (
        None
    )
    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, a .yaml, a list of files, or `sample`")] = "sample"
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
    image_suffix: ImageSuffix = None
    mask_suffix: MaskSuffix = None
    map: IdMap = ()
    reduce_zero: ReduceZero = False
    bands: Bands = ()
    batch_size: Annotated[
        int | Literal["auto"],
        Doc("images a step; only images of one size share a step; auto: what a GPU's memory takes, 1 elsewhere"),
        COUNT,
    ] = 1
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
    image_suffix: ImageSuffix = None
    mask_suffix: MaskSuffix = None
    map: IdMap = ()
    reduce_zero: ReduceZero = False
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
    batch_size: Annotated[
        int | Literal["auto"],
        Doc("variants of one picture that pass the network together; auto: what a GPU's memory takes, 1 elsewhere"),
        COUNT,
    ] = 1
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
