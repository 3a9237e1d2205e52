"""Files for test servers: judged by cityscapesscripts, and read back by the layouts."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segformer_cli.classes import class_set, default_palette
from segformer_cli.data.layouts.detect import open_data
from segformer_cli.data.pairs import Pair, Split, identity_ids
from segformer_cli.data.submission import submission_ids, submission_path, write_submission
from segformer_cli.errors import SegFormerError

FRAMES = ("frankfurt_000000_000294", "frankfurt_000001_000294", "lindau_000000_000019", "munster_000173_000019")


def put(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def put_split(root: Path, images: str, masks: str, ids: NDArray[np.uint8]) -> Path:
    put(root / images, np.zeros((*ids.shape, 3), np.uint8))
    put(root / masks, ids)
    return root


def put_cityscapes(root: Path, kind: str = "labelIds") -> Path:
    """A val split of several cities and sequences; between them the masks hold every id of the data set."""
    last = 18 if kind == "labelTrainIds" else 33
    for seed, frame in enumerate(FRAMES):
        rng = np.random.default_rng(seed)
        every = np.concatenate([np.arange(last + 1), rng.integers(0, last + 1, 64 - last - 1)])
        name = f"val/{frame.split('_')[0]}/{frame}"
        ids = rng.permutation(every).astype(np.uint8).reshape(8, 8)
        put_split(root, f"leftImg8bit/{name}_leftImg8bit.png", f"gtFine/{name}_gtFine_{kind}.png", ids)
    return root


def put_ade20k(root: Path) -> Path:
    ids = np.arange(151, dtype=np.uint8).reshape(1, 151)
    stem = "validation/ADE_val_00000001"
    return put_split(root, f"images/{stem}.jpg", f"annotations/{stem}.png", ids)


def put_coco(root: Path, suffix: str = ".png") -> Path:
    in_use = sorted(class_set("coco-stuff").file_ids().values())
    ids = np.array([[*(in_use if suffix == ".png" else range(171)), 255]], np.uint8)
    stem = "val2017/000000000139"
    return put_split(root, f"images/{stem}.jpg", f"annotations/{stem}{suffix}", ids)


def unknown_classes(classes: int) -> Split:
    names = tuple(f"class_{index}" for index in range(classes))
    ignored = 255 if classes <= 255 else 65535
    return Split(
        "val", "own", Path(), names, default_palette(classes), ignored, identity_ids(classes, ignored), ()
    )


def submit_targets(split: Split, folder: Path) -> list[Path]:
    """The perfect submission: the true class ids of each picture, written as if they were predicted."""
    return [write_submission(folder, split, pair, split.read_target(pair)) for pair in split.pairs]


def judged(root: Path, submitted: Path) -> dict[str, Any]:
    """What the data set's own evaluation says of a folder of predictions, after finding them itself."""
    judge = pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")
    args = copy.copy(judge.args)                    # one object for the whole process
    # No instance files lie there, and their scores are not what is looked at.
    args.evalInstLevelScore, args.JSONOutput, args.quiet = False, False, True
    args.predictionPath, args.predictionWalk = str(submitted), None
    targets = sorted(map(str, root.glob("gtFine/val/*/*_gtFine_labelIds.png")))
    predictions = [judge.getPrediction(args, target) for target in targets]
    return dict(judge.evaluateImgLists(predictions, targets, args))


def test_the_cityscapes_evaluation_finds_every_file_and_scores_the_targets_100_percent(tmp_path: Path) -> None:
    root, out = put_cityscapes(tmp_path / "data"), tmp_path / "out"
    written = submit_targets(open_data(str(root), "val"), out)
    assert [path.name for path in written] == [f"{frame}.png" for frame in FRAMES]
    result = judged(root, out)
    assert result["averageScoreClasses"] == result["averageScoreCategories"] == 1.0
    names = class_set("cityscapes").class_names
    assert [result["classScores"][name] for name in names] == [1.0] * 19


def test_one_wrong_class_in_a_cityscapes_submission_costs_that_class(tmp_path: Path) -> None:
    root, out = put_cityscapes(tmp_path / "data"), tmp_path / "out"
    split = open_data(str(root), "val")
    for pair in split.pairs:
        mask = split.read_target(pair)
        mask[mask == 18] = 17
        write_submission(out, split, pair, mask)
    scores = judged(root, out)["classScores"]
    assert scores["bicycle"] == 0.0
    assert 0.0 < scores["motorcycle"] < 1.0
    assert scores["road"] == 1.0


def test_the_cityscapes_files_are_plain_8_bit_grey(tmp_path: Path) -> None:
    split = open_data(str(put_cityscapes(tmp_path / "data")), "val")
    for path in submit_targets(split, tmp_path / "out"):
        depth, colour_type = path.read_bytes()[24:26]
        assert (depth, colour_type) == (8, 0)


def test_a_cityscapes_copy_of_train_ids_is_submitted_in_label_ids_all_the_same(tmp_path: Path) -> None:
    split = open_data(str(put_cityscapes(tmp_path, "labelTrainIds")), "val")
    mask = np.array([[0, 11, 18, 255]], np.uint8)
    assert submission_ids(mask, split).tolist() == [[7, 24, 33, 0]]


def test_the_drawn_sample_is_submitted_like_cityscapes() -> None:
    assert submission_ids(np.array([[0, 18]], np.uint8), open_data("sample", "val")).tolist() == [[7, 33]]


def test_ade20k_masks_are_written_one_higher_under_the_names_of_their_pictures(tmp_path: Path) -> None:
    split = open_data(f"ade20k:{put_ade20k(tmp_path / 'data')}", "val")
    path = write_submission(tmp_path / "out", split, split.pairs[0], np.array([[0, 1, 149]], np.uint8))
    assert path == tmp_path / "out" / "ADE_val_00000001.png"
    image = Image.open(path)
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[1, 2, 150]]


@pytest.mark.parametrize("suffix", [".png", "_labelTrainIds.png"])
def test_coco_stuff_masks_are_written_in_its_own_ids_whatever_its_copy_holds(tmp_path: Path, suffix: str) -> None:
    split = open_data(f"coco-stuff164k:{put_coco(tmp_path / 'data', suffix)}", "val")
    path = write_submission(tmp_path / "out", split, split.pairs[0], np.array([[0, 11, 80, 170, 255]], np.uint8))
    assert path == tmp_path / "out" / "000000000139.png"
    image = Image.open(path)
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [[0, 12, 91, 181, 255]]


@pytest.mark.parametrize("name", ["cityscapes", "ade20k", "coco-stuff164k"])
def test_every_class_comes_back_through_the_id_table_of_its_layout(tmp_path: Path, name: str) -> None:
    put_tree = {"cityscapes": put_cityscapes, "ade20k": put_ade20k, "coco-stuff164k": put_coco}[name]
    split = open_data(f"{name}:{put_tree(tmp_path)}", "val")
    mask = np.array([[*range(len(split.class_names)), split.ignore_index]], np.uint8)
    submitted = submission_ids(mask, split)
    assert len(np.unique(submitted)) == mask.size
    assert split.ids[submitted].tolist() == mask.tolist()


@pytest.mark.parametrize("name", ["ade20k", "coco-stuff164k"])
def test_the_targets_of_a_split_are_written_as_the_bytes_they_were_read_from(tmp_path: Path, name: str) -> None:
    put_tree = {"ade20k": put_ade20k, "coco-stuff164k": put_coco}[name]
    split = open_data(f"{name}:{put_tree(tmp_path / 'data')}", "val")
    pair = split.pairs[0]
    assert pair.mask is not None
    (written,) = submit_targets(split, tmp_path / "out")
    assert np.array_equal(np.asarray(Image.open(written)), np.asarray(Image.open(pair.mask)))


@pytest.mark.parametrize(("classes", "mode"), [(5, "L"), (255, "L"), (300, "I;16")])
def test_classes_of_no_known_set_keep_their_ids(tmp_path: Path, classes: int, mode: str) -> None:
    split = unknown_classes(classes)
    mask = np.array([[*range(classes), split.ignore_index]], np.uint8 if classes <= 255 else np.uint16)
    path = write_submission(tmp_path, split, Pair("deep/a", Path("a.jpg"), None), mask)
    assert path == tmp_path / "deep" / "a.png"
    image = Image.open(path)
    assert image.mode == mode
    assert np.asarray(image).tolist() == mask.tolist()


def test_black_and_white_masks_are_submitted_as_class_ids(tmp_path: Path) -> None:
    put_split(tmp_path, "images/a.jpg", "masks/a.png", np.array([[0, 255]], np.uint8))
    split = open_data(str(tmp_path), "val")
    assert submission_ids(split.read_target(split.pairs[0]), split).tolist() == [[0, 1]]


def test_an_id_that_is_no_class_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="the mask holds 5, own has 5 classes"):
        submission_ids(np.array([[0, 5]], np.uint8), unknown_classes(5))


def test_a_16_bit_mask_of_few_classes_is_written_in_8_bits(tmp_path: Path) -> None:
    split = open_data(f"ade20k:{put_ade20k(tmp_path)}", "val")
    assert submission_ids(np.array([[149]], np.uint16), split).dtype == np.uint8


def test_an_earlier_submission_is_replaced_only_by_force(tmp_path: Path) -> None:
    split = unknown_classes(2)
    pair = Pair("a", Path("a.jpg"), None)
    write_submission(tmp_path, split, pair, np.zeros((2, 2), np.uint8))
    with pytest.raises(SegFormerError, match=r"a\.png exists already"):
        write_submission(tmp_path, split, pair, np.ones((2, 2), np.uint8))
    write_submission(tmp_path, split, pair, np.ones((2, 2), np.uint8), force=True)
    assert np.asarray(Image.open(submission_path(tmp_path, pair))).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_bdd100k_is_submitted_in_the_train_ids_of_its_own_masks(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 18, 255]], np.uint8)
    put_split(tmp_path, "images/10k/val/a.jpg", "labels/sem_seg/masks/val/a.png", ids)
    split = open_data(str(tmp_path), "val")
    assert split.data == "bdd100k"
    (path,) = submit_targets(split, tmp_path / "out")
    assert np.asarray(Image.open(path)).tolist() == ids.tolist()
