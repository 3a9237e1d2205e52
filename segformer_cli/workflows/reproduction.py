"""A run done again: what differs from when it was made, and whether the same comes of it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segformer_cli.config import TrainConfig
from segformer_cli.errors import SegFormerError, UsageError
from segformer_cli.model.checkpoint import load_checkpoint
from segformer_cli.progress import ProgressListener, ignore_progress
from segformer_cli.settings import resolve, written_as_yaml
from segformer_cli.workflows.planning import TrainingPlan, plan
from segformer_cli.workflows.run_list import CONFIG, is_finished, steps, validations
from segformer_cli.workflows.runs import DATA, ENVIRONMENT, Run, environment, fingerprint, weights_fingerprint
from segformer_cli.workflows.training import train

TOLERANCE = 1e-4
"""Largest difference of a score that still counts as the same."""

SCORES = ("miou", "macc", "aacc")
VERSIONS = ("segformer", "python", "torch", "numpy", "opencv", "cuda")
MACHINE = ("device", "devices")
"""Settings that say where a run computes."""

NO_MATTER = frozenset(
    ("resume", "out", "force", "offline", "workers", "log_every", "checkpoint_every", "track", "preset", "nnodes",
     "rdzv_endpoint", "data", "weights")
)
"""Settings that change no step. What data and weights hold is compared, not what they are called."""

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True)
class Difference:
    """One thing that is not what it was when the run was made; None for what is not known."""

    of: Literal["settings", "data", "weights", "versions", "machine"]
    what: str
    then: object
    now: object


@dataclass(frozen=True)
class Circumstances:
    """What a run was made from, and where."""

    config: TrainConfig
    data: Mapping[str, Any]
    environment: Mapping[str, Any]


@dataclass(frozen=True)
class Preparation:
    """All that is needed to do a run again, and what differs; `begun` is a folder in which that has begun already."""

    run: Path
    differences: tuple[Difference, ...]
    plan: TrainingPlan | None
    begun: Path | None = None


@dataclass(frozen=True)
class Reproduction:
    """What came of doing a run again; of each pair the first is the run's.

    `first_other_loss` is the first logged iteration whose losses differ. `largest_score_difference` is that of mIoU,
    mAcc and aAcc in any validation, infinite where one run has validations that the other has not.
    """

    run: str
    reproduction: str
    same_weights: bool
    largest_weight_difference: float
    first_other_loss: int | None
    best_miou: tuple[float, float]
    final_miou: tuple[float, float]
    largest_score_difference: float
    tolerance: float = TOLERANCE

    @property
    def reproduced(self) -> bool:
        """Whether all scores are the same up to the tolerance."""
        return self.largest_score_difference <= self.tolerance

    @property
    def verdict(self) -> str:
        """One line for a person."""
        if self.same_weights and self.largest_score_difference == 0:
            return "the same weights to the bit, and the same scores"
        parted = "" if self.first_other_loss is None else f"; losses part at iteration {self.first_other_loss}"
        weights = f"weights differ by up to {self.largest_weight_difference:.1e}{parted}"
        if self.reproduced:
            return f"the same scores (largest difference {self.largest_score_difference:.1e}); {weights}"
        best = f"best mIoU {self.best_miou[0]:.4f} then, {self.best_miou[1]:.4f} now"
        return f"other scores: they differ by up to {self.largest_score_difference:.4f} ({best}); {weights}"


def prepare(
    run: str | Path,
    *,
    out: str | None = None,
    data: str | None = None,
    weights: str | None = None,
    device: str | None = None,
    force: bool = False,
    offline: bool = False,
    progress: ProgressListener = ignore_progress,
) -> Preparation:
    """What differs today from when a run was made; nothing is written.

    Args:
        out: the new run's folder; where that holds a reproduction already, it is gone on with, or only compared.
        data, weights: where these lie now, if not where they lay.

    Raises:
        SegFormerError: `run` is no run, or what it was made from is not there any more.
        UsageError: `out` is the run itself, or holds one of other settings.
    """
    folder = Path(run)
    then = circumstances_of(folder)
    then = dataclasses.replace(then, config=dataclasses.replace(then.config, **_decided(Run(folder))))
    if then.config.folds is not None and then.config.fold is None:
        hint = f"each fold is a run: segformer reproduce {folder / 'fold_1'}"
        raise SegFormerError(f"{folder} is a cross-validation", where=str(folder / CONFIG), hint=hint)
    if out is not None and Path(out).resolve() == folder.resolve():
        raise UsageError(f"{out} is the run itself", where="-o", hint="name another folder for the new one")
    if out is not None and (Path(out) / CONFIG).is_file() and not force:
        differences = _differences(then, circumstances_of(Path(out)))
        _refuse_other_settings(Path(out), differences)
        return Preparation(folder, differences, None, Path(out))
    asked = dataclasses.replace(
        then.config,
        out=out,
        data=data or then.config.data,
        weights=weights or then.config.weights,
        device=device or then.config.device,
        devices=1,
        workers=None,
        nnodes="1",
        rdzv_endpoint=None,
        resume=False,
        force=force,
        offline=offline,
        track=(),
    )
    planned = plan(asked, progress)
    found = {"train": fingerprint(planned.train), "val": fingerprint(planned.val)}
    found["weights"] = weights_fingerprint(planned.start, planned.checkpoint)
    return Preparation(folder, _differences(then, Circumstances(planned.config, found, environment())), planned)


def reproduce(prepared: Preparation, progress: ProgressListener = ignore_progress) -> Reproduction:
    """Trains again, and compares what came of it with what came of the run.

    Raises:
        SegFormerError: the run is not finished, so that there is nothing to compare with.
        UsageError: the data has another number of classes, so that no weights can be compared.
        Interrupted: it was stopped; the same call with the new folder as `out` goes on.
    """
    run, new = prepared.run, prepared.begun
    if not is_finished(run):
        raise SegFormerError(
            f"the run {run.name} is not finished: there is nothing to compare with",
            where=str(run),
            hint=f"segformer train --resume -o {run}",
        )
    _refuse_other_classes(prepared.differences)
    if new is None:
        assert prepared.plan is not None
        new = Path(train(prepared.plan, progress).run)
    elif not is_finished(new):
        train(TrainConfig(resume=True, out=str(new)), progress)
    return compare_runs(run, new)


def compare_runs(run: Path, new: Path) -> Reproduction:
    """Two finished runs beside each other: weights, losses, scores."""
    ours, theirs = (load_checkpoint(Run(folder).checkpoint("last")).tensors for folder in (run, new))
    apart = [float((ours[name].double() - theirs[name].double()).abs().max()) for name in ours]
    rows, again = validations(run), validations(new)
    losses, losses_again = _losses(run), _losses(new)
    parted = [at for at in sorted(losses.keys() & losses_again.keys()) if losses[at] != losses_again[at]]
    return Reproduction(
        run=str(run),
        reproduction=str(new),
        same_weights=all(ours[name].equal(theirs[name]) for name in ours),
        largest_weight_difference=max(apart),
        first_other_loss=parted[0] if parted else None,
        best_miou=(_best(rows), _best(again)),
        final_miou=(rows[-1]["miou"], again[-1]["miou"]),
        largest_score_difference=_largest_difference(rows, again),
    )


def circumstances_of(folder: Path) -> Circumstances:
    """What the files of a run say it was made from.

    Raises:
        SegFormerError: it is no run, or one of them cannot be read.
        ConfigError: its settings are not those of this version.
    """
    if not (folder / CONFIG).is_file():
        raise SegFormerError(f"{folder} is no run", where=str(folder.absolute()), hint="segformer runs lists them")
    config = resolve(TrainConfig, file=folder / CONFIG)
    return Circumstances(config, _read(folder / DATA), _read(folder / ENVIRONMENT))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SegFormerError(f"cannot read {path.name} of the run", where=str(path)) from error
    return found if isinstance(found, dict) else {}


def _decided(run: Run) -> dict[str, Any]:
    """The settings that stand for what a run found out as it went: in how many parts, which precision, compiled."""
    taken = run.decisions()
    found = {"accumulate": taken.get("accumulate"), "precision": PRECISIONS.get(taken.get("dtype", ""))}
    if "compiled" in taken:
        found["compile"] = "on" if taken["compiled"] else "off"
    return {key: value for key, value in found.items() if value is not None}


def _differences(then: Circumstances, now: Circumstances) -> tuple[Difference, ...]:
    return (
        *_of_settings(then.config, now.config),
        *(each for split in ("train", "val") for each in _of_split(split, then.data, now.data)),
        *_of_weights(then.data.get("weights") or {}, now.data["weights"]),
        *_of_environment(then.environment, now.environment),
    )


def _of_settings(then: TrainConfig, now: TrainConfig) -> list[Difference]:
    names = [field.name for field in dataclasses.fields(TrainConfig) if field.name not in NO_MATTER]
    return [
        Difference("machine" if name in MACHINE else "settings", name, getattr(then, name), getattr(now, name))
        for name in names
        if getattr(then, name) != getattr(now, name)
    ]


def _of_split(split: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Differences of a split; that names or sizes of files differ is said where nothing plainer is."""
    old, new = then.get(split) or {}, now.get(split) or {}
    keys = [key for key in new if old.get(key) != new[key]]
    plain = [key for key in keys if not key.startswith("sha256")]
    return [Difference("data", f"{split}: {key.replace('_', ' ')}", old.get(key), new[key]) for key in plain or keys]


def _of_weights(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    if then.get("sha256_of_tensors", "not recorded") == now["sha256_of_tensors"]:
        return []
    return [Difference("weights", "start", _named(then), _named(now))]


def _named(weights: Mapping[str, Any]) -> str | None:
    if not weights:
        return None
    digest = weights["sha256_of_tensors"]
    return f"{weights['start']}" if digest is None else f"{weights['start']}, sha256 {digest}"


def _of_environment(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Differences of what is on record of both; earlier versions wrote less."""
    names = [*VERSIONS, *(name for name in now if name not in VERSIONS)]
    return [
        Difference("versions" if name in VERSIONS else "machine", name, then.get(name), now.get(name))
        for name in names
        if name in then and then[name] != now.get(name)
    ]


def _refuse_other_settings(out: Path, differences: tuple[Difference, ...]) -> None:
    for each in differences:
        if each.of == "settings":
            raise UsageError(
                f"{out} holds another run: its {each.what} is {written_as_yaml(each.now)}, that of the run to be done "
                f"again {written_as_yaml(each.then)}",
                where=str(out / CONFIG),
                hint="choose another -o, or add --force",
            )


def _refuse_other_classes(differences: tuple[Difference, ...]) -> None:
    for then, now in ((each.then, each.now) for each in differences if each.what == "train: classes"):
        if isinstance(then, list) and isinstance(now, list) and len(then) != len(now):
            raise UsageError(
                f"the data has {len(now)} classes, that of the run {len(then)}: their weights cannot be compared",
                where="-d",
                hint="name the data that the run was made with, wherever it lies now",
            )


def _losses(folder: Path) -> dict[int, float]:
    return {int(row["iteration"]): row["loss"] for row in steps(folder)}


def _best(rows: list[dict[str, float]]) -> float:
    return max((row["miou"] for row in rows if not math.isnan(row["miou"])), default=math.nan)


def _largest_difference(rows: list[dict[str, float]], again: list[dict[str, float]]) -> float:
    if [row["iteration"] for row in rows] != [row["iteration"] for row in again]:
        return math.inf
    pairs = [(row[name], other[name]) for row, other in zip(rows, again, strict=True) for name in SCORES]
    return max((_apart(a, b) for a, b in pairs), default=math.inf)


def _apart(a: float, b: float) -> float:
    """How far two scores are apart: not at all where both are undefined, without end where one is."""
    if math.isnan(a) or math.isnan(b):
        return 0.0 if math.isnan(a) and math.isnan(b) else math.inf
    return abs(a - b)
