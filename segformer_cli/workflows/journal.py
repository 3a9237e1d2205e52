"""Which pictures of a job are done: a line each in its folder, so that one that was stopped goes on where it was."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segformer_cli.atomic import replacing
from segformer_cli.config import PredictConfig
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.model.header import config_to_json
from segformer_cli.model.segformer import SegFormer
from segformer_cli.workflows.runs import tensors_sha256

NAME = ".predict{}.jsonl"
"""Hidden, since the folder's files are for programs that take every one for a mask; with its shard."""

FREE = ("inputs", "weights", "out", "device", "resume", "force", "offline", "trust", "shard")
"""Options that a job may go on with otherwise: the weights are told by what they hold."""


@dataclass(frozen=True)
class Record:
    """A picture that is done, and the sizes of its files in bytes."""

    input: str
    outputs: Mapping[str, int]

    @classmethod
    def of(cls, picture: str, outputs: Sequence[str]) -> Record:
        """With the sizes that the files have now."""
        return cls(picture, {each: Path(each).stat().st_size for each in outputs})


class Journal:
    """The records of a job's folder; those of every shard are read, and this one's written.

    Its first line says what the files were made with.
    """

    def __init__(
        self, file: Path, made_with: Mapping[str, Any], records: Mapping[str, Mapping[str, int]], *, begun: bool
    ) -> None:
        self.file, self.made_with, self._records, self._begun = file, made_with, dict(records), begun

    @classmethod
    def of(cls, folder: Path, config: PredictConfig, model: SegFormer | ExportedModel) -> Journal:
        """The journal of a folder, begun anew unless the job goes on.

        Raises:
            UsageError: the job goes on, and what lies there was made with other weights or options.
            SegFormerError: the journal is damaged or cannot be written.
        """
        made_with = _made_with(config, model)
        file = folder / NAME.format(f"_{config.shard.replace('/', 'of')}" if config.shard else "")
        records: dict[str, Mapping[str, int]] = {}
        for other in sorted(folder.glob(NAME.format("*"))) if config.resume else ():
            earlier, found = _read(other)
            _refuse_other(earlier, made_with, other)
            records |= found
        begun = config.resume and file.exists()
        if begun:
            _cut_to_whole_lines(file)
        return cls(file, made_with, records, begun=begun)

    def has(self, picture: str, outputs: Sequence[str]) -> bool:
        """Whether a picture is done: its files, those that are wanted now, have the sizes they were written with."""
        sizes = self._records.get(picture, {})
        return all(each in sizes and _size(each) == sizes[each] for each in outputs)

    def add(self, record: Record) -> None:
        """One more picture is done."""
        line = json.dumps({"input": record.input, "outputs": dict(record.outputs)}) + "\n"
        if not self._begun:
            with replacing(self.file, force=True) as temporary:
                temporary.write_text(json.dumps(self.made_with) + "\n", encoding="utf-8")
            self._begun = True
        try:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise SegFormerError(f"cannot write {self.file.name}: {error.strerror}", where=str(self.file)) from error


def _made_with(config: PredictConfig, model: SegFormer | ExportedModel) -> dict[str, Any]:
    options = {name: value for name, value in dataclasses.asdict(config).items() if name not in FREE}
    weights = model.sha256 if isinstance(model, ExportedModel) else tensors_sha256(model.state_dict())
    return json.loads(json.dumps({"weights": weights, "meaning": config_to_json(model.config), **options}))  # type: ignore[no-any-return]


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Mapping[str, int]]]:
    """What a journal says; a last line that was cut off is passed over."""
    try:
        first, *lines = file.read_text(encoding="utf-8").splitlines()
        made_with = json.loads(first)
        records = {}
        for number, line in enumerate(lines):
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                if number == len(lines) - 1:
                    break
                raise
            records[record["input"]] = record["outputs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SegFormerError(
            f"{file.name} is damaged: {error}", where=str(file), hint="remove it, and start again with --force"
        ) from error
    return made_with, records


def _cut_to_whole_lines(file: Path) -> None:
    """What was being written when the job was killed would spoil the next line."""
    data = file.read_bytes()
    if not data.endswith(b"\n"):
        with replacing(file, force=True) as temporary:
            temporary.write_bytes(data[: data.rfind(b"\n") + 1])


def _refuse_other(earlier: Mapping[str, Any], now: Mapping[str, Any], file: Path) -> None:
    for name in now.keys() | earlier.keys():
        if earlier.get(name) != now.get(name):
            raise UsageError(
                f"{name} is {now.get(name)}, what lies there was made with {earlier.get(name)}",
                where=str(file),
                hint="give the options of the first call, or another -o; --force makes everything anew",
            )


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
