"""What is counted of a split pair by pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from segformer_cli.data.findings import look_at
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pairs
from segformer_cli.data.split_problems import SplitLooks
from tests.data.own_data import put_tree


def test_the_first_mask_of_an_id_is_kept_and_only_looked_up_for_new_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = open_data(str(put_tree(tmp_path, [0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 3])), "all")
    looks, seen = SplitLooks(split), [look_at(split, pair) for pair in split.pairs]
    asked: list[object] = []
    read = Pairs.__getitem__
    monkeypatch.setattr(Pairs, "__getitem__", lambda pairs, at: asked.append(at) or read(pairs, at))
    for index, look in enumerate(seen):
        looks.add(0, index, look)
    assert {index: Path(mask).name for index, mask in looks.first_of.items()} == {
        0: "p0.png", 1: "p0.png", 2: "p0.png", 3: "p0.png", 4: "p1.png",
    }
    assert asked == [0, 1]
