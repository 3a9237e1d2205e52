"""What work takes and what is left, on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from segformer_cli.engine import memory
from segformer_cli.engine.memory import free_bytes

CPU, MIB = torch.device("cpu"), 2**20


MEASURED = """
import torch
from segformer_cli.engine.memory import peak_during

torch.ones(80 * 2**20)          # 320 MiB, freed at once: an earlier peak

def work():
    for _ in range(3):
        torch.ones(16 * 2**20)  # 64 MiB each time, one after the other

print(peak_during(work, torch.device("cpu")))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells")
def test_the_peak_is_what_was_held_at_one_time_and_not_what_was_freed_before() -> None:
    # In a process of its own: once training has told the C library to keep what is freed, it takes more in pieces.
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True, timeout=60)
    assert 60 * MIB < int(done.stdout) < 90 * MIB


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells")
def test_no_more_is_free_than_the_machine_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_GROUPS", ())
    left = free_bytes(CPU)
    assert left is not None
    assert 0 < left < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    files = {"max": "1000\n", "current": "400\n", "none": "max\n", "memory.stat": "anon 250\ninactive_file 150\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_CONTROL", tmp_path)
    groups = ("none", "current", "inactive_file"), ("max", "current", "inactive_file"), ("absent", "current", "")
    monkeypatch.setattr(memory, "_GROUPS", groups)
    assert free_bytes(CPU) == 1000 - (400 - 150)


def test_a_device_that_does_not_tell_is_none() -> None:
    assert free_bytes(torch.device("mps")) is None
