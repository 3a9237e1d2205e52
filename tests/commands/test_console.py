"""What a command says, and on which stream."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest

from segformer_cli.commands.console import Console, Verdict
from segformer_cli.errors import CheckFailed
from segformer_cli.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_with_json_stdout_holds_one_object_and_the_rest_goes_to_stderr(capsys):
    with Console("eval", json_output=True) as console:
        console.say("a note")
        console.warn("few images")
        console.table("scores", ["class", "IoU"], [("road", 0.5)])
        console.progress(Progress("scoring", 1, 2, message="best so far"))
        console.done(
            {"miou": math.nan, "size_hw": (1, 2), "path": Path("a")},
            artifacts=["out/a.png"],
            next_command="segformer x",
        )
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "schema": 1,
        "command": "eval",
        "ok": True,
        "results": {"miou": None, "size_hw": [1, 2], "path": "a"},
        "warnings": ["few images"],
        "artifacts": ["out/a.png"],
    }
    assert err.splitlines() == ["a note", "warning: few images", "best so far"]


def test_quiet_leaves_results_and_warnings(capsys):
    with Console("eval", quiet=True) as console:
        console.say("a note")
        console.warn("few images")
        console.table("", ["class", "IoU"], [("road", 0.98765), ("sky", None)])
        console.done({}, summary="mIoU 0.5", next_command="segformer x")
    out, err = capsys.readouterr()
    assert out.splitlines() == ["class     IoU", "road   0.9877", "sky         -", "", "mIoU 0.5"]
    assert err == "warning: few images\n"


def test_details_are_for_verbose_and_the_next_command_is_a_note(capsys):
    with Console("eval") as console:
        console.detail("more")
        console.done({}, next_command="segformer predict x.jpg")
    assert capsys.readouterr() == ("", "next: segformer predict x.jpg\n")
    Console("eval", verbose=True).detail("more")
    assert capsys.readouterr().err == "more\n"


def test_a_check_that_says_no_reports_its_results_all_the_same():
    with pytest.raises(Verdict) as caught:
        Console("eval", json_output=True).done({"miou": 0.4}, error=CheckFailed("mIoU 0.4 is below 0.5"))
    document = caught.value.document
    assert document is not None
    assert (document["ok"], document["results"]) == (False, {"miou": 0.4})
    assert document["error"] == {"message": "mIoU 0.4 is below 0.5", "where": None, "hint": None, "exit_code": 3}


def test_a_bar_is_drawn_on_a_terminal_only_and_notes_pass_above_it(monkeypatch):
    for stream, drawn in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with Console("train") as console:
            for step in range(3):
                console.progress(Progress("training", step + 1, 3, figures={"loss": 0.25}))
            console.say("half way")
        assert "half way" in stream.getvalue()
        assert ("training" in stream.getvalue()) == drawn
        assert ("loss 0.25" in stream.getvalue()) == drawn


@pytest.mark.parametrize("silence", [{"quiet": True}, {"no_progress": True}])
def test_quiet_and_no_progress_draw_no_bar(monkeypatch, silence):
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    with Console("train", **silence) as console:
        console.progress(Progress("training", 1, 3))
    assert stream.getvalue() == ""


def test_a_table_on_a_terminal_has_the_same_cells_and_brackets_are_no_markup(monkeypatch):
    stream = Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    Console("data").table("", ["name", "count"], [("[red]sky[/red]", 3)])
    assert "[red]sky[/red]" in stream.getvalue()
    assert "3" in stream.getvalue()
