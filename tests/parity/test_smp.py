"""segmentation_models_pytorch's Segformer and this one, with the same weights: logits in float64, folders both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from segformer_cli.model.checkpoint import Checkpoint, network_from
from segformer_cli.model.formats import read_any, smp
from tests.conftest import peer

smp_reference = peer("segmentation_models_pytorch")

TOLERANCE = 1e-10
Make = Callable[..., Checkpoint]


def their_logits(model: Any, images: Tensor) -> Tensor:
    """Before their own enlargement to the size of the image."""
    model = model.double().eval()
    logits: Tensor = model.segmentation_head[0](model.decoder(model.encoder(images)))
    return logits


def images() -> Tensor:
    """At a size they accept: they refuse sides that 32 does not divide."""
    return torch.randn(1, 3, 96, 160, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("variant", "width"), [("b0", 256), ("b2", 768), ("b2", 256)])
def test_a_folder_of_ours_loads_there_and_gives_our_logits(
    random_checkpoint: Make, tmp_path: Path, variant: str, width: int
) -> None:
    checkpoint = random_checkpoint(variant, head_width=width)
    smp.write(tmp_path / "folder", checkpoint, force=False)

    theirs = smp_reference.from_pretrained(tmp_path / "folder")

    with torch.inference_mode():
        expected = their_logits(theirs, images())
        actual = network_from(checkpoint).double()(images())
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_a_state_dict_of_theirs_loads_here_and_gives_their_logits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = smp_reference.Segformer("mit_b1", encoder_weights=None, classes=3, in_channels=4)
    for name, tensor in theirs.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.normal_(0.0 if name.endswith(("bias", "mean")) else 1.0, 0.1)
    torch.save(theirs.state_dict(), tmp_path / "w.pth")

    checkpoint = read_any(tmp_path / "w.pth")

    assert (checkpoint.config.variant, checkpoint.config.in_channels, checkpoint.config.num_classes) == ("b1", 4, 3)
    four_bands = torch.cat([images(), images()[:, :1]], 1)
    with torch.inference_mode():
        expected = their_logits(theirs, four_bands)
        actual = network_from(checkpoint).double()(four_bands)
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_an_auxiliary_classifier_of_theirs_is_left_out_and_said(tmp_path: Path) -> None:
    theirs = smp_reference.Segformer("mit_b0", encoder_weights=None, classes=3, aux_params={"classes": 2})
    torch.save(theirs.state_dict(), tmp_path / "w.pth")

    assert any("auxiliary" in note for note in read_any(tmp_path / "w.pth").notes)
