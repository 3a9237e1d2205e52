"""Memory of a prediction, measured on the whole process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.images import read_mask
from segformer_cli.model.checkpoint import save_checkpoint
from segformer_cli.resize import SizePolicy
from tests.conftest import RandomCheckpoint

PREDICT = """
import sys
from segformer_cli.app import main
assert main(sys.argv[1:]) == 0
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is of Linux")
def test_eight_megapixels_and_150_classes_peak_below_three_quarters_of_a_gigabyte(
    tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    weights = save_checkpoint(
        tmp_path / "ade.safetensors", random_checkpoint("b0", classes=150, size=SizePolicy(short=512, long=2048))
    )
    rows, columns = np.indices((2448, 3264))
    photo = np.stack([rows % 256, columns % 256, (rows + columns) // 23 % 256], axis=-1).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.jpg", quality=90)
    arguments = ["predict", str(tmp_path / "photo.jpg"), "-w", str(weights), "-o", str(tmp_path / "mask.png")]
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *arguments], check=True, capture_output=True, text=True, timeout=120
    )
    assert int(done.stdout.split()[-1]) * 1024 < 0.75e9
    assert read_mask(tmp_path / "mask.png").shape == (2448, 3264)
