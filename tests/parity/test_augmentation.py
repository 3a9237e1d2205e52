"""mmsegmentation's training pipeline beside this one, with the same draws: the same crops, to the last value."""

from __future__ import annotations

import importlib
import math
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.data.dataset import TrainCrops
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.transforms import Augmentation, choose_crop, distort_colours
from segformer_cli.errors import SegFormerError
from segformer_cli.model.header import IMAGENET_MEAN, IMAGENET_STD
from tests.conftest import peer
from tests.data.draws import Draws

compiled = ModuleType("mmcv._ext")                  # see test_mmseg.py
compiled.__getattr__ = lambda name: None  # type: ignore[method-assign]
sys.modules.setdefault("mmcv._ext", compiled)
peer("mmseg")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transforms = importlib.import_module("mmseg.datasets.transforms")
    processing = importlib.import_module("mmcv.transforms")
    preprocessing = importlib.import_module("mmseg.models.data_preprocessor")
    structures = importlib.import_module("mmseg.structures")
    pixel_data = importlib.import_module("mmengine.structures")

pytestmark = pytest.mark.peers

IGNORE = 255


def draw_from(draws: Draws, monkeypatch: pytest.MonkeyPatch) -> None:
    """numpy's old functions, which mmsegmentation draws by, take from these draws."""

    def randint(low: int, high: int | None = None) -> int:
        return int(draws.coin()) if high is None else draws.integers(low, high)

    def choice(options: list[object], p: list[float]) -> object:
        assert list(p) == [0.5, 0.5]
        return options[0] if draws.coin() else options[1]

    for name, function in (
        ("randint", randint), ("uniform", draws.uniform), ("random_sample", lambda: draws.uniform(0.0, 1.0)),
        ("choice", choice),
    ):
        monkeypatch.setattr(np.random, name, function)


def twice(seed: int) -> tuple[Draws, Draws]:
    """The same draws for either side."""
    rng = np.random.default_rng(seed)
    coins, shares = (rng.random(20) < 0.5).tolist(), rng.random(60).tolist()
    return Draws(coins, shares), Draws(coins, shares)


@pytest.mark.parametrize("seed", range(24))
def test_colours_are_distorted_alike(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    theirs, ours = twice(seed)
    found = distort_colours(image, ours)  # type: ignore[arg-type]
    draw_from(theirs, monkeypatch)
    expected = transforms.PhotoMetricDistortion()({"img": image[..., ::-1].copy()})["img"]
    assert np.array_equal(found[..., ::-1], expected)
    assert ours.asked == theirs.asked


@pytest.mark.parametrize("kind", ["mixed", "one class", "nearly one", "ignored"])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_box_is_chosen(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    target = np.random.default_rng(seed).integers(0, 3, (90, 130)).astype(np.uint8)
    if kind != "mixed":
        target[:] = IGNORE if kind == "ignored" else 1
    if kind == "nearly one":
        target[:, 80:] = 2
    theirs, ours = twice(seed)
    rows, columns = choose_crop(target, (64, 48), 0.75, IGNORE, ours)  # type: ignore[arg-type]
    draw_from(theirs, monkeypatch)
    crop = transforms.RandomCrop(crop_size=(64, 48), cat_max_ratio=0.75)
    box = crop.crop_bbox({"img": np.zeros((90, 130, 3), np.uint8), "gt_seg_map": target})
    assert (rows.start, rows.stop, columns.start, columns.stop) == tuple(map(int, box))
    assert ours.asked == theirs.asked


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [(120, 170), (170, 90)])
def test_a_crop_is_the_same_from_the_file_to_the_tensor(
    size: tuple[int, int], seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    rows, columns = np.indices(size) // 16
    target = ((rows + columns + seed) % 4).astype(np.uint8)
    target[target == 3] = IGNORE
    for folder, array in (("images", image), ("masks", target)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    theirs, ours = twice(seed)
    monkeypatch.setattr("segformer_cli.data.dataset.generator", lambda *key: ours)
    # A small part of a picture is resized alone, within one grey level (tests/data): here to the last value.
    monkeypatch.setattr("segformer_cli.data.transforms._WHOLE_IS_CHEAPER", math.inf)
    augmentation = Augmentation(crop_size=(96, 128), base_size=(96, 384))
    item = TrainCrops(open_data(str(tmp_path), "all"), augmentation, IMAGENET_MEAN, IMAGENET_STD, seed=0)[(0, 0)]
    assert not isinstance(item, SegFormerError)

    draw_from(theirs, monkeypatch)
    results = {
        "img": image[..., ::-1].copy(), "img_shape": size, "ori_shape": size, "gt_seg_map": target,
        "seg_fields": ["gt_seg_map"], "reduce_zero_label": False,
    }
    scale = {"scale": (384, 96), "ratio_range": (0.5, 2.0), "keep_ratio": True}
    for step in (
        processing.RandomResize(**scale, resize_type=transforms.Resize),
        transforms.RandomCrop(crop_size=(96, 128), cat_max_ratio=0.75),
        transforms.RandomFlip(prob=0.5),
        transforms.PhotoMetricDistortion(),
    ):
        results = step(results)
    monkeypatch.undo()
    assert ours.asked[1:] == theirs.asked[1:]       # the first is the scale, which they draw from 0 to 1

    sample = structures.SegDataSample()
    sample.gt_sem_seg = pixel_data.PixelData(data=torch.from_numpy(results["gt_seg_map"].copy())[None].long())
    preprocessor = preprocessing.SegDataPreProcessor(
        mean=list(IMAGENET_MEAN), std=list(IMAGENET_STD), bgr_to_rgb=True, pad_val=0, seg_pad_val=IGNORE,
        size=(96, 128),
    )
    bands = torch.from_numpy(np.ascontiguousarray(results["img"].transpose(2, 0, 1)))
    batch = preprocessor({"inputs": [bands], "data_samples": [sample]}, training=True)
    torch.testing.assert_close(item[0], batch["inputs"][0], atol=1e-5, rtol=0)
    assert torch.equal(item[1].long(), batch["data_samples"][0].gt_sem_seg.data[0])
