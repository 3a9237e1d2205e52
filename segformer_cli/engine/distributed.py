"""Several processes under torchrun: which one this is, and how what each of them found comes together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

Found = TypeVar("Found")


@dataclass(frozen=True)
class Group:
    """The processes that share a job: this one's number and how many they are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def gathered(self, found: Found) -> list[Found]:
        """What every process found, in the order of their numbers, in every process."""
        if self.size == 1:
            return [found]
        everyone: list[Found | None] = [None] * self.size
        distributed.all_gather_object(everyone, found)
        return [each for each in everyone if each is not None]


@contextmanager
def process_group() -> Iterator[Group]:
    """The group that torchrun started this process in; a group of one without torchrun."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if distributed.is_initialized():
        yield Group(distributed.get_rank(), distributed.get_world_size())
        return
    if size == 1:
        yield Group()
        return
    # What is gathered are Python objects, on the CPU: gloo carries them everywhere.
    distributed.init_process_group("gloo")
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def own_device(device: torch.device) -> torch.device:
    """The device for this process: `cuda` without a number becomes the one that belongs to it on its machine."""
    own = os.environ.get("LOCAL_RANK")
    return torch.device(f"cuda:{own}") if own is not None and str(device) == "cuda" else device
