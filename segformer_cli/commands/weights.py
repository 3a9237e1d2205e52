"""`segformer weights`: what there is, what a file holds, from one format to another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import Group, Page, epilog
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.conversion import WeightsInfo

app = typer.Typer(
    cls=Group,
    help="Look at, download, convert and compare weights.",
    epilog=epilog(
        "segformer weights list",
        "segformer weights info sample",
        "segformer weights convert segformer.b0.512x1024.city.160k.pth b0-city.safetensors",
    ),
)

LIST_EXAMPLES = epilog("segformer weights list", "segformer weights list --json")
INFO_EXAMPLES = epilog("segformer weights info sample", "segformer weights info runs/train/NAME --json")
DOWNLOAD_EXAMPLES = epilog("segformer weights download b0-ade20k", "segformer weights download nvidia/mit-b2")
CONVERT_EXAMPLES = epilog(
    "segformer weights convert segformer.b0.512x1024.city.160k.pth b0-city.safetensors",
    "segformer weights convert runs/train/NAME my-model/ --to hf",
)
VERIFY_EXAMPLES = epilog(
    "segformer weights verify official.pth converted.safetensors", "segformer weights verify b0-ade20k my-model/ --json"
)

Weights = typer.Argument(metavar="WEIGHTS", help="A file, a folder, a hub name, or sample.", show_default=False)
Other = typer.Argument(metavar="WEIGHTS", help="To compare with.", show_default=False)
Name = typer.Argument(metavar="NAME", help="A short name, or owner/name on the hub.", show_default=False)
To = typer.Option("--to", metavar="FORMAT", help="segformer, official, hf, mmseg-backbone, smp.", rich_help_panel=o.HOW)
Source = typer.Argument(metavar="SRC", help="A file, a folder, a hub name, or sample.", show_default=False)
Destination = typer.Argument(metavar="DST", help="The new file or folder.", show_default=False)


@app.command("list", cls=Page, epilog=LIST_EXAMPLES)
def list_weights(
    context: typer.Context,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """List published weights by their short names."""
    with o.console(context) as console:
        from segformer_cli.model.hub import known_names

        known = known_names()
        rows = [(row.name, row.repo, row.variant, row.task, "yes" if row.cached else "no") for row in known]
        console.table("", ["name", "repository", "variant", "task", "here"], rows)
        for licence in sorted({row.licence for row in known}):
            console.say(f"licence: {licence}; `sample` is ours, Apache-2.0")
        console.done({"weights": known}, next_command="segformer weights download b0-ade20k")


@app.command("info", cls=Page, epilog=INFO_EXAMPLES)
def info(
    context: typer.Context,
    weights: Annotated[str, Weights],
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Say what a file of weights holds, and whose it is."""
    with o.console(context) as console:
        from segformer_cli.model.named_weights import provenance
        from segformer_cli.workflows.conversion import inspect_weights

        found = inspect_weights(weights, offline=bool(offline), progress=console.progress)
        said = provenance(found.licence)
        console.table("", ["", ""], [*_facts(found), ("licence", said)])
        console.done(
            dataclasses.asdict(found) | {"provenance": said},
            next_command=f"segformer predict INPUT -w {weights} -o out/" if found.kind == "segmentor" else None,
        )


@app.command("download", cls=Page, epilog=DOWNLOAD_EXAMPLES)
def download(
    context: typer.Context,
    name: Annotated[str, Name],
    offline: o.OfflineOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Fetch published weights into the cache."""
    with o.console(context) as console:
        from segformer_cli.model import hub, named_weights

        cached = hub.is_cached(name)
        if notice := named_weights.licence_notice(name):
            console.say(notice)
        if dry_run:
            plan = "nothing to fetch: the files are here" if cached else f"would fetch {name} into the cache"
            console.done({"name": name, "cached": cached}, summary=plan)
            return
        folder = hub.fetch(name, offline=bool(offline), progress=console.progress)
        console.done(
            {"name": name, "path": str(folder), "licence": named_weights.licence_of(name)},
            artifacts=[str(folder)],
            summary=str(folder),
            next_command=f"segformer predict street.jpg -w {name} -o street.png",
        )


@app.command("convert", cls=Page, epilog=CONVERT_EXAMPLES)
def convert(
    context: typer.Context,
    weights: Annotated[str, Source],
    out: Annotated[Path, Destination],
    to: Annotated[str, To] = "segformer",
    force: o.ForceOption = None,
    offline: o.OfflineOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Write weights in another program's format."""
    with o.console(context) as console:
        from segformer_cli.workflows import conversion

        if dry_run:
            found = conversion.inspect_weights(weights, offline=bool(offline), progress=console.progress)
            plan = f"would write {found.variant} with {found.num_classes} classes from {found.format} as {to} to {out}"
            console.done({"source": found, "destination": str(out), "to": to}, summary=plan)
            return
        done = conversion.convert(
            weights, out, to, force=bool(force), offline=bool(offline), progress=console.progress
        )
        for note in done.notes:
            console.warn(note)
        console.done(
            dataclasses.asdict(done),
            artifacts=[done.destination],
            summary=f"{done.destination}: {done.variant}, {done.num_classes} classes, as {done.to}",
            next_command=f"segformer weights verify {weights} {done.destination}",
        )


@app.command("verify", cls=Page, epilog=VERIFY_EXAMPLES)
def verify(
    context: typer.Context,
    weights: Annotated[str, Weights],
    other: Annotated[str, Other],
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Say whether two files are the same network (exit 3: no)."""
    with o.console(context) as console:
        from segformer_cli.workflows import conversion

        found = conversion.verify(weights, other, offline=bool(offline), progress=console.progress)
        differ = CheckFailed(f"{weights} and {other} are not the same network", hint=found.verdict)
        console.done(
            dataclasses.asdict(found) | {"agrees": found.agrees, "verdict": found.verdict},
            summary=found.verdict,
            error=None if found.agrees else differ,
        )


def _facts(found: WeightsInfo) -> list[tuple[str, object]]:
    names = ", ".join(found.class_names[:6]) + (", ..." if found.num_classes > 6 else "")
    return [
        ("format", f"{found.format}, a {found.kind}"),
        ("variant", found.variant),
        ("classes", f"{found.num_classes}: {names}" if names else "none"),
        ("parameters", f"{found.parameters:,}"),
        ("bands", f"{found.in_channels}{_numbered(found.bands)}"),
        ("trained on", found.training_data or "not known"),
        ("origin", found.origin or "not known"),
        ("LayerNorm eps", f"{found.eps:g} and {found.block_eps:g}"),
        ("sha256", found.sha256 or "-"),
        *(("note", note) for note in found.notes),
    ]


def _numbered(bands: tuple[int, ...]) -> str:
    return f" ({', '.join(map(str, bands))} of the files)" if bands else ""
