"""Pickled files open without running anything of theirs; one that needs to run something is refused."""

from __future__ import annotations

import collections
import datetime
import importlib
import os
import pathlib
import pickle
import subprocess
import sys
import zipfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from segformer_cli.errors import WeightsError
from segformer_cli.model.formats.pickled import load_pickled

# A training file with the objects that mmengine leaves in it, written where such a module exists. As in mmengine,
# the buffer holds arrays, and a reference to one of its own methods, which pickle writes as a call of getattr.
WRITE_WITH_A_TRAINER = """
import sys, types, torch, numpy, collections

module = types.ModuleType("mmengine.logging.history_buffer")
class HistoryBuffer:
    def __init__(self):
        self._log_history = numpy.arange(3.0)
        self._count_history = numpy.array([1, 2, 3])
        self._statistics_methods = {"min": HistoryBuffer.min}
    def min(self):
        return self._log_history.min()
class ConfigDict(dict):
    pass
for kind in (HistoryBuffer, ConfigDict):
    kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
    setattr(module, kind.__name__, kind)
HistoryBuffer.min.__qualname__ = "HistoryBuffer.min"
HistoryBuffer.min.__module__ = module.__name__
parents = ["mmengine", "mmengine.logging"]
sys.modules.update({name: types.ModuleType(name) for name in parents})
sys.modules[module.__name__] = module
config = ConfigDict(lr=0.1)
config["nested"] = ConfigDict(a=1)
torch.save(
    {"state_dict": {"w": torch.arange(4.0)}, "message_hub": {"loss": HistoryBuffer()}, "meta": {"cfg": config}},
    sys.argv[1],
    _use_new_zipfile_serialization=sys.argv[2] == "zip",
)
"""


class Attack:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("layout", ["zip", "legacy"])
def test_a_training_file_with_objects_of_an_absent_trainer_opens(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "w.pth"
    subprocess.run([sys.executable, "-c", WRITE_WITH_A_TRAINER, str(path), layout], check=True)

    content = load_pickled(path)

    assert torch.equal(content["state_dict"]["w"], torch.arange(4.0))
    assert content["meta"]["cfg"] == {"lr": 0.1, "nested": {"a": 1}}
    assert "mmengine" not in sys.modules


@pytest.mark.parametrize(
    "beside",
    [
        Namespace(lr=0.1),
        collections.defaultdict(list, a=[1]),
        collections.deque([1, 2], maxlen=3),
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        pathlib.PurePosixPath("/tmp/x"),
        datetime.datetime(2024, 1, 2),
        np.float64(1.5),
        np.arange(3),
        np.array(["a", "b"]),
        {1, 2},
        frozenset([1]),
        slice(1, 2),
        int,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("legacy", [False, True])
def test_harmless_things_beside_the_weights_do_not_hinder(tmp_path: Path, beside: Any, legacy: bool) -> None:
    torch.save({"w": torch.ones(2), "beside": beside}, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)

    assert torch.equal(load_pickled(tmp_path / "w.pth")["w"], torch.ones(2))


def test_colours_in_a_numpy_array_keep_their_values(tmp_path: Path) -> None:
    torch.save({"PALETTE": np.array([[1, 2, 3]], dtype=np.uint8)}, tmp_path / "w.pth")

    assert load_pickled(tmp_path / "w.pth")["PALETTE"].tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (Attack(os.system, "touch HERE"), r"(posix|nt)\.system"),
        (Attack(eval, "open('HERE', 'w')"), r"builtins\.eval"),
        (Attack(subprocess.call, ["touch", "HERE"]), r"subprocess\.call"),
        (Attack(importlib.import_module, "antigravity"), r"importlib\.import_module"),
    ],
)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_that_would_run_code_is_refused_and_the_code_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack, name: str, legacy: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(2), "x": attack}, "w.pth", _use_new_zipfile_serialization=not legacy)

    with pytest.raises(WeightsError, match=f"wants to run {name}"):
        load_pickled(Path("w.pth"))
    assert not Path("HERE").exists()


def test_a_bare_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    for protocol in (2, 4):                               # a name is one instruction in 2, three in 4
        (tmp_path / "w.pth").write_bytes(pickle.dumps(Attack(os.system, "touch HERE"), protocol=protocol) * 4)

        with pytest.raises(WeightsError, match=r"wants to run (posix|nt)\.system"):
            load_pickled(tmp_path / "w.pth")


def test_getattr_in_a_file_reaches_nothing(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2), "x": Attack(getattr, "text", "upper")}, tmp_path / "w.pth")

    assert not callable(load_pickled(tmp_path / "w.pth")["x"])


def test_a_whole_pickled_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pth")

    with pytest.raises(WeightsError, match=r"torch\.nn\.modules\.linear\.Linear") as caught:
        load_pickled(tmp_path / "w.pth")
    assert "state_dict()" in str(caught.value.hint)


def test_a_torchscript_program_is_no_state_dict(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/data.pkl", b"")
        archive.writestr("w/constants.pkl", b"")

    with pytest.raises(WeightsError, match="is a program"):
        load_pickled(tmp_path / "w.pt")


def test_a_zip_without_weights_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")

    with pytest.raises(WeightsError, match="a zip file without weights"):
        load_pickled(tmp_path / "w.pt")


def test_the_names_allowed_for_one_file_are_not_allowed_afterwards(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    torch.save({"w": Namespace(a=1)}, tmp_path / "w.pth")

    load_pickled(tmp_path / "w.pth")

    assert set(torch.serialization.get_safe_globals()) == before
