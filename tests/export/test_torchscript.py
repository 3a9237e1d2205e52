"""The network as TorchScript: the same function at every size, with its meaning in the file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from segformer_cli.errors import WeightsError
from segformer_cli.export.torchscript import add_metadata, load_torchscript, read_metadata, write_torchscript
from segformer_cli.model.checkpoint import network_from
from tests.conftest import RandomCheckpoint


@pytest.mark.parametrize("variant", ["b0", "b1"])
def test_it_computes_the_same_at_sizes_it_was_not_traced_with(
    random_checkpoint: RandomCheckpoint, tmp_path: Path, variant: str
) -> None:
    network = network_from(random_checkpoint(variant))
    write_torchscript(network.fused(), 3, tmp_path / "a.pt")
    run = load_torchscript(tmp_path / "a.pt")
    for shape in ((1, 3, 97, 131), (1, 3, 29, 29), (3, 3, 64, 160), (2, 3, 32, 224)):
        images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = network(images)
        assert run(images).shape == expected.shape
        assert (run(images) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_networks_of_other_bands_are_traced_with_theirs(random_checkpoint: RandomCheckpoint, tmp_path: Path) -> None:
    network = network_from(random_checkpoint("b0", in_channels=4, mean=(0.0,) * 4, std=(1.0,) * 4)).fused()
    write_torchscript(network, 4, tmp_path / "a.pt")
    assert load_torchscript(tmp_path / "a.pt")(torch.zeros(1, 4, 64, 64)).shape == (1, 5, 16, 16)


def test_metadata_leave_the_graph_as_it_is(random_checkpoint: RandomCheckpoint, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    write_torchscript(network_from(random_checkpoint("b0")).fused(), 3, path)
    images = torch.randn(1, 3, 64, 64)
    before = load_torchscript(path)(images)
    add_metadata(path, {"classes": ["road", "straße"]})
    assert read_metadata(path) == {"classes": ["road", "straße"]}
    assert torch.equal(load_torchscript(path)(images), before)
    extra = {"segformer.json": ""}
    torch.jit.load(str(path), _extra_files=extra)
    assert "stra" in str(extra["segformer.json"])


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"no archive")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("b/data.pkl", "")
    for name in ("a.pt", "b.pt", "c.pt"):
        with pytest.raises(WeightsError, match="no TorchScript file of segformer"):
            read_metadata(tmp_path / name)
