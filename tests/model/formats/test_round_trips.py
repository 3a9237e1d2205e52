"""Each format, written and read back, keeps every bit of the weights; what a file says of itself is understood."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segformer_cli.classes import class_set
from segformer_cli.errors import UsageError, WeightsError
from segformer_cli.model.checkpoint import Checkpoint
from segformer_cli.model.formats import huggingface, mmseg, official, read_any, smp
from segformer_cli.model.formats.keys import prefixed, to_theirs
from segformer_cli.model.formats.meaning import UNKNOWN_ORIGIN
from segformer_cli.model.named_weights import NVIDIA_LICENCE
from segformer_cli.resize import NATIVE, SizePolicy

Make = Callable[..., Checkpoint]


def assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def official_file(path: Path, checkpoint: Checkpoint, **meta: Any) -> Path:
    """As the authors' training script writes one: with the dead conv_seg, and an optimiser."""
    classes = checkpoint.config.num_classes
    tensors = to_theirs(checkpoint.tensors, official.SEGMENTOR)
    tensors |= {"decode_head.conv_seg.weight": torch.ones(classes, 128, 1, 1)}
    tensors |= {"decode_head.conv_seg.bias": torch.ones(classes)}
    torch.save({"meta": meta, "state_dict": tensors, "optimizer": {"state": {0: torch.ones(2)}}}, path)
    return path


# --- bit for bit --------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["b0", "b1", "b2"])
@pytest.mark.parametrize(
    ("module", "name"), [(official, "w.pth"), (huggingface, "folder"), (smp, "folder"), (smp, "w.pth")]
)
def test_a_segmentor_survives_every_format(
    random_checkpoint: Make, tmp_path: Path, module: Any, name: str, variant: str
) -> None:
    checkpoint = random_checkpoint(variant)

    module.write(tmp_path / name, checkpoint, force=False)
    again = read_any(tmp_path / name)

    assert (again.format, again.kind, again.config.variant) == (module.NAME, "segmentor", variant)
    assert_same(again.tensors, checkpoint.tensors)


@pytest.mark.parametrize(("module", "name"), [(official, "mit.pth"), (huggingface, "folder")])
def test_a_backbone_survives_with_its_classifier(
    random_backbone: Make, tmp_path: Path, module: Any, name: str
) -> None:
    checkpoint = random_backbone()

    module.write(tmp_path / name, checkpoint, force=False)
    again = read_any(tmp_path / name)

    assert (again.kind, again.config.num_classes) == ("backbone", 0)
    assert_same(again.tensors, checkpoint.tensors)


def test_an_encoder_survives_mmsegmentation_without_its_classifier(random_backbone: Make, tmp_path: Path) -> None:
    checkpoint = random_backbone()

    lost = mmseg.write(tmp_path / "w.pth", checkpoint, force=False)
    again = read_any(tmp_path / "w.pth")

    assert "the ImageNet classifier is left out" in lost[0]
    assert_same(again.tensors, {n: t for n, t in checkpoint.tensors.items() if n.startswith("encoder.")})
    assert (again.config.eps, again.config.block_eps) == (1e-6, 1e-6)


def test_official_to_hugging_face_to_official_changes_nothing_but_conv_seg(
    random_checkpoint: Make, tmp_path: Path
) -> None:
    path = official_file(tmp_path / "w.pth", random_checkpoint())

    huggingface.write(tmp_path / "folder", read_any(path), force=False)
    official.write(tmp_path / "again.pth", read_any(tmp_path / "folder"), force=False)

    before = torch.load(path, weights_only=True)["state_dict"]
    after = torch.load(tmp_path / "again.pth", weights_only=True)["state_dict"]
    assert_same({name: t for name, t in before.items() if "conv_seg" not in name}, after)


def test_other_bands_and_another_head_width_survive(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(in_channels=5, mean=(1.0,) * 5, std=(2.0,) * 5, head_width=64)

    huggingface.write(tmp_path / "folder", checkpoint, force=False)
    config = read_any(tmp_path / "folder").config

    assert (config.in_channels, config.head_width, config.mean) == (5, 64, (1.0,) * 5)


@pytest.mark.parametrize(("module", "name"), [(official, "w.pth"), (huggingface, "folder"), (smp, "folder")])
def test_what_we_know_of_the_weights_survives(
    random_checkpoint: Make, tmp_path: Path, module: Any, name: str
) -> None:
    checkpoint = random_checkpoint(licence="mine", size=SizePolicy(short=256), training_data="streets")

    module.write(tmp_path / name, checkpoint, force=False)
    config = read_any(tmp_path / name).config

    assert (config.class_names, config.palette) == (checkpoint.config.class_names, checkpoint.config.palette)
    assert (config.licence, config.size, config.training_data) == ("mine", SizePolicy(short=256), "streets")


# --- what files of others look like -------------------------------------------------------------------


def test_a_raw_training_file_is_read_and_its_conv_seg_and_optimiser_are_not(
    random_checkpoint: Make, tmp_path: Path
) -> None:
    checkpoint = random_checkpoint(classes=2)

    again = read_any(official_file(tmp_path / "w", checkpoint, CLASSES=("a", "b"), PALETTE=[[1, 2, 3], [4, 5, 6]]))

    assert_same(again.tensors, checkpoint.tensors)
    assert again.config.class_names == ("a", "b")
    assert again.config.palette == ((1, 2, 3), (4, 5, 6))
    assert again.notes == ("2 tensors of the unused layer conv_seg are left out",)
    assert again.config.licence == NVIDIA_LICENCE
    assert (again.config.eps, again.config.block_eps) == (1e-5, 1e-6)


def test_names_and_colours_of_mmsegmentation_1_are_read(random_checkpoint: Make, tmp_path: Path) -> None:
    meta = {"dataset_meta": {"classes": ("a", "b"), "palette": [[1, 2, 3], [4, 5, 6]]}}

    again = read_any(official_file(tmp_path / "w.pth", random_checkpoint(classes=2), **meta))

    assert (again.config.class_names, again.config.palette[1]) == (("a", "b"), (4, 5, 6))


@pytest.mark.parametrize("prefix", ["module.", "model."])
def test_a_wrapper_in_front_of_all_names_is_seen_through(random_checkpoint: Make, tmp_path: Path, prefix: str) -> None:
    checkpoint = random_checkpoint()
    for rules in (official.SEGMENTOR, huggingface.SEGMENTOR, smp.SEGMENTOR):
        torch.save({"state_dict": to_theirs(checkpoint.tensors, prefixed(rules, prefix))}, tmp_path / "w.pth")

        assert_same(read_any(tmp_path / "w.pth").tensors, checkpoint.tensors)


def test_a_single_file_under_transformers_5_names_is_read(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    save_file(to_theirs(checkpoint.tensors, huggingface.SEGMENTOR_5), tmp_path / "w.safetensors")

    again = read_any(tmp_path / "w.safetensors")

    assert (again.format, again.config.eps, again.config.block_eps) == ("huggingface", 1e-5, 1e-5)
    assert_same(again.tensors, checkpoint.tensors)


def test_half_precision_and_a_missing_batch_counter_are_made_good(random_checkpoint: Make, tmp_path: Path) -> None:
    tensors = to_theirs(random_checkpoint().tensors, huggingface.SEGMENTOR)
    del tensors["decode_head.batch_norm.num_batches_tracked"]
    torch.save({name: tensor.half() for name, tensor in tensors.items()}, tmp_path / "pytorch_model.bin")

    again = read_any(tmp_path / "pytorch_model.bin")

    assert {tensor.dtype for tensor in again.tensors.values()} == {torch.float32, torch.int64}


def test_a_sharded_folder_is_read(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    tensors = to_theirs(checkpoint.tensors, huggingface.SEGMENTOR)
    names = sorted(tensors)
    shards = {"a.safetensors": names[:100], "b.safetensors": names[100:]}
    for shard, part in shards.items():
        save_file({name: tensors[name] for name in part}, tmp_path / shard)
    index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))

    assert_same(read_any(tmp_path).tensors, checkpoint.tensors)


def test_an_mmsegmentation_segmentor_gives_its_encoder_and_says_why(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    tensors = to_theirs(checkpoint.tensors, prefixed(mmseg.ENCODER, "backbone."))
    tensors["decode_head.convs.0.conv.weight"] = torch.ones(256, 32, 1, 1)
    torch.save({"state_dict": tensors, "meta": {}}, tmp_path / "w.pth")

    again = read_any(tmp_path / "w.pth")

    assert again.kind == "backbone"
    assert "decode head (1 tensors, the first decode_head.convs.0.conv.weight) is another network" in again.notes[0]
    assert again.config.licence == UNKNOWN_ORIGIN


# --- classes, sizes, licences -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "first", "size"),
    [(150, "wall", SizePolicy(short=512, long=2048)), (19, "road", NATIVE), (7, "class_0", NATIVE)],
)
def test_a_file_without_names_gets_those_its_count_suggests_and_says_so(
    random_checkpoint: Make, tmp_path: Path, classes: int, first: str, size: SizePolicy
) -> None:
    config = read_any(official_file(tmp_path / "w.pth", random_checkpoint(classes=classes))).config

    assert (config.class_names[0], config.size, config.training_data) == (first, size, None)


def test_an_official_640_file_is_run_at_640(random_checkpoint: Make, tmp_path: Path) -> None:
    path = official_file(
        tmp_path / "w.pth",
        random_checkpoint(classes=150),
        CLASSES=class_set("ade20k").class_names,
        config="img_scale=(2048, 640)",
    )

    config = read_any(path).config

    assert config.size == SizePolicy(short=640, long=2048)
    assert config.training_data == "ade20k"


def hub_folder(folder: Path, checkpoint: Checkpoint, config: dict[str, Any], processor: dict[str, Any]) -> Path:
    """A folder as transformers writes it, without anything of ours."""
    folder.mkdir()
    save_file(to_theirs(checkpoint.tensors, huggingface.SEGMENTOR), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "segformer", **config}))
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def test_a_hub_folder_of_nvidia_is_understood(random_checkpoint: Make, tmp_path: Path) -> None:
    names = class_set("ade20k").class_names
    config = {
        "_name_or_path": "nvidia/segformer-b0-finetuned-ade-512-512",
        "id2label": {str(index): name + " " * (index == 7) for index, name in enumerate(names)},
        "semantic_loss_ignore_index": 255,
        "num_attention_heads": [1, 2, 5, 8],
    }
    processor = {
        "size": 640, "do_resize": True, "reduce_labels": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.1] * 3
    }

    again = read_any(hub_folder(tmp_path / "folder", random_checkpoint(classes=150), config, processor))

    assert again.config.class_names == names
    assert again.config.palette == class_set("ade20k").palette
    assert again.config.size == SizePolicy(short=640, long=2048)
    assert again.config.mean == pytest.approx((127.5, 102.0, 76.5))
    assert again.config.licence == NVIDIA_LICENCE
    assert any("squashes pictures to 640x640" in note for note in again.notes)
    assert any("do_reduce_labels" in note for note in again.notes)


def test_known_classes_of_unknown_origin_may_be_nvidias(random_checkpoint: Make, tmp_path: Path) -> None:
    config = {"id2label": {str(i): name for i, name in enumerate(class_set("cityscapes").class_names)}}

    again = read_any(hub_folder(tmp_path / "folder", random_checkpoint(classes=19), config, {}))

    assert again.config.licence == UNKNOWN_ORIGIN
    assert again.config.size == NATIVE


def test_classes_that_nobody_knows_do_not_make_a_strangers_file_free(random_checkpoint: Make, tmp_path: Path) -> None:
    config = {"id2label": {"0": "cat", "1": "dog"}, "semantic_loss_ignore_index": 200}

    again = read_any(hub_folder(tmp_path / "folder", random_checkpoint(classes=2), config, {}))

    assert (again.config.licence, again.config.class_names) == (UNKNOWN_ORIGIN, ("cat", "dog"))
    assert again.config.ignore_index == 200


def test_a_strangers_smp_file_is_of_unknown_origin(random_checkpoint: Make, tmp_path: Path) -> None:
    torch.save(to_theirs(random_checkpoint().tensors, smp.SEGMENTOR), tmp_path / "w.pth")

    assert read_any(tmp_path / "w.pth").config.licence == UNKNOWN_ORIGIN


@pytest.mark.parametrize(("module", "name"), [(official, "w.pth"), (huggingface, "folder"), (smp, "folder")])
def test_weights_of_our_own_stay_our_own_in_every_format_with_a_place_for_it(
    random_checkpoint: Make, tmp_path: Path, module: Any, name: str
) -> None:
    module.write(tmp_path / name, random_checkpoint(licence=None), force=False)

    assert read_any(tmp_path / name).config.licence is None


def test_the_origin_is_a_name_and_not_somebodys_path(
    random_checkpoint: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    official.write(tmp_path / "w.pth", random_checkpoint(), force=False)
    huggingface.write(tmp_path / "folder", random_checkpoint(), force=False)
    monkeypatch.chdir(tmp_path / "folder")

    found = [read_any(path).config.origin for path in (tmp_path / "w.pth", tmp_path / "folder", ".")]

    assert found == ["w.pth", "folder", "folder"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": None}, "size policy cannot be understood"),
        ({"size": {"short": "large"}}, "size policy has 'large', pixels are needed"),
        ({"size": {"tall": 3}}, "size policy cannot be understood"),
        ({"mean": None}, "entry 'segformer_cli' cannot be understood"),
        ({"std": ["wide"] * 3}, "entry 'segformer_cli' cannot be understood"),
    ],
)
def test_a_damaged_entry_of_ours_is_an_error_of_the_file(
    random_checkpoint: Make, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    huggingface.write(tmp_path, random_checkpoint(), force=False)
    config = json.loads((tmp_path / "config.json").read_text())
    config["segformer_cli"] |= change
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(WeightsError, match=message):
        read_any(tmp_path)


def test_an_incomplete_entry_of_ours_names_what_it_lacks(random_checkpoint: Make, tmp_path: Path) -> None:
    huggingface.write(tmp_path, random_checkpoint(), force=False)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["segformer_cli"]["licence"], config["segformer_cli"]["size"]
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(WeightsError, match="the entry 'segformer_cli' lacks licence, size"):
        read_any(tmp_path)


def test_heads_that_shapes_do_not_show_are_checked(random_checkpoint: Make, tmp_path: Path) -> None:
    folder = hub_folder(tmp_path / "folder", random_checkpoint(), {"num_attention_heads": [1, 1, 1, 1]}, {})

    with pytest.raises(WeightsError, match="num_attention_heads"):
        read_any(folder)


# --- refusals to write --------------------------------------------------------------------------------


def test_a_hugging_face_model_is_no_file(random_checkpoint: Make, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a Hugging Face model is a folder"):
        huggingface.write(tmp_path / "w.safetensors", random_checkpoint(), force=False)


def test_an_encoder_alone_is_no_smp_model(random_backbone: Make, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no smp Segformer"):
        smp.write(tmp_path / "folder", random_backbone(), force=False)
