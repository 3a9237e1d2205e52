"""Files of segmentation_models_pytorch (0.4 to 0.6): its Segformer on a MiT encoder, as a state dict or a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from segformer_cli.atomic import replacing
from segformer_cli.errors import WeightsError
from segformer_cli.model.checkpoint import Checkpoint, write_safetensors, written_by
from segformer_cli.model.formats import official
from segformer_cli.model.formats.keys import Rule, Rules, prefixed, to_ours, to_theirs
from segformer_cli.model.formats.meaning import Said, checkpoint_from, our_entry
from segformer_cli.model.formats.pickled import save_pickled
from segformer_cli.model.formats.source import OUR_ENTRY, Source
from segformer_cli.model.named_weights import CONFIG, SAFETENSORS
from segformer_cli.model.variants import get_variant

NAME = "smp"
EPS = official.EPS
"""Its encoder passes 1e-6 to blocks and stages and leaves patches and reductions at torch's 1e-5."""

SEGMENTOR: Rules = (
    *prefixed(official.ENCODER, "encoder."),
    Rule("head.linears.{s}", "decoder.mlp_stage.{r}.linear"),
    Rule("head.fuse", "decoder.fuse_stage.0"),
    Rule("head.norm", "decoder.fuse_stage.1"),
    Rule("head.classify", "segmentation_head.0"),
)


def read(source: Source) -> Checkpoint | None:
    """The checkpoint of an smp file or folder; None where it is not one.

    Raises:
        WeightsError: it is one, but not every tensor has its place.
    """
    prefix = source.prefix_before("decoder.mlp_stage.0.linear.weight")
    if prefix is None or prefix + "encoder.patch_embed1.proj.weight" not in source.tensors:
        return None
    extra = [name for name in source.tensors if name.startswith(prefix + "classification_head.")]
    tensors = {name: tensor for name, tensor in source.tensors.items() if name not in extra}
    translated = to_ours(tensors, prefixed(SEGMENTOR, prefix), "segmentor", source.where)
    notes = ["smp rounds the stride-4 grid down and enlarges its output with align_corners; we do as the paper's code"]
    if extra:
        notes.append(f"{len(extra)} tensors of the auxiliary classification_head are left out")
    names = source.ours().get("class_names")
    palette = source.ours().get("palette")
    said = Said(class_names=names, palette=palette)
    return checkpoint_from(source, translated, said, kind="segmentor", format=NAME, eps=EPS, notes=notes)


def write(path: Path, checkpoint: Checkpoint, *, force: bool) -> tuple[str, ...]:
    """Writes a folder that `smp.from_pretrained` loads, or a bare state dict where `path` ends in .pth, .pt or .bin.

    Raises:
        WeightsError: the checkpoint is a backbone.
        SegFormerError: a file exists and `force` is not given, or cannot be written.
    """
    if checkpoint.kind == "backbone":
        raise WeightsError(
            "an encoder alone is no smp Segformer", hint="smp's encoders take the official format: --to official"
        )
    tensors = to_theirs(checkpoint.tensors, SEGMENTOR)
    if path.suffix in (".pth", ".pt", ".bin"):
        save_pickled(path, tensors, force=force)
        return ("a flat state dict has no place for class names, palette and licence",)
    with replacing(path / SAFETENSORS, force=force) as weights:    # the large file first, and in its place last
        write_safetensors(weights, tensors, {"format": "pt"})
        with replacing(path / CONFIG, force=force) as temporary:
            temporary.write_text(json.dumps(_config(checkpoint), indent=2), encoding="utf-8")
    return ()


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The arguments of smp's constructor; keys that start with an underscore do not reach it."""
    config = checkpoint.config
    entry = our_entry(config, written_by())
    entry |= {"class_names": config.class_names, "palette": config.palette}
    return {
        "_model_class": "Segformer",
        "encoder_name": f"mit_{config.variant}",
        "encoder_depth": 5,
        "encoder_weights": None,
        "decoder_segmentation_channels": config.head_width or get_variant(config.variant).head_width,
        "in_channels": config.in_channels,
        "classes": config.num_classes,
        "activation": None,
        "upsampling": 4,
        "aux_params": None,
        "_" + OUR_ENTRY: entry,
    }
