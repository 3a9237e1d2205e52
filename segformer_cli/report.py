"""The JSON object that a command prints or leaves beside its results: one shape, as docs/cli.md describes it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from segformer_cli.errors import SegFormerError

SCHEMA = 1


def report(
    command: str,
    results: Mapping[str, object] | None,
    warnings: Sequence[str] = (),
    artifacts: Sequence[str] = (),
    error: SegFormerError | None = None,
) -> dict[str, object]:
    """The object of one command, of JSON's own types alone; `ok` says that the exit code is 0.

    >>> report("eval", {"miou": math.nan})["results"]
    {'miou': None}
    """
    document: dict[str, object] = {"schema": SCHEMA, "command": command, "ok": error is None}
    if error is not None:
        document["error"] = {
            "message": error.message,
            "where": error.where,
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    said = {"results": results, "warnings": list(warnings), "artifacts": [str(path) for path in artifacts]}
    return document | {key: _jsonable(value) for key, value in said.items()}


def as_text(document: Mapping[str, object]) -> str:
    """The object as people can read it, without a last line end."""
    return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)


def _jsonable(value: object) -> Any:
    """NaN and infinity, which JSON has not, as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _jsonable(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
