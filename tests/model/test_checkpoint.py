"""Our own file of weights, the networks made from it, and the parameter counts of the paper's code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from segformer_cli.classes import default_palette
from segformer_cli.errors import SegFormerError, WeightsError
from segformer_cli.model.checkpoint import (
    Checkpoint,
    ModelConfig,
    build_network,
    checkpoint_of,
    expected_shapes,
    load_checkpoint,
    network_from,
    save_checkpoint,
)
from segformer_cli.resize import SizePolicy

Make = Callable[..., Checkpoint]

# Trainable parameters of the released code: encoder, and the whole network with 150, 19 and 171 classes.
COUNTS = {
    "b0": (3_319_392, 3_752_694, 3_719_027, 3_758_091),
    "b1": (13_151_424, 13_715_798, 13_682_131, 13_721_195),
    "b2": (24_196_288, 27_461_974, 27_361_235, 27_478_123),
    "b3": (44_072_128, 47_337_814, 47_237_075, 47_353_963),
    "b4": (60_842_688, 64_108_374, 64_007_635, 64_124_523),
    "b5": (81_443_008, 84_708_694, 84_607_955, 84_724_843),
}
PER_STAGE = {
    "b0": (164_096, 255_296, 930_080, 1_969_920),
    "b1": (639_488, 1_006_208, 3_682_880, 7_822_848),
    "b2": (954_368, 1_938_048, 10_308_160, 10_995_712),
    "b3": (954_368, 1_938_048, 30_184_000, 10_995_712),
    "b4": (954_368, 3_801_728, 45_090_880, 10_995_712),
    "b5": (954_368, 2_869_888, 66_623_040, 10_995_712),
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def config_of(variant: str, classes: int) -> ModelConfig:
    names = tuple(f"thing {index}" for index in range(classes))
    return ModelConfig(variant=variant, class_names=names, palette=default_palette(classes))


def parameters(variant: str, classes: int, prefix: str = "") -> int:
    shapes = expected_shapes(config_of(variant, classes))
    counted = [shape for name, shape in shapes.items() if name.startswith(prefix) and not name.endswith(BUFFERS)]
    return sum(torch.Size(shape).numel() for shape in counted)


# --- sizes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", COUNTS)
def test_a_variant_has_as_many_parameters_as_the_released_code(variant: str) -> None:
    counts = (parameters(variant, 1, "encoder."), *(parameters(variant, classes) for classes in (150, 19, 171)))

    assert counts == COUNTS[variant]


@pytest.mark.parametrize("variant", PER_STAGE)
def test_a_stage_has_as_many_parameters_as_in_the_released_code(variant: str) -> None:
    assert tuple(parameters(variant, 1, f"encoder.stages.{stage}.") for stage in range(4)) == PER_STAGE[variant]


def test_a_built_network_has_the_shapes_that_checkpoints_are_held_to() -> None:
    network = build_network(config_of("b0", 19))

    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert shapes == expected_shapes(network.config)


# --- round trips --------------------------------------------------------------------------------------


def test_a_saved_checkpoint_is_read_back_bit_for_bit(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(
        size=SizePolicy(short=512, long=2048), eps=1e-6, training_data="mine", licence="mine too", origin="here"
    )

    again = load_checkpoint(save_checkpoint(tmp_path / "new" / "w.safetensors", checkpoint))

    assert again.config == checkpoint.config
    assert again.tensors.keys() == checkpoint.tensors.keys()
    assert all(torch.equal(again.tensors[name], checkpoint.tensors[name]) for name in again.tensors)


def test_a_box_of_the_size_policy_is_read_back(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint(size=SizePolicy(box=(256, 512)))

    assert load_checkpoint(save_checkpoint(tmp_path / "w.safetensors", checkpoint)).config.size.box == (256, 512)


def test_a_backbone_is_read_back_with_its_classifier(random_backbone: Make, tmp_path: Path) -> None:
    again = load_checkpoint(save_checkpoint(tmp_path / "w.safetensors", random_backbone()))

    assert again.kind == "backbone"
    assert again.tensors["imagenet.weight"].shape == (10, 256)


def test_half_precision_halves_matrices_on_disk_and_is_float32_once_read(
    random_checkpoint: Make, tmp_path: Path
) -> None:
    checkpoint = random_checkpoint()

    path = save_checkpoint(tmp_path / "w.safetensors", checkpoint, half=True)

    with safe_open(path, framework="pt") as file:
        stored = {name: file.get_tensor(name).dtype for name in checkpoint.tensors}
    assert stored["head.fuse.weight"] == torch.float16
    assert stored["head.norm.weight"] == torch.float32
    again = load_checkpoint(path)
    assert again.tensors["head.fuse.weight"].dtype == torch.float32
    assert torch.equal(again.tensors["head.fuse.weight"], checkpoint.tensors["head.fuse.weight"].half().float())


def test_a_value_beyond_half_precision_is_refused_in_half_precision(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    checkpoint.tensors["head.fuse.weight"][0, 0] = 1e6

    with pytest.raises(WeightsError, match=r"head\.fuse\.weight has values"):
        save_checkpoint(tmp_path / "w.safetensors", checkpoint, half=True)


def test_a_network_survives_checkpoint_of_and_network_from(random_checkpoint: Make) -> None:
    network = network_from(random_checkpoint())
    images = torch.randn(1, 3, 64, 96)

    again = network_from(checkpoint_of(network))

    assert not again.training
    assert again.config == network.config
    assert torch.equal(again(images), network(images))


def test_a_checkpoint_does_not_share_memory_with_its_network(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint()
    network = network_from(checkpoint)
    before = checkpoint.tensors["head.norm.weight"].clone()

    with torch.no_grad():
        network.head.norm.weight.zero_()  # type: ignore[union-attr, operator]

    assert torch.equal(checkpoint.tensors["head.norm.weight"], before)


def test_eps_of_the_config_reaches_the_norms(random_checkpoint: Make) -> None:
    network = network_from(random_checkpoint(eps=3e-5, block_eps=4e-6))
    stage = network.encoder.stages[0]

    assert stage.embed.norm.eps == 3e-5  # type: ignore[union-attr]
    assert stage.norm.eps == 4e-6
    assert stage.blocks[0].norm1.eps == 4e-6  # type: ignore[index, union-attr]
    assert stage.blocks[0].attention.reduction.norm.eps == 3e-5  # type: ignore[index, union-attr]


# --- refusals -----------------------------------------------------------------------------------------


def test_a_fused_network_cannot_be_saved(random_checkpoint: Make) -> None:
    with pytest.raises(WeightsError, match="a fused network"):
        checkpoint_of(network_from(random_checkpoint()).fused())


def test_a_network_without_config_cannot_be_saved(random_checkpoint: Make) -> None:
    network = network_from(random_checkpoint())
    network.config = None

    with pytest.raises(WeightsError, match="no config"):
        checkpoint_of(network)


def test_a_backbone_is_no_network(random_backbone: Make) -> None:
    with pytest.raises(WeightsError, match="encoder alone"):
        network_from(random_backbone())


def test_an_existing_file_is_kept_without_force(random_checkpoint: Make, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_text("precious")

    with pytest.raises(SegFormerError, match="exists already"):
        save_checkpoint(path, random_checkpoint())
    assert path.read_text() == "precious"

    save_checkpoint(path, random_checkpoint(), force=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_missing_tensor_is_named_with_the_misspelt_one(random_checkpoint: Make, tmp_path: Path) -> None:
    checkpoint = random_checkpoint()
    tensors = {name.replace("head.fuse.weight", "head.fused.weight"): t for name, t in checkpoint.tensors.items()}

    with pytest.raises(WeightsError, match=r"lacks head\.fuse\.weight.*\n.*\n.*did you mean head\.fused\.weight"):
        save_checkpoint(tmp_path / "w.safetensors", dataclasses.replace(checkpoint, tensors=tensors))


def test_an_unknown_tensor_is_named(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint()

    with pytest.raises(WeightsError, match=r"has head\.norm\.gain, which no part"):
        network_from(
            dataclasses.replace(checkpoint, tensors={**checkpoint.tensors, "head.norm.gain": torch.ones(1)})
        )


def test_a_wrong_shape_is_named_with_both_shapes(random_checkpoint: Make) -> None:
    checkpoint = random_checkpoint()
    tensors = {**checkpoint.tensors, "head.norm.bias": torch.ones(7)}

    with pytest.raises(WeightsError, match=r"head\.norm\.bias has shape \[7\], a b0 needs \[256\]"):
        network_from(dataclasses.replace(checkpoint, tensors=tensors))


def test_a_palette_of_another_length_is_refused() -> None:
    config = dataclasses.replace(config_of("b0", 3), palette=default_palette(2))

    with pytest.raises(WeightsError, match="2 colours for 3 classes"):
        build_network(config)


def test_mean_and_bands_must_fit() -> None:
    with pytest.raises(WeightsError, match="mean has 3 values for 4 channels"):
        build_network(dataclasses.replace(config_of("b0", 3), in_channels=4))


@pytest.fixture
def saved(random_checkpoint: Make, tmp_path: Path) -> Path:
    return save_checkpoint(tmp_path / "w.safetensors", random_checkpoint())


def test_a_file_cut_off_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1000])

    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        load_checkpoint(saved)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"there is no file none\.safetensors"):
        load_checkpoint(tmp_path / "none.safetensors")


def with_header(path: Path, **changes: object) -> None:
    """Rewrites the header of a saved checkpoint; None removes a key."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(file.metadata()["segformer"])
    header |= changes
    for name in [name for name, value in changes.items() if value is None]:
        del header[name]
    save_file(tensors, path, metadata={"segformer": json.dumps(header)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 2}, "format version 2"),
        ({"kind": "decoder"}, "kind is 'decoder'"),
        ({"palete": []}, r"unknown key 'palete'[\s\S]*did you mean palette"),
        ({"mean": None}, "lacks mean"),
        ({"eps": "small"}, "eps is 'small'"),
        ({"palette": [[1, 2]]}, "cannot be understood"),
        ({"variant": "b1"}, "lacks|needs"),
        ({"class_names": ["a"]}, "5 colours for 1 classes"),
    ],
)
def test_a_header_that_is_wrong_is_refused(saved: Path, changes: dict[str, object], message: str) -> None:
    with_header(saved, **changes)

    with pytest.raises(WeightsError, match=message):
        load_checkpoint(saved)


def test_a_safetensors_file_of_another_program_is_not_ours(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "w.safetensors")

    with pytest.raises(WeightsError, match="not a checkpoint of ours"):
        load_checkpoint(tmp_path / "w.safetensors")


def test_weights_that_are_no_numbers_are_refused_by_name(random_checkpoint: Callable[..., Checkpoint]) -> None:
    checkpoint = random_checkpoint("b0")
    checkpoint.tensors["head.fuse.weight"][0, 0] = float("nan")
    with pytest.raises(WeightsError, match=r"head\.fuse\.weight holds values that are no numbers"):
        network_from(checkpoint)
