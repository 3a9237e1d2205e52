"""Scoring on tiny labelled pictures: what is counted, by which protocol, how sure it is, what else is said."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segformer_cli.config import EvalConfig
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.sample import write_sample
from segformer_cli.engine.inference import Segmenter
from segformer_cli.errors import UsageError
from segformer_cli.images import read_mask
from segformer_cli.metrics.boundary import band_width, boundary_counts, boundary_iou
from segformer_cli.metrics.confusion import confusion_matrix
from segformer_cli.metrics.scores import scores
from segformer_cli.metrics.sizes import size_counts, size_iou
from segformer_cli.model.checkpoint import load_checkpoint, network_from
from segformer_cli.progress import Progress
from segformer_cli.resize import SizePolicy
from segformer_cli.workflows.evaluation import evaluate, plan
from segformer_cli.workflows.results import PER_IMAGE
from tests.tiny_data import SIZES, THINGS, drawn_by_lot, write_folder
from tests.workflows.conftest import CITY, Weights, masks_of, scored

# What is counted.


def test_the_scores_are_those_of_the_networks_masks(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    split = open_data(lot, "val")
    segmenter = Segmenter.of(network_from(load_checkpoint(path)), torch.device("cpu"))
    confusion = np.zeros((5, 5), np.int64)
    for pair in split.pairs:
        image, target = split.read(pair)
        confusion += confusion_matrix(target, segmenter.mask(image), 5, 255)
    found, expected = scored(weights=path, data=lot), scores(confusion)
    assert np.array_equal(found.confusion, confusion)
    assert (found.miou, found.macc, found.aacc) == (expected.miou, expected.macc, expected.aacc)
    assert (found.fwiou, found.mdice) == (expected.fwiou, expected.mdice)
    assert [row.name for row in found.per_class] == list(THINGS)
    assert [row.iou for row in found.per_class] == expected.iou.tolist()
    assert [row.pixels for row in found.per_class] == expected.pixels.tolist()
    assert (found.images, found.none_of_them) == (7, (0,) * 5)
    assert found.protocol == (
        "7 images of lot val, whole, at their own size, sides rounded up to a multiple of 32, single scale; counted "
        "at label size, classes in neither map left out of the mean"
    )


PACES = ({"batch_size": 3}, {"workers": 2}, {"batch_size": 2, "workers": 1})


def test_no_pace_changes_a_byte_of_what_is_written(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    asked = {"weights": weights_of(), "data": lot, "boundary": True, "object_sizes": True, "calibration": True,
             "fit_temperature": True, "dialect": ("all",)}
    plain = scored(**asked, out=str(tmp_path / "a"))
    changed = {"seconds": 0.0, "artifacts": (), "settings": {}}
    for pace in PACES:
        other = scored(**asked, **pace, out=str(tmp_path / "b"), force=True)
        assert (tmp_path / "a" / PER_IMAGE).read_bytes() == (tmp_path / "b" / PER_IMAGE).read_bytes()
        ours, theirs = (dataclasses.replace(each, **changed).to_json() for each in (plain, other))
        assert repr(ours) == repr(theirs)


def test_what_was_not_asked_for_is_not_in_the_json_object(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    bare = scored(weights=path, data=lot, limit=2, resamples=0).to_json()
    assert set(bare) == {
        "miou", "miou_ci95", "interval", "macc", "aacc", "fwiou", "mdice", "images", "seconds", "protocol",
        "class_match", "device", "precision", "settings", "per_class", "per_image", "confusion_matrix", "groups",
        "dialects",
    }
    assert (bare["miou_ci95"], bare["interval"], bare["class_match"]) == (None, None, None)
    assert set(bare["per_class"][0]) == {"id", "name", "iou", "acc", "dice", "pixels"}
    full = scored(weights=path, data=lot, limit=2, boundary=True, object_sizes=True, calibration=True).to_json()
    assert set(full) - set(bare) == {"means", "calibration"}
    assert set(full["per_class"][0]) - set(bare["per_class"][0]) == {
        "iou_ci95", "boundary_iou", "trimap_iou", "iou_by_size"
    }
    assert set(full["means"]) == {"boundary_iou", "trimap_iou", "boundary_width", "iou_by_size", "size_limits"}


def test_boundaries_and_sizes_are_counted_picture_by_picture(lot: str, tmp_path: Path, weights_of: Weights) -> None:
    path = weights_of()
    found = scored(weights=path, data=lot, boundary=True, boundary_width=0.05, object_sizes=True)
    split = open_data(lot, "val")
    folder = Path(masks_of(path, lot, tmp_path / "masks"))
    outlines, objects = np.zeros((5, 2), np.int64), np.zeros((5, 3, 3), np.int64)
    for pair in split.pairs:
        target, mask = split.read_target(pair), read_mask(folder / f"{pair.key}.png")
        outlines += boundary_counts(target, mask, 5, 255, band_width(target.shape, 0.05))
        objects += size_counts(target, mask, 5, 255)
    assert [row.boundary_iou for row in found.per_class] == boundary_iou(outlines).tolist()
    assert found.means.boundary_iou == np.nanmean(boundary_iou(outlines))
    assert found.means.boundary_width == 0.05
    expected = size_iou(objects)
    for row in found.per_class:
        assert np.array_equal(row.iou_by_size or (), expected[row.id], equal_nan=True)
    # Objects of 96 x 96 pixels have no place in these pictures.
    assert math.isnan((found.means.iou_by_size or ())[2])


def test_calibration_is_of_the_labelled_pixels_alone(lot: str, weights_of: Weights) -> None:
    found = scored(weights=weights_of(), data=lot, calibration=True)
    assert found.calibration is not None
    assert found.calibration.pixels == found.confusion.sum()
    assert found.calibration.accuracy == found.aacc
    assert 1 / 5 < found.calibration.mean_confidence < 1


def test_one_class_scores_as_foreground_and_background(tmp_path: Path, weights_of: Weights) -> None:
    drawings = {f"p{seed}": drawn_by_lot(size, 2, seed, ignored=0) * 255 for seed, size in enumerate(SIZES[:3])}
    data = str(write_folder(tmp_path / "d", drawings, names=None))
    asked = {"weights": weights_of(class_names=("foreground",)), "data": data}
    found = scored(**asked, boundary=True, calibration=True, fit_temperature=True)
    assert [row.name for row in found.per_class] == ["background", "foreground"]
    assert found.confusion.sum() == sum(drawing.size for drawing in drawings.values())
    masks = masks_of(asked["weights"], data, tmp_path / "masks")
    assert np.array_equal(scored(predictions=masks, data=data).confusion, found.confusion)
    assert scored(**asked, multi_scale=True).confusion.sum() == found.confusion.sum()


def test_only_the_first_images_are_scored_where_that_is_asked_for(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    few = scored(weights=path, data=lot, limit=2)
    assert few.images == 2
    split = open_data(lot, "val").first(2)
    assert few.confusion.sum() == sum(np.count_nonzero(split.read_target(pair) != 255) for pair in split.pairs)
    assert scored(weights=path, data=lot, limit=1000).images == 7


def test_the_score_of_each_image_stands_beside_its_key(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    found = scored(weights=path, data=lot)
    assert [key for key, _ in found.image_mious] == [f"p{index}" for index in range(7)]
    assert found.to_json()["per_image"][0] == {"image": "p0", "miou": found.image_mious[0][1]}
    alone = scored(weights=path, data=lot, limit=1)
    assert found.image_mious[0][1] == alone.miou


def test_what_was_asked_for_and_what_it_ran_on_are_kept(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    found = scored(weights=path, data=lot, dialect=("mmseg",), limit=2)
    assert found.settings == {
        "weights": path, "data": lot, "dialect": ["mmseg"], "limit": 2, "device": "cpu", "resamples": 100
    }
    assert (found.device, found.precision) == ("cpu", "fp32")
    rough = scored(weights=path, data=lot, limit=2, precision="bf16")
    assert rough.precision == "bf16"
    assert "single scale, in bf16; counted" in rough.protocol
    assert "fp32" not in found.protocol


def test_progress_is_told_to_whoever_listens(lot: str, weights_of: Weights) -> None:
    heard: list[Progress] = []
    found = evaluate(EvalConfig(weights=weights_of(), data=lot, device="cpu"), heard.append)
    counted = [step for step in heard if step.stage == "eval"]
    assert [step.done for step in counted] == list(range(1, 8))
    assert counted[-1].figures["mIoU"] == found.miou


# How pictures pass the network.


def test_protocols_windows_scales_and_flips_are_said_in_the_sentence(lot: str, weights_of: Weights) -> None:
    asked = {"weights": weights_of(), "data": lot, "limit": 1}
    cases = {
        "whole, at a short side of 64, sides rounded up to a multiple of 32, single scale": {"size": "64"},
        "in windows of 48x64 every 36x48 pixels, logits averaged, at their own size": {"window": (48, 64)},
        "in windows of 48x48 every 32x40 pixels": {"window": (48, 48), "stride": (32, 40)},
        "softmax averaged over 0.5, 0.75, 1, 1.25, 1.5, 1.75 times that size, each also mirrored": {
            "protocol": "native", "multi_scale": True
        },
        "softmax averaged over 1, 0.5 times that size;": {"scales": (1.0, 0.5)},
        "0.5 times that size;": {"scales": (0.5,)},
        "softmax averaged with that of the mirror image;": {"flip": True},
        "softmax averaged over 0.5, 0.75, 1, 1.25, 1.5, 1.75 times that size;": {"multi_scale": True, "flip": False},
    }
    for sentence, fields in cases.items():
        assert sentence in scored(**asked, **fields).protocol


def test_a_size_takes_the_place_of_the_protocols_and_keeps_its_windows_and_scales(
    lot: str, streets: str, weights_of: Weights
) -> None:
    ade = {"weights": weights_of(), "data": lot, "limit": 1, "protocol": "ade20k", "multi_scale": True}
    assert (
        ", whole, at a short side of 64, sides rounded up to a multiple of 32, softmax averaged over 0.75, 0.875, 1, "
        "1.125, 1.25 times that size, each also mirrored;"
    ) in scored(**ade, size="64").protocol
    city = {"weights": weights_of(class_names=CITY), "data": streets, "limit": 1, "protocol": "cityscapes"}
    assert (
        ", in windows of 1024x1024 every 768x768 pixels, logits averaged, at the largest size inside 64x96, sides "
        "rounded up to a multiple of 32, softmax averaged over 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2 times that size, each "
        "also mirrored;"
    ) in scored(**city, size="64x96", multi_scale=True).protocol
    few = scored(**city, size="64", multi_scale=True, scales=(1.0,), flip=False, window=(64, 64))
    assert (
        ", in windows of 64x64 every 48x48 pixels, logits averaged, at a short side of 64, sides rounded up to a "
        "multiple of 32, single scale;"
    ) in few.protocol
    alone = {key: value for key, value in city.items() if key != "protocol"}
    same = scored(**alone, size="64", window=(64, 64))
    assert np.array_equal(few.confusion, same.confusion)


def test_the_protocol_of_a_checkpoint_is_its_own_size(lot: str, weights_of: Weights) -> None:
    own = weights_of(size=SizePolicy(short=32, long=64))
    assert ", whole, at a short side of 32 with a long side of at most 64," in scored(weights=own, data=lot).protocol
    assert ", whole, at their own size," in scored(weights=own, data=lot, protocol="native").protocol


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"protocol": "cityscape"}, "no protocol 'cityscape'"),
        ({"size": "big"}, "--size 'big' is no size"),
        ({"dialect": ("mmsg",)}, "no dialect 'mmsg'"),
        ({"dialect": ("mmseg, smpp",)}, "no dialect 'smpp'"),
        ({"dialect": "mmseg"}, "dialect is 'mmseg'; accepted: a list"),
        ({"precision": "fp64"}, "precision is 'fp64'; accepted"),
        ({"size": 128}, "size is 128; accepted: a text"),
        ({"group": ("vehicle",)}, "--group 'vehicle' is no group"),
        ({"group": ("vehicle=tank",)}, "there is no class 'tank'"),
        ({"group_images": "("}, "is no regular expression"),
        ({"group_images": "Seq"}, "finds nothing in 7 of 7 images"),
        ({"limit": 0}, "limit is 0"),
        ({"window": (8, 8)}, "window is 8x8"),
        ({"boundary_width": 0.0}, "boundary_width is 0"),
        ({"min_miou": 50.0}, "min_miou is 50"),
        ({"out": "scores.json"}, "-o scores.json is one file"),
        ({"fit_temperature": True, "out": "w.json"}, "-o w.json: weights are written as .safetensors"),
        ({"fit_temperature": True, "multi_scale": True}, "fitted to the logits of one pass"),
        ({"fit_temperature": True, "flip": True}, "fitted to the logits of one pass"),
        ({"fit_temperature": True, "scales": (1.0, 0.5)}, "fitted to the logits of one pass"),
        ({"fit_temperature": True, "by_name": True}, "fitted on the weights' own classes"),
        ({"fit_temperature": True, "alias": ("a=b",)}, "fitted on the weights' own classes"),
    ],
    ids=str,
)
def test_what_has_no_meaning_is_refused_before_weights_are_looked_for(
    lot: str, fields: dict[str, Any], words: str
) -> None:
    config = EvalConfig(**{"weights": "absent.safetensors", "data": lot, **fields})
    for run in (evaluate, plan):
        with pytest.raises(UsageError, match=words):
            run(config)  # type: ignore[operator]


def test_windows_that_leave_gaps_and_strides_without_windows_are_wrong_usage(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    with pytest.raises(UsageError, match="windows of 32x32 every 48x32 pixels leave gaps"):
        scored(weights=path, data=lot, window=(32, 32), stride=(48, 32))
    with pytest.raises(UsageError, match="a stride needs a window"):
        scored(weights=path, data=lot, stride=(48, 32))


# How sure it is.


def test_the_interval_holds_the_score_and_is_said(lot: str, weights_of: Weights) -> None:
    path = weights_of()
    found = scored(weights=path, data=lot, resamples=200)
    low, high = found.miou_ci95 or (1, 0)
    assert low < found.miou < high
    assert all(row.iou_ci95 and row.iou_ci95[0] <= row.iou_ci95[1] for row in found.per_class)
    assert found.interval == "95 % interval: bootstrap, 200 draws of 7 images"
    assert found.warnings == ("an interval from only 7 images is likely too narrow",)
    assert scored(weights=path, data=lot, resamples=200).miou_ci95 == found.miou_ci95
    assert scored(weights=path, data=lot, resamples=200, seed=1).miou_ci95 != found.miou_ci95


def test_one_image_has_no_interval_and_that_is_said(lot: str, weights_of: Weights) -> None:
    found = scored(weights=weights_of(), data=lot, limit=1)
    assert found.miou_ci95 is not None
    assert all(map(math.isnan, found.miou_ci95))
    assert found.warnings == ("1 image: an interval needs at least two",)


def test_frames_of_videos_are_warned_of_and_drawn_whole_with_their_pattern(tmp_path: Path, weights_of: Weights) -> None:
    drawings = {
        f"{video}_f{frame:05}": drawn_by_lot((32, 32), 5, seed=frame)
        for video in ("Seq05VD", "0001TP") for frame in range(30, 180, 30)
    }
    asked = {"weights": weights_of(), "data": str(write_folder(tmp_path / "d", drawings))}
    plain = scored(**asked)
    assert any("frames of videos" in warning and "--group-images '(.+)[_/-]f?\\d+$'" in warning
               for warning in plain.warnings)
    drawn = scored(**asked, group_images="(.+)_f")
    assert drawn.interval == "95 % interval: bootstrap, 100 draws of 2 groups of images"
    assert not any("frames of videos" in warning for warning in drawn.warnings)
    assert not any("frames of videos" in warning for warning in scored(**asked, resamples=0).warnings)


# More than one number.


def test_every_tools_reading_of_a_matrix_worked_out_by_hand(tmp_path: Path) -> None:
    # True a: 4 pixels, 3 found, 1 taken for b. True b: 6 pixels, 4 found, 1 taken for a, 1 for c. No c, no d.
    target = np.array([[0, 0, 0, 0, 255], [1, 1, 1, 1, 1], [1, 255, 255, 255, 255]], np.uint8)
    mask = np.array([[0, 0, 0, 1, 3], [1, 1, 1, 1, 0], [2, 0, 1, 2, 3]], np.uint8)
    data = write_folder(tmp_path / "d", {"p": target}, ("a", "b", "c", "d"))
    (tmp_path / "m").mkdir()
    Image.fromarray(mask).save(tmp_path / "m" / "p.png")
    found = scored(predictions=str(tmp_path / "m"), data=str(data), dialect=("all",), resamples=0)
    assert found.confusion.tolist() == [[3, 1, 0, 0], [1, 4, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    a, b = 3 / 5, 4 / 7
    assert found.miou == pytest.approx((a + b + 0) / 3)
    assert found.macc == pytest.approx((3 / 4 + 4 / 6) / 2)
    expected: dict[str, tuple[float, float | None, float | None]] = {
        "mmseg": ((a + b + 0) / 3, (3 / 4 + 4 / 6) / 2, 0.7),
        "cityscapes": ((a + b + 0) / 3, None, None),
        "ultralytics": ((a + b) / 2, None, 0.7),
        "smp": ((a + b + 0 + 1) / 4, (3 / 4 + 4 / 6 + 1 + 1) / 4, 1 - 6 / 40),
        "paddle": ((a + b + 0 + 1) / 4, None, 0.7),
        "torchmetrics": ((a + b + 0) / 3, (3 / 4 + 4 / 6 + 0) / 3, 0.7),
    }
    assert [row.name for row in found.dialects] == list(expected)
    for row in found.dialects:
        for value, wanted in zip((row.miou, row.macc, row.aacc), expected[row.name], strict=True):
            assert value == (None if wanted is None else pytest.approx(wanted)), row.name
        assert row.rule
    some = scored(predictions=str(tmp_path / "m"), data=str(data), dialect=("smp", "mmseg", "smp"), resamples=0)
    assert [row.name for row in some.dialects] == ["smp", "mmseg"]


def test_groups_may_overlap_and_a_pixel_is_right_where_any_of_the_group_was_predicted(tmp_path: Path) -> None:
    target, mask = np.array([[0, 0, 1, 1, 2, 2]], np.uint8), np.array([[0, 1, 0, 2, 2, 0]], np.uint8)
    data = write_folder(tmp_path / "d", {"p": target}, ("car", "bus", "road"))
    (tmp_path / "m").mkdir()
    Image.fromarray(mask).save(tmp_path / "m" / "p.png")
    groups = ("vehicle=car,bus", "large = bus, road", "car=car")
    found = scored(predictions=str(tmp_path / "m"), data=str(data), group=groups, resamples=0)
    # vehicle: true 4, found 3, one road besides; large: true 4, found 2, one car besides.
    assert [(row.name, row.classes, row.pixels) for row in found.groups] == [
        ("vehicle", ("car", "bus"), 4), ("large", ("bus", "road"), 4), ("car", ("car",), 2)
    ]
    assert [row.iou for row in found.groups] == pytest.approx([3 / 5, 2 / 5, found.per_class[0].iou])
    assert [row.acc for row in found.groups] == pytest.approx([3 / 4, 2 / 4, 1 / 2])


def test_cityscapes_has_its_categories_without_asking(streets: str, lot: str, weights_of: Weights) -> None:
    path = weights_of(class_names=CITY)
    names = [row.name for row in scored(weights=path, data=streets).groups]
    assert names == ["flat", "construction", "object", "nature", "sky", "human", "vehicle"]
    more = scored(weights=path, data=streets, group=("x=car", "vehicle=car,bus")).groups
    assert [row.name for row in more] == [*names, "x"]
    assert more[names.index("vehicle")].classes == ("car", "bus")
    assert scored(weights=weights_of(), data=lot).groups == ()


def test_instances_are_weighed_where_their_files_lie_and_the_dialect_is_asked_for(
    tmp_path: Path, weights_of: Weights
) -> None:
    write_sample(tmp_path / "scenes", {"val": 2}, (64, 128))
    data = f"cityscapes:{tmp_path / 'scenes'}"
    asked = {"weights": weights_of(class_names=CITY), "data": data, "dialect": ("cityscapes",)}
    without = scored(**asked)
    assert without.means.iiou is None
    for path in (tmp_path / "scenes" / "gtFine").rglob("*_gtFine_labelIds.png"):
        labels = np.asarray(Image.open(path)).astype(np.int32)
        # Each class with instances is one, the rest none.
        instances = np.where((labels >= 24) & (labels <= 33), labels * 1000 + 1, labels).astype(np.uint16)
        Image.fromarray(instances).save(path.with_name(path.name.replace("labelIds", "instanceIds")))
    found = scored(**asked)
    weighed = {row.name: row.iiou for row in found.per_class if row.iiou is not None and not math.isnan(row.iiou)}
    assert set(weighed) <= {"person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"}
    assert weighed
    assert found.means.iiou == pytest.approx(np.mean(list(weighed.values())))
    assert not any("instanceIds" in warning for warning in found.warnings)
    assert any("*_gtFine_instanceIds.png do not lie beside every mask" in warning for warning in without.warnings)
    assert {row.name for row in found.groups if row.iiou is not None} == {"human", "vehicle"}
    assert found.miou == without.miou
    others = {row.name: row.iiou for row in scored(**asked, group=("vehicle=car,bus", "x=person,rider")).groups}
    assert others["human"] is not None and others["vehicle"] is others["x"] is None
    assert scored(**{**asked, "dialect": ("mmseg",)}).means.iiou is None
