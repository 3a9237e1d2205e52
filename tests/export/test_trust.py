"""Files that can run code open if we wrote them, told by their hash."""

from __future__ import annotations

from pathlib import Path

import pytest

from segformer_cli.errors import WeightsError
from segformer_cli.export.trust import put_on_record, record_path, refuse_unknown


def test_what_is_on_record_opens_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="add --trust"):
        refuse_unknown(Path("a.pt"), "12ab")
    put_on_record("b.pt", "99ff")
    put_on_record("a.pt", "12ab")
    refuse_unknown(Path("a.pt"), "12ab")
    for hash_ in ("12a", "12abc", "", "a.pt"):
        with pytest.raises(WeightsError, match="not on record as written by segformer here"):
            refuse_unknown(Path("a.pt"), hash_)
    assert record_path().is_relative_to(tmp_path)


def test_a_record_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not put_on_record("a.pt", "12ab")
    with pytest.raises(WeightsError):
        refuse_unknown(Path("a.pt"), "12ab")
