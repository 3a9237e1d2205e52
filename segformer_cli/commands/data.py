"""`segformer data`: its commands; known layouts, and drawn scenes to try things on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from segformer_cli.commands import data_check, data_looks
from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import Group, Page, epilog
from segformer_cli.errors import UsageError

app = typer.Typer(
    cls=Group,
    help="Look at data before spending hours on it.",
    epilog=epilog("segformer data list", "segformer data check -d my-data/", "segformer data sample -o scenes/"),
)
app.command("check", cls=Page, epilog=data_check.EXAMPLES)(data_check.check)
app.command("stats", cls=Page, epilog=data_looks.STATS_EXAMPLES)(data_looks.stats)
app.command("preview", cls=Page, epilog=data_looks.PREVIEW_EXAMPLES)(data_looks.preview)

LIST_EXAMPLES = epilog("segformer data list", "segformer data list --json")
SAMPLE_EXAMPLES = epilog(
    "segformer data sample -o scenes/", "segformer data sample -o scenes/ --train 100 --val 20 --size 512x1024"
)

Folder = typer.Option("--out", "-o", metavar="FOLDER", help="A new folder.", rich_help_panel=o.OUTPUT)
Train = typer.Option("--train", metavar="N", help="Scenes to train on.", min=0, rich_help_panel=o.WHAT)
Val = typer.Option("--val", metavar="N", help="Scenes to score on.", min=0, rich_help_panel=o.WHAT)
Size = typer.Option("--size", metavar="HxW", help="Of each scene.", rich_help_panel=o.WHAT)
Seed = o.text_option("--seed", metavar="N", help="First seed; default: each split's own.", panel=o.WHAT)


@app.command("list", cls=Page, epilog=LIST_EXAMPLES)
def list_layouts(
    context: typer.Context,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """List the layouts of data that are recognised, and where the data comes from."""
    with o.console(context) as console:
        from segformer_cli.data.layouts.detect import LAYOUTS

        needs = {name: layout.NEEDS for name, layout in LAYOUTS.items()}
        sources = {name: layout.SOURCE for name, layout in LAYOUTS.items() if hasattr(layout, "SOURCE")}
        console.table("", ["layout", "is recognised by"], list(needs.items()))
        console.table("", ["layout", "where it comes from"], list(sources.items()))
        console.done(
            {"layouts": [{"name": name, "needs": text, "source": sources.get(name)} for name, text in needs.items()]},
            next_command="segformer eval -d NAME:PATH -w WEIGHTS",
        )


@app.command("sample", cls=Page, epilog=SAMPLE_EXAMPLES)
def sample(
    context: typer.Context,
    out: Annotated[Path, Folder],
    train: Annotated[int, Train] = 24,
    val: Annotated[int, Val] = 8,
    size: Annotated[str, Size] = "256x512",
    seed: Annotated[int | None, Seed] = None,
    force: o.ForceOption = None,
    dry_run: o.DryRunOption = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Draw street scenes with their masks, in the Cityscapes layout."""
    with o.console(context) as console:
        height, width = _size_hw(size)
        results = {"path": str(out), "images": train + val, "size_hw": [height, width]}
        if dry_run:
            console.done(results, summary=f"would draw {train + val} scenes of {height}x{width} into {out}")
            return

        from segformer_cli.data.sample import write_sample

        splits = {"train": train, "val": val}
        write_sample(out, splits, (height, width), seed, console.progress, force=bool(force))
        console.done(
            results,
            artifacts=[str(out)],
            summary=f"{out}: {train + val} scenes of {height}x{width}",
            next_command=f"segformer train -d cityscapes:{out} -w none --iterations 20",
        )


def _size_hw(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if found is None or min(map(int, found.groups())) < 32:
        raise UsageError(f"size is {text!r}; accepted: HxW such as 512x1024, from 32 on", where="in --size")
    return int(found[1]), int(found[2])
