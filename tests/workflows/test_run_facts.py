"""The last part of a report: how it came about."""

from __future__ import annotations

import datetime

import pytest

import segformer_cli
from segformer_cli.config import EvalConfig, RobustConfig
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.reports.parts import Fact, Facts
from segformer_cli.workflows.run_facts import run_facts

NETWORK = ModelConfig(
    variant="b2", class_names=("road", "sky"), palette=((0, 0, 0), (1, 1, 1)), training_data="streets",
    licence="NVIDIA Source Code License",
)


def said(part: Facts) -> dict[str, str]:
    """By name; of two of one name the first."""
    return {fact.name: fact.value for fact in reversed(part.facts)}


def test_weights_data_machine_and_date_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/segformer", "eval-robust", "-w", "my weights"])
    config = RobustConfig(weights="runs/b2", data="lot", split="train")
    facts = said(run_facts(config, NETWORK, "cuda:0 in bf16", [Fact("time", "3 s")]))
    assert facts["command"] == "segformer eval-robust -w 'my weights'"
    assert (facts["network"], facts["weights"]) == ("SegFormer b2, 2 classes", "runs/b2")
    assert facts["data"] == "lot, split train"
    assert (facts["trained on"], facts["licence of the weights"]) == ("streets", "NVIDIA Source Code License")
    assert (facts["computed on"], facts["time"]) == ("cuda:0 in bf16", "3 s")
    assert facts["segformer"] == segformer_cli.__version__
    written = datetime.datetime.fromisoformat(facts["date"])
    assert written.tzinfo is not None
    assert abs(datetime.datetime.now().astimezone() - written) < datetime.timedelta(minutes=2)


def test_settings_are_those_that_are_not_the_default() -> None:
    facts = said(run_facts(RobustConfig(data="lot", seed=3), None, ""))
    assert facts["seed"] == "3" and "rng" not in facts


def test_masks_from_elsewhere_have_no_weights_and_no_machine_that_computed_them() -> None:
    facts = said(run_facts(EvalConfig(predictions="masks", data="lot"), None, "cpu in fp32"))
    assert not {"network", "weights", "trained on", "licence of the weights", "computed on"} & set(facts)
    assert facts["command"] == "# called from Python; the settings are below"


def test_what_is_not_known_of_weights_is_said() -> None:
    network = ModelConfig(variant="b0", class_names=("road",), palette=((0, 0, 0),))
    facts = said(run_facts(EvalConfig(weights="w"), network, "cpu in fp32"))
    assert (facts["trained on"], facts["licence of the weights"]) == ("not known", "no third-party weights")


def test_settings_are_written_as_yaml_would() -> None:
    config = EvalConfig(weights="w", boundary=True, group=("a=car,bus", "b"), window=(64, 96), group_images="(.+)_")
    facts = said(run_facts(config, None, ""))
    assert {key: facts[key] for key in ("boundary", "group", "window", "group_images")} == {
        "boundary": "true", "group": "['a=car,bus', b]", "window": "[64, 96]", "group_images": "(.+)_"
    }
