"""The Typer app: names the commands; the one place where an error becomes text and an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from segformer_cli import __version__
from segformer_cli.commands import (
    benchmark,
    compare,
    corrupt,
    data,
    demo,
    doctor,
    evaluate,
    export,
    predict,
    reproduce,
    robustness,
    runs,
    train,
    weights,
)
from segformer_cli.commands.console import Verdict, colour
from segformer_cli.commands.help_pages import Group, Page, epilog, markup_mode
from segformer_cli.commands.options import EVERYWHERE
from segformer_cli.errors import (
    EXIT_BUG,
    EnvironmentLacksError,
    Interrupted,
    ProcessLost,
    SegFormerError,
    UsageError,
    did_you_mean,
)
from segformer_cli.processes import LAUNCHED, adopt_slurm, follows, leave_last_word
from segformer_cli.report import as_text, report

EXPECTED_ERRNOS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG}

app = typer.Typer(
    name="segformer",
    cls=Group,
    help="SegFormer semantic segmentation: train, score, predict, and convert weights.",
    epilog=epilog(
        "segformer predict sample -w sample -o out/ --save mask,overlay",
        "segformer train --variant b0 --iterations 20",
        "segformer eval -w sample",
        note=EVERYWHERE,
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=markup_mode(),
    pretty_exceptions_enable=False,
    suggest_commands=False,
)


@app.callback(invoke_without_command=True)
def first_page(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"segformer {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


app.command("train", cls=Page, epilog=train.EXAMPLES)(train.train)
app.command("eval", cls=Page, epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("eval-robust", cls=Page, epilog=robustness.EXAMPLES)(robustness.eval_robust)
app.command("corrupt", cls=Page, epilog=corrupt.EXAMPLES)(corrupt.corrupt)
app.command("export", cls=Page, epilog=export.EXAMPLES)(export.export)
app.command("benchmark", cls=Page, epilog=benchmark.EXAMPLES)(benchmark.benchmark)
app.command("compare", cls=Page, epilog=compare.EXAMPLES)(compare.compare)
app.command("predict", cls=Page, epilog=predict.EXAMPLES)(predict.predict)
app.add_typer(weights.app, name="weights")
app.add_typer(data.app, name="data")
app.command("runs", cls=Page, epilog=runs.EXAMPLES)(runs.runs)
app.command("reproduce", cls=Page, epilog=reproduce.EXAMPLES)(reproduce.reproduce)
app.command("demo", cls=Page, epilog=demo.EXAMPLES)(demo.demo)
app.command("doctor", cls=Page, epilog=doctor.EXAMPLES)(doctor.doctor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Never raises."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _print_any_name()
    adopt_slurm(os.environ)
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`).
        _close_stdout()
        code = 0
    except OSError as error:
        _close_stdout()
        code = _told(_expected(error) or _bug(error))
    return code


def _close_stdout() -> None:
    """What is written from here on goes nowhere: the flush at exit must not complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_last(text: str | None) -> None:
    """The text beside an error, and what print still held back; a stdout that takes no more is closed in silence."""
    try:
        print(text or "", end="\n" if text else "", flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        _close_stdout()


def _print_any_name() -> None:
    """Names of classes and files may hold letters that the terminal's encoding lacks: they are shown as \\u65e5."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str]) -> int:
    try:
        code = app(args=arguments, prog_name="segformer", standalone_mode=False, obj=arguments)
        if code == Interrupted.exit_code:
            raise Interrupted("interrupted")
        return code if isinstance(code, int) else 0
    except Verdict as verdict:
        if verdict.document is not None and not follows():
            print(as_text(verdict.document), flush=True)
        return _told(verdict.error)
    except SystemExit as stop:
        # Typer ends on a broken pipe by itself.
        if isinstance(stop.__context__, BrokenPipeError):
            raise stop.__context__ from None
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        raise
    except Exception as error:
        expected = _expected(error)
        document = report(_command_name(arguments), None, error=expected or _bug(error))
        _print_last(as_text(document) if "--json" in arguments and not follows() else None)
        if expected is None or os.environ.get("SEGFORMER_DEBUG", "0") not in ("", "0"):
            traceback.print_exc()
        return _told(expected or _bug(error))


def _told(error: SegFormerError) -> int:
    """The exit code of an error, once its text is on stderr."""
    lines = [colour("error:", "1;31") + " " + _indented(error.message)]
    if error.where:
        lines.append("where: " + _indented(error.where))
    if error.hint:
        lines.append(colour("hint: ", "1;36") + " " + _indented(error.hint))
    text = "\n".join(lines)
    # That others are gone is no cause: the process that was lost, or who started it, tells that.
    if isinstance(error, ProcessLost) and LAUNCHED in os.environ:
        return error.exit_code
    if not leave_last_word(text, error.exit_code):
        print(text, file=sys.stderr)
    return error.exit_code


def _indented(text: str) -> str:
    return text.replace("\n", "\n       ")


def _expected(error: Exception) -> SegFormerError | None:
    """The error as one a user can expect; None where it is a bug of ours."""
    if isinstance(error, SegFormerError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage(error)
    if isinstance(error, OSError) and error.errno in EXPECTED_ERRNOS:
        reason = (error.strerror or str(error)).lower()
        # Where no file is named, it is most often stdout that leads to a full disk.
        return SegFormerError(f"{error.filename}: {reason}" if error.filename else f"cannot write: {reason}")
    # By name: torch, whose class it is, need not be loaded here.
    if type(error).__name__ == "OutOfMemoryError":
        reason = str(error).splitlines()[0]
        return EnvironmentLacksError(
            f"the device is out of memory: {reason}", hint="a smaller --batch-size, --crop-size or --size"
        )
    return None


def _usage(error: typer.TyperException) -> UsageError:
    """What Typer says of a wrong command line, in our words."""
    context: typer.Context | None = getattr(error, "ctx", None)
    message = error.format_message().partition(" (Possible options")[0].rstrip(".")
    hint = None
    if context is not None:
        wrong = getattr(error, "option_name", None)
        if isinstance(wrong, str) and message.startswith("No such option"):
            known = [name for param in context.command.params for name in param.opts if name.startswith("--")]
            hint = did_you_mean(wrong, [*known, "--help"])
        elif message.startswith("No such command"):
            hint = did_you_mean(message.split("'")[1], getattr(context.command, "commands", ()))
        hint = hint or f"see {context.command_path} --help"
    where = context.command_path if context is not None else None
    return UsageError(message[:1].lower() + message[1:], where=where, hint=hint)


def _bug(error: Exception) -> SegFormerError:
    bug = SegFormerError(
        f"this is a bug in segformer {__version__}: {type(error).__name__}: {error}",
        hint="please report it, with the traceback above and what `segformer doctor` prints",
    )
    bug.exit_code = EXIT_BUG
    return bug


def _command_name(arguments: Sequence[str]) -> str:
    """The command that the arguments call, as the JSON object names it: "eval", "weights info"."""
    words = [word for word in arguments if not word.startswith("-")]
    groups = {group.name for group in app.registered_groups}
    return " ".join(words[: 2 if words[:1] and words[0] in groups else 1])
