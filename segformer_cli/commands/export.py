"""`segformer export`: weights as a file for another runtime."""

from __future__ import annotations

import math
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import ExportConfig
from segformer_cli.errors import CheckFailed

if TYPE_CHECKING:
    from segformer_cli.export.verify import Verification
    from segformer_cli.workflows.exporting import Export

EXAMPLES = epilog(
    "segformer export -w sample -o sample.onnx",
    "segformer export -w runs/train/NAME -f onnx --precision int8 -d my-data/",
    "segformer export -w sample -o whole.onnx --full-pipeline",
    note=o.also("--limit", "--max-drop"),
)

FORMATS = "onnx, torchscript, pt2, openvino, aoti, tensorrt, executorch; default: by -o."
Format = o.text_option("--format", "-f", metavar="FORMAT", help=FORMATS, panel=o.WHAT)
Size = o.text_option("--size", metavar="HxW", help="The one size of picture it takes; default: any.", panel=o.WHAT)
Precision = o.text_option("--precision", metavar="TYPE", help="fp32, fp16, bf16 or int8.", panel=o.WHAT)
Full = o.switch_option(
    "--full-pipeline", help="uint8 pictures in, class ids at their size out.", panel=o.WHAT, hidden=False
)
OutFile = o.text_option("--out", "-o", metavar="FILE", help="Default: named like the weights.", panel=o.OUTPUT)
PicturesOption = o.text_option(
    "--data", "-d", metavar="DATA", help="Pictures to compare on, and int8's ranges.", panel=o.HOW
)
Limit = o.text_option(
    "--limit", metavar="N", help="Pictures to compare on: 4, for int8 32.", panel=o.HOW, hidden=True
)
Verify = typer.Option(
    "--verify/--no-verify", help="Run the file and compare (default).", rich_help_panel=o.HOW, show_default=False
)
Bisect = o.switch_option(
    "--bisect", help="Where it fails, name the first part that differs.", panel=o.HOW, hidden=False
)
MaxDrop = o.text_option(
    "--max-drop", metavar="POINTS", help="Of mIoU that a precision may cost.", panel=o.HOW, hidden=True
)


def export(
    context: typer.Context,
    weights: o.WeightsOption = None,
    format: Annotated[str | None, Format] = None,
    size: Annotated[str | None, Size] = None,
    precision: Annotated[str | None, Precision] = None,
    full_pipeline: Annotated[bool | None, Full] = None,
    data: Annotated[str | None, PicturesOption] = None,
    limit: Annotated[str | None, Limit] = None,
    verify: Annotated[bool | None, Verify] = None,
    bisect: Annotated[bool | None, Bisect] = None,
    max_drop: Annotated[str | None, MaxDrop] = None,
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
        console.done(
            found.to_json(),
            artifacts=found.files,
            summary=_summary(found),
            next_command=f"segformer weights info {shlex.quote(found.path)}" if found.opens else None,
            error=_failure(found),
        )


def _summary(found: Export) -> str:
    cost, check = found.multiply_adds, found.verification
    said = found.to_json()
    kind = found.format if said["edition"] is None else f"{found.format} ({said['edition']})"
    lines = [
        f"{found.path}: {kind}, {found.precision}, {found.size_bytes / 2**20:.1f} MiB, "
        f"written in {found.export_s:.0f} s",
        f"{cost.exported / 1e9:.2f} G multiply-adds for {_by(cost.size_hw)}, "
        f"{cost.textbook / 1e9:.2f} as the paper draws the network",
    ]
    lines += ["not verified"] if check is None else _checked(check)
    if found.next:
        lines.append(f"for TensorRT: {found.next}")
    return "\n".join(lines)


def _checked(check: Verification) -> list[str]:
    lines = [f"{check.verdict}: {check.unlike or _compared(check)}"]
    if check.reference_miou is not None and check.miou is not None:
        lines.append(
            f"mIoU {check.miou:.4f}, the network's {check.reference_miou:.4f}, on "
            f"{check.pictures} labelled picture{'' if check.pictures == 1 else 's'}"
        )
    elif check.no_miou:
        lines.append(f"mIoU not compared: {check.no_miou}")
    if check.latency_ms is not None:
        size = _largest(check.shapes)
        lines.append(f"the file takes {check.latency_ms:.0f} ms, PyTorch {check.reference_ms:.0f}, for {size}")
    return lines


def _compared(check: Verification) -> str:
    same = f"the class is the same at {100 * check.argmax_agreement:.4g} % of positions"
    if check.max_abs_error is None:
        return same
    allowed = "" if check.tolerance is None else f" (tolerance {check.tolerance:.2g})"
    return f"logits differ by at most {check.max_abs_error:.2g}{allowed}, {same}"


def _largest(shapes: tuple[tuple[int, ...], ...]) -> str:
    return _by(max(shapes, key=math.prod))


def _by(sides: tuple[int, ...]) -> str:
    return "x".join(map(str, sides))


def _failure(found: Export) -> CheckFailed | None:
    check = found.verification
    if check is None or check.verdict == "pass":
        return None
    where, hint = found.path, "please report it as a bug"
    if check.diverges_at is not None:
        where = f"{found.path}: the first to differ is {check.diverges_at}"
    if found.precision == "int8":
        hint = "more or better pictures (-d, --set calibration=64), another precision, or a larger --max-drop"
    elif found.precision != "fp32":
        hint = "another precision, or a larger --max-drop"
    elif check.diverges_at is None and check.max_abs_error is not None and found.bisectable:
        hint = "add --bisect to see where"
    return CheckFailed(f"the file is not what the network is: {'; '.join(check.faults)}", where=where, hint=hint)

