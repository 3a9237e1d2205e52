"""What the README tells people to type works as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

needs_sample = pytest.mark.skipif(
    not (ROOT / "segformer_cli" / "assets" / "sample.safetensors").is_file(), reason="the sample checkpoint is not here"
)


@needs_sample
def test_the_first_command_is_the_whole_tour(tmp_path):
    line = re.search(r"&& (segformer demo .*)", README)
    assert line is not None
    words = [sys.executable, "-m", "segformer_cli", *line[1].split()[1:]]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "tour" / "masks").glob("*.png"))
    assert len(written) == 16
    assert sum(name.endswith("_overlay.png") for name in written) == 8
    assert (tmp_path / "tour" / "demo.html").is_file()


@needs_sample
def test_the_python_example_runs(tmp_path):
    from segformer_cli.data.sample import write_scene

    write_scene(tmp_path, "val", 0, (64, 128))
    next(tmp_path.rglob("*leftImg8bit.png")).rename(tmp_path / "street.jpg")
    example = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert example is not None
    script = example[1] + "\nassert result.mask.shape == (64, 128)\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
