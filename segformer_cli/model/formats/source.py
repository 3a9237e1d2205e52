"""What a format module reads from: the tensors of a file and whatever lay beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

OUR_ENTRY = "segformer_cli"
"""The key under which we write, into files of other programs, what their format has no place for."""


@dataclass(frozen=True)
class Source:
    """Tensors of a file or folder under its own names, and what lay beside them.

    Args:
        meta: of a training file, such as mmcv's `meta` or mmengine's.
        config, processor: of a Hugging Face or smp folder: config.json and preprocessor_config.json.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    meta: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    processor: Mapping[str, Any] | None = None

    @property
    def where(self) -> str:
        """For errors."""
        return str(self.path)

    def ours(self) -> Mapping[str, Any]:
        """What we wrote there ourselves; empty in a file of another program."""
        for place in (self.meta, self.config or {}):
            entry = place.get(OUR_ENTRY)
            if isinstance(entry, Mapping):
                return entry
        return {}

    def prefix_before(self, anchor: str) -> str | None:
        """What precedes `anchor` in the one name that ends with it, such as `module.`; None where none does."""
        for name in self.tensors:
            if name.endswith(anchor) and (len(name) == len(anchor) or name[-len(anchor) - 1] == "."):
                return name[: -len(anchor)]
        return None
