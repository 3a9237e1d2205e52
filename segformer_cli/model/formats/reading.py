"""One file or folder of weights, of whatever program, to a checkpoint; its content decides, not its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from segformer_cli.errors import WeightsError
from segformer_cli.model.checkpoint import HEADER, Checkpoint, load_checkpoint, read_safetensors
from segformer_cli.model.formats import huggingface, mmseg, official, smp
from segformer_cli.model.formats.pickled import PICKLE_MAGIC, ZIP_MAGIC, load_pickled
from segformer_cli.model.formats.source import OUR_ENTRY, Source
from segformer_cli.model.named_weights import CONFIG, PICKLE, PREPROCESSOR, SAFETENSORS

READERS: tuple[Callable[[Source], Checkpoint | None], ...] = (smp.read, huggingface.read, mmseg.read, official.read)
"""smp before official: its encoder has the official names behind a prefix."""

_WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net")
"""Where training files keep the tensors."""

_SHARDS = (SAFETENSORS + ".index.json", PICKLE + ".index.json")


def read_any(path: str | Path) -> Checkpoint:
    """The checkpoint in a file or folder: ours, official, Hugging Face's, mmsegmentation's or smp's.

    Raises:
        WeightsError: it is absent, damaged, of no format we know, or a tensor has no place.
    """
    path = Path(path)
    if path.is_dir():
        return _recognised(_folder(path))
    if not path.is_file():
        raise WeightsError(f"there is no file {path.name}", where=str(path))
    if _is_safetensors(path):
        return _read_safetensors(path)
    _refuse_foreign(path)
    tensors, meta = _state_dict(load_pickled(path), path)
    return _recognised(Source(path, tensors, meta, *_beside(path)))


def _recognised(source: Source) -> Checkpoint:
    for read in READERS:
        checkpoint = read(source)
        if checkpoint is not None:
            return checkpoint
    names = list(source.tensors)
    raise WeightsError(
        f"{source.path.name} is no SegFormer that we know: its {len(names)} tensors start with {', '.join(names[:3])}",
        where=source.where,
        hint="known: our own, NVlabs, Hugging Face, mmsegmentation (MiT) and smp files",
    )


# --- folders ------------------------------------------------------------------------------------------


def _folder(folder: Path) -> Source:
    config, processor = _beside(folder / SAFETENSORS)
    for name in (SAFETENSORS, PICKLE):
        if (folder / name).is_file():
            return Source(folder, _tensors(folder / name), {}, config, processor)
    for name in _SHARDS:
        if (folder / name).is_file():
            return Source(folder, _sharded(folder / name), {}, config, processor)
    found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:5]) or "nothing"
    raise WeightsError(
        f"the folder {folder.name} holds no weights",
        where=f"looked in {folder} for checkpoints/best.safetensors, {SAFETENSORS}, {PICKLE}; found {found}",
    )


def _sharded(index: Path) -> dict[str, Tensor]:
    names = sorted(set(_json(index).get("weight_map", {}).values()))
    tensors: dict[str, Tensor] = {}
    for name in names:
        if Path(name).name != name:
            raise WeightsError(f"{index.name} names a file outside its folder: {name}", where=str(index))
        tensors |= _tensors(index.parent / name)
    return tensors


def _tensors(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise WeightsError(f"there is no file {path.name}", where=str(path))
    if _is_safetensors(path):
        return read_safetensors(path)[0]
    _refuse_foreign(path)
    return _state_dict(load_pickled(path), path)[0]


def _beside(path: Path) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """config.json and preprocessor_config.json in the file's folder, where they are a SegFormer's."""
    config = _json(path.parent / CONFIG) if (path.parent / CONFIG).is_file() else None
    if config is not None and config.get("model_type") != "segformer" and config.get("_model_class") != "Segformer":
        return None, None
    if config is not None and "_" + OUR_ENTRY in config:       # smp's configs keep ours behind an underscore
        config = {**config, OUR_ENTRY: config["_" + OUR_ENTRY]}
    processor = _json(path.parent / PREPROCESSOR) if config and (path.parent / PREPROCESSOR).is_file() else None
    return config, processor


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.name} cannot be read: {error}", where=str(path)) from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path.name} holds no object", where=str(path))
    return values


# --- files --------------------------------------------------------------------------------------------


def _is_safetensors(path: Path) -> bool:
    """Its first eight bytes are the length of a JSON header, which follows."""
    with path.open("rb") as file:
        start = file.read(9)
    if len(start) < 9 or start[8:9] != b"{":
        return False
    return int.from_bytes(start[:8], "little") < 1 << 40


def _read_safetensors(path: Path) -> Checkpoint:
    tensors, metadata = read_safetensors(path)
    if HEADER in metadata:
        return load_checkpoint(path)
    return _recognised(Source(path, tensors, {}, *_beside(path)))


def _refuse_foreign(path: Path) -> None:
    """An error that says what the file is, where its first bytes are not torch's."""
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith((ZIP_MAGIC, PICKLE_MAGIC)):
        return
    text = start.lstrip().lower()
    if not start:
        what, hint = "is empty", "copy or download it again"
    elif text.startswith((b"<!doctype", b"<html")):
        what, hint = "is a web page", "the download went wrong: open its address in a browser"
    elif text.startswith(b"version https://git-lfs"):
        what, hint = "is a pointer of git-lfs, not the file itself", "run `git lfs pull` in its repository"
    elif text.startswith(b"<?xml") or path.suffix.lower() in (".onnx", ".xml"):
        what, hint = "is neither weights nor an exported file that can be read", "it may be cut off: copy it again"
    elif path.with_suffix(".xml").is_file():
        what, hint = "holds the weights of an OpenVINO file, without the graph", f"name {path.with_suffix('.xml')}"
    else:
        what, hint = "is no file of weights: its first bytes are neither safetensors nor torch", None
    raise WeightsError(f"{path.name} {what}", where=f"{path} ({path.stat().st_size:,} bytes)", hint=hint)


def _state_dict(loaded: Any, path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of what a file holds, and its `meta`; optimiser state and logs are left behind."""
    meta: dict[str, Any] = {}
    while isinstance(loaded, Mapping) and not any(isinstance(value, Tensor) for value in loaded.values()):
        if isinstance(loaded.get("meta"), Mapping):
            meta = dict(loaded["meta"])
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not loaded:
        raise WeightsError(f"{path.name} holds no state dict but a {type(loaded).__name__}", where=str(path))
    for name, value in loaded.items():
        if not isinstance(value, Tensor):
            raise WeightsError(
                f"{path.name} has no tensor at {name!r} but a {type(value).__name__}",
                where=str(path),
                hint=f"looked for the tensors under {', '.join(_WRAPPERS)}",
            )
    return {str(name): value for name, value in loaded.items()}, meta
