"""Exported files as the engine runs them: in place of a network, in their own runtime, by the same preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segformer_cli.errors import ImageError, WeightsError
from segformer_cli.export.formats import Format, format_of
from segformer_cli.export.trust import refuse_unknown
from segformer_cli.export.verify import Verification, verification_to_json
from segformer_cli.model.header import ModelConfig, config_from_json, config_to_json
from segformer_cli.places import sha256_of
from segformer_cli.resize import ALIGN


@dataclass(frozen=True)
class ExportedFile:
    """What an exported file says of itself.

    `parameters` is 0 where it does not say; `size_hw` the one size that it takes, None for any; `full_pipeline`:
    pictures as they are go in, class ids come out.
    """

    format: Format
    config: ModelConfig
    version: str
    parameters: int
    precision: str
    size_hw: tuple[int, int] | None
    full_pipeline: bool
    verification: Mapping[str, Any] = field(default_factory=dict)


class ExportedModel(nn.Module):
    """A file in its own runtime: a callable from pictures (B, C, H, W), normalised, to logits; it has no encoder.

    A full pipeline takes pictures (B, C, H, W) as they are, 0..255, and gives "logits" at their own size, in uint8: 1
    for the class chosen, 0 for the others. `config` is what the file says its numbers mean, `said` all that it says of
    itself, `sha256` the hash of the file, or those of both its files.
    """

    def __init__(self, run: Callable[[Tensor], Tensor], said: ExportedFile, sha256: str) -> None:
        super().__init__()
        self.run, self.said, self.sha256 = run, said, sha256
        self.config = said.config

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, K, ceil(H / 4), ceil(W / 4)) on the CPU.

        Raises:
            ImageError: the file takes pictures of other sizes.
        """
        size, wanted = tuple(images.shape[-2:]), self.said.size_hw
        if wanted and size != wanted:
            raise ImageError(
                f"the file takes pictures of {_by(wanted)} alone, this one comes to {_by(size)}",
                hint="export it without --size, or scale or cut the pictures themselves to that size",
            )
        if wanted and len(images) != 1:
            raise ImageError(f"a file of one size takes one picture a call, not {len(images)}")
        if not self.said.format.any_side and any(side % ALIGN for side in size):
            raise ImageError(
                f"a file of {self.said.format.name} takes sides that are multiples of {ALIGN}, not {_by(size)}",
                hint="name a --size or --protocol that rounds them up, or export to another format",
            )
        if not self.said.full_pipeline:
            return self.run(images)
        ids = self.run(images.permute(0, 2, 3, 1).to(torch.uint8).contiguous()).long()          # (B, H, W)
        chosen = torch.zeros(len(ids), max(self.config.num_classes, 2), *size, dtype=torch.uint8)
        return chosen.scatter_(1, ids[:, None], 1)

    def fused(self) -> ExportedModel:
        """Itself: what could be folded was folded when it was exported."""
        return self


def is_exported(path: Path) -> bool:
    """Whether the file is of a format that `export` writes, by its content."""
    return format_of(path) is not None


def read_exported(path: Path) -> ExportedFile:
    """What is written in an exported file; nothing of it is run.

    Raises:
        WeightsError: it is none that segformer wrote: nothing says what its numbers mean.
        EnvironmentLacksError: the package that reads it is not installed.
    """
    kind = format_of(path)
    if kind is None:
        raise WeightsError(f"{path.name} is no exported file", where=str(path))
    said = kind.runtime.read_metadata(path)
    if "config" not in said:
        raise WeightsError(f"{path.name} does not say what its numbers mean", where=str(path))
    size = said.get("size_hw")
    return ExportedFile(
        kind,
        config_from_json(said["config"], str(path)),
        str(said.get("version")),
        int(said.get("parameters", 0)),
        str(said.get("precision", "fp32")),
        (int(size[0]), int(size[1])) if size else None,
        bool(said.get("full_pipeline")),
        said.get("verification", {}),
    )


def metadata_of(said: ExportedFile, found: Verification | None) -> dict[str, object]:
    """What `read_exported` reads, as values JSON can hold, and what a user of the file must know besides."""
    sides = "any from 29 up" if said.format.any_side else f"multiples of {ALIGN}"
    if said.size_hw:
        sides = _by(said.size_hw)
    takes = "(B, C, H, W) float32, (pixel - mean) / std in the order of the bands"
    gives = "logits (B, K, ceil(H / 4), ceil(W / 4)) float32"
    if said.full_pipeline:
        takes, gives = "(B, H, W, C) uint8 in the order of the bands", "class ids (B, H, W)"
    return {
        "version": said.version,
        "format": said.format.name,
        "edition": said.format.edition,
        "config": config_to_json(said.config),
        "parameters": said.parameters,
        "precision": said.precision,
        "size_hw": said.size_hw,
        "full_pipeline": said.full_pipeline,
        "input": f"pictures {takes}; sides: {sides}",
        "output": gives,
        "licence": said.config.licence or "no third-party weights",
        "verification": verification_to_json(found),
    }


def load_exported(path: Path, *, trust: bool = False) -> ExportedModel:
    """The file in its own runtime.

    Args:
        trust: run a file that can hold any code, though segformer did not write it on this machine.

    Raises:
        WeightsError: it is none that segformer wrote, or it is not to be trusted.
        EnvironmentLacksError: its runtime is not installed.
    """
    said = read_exported(path)
    sha256 = trusted_hash(path, said, trust=trust)
    return ExportedModel(said.format.runtime.load(path), said, sha256)


def trusted_hash(path: Path, said: ExportedFile, *, trust: bool = False) -> str:
    """The hash of an exported file, or those of both its files, where it may be run.

    Args:
        trust: run a file that can hold any code, though segformer did not write it on this machine.

    Raises:
        WeightsError: it failed its verification, or it is not to be trusted.
    """
    sha256 = "".join(sha256_of(each) for each in said.format.files(path) if each.is_file())
    if said.verification.get("verdict") == "fail" and not trust:
        raise WeightsError(
            f"{path.name} failed its verification: it does not compute what its network computes",
            where=str(path),
            hint="export again; --trust runs it all the same",
        )
    if said.format.runs_code and not trust:
        refuse_unknown(path, sha256)
    return sha256


def _by(size_hw: tuple[int, ...]) -> str:
    return "x".join(map(str, size_hw))
