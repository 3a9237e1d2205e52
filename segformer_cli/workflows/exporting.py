"""Exporting: weights in; a file for another runtime out, run there and compared before it gets its name."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import segformer_cli
from segformer_cli.atomic import refuse_existing, refuse_unwritable, replacing
from segformer_cli.config import ExportConfig
from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.data.pairs import Split
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import UsageError, WeightsError, did_you_mean
from segformer_cli.export.extras import needed
from segformer_cli.export.formats import FORMATS, Format
from segformer_cli.export.verify import Network, Verification, random_pictures, verify
from segformer_cli.images import read_image
from segformer_cli.model.header import ModelConfig, config_to_json
from segformer_cli.model.segformer import SegFormer
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.settings import checked

FAILED = ".failed"
"""What the name of a file ends in that is not verified yet, or has failed."""

REAL_PICTURES = 2
"""That the file is compared on, beside random ones."""


@dataclass(frozen=True)
class Export:
    """What was written, and what came of comparing it; `verification` is None where that was not wanted."""

    format: str
    path: str
    size_bytes: int
    verification: Verification | None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md."""
        return {
            "format": self.format,
            "path": self.path,
            "size_bytes": self.size_bytes,
            "verification": _as_json(self.verification),
        }


def export_model(config: ExportConfig, progress: bool | ProgressListener = False) -> Export:
    """The weights as a file for another runtime, loaded there and compared with the network on real pictures.

    A file that is off by more than the tolerance keeps the ending `.failed`.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        UsageError: there is no such format, no weights are named, or the file's ending is that of another format.
        WeightsError: the weights cannot be loaded.
        DataError: there are no pictures to compare on.
        SegFormerError: the file exists, or cannot be written.
    """
    with listening(progress) as listener:
        config, path = _checked(config)
        assert config.weights
        model = load_model(config.weights, offline=config.offline, progress=listener)
        if not isinstance(model, SegFormer):
            raise WeightsError(f"{config.weights} is an exported file already", hint="name the weights it came from")
        split = None
        if config.verify:
            split = open_pictures(config.data, config.split, model.config.class_names).first(REAL_PICTURES)
        listener(Progress("export", 0, message=f"writing {path}"))
        return _written(config, path, model, split)


def plan(config: ExportConfig) -> str:
    """What `export` would do, in one sentence.

    Raises:
        SegFormerError: as `export_model`, for what can be known beforehand.
    """
    config, path = _checked(config)
    check = ", and compare the two" if config.verify else ", unverified"
    return f"would write {config.weights} as {config.format} to {path}{check}"


def _checked(config: ExportConfig) -> tuple[ExportConfig, Path]:
    """The config, and the file that it asks for; what has no meaning is refused."""
    config = checked(config)
    if not config.weights:
        raise UsageError("no weights are named", hint="add -w WEIGHTS")
    kind = _format(config)
    path = Path(config.out or ".")
    if path.is_dir() or (config.out or "").endswith(("/", os.sep)):
        path = path / f"{Path(config.weights).stem}{kind.suffix}"
    if path.suffix.lower() != kind.suffix:
        hint = f"-o {path.with_suffix(kind.suffix)}"
        raise UsageError(f"-o {path}: a file of {kind.name} ends in {kind.suffix}", hint=hint)
    for package in kind.packages if config.verify else kind.packages[:-1]:
        needed(package)
    refuse_unwritable([path], force=config.force)
    return replace(config, format=kind.name), path


def _format(config: ExportConfig) -> Format:
    """The format that is named, or that the ending of the file asks for."""
    if config.format is None:
        ending = Path(config.out or "").suffix.lower()
        found = next((each for each in FORMATS.values() if each.suffix == ending), None)
        if found is None:
            raise UsageError("no format is named", hint=f"add -f {' or -f '.join(FORMATS)}")
        return found
    if config.format not in FORMATS:
        hint = did_you_mean(config.format, FORMATS)
        if config.format in ("hf", "official"):
            hint = f"that is a format of weights: segformer weights convert {config.weights} --to {config.format}"
        raise UsageError(f"there is no export format {config.format!r}", hint=hint)
    return FORMATS[config.format]


def _written(config: ExportConfig, path: Path, model: SegFormer, split: Split | None) -> Export:
    assert config.format
    kind, found = FORMATS[config.format], None
    segmenter = Segmenter.of(model, torch.device("cpu"))
    # It bears this name until it has passed.
    unproven = path.with_name(path.name + FAILED)
    with replacing(unproven, force=True) as temporary:
        kind.write(segmenter.model, segmenter.config.in_channels, temporary)
        if split is not None:
            found = _verified(model, segmenter, kind.load(temporary), split)
        kind.add_metadata(temporary, _metadata(model, found))
    if found is None or found.verdict == "pass":
        refuse_existing(path, force=config.force)
        os.replace(unproven, path)
    else:
        path = unproven
    licence = segmenter.config.licence
    notes = (f"contains weights of others: {licence}",) if licence else ()
    return Export(kind.name, str(path), path.stat().st_size, found, notes)


def _verified(model: SegFormer, segmenter: Segmenter, exported: Network, split: Split) -> Verification:
    """The file in its own runtime beside the network as it was loaded, head unfolded."""

    def reference(images: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(images)
        return logits

    real = {pair.key: segmenter.prepare(read_image(pair.image))[0] for pair in split.pairs}
    return verify(reference, exported, {**random_pictures(segmenter.config.in_channels), **real})


def _metadata(model: SegFormer, found: Verification | None) -> dict[str, object]:
    """What a user of the file must know: what goes in, what comes out, whose it is, how far it can be trusted."""
    config: ModelConfig = model.config
    return {
        "version": segformer_cli.__version__,
        "config": config_to_json(config),
        "parameters": sum(each.numel() for each in model.parameters()),
        "input": "pictures (B, C, H, W) float32, (pixel - mean) / std in the order of the bands, sides of 32 or more",
        "output": "logits (B, K, ceil(H / 4), ceil(W / 4)) float32",
        "licence": config.licence or "no third-party weights",
        "verification": _as_json(found),
    }


def _as_json(found: Verification | None) -> dict[str, object]:
    return {"ran": False} if found is None else {**asdict(found), "verdict": found.verdict}
