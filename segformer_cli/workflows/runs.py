"""A run's folder: what was asked, on what machine and data, what came of it. Every write is atomic but the logs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

import segformer_cli
from segformer_cli.atomic import replacing
from segformer_cli.config import TrainConfig
from segformer_cli.data.pairs import Split
from segformer_cli.errors import Interrupted, SegFormerError
from segformer_cli.model.checkpoint import Checkpoint, checkpoint_of, save_checkpoint
from segformer_cli.model.segformer import SegFormer
from segformer_cli.places import bytes_of
from segformer_cli.settings import to_yaml
from segformer_cli.workflows.run_list import (
    CHECKPOINTS,
    COMMAND,
    CONFIG,
    LOG,
    METRICS,
    PREVIEWS,
    REPORT,
    RUNS,
    STATE,
    is_finished,
)

__all__ = [
    "LOG",
    "METRICS",
    "REPORT",
    "Run",
    "command_line",
    "environment",
    "fingerprint",
    "is_finished",
    "weights_fingerprint",
]

DATA, ENVIRONMENT = "data.json", "environment.json"
CURVES, TRACKERS = "curves.png", "trackers.json"
TRACKED = ("tensorboard", "wandb")
"""Folders of trackers that keep their files in the run's own."""


@dataclass(frozen=True)
class Run:
    """The folder of one training; `fresh` if it was made for it."""

    folder: Path
    fresh: bool = False

    @classmethod
    def new(cls, config: TrainConfig) -> Run:
        """A folder that did not exist: `config.out`, or runs/train/<date>_<variant>_<data>_<n>.

        Raises:
            SegFormerError: `config.out` exists and holds something, and `force` is not set.
        """
        if config.out is None:
            return cls(_next_folder(config), fresh=True)
        folder = Path(config.out)
        if folder.exists() and not config.force and (not folder.is_dir() or any(folder.iterdir())):
            hint = "choose another -o, or add --force"
            if (folder / CONFIG).is_file() and not is_finished(folder):
                hint = f"it was stopped, and goes on with: segformer train --resume -o {shlex.quote(str(folder))}"
            raise SegFormerError(f"{folder} exists already", where=str(folder.absolute()), hint=hint)
        fresh = not folder.exists()
        try:
            (folder / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SegFormerError(f"cannot make the folder {folder}: {error.strerror}", where=str(folder)) from error
        return cls(folder, fresh)

    @contextmanager
    def removed_if_unused(self) -> Iterator[None]:
        """Around a training: where it fails before its first step is logged, a fresh folder goes again."""
        try:
            yield
        except Interrupted:         # what it did has been saved
            raise
        except Exception:
            if self.fresh and not any('"loss"' in line for line in self._lines(LOG)):
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def fork(self, *words: object) -> str:
        """The command for a new run with this one's settings, but for what some words say."""
        line = "segformer", "train", "-c", self.folder / CONFIG, "-o", f"{self.folder}-2", *words
        return shlex.join(map(str, line))

    def checkpoint(self, name: str) -> Path:
        """The path of checkpoints/<name>.safetensors."""
        return self.folder / CHECKPOINTS / f"{name}.safetensors"

    def save(self, name: str, model: SegFormer) -> None:
        """The network, written over checkpoints/<name>.safetensors in one move."""
        save_checkpoint(self.checkpoint(name), checkpoint_of(model), force=True)

    def save_state(self, state: Mapping[str, Any]) -> None:
        """What a later process needs to go on, written over checkpoints/state.pt in one move."""
        with replacing(self.state, force=True) as temporary:
            try:
                with temporary.open("wb") as file:
                    torch.save(dict(state), file)
            except RuntimeError as error:       # torch's archive was cut short; the system's reason lies beneath
                raise error.__context__ if isinstance(error.__context__, OSError) else OSError(str(error)) from error

    def load_state(self) -> dict[str, Any]:
        """What `save_state` wrote.

        Raises:
            SegFormerError: there is none, or it cannot be read.
        """
        hint = f"start anew from its weights: {self.fork('-w', self.folder)}"
        if not self.state.is_file():
            raise SegFormerError(
                f"{self.folder.name} has no state to go on from", where=str(self.state), hint="start it again"
            )
        try:
            found: dict[str, Any] = torch.load(self.state, map_location="cpu", weights_only=True)
            return found
        except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
            raise SegFormerError(f"cannot read {self.state.name}", where=str(self.state), hint=hint) from error

    @property
    def state(self) -> Path:
        """The path of checkpoints/state.pt."""
        return self.folder / CHECKPOINTS / STATE

    def decisions(self) -> dict[str, Any]:
        """What of `state.pt` was found out at run time; empty where there is no such file, or none that can be read."""
        try:
            state = torch.load(self.state, map_location="cpu", weights_only=True, mmap=True)
            return dict(state["trainer"]["decisions"])
        except (OSError, RuntimeError, EOFError, UnpicklingError, KeyError, ValueError):
            return {}

    def describe(
        self,
        config: TrainConfig,
        splits: Mapping[str, Split],
        start: str | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Writes config.yaml, command.txt, environment.json and data.json; what an earlier run left there goes.

        Args:
            start: the words for the weights it starts from, which are those of `checkpoint`; None: it is not known.
        """
        for old in (self.checkpoint("best"), self.checkpoint("last"), self.state):
            old.unlink(missing_ok=True)
        for name in (LOG, METRICS, REPORT, CURVES, TRACKERS):
            (self.folder / name).unlink(missing_ok=True)
        for name in (PREVIEWS, *TRACKED):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        data = {name: fingerprint(split) for name, split in splits.items()}
        if start is not None:
            data["weights"] = weights_fingerprint(start, checkpoint)
        self.write_text(CONFIG, to_yaml(config))
        self.write_text(COMMAND, command_line() + "\n")
        self.write_text(ENVIRONMENT, json.dumps(environment(), indent=1))
        self.write_text(DATA, json.dumps(data, indent=1))

    def write_text(self, name: str, text: str) -> None:
        """The text, written over <name> in one move."""
        with replacing(self.folder / name, force=True) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def log(self, record: Mapping[str, object]) -> None:
        """One line more in log.jsonl."""
        self._append(LOG, json.dumps(record) + "\n")

    def metrics(self, record: Mapping[str, object]) -> None:
        """One row more in metrics.csv."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(record), lineterminator="\n")
        if not (self.folder / METRICS).exists():
            writer.writeheader()
        writer.writerow(record)
        self._append(METRICS, text.getvalue())

    def cut_back(self, iteration: int) -> None:
        """Logs and previews without what came after a step; and no half-written file left."""
        for torn in self.folder.rglob(".*.part*"):
            torn.unlink(missing_ok=True)
        for at, preview in self.previews().items():
            if at > iteration:
                preview.unlink(missing_ok=True)
        kept = [row for row in self._lines(LOG) if _iteration_of(row, otherwise=iteration + 1) <= iteration]
        self.write_text(LOG, "".join(kept))
        header, *rows = self._lines(METRICS) or [""]
        kept = [row for row in rows if row.endswith("\n") and int(row.split(",", 1)[0]) <= iteration]
        if kept:
            self.write_text(METRICS, header + "".join(kept))
        else:
            (self.folder / METRICS).unlink(missing_ok=True)

    def previews(self) -> dict[int, Path]:
        """The pictures of validations by their iteration, the first one first."""
        found = {path.stem.removeprefix("iteration_"): path for path in self.folder.glob(f"{PREVIEWS}/iteration_*.png")}
        return dict(sorted((int(at), path) for at, path in found.items() if at.isdigit()))

    def _lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []

    def _append(self, name: str, text: str) -> None:
        path = self.folder / name
        try:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise SegFormerError(f"cannot write {name}: {error.strerror or error}", where=str(path)) from error


def _iteration_of(row: str, otherwise: int) -> int:
    """Of a row of the log; `otherwise` of one that is torn or damaged, as a loss of power leaves them."""
    try:
        return int(json.loads(row)["iteration"]) if row.endswith("\n") else otherwise
    except (ValueError, KeyError, TypeError):
        return otherwise


def command_line(otherwise: str = "config.yaml holds the settings") -> str:
    """The command that runs, or that there is none: it was called from Python; then `otherwise` says where to look."""
    called = Path(sys.argv[0])
    if called.stem == "segformer" or called.parts[-2:] == ("segformer_cli", "__main__.py"):
        return shlex.join(["segformer", *sys.argv[1:]])
    return f"# called from Python; {otherwise}"


def environment() -> dict[str, object]:
    """Versions and the machine, as far as they can change a result."""
    return {
        "segformer": segformer_cli.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def fingerprint(split: Split) -> dict[str, object]:
    """What identifies a split: its names and sizes hashed, its classes, its length."""
    digest = hashlib.sha256()
    for pair in split.pairs:
        sizes = [bytes_of(path) for path in (pair.image, pair.mask) if path is not None]
        digest.update(f"{pair.key} {sizes}\n".encode())
    return {
        "data": split.data,
        "images": len(split),
        "note": split.note,
        "classes": list(split.class_names),
        "ignore_index": split.ignore_index,
        "sha256_of_names_and_sizes": digest.hexdigest(),
    }


def weights_fingerprint(start: str, checkpoint: Checkpoint | None) -> dict[str, object]:
    """What identifies the weights that a run starts from: their name, and a hash of every tensor; none of random ones.

    The same tensors in another file or format have the same hash.
    """
    return {"start": start, "sha256_of_tensors": None if checkpoint is None else tensors_sha256(checkpoint.tensors)}


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """A hash of the names, types, shapes and bits of tensors, in whatever order they come."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {list(values.shape)}\n".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _next_folder(config: TrainConfig) -> Path:
    data = re.sub(r"[^\w-]+", "-", Path(config.data.split(":")[-1]).name or "data")
    top = RUNS
    for number in range(1, 100_000):
        folder = top / f"{date.today():%Y-%m-%d}_{config.variant}_{data}_{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        (folder / CHECKPOINTS).mkdir()
        return folder
    raise SegFormerError("there are too many runs of today", where=str(top))
