"""Which files may run the code in them: those that this user's segformer wrote, told by their hashes.

Archives of torch can hold any program, and opening one runs it. What `export` writes is put on record; other files
open by `--trust` alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from segformer_cli.errors import WeightsError


def record_path() -> Path:
    """`$XDG_STATE_HOME/segformer/exported.txt`, below `~/.local/state` where that is not set."""
    home = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA") or "~/.local/state"
    return Path(home).expanduser() / "segformer" / "exported.txt"


def put_on_record(name: str, sha256: str) -> bool:
    """A file's hash among those we wrote; False where the record cannot be written: the file then needs `--trust`."""
    try:
        record = record_path()
        record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with record.open("a", encoding="utf-8") as file:
            file.write(f"{sha256}  {name}\n")
    except (OSError, RuntimeError):             # the latter where this user has no home
        return False
    return True


def refuse_unknown(path: Path, sha256: str) -> None:
    """Nothing where we wrote the file.

    Raises:
        WeightsError: we did not, on this machine.
    """
    try:
        known = {line.partition(" ")[0] for line in record_path().read_text(encoding="utf-8").splitlines()}
    except (OSError, RuntimeError, ValueError):
        known = set()
    if sha256 not in known:
        raise WeightsError(
            f"{path.name} can run any code, and is not on record as written by segformer here",
            where=str(path),
            hint="if you trust who made it, add --trust; from Python, trust=True",
        )
