"""SegFormer semantic segmentation: the Python side of the `segformer` command.

    import segformer_cli as sf

    model = sf.build_model("b0", num_classes=19)       # fresh weights, the paper's initialisation
    model = sf.load_model("sample")                    # anything the command line's WEIGHTS accepts; eval mode
    result = sf.Predictor(model)("street.jpg")         # path, array (H, W, 3) uint8 RGB, PIL image
    result.mask                                        # (H, W) class ids
    sf.evaluate(sf.EvalConfig(weights="sample")).miou  # each command is a call: its config in, a dataclass back

Importing this package loads no torch; the first use of one of its names does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from segformer_cli.config import (
        BenchmarkConfig,
        CompareConfig,
        CorruptConfig,
        EvalConfig,
        ExportConfig,
        PredictConfig,
        RobustConfig,
        TrainConfig,
    )
    from segformer_cli.engine.loading import build_model, load_model
    from segformer_cli.workflows.benchmarking import benchmark
    from segformer_cli.workflows.comparison import compare_results
    from segformer_cli.workflows.corrupting import corrupt_files
    from segformer_cli.workflows.evaluation import evaluate
    from segformer_cli.workflows.exporting import export_model
    from segformer_cli.workflows.prediction import Prediction, Predictor
    from segformer_cli.workflows.robustness import eval_robust
    from segformer_cli.workflows.training import train

__version__ = "0.1.0"

__all__ = [
    "BenchmarkConfig",
    "CompareConfig",
    "CorruptConfig",
    "EvalConfig",
    "ExportConfig",
    "PredictConfig",
    "Prediction",
    "Predictor",
    "RobustConfig",
    "TrainConfig",
    "__version__",
    "benchmark",
    "build_model",
    "compare_results",
    "corrupt_files",
    "eval_robust",
    "evaluate",
    "export_model",
    "load_model",
    "train",
]

_HOMES = {
    "build_model": "segformer_cli.engine.loading",
    "load_model": "segformer_cli.engine.loading",
    "Predictor": "segformer_cli.workflows.prediction",
    "Prediction": "segformer_cli.workflows.prediction",
    "benchmark": "segformer_cli.workflows.benchmarking",
    "compare_results": "segformer_cli.workflows.comparison",
    "corrupt_files": "segformer_cli.workflows.corrupting",
    "eval_robust": "segformer_cli.workflows.robustness",
    "evaluate": "segformer_cli.workflows.evaluation",
    "export_model": "segformer_cli.workflows.exporting",
    "train": "segformer_cli.workflows.training",
    "BenchmarkConfig": "segformer_cli.config",
    "CompareConfig": "segformer_cli.config",
    "CorruptConfig": "segformer_cli.config",
    "EvalConfig": "segformer_cli.config",
    "ExportConfig": "segformer_cli.config",
    "PredictConfig": "segformer_cli.config",
    "RobustConfig": "segformer_cli.config",
    "TrainConfig": "segformer_cli.config",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
