"""The words of the command line: each shared option defined once, and how options become a configuration.

Values come as text and are judged by `settings.resolve`, so that a flag, a variable and a line of a file
get the same account of what is wrong. A command declares its options as parameters for Typer to read;
`settled` and `console` then take them from the context, where a parameter's name is the key it sets.
Options of output are hidden on a command's own page: they mean the same everywhere and stand on the first
page, `segformer --help`.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

import typer

from segformer_cli.commands.console import Console

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Config = TypeVar("Config", bound=DataclassInstance)
else:
    Config = TypeVar("Config")

WHAT = "What"
HOW = "How"
OUTPUT = "Output"

EVERYWHERE = (
    "Everywhere: --json (one object on stdout), -q/--quiet, -v/--verbose, --no-progress; and where it applies: "
    "--dry-run (write nothing), --force (overwrite), --offline (never touch the network)."
)


def console(context: typer.Context) -> Console:
    """The console that a command's options of output ask for."""
    return Console(
        context.command_path.partition(" ")[2],
        json_output=context.params["json"],
        quiet=context.params["quiet"],
        verbose=context.params["verbose"],
        no_progress=context.params["no_progress"],
    )


def settled(
    cls: type[Config],
    context: typer.Context,
    console: Console,
    *,
    preset: str | None = None,
    file: Path | None = None,
) -> Config:
    """The configuration of a command from all its sources; `settings.resolve` has the rules.

    `file` stands in for the one that --config names.
    """
    import dataclasses

    from segformer_cli.settings import resolve

    keys = {field.name for field in dataclasses.fields(cls)}
    return resolve(
        cls,
        preset=preset,
        file=file or context.params["config"],
        environ=os.environ,
        sets=context.params["set"] or (),
        # An option that may be repeated and was not given is an empty list or tuple.
        flags={key: value for key, value in context.params.items() if key in keys and value not in ([], ())},
        warn=console.warn,
    )


def also(*names: str) -> str:
    """The line of a help page that names the options it does not spend a row on."""
    everywhere = "--json, -q, -v, --no-progress, --dry-run, --force, --offline (see segformer --help)."
    return f"Also: {', '.join((*names, everywhere))}"


def text_option(*names: str, metavar: str, help: str, panel: str, hidden: bool = False) -> Any:
    """An option that takes a text, which `settings.resolve` judges."""
    return typer.Option(
        *names, metavar=metavar, help=help, rich_help_panel=panel, hidden=hidden, show_default=False
    )


def list_option(*names: str, metavar: str, help: str, panel: str) -> Any:
    """An option that takes several texts, by commas or repeated."""
    return typer.Option(
        *names, metavar=metavar, help=help, rich_help_panel=panel, show_default=False, callback=_by_commas
    )


def _by_commas(texts: list[str] | None) -> str | None:
    return ",".join(texts) if texts else None


def switch_option(*names: str, help: str, panel: str = OUTPUT, hidden: bool = True) -> Any:
    """An option that takes nothing."""
    return typer.Option(*names, help=help, rich_help_panel=panel, hidden=hidden, show_default=False)


WeightsOption = Annotated[
    str | None,
    text_option("--weights", "-w", metavar="WEIGHTS", help="A file, a run folder, a hub name, or sample.", panel=WHAT),
]
DataOption = Annotated[
    str | None, text_option("--data", "-d", metavar="DATA", help="NAME:PATH, a folder, a .yaml, or sample.", panel=WHAT)
]
ImageSuffixOption = Annotated[
    str | None, text_option("--image-suffix", metavar="TEXT", help="Ending of image names.", panel=WHAT, hidden=True)
]
MaskSuffixOption = Annotated[
    str | None,
    text_option("--mask-suffix", metavar="TEXT", help="Ending of mask names.", panel=WHAT, hidden=True),
]
MapOption = Annotated[
    list[str] | None,
    text_option(
        "--map", metavar="ID=CLASS", help="Another class for an id, or ignore; repeatable.", panel=WHAT, hidden=True
    ),
]
ReduceZeroOption = Annotated[
    bool | None, switch_option("--reduce-zero", help="Ignore id 0, count classes from id 1.", panel=WHAT)
]
BandsOption = Annotated[
    str | None,
    text_option("--bands", metavar="4,3,2", help="Bands of the pictures, in any depth.", panel=WHAT, hidden=True),
]
SizeOption = Annotated[
    str | None,
    text_option(
        "--size",
        metavar="SIZE",
        help="N (short side), HxW (fits inside) or native; default: the checkpoint's own.",
        panel=HOW,
    ),
]
WorkersOption = Annotated[
    str | None, text_option("--workers", "-j", metavar="N", help="Processes that read files.", panel=HOW, hidden=True)
]
SeedOption = Annotated[
    str | None, text_option("--seed", metavar="N", help="Of weights, order and augmentation.", panel=HOW, hidden=True)
]
DeterministicOption = Annotated[
    bool | None, switch_option("--deterministic", help="The same numbers each time, or an error.", panel=HOW)
]
DeviceOption = Annotated[
    str | None,
    text_option("--device", metavar="DEVICE", help="auto (the best there is), cpu, cuda, cuda:1, mps.", panel=HOW),
]
PrecisionOption = Annotated[
    str | None, text_option("--precision", metavar="TYPE", help="auto, fp32, bf16, fp16.", panel=HOW, hidden=True)
]
ConfigOption = Annotated[
    Path | None,
    text_option("--config", "-c", metavar="FILE", help="Keys in YAML; SEGFORMER_* and flags override it.", panel=HOW),
]
SetOption = Annotated[
    list[str] | None,
    text_option("--set", metavar="KEY=VALUE", help="Any key of --help-config; repeatable.", panel=HOW),
]
OutOption = Annotated[
    str | None,
    text_option("--out", "-o", metavar="PATH", help="A file if it has a suffix, else a folder.", panel=OUTPUT),
]
ForceOption = Annotated[bool | None, switch_option("--force", help="Overwrite files that exist.")]
JsonOption = Annotated[bool, switch_option("--json", help="One JSON object on stdout, nothing else there.")]
QuietOption = Annotated[bool, switch_option("--quiet", "-q", help="No progress, no notes.")]
VerboseOption = Annotated[bool, switch_option("--verbose", "-v", help="Details too.")]
NoProgressOption = Annotated[bool, switch_option("--no-progress", help="No bar.")]
DryRunOption = Annotated[bool, switch_option("--dry-run", help="Say what would be done; write nothing.")]
OfflineOption = Annotated[bool | None, switch_option("--offline", help="Never touch the network.")]
TrustOption = Annotated[
    bool | None, switch_option("--trust", help="Run an exported file that can hold code and is not ours.", panel=HOW)
]


class _OfData(Protocol):
    @property
    def data(self) -> str: ...

    @property
    def image_suffix(self) -> str | None: ...

    @property
    def mask_suffix(self) -> str | None: ...

    @property
    def map(self) -> tuple[str, ...]: ...

    @property
    def reduce_zero(self) -> bool: ...

    @property
    def bands(self) -> tuple[int, ...]: ...


def same_data(config: _OfData) -> str:
    """The words that name the data of a configuration, and how it is read, in another command."""
    words = ["-d", config.data]
    words += ["--image-suffix", config.image_suffix] if config.image_suffix else []
    words += ["--mask-suffix", config.mask_suffix] if config.mask_suffix else []
    words += [word for entry in config.map for word in ("--map", entry)]
    words += ["--reduce-zero"] if config.reduce_zero else []
    words += ["--bands", ",".join(map(str, config.bands))] if config.bands else []
    return shlex.join(words)


def help_config(cls: type[DataclassInstance]) -> Any:
    """The option --help-config of a command: lists every key of its configuration, then ends."""

    def show(context: typer.Context, asked: bool) -> None:
        if not asked:
            return
        from segformer_cli.settings import document

        # The other options are not read yet; `app.main` leaves the words of the command line here.
        console = Console(context.command_path.partition(" ")[2], json_output="--json" in (context.obj or ()))
        rows = [(row.key, row.default, row.accepts, row.doc) for row in document(cls)]
        columns = ["key", "default", "accepts", "meaning"]
        console.table("", columns, rows)
        console.done({"keys": [dict(zip(columns, row, strict=True)) for row in rows]})
        raise typer.Exit

    return typer.Option(
        "--help-config",
        callback=show,
        is_eager=True,
        help="List every key that --set and --config take.",
        rich_help_panel=HOW,
        show_default=False,
    )
