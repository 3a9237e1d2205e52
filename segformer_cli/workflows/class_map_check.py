"""The class-map check of `segformer data check -w`: what weights see in each split beside the ids of its masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segformer_cli.config import CheckConfig
from segformer_cli.data.bending import Bending
from segformer_cli.data.colours import ColourTable
from segformer_cli.data.pairs import Split
from segformer_cli.data.problems import Problem, problem
from segformer_cli.data.split_problems import SplitLooks
from segformer_cli.engine.device import choose_device
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.progress import Progress, ProgressListener
from segformer_cli.workflows.class_map import ClassMap, class_map_of, looked_at, meaning_of
from segformer_cli.workflows.id_readings import IdCounts, fits


@dataclass(frozen=True, eq=False)
class MapCheck:
    """A network that is ready to look, and which class of the data each of its classes is."""

    config: CheckConfig
    segmenter: Segmenter
    meaning: NDArray[np.intp] | None

    @classmethod
    def of(cls, config: CheckConfig, split: Split, progress: ProgressListener) -> MapCheck:
        """The network that `weights` names, for data with the classes of this split.

        Raises:
            DataError: a class of the data is unknown to the weights.
            SegFormerError: the weights cannot be read.
        """
        assert config.weights is not None
        model = load_model(config.weights, offline=config.offline, trust=config.trust, progress=progress)
        segmenter = Segmenter.of(model, choose_device(config.device))
        return cls(config, segmenter, meaning_of(segmenter.config, split))

    def judged(
        self, looks: Sequence[SplitLooks], progress: ProgressListener
    ) -> tuple[list[Problem], tuple[SplitLooks, ...]]:
        """What is wrong with the ids of splits that were looked at; and these splits as they should be read.

        Where splits are to be read each in its own way, one mapping cannot say so, and they stay as they are; so do
        masks drawn in colours, whose ids no mapping holds.
        """
        seen = [(each, self._counted(each.split, progress)) for each in looks if each.kinds]
        found: list[tuple[ClassMap, list[SplitLooks]]] = []
        for each, counts in seen:
            if any(each in members for _, members in found):
                continue
            told = class_map_of(counts, each.split, self.config.data, each.split.name, Bending.of(self.config))
            if told is not None:
                alike = [one for one, pictures in seen if one is each or _reads_alike(one, each, pictures, told)]
                found.append((told, alike))
        problems = [_problem(told, members) for told, members in found]
        coloured = any(isinstance(each.split.read_ids, ColourTable) for each in looks)
        if len(found) != 1 or len(found[0][1]) != len(seen) or coloured:
            return problems, tuple(looks)
        table = found[0][0].reading.table
        return problems, tuple(replace(each, split=replace(each.split, ids=table)) for each in looks)

    def _counted(self, split: Split, progress: ProgressListener) -> IdCounts:
        def tell(done: int, of: int) -> None:
            progress(Progress(f"what the weights see in {split.name}", done, of, "image"))

        return looked_at(self.segmenter, split, self.config.predict, self.meaning, tell)


def _reads_alike(one: SplitLooks, other: SplitLooks, pictures: IdCounts, told: ClassMap) -> bool:
    """Whether what was found in another split is to be said of this one too."""
    return bool((one.class_ids == other.class_ids).all()) and fits(pictures, one.split, told.reading)


def _problem(told: ClassMap, members: Sequence[SplitLooks]) -> Problem:
    """One finding for splits that are to be read alike: the ids that occur, and the first mask that holds one."""
    occur = [index for index in told.reading.moved if any(each.masks[index] for each in members)]
    holds = next(each.first_of[index] for each in members for index in occur if index in each.first_of)
    names = ", ".join(each.split.name for each in members)
    return problem("class_map", len(occur), holds, detail=f"{names}: {told.said}", hint=told.way_out)
