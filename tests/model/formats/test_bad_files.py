"""A file that cannot be used is one clear error: what is wrong, where, and the way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segformer_cli.errors import WeightsError
from segformer_cli.model.checkpoint import Checkpoint
from segformer_cli.model.formats import huggingface, official, read_any
from segformer_cli.model.formats.keys import to_theirs

Make = Callable[..., Checkpoint]


@pytest.fixture
def tensors(random_checkpoint: Make) -> dict[str, Tensor]:
    return to_theirs(random_checkpoint().tensors, official.SEGMENTOR)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and nothing else", "cannot be read"),
        (b"\x80\x02 and nothing else", "cannot be read"),
        (b"once upon a time", "first bytes are neither safetensors nor torch"),
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "pointer of git-lfs"),
        (b"<?xml version='1.0'?><net>", "is neither weights nor an exported file"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{" + b"x" * 20, "cannot be read as safetensors"),
    ],
)
def test_a_file_of_something_else_is_named_for_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)

    with pytest.raises(WeightsError, match=message) as caught:
        read_any(tmp_path / "w.pth")
    assert str(tmp_path / "w.pth") in str(caught.value.where)


def test_the_weights_of_an_openvino_file_point_to_its_graph(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"\x00" * 64)
    (tmp_path / "w.xml").write_text("<net/>")
    with pytest.raises(WeightsError, match="without the graph") as caught:
        read_any(tmp_path / "w.bin")
    assert str(tmp_path / "w.xml") in str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_file_cut_off_is_refused(tmp_path: Path, tensors: dict[str, Tensor], kept: float, legacy: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])

    with pytest.raises(WeightsError, match="cannot be read") as caught:
        read_any(path)
    assert "cut off" in str(caught.value.hint)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no file none\.pth"):
        read_any(tmp_path / "none.pth")


def test_a_folder_without_weights_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(WeightsError, match=r"model\.safetensors, pytorch_model\.bin; found notes\.txt"):
        read_any(tmp_path)


def test_a_missing_tensor_is_named_as_the_file_would_name_it(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    del tensors["backbone.block1.0.norm1.weight"]
    torch.save({"state_dict": tensors}, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=r"lacks backbone\.block1\.0\.norm1\.weight"):
        read_any(tmp_path / "w.pth")


def test_an_extra_tensor_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    torch.save({"state_dict": {**tensors, "auxiliary_head.weight": torch.ones(1)}}, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=r"has auxiliary_head\.weight, which no part"):
        read_any(tmp_path / "w.pth")


def test_a_wrong_shape_is_named_with_both_shapes(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    tensors["backbone.norm2.weight"] = torch.ones(65)
    torch.save({"state_dict": tensors}, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=r"backbone\.norm2\.weight has shape \[65\], a b0 needs \[64\]"):
        read_any(tmp_path / "w.pth")


def test_half_of_a_split_matrix_is_missed(tmp_path: Path, random_checkpoint: Make) -> None:
    theirs = to_theirs(random_checkpoint().tensors, huggingface.SEGMENTOR)
    del theirs["segformer.encoder.block.0.0.attention.self.value.bias"]
    save_file(theirs, tmp_path / "w.safetensors")

    with pytest.raises(WeightsError, match=r"lacks segformer\.encoder\.block\.0\.0\.attention\.self\.value\.bias"):
        read_any(tmp_path / "w.safetensors")


def test_half_of_a_classifier_is_missed(tmp_path: Path, random_backbone: Make) -> None:
    theirs = to_theirs(random_backbone().tensors, official.ENCODER)
    torch.save({**theirs, "head.weight": torch.ones(10, 256)}, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=r"has head\.weight, but not the other"):
        read_any(tmp_path / "w.pth")


def test_another_network_is_no_segformer(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=r"no SegFormer that we know: its 2 tensors start with weight, bias"):
        read_any(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "no state dict but a list"),
        ({}, "no state dict"),
        ({"state_dict": {"a": torch.ones(1), "b": 3}}, "no tensor at 'b' but a int"),
        ({"epoch": 3}, "no tensor at 'epoch'"),
    ],
)
def test_a_file_without_tensors_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=message):
        read_any(tmp_path / "w.pth")
