"""Pictures in, masks and overlays out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segformer_cli.config import PredictConfig
from segformer_cli.engine.streaming import Windows
from segformer_cli.errors import ImageError, SegFormerError, UsageError
from segformer_cli.images import read_mask
from segformer_cli.model.checkpoint import network_from, save_checkpoint
from segformer_cli.overlay import LEGEND_ROWS, colour_mask, draw_overlay
from segformer_cli.workflows import prediction
from segformer_cli.workflows.inputs import find_pictures
from segformer_cli.workflows.predicting import plan, predict
from segformer_cli.workflows.prediction import Prediction, Predictor
from tests.conftest import RandomCheckpoint


@pytest.fixture
def weights(tmp_path: Path, random_checkpoint: RandomCheckpoint) -> str:
    return str(save_checkpoint(tmp_path / "weights.safetensors", random_checkpoint("b0", classes=5)))


def picture(path: Path, size_hw: tuple[int, int] = (40, 56), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size_hw, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_a_mask_has_its_pictures_size_and_an_overlay_is_wider_by_its_legend(tmp_path: Path, weights: str) -> None:
    source = picture(tmp_path / "in" / "street.png")
    done = predict(
        PredictConfig(inputs=(str(source),), weights=weights, out=str(tmp_path / "out"), save=("mask", "overlay"))
    )
    mask = read_mask(tmp_path / "out" / "street.png")
    overlay = np.asarray(Image.open(tmp_path / "out" / "street_overlay.png"))
    assert mask.shape == (40, 56)
    assert overlay.shape[0] == 40
    assert overlay.shape[1] > 56
    image = done.images[0]
    assert image.outputs == (str(tmp_path / "out" / "street.png"), str(tmp_path / "out" / "street_overlay.png"))
    assert image.size_hw == (40, 56)
    assert sum(found.share for found in image.classes) == pytest.approx(1)
    assert [found.share for found in image.classes] == sorted((c.share for c in image.classes), reverse=True)
    assert {found.id for found in image.classes} == set(np.unique(mask).tolist())


def test_one_picture_goes_into_a_file_of_any_name(tmp_path: Path, weights: str) -> None:
    source = picture(tmp_path / "a.jpg")
    predict(PredictConfig(inputs=(str(source),), weights=weights, out=str(tmp_path / "b.png")))
    assert read_mask(tmp_path / "b.png").shape == (40, 56)


def test_a_folders_tree_is_mirrored(tmp_path: Path, weights: str) -> None:
    picture(tmp_path / "in" / "x" / "1.jpg")
    picture(tmp_path / "in" / "y" / "1.jpg")
    predict(PredictConfig(inputs=(str(tmp_path / "in"),), weights=weights, out=str(tmp_path / "out")))
    assert (tmp_path / "out" / "x" / "1.png").is_file()
    assert (tmp_path / "out" / "y" / "1.png").is_file()


def test_a_bad_picture_does_not_stop_the_others(tmp_path: Path, weights: str) -> None:
    picture(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"not a picture")
    done = predict(PredictConfig(inputs=(str(tmp_path / "in"),), weights=weights, out=str(tmp_path / "out")))
    assert [Path(image.input).name for image in done.images] == ["good.png"]
    assert [Path(each.input).name for each in done.failed] == ["bad.png"]
    assert "is no picture" in done.failed[0].error
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == [".predict.jsonl", "good.png"]


def test_the_only_picture_being_bad_is_an_error(tmp_path: Path, weights: str) -> None:
    (tmp_path / "bad.png").touch()
    with pytest.raises(ImageError, match="is empty"):
        predict(PredictConfig(inputs=(str(tmp_path / "bad.png"),), weights=weights, out=str(tmp_path / "out")))


def test_wrong_requests_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "a.jpg"), picture(tmp_path / "a.png")
    cases = [
        ({"inputs": (str(one), str(two)), "out": "mask.png"}, UsageError, "is one file"),
        ({"inputs": (str(one),), "out": "mask.jpg"}, UsageError, "written as PNG"),
        ({"inputs": (str(two),), "out": str(tmp_path)}, UsageError, "is a picture that is to be read"),
        ({"inputs": ("absent.png",), "out": "out/"}, ImageError, r"there is no picture absent\.png"),
        ({"inputs": (), "out": "out/"}, UsageError, "no picture is named"),
        ({"inputs": (str(one),), "out": "out/", "save": ()}, UsageError, "nothing is to be saved"),
    ]
    for fields, error, words in cases:
        with pytest.raises(error, match=words):
            plan(PredictConfig(**fields))  # type: ignore[arg-type]


def test_pictures_of_one_stem_keep_their_endings_and_one_named_twice_is_done_once(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "a.jpg"), picture(tmp_path / "a.png")
    inputs = (str(one), str(two), str(one), str(tmp_path / "*.jpg"))
    jobs, _ = plan(PredictConfig(inputs=inputs, out="out/"))
    assert [job.mask for job in jobs] == [Path("out/a.jpg.png"), Path("out/a.png.png")]
    other = picture(tmp_path / "deep" / "a.jpg")
    with pytest.raises(UsageError, match="would both write"):
        plan(PredictConfig(inputs=(str(one), str(other)), out="out/", save=("mask",)))


def test_an_output_below_a_file_is_an_expected_error(tmp_path: Path, weights: str) -> None:
    (tmp_path / "file").touch()
    source = str(picture(tmp_path / "a.jpg"))
    with pytest.raises(SegFormerError, match="cannot write"):
        predict(PredictConfig(inputs=(source,), weights=weights, out=str(tmp_path / "file" / "x")))


def test_an_existing_mask_is_kept_unless_forced(tmp_path: Path, weights: str) -> None:
    config = {"inputs": (str(picture(tmp_path / "a.jpg")),), "weights": weights, "out": str(tmp_path / "out")}
    predict(PredictConfig(**config))  # type: ignore[arg-type]
    with pytest.raises(SegFormerError, match="exists already"):
        predict(PredictConfig(**config))  # type: ignore[arg-type]
    predict(PredictConfig(**config, force=True))  # type: ignore[arg-type]


def test_globs_folders_and_files_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "c.txt"):
        picture(tmp_path / name) if name.endswith("jpg") else (tmp_path / name).touch()
    assert [path.name for path, _ in find_pictures([str(tmp_path / "a.jpg"), str(tmp_path)])] == ["a.jpg", "b.jpg"]
    assert [path.name for path, _ in find_pictures([str(tmp_path / "*.jpg")])] == ["a.jpg", "b.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="there are no pictures in the folder"):
        find_pictures([str(tmp_path / "empty")])


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 500), (28, 28)])
def test_tiny_pictures_are_enlarged_not_refused(
    random_checkpoint: RandomCheckpoint, size_hw: tuple[int, int]
) -> None:
    predictor = Predictor(network_from(random_checkpoint("b0")), device="cpu")
    assert predictor(np.zeros((*size_hw, 3), np.uint8)).mask.shape == size_hw


def test_a_predictor_takes_paths_arrays_and_pil_images_alike(
    tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    path = picture(tmp_path / "a.png")
    predictor = Predictor(network_from(random_checkpoint("b0")), device="cpu")
    from_path = predictor(path)
    for source in (str(path), np.asarray(Image.open(path)), Image.open(path)):
        assert np.array_equal(predictor(source).mask, from_path.mask)
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match="is no picture"):
            predictor(wrong)


def test_a_prediction_shows_itself_in_a_notebook_and_saves_its_mask(
    tmp_path: Path, random_checkpoint: RandomCheckpoint
) -> None:
    predictor = Predictor(network_from(random_checkpoint("b0")), device="cpu")
    found = predictor(np.zeros((40, 40, 3), np.uint8))
    assert found._repr_png_().startswith(b"\x89PNG")
    assert np.array_equal(read_mask(found.save(tmp_path / "mask.png")), found.mask)


def test_an_overlay_blends_colours_and_leaves_ignored_pixels(random_checkpoint: RandomCheckpoint) -> None:
    config = random_checkpoint("b0", classes=2, palette=((200, 0, 0), (0, 100, 0))).config
    photo = np.full((30, 40, 3), 100, np.uint8)
    mask = np.zeros((30, 40), np.uint8)
    mask[:, 20:] = 255
    overlay = Prediction(photo, mask, config).overlay(opacity=0.5)
    assert overlay[0, 0].tolist() == [150, 50, 50]
    assert overlay[0, 39].tolist() == [100, 100, 100]
    assert colour_mask(mask, config.palette, 255)[0, 39].tolist() == [0, 0, 0]


def test_a_legend_names_what_is_there_and_sums_the_rest() -> None:
    photo = np.zeros((200, 300, 3), np.uint8)
    rows = [(f"class {index}", (index, 0, 0), 0.01) for index in range(60)]
    few = draw_overlay(photo, photo[..., 0], [(0, 0, 0)], rows[:2], ignore_index=255)
    many = draw_overlay(photo, photo[..., 0], [(0, 0, 0)], rows, ignore_index=255)
    assert few.shape[0] == many.shape[0] == 200
    panel = many[:, 300:]
    swatches = {tuple(colour) for colour in panel.reshape(-1, 3).tolist()}
    assert (LEGEND_ROWS - 2, 0, 0) in swatches
    assert (LEGEND_ROWS, 0, 0) not in swatches


def test_windows_slide_over_pictures_at_their_own_size(
    random_checkpoint: RandomCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = network_from(random_checkpoint("b0", classes=5))
    noise = np.random.default_rng(0).integers(0, 255, (150, 200, 3)).astype(np.uint8)
    whole, windows = (Predictor(network, device="cpu", windows=each)(noise).mask for each in (None, Windows(64, 32)))
    assert windows.shape == whole.shape == (150, 200)
    assert not np.array_equal(whole, windows)           # attention sees a window alone
    one = Predictor(network, device="cpu", windows=Windows(256, 64))(noise[:64, :64]).mask
    assert one.shape == (64, 64)
    monkeypatch.setattr(prediction, "LARGEST", 100 * 100)
    monkeypatch.setattr(prediction, "Windows", lambda: Windows(64, 32))
    assert np.array_equal(Predictor(network, device="cpu")(noise).mask, windows)


@pytest.mark.parametrize(("fields", "said"), [
    ({"window": 100}, "windows of 100 pixels"),
    ({"window": 64, "overlap": 8}, "overlap by 8"),
    ({"overlap": 32}, "an overlap needs windows"),
    ({"window": 64, "size": "512"}, "--size says 512"),
])
def test_windows_without_meaning_are_refused(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    source = str(picture(tmp_path / "a.jpg"))
    with pytest.raises(UsageError, match=said):
        plan(PredictConfig(inputs=(source,), out="out/", **fields))  # type: ignore[arg-type]
