"""mmsegmentation's MiT and this encoder, with the same weights: features in float64, files both ways."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from segformer_cli.model.checkpoint import Checkpoint
from segformer_cli.model.formats import mmseg, read_any
from segformer_cli.model.segformer import MixTransformer
from segformer_cli.model.variants import VARIANTS
from tests.conftest import peer

# mmsegmentation imports mmcv.ops whatever it builds, and mmcv-lite leaves out the compiled module behind it. Loading
# those operators only asks whether each name is there; MiT and SegFormer's head call none, and None cannot be called.
compiled = ModuleType("mmcv._ext")
compiled.__getattr__ = lambda name: None  # type: ignore[method-assign]
sys.modules.setdefault("mmcv._ext", compiled)
peer("mmseg")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")                 # deprecated parts of torch that mmcv uses while it is imported
    backbones = importlib.import_module("mmseg.models.backbones")
    segmentors = importlib.import_module("mmseg.models.segmentors")
    runner = importlib.import_module("mmengine.runner")

pytestmark = pytest.mark.peers

TOLERANCE, SIZE_HW = 1e-10, (97, 133)
Make = Callable[..., Checkpoint]


def settings(variant: str) -> dict[str, Any]:
    """What their SegFormer configs say of the backbone; one embed_dims, times the heads, gives all widths."""
    return {
        "embed_dims": VARIANTS[variant].widths[0],
        "num_stages": 4,
        "num_layers": list(VARIANTS[variant].depths),
        "num_heads": [1, 2, 5, 8],
        "patch_sizes": [7, 3, 3, 3],
        "sr_ratios": [8, 4, 2, 1],
        "mlp_ratio": 4,
        "qkv_bias": True,
        "drop_path_rate": 0.0,
    }


def randomised(model: Any) -> Any:
    """Fresh norms and biases are 1 and 0, and hide mistakes."""
    torch.manual_seed(0)
    for name, tensor in model.state_dict().items():
        if tensor.ndim == 1 and not name.endswith("running_var"):
            tensor.normal_(0.0 if name.endswith(("bias", "mean")) else 1.0, 0.1)
    return model


def our_encoder(checkpoint: Checkpoint) -> MixTransformer:
    config, variant = checkpoint.config, VARIANTS[checkpoint.config.variant]
    encoder = MixTransformer(variant.widths, variant.depths, eps=config.eps, block_eps=config.block_eps)
    tensors = {n.removeprefix("encoder."): t for n, t in checkpoint.tensors.items() if n.startswith("encoder.")}
    encoder.load_state_dict(tensors)
    return encoder


def assert_same_features(ours: nn.Module, theirs: nn.Module) -> None:
    images = torch.randn(1, 3, *SIZE_HW, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = list(theirs.double().eval()(images))
        actual = list(ours.double().eval()(images))
    assert [tuple(feature.shape[2:]) for feature in actual] == [(25, 34), (13, 17), (7, 9), (4, 5)]
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("variant", ["b0", "b1", "b2"])
def test_a_backbone_of_theirs_is_read_and_gives_their_features(tmp_path: Path, variant: str) -> None:
    theirs = randomised(backbones.MixVisionTransformer(**settings(variant)))
    torch.save(theirs.state_dict(), tmp_path / "w.pth")

    checkpoint = read_any(tmp_path / "w.pth")

    assert (checkpoint.format, checkpoint.kind, checkpoint.config.variant) == ("mmseg", "backbone", variant)
    assert_same_features(our_encoder(checkpoint), theirs)


@pytest.mark.parametrize("variant", ["b0", "b1", "b2"])
def test_a_backbone_of_ours_loads_there_and_gives_our_features(
    random_checkpoint: Make, tmp_path: Path, variant: str
) -> None:
    checkpoint = random_checkpoint(variant, eps=mmseg.EPS[0], block_eps=mmseg.EPS[1])
    mmseg.write(tmp_path / "w.pth", checkpoint, force=False)

    theirs = backbones.MixVisionTransformer(**settings(variant))
    runner.load_checkpoint(theirs, str(tmp_path / "w.pth"), map_location="cpu", strict=True)

    assert_same_features(our_encoder(checkpoint), theirs)


@pytest.mark.filterwarnings("ignore::UserWarning:mmseg.*")      # their own head uses what they deprecate
def test_a_segmentor_of_theirs_is_a_backbone_here_and_its_head_is_said_to_be_another_network(tmp_path: Path) -> None:
    head = {"type": "SegformerHead", "in_channels": [32, 64, 160, 256], "in_index": [0, 1, 2, 3], "channels": 256}
    backbone = {"type": "MixVisionTransformer", **settings("b0")}
    theirs = randomised(segmentors.EncoderDecoder(backbone, head | {"num_classes": 19}))
    runner.save_checkpoint({"meta": {}, "state_dict": theirs.state_dict()}, str(tmp_path / "w.pth"))

    checkpoint = read_any(tmp_path / "w.pth")

    assert (checkpoint.format, checkpoint.kind) == ("mmseg", "backbone")
    assert any("decode head" in note and "is another network" in note for note in checkpoint.notes)
    assert_same_features(our_encoder(checkpoint), theirs.backbone)
