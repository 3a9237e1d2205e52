"""`segformer export`: weights as a file for another runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import ExportConfig
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.exporting import Export

EXAMPLES = epilog(
    "segformer export -w sample -o sample.onnx",
    "segformer export -w runs/train/NAME -f torchscript -o model.pt -d my-pictures/",
    note=o.also(),
)

Format = o.text_option("--format", "-f", metavar="FORMAT", help="onnx or torchscript; default: by -o.", panel=o.WHAT)
OutFile = o.text_option("--out", "-o", metavar="FILE", help="Default: named like the weights.", panel=o.OUTPUT)
PicturesOption = o.text_option("--data", "-d", metavar="DATA", help="Pictures to compare on.", panel=o.HOW)
Verify = typer.Option(
    "--verify/--no-verify", help="Run the file and compare (default).", rich_help_panel=o.HOW, show_default=False
)


def export(
    context: typer.Context,
    weights: o.WeightsOption = None,
    format: Annotated[str | None, Format] = None,
    data: Annotated[str | None, PicturesOption] = None,
    verify: Annotated[bool | None, Verify] = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(ExportConfig)] = False,
    out: Annotated[str | None, OutFile] = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    offline: o.OfflineOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Write weights for another runtime, and verify the file.

    It is run in that runtime on real pictures and at odd sizes, and compared, before it gets its name.
    """
    with o.console(context) as console:
        settings = o.settled(ExportConfig, context, console)

        from segformer_cli.workflows import exporting

        if dry_run:
            console.done({"config": settings}, summary=exporting.plan(settings))
            return
        found = exporting.export_model(settings, console.progress)
        for warning in found.warnings:
            console.warn(warning)
        console.done(found.to_json(), artifacts=[found.path], summary=_summary(found), error=_failure(found))


def _summary(found: Export) -> str:
    size = f"{found.path}: {found.format}, {found.size_bytes / 2**20:.1f} MiB"
    check = found.verification
    if check is None:
        return f"{size}; not verified"
    return (
        f"{size}\n{check.verdict}: logits differ by at most {check.max_abs_error:.2g} (tolerance {check.tolerance:.2g})"
        f", the best class is the same at {100 * check.argmax_agreement:.4g} % of positions\n"
        f"{check.latency_ms:.0f} ms, here {check.reference_ms:.0f} ms, for {_by(check.shapes)}"
    )


def _by(shapes: tuple[tuple[int, ...], ...]) -> str:
    largest = max(shapes, key=lambda shape: shape[0] * shape[2] * shape[3])
    return "x".join(map(str, largest))


def _failure(found: Export) -> CheckFailed | None:
    if found.verification is None or found.verification.verdict == "pass":
        return None
    return CheckFailed(
        "the file does not compute what the network computes", where=found.path, hint="please report it as a bug"
    )
