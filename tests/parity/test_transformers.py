"""transformers' SegFormer and this one, with the same weights: logits and gradients in float64, folders both ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segformer_cli.model.checkpoint import Checkpoint, network_from
from segformer_cli.model.formats import huggingface, read_any
from segformer_cli.model.formats.source import Source
from segformer_cli.model.segformer import SegFormer
from segformer_cli.model.variants import VARIANTS
from tests.conftest import peer

transformers = peer("transformers")

TOLERANCE = 1e-10
GRADIENT_TOLERANCE = 1e-8
SIZE_HW = (97, 133)
CLASSES = 7

Make = Callable[..., Checkpoint]


def reference(variant: str, **options: Any) -> nn.Module:
    """Theirs in float64, with random norms and running statistics."""
    config = transformers.SegformerConfig(
        depths=list(VARIANTS[variant].depths),
        hidden_sizes=list(VARIANTS[variant].widths),
        decoder_hidden_size=VARIANTS[variant].head_width,
        num_labels=CLASSES,
        **options,
    )
    with torch.device("meta"):
        model = transformers.SegformerForSemanticSegmentation(config)
    model = model.to(torch.float64).to_empty(device="cpu").eval()
    torch.manual_seed(0)
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.zero_()
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1:
            tensor.normal_(0.0 if name.endswith(("bias", "mean")) else 1.0, 0.1)
        else:
            tensor.normal_(0.0, tensor[0].numel() ** -0.5)
    return model


def ours(theirs: nn.Module, **options: float) -> SegFormer:
    """This one, with their weights, brought over by our converter."""
    checkpoint = huggingface.read(Source(Path("reference"), theirs.state_dict()))
    assert checkpoint is not None
    network = network_from(checkpoint, **options).double()
    network.load_state_dict(dict(checkpoint.tensors))
    return network


def images(batch: int = 1) -> Tensor:
    return torch.randn(batch, 3, *SIZE_HW, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_theirs(variant: str) -> None:
    theirs = reference(variant)
    with torch.inference_mode():
        expected = theirs(images()).logits
        actual = ours(theirs)(images())

    assert actual.shape == expected.shape == (1, CLASSES, 25, 34)
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_gradients_and_running_statistics_are_theirs_in_training() -> None:
    theirs = reference("b0", drop_path_rate=0.0, classifier_dropout_prob=0.0).train()
    network = ours(theirs, drop_path=0.0, dropout=0.0).train()
    targets = torch.randint(0, CLASSES, (2, 25, 34), generator=torch.Generator().manual_seed(2))

    F.cross_entropy(theirs(images(2)).logits, targets).backward()
    F.cross_entropy(network(images(2)), targets).backward()

    gradients = {name: value.clone() for name, value in theirs.state_dict().items()}
    gradients |= {name: parameter.grad for name, parameter in theirs.named_parameters()}
    expected = huggingface.read(Source(Path("gradients"), gradients))
    assert expected is not None
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        torch.testing.assert_close(
            parameter.grad, expected.tensors[name], atol=GRADIENT_TOLERANCE, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
        )
    statistics = {name: value for name, value in network.state_dict().items() if "running" in name}
    for name, value in statistics.items():
        torch.testing.assert_close(value, expected.tensors[name], atol=TOLERANCE, rtol=0)


def test_a_folder_of_ours_loads_there_and_gives_our_logits(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(classes=CLASSES, eps=1e-5, block_eps=1e-5, ignore_index=200)
    huggingface.write(tmp_path / "folder", checkpoint, force=False)

    theirs, report = transformers.SegformerForSemanticSegmentation.from_pretrained(
        tmp_path / "folder", output_loading_info=True
    )

    assert not any(report.values())
    assert theirs.config.id2label == dict(enumerate(checkpoint.config.class_names))
    assert theirs.config.label2id["thing 3"] == 3
    assert [tuple(colour) for colour in theirs.config.palette] == list(checkpoint.config.palette)
    assert theirs.config.semantic_loss_ignore_index == 200
    with torch.inference_mode():
        expected = theirs.double().eval()(images()).logits
        actual = network_from(checkpoint).double()(images())
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_the_processor_of_a_folder_of_ours_loads_there(random_checkpoint: Make, tmp_path: Path) -> None:
    huggingface.write(tmp_path / "folder", random_checkpoint(mean=(1.0, 2.0, 3.0)), force=False)

    processor = transformers.SegformerImageProcessor.from_pretrained(tmp_path / "folder")

    assert list(processor.image_mean) == pytest.approx([1 / 255, 2 / 255, 3 / 255])
    assert processor.do_resize is False


def test_a_backbone_of_ours_loads_there_as_a_classifier(random_backbone: Make, tmp_path: Path) -> None:
    huggingface.write(tmp_path / "folder", random_backbone(), force=False)

    theirs, report = transformers.SegformerForImageClassification.from_pretrained(
        tmp_path / "folder", output_loading_info=True
    )

    assert not any(report.values())
    assert theirs.config.num_labels == 10


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SegformerForSemanticSegmentation", "segmentor"),
        ("SegformerForImageClassification", "backbone"),
        ("SegformerModel", "backbone"),
    ],
)
def test_a_folder_of_theirs_loads_here(tmp_path: Path, name: str, kind: str) -> None:
    config = transformers.SegformerConfig(id2label={0: "cat", 1: "dog"})
    torch.manual_seed(0)
    theirs = getattr(transformers, name)(config)
    theirs.save_pretrained(tmp_path / "folder")

    checkpoint = read_any(tmp_path / "folder")

    assert (checkpoint.kind, checkpoint.config.variant) == (kind, "b0")
    assert (checkpoint.config.eps, checkpoint.config.block_eps) == (1e-5, 1e-5)
    if kind == "segmentor":
        assert checkpoint.config.class_names == ("cat", "dog")
        with torch.inference_mode():
            expected = theirs.eval().double()(images()).logits
            actual = network_from(checkpoint).double()(images())
        torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)
