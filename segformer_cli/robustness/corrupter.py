"""One way of corrupting a whole set: the seed, the stream of chance, the order of channels, the textures of frost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from segformer_cli.images import Picture
from segformer_cli.robustness.corruptions import corrupt, generator_for, random_state_for
from segformer_cli.robustness.frost import Textures
from segformer_cli.robustness.protocols import Cell
from segformer_cli.robustness.source import Source


@dataclass(frozen=True, kw_only=True)
class Corrupter:
    """What makes the corrupted pictures of a set reproducible; chance depends on seed, picture and cell alone.

    `mode` reference draws as the reference package does. `frost` None are procedural textures.
    """

    seed: int = 0
    mode: Literal["fast", "reference"] = "fast"
    channel_order: Literal["rgb", "bgr"] = "rgb"
    frost: Textures | None = None

    def __call__(self, source: Source, key: str, cell: Cell) -> Picture:
        """The picture called `key` in one cell."""
        make = generator_for if self.mode == "fast" else random_state_for
        rng = make(self.seed, key, cell.corruption, cell.severity)
        return corrupt(
            source,
            cell.corruption,
            cell.severity,
            rng,
            mode=self.mode,
            channel_order=self.channel_order,
            frost=self.frost,
        )
