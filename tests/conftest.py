"""What every test runs with: one thread, no network, reference implementations that can be imported."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch

from segformer_cli.classes import default_palette
from segformer_cli.model.checkpoint import Checkpoint, ModelConfig, build_network, checkpoint_of


def pytest_configure(config: pytest.Config) -> None:
    # The processes that tests start count alike: sums of two threads differ from those of one in the last bit.
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    if "online" not in str(config.getoption("markexpr")):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    _make_torchvision_importable()


def _make_torchvision_importable() -> None:
    """torchvision built for CUDA registers operators that a CPU torch lacks; the references import it, none use it."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        pass
    except RuntimeError:
        register = torch.library.register_fake
        torch.library.register_fake = lambda *a, **k: lambda function: function  # type: ignore[assignment]
        try:
            importlib.import_module("torchvision")
        finally:
            torch.library.register_fake = register


def peer(name: str) -> Any:
    """Another implementation to compare with; absent, it is skipped, but in `make parity` that is a failure."""
    if os.environ.get("SEGFORMER_PARITY") == "all":
        return importlib.import_module(name)
    return pytest.importorskip(name)


@pytest.fixture(scope="session", autouse=True)
def _own_record(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The record of files that may run their code is the tests' own, not the user's."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


RandomCheckpoint = Callable[..., Checkpoint]


@pytest.fixture(scope="session")
def random_checkpoint() -> RandomCheckpoint:
    """Makes a checkpoint whose norms and running statistics are random: fresh ones are 1, 0, 0, 1 and hide mistakes."""

    def make(variant: str = "b0", classes: int = 5, seed: int = 0, **fields: object) -> Checkpoint:
        torch.manual_seed(seed)
        names = tuple(f"thing {index}" for index in range(classes))
        values = {"class_names": names, "palette": default_palette(classes), **fields}
        network = build_network(ModelConfig(variant=variant, **values))  # type: ignore[arg-type]
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.ndim == 1:
                tensor.normal_(0.0 if name.endswith(("bias", "mean")) else 1.0, 0.1)
        return checkpoint_of(network)

    return make


@pytest.fixture(scope="session")
def random_backbone(random_checkpoint: RandomCheckpoint) -> RandomCheckpoint:
    """Makes an encoder alone, with an ImageNet classifier of ten classes."""

    def make(variant: str = "b0") -> Checkpoint:
        whole = random_checkpoint(variant)
        tensors = {name: tensor for name, tensor in whole.tensors.items() if name.startswith("encoder.")}
        width = tensors["encoder.stages.3.norm.weight"].shape[0]
        tensors |= {"imagenet.weight": torch.randn(10, width), "imagenet.bias": torch.randn(10)}
        return Checkpoint(ModelConfig(variant=variant, class_names=(), palette=()), tensors, "backbone")

    return make
