"""Opens `.pth` files without running what is in them, training files with objects of absent programs included.

torch's restricted unpickler does the work. Two kinds of names are added to those it knows: numpy's arrays and
numbers, and the objects that trainers leave beside the weights (logs, configs), each replaced by an `Inert` one that
takes its arguments and forgets them. No module named in a file is ever imported, nothing of it is called.
"""

from __future__ import annotations

import pickletools
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch.serialization import safe_globals

from segformer_cli.atomic import replacing
from segformer_cli.errors import WeightsError

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
_LEGACY_PICKLES = 4
"""Before zip files, torch wrote a magic number, a version, the system's sizes and the object, a pickle each."""

_TORCH_KNOWS = ("collections.OrderedDict", "collections.Counter", "_codecs.encode", "builtins.bytearray",
                "builtins.set", "builtins.complex")

_TRAINERS = frozenset(
    ("addict", "argparse", "collections", "datetime", "easydict", "enum", "functools", "hydra",
     "lightning", "lightning_fabric", "lightning_utilities", "mmcls", "mmcv", "mmdet", "mmengine", "mmpretrain",
     "mmseg", "omegaconf", "pathlib", "pytorch_lightning", "torchmetrics", "typing", "uuid", "yacs")
)
"""Packages whose objects become inert. All of them could: the list is what has been met in files of weights."""

_PLAIN_TYPES = frozenset(
    ("bool", "bytes", "dict", "float", "frozenset", "getattr", "int", "list", "object", "range", "slice", "str",
     "tuple")
)
"""Builtins met in training files as default factories and, `getattr`, as references to methods; inert as well."""


class Inert:
    """Stands for an object of a program that is not here; keeps nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class InertDict(Inert):
    """Stands for a kind of dict, and keeps the items: torch fills real dicts only."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return OrderedDict()


class InertList(Inert):
    """Stands for a kind of list."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return []


def load_pickled(path: Path) -> Any:
    """What a file of `torch.save` holds, tensors on the CPU.

    Raises:
        WeightsError: the file is damaged, is a program, or needs an object that could run code; which is said.
    """
    names = sorted(_globals_in(path))
    refused = [name for name in names if _is_refused(name)]
    if refused:
        raise WeightsError(
            f"{path.name} wants to run {refused[0]} while it is read; it was not opened",
            where=str(path) + (f" (also {', '.join(refused[1:4])})" if refused[1:] else ""),
            hint=_hint_for(refused),
        )
    try:
        stand_ins = [_stand_in(name) for name in names if _is_inert(name)]
        with safe_globals([*_numpy_globals(), *stand_ins]), warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")             # of torch, on its own storage classes in old files
            # Not by its path: torch takes a name that ends in .safetensors at its word.
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the unpickler fail in any way
        raise _unreadable(path, error) from error


def save_pickled(path: Path, content: Any, *, force: bool = False) -> None:
    """Writes `content` as `torch.save` does, whole or not at all.

    Raises:
        SegFormerError: the file exists and `force` is not given, or cannot be written.
    """
    with replacing(path, force=force) as temporary, temporary.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # after a refused write torch's archive cannot be closed, and says only that
            raise OSError(str(error.__context__ or error)) from error


# --- the names a file asks for ------------------------------------------------------------------------


def _globals_in(path: Path) -> set[str]:
    """Every name that the file's pickles look up, found without running them."""
    try:
        with path.open("rb") as file:
            if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC:
                return _globals_in_zip(path)
            file.seek(0)
            return {name for _ in range(_LEGACY_PICKLES) for name in _globals_in_pickle(file)}
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, IndexError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _globals_in_zip(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.namelist()
        if any(entry.endswith("/constants.pkl") or "/code/" in entry for entry in entries):
            raise WeightsError(
                f"{path.name} is a program (TorchScript), not a state dict",
                where=str(path),
                hint="give the weights it was made from",
            )
        pickles = [entry for entry in entries if entry == "data.pkl" or entry.endswith("/data.pkl")]
        if not pickles:
            raise WeightsError(f"{path.name} is a zip file without weights", where=f"{path}: no data.pkl in it")
        with archive.open(pickles[0]) as file:
            return set(_globals_in_pickle(file))


def _globals_in_pickle(file: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "GLOBAL":
            yield _modern(*str(argument).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL" and len(strings) > 1:   # not of torch.save; named in the refusal
            yield f"{strings[-2]}.{strings[-1]}"
        elif isinstance(argument, str):
            strings = [*strings[-1:], argument]


def _modern(module: str, name: str) -> str:
    """The name as Python 3 has it: torch.save writes those of Python 2."""
    if (module, name) in NAME_MAPPING:
        module, name = NAME_MAPPING[module, name]
    return f"{IMPORT_MAPPING.get(module, module)}.{name}"


def _is_refused(name: str) -> bool:
    known = name in _TORCH_KNOWS or name.startswith("torch.") or name in _numpy_names()
    return not known and not _is_inert(name)


def _is_inert(name: str) -> bool:
    if name in _TORCH_KNOWS:
        return False
    module, _, attribute = name.rpartition(".")
    return name.split(".")[0] in _TRAINERS or (module == "builtins" and attribute in _PLAIN_TYPES)


def _hint_for(refused: list[str]) -> str:
    if any("segformer" in name.lower() or "segmentation" in name.lower() for name in refused):
        return "the file holds a whole Python object: save its state_dict() instead"
    return "do not open the file elsewhere unless you trust who made it"


# --- what stands for them -----------------------------------------------------------------------------


def _stand_in(name: str) -> type[Inert]:
    """A class of that name which does nothing; torch looks it up by its module and name."""
    module, _, attribute = name.rpartition(".")
    kind: type[Inert] = Inert
    if attribute.endswith(("Dict", "dict", "CfgNode")):
        kind = InertDict
    elif attribute == "deque":
        kind = InertList
    return type(attribute, (kind,), {"__module__": module, "__qualname__": attribute})


def _numpy_globals() -> list[Any]:
    """numpy's own constructors of arrays and numbers, under the names of numpy 1 and 2."""
    rebuild, scalar = np.zeros(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    dtypes = [getattr(np.dtypes, name) for name in np.dtypes.__all__]
    functions = [
        _renamed(function, f"numpy.{core}.multiarray", name)
        for core in ("core", "_core")
        for function, name in ((rebuild, "_reconstruct"), (scalar, "scalar"))
    ]
    return [np.ndarray, np.dtype, *dtypes, *functions]


def _numpy_names() -> set[str]:
    return {f"{entry.__module__}.{entry.__qualname__}" for entry in _numpy_globals()}


def _renamed(function: Any, module: str, name: str) -> Any:
    def call(*arguments: Any) -> Any:
        return function(*arguments)

    call.__module__, call.__qualname__ = module, name
    return call


# --- what went wrong ----------------------------------------------------------------------------------


def _unreadable(path: Path, error: Exception) -> WeightsError:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    where = f"{path} ({path.stat().st_size:,} bytes)"
    if "GLOBAL" in str(error) or "Unsupported" in str(error):
        reason = next((line for line in str(error).splitlines() if "GLOBAL" in line or "Unsupported" in line), text)
        return WeightsError(
            f"{path.name} holds more than tensors: {reason.strip()[:200]}",
            where=where,
            hint="save the model's state_dict() instead",
        )
    return WeightsError(
        f"{path.name} cannot be read as a file of torch.save: {text[:200]}",
        where=where,
        hint="the file may be cut off: copy or download it again",
    )
