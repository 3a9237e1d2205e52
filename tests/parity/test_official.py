"""The authors' code and this one give the same logits for the same weights, all six variants, in float64.

`official_logits.json` holds what their code gave, and the rule by which every tensor follows from its name.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from segformer_cli.classes import class_set
from segformer_cli.model.checkpoint import ModelConfig, expected_shapes, network_from
from segformer_cli.model.formats import official
from segformer_cli.model.formats.keys import links
from segformer_cli.model.formats.source import Source

TOLERANCE = 1e-10
RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "official_logits.json").read_text(encoding="utf-8"))


def tensor_by_rule(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    z = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        return torch.from_numpy(1 + 0.5 * np.abs(z))
    if name.endswith(("running_mean", ".bias")):
        return torch.from_numpy(0.1 * z)
    if z.ndim == 1:
        return torch.from_numpy(1 + 0.1 * z)
    return torch.from_numpy(z / np.sqrt(np.prod(shape[1:])))


@pytest.mark.parametrize("variant", RECORDED["variants"])
def test_logits_and_features_are_those_of_the_authors_code(variant: str) -> None:
    recorded, cityscapes = RECORDED["variants"][variant], class_set("cityscapes")
    shapes = expected_shapes(
        ModelConfig(variant=variant, class_names=cityscapes.class_names, palette=cityscapes.palette)
    )
    table = links(official.SEGMENTOR, shapes)
    theirs = {link.theirs[0]: tensor_by_rule(link.theirs[0], shapes[link.ours[0]]) for link in table}
    assert len(theirs) == recorded["tensors"]

    checkpoint = official.read(Source(Path("by_rule.pth"), theirs))
    assert checkpoint is not None
    network = network_from(checkpoint).double()
    network.load_state_dict(dict(checkpoint.tensors))
    images = torch.from_numpy(np.random.default_rng(0).standard_normal(RECORDED["input_shape"]))
    with torch.inference_mode():
        features = network.encoder(images)
        logits = network(images)

    assert checkpoint.config.variant == variant
    np.testing.assert_allclose(logits[0, :, ::8, ::11], recorded["sample"], atol=TOLERANCE, rtol=0)
    assert float(logits.mean()) == pytest.approx(recorded["mean"], abs=TOLERANCE)
    assert float(logits.std()) == pytest.approx(recorded["std"], abs=TOLERANCE)
    assert [float(feature.std()) for feature in features] == pytest.approx(recorded["feature_std"], abs=TOLERANCE)
