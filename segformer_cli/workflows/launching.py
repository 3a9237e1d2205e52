"""One command in several processes, a device each: started by torchrun's own launcher, watched, and told as one."""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from segformer_cli.errors import EnvironmentLacksError, Interrupted, SegFormerError, UsageError
from segformer_cli.processes import LAUNCHED, last_word
from segformer_cli.threads import cores
from segformer_cli.workflows.step_cost import machines

PATIENCE_S = 60
"""How long processes may take to save what they have, once they are asked to end."""


def launch(
    arguments: Sequence[str],
    devices: int,
    nnodes: str = "1",
    rdzv_endpoint: str | None = None,
    show: Callable[[str], object] = lambda text: None,
) -> int:
    """Runs `segformer ARGUMENTS` in `devices` processes on this machine; the exit code that all of it comes to.

    The first process speaks; what others say is shown where one of them fails.

    Args:
        nnodes: machines that take part, N or MIN:MAX; the same command is to be started on each.
        rdzv_endpoint: HOST:PORT where they meet.
        show: hears what a process said that failed, where it is not the first.

    Raises:
        UsageError: `nnodes` is neither N nor MIN:MAX, or several machines are not told where to meet.
        Interrupted: all were asked to stop before they had begun.
        SegFormerError: a process was killed, or ended without a word.
        EnvironmentLacksError: the machines do not meet.
    """
    least, most = machines(nnodes)
    if most > 1 and rdzv_endpoint is None:
        raise UsageError(
            f"--nnodes {nnodes} does not say where the machines meet",
            hint="--rdzv-endpoint HOST:PORT, the same on each of them; HOST is one of them",
        )
    # Each of the launcher's loggers has a level of its own.
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed.")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with TemporaryDirectory() as folder:
        config = LaunchConfig(
            min_nodes=least,
            max_nodes=most,
            nproc_per_node=devices,
            run_id="segformer" if rdzv_endpoint else uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=rdzv_endpoint or "127.0.0.1:0",
            rdzv_configs={} if rdzv_endpoint else {"is_host": True},
            max_restarts=0,
            monitor_interval=0.2,
            local_addr=None if rdzv_endpoint else "127.0.0.1",
            logs_specs=DefaultLogsSpecs(log_dir=folder, redirects=dict.fromkeys(range(1, devices), Std.ALL)),
            shutdown_timeout=PATIENCE_S,
        )
        with _variables(**{LAUNCHED: folder, "OMP_NUM_THREADS": str(max(1, cores() // devices))}):
            failures, stopped = _run(config, arguments)
        said = last_word(folder)
        if said is not None:
            show(said[0] + "\n")
            return said[1]
        if stopped:
            raise Interrupted("interrupted")
        if failures:
            _raise_end(failures, Path(folder), show)
        return 0


def _run(config: LaunchConfig, arguments: Sequence[str]) -> tuple[dict[int, ProcessFailure], bool]:
    """The processes that failed, by their ranks, and whether all were asked to stop."""
    try:
        elastic_launch(config, sys.executable)("-m", "segformer_cli", *arguments)
    except SignalException:
        return {}, True
    except ChildFailedError as error:
        return dict(error.failures), False
    except ConnectionError as error:
        where = config.rdzv_endpoint
        raise EnvironmentLacksError(f"the machines do not meet: {error}", where=where) from error
    return {}, False


def _raise_end(failures: Mapping[int, ProcessFailure], logs: Path, show: Callable[[str], object]) -> NoReturn:
    """The end of the process that failed first, as an error; the launcher ends the others by SIGTERM."""
    rank, failure = min(failures.items(), key=lambda each: (_lateness(each[1].exitcode), each[0]))
    if failure.exitcode < 0:
        raise SegFormerError(
            f"process {rank} was killed by {signal.Signals(-failure.exitcode).name}",
            where=f"process {failure.pid}",
            hint="if memory ran out: --set accumulate=N; segformer train --resume goes on, with any number of devices",
        )
    for said in sorted(logs.rglob(f"{failure.local_rank}/stderr.log")):
        show(said.read_text(encoding="utf-8", errors="replace"))
    # Without a last word: it lost another process before that one's end was seen.
    raise SegFormerError(
        f"process {rank} ended with exit code {failure.exitcode}, and said nothing",
        where=f"process {failure.pid}",
        hint="segformer train --resume goes on, with any number of devices",
    )


def _lateness(exit_code: int) -> int:
    """Which of several ends comes of which: one is killed, others lose it, the launcher ends those that are left."""
    if exit_code == -signal.SIGTERM:
        return 2
    return 0 if exit_code < 0 else 1


@contextmanager
def _variables(**wanted: str) -> Iterator[None]:
    """Around the start of processes: variables that they inherit; what the user has set stays."""
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
