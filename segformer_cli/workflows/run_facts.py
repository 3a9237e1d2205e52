"""How a report came about: command, weights, data, settings, machine."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from segformer_cli.config import EvalConfig, RobustConfig, TrainConfig
from segformer_cli.model.checkpoint import ModelConfig
from segformer_cli.reports.parts import Fact, Facts
from segformer_cli.settings import changed, written_as_yaml
from segformer_cli.workflows.runs import command_line, environment


def run_facts(
    config: EvalConfig | RobustConfig | TrainConfig,
    network: ModelConfig | None,
    computed_on: str,
    more: Sequence[Fact] = (),
) -> Facts:
    """The last part of a report.

    Args:
        network: None where masks came from elsewhere.
        computed_on: the device and the precision.
    """
    facts = [Fact("command", command_line("the settings are below"), code=True)]
    if network is not None:
        facts += [
            Fact("network", f"SegFormer {network.variant}, {network.num_classes} classes"),
            Fact("weights", str(config.weights or "none")),
            Fact("trained on", network.training_data or "not known"),
            Fact("licence of the weights", network.licence or "no third-party weights"),
            Fact("computed on", computed_on),
        ]
    split = "" if isinstance(config, TrainConfig) else f", split {config.split}"
    facts += [Fact("data", f"{config.data}{split}"), *more]
    said = ("weights", "data", "split")
    facts += [
        Fact(name, written_as_yaml(value), code=True) for name, value in changed(config).items() if name not in said
    ]
    facts += [Fact(name, str(value)) for name, value in environment().items() if value is not None]
    facts.append(Fact("date", datetime.datetime.now().astimezone().isoformat(timespec="minutes")))
    return Facts(tuple(facts), title="How it was run")
