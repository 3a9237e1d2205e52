"""Conversion from any format to any other, what is in a file, and whether two files agree."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segformer_cli.engine import loading
from segformer_cli.errors import SegFormerError, UsageError, WeightsError
from segformer_cli.model import hub
from segformer_cli.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from segformer_cli.model.formats import read_any
from segformer_cli.progress import Progress
from segformer_cli.workflows.conversion import convert, inspect_weights, picture, verify

Make = Callable[..., Checkpoint]
NAMES = {"segformer": "w.safetensors", "official": "w.pth", "hf": "folder", "smp": "smp", "mmseg-backbone": "m.pth"}


@pytest.fixture
def saved(random_checkpoint: Make, tmp_path: Path) -> str:
    return str(save_checkpoint(tmp_path / "start.safetensors", random_checkpoint(licence="theirs")))


@pytest.mark.parametrize("to", ["official", "hf", "smp"])
def test_a_conversion_there_and_back_changes_no_bit(saved: str, tmp_path: Path, to: str) -> None:
    convert(saved, tmp_path / NAMES[to], to)
    convert(str(tmp_path / NAMES[to]), tmp_path / "back.safetensors", "segformer")

    before, after = load_checkpoint(saved), load_checkpoint(tmp_path / "back.safetensors")
    assert all(torch.equal(before.tensors[name], after.tensors[name]) for name in before.tensors)
    assert after.config.licence == "theirs"


def test_official_and_smp_run_our_weights_as_they_are(saved: str, tmp_path: Path) -> None:
    for to in ("official", "smp"):
        assert not any("eps" in note for note in convert(saved, tmp_path / NAMES[to], to).notes)


def test_another_eps_is_measured_and_said(saved: str, tmp_path: Path) -> None:
    (note,) = convert(saved, tmp_path / "folder", "hf").notes

    assert note.startswith("hf runs with LayerNorm eps 1e-05")
    assert "these weights with 1e-05 and 1e-06: logits differ by up to" in note


def test_a_segmentor_to_an_mmsegmentation_backbone_says_what_is_lost(saved: str, tmp_path: Path) -> None:
    conversion = convert(saved, tmp_path / "m.pth", "mmseg-backbone")

    assert any("decode head is left out" in note for note in conversion.notes)
    assert any("no place for the licence" in note for note in conversion.notes)
    assert read_any(tmp_path / "m.pth").kind == "backbone"


def test_an_existing_destination_is_kept_without_force(saved: str, tmp_path: Path) -> None:
    for to, name in NAMES.items():
        convert(saved, tmp_path / name, to)
        with pytest.raises(SegFormerError, match="exists already"):
            convert(saved, tmp_path / name, to)
        convert(saved, tmp_path / name, to, force=True)


def test_an_unknown_format_is_answered_with_a_guess(saved: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean official"):
        convert(saved, tmp_path / "w.pth", "offical")


def test_what_is_in_a_file_is_told(saved: str) -> None:
    info = inspect_weights(saved)

    assert (info.format, info.kind, info.variant, info.num_classes) == ("segformer", "segmentor", "b0", 5)
    assert info.parameters == 3_719_027 - (19 - 5) * 257
    assert info.sha256 == hashlib.sha256(Path(saved).read_bytes()).hexdigest()
    assert (info.licence, info.eps, info.block_eps, info.head_width) == ("theirs", 1e-5, 1e-6, 256)


def test_the_sample_has_the_hash_of_the_packaged_file() -> None:
    packaged = Path(loading.__file__).parents[1] / "assets" / loading.SAMPLE_FILE

    assert inspect_weights("sample").sha256 == hashlib.sha256(packaged.read_bytes()).hexdigest()


def test_whoever_looks_at_published_weights_hears_their_licence(
    saved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(saved, tmp_path / "folder", "hf")
    monkeypatch.setattr(hub, "fetch", lambda name, **options: tmp_path / "folder")
    looks = (
        lambda listener: inspect_weights("b0-ade20k", progress=listener),
        lambda listener: convert("b0-ade20k", tmp_path / "w.safetensors", "segformer", progress=listener),
        lambda listener: verify("b0-ade20k", "b0-ade20k", progress=listener),
    )

    for look in looks:
        monkeypatch.setattr(loading, "_TOLD", set())
        heard: list[Progress] = []
        look(heard.append)
        assert ["research or evaluation only" in str(step.message) for step in heard] == [True]


def test_a_converted_file_agrees_with_its_source(saved: str, tmp_path: Path) -> None:
    convert(saved, tmp_path / "w.pth", "official")

    agreement = verify(saved, tmp_path / "w.pth")

    assert agreement.agrees
    assert (agreement.max_error, agreement.same_argmax) == (0.0, 1.0)
    assert agreement.verdict.startswith("the same outputs")


def test_weights_that_differ_in_eps_alone_are_the_same_weights(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    other = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, block_eps=1e-2))
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    save_checkpoint(tmp_path / "b.safetensors", other)

    agreement = verify(tmp_path / "a.safetensors", tmp_path / "b.safetensors")

    assert agreement.agrees
    assert agreement.same_eps_error == 0.0 < 1e-5 < agreement.max_error
    assert agreement.verdict.startswith("the same weights")


def test_one_changed_weight_is_noticed(saved: str, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(saved)
    checkpoint.tensors["encoder.stages.0.blocks.0.ffn.shrink.bias"][0] += 0.1
    save_checkpoint(tmp_path / "b.safetensors", checkpoint)

    agreement = verify(saved, tmp_path / "b.safetensors")

    assert not agreement.agrees
    assert agreement.verdict.startswith("other outputs")


def test_an_encoder_agrees_with_the_network_it_comes_from(saved: str, tmp_path: Path) -> None:
    convert(saved, tmp_path / "m.pth", "mmseg-backbone")

    agreement = verify(saved, tmp_path / "m.pth")

    assert agreement.same_eps_error == 0.0
    assert agreement.agrees


def test_networks_of_other_classes_cannot_be_compared(saved: str, random_checkpoint: Make, tmp_path: Path) -> None:
    other = save_checkpoint(tmp_path / "b.safetensors", random_checkpoint(classes=6))

    with pytest.raises(WeightsError, match="number of classes is 5 in one file and 6 in the other") as caught:
        verify(saved, other)
    assert caught.value.where == f"{saved} and {other}"


def test_the_built_in_picture_is_the_same_everywhere() -> None:
    image = picture((33, 40), channels=4)

    assert image.shape == (1, 4, 33, 40)
    assert float(image.std()) == pytest.approx(1.0, abs=0.2)
    assert torch.equal(image, picture((33, 40), channels=4))
