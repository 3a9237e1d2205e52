"""One process at a time in a folder; a lock goes with its process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from segformer_cli.errors import SegFormerError
from segformer_cli.workflows import claims
from segformer_cli.workflows.claims import LOCK, PATIENCE_S, _lock, claimed, is_claimed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks on Windows")
HOLD = """
import pathlib, sys
from segformer_cli.workflows.claims import claimed
with claimed(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_a_killed_one_keeps_nobody_out(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "unfinished"
    with holder(folder) as process:
        assert is_claimed(folder)
        with pytest.raises(SegFormerError, match="another process is at work"), claimed(folder):
            pass
        process.kill()
    assert (folder / LOCK).exists() and not is_claimed(folder)
    with claimed(folder):
        pass
    assert not folder.exists()


def test_folders_that_were_made_for_nothing_go_again(tmp_path: Path) -> None:
    with claimed(tmp_path / "run" / "unfinished"):
        pass
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_stays(tmp_path: Path) -> None:
    with claimed(tmp_path / "run" / "unfinished"):
        (tmp_path / "run" / "unfinished" / "000000.npz").touch()
    assert [path.name for path in (tmp_path / "run" / "unfinished").iterdir()] == ["000000.npz"]


def test_a_folder_that_was_there_stays(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with claimed(tmp_path / "run" / "unfinished"):
        assert (tmp_path / "run" / "unfinished" / LOCK).is_file()
    assert list((tmp_path / "run").iterdir()) == []


def test_where_nothing_can_be_made_the_reason_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(SegFormerError, match="cannot write"), claimed(tmp_path / "run" / "unfinished"):
        pass


def test_who_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    looking = os.open(tmp_path / LOCK, os.O_RDONLY)
    assert _lock(looking, alone=False)
    assert not is_claimed(tmp_path)                     # two may look at a time
    timer = threading.Timer(PATIENCE_S / 5, os.close, [looking])
    timer.start()
    with claimed(tmp_path):
        timer.join()
        assert is_claimed(tmp_path)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_that_goes_before_it_is_had_keeps_others_out_all_the_same(
    replaced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, times = claims._opened, []

    def late(folder: Path) -> int:
        """Opens the file, which at first its last owner then takes away; and somebody else may begin anew."""
        handle = opened(folder)
        times.append(handle)
        if len(times) == 1:
            (folder / LOCK).unlink()
            if replaced:
                (folder / LOCK).touch()
        return handle

    monkeypatch.setattr(claims, "_opened", late)
    with claimed(tmp_path / "run"):
        assert is_claimed(tmp_path / "run")
    assert len(times) == 2
