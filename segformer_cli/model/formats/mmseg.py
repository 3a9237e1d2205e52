"""MiT backbones of mmsegmentation, flat or inside one of its segmentors, whose decode head is another network."""

from __future__ import annotations

from pathlib import Path

from segformer_cli.model.checkpoint import Checkpoint
from segformer_cli.model.formats.keys import Rule, Rules, prefixed, to_ours, to_theirs
from segformer_cli.model.formats.meaning import Said, checkpoint_from
from segformer_cli.model.formats.pickled import save_pickled
from segformer_cli.model.formats.source import Source

NAME = "mmseg"
EPS = (1e-6, 1e-6)

ENCODER: Rules = (
    Rule("encoder.stages.{s}.embed.conv", "layers.{s}.0.projection"),
    Rule("encoder.stages.{s}.embed.norm", "layers.{s}.0.norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm1", "layers.{s}.1.{j}.norm1"),
    Rule(
        "encoder.stages.{s}.blocks.{j}.attention.query + encoder.stages.{s}.blocks.{j}.attention.key_value",
        "layers.{s}.1.{j}.attn.attn.in_proj_{p}",
    ),
    Rule("encoder.stages.{s}.blocks.{j}.attention.proj", "layers.{s}.1.{j}.attn.attn.out_proj"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.reduction.conv", "layers.{s}.1.{j}.attn.sr"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.reduction.norm", "layers.{s}.1.{j}.attn.norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm2", "layers.{s}.1.{j}.norm2"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.expand", "layers.{s}.1.{j}.ffn.layers.0", pointwise=True),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.depthwise", "layers.{s}.1.{j}.ffn.layers.1"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.shrink", "layers.{s}.1.{j}.ffn.layers.4", pointwise=True),
    Rule("encoder.stages.{s}.norm", "layers.{s}.2"),
)


def read(source: Source) -> Checkpoint | None:
    """The encoder of an mmsegmentation file; None where it is not one.

    Raises:
        WeightsError: it is one, but not every tensor of its encoder has its place.
    """
    prefix = source.prefix_before("layers.0.0.projection.weight")
    if prefix is None:
        return None
    outside = [name for name in source.tensors if not name.startswith(prefix + "layers.")] if prefix else []
    tensors = {name: tensor for name, tensor in source.tensors.items() if name not in outside}
    translated = to_ours(tensors, prefixed(ENCODER, prefix), "backbone", source.where)
    notes = []
    if outside:
        notes.append(
            f"only the encoder is read: mmsegmentation's decode head ({len(outside)} tensors, the first {outside[0]}) "
            "is another network than the paper's"
        )
    return checkpoint_from(source, translated, Said(), kind="backbone", format=NAME, eps=EPS, notes=notes)


def write(path: Path, checkpoint: Checkpoint, *, force: bool) -> tuple[str, ...]:
    """Writes a flat `.pth` as mmsegmentation's `init_cfg` takes it. Returns what is lost."""
    save_pickled(path, to_theirs(checkpoint.tensors, ENCODER), force=force)
    lost = []
    if checkpoint.kind == "segmentor":
        lost.append("the decode head is left out: mmsegmentation's is another network")
    elif "imagenet.weight" in checkpoint.tensors:
        lost.append("the ImageNet classifier is left out: mmsegmentation's backbone has none")
    if checkpoint.config.licence is not None:
        lost.append("a flat state dict has no place for the licence")
    return tuple(lost)
