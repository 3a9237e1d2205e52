"""The tables of names: equal to the recorded map of an official b0, and complete for every variant."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from segformer_cli.classes import default_palette
from segformer_cli.model.checkpoint import ModelConfig, expected_shapes
from segformer_cli.model.formats import huggingface, mmseg, official, smp
from segformer_cli.model.formats.keys import Rules, links, prefixed
from segformer_cli.model.variants import VARIANTS

CLASSES = 150
SEGMENTORS = {
    "official": official.SEGMENTOR,
    "huggingface 4": huggingface.SEGMENTOR,
    "huggingface 5": huggingface.SEGMENTOR_5,
    "smp": smp.SEGMENTOR,
}
# Tensors of a segmentor's state dict, as counted in the other programs: official without conv_seg's two.
TENSORS = {
    "official": {"b0": 192},
    "huggingface 4": {"b0": 208, "b1": 208, "b2": 380, "b3": 644, "b4": 930, "b5": 1172},
}


def shapes_of(variant: str) -> dict[str, tuple[int, ...]]:
    names = ("x",) * CLASSES
    return expected_shapes(ModelConfig(variant=variant, class_names=names, palette=default_palette(CLASSES)))


def rows() -> list[dict[str, str]]:
    with (Path(__file__).parent / "b0_keymap.tsv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file, delimiter="\t") if "conv_seg" not in row["official_key"]]


def by_ours(rules: Rules) -> dict[str, str]:
    return {link.ours[0]: " + ".join(link.theirs) for link in links(rules, shapes_of("b0"))}


@pytest.mark.parametrize(
    ("column", "rules"),
    [("hf_hub_key(s)", huggingface.SEGMENTOR), ("hf_transformers5_module_key(s)", huggingface.SEGMENTOR_5)],
)
def test_official_and_hugging_face_names_are_those_of_the_recorded_map(column: str, rules: Rules) -> None:
    theirs, other = by_ours(official.SEGMENTOR), by_ours(rules)

    assert {theirs[ours]: other[ours] for ours in theirs} == {row["official_key"]: row[column] for row in rows()}


def test_official_shapes_are_those_of_the_recorded_map() -> None:
    shapes = shapes_of("b0")

    # A linear layer of ours, a 1x1 convolution or a matrix of theirs: official has the same shapes throughout.
    ours = {link.theirs[0]: str(shapes[link.ours[0]]) for link in links(official.SEGMENTOR, shapes)}
    assert ours == {row["official_key"]: row["official_shape"] for row in rows()}


def test_mmsegmentation_names_are_those_of_the_recorded_map() -> None:
    names = by_ours(official.SEGMENTOR)
    table = {}
    for link in links(prefixed(mmseg.ENCODER, "backbone."), shapes_of("b0")):
        slices = ("[:C]", "[C:]") if len(link.ours) == 2 else ("",)       # query, then keys and values
        table |= {names[ours]: link.theirs[0] + part for ours, part in zip(link.ours, slices, strict=True)}

    recorded = {row["official_key"]: row["mmseg_key"] for row in rows() if not row["mmseg_key"].startswith("(none")}
    assert table == recorded


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SEGMENTORS)
def test_every_tensor_of_ours_has_one_place_in_theirs(name: str, variant: str) -> None:
    shapes = shapes_of(variant)
    table = links(SEGMENTORS[name], shapes)

    ours = [part for link in table for part in link.ours]
    theirs = [part for link in table for part in link.theirs]
    assert sorted(ours) == sorted(shapes)
    assert len(set(theirs)) == len(theirs) == TENSORS.get(name, {}).get(variant, len(theirs))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_tensor_of_the_encoder_has_one_place_in_mmsegmentation(variant: str) -> None:
    encoder = {name for name in shapes_of(variant) if name.startswith("encoder.")}
    table = links(mmseg.ENCODER, encoder)

    assert {part for link in table for part in link.ours} == encoder
    if variant == "b0":
        assert len(table) == 160
