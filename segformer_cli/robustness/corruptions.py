"""The 19 common corruptions by name, and `corrupt`, which puts one of them on a picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from segformer_cli.errors import ImageError, UsageError, did_you_mean
from segformer_cli.images import Picture
from segformer_cli.robustness.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from segformer_cli.robustness.digital import brightness, contrast, jpeg_compression, pixelate, saturate
from segformer_cli.robustness.elastic import elastic_transform
from segformer_cli.robustness.frost import Textures
from segformer_cli.robustness.frost import frost as frosted
from segformer_cli.robustness.glass import glass_blur
from segformer_cli.robustness.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from segformer_cli.robustness.protocols import CATEGORY_OF, SEVERITIES
from segformer_cli.robustness.source import SMALLEST, Random, Source
from segformer_cli.robustness.weather import fog, snow, spatter

Mode = Literal["fast", "reference"]
ChannelOrder = Literal["rgb", "bgr"]


class Corruption(NamedTuple):
    """What a corruption is called, what kind it is, and the function that makes it."""

    name: str
    category: str
    apply: Callable[[Source, int, Random], Picture]


CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        apply.__name__: Corruption(apply.__name__, CATEGORY_OF[apply.__name__], apply)
        for apply in (
            gaussian_noise,
            shot_noise,
            impulse_noise,
            defocus_blur,
            glass_blur,
            motion_blur,
            zoom_blur,
            snow,
            frosted,
            fog,
            brightness,
            contrast,
            elastic_transform,
            pixelate,
            jpeg_compression,
            speckle_noise,
            gaussian_blur,
            spatter,
            saturate,
        )
    }
)
"""All 19, in the order and by the numbers of `imagecorruptions`."""

CATEGORIES: tuple[str, ...] = tuple(dict.fromkeys(corruption.category for corruption in CORRUPTIONS.values()))
"""noise, blur, weather, digital."""


def corrupt(
    image: Picture | Source,
    name: str,
    severity: int,
    rng: Random | None = None,
    *,
    mode: Mode = "fast",
    channel_order: ChannelOrder = "rgb",
    frost: Textures | None = None,
) -> Picture:
    """The picture corrupted, a new array (H, W, 3) uint8 RGB; `image` stays as it is.

    Args:
        image: (H, W, 3) uint8 RGB, no side below 32 pixels. A `Source` of it keeps what its variants have in common.
        name: one of `CORRUPTIONS`.
        severity: 1 (mild) to 5 (severe).
        rng: where chance comes from: `generator_for` in fast mode, where None stands for a fresh one, and
            `random_state_for` in reference mode.
        mode: "reference" draws the numbers that `imagecorruptions` would draw, in its order, and rounds as it does
            where that decides a level; "fast" draws others of the same distribution.
        channel_order: "bgr" corrupts the channels in reverse order, as FAN and the tools of OpenMMLab do without
            meaning to: it changes the colour of frost, spatter and saturated grey, and what JPEG and snow see as light.
        frost: the panes that frost draws from, see `textures_from`; None: those of `procedural_textures`.

    Raises:
        ImageError: `image` is no such picture.
        UsageError: there is no such corruption, severity, mode or order, or `rng` is not of the mode's kind.

    >>> grey = np.full((32, 32, 3), 100, np.uint8)
    >>> corrupt(grey, "brightness", severity=1)[0, 0].tolist()
    [125, 125, 125]
    """
    corruption = named_corruption(name)
    if severity not in SEVERITIES:
        raise UsageError(f"there is no severity {severity!r}", hint="severities go from 1 (mild) to 5 (severe)")
    if channel_order not in ("rgb", "bgr"):
        raise UsageError(f"there is no channel order {channel_order!r}", hint="known: rgb, bgr")
    source = image if isinstance(image, Source) else Source(image)
    _check(source.pixels)
    chance = _chance(rng, mode)
    apply = partial(frosted, textures=frost) if name == "frost" else corruption.apply
    if channel_order == "bgr":
        return np.ascontiguousarray(apply(source.reversed, severity, chance)[..., ::-1])
    return apply(source, severity, chance)


def named_corruption(name: str) -> Corruption:
    """The corruption of that name.

    Raises:
        UsageError: there is none.
    """
    try:
        return CORRUPTIONS[name]
    except KeyError:
        raise UsageError(f"there is no corruption {name!r}", hint=did_you_mean(name, CORRUPTIONS)) from None


def generator_for(seed: int, image_key: str, corruption: str, severity: int) -> np.random.Generator:
    """The chance of one variant of one picture in fast mode.

    It depends on the four arguments alone, so pictures and variants can be made in any order, by any process.

    >>> variant = 0, "frankfurt/000000_000294.png", "fog", 3
    >>> bool(generator_for(*variant).random() == generator_for(*variant).random())
    True
    """
    digest = _digest(seed, image_key, corruption, severity)
    return np.random.Generator(np.random.SFC64(int.from_bytes(digest, "little")))


def random_state_for(seed: int, image_key: str, corruption: str, severity: int) -> np.random.RandomState:
    """The same in reference mode: a legacy stream of NumPy's, as `imagecorruptions` draws from."""
    digest = _digest(seed, image_key, corruption, severity)
    return np.random.RandomState(np.frombuffer(digest, "<u4"))


def _digest(seed: int, image_key: str, corruption: str, severity: int) -> bytes:
    """16 bytes that no other variant shares."""
    variant = json.dumps([seed, image_key, corruption, severity])
    return hashlib.blake2b(variant.encode("ascii"), digest_size=16).digest()


def _check(pixels: Picture) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageError(
            f"a picture to corrupt is (H, W, 3) uint8 RGB, this is {pixels.shape} {pixels.dtype}",
            hint="images.read_image makes one of any file",
        )
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise ImageError(
            f"a picture of {width} x {height} pixels is too small to corrupt",
            hint=f"both sides need {SMALLEST} pixels or more, as in imagecorruptions",
        )


def _chance(rng: Random | None, mode: Mode) -> Random:
    """`rng`, if it is of the mode's kind, or a fresh generator."""
    kinds = {"fast": (np.random.Generator, "generator_for"), "reference": (np.random.RandomState, "random_state_for")}
    if mode not in kinds:
        raise UsageError(f"there is no mode {mode!r}", hint="known: fast, reference")
    if rng is None and mode == "fast":
        return np.random.Generator(np.random.SFC64())
    kind, maker = kinds[mode]
    if rng is None or not isinstance(rng, kind):
        given = "None" if rng is None else f"a {type(rng).__name__}"
        hint = f"segformer_cli.robustness.corruptions.{maker}(...) makes one"
        raise UsageError(f"{mode} mode draws from a {kind.__name__}, not from {given}", hint=hint)
    return rng
