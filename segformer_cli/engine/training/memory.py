"""Less memory between the two passes of a step: what norms and activations give is made again where it is needed."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class _Again:
    """A tensor that was not kept, and the view of it that is wanted."""

    module: nn.Module
    source: Tensor
    autocast: torch.dtype | None
    size: torch.Size
    strides: tuple[int, ...]
    offset: int

    def made(self) -> Tensor:
        device, dtype = self.source.device.type, self.autocast
        with torch.no_grad(), torch.autocast(device, dtype or torch.bfloat16, enabled=dtype is not None):
            whole: Tensor = self.module.forward(self.source)
        return whole.as_strided(self.size, self.strides, self.offset)


class Recomputing(AbstractContextManager["Recomputing"]):
    """Around a forward pass: outputs of LayerNorms and GELUs are not kept for the backward pass.

    A layer's input is kept by its own backward anyway, and these layers cost little to run again. The result is
    the same to the last bit.
    """

    def __init__(self, model: nn.Module) -> None:
        self._made: dict[int, tuple[weakref.ref[Tensor], nn.Module, Tensor, torch.dtype | None]] = {}
        self._hooks: Any = None
        for module in model.modules():
            if isinstance(module, (nn.LayerNorm, nn.GELU)):
                module.register_forward_hook(self._note)

    def __enter__(self) -> Recomputing:
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._packed, _unpacked)
        self._hooks.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.__exit__(kind, error, trace)
        self._hooks = None
        self._made.clear()

    def _note(self, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        if self._hooks is not None and output.requires_grad:
            place, device = output.untyped_storage().data_ptr(), output.device.type
            # On a GPU autocast runs norms in float32, whatever they are given: made again, it must too.
            autocast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
            self._made[place] = weakref.ref(output, self._forget(place)), module, inputs[0].detach(), autocast

    def _forget(self, place: int) -> Callable[[object], None]:
        """Once a tensor is gone, another may lie in its place."""
        return lambda gone: self._made.pop(place, None) and None

    def _packed(self, tensor: Tensor) -> Tensor | _Again:
        found = self._made.get(tensor.untyped_storage().data_ptr())
        if found is None or found[0]() is None:
            return tensor
        return _Again(*found[1:], tensor.size(), tensor.stride(), int(tensor.storage_offset()))


def _unpacked(kept: Tensor | _Again) -> Tensor:
    return kept.made() if isinstance(kept, _Again) else kept
