"""`segformer benchmark`: how fast and how large a network is on this machine."""

from __future__ import annotations

import shlex
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import BenchmarkConfig
from segformer_cli.errors import SegFormerError, SomeInputsFailed

if TYPE_CHECKING:
    from segformer_cli.workflows.benchmarking import Benchmark, Row

EXAMPLES = epilog(
    "segformer benchmark --variant b0,b2 --size 512,1024x2048",
    "segformer benchmark -w sample.onnx --size 256x512 -b 1,4",
    "segformer benchmark --set threads=1 --json",
    note="Also: --precision, --trust, --json, -q, -v, --no-progress, --dry-run, --offline (see segformer --help).",
)
COLUMNS = ["network", "size", "batch", "ms a call", "quartiles", "images/s", "picture to mask ms", "peak MiB"]

Variant = o.list_option("--variant", metavar="LIST", help="b0 to b5, by commas (random weights).", panel=o.WHAT)
Size = o.list_option("--size", metavar="LIST", help="Exact: HxW or N, by commas; default: 512.", panel=o.WHAT)
BatchSize = o.list_option("--batch-size", "-b", metavar="LIST", help="Pictures a call; default: 1.", panel=o.WHAT)


def benchmark(
    context: typer.Context,
    variant: Annotated[list[str] | None, Variant] = None,
    weights: o.WeightsOption = None,
    size: Annotated[list[str] | None, Size] = None,
    batch_size: Annotated[list[str] | None, BatchSize] = None,
    device: o.DeviceOption = None,
    precision: o.PrecisionOption = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(BenchmarkConfig)] = False,
    offline: o.OfflineOption = None,
    trust: o.TrustOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Measure time, memory and multiply-adds of networks or an exported file.

    A call is the network alone with the whole batch, its time the median after a warm-up; picture to mask is one
    picture; the peak is what a call holds, weights and all. Noise as input, a process for each row.
    """
    with o.console(context) as console:
        settings = o.settled(BenchmarkConfig, context, console)

        from segformer_cli.workflows import benchmarking

        planned = benchmarking.plan(settings, console.progress)
        if dry_run:
            console.done({"config": settings}, summary=str(planned))
            return
        found = benchmarking.benchmark(planned, console.progress)
        console.table("", COLUMNS, [_cells(row) for row in found.rows])
        for row in found.rows:
            if not row.calm:
                console.warn(
                    f"{row.contestant.name} {_by(row.size_hw)}, batch {row.batch_size}: the calls differ by "
                    f"{100 * row.found.model_only.spread:.0f} %; is something else running?"
                )
        console.done(
            found.to_json(),
            summary=_summary(found) if found.rows else None,
            next_command=_next(settings),
            error=_failure(found),
        )


def _cells(row: Row) -> list[object]:
    who, found = row.contestant, row.found
    low, high = found.model_only.quartiles
    return [
        f"{who.name}, {who.runtime} {who.precision}",
        _by(row.size_hw),
        row.batch_size,
        _digits(1000 * found.model_only.median, 1),
        f"{1000 * low:.1f} to {1000 * high:.1f}",
        _digits(row.images_per_s, 2),
        _digits(1000 * found.end_to_end.median, 1),
        None if found.peak_bytes is None else round(found.peak_bytes / 2**20),
    ]


def _summary(found: Benchmark) -> str:
    """What of each network does not depend on the machine, and what the times were taken on."""
    lines = []
    for row in {(row.contestant.name, row.size_hw): row for row in found.rows}.values():
        who = row.contestant
        name = who.name if who.name == who.meaning.variant else f"{who.name} ({who.meaning.variant})"
        lines.append(
            f"{name}, {who.meaning.num_classes} classes, {who.parameters / 1e6:.2f} M parameters; {_by(row.size_hw)}: "
            f"{row.published_macs / 1e9:.2f} G multiply-adds by the paper's counter, "
            f"{row.computed_macs / 1e9:.2f} G computed here"
        )
    threads = found.machine["threads"]
    return "\n".join(
        [*lines, f"{found.device}, {threads} thread{'' if threads == 1 else 's'}, torch {found.machine['torch']}"]
    )


def _failure(found: Benchmark) -> SegFormerError | None:
    if not found.failed:
        return None
    each = found.failed[0]
    what = f"{each.name} {_by(each.size_hw)}, batch {each.batch_size}: {each.error}"
    if not found.rows:
        return SegFormerError(f"nothing could be measured; {what}")
    return SomeInputsFailed(f"{len(found.failed)} of {len(found.failed) + len(found.rows)} rows failed; {what}")


def _digits(number: float, count: int) -> Decimal:
    return Decimal(f"{number:.{count}f}")


def _by(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[0]}x{size_hw[1]}"


def _next(settings: BenchmarkConfig) -> str:
    if settings.weights is None:
        return "segformer export -w WEIGHTS -o model.onnx, then segformer benchmark -w model.onnx"
    return f"segformer eval -w {shlex.quote(settings.weights)} -d DATA"
