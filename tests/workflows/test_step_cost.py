"""What a training takes of memory and disk, told before it and beside what it then takes."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segformer_cli.app import main
from segformer_cli.config import TrainConfig
from segformer_cli.data.sample import write_sample
from segformer_cli.engine import memory
from segformer_cli.engine.distributed import Group
from segformer_cli.errors import UsageError
from segformer_cli.progress import Progress
from segformer_cli.settings import resolve
from segformer_cli.workflows import planning, training
from segformer_cli.workflows.resuming import stored_config
from segformer_cli.workflows.runs import Run
from segformer_cli.workflows.step_cost import Needs, Sharing, StepCost, StepMemory, free_disk_bytes
from segformer_cli.workflows.training_parts import decisions_of

ROOT = Path(__file__).parents[2]

Leave = Callable[[int], None]

CPU, MIB = torch.device("cpu"), 2**20

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone tells")


MEASURED = """
import json, sys, torch
from segformer_cli.config import TrainConfig
from segformer_cli.engine.loading import build_model
from segformer_cli.engine.memory import peak_during
from segformer_cli.engine.training.trainer import Trainer
from segformer_cli.workflows.planning import plan
from segformer_cli.workflows.recipe import criterion_of, recipe_of

device = torch.device("cpu")
planned = plan(
    TrainConfig(data=sys.argv[1], weights="none", iterations=2, crop_size=(256, 256), batch_size=4, device="cpu")
)

def train():
    criterion = criterion_of(planned.config, 255, 19)
    trainer = Trainer(build_model("b0", num_classes=19), criterion, recipe_of(planned.config), device)
    for _ in range(2):
        trainer.step(torch.rand(4, 3, 256, 256), torch.zeros(4, 256, 256, dtype=torch.uint8))

print(json.dumps([planned.needs.memory_bytes, peak_during(train, device)]))
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("data") / "scenes"
    write_sample(root, {"train": 4, "val": 2}, (64, 128))
    return f"cityscapes:{root}"


def tiny(data: str, **fields: object) -> TrainConfig:
    values = {
        "data": data, "weights": "none", "iterations": 2, "crop_size": (32, 32), "workers": 0, "device": "cpu", **fields
    }
    return TrainConfig(**values)  # type: ignore[arg-type]


@pytest.fixture
def leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leave:
    """Says how much of this container's memory is free."""

    def to(free: int) -> None:
        for name, text in {"limit": str(free), "used": "0", "memory.stat": "inactive_file 0"}.items():
            (tmp_path / name).write_text(f"{text}\n")
        monkeypatch.setattr(memory, "_GROUPS", ((str(tmp_path / "limit"), str(tmp_path / "used"), "inactive_file"),))

    return to


@on_linux
def test_the_memory_of_a_plan_is_what_its_step_takes(scenes: str) -> None:
    # In a process of its own: what earlier tests left to the C library would be taken again, or counted.
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, scenes], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    planned, taken = json.loads(done.stdout)
    assert planned == pytest.approx(taken, rel=0.3)


@pytest.mark.parametrize("fields", [{}, {"ema": 0.9, "freeze": ("encoder",)}])
def test_the_disk_of_a_plan_is_what_the_run_takes(fields: dict[str, object], scenes: str, tmp_path: Path) -> None:
    planned = planning.plan(tiny(scenes, batch_size=2, out=str(tmp_path / "run"), **fields))
    folder = Path(training.train(planned).run)
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert planned.needs.disk_bytes == pytest.approx(taken, rel=0.1)


@on_linux
def test_auto_cuts_a_step_into_the_fewest_parts_that_fit_and_leaves_its_crops(scenes: str, leave: Leave) -> None:
    auto = tiny(scenes, crop_size=(256, 256), batch_size="auto")
    roomy = planning.plan(auto)
    assert (roomy.batch_size, roomy.config.accumulate, roomy.needs.crops_at_once) == (8, 1, 8)
    given = planning.plan(dataclasses.replace(auto, batch_size=8))
    assert given.config == roomy.config
    few = planning.plan(dataclasses.replace(auto, batch_size=8, accumulate=2)).needs.memory_bytes
    assert few is not None and roomy.needs.memory_bytes is not None
    leave(int((few + roomy.needs.memory_bytes) / 2 / 0.8))
    halved = planning.plan(auto)
    assert halved.config == dataclasses.replace(roomy.config, accumulate=2)
    assert "iterations of 8 crops of 256 x 256 in 2 parts, on cpu" in str(halved)
    assert "free, with 4 crops at a time\n" in str(halved)
    leave(1)
    assert planning.plan(auto).config.accumulate == 8


def test_auto_takes_the_batch_of_the_preset(scenes: str) -> None:
    flags = {"data": scenes, "weights": "none", "crop_size": "32", "workers": "0", "device": "cpu"}
    for preset, crops in (("sample", 4), ("ade20k-512", 16)):
        config = resolve(TrainConfig, preset=preset, flags={**flags, "batch_size": "auto"})
        assert config.batch_size == "auto"
        assert planning.plan(config).batch_size == crops


@on_linux
def test_where_memory_is_not_told_auto_says_so_and_cuts_nothing(
    scenes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_REFERENCES", tmp_path)
    heard: list[Progress] = []
    planned = planning.plan(tiny(scenes, batch_size="auto"), heard.append)
    assert (planned.batch_size, planned.config.accumulate, planned.needs.memory_bytes) == (8, 1, None)
    said = "how much memory is free, cpu does not tell: the crops of a step pass in one part"
    assert [each.message for each in heard if each.message] == [said]
    assert "memory:" not in str(planned)
    heard.clear()
    planning.plan(tiny(scenes), heard.append)
    assert not heard


@on_linux
def test_what_auto_found_is_stored_and_not_found_again(
    scenes: str, tmp_path: Path, leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    config = tiny(scenes, batch_size="auto", iterations=2, checkpoint_every=1, out=str(run))
    leave(1)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "metrics", lambda self, record: (_ for _ in ()).throw(KeyError("a crash")))
        with pytest.raises(KeyError):
            training.train(dataclasses.replace(config, eval_every=2))
    stored = stored_config(run)
    assert (stored.batch_size, stored.accumulate) == (8, 8)
    leave(2**40)
    training.train(TrainConfig(resume=True, out=str(run)))
    assert stored_config(run) == stored
    assert Run(run).decisions()["accumulate"] == 8
    (run / "report.html").unlink()
    again = planning.plan(TrainConfig(resume=True, batch_size="auto", out=str(run))).config
    assert (again.batch_size, again.accumulate) == (8, 8)
    with pytest.raises(UsageError, match="batch_size is 4, the run was started with 8"):
        planning.plan(TrainConfig(resume=True, batch_size=4, out=str(run)))


@on_linux
def test_a_dry_run_has_bytes_in_its_json_and_warns_of_too_few(
    scenes: str, leave: Leave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    leave(2**20)
    line = ["-d", scenes, "-w", "none", "--crop-size", "32", "-j", "0", "--device", "cpu", "-b", "auto"]
    assert main(["train", *line, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    planned = found["results"]
    assert (planned["config"]["batch_size"], planned["config"]["accumulate"], planned["crops_at_once"]) == (8, 8, 1)
    assert planned["free_memory_bytes"] == 2**20 < planned["memory_bytes"]
    assert 60 * MIB < planned["disk_bytes"] < 90 * MIB
    assert planned["free_disk_bytes"] > 0
    (warning,) = found["warnings"]
    assert "1 MiB are free" in warning
    assert not (tmp_path / "runs").exists()


def test_auto_beside_a_number_of_parts_is_refused(scenes: str) -> None:
    with pytest.raises(UsageError, match="batch_size is auto, and accumulate is 4"):
        planning.plan(tiny(scenes, batch_size="auto", accumulate=4))


def test_processes_share_the_crops_and_on_one_machine_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert Sharing.of(TrainConfig()) == Sharing(1, 1)
    assert Sharing.of(TrainConfig(devices=2, nnodes="3:5")) == Sharing(6, 2)
    for nnodes in ("two", "0", "3:2", "1:2:3", "", "2:"):
        with pytest.raises(UsageError, match="nnodes is "):
            Sharing.of(TrainConfig(nnodes=nnodes))
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Sharing.of(TrainConfig(devices=2)) == Sharing(8, 8)      # srun says no more
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert Sharing.of(TrainConfig(devices=2)) == Sharing(8, 4)


@on_linux
def test_three_processes_share_crops_and_memory_and_each_has_a_crop_for_every_part(scenes: str, leave: Leave) -> None:
    leave(3 * 2**20)
    planned = planning.plan(tiny(scenes, batch_size="auto", devices=3))
    # 8 crops are 3, 3 and 2.
    assert (planned.config.accumulate, planned.needs.crops_at_once) == (2, 2)
    assert planned.needs.free_memory_bytes == 2**20


TWO = """
from segformer_cli.config import TrainConfig
from segformer_cli.engine.distributed import process_group
from segformer_cli.errors import SegFormerError
from segformer_cli.workflows.planning import TrainingPlan
from segformer_cli.workflows.training_parts import agreed_parts

with process_group() as group:
    config = TrainConfig(accumulate=(3, 2)[group.rank])
    planned = TrainingPlan(config, None, None, "", None, 0.0, None)
    assert agreed_parts(planned, group).config.accumulate == 3
    config = TrainConfig(workers=group.rank, lr=(6e-5, 1e-3)[group.rank], weights=("b0-imagenet", "none")[group.rank])
    try:
        agreed_parts(TrainingPlan(config, None, None, "", None, 0.0, None), group)
    except SegFormerError as error:
        assert error.message == (
            "processes plan different trainings: weights is b0-imagenet in process 0, none in process 1"
        )
    else:
        raise AssertionError
"""


def test_on_a_cpu_no_gpu_is_touched(scenes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of two GPUs that are not named, torch warns when it keeps the state of their generators.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert planning.plan(tiny(scenes)).seconds_per_step > 0


def test_the_process_with_the_least_memory_decides_for_all_and_other_plans_are_refused_in_each() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, "-c", TWO], env={**common, "RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(2)
    ]
    said = [each.communicate(timeout=120)[1].decode() for each in both]
    assert [each.returncode for each in both] == [0, 0], said


def test_more_than_there_is_is_warned_of(tmp_path: Path) -> None:
    cost = StepCost(0.1, StepMemory(100 * MIB, 50 * MIB, 290 * MIB, 0.8), 15 * MIB, 45 * MIB)
    enough = Needs.of(cost, 3, tmp_path / "not" / "there" / "yet")
    assert enough.free_disk_bytes == pytest.approx(free_disk_bytes(tmp_path), rel=0.1)
    assert (enough.memory_bytes, enough.disk_bytes, enough.warnings) == (250 * MIB, 75 * MIB, ())
    lines = str(enough).splitlines()
    assert lines[0] == "memory: about 250 MiB of 290 MiB free, with 3 crops at a time"
    assert lines[1].startswith("disk: about 75 MiB of ")
    (memory,) = Needs.of(cost, 4, tmp_path).warnings
    assert memory.startswith("a step takes about 300 MiB of memory, 290 MiB are free: -b auto cuts it into parts")
    (disk,) = dataclasses.replace(enough, free_disk_bytes=40 * MIB).warnings
    assert disk == "the run's folder takes about 75 MiB, 40 MiB are free on its disk: choose another -o"


def test_a_run_that_goes_on_on_more_devices_is_cut_into_no_more_parts_than_each_has_crops() -> None:
    state = {"trainer": {"decisions": {"accumulate": 8, "dtype": "float32", "compiled": False}}}
    config = TrainConfig(batch_size=8)
    found = [decisions_of(config, torch.float32, state, Group(size=size)).accumulate for size in (1, 2, 4)]
    assert found == [8, 4, 2]
