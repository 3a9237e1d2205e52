"""Whether compiling pays: measured on the device in use, and no trouble where it cannot be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from segformer_cli.engine.loading import build_model
from segformer_cli.engine.training import compiling
from segformer_cli.engine.training.compiling import Comparison, compared
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy
from segformer_cli.model.segformer import SegFormer

CPU = torch.device("cpu")
CE = Criterion(((1.0, CrossEntropy(ignore_index=255)),), 255, "valid")
BATCH = torch.zeros(2, 3, 32, 32), torch.zeros(2, 32, 32, dtype=torch.uint8)


def failing(error: Exception, at: int, monkeypatch: pytest.MonkeyPatch) -> SegFormer:
    """A network whose pass number `at` fails, counted over all its copies; compiling leaves it as it is."""
    passes: list[int] = []
    forward = SegFormer.forward

    def counted(self: SegFormer, images: Tensor) -> Tensor:
        passes.append(1)
        if len(passes) == at:
            raise error
        return forward(self, images)

    monkeypatch.setattr(SegFormer, "forward", counted)
    monkeypatch.setattr(torch, "compile", lambda network: network)
    return build_model("b0", num_classes=2)


@pytest.mark.parametrize("at", [1, compiling.TRIES + 1])
def test_where_memory_is_not_enough_for_the_measurement_nothing_is_compiled(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = compared(failing(torch.OutOfMemoryError(), at, monkeypatch), CE, *BATCH, CPU, torch.float32)
    assert not found.pays(10**9)
    assert str(found) == "memory is not enough to measure a compiled step"


def test_a_compiler_at_fault_is_said_and_a_network_at_fault_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        found = compared(failing(KeyError(), compiling.TRIES + 1, patch), CE, *BATCH, CPU, torch.float32)
        assert found.plain_s > 0 and not found.pays(10**9)
        assert str(found) == "compiling failed (KeyError: )"
    with pytest.raises(KeyError):
        compared(failing(KeyError(), 1, monkeypatch), CE, *BATCH, CPU, torch.float32)


def test_what_is_gained_must_be_more_than_compiling_takes() -> None:
    found = Comparison(plain_s=1.0, compiled_s=0.5, compiling_s=60.0)
    assert [found.pays(steps) for steps in (100, 120, 121)] == [False, False, True]
    assert not Comparison(plain_s=1.0, compiled_s=0.98).pays(10**9)     # within the noise


def test_the_clock_waits_for_the_gpu_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[object] = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append(device))
    gpu = torch.device("cuda:1")
    network = build_model("b0", num_classes=2)
    compiling._seconds(network, CE, *BATCH, gpu, torch.float32)
    assert waited == [gpu, gpu]


def test_on_a_cpu_no_gpu_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of two GPUs that are not named, torch warns when it keeps the state of their generators.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "compile", lambda network: network)
    network = build_model("b0", num_classes=2)
    before = torch.random.get_rng_state()
    compared(network, CE, *BATCH, CPU, torch.float32)
    assert torch.equal(torch.random.get_rng_state(), before)
