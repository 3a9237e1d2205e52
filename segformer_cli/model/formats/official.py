"""The released files of the authors: MiT backbones (a flat state dict) and segmentors (mmcv's layout)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from segformer_cli.errors import WeightsError
from segformer_cli.model.checkpoint import Checkpoint, written_by
from segformer_cli.model.formats.keys import Rule, Rules, prefixed, to_ours, to_theirs
from segformer_cli.model.formats.meaning import Said, checkpoint_from, our_entry
from segformer_cli.model.formats.pickled import save_pickled
from segformer_cli.model.formats.source import OUR_ENTRY, Source
from segformer_cli.model.named_weights import NVIDIA_LICENCE

NAME = "official"
EPS = (1e-5, 1e-6)

ENCODER: Rules = (
    Rule("encoder.stages.{s}.embed.conv", "patch_embed{t}.proj"),
    Rule("encoder.stages.{s}.embed.norm", "patch_embed{t}.norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm1", "block{t}.{j}.norm1"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.query", "block{t}.{j}.attn.q"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.key_value", "block{t}.{j}.attn.kv"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.proj", "block{t}.{j}.attn.proj"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.reduction.conv", "block{t}.{j}.attn.sr"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.reduction.norm", "block{t}.{j}.attn.norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm2", "block{t}.{j}.norm2"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.expand", "block{t}.{j}.mlp.fc1"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.depthwise", "block{t}.{j}.mlp.dwconv.dwconv"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.shrink", "block{t}.{j}.mlp.fc2"),
    Rule("encoder.stages.{s}.norm", "norm{t}"),
)
HEAD: Rules = (
    Rule("head.linears.{s}", "decode_head.linear_c{t}.proj"),
    Rule("head.fuse", "decode_head.linear_fuse.conv"),
    Rule("head.norm", "decode_head.linear_fuse.bn"),
    Rule("head.classify", "decode_head.linear_pred"),
)
SEGMENTOR: Rules = prefixed(ENCODER, "backbone.") + HEAD

IMAGENET = {"imagenet.weight": "head.weight", "imagenet.bias": "head.bias"}

_DEAD = "decode_head.conv_seg."
"""A classifier that mmsegmentation's base class makes and nothing runs; training carried it into the files."""


def read(source: Source) -> Checkpoint | None:
    """The checkpoint of an official file; None where it is not one.

    Raises:
        WeightsError: it is one, but not every tensor has its place.
    """
    prefix = source.prefix_before("backbone.patch_embed1.proj.weight")
    if prefix is not None and any(name.startswith(prefix + "decode_head.linear_c1.") for name in source.tensors):
        return _read_segmentor(source, prefix)
    prefix = source.prefix_before("patch_embed1.proj.weight")
    return None if prefix is None else _read_backbone(source, prefix)


def write(path: Path, checkpoint: Checkpoint, *, force: bool) -> tuple[str, ...]:
    """Writes a `.pth` as the authors' code loads it; the dead `conv_seg` is not written. Returns what is lost."""
    if checkpoint.kind == "backbone":
        tensors = to_theirs(checkpoint.tensors, ENCODER)
        tensors |= {IMAGENET[name]: t.clone() for name, t in checkpoint.tensors.items() if name in IMAGENET}
        save_pickled(path, tensors, force=force)
        return () if checkpoint.config.licence is None else ("a flat state dict has no place for the licence",)
    config = checkpoint.config
    meta: dict[str, Any] = {
        "CLASSES": list(config.class_names),
        "PALETTE": [list(colour) for colour in config.palette],
        OUR_ENTRY: our_entry(config, written_by()),
    }
    save_pickled(path, {"meta": meta, "state_dict": to_theirs(checkpoint.tensors, SEGMENTOR)}, force=force)
    return ()


def _read_segmentor(source: Source, prefix: str) -> Checkpoint:
    dead = [name for name in source.tensors if name.startswith(prefix + _DEAD)]
    tensors = {name: tensor for name, tensor in source.tensors.items() if name not in dead}
    translated = to_ours(tensors, prefixed(SEGMENTOR, prefix), "segmentor", source.where)
    names, palette = classes_in_meta(source)
    said = Said(
        class_names=names, palette=palette, licence=NVIDIA_LICENCE, ade_short=_short_side(source)
    )
    notes = [f"{len(dead)} tensors of the unused layer conv_seg are left out"] if dead else []
    return checkpoint_from(source, translated, said, kind="segmentor", format=NAME, eps=EPS, notes=notes)


def _read_backbone(source: Source, prefix: str) -> Checkpoint:
    tensors, imagenet = split_classifier(source, IMAGENET, prefix)
    translated = to_ours(tensors, prefixed(ENCODER, prefix), "backbone", source.where)
    translated.tensors.update(imagenet)
    return checkpoint_from(
        source, translated, Said(licence=NVIDIA_LICENCE), kind="backbone", format=NAME, eps=EPS
    )


def split_classifier(source: Source, names: dict[str, str], prefix: str = "") -> tuple[dict[str, Any], dict[str, Any]]:
    """The encoder's tensors under their names, and those of the ImageNet classifier under ours.

    Raises:
        WeightsError: only one of the classifier's two tensors is there.
    """
    there = {ours: prefix + theirs for ours, theirs in names.items() if prefix + theirs in source.tensors}
    if len(there) == 1:
        raise WeightsError(
            f"the file has {next(iter(there.values()))}, but not the other tensor of the classifier", where=source.where
        )
    rest = {name: tensor for name, tensor in source.tensors.items() if name not in there.values()}
    return rest, {ours: source.tensors[theirs].float() for ours, theirs in there.items()}


def classes_in_meta(source: Source) -> tuple[list[str] | None, list[list[int]] | None]:
    """Names and colours from mmcv's `meta`, or `dataset_meta` of mmsegmentation 1.x, which has them in lower case."""
    for meta in (source.meta, source.meta.get("dataset_meta") or {}):
        names = meta.get("CLASSES", meta.get("classes"))
        palette = meta.get("PALETTE", meta.get("palette"))
        if names is not None:
            colours = None if palette is None else [[int(part) for part in colour] for colour in palette]
            return [str(name) for name in names], colours
    return None, None


def _short_side(source: Source) -> int | None:
    """The short side that its training script names: (2048, 640) or 640x640; None where it names none."""
    texts = (str(source.meta.get("config", "")), str(source.meta.get("exp_name", "")), source.path.name)
    for text in texts:
        found = re.search(r"\(2048,\s*(512|640)\)|\b(512x512|640x640)\b", text)
        if found:
            return int(found.group(1) or found.group(2)[:3])
    return None
