"""WEIGHTS in all its forms, and starting a network from weights made for something else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segformer_cli.classes import class_set, default_palette
from segformer_cli.engine import loading
from segformer_cli.engine.loading import (
    build_model,
    check_weights,
    inflated,
    load_checkpoint_from,
    load_model,
    start_from,
)
from segformer_cli.errors import EnvironmentLacksError, SegFormerError, UsageError, WeightsError
from segformer_cli.model import hub, named_weights
from segformer_cli.model.checkpoint import Checkpoint, ModelConfig, network_from, save_checkpoint
from segformer_cli.model.formats import huggingface, official
from segformer_cli.model.formats.meaning import UNKNOWN_ORIGIN
from segformer_cli.progress import Progress

Make = Callable[..., Checkpoint]


def config_of(names: tuple[str, ...], **fields: object) -> ModelConfig:
    values = {"variant": "b0", "class_names": names, "palette": default_palette(len(names)), **fields}
    return ModelConfig(**values)  # type: ignore[arg-type]


# --- what WEIGHTS can be ------------------------------------------------------------------------------


def test_a_file_is_recognised_by_its_content_not_by_its_name(random_checkpoint: Make, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "ours.pth", random_checkpoint())
    official.write(tmp_path / "theirs.safetensors", random_checkpoint(), force=False)

    assert load_checkpoint_from(tmp_path / "ours.pth").format == "segformer"
    assert load_checkpoint_from(str(tmp_path / "theirs.safetensors")).format == "official"


def test_a_run_folder_gives_its_best_checkpoint_and_before_there_is_one_its_last(
    random_checkpoint: Make, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "checkpoints" / "last.safetensors", random_checkpoint(training_data="last"))
    assert load_checkpoint_from(tmp_path).config.training_data == "last"

    save_checkpoint(tmp_path / "checkpoints" / "best.safetensors", random_checkpoint(training_data="best"))
    assert load_checkpoint_from(tmp_path).config.training_data == "best"


def test_a_hugging_face_folder_is_weights(random_checkpoint: Make, tmp_path: Path) -> None:
    huggingface.write(tmp_path / "folder", random_checkpoint(), force=False)

    assert load_model(tmp_path / "folder").config.num_classes == 5


def test_whether_weights_are_there_shows_without_reading_them(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    with pytest.raises(WeightsError, match="the folder run holds no weights"):
        check_weights(str(tmp_path / "run"))
    for path in ("run/checkpoints/last.safetensors", "hf/pytorch_model.bin", "file.pth"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"never read")
    for name in ("run", "hf", "file.pth"):
        check_weights(str(tmp_path / name))
    for name in ("sample", "b0-ade20k", "nvidia/segformer-b0-finetuned-ade-512-512", "someone/else"):
        check_weights(name)


@pytest.mark.parametrize(
    ("weights", "words"),
    [("absent.safetensors", "no file or folder"), ("runs/none", "no file or folder"), ("nosuch", "no weights named")],
)
def test_weights_that_are_not_there_are_refused_as_by_a_load(weights: str, words: str) -> None:
    said = []
    for look in (check_weights, load_checkpoint_from):
        with pytest.raises(WeightsError, match=words) as caught:
            look(weights)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_offline_the_cache_must_hold_what_a_name_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "is_cached", lambda name: name == "b1-ade20k")
    check_weights("b1-ade20k", offline=True)
    with pytest.raises(EnvironmentLacksError, match="b2-imagenet are not on this machine"):
        check_weights("b2-imagenet", offline=True)


def test_a_hub_name_is_fetched_and_carries_its_licence(
    random_checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    huggingface.write(folder, random_checkpoint(classes=19), force=False)
    monkeypatch.setattr(hub, "fetch", lambda name, **options: folder)

    config = load_checkpoint_from("b0-cityscapes", offline=True).config

    assert (config.origin, config.licence) == ("b0-cityscapes", named_weights.NVIDIA_LICENCE)


def test_a_licence_that_the_files_state_is_not_replaced_by_what_the_name_suggests(
    random_checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "fetch", lambda name, **options: tmp_path / name.split("/")[1])
    for name, licence in (("theirs", named_weights.NVIDIA_LICENCE), ("silent", None), ("unknown", UNKNOWN_ORIGIN)):
        huggingface.write(tmp_path / name, random_checkpoint(licence=licence), force=False)

    stated = [load_checkpoint_from(f"someone/{name}").config.licence for name in ("theirs", "silent", "unknown")]

    assert stated[0] == named_weights.NVIDIA_LICENCE
    assert stated[1] == "not known here, see the model card of someone/silent"
    assert stated[2] == "not known here, see the model card of someone/unknown"


def test_the_licence_is_told_once_to_the_first_who_listens(
    random_checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface.write(tmp_path, random_checkpoint(), force=False)
    monkeypatch.setattr(hub, "fetch", lambda name, **options: tmp_path)
    monkeypatch.setattr(loading, "_TOLD", set())
    heard: list[Progress] = []

    load_checkpoint_from("b0-ade20k")
    assert heard == []
    for name in ("b0-ade20k", "nvidia/segformer-b0-finetuned-ade-512-512", "b0-cityscapes", "b0-cityscapes"):
        load_checkpoint_from(name, progress=heard.append)

    assert [str(step.message).split(":")[0] for step in heard] == ["b0-ade20k", "b0-cityscapes"]
    assert all("research or evaluation only" in str(step.message) for step in heard)


def test_a_hub_name_that_is_not_cached_needs_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(EnvironmentLacksError):
        load_checkpoint_from("nvidia/segformer-b4-of-nobody", offline=True)


@pytest.mark.parametrize(
    "weights", ["none/w.pth", "./runs/first", "w.safetensors", "runs/train/first", "runs/first", "data/a/b", "/a/b"]
)
def test_a_path_that_does_not_exist_is_not_looked_for_on_the_hub(weights: str) -> None:
    with pytest.raises(WeightsError, match="there is no file or folder"):
        load_checkpoint_from(weights)


@pytest.mark.parametrize(("weights", "error"), [("mine/first", EnvironmentLacksError), ("first", WeightsError)])
def test_a_name_that_the_hub_cannot_answer_may_have_been_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str, error: type[SegFormerError]
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(error) as caught:
        load_checkpoint_from(weights, offline=True)
    assert str(caught.value.hint).endswith(f"there is no file or folder '{weights}' here either")


def test_a_name_that_nobody_knows_is_answered_with_a_guess() -> None:
    with pytest.raises(WeightsError, match="b0-ade20k"):
        load_checkpoint_from("b0-ade20")


def test_the_sample_comes_with_the_package() -> None:
    if not (Path(loading.__file__).parents[1] / "assets" / loading.SAMPLE_FILE).is_file():
        pytest.skip("the sample checkpoint has not been made yet")
    assert load_checkpoint_from("sample").kind == "segmentor"


# --- networks -----------------------------------------------------------------------------------------


def test_a_loaded_model_is_ready_to_predict(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    path = save_checkpoint(tmp_path / "w.safetensors", checkpoint)

    model = load_model(path)

    assert not model.training
    assert model.config.class_names == checkpoint.config.class_names
    images = torch.randn(1, 3, 40, 50)
    assert torch.equal(model(images), network_from(checkpoint)(images))


def test_an_encoder_is_no_model_until_classes_are_asked_for(random_backbone: Make, tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "w.safetensors", random_backbone())

    with pytest.raises(WeightsError, match="encoder alone"):
        load_model(path)
    assert load_model(path, num_classes=3).config.class_names == ("class_0", "class_1", "class_2")


def test_a_model_can_be_asked_for_with_other_classes_and_bands(random_checkpoint: Make, tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "w.safetensors", random_checkpoint(licence="theirs"))

    model = load_model(path, class_names=["thing 2", "new"], in_channels=4)

    assert model(torch.randn(1, 4, 32, 32)).shape == (1, 2, 8, 8)
    assert model.config.mean == (123.675, 116.28, 103.53, 123.675)
    assert model.config.licence == "theirs"


def test_contradicting_class_counts_are_refused(random_checkpoint: Make, tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path / "w.safetensors", random_checkpoint())

    with pytest.raises(WeightsError, match="num_classes is 3, but 2 class names"):
        load_model(path, num_classes=3, class_names=["a", "b"])


def test_a_built_model_has_the_classes_asked_for() -> None:
    model = build_model("b0", class_names=class_set("cityscapes").class_names, in_channels=1)

    assert model.training
    assert model.config.palette == class_set("cityscapes").palette
    assert model(torch.randn(2, 1, 32, 32)).shape == (2, 19, 8, 8)


def test_a_built_model_needs_classes_and_a_known_variant() -> None:
    with pytest.raises(WeightsError, match="no classes"):
        build_model("b0")
    with pytest.raises(UsageError, match="no variant 'b9'"):
        build_model("b9", num_classes=2)


# --- starting from other weights ----------------------------------------------------------------------


def test_the_same_classes_start_from_everything(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint()

    network, said = start_from(checkpoint, checkpoint.config)

    state = network.state_dict()
    assert all(torch.equal(state[name], checkpoint.tensors[name]) for name in state)
    assert network.training
    assert said[-1] == "classifier kept: the same 5 classes"


def test_rows_of_classes_with_the_same_name_are_kept_and_said(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint(class_names=("Road", "sky ", "dog"), classes=3)

    network, said = start_from(checkpoint, config_of(("cat", "SKY", "road", "tree")), seed=3)

    weight, old = network.state_dict()["head.classify.weight"], checkpoint.tensors["head.classify.weight"]
    assert torch.equal(weight[1], old[1])
    assert torch.equal(weight[2], old[0])
    assert not any(torch.equal(weight[0], row) for row in old)
    assert "rows kept for 2 of 4 classes of the same name: SKY, road" in said[-1]


def test_classes_that_are_mere_numbers_match_nothing_of_other_data(random_checkpoint: Make) -> None:
    numbers = ("class_0", "class_1", "road")
    checkpoint = random_checkpoint(class_names=numbers, classes=3)
    old = checkpoint.tensors["head.classify.weight"]

    for names in (numbers, ("class_1", "road")):
        network, said = start_from(checkpoint, config_of(names), seed=3)
        weight = network.state_dict()["head.classify.weight"]
        assert [any(torch.equal(row, other) for other in old) for row in weight] == [n == "road" for n in names]
        assert said[-1].startswith(f"classifier rows kept for 1 of {len(names)} classes")

    network, said = start_from(checkpoint, config_of(numbers), same_classes=True)
    assert torch.equal(network.state_dict()["head.classify.weight"], old)
    assert said[-1] == "classifier kept: the same 3 classes"


def test_other_bands_alone_keep_a_classifier_of_numbered_classes(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(class_names=("class_0", "class_1"), classes=2)
    path = save_checkpoint(tmp_path / "w.safetensors", checkpoint)

    model = load_model(path, in_channels=1)

    assert torch.equal(model.state_dict()["head.classify.weight"], checkpoint.tensors["head.classify.weight"])


def test_what_is_built_anew_follows_the_seed_and_leaves_the_generator_alone(random_checkpoint: Make) -> None:
    checkpoint, config = random_checkpoint(), config_of(("new",))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)

    first, second, third = (start_from(checkpoint, config, seed)[0].state_dict() for seed in (1, 1, 2))

    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first["head.classify.weight"], second["head.classify.weight"])
    assert not torch.equal(first["head.classify.weight"], third["head.classify.weight"])


def test_one_class_of_a_sigmoid_goes_on_as_the_second_of_two(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint(classes=1, class_names=("crack",))
    network, said = start_from(checkpoint, config_of(("background", "crack")))
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        alone = network_from(checkpoint)(images)
        both = network.eval()(images)
    assert not both[:, 0].any()
    torch.testing.assert_close(both[:, 1:], alone)
    assert said[-1] == "classifier kept: its one class beside a background"


def test_an_encoder_starts_a_network_with_a_fresh_head(random_backbone: Make) -> None:
    checkpoint = random_backbone()

    network, said = start_from(checkpoint, config_of(("a", "b")))

    name = "encoder.stages.3.norm.weight"
    assert torch.equal(network.state_dict()[name], checkpoint.tensors[name])
    assert said[-1] == "decode head starts fresh: these weights are an encoder"


def test_a_head_of_another_width_starts_fresh(random_checkpoint: Make) -> None:
    _, said = start_from(random_checkpoint(), config_of(("a",), head_width=64))

    assert said[-1] == "decode head starts fresh: it is 64 channels wide, that of the weights 256"


def test_eps_and_licence_of_the_weights_stay_with_the_network(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint(eps=1e-6, block_eps=1e-6, licence="theirs")

    network, _ = start_from(checkpoint, config_of(("a",)))

    assert (network.config.eps, network.config.block_eps, network.config.licence) == (1e-6, 1e-6, "theirs")


def test_another_variant_is_refused(random_checkpoint: Make) -> None:
    with pytest.raises(UsageError, match="the weights are a b0, --variant says b1") as caught:
        start_from(random_checkpoint(), dataclasses.replace(config_of(("a",)), variant="b1"))
    assert caught.value.hint == "add --variant b0"


@pytest.mark.parametrize("channels", [1, 3, 6])
def test_an_inflated_convolution_answers_a_grey_picture_as_before(channels: int) -> None:
    weight = torch.randn(8, 3, 7, 7, dtype=torch.float64)
    grey = torch.randn(1, 1, 20, 20, dtype=torch.float64)

    before = torch.conv2d(grey.expand(1, 3, 20, 20), weight)
    after = torch.conv2d(grey.expand(1, channels, 20, 20), inflated(weight, channels))

    torch.testing.assert_close(after, before, atol=1e-10, rtol=0)


def test_an_inflated_convolution_repeats_the_bands_in_turn() -> None:
    weight = torch.randn(8, 3, 7, 7)

    assert torch.equal(inflated(weight, 4)[:, 3], weight[:, 0] * (3 / 4))
    assert torch.equal(inflated(weight, 1), weight.sum(1, keepdim=True))


def test_bands_other_than_three_are_inflated_and_said(random_checkpoint: Make) -> None:
    config = config_of(("a",), in_channels=4, mean=(0.0,) * 4, std=(1.0,) * 4)

    network, said = start_from(random_checkpoint(), config)

    assert network(torch.randn(2, 4, 32, 32)).shape == (2, 1, 8, 8)
    assert "first convolution inflated from 3 to 4 channels" in said


@pytest.mark.parametrize("channels", [1, 4])
def test_weights_of_other_bands_start_a_network_for_rgb(random_checkpoint: Make, channels: int) -> None:
    whole = random_checkpoint(in_channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)
    encoder = {name: tensor for name, tensor in whole.tensors.items() if name.startswith("encoder.")}
    no_classes = dataclasses.replace(whole.config, class_names=(), palette=())

    for checkpoint in (whole, Checkpoint(no_classes, encoder, "backbone")):
        network, said = start_from(checkpoint, config_of(("a",)))
        assert network(torch.randn(2, 3, 32, 32)).shape == (2, 1, 8, 8)
        assert f"first convolution inflated from {channels} to 3 channels" in said


def test_bands_that_mean_and_std_contradict_are_refused(random_checkpoint: Make) -> None:
    with pytest.raises(WeightsError, match="mean has 3 values for 4 channels"):
        start_from(random_checkpoint(), config_of(("a",), in_channels=4))
