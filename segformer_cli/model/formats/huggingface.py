"""Hugging Face folders and files: segmentors, image classifiers and bare encoders, of transformers 4 and 5."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segformer_cli.atomic import refuse_existing, replacing
from segformer_cli.errors import UsageError, WeightsError
from segformer_cli.model.checkpoint import Checkpoint, Kind, ModelConfig, write_safetensors, written_by
from segformer_cli.model.formats.keys import Rule, Rules, prefixed, to_ours, to_theirs
from segformer_cli.model.formats.meaning import ADE_SHORT_SIDE, Said, checkpoint_from, our_entry
from segformer_cli.model.formats.official import split_classifier
from segformer_cli.model.formats.source import OUR_ENTRY, Source
from segformer_cli.model.named_weights import CONFIG, NVIDIA_LICENCE, PREPROCESSOR, SAFETENSORS
from segformer_cli.model.segformer import HEADS, MLP_RATIO, SR_RATIOS
from segformer_cli.model.variants import get_variant

NAME = "huggingface"
EPS = (1e-5, 1e-5)
"""transformers leaves every LayerNorm at torch's default; its `layer_norm_eps` is read by nothing."""

ENCODER: Rules = (
    Rule("encoder.stages.{s}.embed.conv", "encoder.patch_embeddings.{s}.proj"),
    Rule("encoder.stages.{s}.embed.norm", "encoder.patch_embeddings.{s}.layer_norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm1", "encoder.block.{s}.{j}.layer_norm_1"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.query", "encoder.block.{s}.{j}.attention.self.query"),
    Rule(
        "encoder.stages.{s}.blocks.{j}.attention.key_value",
        "encoder.block.{s}.{j}.attention.self.key + encoder.block.{s}.{j}.attention.self.value",
    ),
    Rule("encoder.stages.{s}.blocks.{j}.attention.proj", "encoder.block.{s}.{j}.attention.output.dense"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.reduction.conv", "encoder.block.{s}.{j}.attention.self.sr"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.reduction.norm", "encoder.block.{s}.{j}.attention.self.layer_norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm2", "encoder.block.{s}.{j}.layer_norm_2"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.expand", "encoder.block.{s}.{j}.mlp.dense1"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.depthwise", "encoder.block.{s}.{j}.mlp.dwconv.dwconv"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.shrink", "encoder.block.{s}.{j}.mlp.dense2"),
    Rule("encoder.stages.{s}.norm", "encoder.layer_norm.{s}"),
)
ENCODER_5: Rules = (
    Rule("encoder.stages.{s}.embed.conv", "stages.{s}.patch_embeddings.proj"),
    Rule("encoder.stages.{s}.embed.norm", "stages.{s}.patch_embeddings.layer_norm"),
    Rule("encoder.stages.{s}.blocks.{j}.norm1", "stages.{s}.blocks.{j}.layernorm_before"),
    Rule("encoder.stages.{s}.blocks.{j}.attention.query", "stages.{s}.blocks.{j}.attention.q_proj"),
    Rule(
        "encoder.stages.{s}.blocks.{j}.attention.key_value",
        "stages.{s}.blocks.{j}.attention.k_proj + stages.{s}.blocks.{j}.attention.v_proj",
    ),
    Rule("encoder.stages.{s}.blocks.{j}.attention.proj", "stages.{s}.blocks.{j}.attention.o_proj"),
    Rule(
        "encoder.stages.{s}.blocks.{j}.attention.reduction.conv",
        "stages.{s}.blocks.{j}.attention.sequence_reduction.sequence_reduction",
    ),
    Rule(
        "encoder.stages.{s}.blocks.{j}.attention.reduction.norm",
        "stages.{s}.blocks.{j}.attention.sequence_reduction.layer_norm",
    ),
    Rule("encoder.stages.{s}.blocks.{j}.norm2", "stages.{s}.blocks.{j}.layernorm_after"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.expand", "stages.{s}.blocks.{j}.mlp.fc1"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.depthwise", "stages.{s}.blocks.{j}.mlp.dwconv.dwconv"),
    Rule("encoder.stages.{s}.blocks.{j}.ffn.shrink", "stages.{s}.blocks.{j}.mlp.fc2"),
    Rule("encoder.stages.{s}.norm", "stages.{s}.layer_norm"),
)
_REST_OF_HEAD: Rules = (
    Rule("head.fuse", "decode_head.linear_fuse"),
    Rule("head.norm", "decode_head.batch_norm"),
    Rule("head.classify", "decode_head.classifier"),
)
HEAD: Rules = (Rule("head.linears.{s}", "decode_head.linear_c.{s}.proj"), *_REST_OF_HEAD)
HEAD_5: Rules = (Rule("head.linears.{s}", "decode_head.linear_projections.{s}.proj"), *_REST_OF_HEAD)

BODY = "segformer."
SEGMENTOR: Rules = prefixed(ENCODER, BODY) + HEAD
SEGMENTOR_5: Rules = prefixed(ENCODER_5, BODY) + HEAD_5

IMAGENET = {"imagenet.weight": "classifier.weight", "imagenet.bias": "classifier.bias"}


# --- reading ------------------------------------------------------------------------------------------


def read(source: Source) -> Checkpoint | None:
    """The checkpoint of a Hugging Face file or folder; None where it is not one.

    Raises:
        WeightsError: it is one, but not every tensor has its place, or its config names another architecture.
    """
    anchors = ((ENCODER, HEAD, "encoder.patch_embeddings.0.proj.weight"),
               (ENCODER_5, HEAD_5, "stages.0.patch_embeddings.proj.weight"))
    for encoder, head, anchor in anchors:
        prefix = source.prefix_before(anchor)
        if prefix is not None:
            return _read(source, encoder, head, prefix)
    return None


def _read(source: Source, encoder: Rules, head: Rules, prefix: str) -> Checkpoint:
    _check_architecture(source)
    outer = prefix.removesuffix(BODY)                          # before the body's name: `module.` or nothing
    rules, kind = prefixed(encoder, prefix), _kind(source, outer)
    if kind == "segmentor":
        rules += prefixed(head, outer)
    tensors, imagenet = split_classifier(source, IMAGENET, outer)
    translated = to_ours(tensors, rules, kind, source.where)
    translated.tensors.update(imagenet)
    said, notes = _said(source, kind)
    return checkpoint_from(source, translated, said, kind=kind, format=NAME, eps=EPS, notes=notes)


def _kind(source: Source, outer: str) -> Kind:
    has_head = any(name.startswith(outer + "decode_head.") for name in source.tensors)
    return "segmentor" if has_head else "backbone"


def _check_architecture(source: Source) -> None:
    """Refuses what shapes cannot show: other numbers of heads, another activation."""
    fixed = {"num_attention_heads": list(HEADS), "sr_ratios": list(SR_RATIOS), "hidden_act": "gelu"}
    for key, wanted in fixed.items():
        value = (source.config or {}).get(key, wanted)
        if value != wanted:
            raise WeightsError(
                f"config.json has {key} = {value}, SegFormer's is {wanted}",
                where=source.where,
                hint="only b0 to b5 of the paper can be read",
            )


def _said(source: Source, kind: Kind) -> tuple[Said, list[str]]:
    config, processor = source.config or {}, source.processor or {}
    notes = []
    mean, std = processor.get("image_mean"), processor.get("image_std")
    # The processor multiplies by rescale_factor before it normalises; our mean and std are for 0..255.
    scale = processor.get("rescale_factor") or 1 / 255
    if processor.get("do_reduce_labels", processor.get("reduce_labels")):
        notes.append("trained with do_reduce_labels: in the data set's masks 0 is ignored, ids count from 1")
    size = processor.get("size")
    if processor.get("do_resize", bool(size)) and size:
        notes.append(f"its own processor squashes pictures to {_size_text(size)}; here the aspect ratio is kept")
    said = Said(
        class_names=_labels(config) if kind == "segmentor" else None,
        palette=config.get("palette"),
        ignore_index=config.get("semantic_loss_ignore_index"),
        mean=[value / scale for value in mean] if mean else None,
        std=[value / scale for value in std] if std else None,
        licence=_licence(source),
        ade_short=_short_side(size),
    )
    return said, notes


def _labels(config: Mapping[str, Any]) -> list[str] | None:
    """The class names; None where there are none but those transformers invents."""
    id2label = config.get("id2label")
    if not isinstance(id2label, Mapping) or not id2label:
        return None
    names = [str(name) for _, name in sorted(id2label.items(), key=lambda item: int(item[0]))]
    invented = [f"LABEL_{index}" for index in range(len(names))]
    return None if names == invented else names


def _short_side(size: Any) -> int | None:
    if isinstance(size, Mapping):
        size = size.get("height") or size.get("shortest_edge")
    return int(size) if size else None


def _size_text(size: Any) -> str:
    if isinstance(size, Mapping):
        return "x".join(str(size[key]) for key in ("height", "width") if key in size) or str(dict(size))
    return f"{size}x{size}"


def _licence(source: Source) -> str | None:
    """NVIDIA's where the folder says that it is one of theirs; None where it says nothing."""
    said = (str((source.config or {}).get("_name_or_path", "")), source.path.as_posix())
    if any(mark in text for text in said for mark in ("nvidia/segformer-", "nvidia/mit-", "models--nvidia--")):
        return NVIDIA_LICENCE
    return None


# --- writing ------------------------------------------------------------------------------------------


def write(path: Path, checkpoint: Checkpoint, *, force: bool) -> tuple[str, ...]:
    """Writes a folder that `from_pretrained` loads, under transformers 4's names, as the hub has them.

    Raises:
        UsageError: `path` has the suffix of a file.
        SegFormerError: a file exists and `force` is not given, or cannot be written.
    """
    if path.suffix in (".pth", ".pt", ".bin", ".safetensors"):
        raise UsageError(f"{path.name} reads as a file, a Hugging Face model is a folder", hint="give a folder")
    for name in (SAFETENSORS, CONFIG, PREPROCESSOR):
        refuse_existing(path / name, force=force)
    with replacing(path / SAFETENSORS, force=force) as weights:    # the large file first, and in its place last
        write_safetensors(weights, _tensors(checkpoint), {"format": "pt"})
        for name, values in ((PREPROCESSOR, _processor(checkpoint.config)), (CONFIG, _config(checkpoint))):
            with replacing(path / name, force=force) as temporary:
                temporary.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return ()


def _tensors(checkpoint: Checkpoint) -> dict[str, Any]:
    if checkpoint.kind == "segmentor":
        return to_theirs(checkpoint.tensors, SEGMENTOR)
    classifier = {IMAGENET[n]: t.clone() for n, t in checkpoint.tensors.items() if n in IMAGENET}
    return to_theirs(checkpoint.tensors, prefixed(ENCODER, BODY if classifier else "")) | classifier


def _config(checkpoint: Checkpoint) -> dict[str, Any]:
    config, variant = checkpoint.config, get_variant(checkpoint.config.variant)
    architecture, names = _architecture(checkpoint)
    return {
        "architectures": [architecture],
        "model_type": "segformer",
        "num_channels": config.in_channels,
        "num_encoder_blocks": 4,
        "depths": variant.depths,
        "sr_ratios": SR_RATIOS,
        "hidden_sizes": variant.widths,
        "patch_sizes": (7, 3, 3, 3),
        "strides": (4, 2, 2, 2),
        "num_attention_heads": HEADS,
        "mlp_ratios": (MLP_RATIO,) * 4,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "classifier_dropout_prob": 0.1,
        "initializer_range": 0.02,
        "drop_path_rate": 0.1,
        "decoder_hidden_size": config.head_width or variant.head_width,
        "semantic_loss_ignore_index": config.ignore_index,
        "id2label": {str(index): name for index, name in enumerate(names)},
        "label2id": {name: index for index, name in enumerate(names)},
        "palette": config.palette,
        OUR_ENTRY: our_entry(config, written_by()),
    }


def _architecture(checkpoint: Checkpoint) -> tuple[str, tuple[str, ...]]:
    if checkpoint.kind == "segmentor":
        return "SegformerForSemanticSegmentation", checkpoint.config.class_names
    classifier = checkpoint.tensors.get("imagenet.weight")
    if classifier is None:
        return "SegformerModel", ()
    return "SegformerForImageClassification", tuple(f"LABEL_{index}" for index in range(classifier.shape[0]))


def _processor(config: ModelConfig) -> dict[str, Any]:
    """Its processor knows only fixed sizes: ADE20K's 512 or 640, squashed, as the hub's; else none at all."""
    short = config.size.short
    return {
        "image_processor_type": "SegformerImageProcessor",
        "do_resize": short is not None,
        "size": {"height": short or ADE_SHORT_SIDE, "width": short or ADE_SHORT_SIDE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [value / 255 for value in config.mean],
        "image_std": [value / 255 for value in config.std],
        "do_reduce_labels": False,
    }
