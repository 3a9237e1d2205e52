"""Five sources become one frozen dataclass: defaults < preset < file < SEGFORMER_* < --set < flags.

A source holds texts, each with the place it was written. The type of the field alone decides what a text
means: `no` is a name where a name is wanted and false where a switch is.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from segformer_cli import config
from segformer_cli.coercion import NotAccepted, coerce, describe, of_kind, shown, written
from segformer_cli.config import Doc, Range, Whole
from segformer_cli.errors import ConfigError, UsageError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from yaml import MappingNode, Node

    Config = TypeVar("Config", bound=DataclassInstance)
else:
    Config = TypeVar("Config")

PREFIX = "SEGFORMER_"
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class Entry:
    """A key as one source wrote it: None for null, a text, a list of them, or a flag's own value."""

    key: str
    value: object
    place: str


@dataclass(frozen=True)
class Row:
    """One key of a command, for `--help-config` and the docs."""

    key: str
    accepts: str
    default: str
    doc: str


def resolve(
    cls: type[Config],
    *,
    preset: str | None = None,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    sets: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Config:
    """The configuration that all sources together give; a later source wins, key by key.

    Args:
        preset: the recipe to start from where no source names one by the key `preset`.
        environ: variables; SEGFORMER_LR is the key lr. Those that are no key of this command are ignored.
        sets: texts KEY=VALUE.
        flags: values of the command line; None is a flag that was not given.
        warn: hears of each ignored variable that looks like a key misspelt.

    Raises:
        ConfigError: a key is unknown, a value is none its key accepts, a file cannot be read.
    """
    types = _types(cls)
    entries = [
        *(_file_entries(file, example=_example(cls)) if file is not None else ()),
        *_variable_entries(environ or {}, types, warn),
        *(_set_entry(text, example=_example(cls)) for text in sets),
        *(
            Entry(key, value, "--" + key.replace("_", "-"))
            for key, value in (flags or {}).items()
            if value is not None
        ),
    ]
    if "preset" in types:
        entries = [*_recipe(entries, preset), *entries]
    return cls(**{entry.key: _coerced(entry, cls) for entry in entries})


def checked(instance: Config, cls: type[Config] | None = None) -> Config:
    """The same configuration, each value of the type that its field asks for; for those made in Python.

    A path stands for its text, a list for a tuple. What is at its default is not judged.

    Args:
        cls: what it must be one of.

    Raises:
        ConfigError: a value is of another type, an empty text, or a number out of its range.
        UsageError: it is no configuration, or not a `cls`.
    """
    _refuse_other_kind(instance, cls)
    found = {}
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if value is not field.default:
            found[field.name] = _typed(field.name, value, type(instance))
    return dataclasses.replace(instance, **found)


def _refuse_other_kind(given: object, cls: type | None) -> None:
    of_class = dataclasses.is_dataclass(given) and not isinstance(given, type)
    if not of_class or not isinstance(given, cls or object):
        wanted = cls.__name__ if cls else "configuration"
        what = f"the class {given.__name__}" if isinstance(given, type) else f"a {type(given).__name__}"
        hint = f"give {wanted}(KEY=VALUE, ...)" if cls else "make one of its class, such as EvalConfig(KEY=VALUE, ...)"
        raise UsageError(f"settings are a {wanted}, {what} was given", hint=hint)


def changed(instance: DataclassInstance) -> dict[str, object]:
    """The keys of a configuration that are not at their default, as plain values."""
    return {
        field.name: _plain(value)
        for field in dataclasses.fields(instance)
        if (value := getattr(instance, field.name)) != field.default
    }


def document(cls: type[DataclassInstance]) -> tuple[Row, ...]:
    """Every key of a command: what it accepts, its default, its meaning."""
    rows = []
    for field in dataclasses.fields(cls):
        kind, doc, *_ = get_args(get_type_hints(cls, include_extras=True)[field.name])
        assert isinstance(doc, Doc)
        allowed = _ranges(cls).get(field.name)
        accepts = describe(kind) + (f"; must {allowed}" if allowed else "")
        rows.append(Row(field.name, accepts, written(field.default), doc.text))
    return tuple(rows)


def to_yaml(instance: DataclassInstance) -> str:
    """The configuration as YAML that `resolve` reads back to the same."""
    import yaml

    values = {field.name: _plain(getattr(instance, field.name)) for field in dataclasses.fields(instance)}
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def written_as_yaml(value: object) -> str:
    """One value as a line of YAML holds it.

    >>> written_as_yaml(True), written_as_yaml(("a", "b")), written_as_yaml("(.+)_"), written_as_yaml(None)
    ('true', '[a, b]', '(.+)_', 'null')
    """
    import yaml

    text: str = yaml.safe_dump(_plain(value), default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")


def presets() -> dict[str, str]:
    """The recipes that come with the package: each by name, with its own description."""
    found = {}
    for path in sorted(PRESETS.glob("*.yaml")):
        values = {entry.key: entry.value for entry in _file_entries(path, keep_description=True)}
        found[path.stem] = str(values.get("description", ""))
    return found


@functools.cache
def _types(cls: type[DataclassInstance]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {key: get_args(hint)[0] if get_origin(hint) is Annotated else hint for key, hint in hints.items()}


@functools.cache
def _ranges(cls: type[DataclassInstance]) -> dict[str, Range]:
    hints = get_type_hints(cls, include_extras=True)
    return {key: note for key, hint in hints.items() for note in get_args(hint)[1:] if isinstance(note, Range)}


@functools.cache
def _wholes(cls: type[DataclassInstance]) -> frozenset[str]:
    """The keys marked `Whole`."""
    hints = get_type_hints(cls, include_extras=True)
    return frozenset(key for key, hint in hints.items() if any(isinstance(note, Whole) for note in get_args(hint)))


def _example(cls: type[DataclassInstance]) -> str:
    """A key of the command that takes a number, to be shown where something else was written."""
    numbers = [field for field in dataclasses.fields(cls) if type(field.default) in (int, float)]
    field = numbers[0] if numbers else dataclasses.fields(cls)[0]
    return f"{field.name}={field.default if numbers else '...'}"


def _coerced(entry: Entry, cls: type[DataclassInstance]) -> object:
    key, where = entry.key, f"in {entry.place}"
    types = _types(cls)
    if key not in types:
        raise ConfigError(f"there is no key {key!r}", where=where, hint=did_you_mean(key, types))
    _refuse_empty(key, entry.value, types[key], where)
    alone = key in _wholes(cls) and isinstance(entry.value, str)
    try:
        value = coerce([entry.value] if alone else entry.value, types[key])
    except NotAccepted as error:
        raise ConfigError(
            f"{key} is {shown(entry.value)}; accepted: {error.accepted}", where=where, hint=error.hint
        ) from None
    if key in _ranges(cls):
        _check_range(key, value, _ranges(cls)[key], where)
    return value


def _typed(key: str, given: object, cls: type[DataclassInstance]) -> object:
    """A value of Python as its field wants it."""
    kind = _types(cls)[key]
    _refuse_empty(key, given, kind)
    try:
        value = of_kind(given, kind)
    except NotAccepted as error:
        hint = f"write {(given,)!r}" if key in _wholes(cls) and isinstance(given, str) else error.hint
        raise ConfigError(f"{key} is {shown(given, 'None')}; accepted: {error.accepted}", hint=hint) from None
    if key in _ranges(cls):
        _check_range(key, value, _ranges(cls)[key])
    return value


def _refuse_empty(key: str, value: object, kind: Any, where: str | None = None) -> None:
    """An empty text is nearly always a variable of a script that is not set; null says "none" in its place."""
    if isinstance(value, str) and not value.strip() and str in (kind, *get_args(kind)):
        raise ConfigError(f"{key} is an empty text", where=where, hint=f"give {describe(kind)}, or leave {key} out")


def _check_range(key: str, value: Any, allowed: Range, where: str | None = None) -> None:
    """`value` is a number or a tuple of them; a word or None is not judged."""
    numbers = () if value is None or isinstance(value, str) else value if isinstance(value, tuple) else (value,)
    if not all(allowed.holds(number) for number in numbers):
        between = "x" if all(isinstance(number, int) for number in numbers) else " to "
        text = between.join(str(number) if isinstance(number, int) else f"{number:g}" for number in numbers)
        each = "each" if len(numbers) > 1 else "it"
        raise ConfigError(f"{key} is {text}", where=where, hint=f"{each} must {allowed}")


def _recipe(entries: Sequence[Entry], fallback: str | None) -> list[Entry]:
    """The entries of the preset that the last source to speak of one names, and its name."""
    named = [entry for entry in entries if entry.key == "preset"]
    last = named[-1] if named else Entry("preset", fallback, "the preset's name")
    if last.value is None:
        return []
    name = str(last.value)
    known = presets()
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(f"there is no preset {name!r}", where=f"in {last.place}", hint=hint)
    return [*_file_entries(PRESETS / f"{name}.yaml"), Entry("preset", name, last.place)]


def _variable_entries(
    environ: Mapping[str, str], types: Mapping[str, Any], warn: Callable[[str], None] | None
) -> Iterator[Entry]:
    """This command's variables; an empty one is not set, all others are passed over.

    Those may be another command's or the user's own, so none is an error; one that is a single slip away
    from a key is worth a warning.
    """
    spellings = {PREFIX + key.upper(): key for key in types}
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or not text:
            continue
        if name in spellings:
            yield Entry(spellings[name], _scalar(text), name)
        elif warn is not None and name not in _known_variables():
            meant = [spelling for spelling in spellings if _one_slip(name, spelling)]
            if meant:
                warn(f"the variable {name} is no setting and was ignored; did you mean {meant[0]}?")


def _one_slip(word: str, other: str) -> bool:
    """Whether one letter too many, too few or wrong, or two that swapped places, tell them apart."""
    same = (a == b for a, b in zip(word, other, strict=False))
    start = next((place for place, agree in enumerate(same) if not agree), min(len(word), len(other)))
    a, b = word[start:], other[start:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _known_variables() -> set[str]:
    classes = (value for value in vars(config).values() if dataclasses.is_dataclass(value))
    keys = {PREFIX + field.name.upper() for cls in classes for field in dataclasses.fields(cls)}
    return keys | {"SEGFORMER_DEBUG", "SEGFORMER_CACHE_DIR"}


def _set_entry(text: str, *, example: str) -> Entry:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r} has no KEY=VALUE", hint=f"write --set {example}")
    return Entry(key.strip().replace("-", "_"), _scalar(value.strip()), f"--set {text}")


def _scalar(text: str) -> object:
    """What a text in a variable or behind --set holds; quotes and brackets are read as YAML does."""
    if text[:1] not in ("'", '"', "["):
        return None if text in NULLS else text
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return text if node is None else _value(node, "the value")
    except (yaml.YAMLError, ConfigError):
        return text


def _file_entries(path: Path, *, example: str = "", keep_description: bool = False) -> list[Entry]:
    """The keys of a YAML file, each with its line; `description` is for readers of the file."""
    import yaml

    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise ConfigError(f"cannot read the config {path}: {str(reason).lower()}") from None
    except yaml.YAMLError as error:
        raise _not_yaml(path, error) from None
    if node is None:
        return []
    if not isinstance(node, yaml.MappingNode):
        hint = f"write one `key: value` a line, such as `{example.replace('=', ': ')}`"
        raise ConfigError(f"{path} holds no keys", hint=hint)
    entries = _keys(node, str(path))
    return [entry for entry in entries if keep_description or entry.key != "description"]


def _keys(node: MappingNode, place: str) -> list[Entry]:
    lines: dict[str, int] = {}
    entries = []
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        where = f"{place}, line {line}"
        if key in lines:
            raise ConfigError(f"{key} is given twice", where=f"in {where}; first in line {lines[key]}")
        lines[key] = line
        entries.append(Entry(key, _value(value_node, where), where))
    return entries


def _value(node: Node, where: str) -> object:
    """None, a text or a list of a YAML node. Nothing is constructed, so no tag can run code."""
    import yaml

    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        raise ConfigError(f"the tag {node.tag} is not read here", where=f"in {where}")
    if isinstance(node, yaml.ScalarNode):
        return None if node.style is None and node.value in NULLS else str(node.value)
    if isinstance(node, yaml.SequenceNode) and all(isinstance(part, yaml.ScalarNode) for part in node.value):
        return [_value(part, where) for part in node.value]
    hint = "one `key: value` a line; a list as [a, b]"
    raise ConfigError("keys do not nest", where=f"in {where}", hint=hint)


def _not_yaml(path: Path, error: Exception) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    where = f"in {path}, line {mark.line + 1}, column {mark.column + 1}" if mark else f"in {path}"
    tab = "\\t" in problem
    hint = "indent with spaces, not tabs" if tab else "one `key: value` a line, a space after the colon"
    return ConfigError(f"this is not YAML: {problem}", where=where, hint=hint)


def _plain(value: object) -> object:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
