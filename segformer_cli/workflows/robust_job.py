"""A robustness run before its first picture: what is asked for, looked up, opened and checked."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import segformer_cli
from segformer_cli.atomic import refuse_unwritable
from segformer_cli.config import EvalConfig, RobustConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.layouts import acdc
from segformer_cli.data.layouts.pictures import open_pictures
from segformer_cli.data.pairs import Split
from segformer_cli.engine.device import choose_device, default_workers
from segformer_cli.engine.exported import ExportedModel
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.errors import DataError, UsageError
from segformer_cli.metrics.clusters import clusters_of
from segformer_cli.model.segformer import SegFormer
from segformer_cli.progress import Progress, ProgressListener
from segformer_cli.reports.page import refuse_other_than_html
from segformer_cli.robustness.corrupter import Corrupter
from segformer_cli.robustness.degradation import Reference
from segformer_cli.robustness.frost import textures_from
from segformer_cli.robustness.protocols import DEFAULT, NONE, RobustProtocol, choose_robust_protocol, severities_of
from segformer_cli.robustness.published import TABLE5, reference
from segformer_cli.settings import checked
from segformer_cli.workflows.claims import is_claimed
from segformer_cli.workflows.class_match import check_classes
from segformer_cli.workflows.results import free_folder
from segformer_cli.workflows.robust_counts import saved_settings
from segformer_cli.workflows.robust_files import is_robust, robust_paths, saved_reference
from segformer_cli.workflows.runs import fingerprint
from segformer_cli.workflows.sources import chosen_protocol, default_weights, scored

STATE = "unfinished"
"""The folder within a run's own that holds what it goes on from; it goes when the run ends."""

RUNS = Path("runs") / "eval-robust"
DATASET_VARIABLE = "CITYSCAPES_DATASET"


@dataclass(frozen=True, eq=False)
class Job:
    """Everything that is decided before the first picture.

    `of_all` is how many pictures the split has, of which `split` may be fewer. `clusters` are those of the pictures'
    keys, `conditions` the indices of the pictures under each. `folder` is where the result goes; `state` is what a run
    must have in common with one that stopped there.
    """

    config: RobustConfig
    split: Split
    of_all: int
    segmenter: Segmenter
    protocol: RobustProtocol
    corrupter: Corrupter
    reference: Reference | None
    clusters: Mapping[str, str] | None
    folder: Path
    state: Mapping[str, object]
    workers: int
    precision: str
    conditions: Mapping[str, tuple[int, ...]]

    def sentence(self, through: int) -> str:
        """How the scores come about, of as many pictures as are through all cells."""
        N, data = len(self.split), f"{self.split.data} {self.split.name}"
        images = f"{N} of {self.of_all} images, evenly spaced," if self.of_all > N else f"{N} images"
        if through < N:
            images += f" ({N - through} failed)"
        how = "" if self.precision == "fp32" else f", in {self.precision}"
        chance = f"seed {self.corrupter.seed}, {self.corrupter.mode} random numbers"
        order = "" if self.corrupter.channel_order == "rgb" else ", channels in the order bgr"
        if "frost" in self.protocol.corruptions:
            order += ", drawn frost" if self.corrupter.frost is None else ", the original frost"
        corrupted = f"and under {self.protocol}, {chance}{order}; corrupted at their own size, then"
        counted = "counted at label size, classes in neither map left out of the mean"
        if not self.split.labelled:
            counted = "no labels: masks beside those of the clean pictures, at the pictures' own size"
        return (
            f"{images} of {data}, each as it is {corrupted if self.protocol.cells else 'and no other way;'} "
            f"{self.segmenter.protocol}{how}; {counted}"
        )


def plan(config: RobustConfig) -> str:
    """What `eval_robust` would do, in one sentence; nothing is read but the list of pictures.

    Raises:
        SegFormerError: as `eval_robust`, for what can be known beforehand.
    """
    config, protocol = _checked(config)
    split = _open(config, ()).spread(config.limit)
    return f"would score {config.weights} on {len(split)} images of {config.data}, as they are and under {protocol}"


def prepared(config: RobustConfig, progress: ProgressListener) -> Job:
    """Everything that is decided before the first picture, with the weights loaded and the list of pictures read.

    Raises:
        SegFormerError: as `eval_robust`.
    """
    named = config.data
    config, protocol = _checked(config)
    if named is None:
        progress(Progress("data", 0, message=_default_data_note()))
    assert config.weights
    frost = textures_from(Path(config.frost_dir)) if config.frost_dir else None
    corrupter = Corrupter(seed=config.seed, mode=config.rng, channel_order=config.channel_order, frost=frost)
    against = _reference(config.cd_reference, protocol) if config.cd_reference else None
    model = load_model(config.weights, offline=config.offline, trust=config.trust, progress=progress)
    segmenter, precision = scored(model, choose_device(config.device), config.precision)
    whole = _open(config, segmenter.config.class_names)
    if segmenter.config.bands or whole.bands:
        raise UsageError(
            "corruptions are made of 8-bit RGB pictures; these weights or this data have other bands",
            where=f"-w {config.weights} -d {config.data}",
            hint="segformer eval scores them on the pictures as they are",
        )
    split = whole.spread(config.limit)
    _check_classes(segmenter, split)
    if not split.labelled and not protocol.cells:
        raise UsageError(
            f"split {split.name!r} of {split.data} has no labels, and nothing is to be corrupted: nothing is measured",
            hint="leave out protocol none, or name --corruptions",
        )
    if against is not None:
        _refuse_nothing_in_common(against, protocol)
    clusters = None
    if config.group_images:
        keys = [pair.key for pair in split.pairs]
        clusters = dict(zip(keys, clusters_of(keys, config.group_images), strict=True))
    segmenter = replace(segmenter, protocol=chosen_protocol(_as_eval(config), segmenter.config, split))
    state = _state(config, protocol, split, segmenter, precision) | {"weights": _digest(model)}
    return Job(
        config=replace(config, split=split.name),
        split=split,
        of_all=len(whole),
        segmenter=segmenter,
        protocol=protocol,
        corrupter=corrupter,
        reference=against,
        clusters=clusters,
        folder=_folder(config, state),
        state=state,
        workers=default_workers() if config.workers is None else config.workers,
        precision=precision,
        conditions=_conditions(config, split),
    )


def _check_classes(segmenter: Segmenter, split: Split) -> None:
    try:
        check_classes(segmenter.config, split)
    except DataError as error:
        if "--by-name" in (error.hint or ""):
            error.hint = "take weights of these classes; eval --by-name scores others, without corruptions"
        raise


def _refuse_nothing_in_common(against: Reference, protocol: RobustProtocol) -> None:
    asked = severities_of(protocol.cells)
    if any(against.severities.get(name) == severities for name, severities in asked.items()):
        return
    raise UsageError(
        f"{against.name} has no corruption of {protocol.name} over the same severities: there is no CD",
        hint="leave out --cd-reference, or take its own protocol",
    )


def _conditions(config: RobustConfig, split: Split) -> dict[str, tuple[int, ...]]:
    """The indices of the pictures under each condition, by its name."""
    pattern = config.conditions or (acdc.CONDITIONS if split.data == acdc.NAME else None)
    if pattern is None:
        return {}
    names = clusters_of([pair.key for pair in split.pairs], pattern, "conditions")
    return {name: tuple(index for index, each in enumerate(names) if each == name) for name in sorted(set(names))}


def default_data(environ: Mapping[str, str] = os.environ) -> str:
    """What is scored where no data are named: Cityscapes if $CITYSCAPES_DATASET says where, else the sample."""
    folder = environ.get(DATASET_VARIABLE)
    return f"cityscapes:{folder}" if folder else "sample"


def _default_data_note() -> str:
    data = default_data()
    why = f"neither --data nor ${DATASET_VARIABLE} is given" if data == "sample" else f"${DATASET_VARIABLE} says so"
    return f"data: {data} ({why})"


def _checked(config: RobustConfig) -> tuple[RobustConfig, RobustProtocol]:
    """The config with its data and weights named, and the corruptions it asks for; what has no meaning is refused."""
    config = checked(config)
    if config.cityscapes_c and config.protocol not in (None, DEFAULT):
        where = f"beside {config.protocol}"
        raise UsageError("--cityscapes-c is a protocol of its own", where=where, hint="leave one of the two out")
    if config.resolution_sweep and config.window:
        raise UsageError("the sweep chooses its own windows", hint="leave out window, or --resolution-sweep")
    data = config.data or default_data()
    chosen = DEFAULT if config.cityscapes_c else config.protocol
    # ACDC is bad weather itself: nothing is to be added unless it is asked for.
    if chosen is None and not config.corruptions and data.startswith(f"{acdc.NAME}:"):
        chosen = NONE
    protocol = choose_robust_protocol(chosen, config.corruptions, config.severities)
    config = replace(config, data=data, weights=config.weights or default_weights(data))
    if config.report:
        refuse_other_than_html(config.report)
    # The folder of a run that was given none has a number of its own; that one can be made is to be known all the same.
    outputs = robust_paths(Path(config.out)) if config.out else (RUNS / "0" / STATE,)
    refuse_unwritable([*outputs, *([Path(config.report)] if config.report else [])], force=config.force)
    return config, protocol


def _open(config: RobustConfig, class_names: Sequence[str]) -> Split:
    """The split, of which nothing but the pictures need be there."""
    assert config.data
    return open_pictures(config.data, config.split, class_names, Bending.of(config))


def _as_eval(config: RobustConfig) -> EvalConfig:
    """What `eval` would be told for pictures to pass the network in the same way."""
    return EvalConfig(protocol=config.inference, size=config.size, window=config.window, stride=config.stride)


def _reference(name: str, protocol: RobustProtocol) -> Reference:
    if is_robust(name):
        return saved_reference(name, protocol.cells)
    if Path(name).exists():
        raise DataError(f"{name} is no result of eval-robust", where=str(Path(name).absolute()))
    try:
        return reference(name)
    except UsageError as error:
        error.hint = f"{error.hint or 'known: ' + ', '.join(TABLE5)}; or the folder of another result"
        raise


def _state(
    config: RobustConfig, protocol: RobustProtocol, split: Split, segmenter: Segmenter, precision: str
) -> dict[str, object]:
    """All that the counts depend on: only a run with the same may go on from them."""
    return {
        "version": segformer_cli.__version__,
        "data": f"{split.data} {split.name}",
        "images": fingerprint(split)["sha256_of_names_and_sizes"],
        "ids": hashlib.sha256(split.ids.tobytes()).hexdigest(),
        "corruptions": [list(cell) for cell in protocol.cells],
        "seed": config.seed,
        "rng": config.rng,
        "channel_order": config.channel_order,
        "frost_dir": config.frost_dir,
        "inference": str(segmenter.protocol),
        "precision": f"{precision} on {segmenter.device.type}",
        "calibration": config.calibration,
    }


def _digest(model: SegFormer | ExportedModel) -> str:
    """Of the network's parameters and buffers, or of an exported file."""
    if isinstance(model, ExportedModel):
        return model.sha256
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _folder(config: RobustConfig, state: Mapping[str, object]) -> Path:
    """Where the result goes: as asked, or where a run of the same settings stopped, or a new folder of `RUNS`."""
    if config.out:
        return Path(config.out)
    if not config.force:
        for unfinished in sorted(RUNS.glob(f"*/{STATE}")):
            same = saved_settings(unfinished) == json.dumps(state, sort_keys=True)
            if same and not is_claimed(unfinished):
                return unfinished.parent
    return free_folder("eval-robust")
