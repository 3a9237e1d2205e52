"""Who listens to long work, and what is drawn for it."""

from __future__ import annotations

import io

import pytest

from segformer_cli.progress import NotebookProgress, Progress, ignore_progress, listening

STEPS = [Progress("train", 1, 2, figures={"loss": 0.5}), Progress("train", 2, 2, message="best so far")]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_bars_nothing_or_a_listener_of_ones_own():
    heard: list[Progress] = []
    with listening(heard.append) as listener:
        listener(STEPS[0])
    assert heard == STEPS[:1]
    with listening(True) as listener:
        assert isinstance(listener, NotebookProgress)
    with listening(False) as listener:
        assert listener is ignore_progress


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_bars_are_for_terminals_and_kept_lines_for_every_stderr(monkeypatch, capsys, stream):
    monkeypatch.setattr("sys.stderr", stream)
    with listening(True) as listener:
        for step in STEPS:
            listener(step)
    assert "best so far\n" in stream.getvalue()
    assert ("train" in stream.getvalue()) == stream.isatty()
    assert capsys.readouterr().out == ""
