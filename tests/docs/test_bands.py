"""What docs/bands.md says works, in its order: six bands of 16 bits from data to masks."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from segformer_cli.app import main
from segformer_cli.engine.loading import load_checkpoint_from
from segformer_cli.model.checkpoint import load_checkpoint, save_checkpoint
from tests.test_bands import put_tiff

PAGE = (Path(__file__).parents[2] / "docs" / "bands.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
SPECTRA = np.array([(300, 400, 350, 2000, 900, 500), (500, 700, 600, 900, 1800, 1500), (200, 300, 250, 100, 50, 40)])
"""Of crops, soil and water."""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("rasterio")
    place = tmp_path_factory.mktemp("fields")
    lot = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for number in range(count):
            ids = np.repeat(np.repeat(lot.integers(0, 3, (3, 4)), 32, 0), 32, 1).astype(np.uint8)
            values = np.clip(SPECTRA[ids] + lot.normal(0, 60, (96, 128, 6)), 0, None).astype(np.uint16)
            for folder, bands in ((f"fields/images/{split}", values), (f"turned/{split}", values[..., ::-1])):
                (place / folder).mkdir(parents=True, exist_ok=True)
                put_tiff(place / folder / f"{number}.tif", bands, compress="deflate")
            (place / f"fields/masks/{split}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(ids).save(place / f"fields/masks/{split}/{number}.png")
    (place / "fields/classes.txt").write_text("crop\nsoil\nwater\n")
    return place


@pytest.fixture(scope="module")
def trained(desk: Path) -> Path:
    """The same folder, where the page's training has been run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(desk)
        line = next(command for command in COMMANDS if " train " in command).replace("runs/fields", "trained")
        assert main([*shlex.split(line)[1:], "-q", "--no-progress"]) == 0
    return desk


def test_every_command_of_the_page_runs_in_its_order(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    assert len(COMMANDS) == 8
    said = {}
    for command in COMMANDS:
        assert main([*shlex.split(command)[1:], "--no-progress"]) == 0, command
        said[command] = capsys.readouterr()
    trained = next(each for command, each in said.items() if " train " in command)
    assert "first convolution inflated from 3 to 6 channels" in trained.err
    assert "bands: 1, 2, 3, 4, 5, 6, mean and deviation from 4 pictures" in trained.err
    stored = load_checkpoint(desk / "runs/fields/checkpoints/best.safetensors").config
    values = np.concatenate([
        np.asarray(_read(file)).reshape(-1, 6) for file in sorted((desk / "fields/images/train").iterdir())
    ])
    assert stored.bands == (1, 2, 3, 4, 5, 6)
    assert stored.mean == pytest.approx(values.mean(0)) and stored.std == pytest.approx(values.std(0))
    straight, turned = (np.asarray(Image.open(desk / name)) for name in ("masks/0.png", "turned-masks/val/0.png"))
    assert straight.shape == (96, 128) and (straight == turned).all()
    with Image.open(desk / "masks/0_overlay.png") as overlay:
        assert overlay.width > 128 and len(np.unique(np.asarray(overlay.crop((0, 0, 128, 96))))) > 100
    assert "6 (1, 2, 3, 4, 5, 6 of the files)" in said["segformer weights info runs/fields"].out


def test_the_lines_of_python_run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    names: dict[str, object] = {}
    code = re.search(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert code is not None
    exec(code[1].replace("runs/fields", "trained"), names)
    assert names["mask"].shape == (96, 128)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("words", "said"), [
    ("predict fields/images/val -w runs/fields -o no/ --bands 1,2", "--bands names 2, the network reads 6"),
    ("predict fields/images/val -w runs/fields -o no/ --set overlay_bands=7", "overlay_bands is 7"),
    ("eval -w runs/fields -d fields --bands 1", "--bands names 1, the network reads 6"),
    ("eval-robust -w runs/fields -d fields -o no", "corruptions are made of 8-bit RGB pictures"),
    ("export -w runs/fields -o no.onnx", "the network reads the bands 1, 2, 3, 4, 5, 6"),
    ("data stats -d fields", "0.tif is no picture that can be read"),
    ("data stats -d fields --bands 7", "has 6 bands, band 7 is asked for"),
    ("data stats -d fields --bands 0", "bands"),
])
def test_bands_that_are_not_there_are_one_error(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    monkeypatch.chdir(trained)
    assert main(shlex.split(words.replace("runs/fields", "trained"))) != 0
    found = capsys.readouterr().err
    assert said in found and "Traceback" not in found
    assert not [*trained.glob("no*")]


def test_a_checkpoint_of_rgb_has_no_bands_in_its_header(tmp_path: Path, trained: Path) -> None:
    save_checkpoint(tmp_path / "a.safetensors", load_checkpoint_from("sample"))
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert '"bands"' not in file.metadata()["segformer"]
    with safe_open(trained / "trained/checkpoints/best.safetensors", "pt") as file:
        assert '"bands": [1, 2, 3, 4, 5, 6]' in file.metadata()["segformer"]


def _read(file: Path) -> np.ndarray:  # type: ignore[type-arg]
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(file) as opened:
            return np.moveaxis(opened.read(), 0, 2)
