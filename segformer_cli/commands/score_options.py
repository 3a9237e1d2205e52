"""The words of scoring: options of `eval`, some of which `compare` shares."""

from __future__ import annotations

from typing import Annotated

from segformer_cli.commands.options import HOW, OUTPUT, WHAT, switch_option, text_option

Text = str | None
Switch = bool | None

SplitOption = Annotated[
    Text,
    text_option(
        "--split", metavar="NAME", help="train, val (default), test; all: of a folder not divided.", panel=WHAT
    ),
]
LimitOption = Annotated[Text, text_option("--limit", metavar="N", help="Score only the first N images.", panel=WHAT)]
PredictionsOption = Annotated[
    Text, text_option("--predictions", metavar="FOLDER", help="Score masks of any tool, not weights.", panel=WHAT)
]
ByNameOption = Annotated[
    Switch, switch_option("--by-name", help="Match classes of weights and data by name.", panel=WHAT)
]
AliasOption = Annotated[
    list[str] | None,
    text_option("--alias", metavar="WEIGHTS=DATA", help="Two names of one class.", panel=WHAT, hidden=True),
]
ProtocolOption = Annotated[
    Text,
    text_option(
        "--protocol", metavar="NAME", help="ade20k, cityscapes, native ...; default: of weights and data.", panel=HOW
    ),
]
MultiScaleOption = Annotated[
    Switch, switch_option("--multi-scale", help="Average over scales and mirror images.", panel=HOW, hidden=False)
]
ScoreSizeOption = Annotated[
    Text,
    text_option(
        "--size",
        metavar="SIZE",
        help="N (short side), HxW (fits inside) or native; default: the protocol's.",
        panel=HOW,
    ),
]
EvalBatchSizeOption = Annotated[
    Text, text_option("--batch-size", "-b", metavar="N|auto", help="Images a step.", panel=HOW, hidden=True)
]
ResamplesOption = Annotated[
    Text, text_option("--resamples", metavar="N", help="Draws of the images; default 1000.", panel=HOW)
]
DrawSeedOption = Annotated[
    Text, text_option("--seed", metavar="N", help="Of the draws for the interval.", panel=HOW, hidden=True)
]
GroupImagesOption = Annotated[
    Text,
    text_option(
        "--group-images", metavar="REGEX", help="Draw whole videos for the interval.", panel=HOW, hidden=True
    ),
]
DialectOption = Annotated[
    list[str] | None,
    text_option(
        "--dialect", metavar="TOOL", help="Also by another tool's rule: mmseg, paddle ... or all.", panel=OUTPUT
    ),
]
GroupOption = Annotated[
    list[str] | None,
    text_option(
        "--group", metavar="NAME=A,B", help="Also score classes as one; repeatable.", panel=OUTPUT, hidden=True
    ),
]
BoundaryOption = Annotated[Switch, switch_option("--boundary", help="Also boundary IoU and trimap IoU.")]
ObjectSizesOption = Annotated[
    Switch, switch_option("--object-sizes", help="Also IoU of small, medium and large objects.")
]
CalibrationOption = Annotated[
    Switch, switch_option("--calibration", help="Also whether confidences are to be believed.", hidden=False)
]
FitTemperatureOption = Annotated[
    Switch, switch_option("--fit-temperature", help="Fit a temperature; -o FILE.safetensors writes it.")
]
SubmissionOption = Annotated[
    Text,
    text_option(
        "--submission", metavar="FOLDER", help="Write masks for the test server.", panel=OUTPUT, hidden=True
    ),
]
ReportOption = Annotated[
    Text, text_option("--report", metavar="FILE", help="Everything to look at, in one HTML file.", panel=OUTPUT)
]
AllOption = Annotated[bool, switch_option("--all", help="Every class, however many.")]
MinMiouOption = Annotated[
    Text, text_option("--min-miou", metavar="SHARE", help="Exit 3 when mIoU is below it.", panel=OUTPUT)
]
ScoreOutOption = Annotated[
    Text,
    text_option(
        "--out", "-o", metavar="FOLDER", help="For result.json, per_image.npz; default: below runs/.", panel=OUTPUT
    ),
]
