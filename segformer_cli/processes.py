"""Which of several processes this is, as torchrun or SLURM tell it by variables."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from contextlib import suppress

LAUNCHED = "SEGFORMER_LAUNCHED"
"""The folder in which processes that `segformer ... --devices N` started leave their last word to it."""

_LAST_WORD = "error"


def are_several() -> bool:
    """Whether this process is one of several that share a job."""
    return os.environ.get("WORLD_SIZE", "1") != "1"


def follows() -> bool:
    """Whether this process was started beside one that speaks for all."""
    return are_several() and os.environ.get("RANK", "0") != "0"


def leave_last_word(text: str, exit_code: int) -> bool:
    """Whether the process that started this one tells how it ends; of several processes the first is heard."""
    folder = os.environ.get(LAUNCHED)
    if folder is None:
        return False
    with suppress(OSError), open(os.path.join(folder, _LAST_WORD), "x", encoding="utf-8") as file:
        file.write(f"{exit_code}\n{text}")
    return True


def last_word(folder: str) -> tuple[str, int] | None:
    """What the first process that ended by an error said, and its exit code."""
    try:
        with open(os.path.join(folder, _LAST_WORD), encoding="utf-8") as file:
            code, _, text = file.read().partition("\n")
    except FileNotFoundError:
        return None
    return text, int(code)


def adopt_slurm(environ: MutableMapping[str, str]) -> None:
    """The variables of torchrun, from those that `srun` gives each of its processes.

    They are set by `srun` alone: in a batch script itself there is one process, however many were allotted.

    >>> variables = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "7",
    ...              "SLURM_STEP_NODELIST": "node[03-04,09]"}
    >>> adopt_slurm(variables)
    >>> [variables[name] for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")]
    ['4', '3', '1', 'node03', '20007']
    """
    if "WORLD_SIZE" in environ or int(environ.get("SLURM_STEP_NUM_TASKS", "1")) < 2:
        return
    environ["WORLD_SIZE"] = environ["SLURM_STEP_NUM_TASKS"]
    environ["RANK"] = environ["SLURM_PROCID"]
    environ["LOCAL_RANK"] = environ.get("SLURM_LOCALID", "0")
    environ.setdefault("MASTER_ADDR", _first_host(environ.get("SLURM_STEP_NODELIST", "127.0.0.1")))
    # The same for all processes of a job, and most likely not for two jobs on a machine.
    environ.setdefault("MASTER_PORT", str(20_000 + int(environ.get("SLURM_JOB_ID", "0")) % 20_000))


def _first_host(hosts: str) -> str:
    """The first of a list such as `node[03-04,09],gpu1`."""
    found = re.match(r"([^\[,]+)(?:\[(\w+)[^\]]*\])?", hosts)
    assert found is not None
    return found[1] + (found[2] or "")
