"""Whether torch.compile makes a step faster here: measured on a copy, before the first step.

On a CPU it does not (B0 at 256x256: more than twice the time, minutes to compile), so nobody is made to wait for it.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from segformer_cli.engine.device import forked_draws
from segformer_cli.engine.memory import lacks_memory
from segformer_cli.engine.timing import wait_for
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.model.segformer import SegFormer

TRIES = 3
"""Steps that are timed of each; the least counts."""

GAIN = 0.97
"""Of the plain time, what compiled steps may take at most: less is within the noise."""


@dataclass(frozen=True)
class Comparison:
    """Seconds of a step as it is and compiled, and what the compiling itself took; `fault` says why it is not known."""

    plain_s: float
    compiled_s: float = math.inf
    compiling_s: float = 0.0
    fault: str | None = None

    def pays(self, steps: int) -> bool:
        """Whether so many steps are faster compiled, the compiling counted in."""
        gained = steps * (self.plain_s - self.compiled_s)
        return self.compiled_s < GAIN * self.plain_s and gained > self.compiling_s

    def __str__(self) -> str:
        if self.fault is not None:
            return self.fault
        return f"a step takes {self.plain_s:.3g} s, compiled {self.compiled_s:.3g} s"


def compared(
    model: SegFormer, criterion: Criterion, images: Tensor, targets: Tensor, device: torch.device, dtype: torch.dtype
) -> Comparison:
    """Both ways of one step's passes, on a copy of the network; a fault where there is no memory for that.

    Args:
        images: (B, C, H, W), normalised, as many as pass the network at once.
        targets: (B, H, W) class ids.
    """
    network = copy.deepcopy(model).train()
    batch = images.to(device), targets.to(device)
    plain = math.inf
    with forked_draws(device):
        try:
            plain = min(_seconds(network, criterion, *batch, device, dtype) for _ in range(TRIES))
            began = time.perf_counter()
            compiled = cast(nn.Module, torch.compile(network))
            _seconds(compiled, criterion, *batch, device, dtype)
            compiling = time.perf_counter() - began
            least = min(_seconds(compiled, criterion, *batch, device, dtype) for _ in range(TRIES))
        except Exception as error:
            if lacks_memory(error):     # a training makes its parts smaller then, and needs no copy of the network
                return Comparison(plain, fault="memory is not enough to measure a compiled step")
            if plain == math.inf:
                raise
            # A compiler that is missing or at fault; the plain network runs all the same.
            first = (str(error).splitlines() or [""])[0][:120]
            return Comparison(plain, fault=f"compiling failed ({type(error).__name__}: {first})")
    return Comparison(plain, least, compiling)


def _seconds(
    network: nn.Module,
    criterion: Criterion,
    images: Tensor,
    targets: Tensor,
    device: torch.device,
    dtype: torch.dtype,
) -> float:
    wait_for(device)
    began = time.perf_counter()
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        logits = network(images)
    criterion(logits, targets).backward()  # type: ignore[no-untyped-call]
    network.zero_grad(set_to_none=True)
    wait_for(device)
    return time.perf_counter() - began
