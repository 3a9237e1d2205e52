"""The published weights by name: where they lie, what they are, and under which licence."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from segformer_cli.errors import WeightsError
from segformer_cli.resize import SizePolicy

NVIDIA_LICENCE = "NVIDIA Source Code License for SegFormer (non-commercial)"

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
SAFETENSORS = "model.safetensors"
PICKLE = "pytorch_model.bin"

_REPO = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_FILE_ENDINGS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".pt2", ".onnx", ".xml", ".yaml", ".json")


@dataclass(frozen=True, kw_only=True)
class NamedWeights:
    """Where published weights lie, and what they are.

    The first of `files` that the repository has is taken. `size` is what pictures were tested at (spec 3.2), None
    where that is their own size or the file says it. `sha256` is that of the first one at `revision`;
    None where nobody published it, and the hub's own hash of the file is then the only one to compare with.
    """

    name: str
    repo: str
    variant: str | None = None
    task: str | None = None
    licence: str
    files: tuple[str, ...] = (SAFETENSORS, PICKLE)
    revision: str = "main"
    sha256: str | None = None
    size: SizePolicy | None = None


def _nvidia(
    variant: str, task: str, repo: str, suffix: str = "", size: SizePolicy | None = None
) -> NamedWeights:
    return NamedWeights(
        name=f"{variant}-{task}{suffix}",
        repo=f"nvidia/{repo}",
        variant=variant,
        task=task,
        licence=NVIDIA_LICENCE,
        size=size,
    )


def _fitted(height: int, width: int) -> SizePolicy:
    return SizePolicy(short=height, long=width, align=1)


_PUBLISHED = (
    NamedWeights(
        name="b0-ade20k",
        repo="nvidia/segformer-b0-finetuned-ade-512-512",
        variant="b0",
        task="ade20k",
        licence=NVIDIA_LICENCE,
        files=(SAFETENSORS,),
        # Not measured by us: read in public files that pin this commit and give the same hash, with 15,036,944
        # bytes ("FCP atlas flower-ROI v3", 2026-08-31, "also reported by the pinned Hugging Face blob metadata",
        # and nine more files that a text search for the hash finds). `make online-check` confirms it.
        revision="489d5cd81a0b59fab9b7ea758d3548ebe99677da",
        sha256="6ae39addd01de6b1b8bde2cf677d43a5cd733424b8d186de3f95d1c51fee23f9",
    ),
    *(_nvidia(f"b{i}", "ade20k", f"segformer-b{i}-finetuned-ade-512-512") for i in range(1, 5)),
    _nvidia("b5", "ade20k", "segformer-b5-finetuned-ade-640-640"),
    *(_nvidia(f"b{i}", "cityscapes", f"segformer-b{i}-finetuned-cityscapes-1024-1024") for i in range(6)),
    _nvidia("b0", "cityscapes", "segformer-b0-finetuned-cityscapes-512-1024", "-512x1024", _fitted(512, 1024)),
    _nvidia("b0", "cityscapes", "segformer-b0-finetuned-cityscapes-640-1280", "-640x1280", _fitted(640, 1280)),
    _nvidia("b0", "cityscapes", "segformer-b0-finetuned-cityscapes-768-768", "-768x768", _fitted(768, 1536)),
    *(_nvidia(f"b{i}", "imagenet", f"mit-b{i}") for i in range(6)),
)

NAMED_WEIGHTS: Mapping[str, NamedWeights] = MappingProxyType({row.name: row for row in _PUBLISHED})
"""Short name -> where it lies. Source: the published repositories of the authors."""


def is_hub_name(text: str) -> bool:
    """Whether `text` reads as weights on the hub: a short name, or `owner/name`.

    The disk is not asked: `runs/first` reads as one too, so look for a file or folder of that name first.

    >>> is_hub_name("b0-ade20k"), is_hub_name("nvidia/mit-b0"), is_hub_name("runs/best.pth")
    (True, True, False)
    """
    if text.lower() in NAMED_WEIGHTS:
        return True
    return _REPO.fullmatch(text) is not None and not text.lower().endswith(_FILE_ENDINGS)


def find(name: str) -> NamedWeights:
    """The weights of a short name, or of any `owner/name`.

    Raises:
        WeightsError: there are none of that name.
    """
    short = name.lower()
    for row in NAMED_WEIGHTS.values():
        if short in (row.name, row.repo):
            return row
    if not is_hub_name(name):
        raise WeightsError(f"there are no weights named {name!r}", hint=guess(short))
    converted = name.startswith(("nvidia/segformer-", "nvidia/mit-", "smp-hub/segformer-", "smp-hub/mit_"))
    licence = NVIDIA_LICENCE if converted else f"not known here, see the model card of {name}"
    return NamedWeights(name=name, repo=name, licence=licence)


def licence_of(name: str) -> str | None:
    """The licence to store in what is made from the weights `name`; None for a name that is not on the hub.

    For a repository that we know nothing of the answer says so: "none" would be a claim.
    """
    return find(name).licence if is_hub_name(name) else None


def licence_notice(name: str) -> str | None:
    """What a user is told once of the licence of the weights `name`; None for a name not on the hub."""
    if not is_hub_name(name):
        return None
    weights = find(name)
    if weights.licence != NVIDIA_LICENCE:
        return f"{weights.name}: licence {weights.licence}; it may bind what you train or export from them"
    return (
        f"{weights.name}: {NVIDIA_LICENCE}: for research or evaluation only, and so is what you train or export "
        "from these weights; `train -w none` starts without them"
    )


def provenance(licence: str | None) -> str:
    """The line that `weights info` and the training summary show, from `ModelConfig.licence`.

    >>> provenance(NVIDIA_LICENCE), provenance(None)
    ('contains NVIDIA weights: non-commercial', 'no third-party weights')
    """
    if licence is None:
        return "no third-party weights"
    if licence == NVIDIA_LICENCE:
        return "contains NVIDIA weights: non-commercial"
    return f"contains third-party weights: licence {licence}"


def guess(name: str) -> str:
    """A hint for a name that is not known: the closest one, or where to look."""
    known = ["sample", *NAMED_WEIGHTS, *(row.repo for row in NAMED_WEIGHTS.values())]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else "`segformer weights list` shows the names"
