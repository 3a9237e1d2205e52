"""The words of corruptions: options that `eval-robust` and `corrupt` share."""

from __future__ import annotations

from typing import Annotated

from segformer_cli.commands.options import HOW, WHAT, switch_option, text_option

Text = str | None
Switch = bool | None

RobustProtocolOption = Annotated[
    Text,
    text_option(
        "--protocol", metavar="NAME", help="cityscapes-c (default), all19, fan, noise, blur, ...", panel=WHAT
    ),
]
CorruptionsOption = Annotated[
    Text, text_option("--corruptions", metavar="LIST", help="By name: fog,snow,motion_blur.", panel=WHAT)
]
SeveritiesOption = Annotated[
    Text, text_option("--severities", metavar="LIST", help="1 to 5, for every corruption: 1,3,5.", panel=WHAT)
]
CorruptionSeedOption = Annotated[
    Text, text_option("--seed", metavar="N", help="Of the corruptions; default 0.", panel=HOW)
]
RngOption = Annotated[
    Text,
    text_option("--rng", metavar="NAME", help="fast (default), or reference: as imagecorruptions draws.", panel=HOW),
]
ChannelOrderOption = Annotated[
    Text,
    text_option(
        "--channel-order", metavar="ORDER", help="rgb (default), or bgr: as FAN and OpenMMLab.", panel=HOW, hidden=True
    ),
]
FrostDirOption = Annotated[
    Text, text_option("--frost-dir", metavar="FOLDER", help="The original frost textures.", panel=HOW, hidden=True)
]
CityscapesCOption = Annotated[
    Switch,
    switch_option("--cityscapes-c", help="The paper's 72 variants (the default).", panel=WHAT, hidden=False),
]
SpreadLimitOption = Annotated[
    Text, text_option("--limit", metavar="N", help="Score only N images, evenly spaced.", panel=WHAT)
]
ReferenceOption = Annotated[
    Text,
    text_option(
        "--cd-reference", metavar="NAME", help="CD and rCD beside dlv3plus-mbv2 ... or a result's folder.", panel=HOW
    ),
]
SweepOption = Annotated[
    Switch,
    switch_option("--resolution-sweep", help="Also several sizes, whole and in windows.", panel=HOW, hidden=False),
]
EveryCorruptionOption = Annotated[
    Switch, switch_option("--all", help="All 19 corruptions at all 5 severities.", panel=WHAT, hidden=False)
]
RobustSizeOption = Annotated[
    Text,
    text_option("--size", metavar="SIZE", help="N, HxW or native; default: the checkpoint's.", panel=HOW, hidden=True),
]
