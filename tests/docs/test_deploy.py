"""What docs/deploy.md tells people to type works, in its order; its Python and its JavaScript run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segformer_cli as sf
from segformer_cli.app import main
from tests.conftest import peer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
PICTURE = next((ROOT / "sample_data").rglob("*_leftImg8bit.png"))


def block(language: str) -> str:
    """The page's only block of a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all commands of the page have run."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        peer(package)
    place = tmp_path_factory.mktemp("deploy")
    shutil.copy(PICTURE, place / "street.png")
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    assert len(lines) == 7
    before = Path.cwd()
    os.chdir(place)
    try:
        for line in lines:
            assert main(shlex.split(line)[1:]) == 0, line
    finally:
        os.chdir(before)
    return place


@pytest.mark.slow
def test_every_command_of_the_page_runs_in_its_order(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {"street.onnx", "whole.onnx", "small.onnx", "masks", "runs", "street.png"}


@pytest.mark.slow
def test_the_python_of_the_page_runs_and_finds_the_mask_of_predict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    told: dict[str, np.ndarray] = {}
    exec(compile(block("python"), "docs/deploy.md", "exec"), told)
    assert (told["mask"][0] == expected()).mean() > 0.9999
    assert "'road':" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.node
def test_the_javascript_of_the_page_runs_and_finds_the_mask_of_predict(folder: Path) -> None:
    modules = ROOT / ".node" / "node_modules"
    if shutil.which("node") is None or not (modules / "onnxruntime-web").is_dir():
        pytest.skip("needs Node.js and onnxruntime-web: make node")
    (folder / "node_modules").symlink_to(modules)
    (folder / "segment.mjs").write_text(block("javascript"), encoding="utf-8")
    picture = np.asarray(Image.open(PICTURE).convert("RGBA"))
    (folder / "street.rgba").write_bytes(picture.tobytes())
    height, width = picture.shape[:2]
    (folder / "run.mjs").write_text(
        'import { segment } from "./segment.mjs";\nimport fs from "node:fs";\n'
        'const [model, rgba] = ["whole.onnx", "street.rgba"].map((name) => fs.readFileSync(name));\n'
        f"const mask = await segment(model, rgba, {width}, {height});\n"
        'fs.writeFileSync("mask.bin", mask);\n',
        encoding="utf-8",
    )
    subprocess.run(["node", "run.mjs"], cwd=folder, check=True, timeout=200)
    found = np.fromfile(folder / "mask.bin", np.uint8).reshape(height, width)
    assert (found == expected()).mean() > 0.9999


def expected() -> np.ndarray:
    return sf.Predictor("sample")(PICTURE).mask
