"""The network as TorchScript: for any number of bands, with its meaning where libtorch finds it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from segformer_cli.errors import WeightsError
from segformer_cli.export.exportable import logits_of
from segformer_cli.export.torchscript import add_metadata, load, read_metadata, write
from segformer_cli.model.segformer import SegFormer


def test_networks_of_other_bands_are_traced_with_theirs(tmp_path: Path) -> None:
    network = SegFormer(widths=(8, 16, 40, 64), depths=(1, 1, 1, 1), head_width=16, num_classes=5, in_channels=4)
    write(logits_of(network.fused(), 4), tmp_path / "a.pt")
    assert load(tmp_path / "a.pt")(torch.zeros(1, 4, 64, 64)).shape == (1, 5, 16, 16)


def test_libtorch_finds_the_metadata_as_an_extra_file(tiny: SegFormer, tmp_path: Path) -> None:
    write(logits_of(tiny.fused(), 3), tmp_path / "a.pt")
    add_metadata(tmp_path / "a.pt", {"classes": ["road", "straße"]})
    extra = {"segformer.json": ""}
    torch.jit.load(str(tmp_path / "a.pt"), _extra_files=extra)
    assert "stra" in str(extra["segformer.json"])


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("b/data.pkl", "")
    for name in ("a.pt", "b.pt", "c.pt"):
        with pytest.raises(WeightsError, match="no file that segformer exported"):
            read_metadata(tmp_path / name)
