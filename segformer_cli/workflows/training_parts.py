"""What a training is made of: the network it starts from, what was decided for it, and the crops of each step."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from segformer_cli.config import TrainConfig
from segformer_cli.data.dataset import TrainCrops, joined, raising, start_worker
from segformer_cli.data.decoded import Decoded
from segformer_cli.data.sampler import TrainStream
from segformer_cli.data.transforms import Augmentation
from segformer_cli.engine.distributed import Group
from segformer_cli.engine.loading import build_model, start_from
from segformer_cli.engine.training.trainer import Decisions
from segformer_cli.errors import SegFormerError
from segformer_cli.model.checkpoint import ModelConfig, load_checkpoint, network_from
from segformer_cli.model.header import IMAGENET_MEAN, IMAGENET_STD
from segformer_cli.model.segformer import SegFormer
from segformer_cli.resize import NATIVE
from segformer_cli.settings import written_as_yaml
from segformer_cli.workflows.defaults import CROP
from segformer_cli.workflows.planning import TrainingPlan
from segformer_cli.workflows.resuming import FREE
from segformer_cli.workflows.runs import Run
from segformer_cli.workflows.step_cost import PREFETCHED, crops_a_step

Batch = tuple[Tensor, Tensor]
"""Pictures (B, C, H, W) and targets (B, H, W)."""


def model_of(run: Run, config: TrainConfig) -> SegFormer:
    """The network of a run that goes on; its weights are in the state."""
    return network_from(load_checkpoint(run.checkpoint("last")), drop_path=config.drop_path, dropout=config.dropout)


def agreed_parts(planned: TrainingPlan, group: Group) -> TrainingPlan:
    """The plan with as many parts of a step as the process needs whose memory is smallest: they meet in each.

    Raises:
        SegFormerError: the processes plan different trainings.
    """
    _refuse_other_plans(group.gathered(planned.config))
    parts = max(group.gathered(planned.config.accumulate))
    if planned.run is not None:
        parts = _shared_out(parts, planned.config, group)
    return dataclasses.replace(planned, config=dataclasses.replace(planned.config, accumulate=parts))


def _refuse_other_plans(configs: Sequence[TrainConfig]) -> None:
    """An error where one process fetched weights, or counted classes, and another could not, or found others."""
    ours = configs[0]
    for rank, theirs in enumerate(configs):
        for field in dataclasses.fields(TrainConfig):
            one, other = getattr(ours, field.name), getattr(theirs, field.name)
            if one != other and field.name not in FREE | {"accumulate"}:
                raise SegFormerError(
                    f"processes plan different trainings: {field.name} is {written_as_yaml(one)} in process 0, "
                    f"{written_as_yaml(other)} in process {rank}",
                    where=f"process {rank}",
                    hint="every process must find the same data and weights, and be given the same settings",
                )


def decisions_of(
    config: TrainConfig, dtype: torch.dtype, state: Mapping[str, Any] | None, group: Group
) -> Decisions:
    """As the settings ask, or as they were taken when the run began."""
    if state is None:
        return Decisions(config.accumulate, dtype, compiled=config.compile == "on")
    taken = state["trainer"]["decisions"]
    parts = _shared_out(taken["accumulate"], config, group)
    return Decisions(parts, getattr(torch, taken["dtype"]), taken["compiled"])


def _shared_out(parts: int, config: TrainConfig, group: Group) -> int:
    """Parts of a step of a run that goes on, perhaps on more devices: no more than each has crops."""
    return min(parts, max(1, crops_a_step(config) // group.size))


def starting_network(planned: TrainingPlan) -> tuple[SegFormer, tuple[str, ...]]:
    """The network to train, with the meaning of its numbers, and what was done to fit weights to classes."""
    config, split = planned.config, planned.train
    told: dict[str, Any] = {
        "class_names": split.class_names,
        "palette": split.palette,
        "ignore_index": split.ignore_index,
        "training_data": split.data,
        "size": NATIVE,
    }
    told |= _bands_of(planned)
    torch.manual_seed(config.seed)
    if planned.checkpoint is None:
        model = build_model(
            config.variant,
            class_names=split.class_names,
            in_channels=told["in_channels"],
            drop_path=config.drop_path,
            dropout=config.dropout,
        )
        model.config = dataclasses.replace(model.config, **told)
        return model, ()
    source: ModelConfig = planned.checkpoint.config
    told["origin"] = source.origin or Path(planned.start).name
    return start_from(
        planned.checkpoint,
        dataclasses.replace(source, variant=config.variant, **told),
        config.seed,
        drop_path=config.drop_path,
        dropout=config.dropout,
        same_classes=(source.class_names, source.training_data) == (split.class_names, split.data),
    )


def _bands_of(planned: TrainingPlan) -> dict[str, Any]:
    """What the network reads of a picture, and the mean and deviation of each band: those that its weights knew."""
    source = None if planned.checkpoint is None else planned.checkpoint.config
    bands = planned.train.bands
    told: dict[str, Any] = {"bands": bands, "in_channels": len(bands) or 3}
    if planned.values is not None:
        return told | {"mean": tuple(planned.values.mean.tolist()), "std": tuple(planned.values.std.tolist())}
    if source is None or (source.in_channels, source.bands) != (told["in_channels"], bands):
        return told | {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    return told | {"mean": source.mean, "std": source.std}


def batches_of(
    planned: TrainingPlan, model: ModelConfig, group: Group, start: int, source: Decoded | None = None
) -> Iterator[Batch]:
    """This process's part of each step, from a position in the stream on, without end.

    Args:
        source: the pairs decoded beforehand.
    """
    config, statistics = planned.config, planned.statistics
    stream = TrainStream(
        len(planned.train),
        planned.batch_size,
        config.seed,
        start=start,
        share=(group.rank, group.size),
        shown=statistics.pictures_showing() if statistics is not None and config.sampling == "rare" else None,
    )
    workers = config.workers or 0
    loader: DataLoader[Any] = DataLoader(
        crops_of(planned, model, source),
        batch_sampler=stream,
        num_workers=workers,
        collate_fn=joined,
        worker_init_fn=start_worker,
        prefetch_factor=PREFETCHED if workers else None,
        persistent_workers=workers > 0,
        pin_memory=config.device.startswith("cuda"),
    )
    return raising(loader)


def crops_of(planned: TrainingPlan, model: ModelConfig, source: Decoded | None = None) -> TrainCrops:
    """The augmented crops of the training split, normalised as the network wants them."""
    config = planned.config
    augmentation = Augmentation(
        crop_size=config.crop_size or (CROP, CROP),
        base_size=config.base_size,
        scale_range=config.scale_range,
        cat_max_ratio=config.cat_max_ratio,
        flip=config.flip,
        photometric=config.photometric,
        spread=model.std if planned.train.bands else None,
    )
    return TrainCrops(planned.train, augmentation, model.mean, model.std, config.seed, source, config.fast_decode)
