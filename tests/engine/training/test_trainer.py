"""One step after another: alone, in parts, and shared by two processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from segformer_cli.engine.loading import build_model
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy
from segformer_cli.engine.training.trainer import Decisions, Diverged, Recipe, Trainer, freeze
from segformer_cli.errors import SegFormerError, UsageError

ROOT = Path(__file__).parents[3]
CPU = torch.device("cpu")
CE = Criterion(((1.0, CrossEntropy(ignore_index=255)),), 255, "valid")


def recipe(**fields: object) -> Recipe:
    values = {
        "iterations": 100, "warmup": 0, "lr": 1e-3, "head_lr_multiplier": 1.0, "weight_decay": 0.01,
        "poly_power": 1.0, **fields,
    }
    return Recipe(**values)  # type: ignore[arg-type]


def trainer_of(decisions: Decisions | None = None, **fields: object) -> Trainer:
    torch.manual_seed(0)
    model = build_model("b0", num_classes=3, drop_path=0.0, dropout=0.0)
    return Trainer(model, CE, recipe(**fields), CPU, decisions)


def batch(size: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(size, 3, 32, 64, generator=generator)
    targets = torch.randint(0, 3, (size, 32, 64), generator=generator)
    targets[0, :20] = 255
    return images, targets


def test_frozen_parts_stay_as_they_were_and_the_rest_learns() -> None:
    trainer = trainer_of(freeze=("encoder.stages.0", "head.norm"))
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    trainer.step(*batch())
    for name, tensor in trainer.model.named_parameters():
        frozen = name.startswith(("encoder.stages.0.", "head.norm."))
        assert torch.equal(tensor, before[name]) == frozen, name


def test_a_part_that_is_not_there_is_named_with_one_that_is() -> None:
    model = build_model("b0", num_classes=3)
    with pytest.raises(UsageError, match=r"no part 'encoder.stage.0'") as caught:
        freeze(model, ["encoder.stage.0"])
    assert caught.value.hint == "did you mean encoder.stages.0?"
    with pytest.raises(UsageError, match="nothing is left to learn"):
        freeze(model, ["encoder", "head"])


def test_at_first_the_head_learns_by_itself_where_that_is_asked() -> None:
    trainer = trainer_of(head_only=2, freeze=("encoder.stages.3",))
    start = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    for _ in range(2):
        trainer.step(*batch())
    for name, tensor in trainer.model.named_parameters():
        assert torch.equal(tensor, start[name]) == name.startswith("encoder."), name
    trainer.step(*batch())
    moved = {name for name, tensor in trainer.model.named_parameters() if not torch.equal(tensor, start[name])}
    assert "encoder.stages.0.blocks.0.attention.query.weight" in moved
    assert not any(name.startswith("encoder.stages.3.") for name in moved)


def test_the_gradient_is_cut_to_its_largest_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    norms = []
    trainer = trainer_of(clip_norm=0.01)
    step = trainer.optimizer.step

    def noted() -> object:
        parts = [each.grad for each in trainer.model.parameters() if each.grad is not None]
        norms.append(torch.cat([part.flatten() for part in parts]).norm().item())
        return step()

    monkeypatch.setattr(trainer.optimizer, "step", noted)
    trainer.step(*batch())
    assert norms == [pytest.approx(0.01, rel=1e-3)]


def test_the_average_follows_quickly_at_first_and_is_what_is_kept() -> None:
    trainer = trainer_of(ema=0.999)
    start = trainer.result.head.classify.bias.clone()  # type: ignore[union-attr]
    trainer.step(*batch())
    first = trainer.model.head.classify.bias.detach().clone()  # type: ignore[union-attr]
    away = 1 - 2 / 11
    expected = start + away * (first - start)
    torch.testing.assert_close(trainer.result.head.classify.bias, expected)  # type: ignore[union-attr]
    assert trainer.result is not trainer.model
    assert not trainer.result.training
    assert trainer.result.head.norm.num_batches_tracked == 1  # type: ignore[union-attr]


def test_memory_that_is_not_enough_halves_the_parts_until_they_fit_and_changes_no_statistics() -> None:
    heard: list[str] = []
    trainer = trainer_of()
    trainer.note = heard.append
    loss = trainer._loss

    def hungry(images: Tensor, *rest: object) -> Tensor:
        found = loss(images, *rest)  # type: ignore[arg-type]
        if len(images) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return found

    trainer._loss = hungry  # type: ignore[assignment, method-assign]
    trainer.step(*batch())
    assert trainer.decisions.accumulate == 4
    assert [text.partition(":")[0] for text in heard] == ["memory is not enough"] * 2
    assert trainer.model.head.norm.num_batches_tracked == 4  # type: ignore[union-attr]
    assert trainer.state()["decisions"]["accumulate"] == 4


def test_memory_that_is_not_enough_for_one_crop_says_what_to_do() -> None:
    trainer = trainer_of()

    def hungry(*batch: object) -> Tensor:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ...")

    trainer._loss = hungry  # type: ignore[assignment, method-assign]
    with pytest.raises(SegFormerError, match="memory is not enough for 1 crops") as caught:
        trainer.step(*batch())
    assert "--crop-size" in str(caught.value.hint)


def test_other_errors_are_no_lack_of_memory() -> None:
    trainer = trainer_of()
    with pytest.raises(RuntimeError, match="size"):
        trainer.step(torch.randn(2, 4, 32, 64), torch.zeros(2, 32, 64, dtype=torch.uint8))


def test_a_loss_that_is_no_number_leaves_the_weights_alone() -> None:
    trainer = trainer_of()
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    images, targets = batch()
    images[2, 1, 3, 3] = float("inf")
    with pytest.raises(Diverged, match="the loss became nan at iteration 1"):
        trainer.step(images, targets)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.named_parameters())
    assert trainer.iteration == 0


SHARED = """
import sys
import torch
from segformer_cli.engine.distributed import process_group
from segformer_cli.engine.training.criterion import Criterion
from segformer_cli.engine.training.losses import CrossEntropy
from segformer_cli.engine.training.trainer import Decisions, Recipe, Trainer
from segformer_cli.engine.loading import build_model

torch.manual_seed(0)
weights = torch.tensor([1.0, 2.0, 0.5])
criterion = Criterion(((1.0, CrossEntropy(ignore_index=255, weights=weights)),), 255, "valid", weights)
recipe = Recipe(iterations=10, warmup=2, lr=1e-3, head_lr_multiplier=10.0, weight_decay=0.01, poly_power=1.0,
                ema=0.9, clip_norm=5.0, head_only=int(sys.argv[2]))
with process_group() as group:
    model = build_model("b0", num_classes=3, drop_path=0.0, dropout=0.0).double()
    trainer = Trainer(model, criterion, recipe, torch.device("cpu"), Decisions(1), group)
    losses = []
    for step in range(5):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=generator)
        targets = torch.randint(0, 3, (4, 64, 64), generator=generator)
        targets[0, : 10 * step] = 255           # the processes' shares of labelled pixels differ
        part = slice(group.rank * 4 // group.size, (group.rank + 1) * 4 // group.size)
        losses.append(trainer.step(images[part], targets[part]).loss)
    if group.leads:
        torch.save({"losses": losses, "model": model.state_dict(), "average": trainer.result.state_dict()}, sys.argv[1])
"""


def shared_by(processes: int, out: Path, head_only: int) -> dict[str, object]:
    """What five steps come to, shared by so many processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1",
               "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", SHARED, str(out), str(head_only)], env={**environ, "RANK": str(rank)})
        for rank in range(processes)
    ]
    assert [process.wait(timeout=300) for process in started] == [0] * processes
    found: dict[str, object] = torch.load(out, weights_only=True)
    return found


@pytest.mark.parametrize("head_only", [0, 2])
def test_two_processes_give_the_losses_and_weights_of_one(tmp_path: Path, head_only: int) -> None:
    alone = shared_by(1, tmp_path / "alone.pt", head_only)
    both = shared_by(2, tmp_path / "both.pt", head_only)
    assert both["losses"] == pytest.approx(alone["losses"], rel=1e-9)
    for name in ("model", "average"):
        ours, theirs = both[name], alone[name]
        assert isinstance(ours, dict) and isinstance(theirs, dict)
        for key, tensor in theirs.items():
            assert torch.allclose(ours[key], tensor, rtol=1e-9, atol=1e-9), key


def test_half_precision_is_tried_on_the_first_crops_and_left_where_it_does_not_do() -> None:
    heard: list[str] = []
    torch.manual_seed(0)
    model = build_model("b0", num_classes=3)
    trainer = Trainer(model, CE, recipe(), CPU, Decisions(dtype=torch.bfloat16), note=heard.append)
    trainer.judge_precision(*batch())
    assert trainer.decisions.dtype == torch.bfloat16
    assert heard == []
    trainer.step(*batch())
    with torch.no_grad():       # logits beyond 65,504, the largest number of float16
        model.head.classify.weight.mul_(1e8)  # type: ignore[union-attr, operator]
    again = Trainer(model, CE, recipe(), CPU, Decisions(dtype=torch.float16), note=heard.append)
    again.judge_precision(*batch())
    assert again.decisions.dtype == torch.float32
    assert again.state()["decisions"]["dtype"] == "float32"
    assert "training goes on in float32" in heard[0]


@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_a_gradient_that_is_no_number_leaves_the_weights_alone(clip_norm: float | None) -> None:
    trainer = trainer_of(clip_norm=clip_norm)
    before = {name: tensor.clone() for name, tensor in trainer.model.named_parameters()}
    next(trainer.model.parameters()).register_hook(lambda slope: slope * float("nan"))
    with pytest.raises(Diverged, match="the gradient's norm became nan at iteration 1"):
        trainer.step(*batch())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.model.named_parameters())
    assert trainer.iteration == 0


def test_memory_that_is_not_enough_for_the_optimiser_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of()

    def hungry(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")

    monkeypatch.setattr(trainer.optimizer, "step", hungry)
    with pytest.raises(SegFormerError, match="memory is not enough for the optimiser's moments"):
        trainer.step(*batch())
