"""Pixels to class ids in one graph: the same ids as `predict` gives, at sizes no example had, in every runtime."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from segformer_cli.data.scenes.scene import draw_scene
from segformer_cli.engine.inference import Segmenter
from segformer_cli.engine.loading import load_model
from segformer_cli.engine.protocol import choose_protocol
from segformer_cli.export import onnx, torch_export
from segformer_cli.export.exportable import masks_of
from segformer_cli.export.pipeline import FullPipeline, aligned, fitted, resized
from segformer_cli.model.checkpoint import network_from
from segformer_cli.model.segformer import SegFormer
from segformer_cli.resize import NATIVE, SizePolicy, resize_image
from tests.conftest import RandomCheckpoint, peer

HW = tuple[int, int]
Picture = NDArray[np.uint8]

SHORT_LONG, BOX = SizePolicy(short=128, long=400), SizePolicy(box=(120, 200))
POLICIES = [NATIVE, SHORT_LONG, BOX]
NAMES = ["native", "short-long", "box"]

ALIKE = 0.9999
"""Of the pixels; where two classes are all but equal, the order of a sum decides."""

CROPS: list[HW] = [(256, 512), (97, 131), (177, 285), (33, 161), (30, 31)]

sides = st.integers(1, 400)
bounds = st.integers(1, 300)
small = st.builds(SizePolicy, short=bounds, long=bounds) | st.builds(SizePolicy, box=st.tuples(bounds, bounds))
policies = st.builds(SizePolicy, short=bounds) | small


@pytest.fixture(scope="module")
def sample() -> SegFormer:
    model = load_model("sample")
    assert isinstance(model, SegFormer)
    return model


def segmenter_of(model: SegFormer, size: SizePolicy) -> Segmenter:
    return Segmenter.of(model, torch.device("cpu"), protocol=choose_protocol(None, size, None, ""))


def pipeline_of(model: SegFormer, size: SizePolicy) -> FullPipeline:
    config = model.config
    return FullPipeline(
        model.fused(), mean=config.mean, std=config.std, size=size, num_classes=config.num_classes
    ).eval()


def crops(sizes: list[HW]) -> list[Picture]:
    """Pieces of two streets."""
    return [np.ascontiguousarray(draw_scene(seed)[0][:height, :width]) for seed in (1, 2) for height, width in sizes]


def agreement(run: Callable[[Tensor], Tensor], segmenter: Segmenter, pictures: list[Picture]) -> float:
    """The share of pixels of all pictures whose id is the one that `predict` gives."""
    same = total = 0
    for picture in pictures:
        with torch.inference_mode():
            found = run(torch.from_numpy(picture)[None])[0].numpy()
        expected = segmenter.mask(picture)
        assert found.shape == expected.shape and found.dtype == expected.dtype
        same, total = same + int((found == expected).sum()), total + expected.size
    return same / total


@pytest.mark.parametrize("size", POLICIES, ids=NAMES)
def test_ids_are_those_of_predict(sample: SegFormer, size: SizePolicy) -> None:
    pipeline, segmenter = pipeline_of(sample, size), segmenter_of(sample, size)
    assert agreement(pipeline, segmenter, crops(CROPS)) >= ALIKE


@given(sides, sides, policies)
@settings(max_examples=300, deadline=None)
def test_sizes_are_those_of_the_policy(height: int, width: int, size: SizePolicy) -> None:
    new = fitted((height, width), size)
    factors = [Fraction(size.short, min(height, width))] if size.short else []
    factors += [Fraction(size.long, max(height, width))] if size.long else []
    factors += [Fraction(size.box[0], height), Fraction(size.box[1], width)] if size.box else []
    exact = [side * min(factors) for side in (height, width)]
    assert new == tuple(max(1, int(side + Fraction(1, 2))) for side in exact)
    # At an exact half, the policy's own product of floats may lie a hair below.
    if all(side.denominator != 2 for side in exact):
        assert new == size.fitted((height, width))
        assert aligned(new, size.align) == size.aligned((height, width))


@given(sides, sides, sides, sides, st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_grey_levels_are_those_of_opencv(height: int, width: int, new_h: int, new_w: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected = cv2.resize(picture, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    found = resized(torch.from_numpy(picture).permute(2, 0, 1)[None].float(), (new_h, new_w))
    off = np.abs(found[0].permute(1, 2, 0).numpy() - expected)
    assert off.max() <= 1 and np.count_nonzero(off) <= 1 + 1e-4 * off.size


class Pool(nn.Module):
    """A network without weights: K bands become K classes at a quarter of the size."""

    def forward(self, images: Tensor) -> Tensor:                   # (N, K, H, W)
        return F.avg_pool2d(images.double(), 4, ceil_mode=True)


@given(st.integers(1, 300), st.integers(1, 100), st.just(NATIVE) | small, st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_strips_leave_no_seam_at_any_height(height: int, width: int, size: SizePolicy, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 4), dtype=np.uint8)
    pipeline = FullPipeline(Pool(), mean=(0,) * 4, std=(1, 1.01, 1.02, 1.03), size=size, num_classes=4)
    found = pipeline(torch.from_numpy(picture)[None])
    images = torch.from_numpy(resize_image(picture, size)).permute(2, 0, 1)[None] * pipeline.scale
    logits = Pool()(images)
    for size_hw in (images.shape[2:], (height, width)):
        logits = F.interpolate(logits, size=size_hw, mode="bilinear", align_corners=False)
    assert (found == logits.argmax(1)).double().mean() >= 1 - 2 / found.numel() - 1e-3


def test_a_batch_gives_what_its_pictures_give_alone(sample: SegFormer) -> None:
    pipeline = pipeline_of(sample, SHORT_LONG)
    pictures = torch.from_numpy(np.stack([draw_scene(seed, (90, 150))[0] for seed in (1, 2, 3)]))
    with torch.inference_mode():
        together = pipeline(pictures)
        alone = torch.cat([pipeline(each[None]) for each in pictures])
    assert together.shape == (3, 90, 150)
    assert (together == alone).double().mean() >= ALIKE


def test_one_class_is_1_where_its_logit_is_above_0(random_checkpoint: RandomCheckpoint) -> None:
    model = network_from(random_checkpoint("b0", classes=1, in_channels=3))
    with torch.no_grad():
        classify = model.head.classify
        classify.weight *= 30
    pictures = crops([(64, 96)])
    segmenter = segmenter_of(model, NATIVE)
    assert {0, 1} == set(np.unique(segmenter.mask(pictures[0])))
    assert agreement(pipeline_of(model, NATIVE), segmenter, pictures) >= ALIKE


@pytest.mark.parametrize(("classes", "dtype"), [(255, torch.uint8), (256, torch.int32)])
def test_ids_are_uint8_and_from_256_classes_on_int32(classes: int, dtype: torch.dtype) -> None:
    bands = [0.0] * classes, [1.0] * classes
    pipeline = FullPipeline(Pool(), mean=bands[0], std=bands[1], size=NATIVE, num_classes=classes)
    picture = torch.zeros(1, 8, 8, classes, dtype=torch.uint8)
    picture[..., -1] = 255
    found = pipeline(picture)
    assert found.dtype == dtype and (found == classes - 1).all()


@pytest.mark.parametrize("size", POLICIES, ids=NAMES)
def test_traced_it_takes_sizes_and_batches_that_the_example_had_not(sample: SegFormer, size: SizePolicy) -> None:
    pipeline = pipeline_of(sample, size)
    with torch.no_grad():
        graph = torch.jit.trace(pipeline, masks_of(pipeline, 3).example)  # type: ignore[no-untyped-call]
        for shape in ((1, 97, 131, 3), (3, 30, 31, 3), (1, 300, 40, 3), (1, 20, 200, 3)):
            pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
            assert torch.equal(graph(pictures), pipeline(pictures))


@pytest.fixture(scope="module", params=POLICIES, ids=NAMES)
def exported(
    sample: SegFormer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SizePolicy, Path]:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        peer(package)
    path = tmp_path_factory.mktemp("onnx") / "full.onnx"
    onnx.write_exact(masks_of(pipeline_of(sample, request.param), 3), path)
    return request.param, path


@pytest.mark.slow
def test_in_onnxruntime_ids_are_those_of_predict_too(sample: SegFormer, exported: tuple[SizePolicy, Path]) -> None:
    size, path = exported
    run = onnx.load(path)
    assert agreement(run, segmenter_of(sample, size), crops(CROPS)) >= ALIKE
    pictures = torch.from_numpy(np.stack([draw_scene(seed, (90, 150))[0] for seed in (1, 2, 3)]))
    assert (run(pictures) == torch.cat([run(each[None]) for each in pictures])).double().mean() >= ALIKE


@pytest.mark.slow
def test_the_onnx_graph_holds_no_loop_no_branch_and_no_map_of_all_classes_at_full_size(
    exported: tuple[SizePolicy, Path],
) -> None:
    writer, onnxruntime = peer("onnx"), peer("onnxruntime")
    model = writer.load(str(exported[1]))
    nodes = model.graph.node
    assert not {node.op_type for node in nodes} & {"If", "Loop", "Scan"}
    model.graph.output.extend(writer.ValueInfoProto(name=name) for node in nodes for name in node.output if name)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, {"pictures": np.zeros((1, 190, 250, 3), np.uint8)})
    assert values[0].shape == (1, 190, 250)
    classes = 19
    assert max(value.size for value in values) < classes * 190 * 250 / 1.5


@pytest.mark.slow
@pytest.mark.parametrize("size", [NATIVE, SHORT_LONG], ids=["native", "short-long"])
def test_torch_export_carries_it_at_sides_that_are_multiples_of_32(size: SizePolicy) -> None:
    torch.manual_seed(0)
    network = SegFormer(widths=(8, 16, 40, 64), depths=(1, 1, 1, 1), head_width=32, num_classes=5).eval().fused()
    pipeline = FullPipeline(network, mean=(120,) * 3, std=(60,) * 3, size=size, num_classes=5)
    graph = torch_export.captured(masks_of(pipeline, 3)).module()
    with torch.inference_mode():
        for shape in ((1, 64, 96, 3), (2, 128, 320, 3), (3, 256, 64, 3)):
            pictures = torch.randint(0, 256, shape, dtype=torch.uint8)
            assert torch.equal(graph(pictures), pipeline(pictures))
