"""The published B0-ADE20K gives the published logits. Reaches the network: `make online-check`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.engine.loading import load_model
from segformer_cli.model import hub, named_weights

pytestmark = pytest.mark.online

NAME = "b0-ade20k"

# logits[0, :3, :3, :3] of the check in the script that converted the official file for the hub, for COCO val2017
# 000000039769 resized to 512x512 without keeping the aspect, normalised with ImageNet's mean and std.
PUBLISHED = torch.tensor(
    [
        [[-4.6310, -5.5232, -6.2356], [-5.1921, -6.1444, -6.5996], [-5.4424, -6.2790, -6.7574]],
        [[-12.1391, -13.3122, -13.9554], [-12.8732, -13.9352, -14.3563], [-12.9438, -13.8226, -14.2513]],
        [[-12.5134, -13.4686, -14.4915], [-12.8669, -14.4343, -14.7758], [-13.2523, -14.5819, -15.0694]],
    ]
)
# Four printed decimals, and a JPEG decoder and a bilinear resize of another version than the publisher's.
TOLERANCE = 1e-2


@pytest.fixture(autouse=True, scope="module")
def _only_when_asked_for(request: pytest.FixtureRequest) -> None:
    if "online" not in str(request.config.getoption("markexpr")):
        pytest.skip("reaches the network: make online-check, or pytest -m online")


@pytest.fixture(scope="module")
def cats() -> Path:
    from huggingface_hub import hf_hub_download

    return Path(
        hf_hub_download("hf-internal-testing/fixtures-coco", "val2017/000000039769.jpg", repo_type="dataset")
    )


def test_the_published_file_is_the_one_in_our_table() -> None:
    folder = hub.fetch(NAME)

    assert (folder / "config.json").is_file()
    assert hub.is_cached(NAME)
    assert hub.fetch(NAME, offline=True) == folder


def test_the_published_b0_gives_the_published_logits(cats: Path) -> None:
    model = load_model(NAME)
    with Image.open(cats) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((512, 512), Image.Resampling.BILINEAR))
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float()                  # (3, 512, 512), 0..255
    mean, std = (torch.tensor(figures).view(3, 1, 1) for figures in (model.config.mean, model.config.std))

    with torch.inference_mode():
        logits = model(((image - mean) / std).unsqueeze(0))

    assert logits.shape == (1, 150, 128, 128)
    torch.testing.assert_close(logits[0, :3, :3, :3], PUBLISHED, atol=TOLERANCE, rtol=0)


def test_the_published_b0_names_its_classes_and_its_licence() -> None:
    config = load_model(NAME).config

    assert config.variant == "b0"
    assert config.num_classes == 150
    assert config.class_names[:3] == ("wall", "building", "sky")
    assert config.licence == named_weights.NVIDIA_LICENCE
