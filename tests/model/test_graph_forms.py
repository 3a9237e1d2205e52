"""Other forms of the network are the same function."""

from __future__ import annotations

import torch

from segformer_cli.model.checkpoint import network_from
from segformer_cli.model.graph_forms import with_convolutional_head
from tests.conftest import RandomCheckpoint


def test_a_convolutional_head_gives_the_same_logits_and_shares_its_parameters(
    random_checkpoint: RandomCheckpoint,
) -> None:
    network = network_from(random_checkpoint("b0")).double()
    fused = network.fused()
    other = with_convolutional_head(fused)
    images = torch.randn(2, 3, 97, 131, dtype=torch.float64)
    with torch.no_grad():
        assert (other(images) - network(images)).abs().max() < 1e-12
    assert {id(each) for each in other.parameters()} == {id(each) for each in fused.parameters()}
