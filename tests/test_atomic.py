"""What is known of a place before anything is written there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from segformer_cli.atomic import refuse_unwritable
from segformer_cli.errors import SegFormerError


def test_a_place_that_takes_files_is_let_be_and_nothing_stays_in_it(tmp_path: Path) -> None:
    refuse_unwritable([tmp_path / "a", tmp_path / "deep" / "er" / "b"], force=False)
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no file, not even root's")
def test_a_folder_that_takes_no_file_is_refused_with_its_name_and_the_reason() -> None:
    with pytest.raises(SegFormerError, match=r"cannot write /proc/x/y: no file can be made in /proc \(") as caught:
        refuse_unwritable([Path("/proc/x/y")], force=True)
    assert caught.value.where == "/proc"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(SegFormerError, match="permission denied"):
        refuse_unwritable([tmp_path / "locked" / "a"], force=False)


def test_what_exists_is_refused_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious")
    with pytest.raises(SegFormerError, match="a exists already"):
        refuse_unwritable([tmp_path / "b", tmp_path / "a"], force=False)
    refuse_unwritable([tmp_path / "a"], force=True)
    assert (tmp_path / "a").read_text() == "precious"


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SegFormerError, match=r"cannot write .*a/b/c: .*a is a file"):
        refuse_unwritable([tmp_path / "a" / "b" / "c"], force=True)
