"""Exporting: weights in; a file for another runtime out, run there and compared before it gets its name."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import segformer_cli
from segformer_cli.atomic import move_together, refuse_existing, refuse_unwritable
from segformer_cli.config import ExportConfig
from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.engine.exported import ExportedFile, metadata_of
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import check_weights, load_model
from segformer_cli.errors import UsageError, WeightsError, did_you_mean
from segformer_cli.export import tensorrt
from segformer_cli.export.exportable import HW, Exportable, logits_of, masks_of
from segformer_cli.export.extras import needed
from segformer_cli.export.formats import FORMATS, Format
from segformer_cli.export.pipeline import FullPipeline
from segformer_cli.export.trust import put_on_record, record_path
from segformer_cli.export.verify import Verification, verification_to_json
from segformer_cli.model import multiply_adds
from segformer_cli.model.graph_forms import with_convolutional_head
from segformer_cli.model.header import ModelConfig
from segformer_cli.model.segformer import MIN_SIDE, SegFormer
from segformer_cli.places import sha256_of
from segformer_cli.progress import Progress, ProgressListener, listening
from segformer_cli.resize import ALIGN, NATIVE, exact_size
from segformer_cli.settings import checked
from segformer_cli.workflows.export_check import Candidate, Intake, Pictures, check_export, open_export_pictures

FAILED = ".failed"
"""What the name of a file ends in that does not compute what the network computes."""

COUNTED_HW = 512, 512
"""The size that multiply-adds are told for, where the file takes any."""


@dataclass(frozen=True)
class Cost:
    """Multiply-adds of the network for a picture of a size: as it is exported, and as the paper draws it."""

    size_hw: HW
    exported: int
    textbook: int


@dataclass(frozen=True)
class Export:
    """What was written, and what came of comparing it; `verification` is None where that was not wanted."""

    format: str
    path: str
    precision: str
    size_bytes: int
    export_s: float
    multiply_adds: Cost
    verification: Verification | None
    warnings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    """All that was written: `path` and what lies beside it."""
    next: str | None = None
    """A command line of the format's own tools."""

    @property
    def bisectable(self) -> bool:
        """Whether `--bisect` can look into such a file."""
        return FORMATS[self.format].runtime.features is not None

    @property
    def opens(self) -> bool:
        """Whether our own commands run it."""
        passed = self.verification is None or self.verification.verdict == "pass"
        return passed and FORMATS[self.format].opens

    def to_json(self) -> dict[str, Any]:
        """The `results` object of docs/cli.md."""
        return {
            "format": self.format,
            "edition": FORMATS[self.format].edition,
            "path": self.path,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "export_s": self.export_s,
            "multiply_adds": dataclasses.asdict(self.multiply_adds),
            "verification": verification_to_json(self.verification),
            "next": self.next,
        }


@dataclass(frozen=True)
class _Wanted:
    """What is asked for, judged."""

    config: ExportConfig
    format: Format
    path: Path
    size_hw: HW | None


def export_model(config: ExportConfig, progress: bool | ProgressListener = False) -> Export:
    """The weights as a file for another runtime, loaded there and compared with the network on real pictures.

    A file that is off by more than the tolerance gets the ending `.failed` after its name.

    Args:
        progress: a listener, or True for a bar.

    Raises:
        UsageError: there is no such format, no weights are named, the file's ending is that of another format, or the
            format cannot hold what is asked for.
        WeightsError: the weights cannot be loaded.
        DataError: there are no pictures to compare on.
        EnvironmentLacksError: a package of the format is not installed.
        SegFormerError: the file exists, or cannot be written.
    """
    with listening(progress) as listener:
        wanted = _judged(config)
        config = wanted.config
        assert config.weights
        model = load_model(config.weights, offline=config.offline, progress=listener)
        if not isinstance(model, SegFormer):
            raise WeightsError(f"{config.weights} is an exported file already", hint="name the weights it came from")
        pictures = None
        if config.verify or config.precision == "int8":
            pictures = open_export_pictures(config, model)
        return _Writing(wanted, model, pictures, listener).export()


def plan(config: ExportConfig) -> str:
    """What `export` would do, in one sentence.

    Raises:
        SegFormerError: as `export_model`, for what can be known beforehand.
    """
    wanted = _judged(config)
    config = wanted.config
    assert config.weights
    check_weights(config.weights, offline=config.offline)
    if config.verify:
        open_pictures(config.data or "sample", config.split, ())
    check = ", and compare the two" if config.verify else ", unverified"
    size = f" for pictures of {wanted.size_hw[0]}x{wanted.size_hw[1]}" if wanted.size_hw else ""
    return f"would write {config.weights} as {config.precision} {wanted.format.name}{size} to {wanted.path}{check}"


def _judged(config: ExportConfig) -> _Wanted:
    """What is asked for; what has no meaning is refused, and what is missing is told."""
    config = checked(config)
    if not config.weights:
        raise UsageError("no weights are named", hint="add -w WEIGHTS")
    kind = _format(config)
    _refuse_beyond(config, kind)
    path = Path(config.out or ".")
    if path.is_dir() or (config.out or "").endswith(("/", os.sep)):
        path = path / f"{Path(config.weights).stem}{kind.suffix}"
    if path.suffix.lower() != kind.suffix:
        hint = f"-o {path.with_suffix(kind.suffix)}"
        raise UsageError(f"-o {path}: a file of {kind.name} ends in {kind.suffix}", hint=hint)
    for package in kind.packages:
        needed(package, kind.extra)
    kind.refuse_without(config.precision)
    size_hw = _size(config.size, kind) if config.size else None
    refuse_unwritable(kind.files(path), force=config.force)
    return _Wanted(dataclasses.replace(config, format=kind.name), kind, path, size_hw)


def _format(config: ExportConfig) -> Format:
    """The format that is named, or that the ending of the file asks for."""
    if config.format is None:
        ending = Path(config.out or "").suffix.lower()
        found = next((each for each in FORMATS.values() if each.suffix == ending), None)
        if found is None:
            what = f"-o {config.out}: no format has that ending" if ending else "no format is named"
            raise UsageError(what, hint="; ".join(f"-f {each.name} ({each.suffix})" for each in FORMATS.values()))
        return found
    if config.format not in FORMATS:
        hint = did_you_mean(config.format.lower(), FORMATS) or f"-f {' or -f '.join(FORMATS)}"
        if config.format in ("hf", "official"):
            hint = f"that is a format of weights: segformer weights convert {config.weights} --to {config.format}"
        raise UsageError(f"there is no export format {config.format!r}", hint=hint)
    return FORMATS[config.format]


def _refuse_beyond(config: ExportConfig, kind: Format) -> None:
    """Nothing where the format can hold what is asked for."""
    if config.precision not in kind.precisions:
        able = [each.name for each in FORMATS.values() if config.precision in each.precisions]
        raise UsageError(
            f"{kind.name} cannot be written in {config.precision}",
            hint=f"{kind.name} takes {', '.join(kind.precisions)}; {config.precision} goes with {', '.join(able)}",
        )
    if kind.one_size and not config.size:
        raise UsageError(f"a file of {kind.name} takes pictures of one size", hint="name it: --size 512x512")
    if config.full_pipeline and not kind.full:
        able = [each.name for each in FORMATS.values() if each.full]
        raise UsageError(f"{kind.name} cannot hold the whole pipeline", hint=f"-f {' or -f '.join(able)}")
    if config.precision == "int8" and config.data is None and config.weights != "sample":
        raise UsageError("int8 takes its ranges from pictures like those to come", hint="name them: -d DATA")
    if config.bisect and not config.verify:
        raise UsageError("--bisect looks for what verification finds", hint="leave out --no-verify")
    if config.bisect and kind.runtime.features is None:
        raise UsageError(f"{kind.name} does not show its inner maps", hint="bisect another format: -f pt2 --bisect")


def _size(text: str, kind: Format) -> HW:
    """The (height, width) that a text names; one number is a square."""
    height, width = exact_size(text, MIN_SIDE)
    if not kind.any_side and (height % ALIGN or width % ALIGN):
        near = "x".join(map(str, NATIVE.aligned((height, width))))
        raise UsageError(f"--size {text}: sides of a {kind.name} file are multiples of {ALIGN}", hint=f"--size {near}")
    return height, width


class _Writing:
    """One export: from the network in memory to the file under its name."""

    def __init__(
        self, wanted: _Wanted, model: SegFormer, pictures: Pictures | None, progress: ProgressListener
    ) -> None:
        self.wanted, self.model, self.pictures, self.progress = wanted, model, pictures, progress
        config: ModelConfig = model.config
        self.said = ExportedFile(
            wanted.format,
            config,
            segformer_cli.__version__,
            sum(each.numel() for each in model.parameters()),
            wanted.config.precision,
            wanted.size_hw,
            wanted.config.full_pipeline,
        )

    def export(self) -> Export:
        """Written and checked beside its place, then moved there."""
        kind, config, path = self.wanted.format, self.wanted.config, self.wanted.path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.progress(Progress("export", 0, message=f"writing {path}"))
        found, began = None, time.perf_counter()
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.", suffix=".part") as folder:
            draft = Path(folder) / path.name
            what = self._exportable(self.said)
            kind.runtime.write(what, draft)
            export_s = time.perf_counter() - began
            if config.verify:
                found = self._checked(draft)
            kind.runtime.add_metadata(draft, metadata_of(self.said, found))
            passed = found is None or found.verdict == "pass"
            path = self._moved(draft, path if passed else path.with_name(path.name + FAILED))
        recorded = not (kind.runs_code and passed) or put_on_record(path.name, sha256_of(path))
        return Export(
            kind.name,
            str(path),
            config.precision,
            sum(each.stat().st_size for each in self._files(path)),
            export_s,
            self._cost(),
            found,
            self._warnings(found, recorded),
            tuple(map(str, self._files(path))),
            self._next(what, path) if passed else None,
        )

    def _checked(self, draft: Path) -> Verification:
        """What comes of comparing the file; of a full pipeline, the network inside by itself as well.

        Class ids would not tell a GELU by its tanh formula from the exact one: logits do.
        """
        assert self.pictures is not None
        config = self.wanted.config
        found = check_export(Candidate(draft, self.said), config, self.model, self.pictures, self.progress)
        if not self.said.full_pipeline or found.unlike is not None:
            return found
        size = self.said.size_hw and self.said.config.size.aligned(self.said.size_hw)
        inside = dataclasses.replace(self.said, full_pipeline=False, size_hw=size)
        bare = draft.with_name(f"inside{draft.suffix}")
        inside.format.runtime.write(self._exportable(inside), bare)
        alone = check_export(Candidate(bare, inside), config, self.model, self.pictures, self.progress, scored=False)
        return dataclasses.replace(
            found,
            max_abs_error=alone.max_abs_error,
            mean_abs_error=alone.mean_abs_error,
            tolerance=alone.tolerance,
            diverges_at=alone.diverges_at,
            unlike=alone.unlike,
        )

    def _exportable(self, said: ExportedFile) -> Exportable:
        meaning = said.config
        segmenter = Segmenter.of(self.model, torch.device("cpu"))
        network = segmenter.model
        assert isinstance(network, SegFormer)
        when = said.format.convolutional_head
        if when == "always" or (when == "one size" and said.size_hw):
            network = with_convolutional_head(network)
        what = logits_of(network, meaning.in_channels, said.size_hw, said.precision)
        if said.full_pipeline:
            pipeline = FullPipeline(
                what.module, mean=meaning.mean, std=meaning.std, size=meaning.size, num_classes=meaning.num_classes
            )
            what = masks_of(pipeline, meaning.in_channels, said.size_hw, said.precision)
        if said.precision != "int8":
            return what
        assert self.pictures is not None
        intake = Intake(meaning.in_channels, said.full_pipeline, said.format.any_side, said.size_hw)
        ranges = [intake.real(segmenter, self.pictures.ranges.read_image(pair)) for pair in self.pictures.ranges.pairs]
        return dataclasses.replace(what, calibration=ranges)

    def _next(self, what: Exportable, path: Path) -> str | None:
        """The line that makes a TensorRT engine of an ONNX file; of 8-bit ones it takes other kinds than ours."""
        if self.said.format.name != "onnx" or self.said.precision == "int8":
            return None
        return shlex.join(tensorrt.build_line(path, path.with_suffix(".engine"), what))

    def _files(self, path: Path) -> tuple[Path, ...]:
        """What was written, once it has its name or that of a failure."""
        if path.name.endswith(FAILED):
            good = path.with_name(path.name.removesuffix(FAILED))
            return tuple(each.with_name(each.name + FAILED) for each in self.wanted.format.files(good))
        return self.wanted.format.files(path)

    def _moved(self, draft: Path, path: Path) -> Path:
        """The file and its companion at their places, the one that names them last."""
        pairs = list(zip(self.wanted.format.files(draft), self._files(path), strict=True))
        for _, place in pairs:
            refuse_existing(place, force=self.wanted.config.force or place.name.endswith(FAILED))
        move_together(pairs)
        return path

    def _cost(self) -> Cost:
        size, meaning = self.said.size_hw or COUNTED_HW, self.said.config
        if self.said.full_pipeline:
            size = meaning.size.aligned(size)
        return Cost(size, multiply_adds.folded(meaning, size).total, multiply_adds.textbook(meaning, size).total)

    def _warnings(self, found: Verification | None, recorded: bool) -> tuple[str, ...]:
        licence = self.said.config.licence
        notes = [f"contains weights of others: {licence}"] if licence else []
        if self.said.size_hw and not self.said.full_pipeline and any(side % ALIGN for side in self.said.size_hw):
            notes.append(
                f"segformer's own commands bring pictures to multiples of {ALIGN}, which this file does not take"
            )
        if found is not None and found.no_miou and found.max_drop is not None:
            notes.append(f"what {self.said.precision} costs in mIoU is not known: {found.no_miou}")
        if not recorded:
            notes.append(f"{record_path()} cannot be written: these commands will open the file with --trust alone")
        if self.said.precision == "int8" and self.pictures is not None and self.pictures.same:
            notes.append("there is no training split: int8 takes its ranges from the pictures it is compared on")
        return tuple(notes)
