"""`segformer doctor`: what this machine and this installation can do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog

if TYPE_CHECKING:
    from segformer_cli.workflows.diagnosis import Diagnosis

EXAMPLES = epilog("segformer doctor", "segformer doctor --json")


def doctor(
    context: typer.Context,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Say what this machine and this installation can do."""
    with o.console(context) as console:
        from segformer_cli.workflows.diagnosis import diagnose

        found = diagnose(console.progress)
        console.table("", ["package", "version"], list(found.versions.items()))
        console.table("", ["", ""], _facts(found))
        for problem in found.problems:
            console.warn(problem)
        console.done(
            dataclasses.asdict(found), next_command="segformer predict sample -w sample -o out/ --save mask,overlay"
        )


def _facts(found: Diagnosis) -> list[tuple[str, str]]:
    height, width = found.forward_size_hw
    return [
        ("system", found.system),
        ("threads", f"{found.threads} of {found.cores} cores"),
        ("GPU", ", ".join(found.gpus) or "none"),
        ("bf16", found.bf16),
        *((folder.use, folder.path + ("" if folder.writable else " (read-only)")) for folder in found.folders),
        *((f"extra {extra.name}", extra.install if extra.missing else "installed") for extra in found.extras),
        ("B0 forward", f"{found.forward_ms:.0f} ms on {found.device}, one picture of {height}x{width}"),
    ]
