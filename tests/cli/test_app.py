"""Errors, exit codes, streams and start-up of every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from segformer_cli import __version__

ROOT = Path(__file__).parents[2]
COMMANDS = ["train", "eval", "compare", "predict", "weights", "data", "doctor"]


def test_version_and_help_end_well(segformer):
    assert segformer("--version").stdout == f"segformer {__version__}\n"
    for flag in ("-h", "--help"):
        assert segformer(flag).returncode == 0
    page = segformer()
    assert page.returncode == 0
    assert all(f"\n  {command} " in page.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_page_of_help_ends_with_two_or_three_examples(segformer, command):
    done = segformer(command, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    examples = done.stdout.partition("Examples:")[2].strip().splitlines()
    assert 2 <= len(examples) <= 3
    assert all(line.strip().startswith("segformer ") for line in examples)


def test_help_in_a_pipe_is_plain_text(segformer):
    page = segformer("train", "--help").stdout
    assert "\x1b" not in page
    assert not set(page) & set("╭╮╰╯│─\b")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["train", "--lr", "x"], ["weights", "--help"]])
def test_what_needs_no_network_of_weights_loads_no_torch_numpy_or_cv2(arguments):
    code = (
        "import sys; from segformer_cli.app import main; main(sys.argv[1:]);"
        "heavy = {'torch', 'numpy', 'cv2', 'PIL', 'huggingface_hub', 'click', 'yaml'} & set(sys.modules);"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_no_torch():
    code = "import sys, segformer_cli; dir(segformer_cli); sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_keys_of_the_commands_are_names_of_the_package():
    import segformer_cli
    from segformer_cli import config

    for name in ("TrainConfig", "EvalConfig", "PredictConfig"):
        assert getattr(segformer_cli, name) is getattr(config, name)
    assert set(segformer_cli.__all__) <= set(dir(segformer_cli))


def test_a_name_that_the_package_has_not_is_an_attribute_error():
    import segformer_cli

    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        _ = segformer_cli.load_modle


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["trian"], "did you mean train?"),
        (["train", "--itertions", "3"], "did you mean --iterations?"),
        (["weights", "lst"], "did you mean list?"),
        (["train", "--set", "lrr=1"], "did you mean lr?"),
        (["predict", "x.jpg", "--precision", "fp31"], "did you mean fp32?"),
    ],
)
def test_a_slip_of_the_pen_is_wrong_usage_with_a_guess(segformer, arguments, hint):
    done = segformer(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_is_plain_lower_case_text_that_says_what_where_and_how_to_mend_it(segformer):
    done = segformer("train", "--precision", "fp31")
    assert done.stderr.splitlines() == [
        "error: precision is 'fp31'; accepted: one of auto, fp32, bf16, fp16",
        "where: in --precision",
        "hint:  did you mean fp32?",
    ]


def test_debug_shows_the_traceback_of_an_expected_error(segformer):
    done = segformer("train", "--lr", "x", SEGFORMER_DEBUG="1")
    assert "Traceback" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["train", "--json", "--lr", "x"], "train"),
        (["--json"], ""),
        (["eval", "--jsn", "--json"], "eval"),
        (["weights", "inf", "--json"], "weights inf"),
        (["predict", "--json"], "predict"),
    ],
)
def test_with_json_a_failure_is_one_object_on_stdout_and_text_on_stderr(segformer, arguments, command):
    done = segformer(*arguments)
    found = json.loads(done.stdout)
    assert found["command"] == command
    assert (found["schema"], found["ok"], found["results"]) == (1, False, None)
    assert set(found["error"]) == {"message", "where", "hint", "exit_code"}
    assert found["error"]["exit_code"] == done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_a_variable_a_file_and_a_flag_are_told_apart_in_errors(segformer, tmp_path):
    (tmp_path / "my.yaml").write_text("lr: fast\n", encoding="utf-8")
    assert "where: in SEGFORMER_LR" in segformer("train", SEGFORMER_LR="fast").stderr
    assert "where: in my.yaml, line 1" in segformer("train", "-c", "my.yaml").stderr
    assert "where: in --set lr=fast" in segformer("train", "--set", "lr=fast").stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "-w", "sample", "--limit", "0"], "limit is 0"),
        (["eval", "-w", "sample", "-j", "-1"], "workers is -1"),
        (["eval", "-w", "sample", "-b", "0"], "batch_size is 0"),
        (["predict", "sample", "--opacity", "-1"], "opacity is -1"),
        (["train", "--set", "drop_path=1"], "drop_path is 1"),
    ],
)
def test_a_number_out_of_range_is_wrong_usage(segformer, arguments, message):
    done = segformer(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}\n")


def test_a_misspelt_variable_is_warned_of_once_and_stops_nothing(segformer):
    done = segformer("eval", "--dry-run", "--json", SEGFORMER_LIMTI="3", SEGFORMER_DATA_DIR="/data")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["results"]["config"]["limit"] is None
    (warning,) = found["warnings"]
    assert "did you mean SEGFORMER_LIMIT?" in warning
    assert done.stderr.count("warning: ") == 1


@pytest.mark.parametrize("command", ["train", "eval", "predict"])
def test_help_config_lists_every_key_with_its_meaning(segformer, command):
    done = segformer(command, "--help-config")
    assert done.returncode == 0
    assert "weights" in done.stdout
    assert "never touch the network" in done.stdout


@pytest.mark.parametrize("arguments", [("--json", "--help-config"), ("--help-config", "--json")])
@pytest.mark.parametrize("command", ["eval", "compare"])
def test_help_config_with_json_is_one_object(segformer, command, arguments):
    done = segformer(command, *arguments)
    found = json.loads(done.stdout)
    assert (done.returncode, found["schema"], found["command"], found["ok"]) == (0, 1, command, True)
    keys = {row["key"]: row for row in found["results"]["keys"]}
    assert keys["resamples"]["default"] == "1000"
    assert set(keys["seed"]) == {"key", "default", "accepts", "meaning"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
@pytest.mark.parametrize(
    "arguments",
    [["data", "list", "--json"], ["data", "list"], ["weights", "list"], ["eval", "--help-config"], ["--help"],
     ["train", "--json", "--help-config"]],
    ids=" ".join,
)
def test_a_stdout_that_takes_no_more_is_one_error_and_no_traceback(arguments, tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "segformer_cli", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environ,
        )
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if not line.startswith("next: ")] == [
        "error: cannot write: no space left on device"
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_an_error_on_a_stdout_that_takes_no_more_is_that_error(tmp_path):
    shell = f"{sys.executable} -m segformer_cli train --json --lr x > /dev/full"
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert done.returncode == 2
    assert done.stderr.startswith("error: lr is 'x'")
    assert done.stderr.count("error") == 1


BROKEN = """
import sys, typer
from typing import Annotated
from segformer_cli import app

def stumble(json: Annotated[bool, typer.Option("--json")] = False) -> None:
    raise {error}

app.app.command("stumble")(stumble)
sys.exit(app.main(["stumble", *sys.argv[1:]]))
"""


def stumble(error: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a command that raises `error`."""
    script = BROKEN.format(error=error)
    return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, cwd=ROOT)


def test_a_bug_keeps_its_traceback_and_ends_with_70():
    done = stumble("ZeroDivisionError('by nought')")
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "error: this is a bug in segformer" in done.stderr
    assert "please report it" in done.stderr
    assert json.loads(stumble("KeyError('x')", "--json").stdout)["error"]["exit_code"] == 70


def test_ctrl_c_ends_with_130_and_no_traceback():
    done = stumble("KeyboardInterrupt")
    assert (done.returncode, done.stderr) == (130, "error: interrupted\n")


def test_a_folder_that_cannot_be_written_and_a_full_device_are_expected():
    denied = stumble("PermissionError(13, 'Permission denied', 'out/a.png')")
    assert (denied.returncode, denied.stderr) == (1, "error: out/a.png: permission denied\n")
    full = stumble("type('OutOfMemoryError', (RuntimeError,), {})('CUDA out of memory')")
    assert full.returncode == 4
    assert "hint:  a smaller --batch-size" in full.stderr


def test_colour_is_for_terminals_and_no_color_is_honoured(segformer, tmp_path):
    pty = pytest.importorskip("pty")

    def on_a_terminal(**variables: str) -> str:
        ours, theirs = pty.openpty()
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **variables}
        subprocess.run(
            [sys.executable, "-m", "segformer_cli", "train", "--lr", "x"], stderr=theirs, env=environ, cwd=tmp_path
        )
        os.close(theirs)
        return os.read(ours, 10_000).decode()

    assert "\x1b[1;31merror:\x1b[0m" in on_a_terminal()
    assert "\x1b" not in on_a_terminal(NO_COLOR="1")
    assert "\x1b" not in segformer("train", "--lr", "x").stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    shell = f"{sys.executable} -m segformer_cli train --help | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_letters_that_the_terminal_lacks_are_spelt_out(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-m", "segformer_cli", "weights", "info", "straße-日本.pth"]
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 1
    assert "stra\\xdfe-\\u65e5\\u672c.pth" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_is_no_bug(tmp_path: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    line = f"{sys.executable} -m segformer_cli weights list >&-"
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
