"""A YAML file as texts, lists and tables of texts: nothing is constructed, so that no tag can run code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from segformer_cli.errors import DataError
from segformer_cli.places import Place

if TYPE_CHECKING:
    from yaml import MappingNode, Node

Value: TypeAlias = "str | Sequence[Value] | Mapping[str, Value] | None"

_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class Entry:
    """A key's value and its line."""

    value: Value
    line: int


def read_yaml(file: Place) -> dict[str, Entry]:
    """The keys of a file at its top.

    Raises:
        DataError: it is no YAML, holds a key twice, or a tag that would make an object.
    """
    try:
        return _table(_composed(file), file)
    except RecursionError:
        raise DataError(f"{file.name} is not YAML: it is nested too deeply", where=str(file)) from None


def _composed(file: Place) -> MappingNode:
    import yaml

    try:
        text = file.read_text("utf-8-sig")
        # A few lines of aliases stand for billions of values.
        alias = next((event for event in yaml.parse(text) if isinstance(event, yaml.AliasEvent)), None)
        if alias is not None:
            line = alias.start_mark.line + 1 if alias.start_mark else 1
            raise DataError("aliases are not read here", where=f"{file}, line {line}", hint="write the value out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise DataError(f"{file.name} is no text in UTF-8", where=str(file)) from None
    except yaml.YAMLError as error:
        raise _not_yaml(file, error) from None
    if not isinstance(node, yaml.MappingNode):
        hint = "write one `key: value` a line, such as `train: images/train`"
        raise DataError(f"{file.name} holds no keys", where=str(file), hint=hint)
    return node


def _table(node: MappingNode, file: Place) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in found:
            raise DataError(f"{key} is given twice", where=f"{file}, line {line}; first in line {found[key].line}")
        found[key] = Entry(_value(value_node, file), line)
    return found


def _value(node: Node, file: Place) -> Value:
    import yaml

    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        raise DataError(
            f"the tag {node.tag} is not read here",
            where=f"{file}, line {node.start_mark.line + 1}",
            hint="a data set's file holds texts, numbers, lists and tables, no objects of a program",
        )
    if isinstance(node, yaml.ScalarNode):
        return None if node.style is None and node.value in _NULLS else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_value(part, file) for part in node.value]
    assert isinstance(node, yaml.MappingNode)
    return {key: entry.value for key, entry in _table(node, file).items()}


def _not_yaml(file: Place, error: Exception) -> DataError:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    where = f"{file}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(file)
    hint = "indent with spaces, not tabs" if "\\t" in problem else "one `key: value` a line, a space after the colon"
    return DataError(f"{file.name} is not YAML: {problem}", where=where, hint=hint)
