"""What several processes know of each other: alone, and two of them on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from segformer_cli.engine.distributed import Group, own_device, process_group
from segformer_cli.errors import DataError, EnvironmentLacksError

ROOT = Path(__file__).parents[2]


def test_without_torchrun_a_process_is_alone_and_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group() as group:
        assert (group, group.leads) == (Group(0, 1), True)
        assert group.gathered("found") == ["found"]
        assert group.together(lambda: "found") == ["found"]
        assert group.agreed(lambda: "found") == "found"
        assert not torch.distributed.is_initialized()


def test_one_process_of_torchrun_needs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("MASTER_ADDR", "nowhere.invalid")
    with process_group() as group:
        assert group.size == 1


def test_alone_an_error_is_raised_as_it_is() -> None:
    error = DataError("no", where="there", hint="so")

    def work() -> None:
        raise error

    for call in (Group().together, Group().agreed):
        with pytest.raises(DataError) as caught:
            call(work)
        assert caught.value is error


def test_a_process_takes_the_gpu_of_its_own_number_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert own_device(torch.device("cuda")) == torch.device("cuda:3")
    assert own_device(torch.device("cuda:1")) == torch.device("cuda:1")
    assert own_device(torch.device("cpu")) == torch.device("cpu")
    monkeypatch.delenv("LOCAL_RANK")
    assert own_device(torch.device("cuda")) == torch.device("cuda")
    assert current == [torch.device("cuda:3"), torch.device("cuda:1")]
    monkeypatch.setenv("LOCAL_RANK", "4")
    with pytest.raises(EnvironmentLacksError, match="process 4 of this machine has no GPU of its own: 4 are here"):
        own_device(torch.device("cuda"))


TWO = """
import json
import torch
from segformer_cli.engine.distributed import process_group
from segformer_cli.errors import DataError

def failing(rank):
    if group.rank == rank:
        raise DataError(f"process {rank} failed", where="there", hint="so")
    return "fine"

def caught(rank):
    try:
        return group.together(lambda: failing(rank))
    except DataError as error:
        return [error.message, error.where, error.hint]

with process_group() as group:
    with process_group() as again:
        same = again == group
    print(json.dumps({
        "rank": group.rank, "size": group.size, "leads": group.leads, "same": same,
        "gathered": group.gathered(["of", group.rank]),
        "together": group.together(lambda: 10 * group.rank),
        "agreed": group.agreed(lambda: group.rank), "nothing": group.together(lambda: None),
        "first fails": caught(0), "second fails": caught(1), "none fails": caught(2),
        "afterwards": group.gathered(group.rank),
    }))
print(torch.distributed.is_initialized())
"""


def test_two_processes_hear_of_each_others_results_and_errors() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", TWO],
            env={**environ, "MASTER_PORT": str(port), "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for rank, process in enumerate(processes):
        said, after = process.communicate(timeout=120)[0].splitlines()
        assert process.returncode == 0
        assert json.loads(said) == {
            "rank": rank, "size": 2, "leads": rank == 0, "same": True,
            "gathered": [["of", 0], ["of", 1]],
            "together": [0, 10],
            "agreed": rank,
            "nothing": [None, None],
            "first fails": ["process 0 failed", "there", "so"],
            "second fails": ["process 1 failed", "there", "so"],
            "none fails": ["fine", "fine"],
            "afterwards": [0, 1],
        }
        assert after == "False"
