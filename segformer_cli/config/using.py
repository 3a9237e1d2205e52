"""What the commands that put weights to use can be told: `predict`, `export`, `benchmark`, `demo`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from segformer_cli.config.marks import (
    CLASSES,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    RATE,
    SHARE,
    Bands,
    Doc,
    IdMap,
    Precision,
    Range,
    ReduceZero,
)


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
    bands: Bands = ()
    overlay_bands: Annotated[
        tuple[int, ...],
        Doc("three of the network's bands, counted from 1, that an overlay shows as red, green and blue; or one"),
        COUNT,
    ] = ()
    opacity: Annotated[float, Doc("of the class colours in an overlay"), SHARE] = 0.5
    window: Annotated[
        int | None,
        Doc("side of windows that slide over pictures at their own size, a multiple of 32; default: pictures are taken "
            "whole, but for those that the network would see with more than 16 megapixels, which get windows of 1024"),
        Range(64),
    ] = None
    overlap: Annotated[int | None, Doc("of windows, at most half a side; default: a quarter"), COUNT] = None
    blend: Annotated[
        Literal["hann", "gaussian", "mean"], Doc("how overlapping windows are weighed; mean: all alike")
    ] = "hann"
    smooth: Annotated[
        float, Doc("of videos: share of the frames before in the average of logits; 0: each frame by itself"), RATE
    ] = 0.0
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic")] = "auto"
    resume: Annotated[
        bool, Doc("pass over what an earlier call with the same weights and options has done")
    ] = False
    shard: Annotated[str | None, Doc("I/N: of the pictures every N-th from the I-th on, for several machines")] = None
    force: Annotated[bool, Doc("overwrite files that exist")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False
    trust: Annotated[bool, Doc("run an exported file that can hold code, though it was not written here")] = False


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
    map: IdMap = ()
    reduce_zero: ReduceZero = False
    split: Annotated[str, Doc("train, val or test")] = "val"
    limit: Annotated[
        int | None, Doc("pictures to compare on, evenly spaced over the split; default: 4, for int8 32"), COUNT
    ] = None
    calibration: Annotated[int, Doc("pictures of the training split that int8 takes its ranges from"), COUNT] = 32
    max_drop: Annotated[float, Doc("points of mIoU that int8, fp16 or bf16 may cost"), NOT_NEGATIVE] = 1.0
    force: Annotated[bool, Doc("overwrite a file that exists")] = False
    offline: Annotated[bool, Doc("never touch the network")] = False


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Keys of `segformer benchmark`."""

    weights: Annotated[
        str | None, Doc("WEIGHTS, exported files too; default: random weights of `variant`")
    ] = None
    variant: Annotated[tuple[str, ...], Doc("b0 to b5, several by commas: random weights; default: b0")] = ()
    num_classes: Annotated[int | None, Doc("of random weights; default: 150, as in ADE20K"), CLASSES] = None
    size: Annotated[
        tuple[str, ...], Doc("exact sizes of the input, HxW or N for a square; default: 512, or the one a file takes")
    ] = ()
    batch_size: Annotated[tuple[int, ...], Doc("pictures a call, several by commas"), COUNT] = (1,)
    warm_up: Annotated[int, Doc("calls that are not counted, after the one that memory is taken of"), NOT_NEGATIVE] = 2
    calls: Annotated[int, Doc("calls that are counted, fewer where `seconds` end"), Range(3)] = 20
    seconds: Annotated[float, Doc("after which no further call of a row begins, once three are done"), POSITIVE] = 20.0
    threads: Annotated[int | None, Doc("of the CPU; default: torch's own choice"), COUNT] = None
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    precision: Annotated[Precision, Doc("of the network's arithmetic; auto: bf16 on a GPU that has it, else fp32")] = (
        "auto"
    )
    offline: Annotated[bool, Doc("never touch the network")] = False
    trust: Annotated[bool, Doc("run an exported file that can hold code, though it was not written here")] = False


@dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """Keys of `segformer demo`."""

    out: Annotated[str | None, Doc("the folder to write to; default: runs/demo/<n>")] = None
    device: Annotated[str, Doc("auto, cpu, cuda, cuda:1, mps")] = "auto"
    force: Annotated[bool, Doc("overwrite files that exist")] = False
