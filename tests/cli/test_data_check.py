"""`segformer data check`, `stats` and `preview` on the command line: exit codes, the JSON object, what is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from segformer_cli.app import main
from tests.cli.conftest import Done
from tests.faulty_data import ids, put, sound

Call = Callable[..., Done]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs `segformer data ARGUMENTS` where sound data lies in `mine`."""
    sound(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(["data", *arguments])
        return Done(code, *capsys.readouterr())

    return run


def test_sound_data_ends_with_0_and_the_next_command(call: Call) -> None:
    done = call("check", "-d", "mine")
    assert done.code == 0
    assert "mine (folder): 6 images, 3 classes: nothing wrong" in done.out
    assert "next: segformer train -d mine" in done.err


def test_errors_end_with_3_and_come_with_their_results(call: Call) -> None:
    put(Path("mine/masks/train/t1.png"), ids(0, 1, 204))
    done = call("check", "-d", "mine", "--json")
    assert done.code == 3
    assert done.json["error"]["exit_code"] == 3
    (problem,) = done.json["results"]["problems"]
    assert (problem["kind"], problem["severity"], problem["count"]) == ("unknown_id", "error", 1)
    assert problem["first"].endswith("mine/masks/train/t1.png") and "--map 204=ignore" in problem["hint"]
    assert done.json["results"]["images"] == 6
    plain = call("check", "-d", "mine")
    assert plain.code == 3
    assert "masks with ids that are no class" in plain.out and "hint: --map 204=ignore" in plain.err
    assert call("check", "-d", "mine", "--map", "204=ignore").code == 0


def test_warnings_alone_end_with_0(call: Call) -> None:
    put(Path("mine/masks/train/t1.png"), ids(255))
    done = call("check", "-d", "mine", "--json")
    assert done.code == 0
    assert [each["severity"] for each in done.json["results"]["problems"]] == ["warning"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("check", "-d", "nowhere"), 1, "there is no folder nowhere"),
        (("check", "-d", "cityscape:mine"), 2, "there is no layout 'cityscape'"),
        (("check", "-d", "mine", "-j", "0"), 2, "workers"),
        (("check", "-d", "mine", "--fix", "a.json"), 2, "is no .yaml and no list"),
        (("stats", "-d", "mine", "--split", "test"), 1, "has no split 'test'"),
        (("preview", "-d", "mine", "--limit", "0"), 2, "limit"),
    ],
)
def test_what_cannot_be_done_is_said(call: Call, arguments: tuple[str, ...], code: int, words: str) -> None:
    done = call(*arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err


def test_a_fix_is_written_and_can_be_trained_on(call: Call) -> None:
    Path("mine/masks/train/t1.png").write_bytes(b"")
    done = call("check", "-d", "mine", "--fix", "good.yaml", "--json")
    assert done.code == 3
    assert done.json["artifacts"] == ["good.yaml", "good-train.txt", "good-val.txt"]
    assert call("check", "-d", "good.yaml").code == 0
    assert call("check", "-d", "mine", "--fix", "good.yaml").code == 1
    assert call("check", "-d", "mine", "--fix", "good.yaml", "--force").code == 3


def test_verbose_names_every_file(call: Call) -> None:
    for key in ("t0", "t2"):
        Path(f"mine/masks/train/{key}.png").write_bytes(b"")
    said = call("check", "-d", "mine", "-v").err
    assert "empty: mine/masks/train/t0.png" in said and "empty: mine/masks/train/t2.png" in said


def test_stats_are_a_table_and_an_object(call: Call) -> None:
    done = call("stats", "-d", "mine")
    assert done.code == 0
    assert "road   0.3333       3" in done.out and "36x48       3" in done.out
    results = call("stats", "-d", "mine", "--json").json["results"]
    assert [each["images"] for each in results["classes"]] == [3, 3, 3]
    assert len(results["mean"]) == len(results["std"]) == 3


def test_a_preview_is_written_where_it_is_asked_for(call: Call) -> None:
    done = call("preview", "-d", "mine", "-o", "sheet.png", "--limit", "2", "--crop-size", "32", "--json")
    assert done.code == 0
    assert done.json["artifacts"] == ["sheet.png"] and Path("sheet.png").is_file()
    assert done.json["results"]["crop_size_hw"] == [32, 32]
    assert call("preview", "-d", "mine", "-o", "sheet.png").code == 1


def test_the_check_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, json; from segformer_cli.app import main; code = main(['data', 'check', '-d', 'mine', '--json']); "
        "print(json.dumps([code, 'torch' in sys.modules]), file=sys.stderr)"
    )
    sound(tmp_path / "mine")
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": root},
                          capture_output=True, text=True, timeout=60)
    assert json.loads(done.stderr.splitlines()[-1]) == [0, False], done.stderr
