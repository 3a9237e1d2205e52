"""What the commands that look at data can be told: `data check`, `data stats`, `data preview`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from segformer_cli.config.marks import (
    COUNT,
    NOT_NEGATIVE,
    SIDES,
    Bands,
    Doc,
    IdMap,
    ImageSuffix,
    MaskSuffix,
    Range,
    ReduceZero,
)

BITS = Range(0, 8)
"""Of 64: beyond, pictures that have nothing in common are taken for alike."""


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Keys of `segformer data check`."""

    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, a .yaml, a list of files, or `sample`")] = "sample"
    split: Annotated[str, Doc("train, val ...; all: every split that lies there")] = "all"
    image_suffix: ImageSuffix = None
    mask_suffix: MaskSuffix = None
    map: IdMap = ()
    reduce_zero: ReduceZero = False
    bands: Bands = ()
    masks_only: Annotated[
        bool, Doc("leave the pictures undecoded: their sizes are compared, damaged and repeated ones are not found")
    ] = False
    alike: Annotated[
        int, Doc("bits of 64 by which the hashes of near duplicates may differ; 0: equal hashes alone"), BITS
    ] = 3
    weights: Annotated[
        str | None, Doc("WEIGHTS that know the data's classes: whether the ids in the masks are what they see there")
    ] = None
    predict: Annotated[int, Doc("pictures of each split that the weights look at, evenly spaced over it"), COUNT] = 16
    device: Annotated[str, Doc("of the weights: auto, cpu, cuda, cuda:1, mps")] = "auto"
    offline: Annotated[bool, Doc("never touch the network")] = False
    trust: Annotated[bool, Doc("run an exported file that can hold code, though it was not written here")] = False
    workers: Annotated[int | None, Doc("threads that read files; default: one a core"), COUNT] = None
    fix: Annotated[
        str | None, Doc("a .yaml, or a list of one split, to write: the same data without what is wrong with it")
    ] = None
    force: Annotated[bool, Doc("overwrite a file that exists")] = False


@dataclass(frozen=True, kw_only=True)
class StatsConfig:
    """Keys of `segformer data stats`."""

    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, a .yaml, a list of files, or `sample`")] = "sample"
    split: Annotated[str, Doc("train, val or test; all is for folders that are not divided into these")] = "train"
    image_suffix: ImageSuffix = None
    mask_suffix: MaskSuffix = None
    map: IdMap = ()
    reduce_zero: ReduceZero = False
    bands: Bands = ()
    limit: Annotated[
        int | None, Doc("pictures whose values and sizes are measured, evenly spaced over the split; null: all"), COUNT
    ] = 500
    workers: Annotated[int | None, Doc("threads that read files; default: one a core"), COUNT] = None


@dataclass(frozen=True, kw_only=True)
class PreviewConfig:
    """Keys of `segformer data preview`."""

    data: Annotated[str, Doc("DATA: NAME:PATH, a folder, a .yaml, a list of files, or `sample`")] = "sample"
    split: Annotated[str, Doc("train, val or test; all is for folders that are not divided into these")] = "train"
    image_suffix: ImageSuffix = None
    mask_suffix: MaskSuffix = None
    map: IdMap = ()
    reduce_zero: ReduceZero = False
    bands: Bands = ()
    preset: Annotated[str | None, Doc("the recipe whose crops are shown; default: train's own defaults")] = None
    crop_size: Annotated[
        tuple[int, int] | None,
        Doc("height and width of a crop; default: the recipe's, or 512, or the pictures' size if smaller"),
        SIDES,
    ] = None
    limit: Annotated[int, Doc("pictures on the sheet, evenly spaced over the split"), Range(1, 100)] = 6
    seed: Annotated[int, Doc("of the augmentation"), NOT_NEGATIVE] = 0
    out: Annotated[str, Doc("the PNG to write")] = "preview.png"
    force: Annotated[bool, Doc("overwrite a file that exists")] = False
