"""Several processes under torchrun: which one this is, and how what each of them found comes together."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor, distributed

from segformer_cli.errors import EnvironmentLacksError, ProcessLost, SegFormerError

Found = TypeVar("Found")

PATIENCE = timedelta(days=7)
"""How long one process waits for another's share: pictures differ, and so do machines."""


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
        return cast(list[Found], everyone)

    def summed(self, number: Tensor) -> Tensor:
        """The sum of every process's number, in every process; on the CPU."""
        if self.size == 1:
            return number
        total = number.cpu().clone()
        distributed.all_reduce(total)
        return total

    def agreed(self, work: Callable[[], Found]) -> Found:
        """What `work` gives in this process; an expected error in one of them is raised in all.

        Else the others would wait for it, and report that their connection broke.
        """
        found: Found | None = None
        failure: SegFormerError | None = None
        try:
            found = work()
        except SegFormerError as error:
            failure = error
        for each in self.gathered(failure):
            if each is not None:
                raise each
        return cast(Found, found)

    def together(self, work: Callable[[], Found]) -> list[Found]:
        """What `work` gives in each process, as `gathered`; errors as in `agreed`."""
        return self.gathered(self.agreed(work))


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
    # What is gathered are Python objects, on the CPU: gloo carries them everywhere. Gradients of GPUs go by NCCL.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and distributed.is_nccl_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


@contextmanager
def losing_none() -> Iterator[None]:
    """Around work that processes share: where another of them is gone, that is what is told.

    Raises:
        ProcessLost: a connection to another process broke.
    """
    try:
        yield
    except (distributed.DistError, RuntimeError) as error:
        broken = "gloo" in str(error).lower() or "connection" in str(error).lower()
        if not distributed.is_initialized() or not (broken or isinstance(error, distributed.DistError)):
            raise
        raise ProcessLost(
            "another process of this job is gone",
            where=f"process {distributed.get_rank()}",
            hint="its own output says why; segformer train --resume goes on, with any number of devices",
        ) from error


def own_device(device: torch.device) -> torch.device:
    """The device for this process: `cuda` without a number becomes the one that belongs to it on its machine.

    A GPU becomes the current one, so that nothing of this process comes to lie on another's.

    Raises:
        EnvironmentLacksError: there are fewer GPUs than processes.
    """
    own = os.environ.get("LOCAL_RANK")
    if own is not None and str(device) == "cuda":
        device = torch.device(f"cuda:{own}")
    if device.type != "cuda" or device.index is None:
        return device
    count = torch.cuda.device_count()
    if device.index >= count:
        raise EnvironmentLacksError(
            f"process {own} of this machine has no GPU of its own: {count} are here",
            hint=f"--devices {count}, or --device cpu",
        )
    torch.cuda.set_device(device)
    return device
