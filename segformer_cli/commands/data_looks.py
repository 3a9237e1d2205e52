"""`segformer data stats`, `segformer data preview`: the numbers of a split, and a sheet of it to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from segformer_cli.commands import options as o
from segformer_cli.commands.help_pages import epilog
from segformer_cli.config import PreviewConfig, StatsConfig

STATS_EXAMPLES = epilog(
    "segformer data stats -d my-data/",
    "segformer data stats -d cityscapes:/data/cityscapes --split val --json",
    note=o.also("--image-suffix", "--mask-suffix", "--map", "--reduce-zero", "--bands"),
)
PREVIEW_EXAMPLES = epilog(
    "segformer data preview -d my-data/ -o sheet.png",
    "segformer data preview -d ade20k:/data/ade -o sheet.png --set preset=ade20k --limit 12",
    note=o.also("--image-suffix", "--mask-suffix", "--map", "--reduce-zero", "--bands"),
)

Split = o.text_option("--split", metavar="NAME", help="train (default), val ...", panel=o.WHAT)
Measured = o.text_option("--limit", metavar="N", help="Pictures measured; default: 500.", panel=o.WHAT)
Shown = o.text_option("--limit", metavar="N", help="Pictures on the sheet; default: 6.", panel=o.WHAT)
Threads = o.text_option("--workers", "-j", metavar="N", help="Threads that read; default: one a core.", panel=o.HOW)
CropSize = o.text_option("--crop-size", metavar="HxW", help="Of the crops; default: train's.", panel=o.HOW)
Seed = o.text_option("--seed", metavar="N", help="Of the augmentation.", panel=o.HOW)
Sheet = o.text_option("--out", "-o", metavar="FILE", help="The PNG; default: preview.png.", panel=o.OUTPUT)


def stats(
    context: typer.Context,
    data: o.DataOption = None,
    split: Annotated[str | None, Split] = None,
    limit: Annotated[str | None, Measured] = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    map: o.MapOption = None,
    reduce_zero: o.ReduceZeroOption = None,
    bands: o.BandsOption = None,
    workers: Annotated[str | None, Threads] = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(StatsConfig)] = False,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Count classes, and measure pictures."""
    with o.console(context) as console:
        settings = o.settled(StatsConfig, context, console)

        from segformer_cli.workflows.data_stats import data_stats

        found = data_stats(settings, console.progress)
        shares, weights, images = found.classes.shares, found.classes.weights(), found.images_showing
        rows = [
            (name, float(shares[k]), int(images[k]), float(weights[k]))
            for k, name in enumerate(found.split.class_names)
        ]
        console.table("", ["class", "share", "images", "weight"], rows)
        values = found.values
        names = found.split.bands or ("red", "green", "blue")
        rows_of_bands = zip(names, values.mean.tolist(), values.std.tolist(), strict=True)
        console.table("", ["band", "mean", "std"], [(str(name), mean, std) for name, mean, std in rows_of_bands])
        sizes = [(f"{height}x{width}", count) for (height, width), count in values.sizes.most_common(5)]
        console.table("", ["size", "images"], sizes)
        of_all = f"; means and sizes are of {values.measured}" if values.measured < len(found.split) else ""
        console.done(
            found.to_json(),
            summary=f"{found.split.data} {found.split.name}: {len(found.split)} images{of_all}",
            next_command=f"segformer train {o.same_data(settings)} --set class_weights=auto",
        )


def preview(
    context: typer.Context,
    data: o.DataOption = None,
    split: Annotated[str | None, Split] = None,
    limit: Annotated[str | None, Shown] = None,
    image_suffix: o.ImageSuffixOption = None,
    mask_suffix: o.MaskSuffixOption = None,
    map: o.MapOption = None,
    reduce_zero: o.ReduceZeroOption = None,
    bands: o.BandsOption = None,
    crop_size: Annotated[str | None, CropSize] = None,
    seed: Annotated[str | None, Seed] = None,
    config: o.ConfigOption = None,
    set: o.SetOption = None,
    help_config: Annotated[bool, o.help_config(PreviewConfig)] = False,
    out: Annotated[str | None, Sheet] = None,
    force: o.ForceOption = None,
    json: o.JsonOption = False,
    quiet: o.QuietOption = False,
    verbose: o.VerboseOption = False,
    no_progress: o.NoProgressOption = False,
) -> None:
    """Draw pictures, their targets, and crops as training sees them."""
    with o.console(context) as console:
        settings = o.settled(PreviewConfig, context, console)

        from segformer_cli.workflows.data_preview import preview_data

        found = preview_data(settings, console.progress)
        height, width = found.crop_size
        console.done(
            {"path": found.path, "images": found.keys, "crop_size_hw": [height, width], "classes": found.class_names},
            artifacts=[found.path],
            summary=f"{found.path}: {len(found.keys)} images, crops of {height} x {width}",
            next_command=f"segformer train {o.same_data(settings)}",
        )
