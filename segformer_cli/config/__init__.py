"""What each command can be told, as frozen dataclasses: one field a key, its meaning beside it.

A field's name is its YAML key, its `--set` key and (upper case, after `SEGFORMER_`) its environment
variable. `settings.py` fills these from files, variables and flags.
"""

from segformer_cli.config.looking import CheckConfig, PreviewConfig, StatsConfig
from segformer_cli.config.marks import Doc, Range, Whole
from segformer_cli.config.scoring import CompareConfig, CorruptConfig, EvalConfig, RobustConfig
from segformer_cli.config.training import TrainConfig
from segformer_cli.config.using import BenchmarkConfig, DemoConfig, ExportConfig, PredictConfig

__all__ = [
    "BenchmarkConfig",
    "CheckConfig",
    "CompareConfig",
    "CorruptConfig",
    "DemoConfig",
    "Doc",
    "EvalConfig",
    "ExportConfig",
    "PredictConfig",
    "PreviewConfig",
    "Range",
    "RobustConfig",
    "StatsConfig",
    "TrainConfig",
    "Whole",
]
