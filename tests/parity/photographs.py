"""Photographs that come with scikit-image, which imagecorruptions needs: real pictures that no test has to carry."""

from __future__ import annotations

from importlib import resources

import cv2
import numpy as np

from segformer_cli.images import Picture
from tests.conftest import peer

# A name of their own, not `skimage.data`: that fetches what is not in the package.
_files = resources.files(peer("skimage")) / "data"


def photographs() -> dict[str, Picture]:
    """By a name that says the size, width first."""
    return {
        "photograph 480x360": np.ascontiguousarray(_photograph("coffee.png")[20:380, 60:540]),
        "photograph 1024x768": cv2.resize(
            _photograph("motorcycle_left.png"), (1024, 768), interpolation=cv2.INTER_CUBIC
        ).astype(np.uint8),
        "photograph 451x299": np.ascontiguousarray(_photograph("chelsea.png")[:299]),
    }


def _photograph(name: str) -> Picture:
    data = np.frombuffer((_files / name).read_bytes(), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)
