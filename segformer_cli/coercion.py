"""A text becomes the value that a field's type asks for, or an account of what would be accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from segformer_cli.errors import did_you_mean

SWITCHES = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)

LONGEST_SHOWN = 100


class NotAccepted(Exception):
    """A value is none that its type accepts; `accepted` says which are."""

    def __init__(self, accepted: str, hint: str | None = None) -> None:
        super().__init__(accepted)
        self.accepted = accepted
        self.hint = hint


def coerce(value: object, kind: Any) -> object:
    """The value of type `kind` that a text, a list of texts or a value of Python stands for.

    >>> coerce("6e-5", float), coerce("512x1024", tuple[int, int]), coerce("512", tuple[int, int])
    (6e-05, (512, 1024), (512, 512))

    Raises:
        NotAccepted: it stands for none.
    """
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _member(value, kind)
    if origin is Literal:
        return _choice(value, kind)
    if origin is tuple:
        return _tuple(value, kind)
    if isinstance(value, (bool, str, int, float)):
        text = str(value).strip()
        if kind is str and not isinstance(value, bool):
            return value if isinstance(value, str) else text
        if kind is bool and text.lower() in SWITCHES:
            return SWITCHES[text.lower()]
        if kind is int and re.fullmatch(r"[+-]?\d+(_\d+)*", text):
            return int(text)
        if kind is float and not isinstance(value, bool):
            return _number(text)
    raise NotAccepted(describe(kind))


def counted(text: str, highest: int) -> int | None:
    """The number from 0 to `highest` that digits write; None of any other text.

    >>> counted("7", 255), counted("256", 255), counted("-1", 255), counted("²", 255)
    (7, None, None, None)
    """
    found = int(text) if re.fullmatch("[0-9]{1,9}", text) else None
    return found if found is not None and found <= highest else None


def of_kind(value: object, kind: Any) -> object:
    """A value of Python as its type asks for it: a path for a text, a list for a tuple, numpy's numbers are taken.

    Nothing else is made of it, unlike by `coerce`: "2" is no number here.

    >>> of_kind(PurePath("a/b"), str), of_kind([1, 2], tuple[int, int]), of_kind(None, int | None)
    ('a/b', (1, 2), None)

    Raises:
        NotAccepted: it is of another type; the hint says what to write in its place, where that is clear.
    """
    origin, members = get_origin(kind), get_args(kind)
    try:
        if origin in (Union, UnionType):
            return _of_member(value, kind)
        if origin is tuple and isinstance(value, (list, tuple)):
            kinds = [members[0]] * len(value) if members[-1] is Ellipsis else members
            if len(kinds) == len(value):
                return tuple(of_kind(part, member) for part, member in zip(value, kinds, strict=True))
        if origin is Literal and value in members:
            return value
        if origin is None:
            return _plain_of_kind(value, kind)
    except NotAccepted:
        pass
    raise NotAccepted(describe(kind), _instead(value, kind))


def describe(kind: Any) -> str:
    """What a type accepts, in words.

    >>> describe(int | None), describe(tuple[int, int])
    ('a whole number, or null', 'two whole numbers (512x1024; one number is a square)')
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        words = " or ".join(describe(member) for member in arguments if member is not NoneType)
        return f"{words}, or null" if NoneType in arguments else words
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a list, each {describe(arguments[0])}"
    if origin is tuple:
        return _describe_pair(arguments)
    return {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[kind]


def shown(value: object, none: str = "null") -> str:
    """A value as it is quoted in an error: text in quotes, nothing else; cut off where it is long.

    Args:
        none: what stands for None.

    >>> shown("a"), shown(None), shown(["a", "b"])
    ("'a'", 'null', "['a', 'b']")
    """
    if value is None:
        return none
    text = repr(value)
    if "\n" in text:
        return f"a {type(value).__name__}"
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def written(value: object) -> str:
    """A value of a field as a user would write it on the command line.

    >>> written((512, 512)), written(("mask", "overlay")), written(False)
    ('512x512', 'mask,overlay', 'false')
    """
    if isinstance(value, tuple):
        sizes = len(value) == 2 and all(isinstance(part, int) for part in value)
        return ("x" if sizes else ",").join(map(written, value))
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _of_member(value: object, kind: Any) -> object:
    for member in get_args(kind):
        if member is NoneType and value is None:
            return None
        if member is not NoneType and value is not None:
            try:
                return of_kind(value, member)
            except NotAccepted:
                pass
    raise NotAccepted(describe(kind))


def _plain_of_kind(value: object, kind: Any) -> object:
    if isinstance(value, bool):
        if kind is bool:
            return value
    elif kind is str and isinstance(value, (str, PurePath)):
        return str(value)
    elif kind in (int, float) and isinstance(value, Integral):
        return int(value)
    elif kind is float and isinstance(value, Real):
        return float(value)
    raise NotAccepted(describe(kind))


def _instead(value: object, kind: Any) -> str | None:
    """What to write in place of a value that is right but for its type: 128 for "128"; or the closest choice."""
    try:
        meant = coerce(value, kind)
    except NotAccepted as error:
        return error.hint
    return f"write {meant!r}"


def _member(value: object, kind: Any) -> object:
    members = get_args(kind)
    if value is None and NoneType in members:
        return None
    hint = None
    for member in members:
        if member is not NoneType:
            try:
                return coerce(value, member)
            except NotAccepted as error:
                hint = error.hint
    raise NotAccepted(describe(kind), hint)


def _choice(value: object, kind: Any) -> object:
    choices = {str(choice): choice for choice in get_args(kind)}
    # YAML and shells write true and 1 alike, so a choice is matched by its text.
    text = str(value).strip()
    if text in choices:
        return choices[text]
    raise NotAccepted(describe(kind), did_you_mean(text, choices))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise NotAccepted(describe(float))
    return number


def _tuple(value: object, kind: Any) -> tuple[object, ...]:
    members = get_args(kind)
    variadic = members[-1] is Ellipsis
    parts = _parts(value, sizes=not variadic)
    if variadic:
        return _all_coerced(parts, [members[0]] * len(parts), kind)
    if len(parts) == 1 and len(set(members)) == 1:
        parts = [*parts] * len(members)
    if len(parts) != len(members):
        raise NotAccepted(describe(kind))
    return _all_coerced(parts, members, kind)


def _all_coerced(parts: Sequence[object], members: Sequence[Any], kind: Any) -> tuple[object, ...]:
    try:
        return tuple(coerce(part, member) for part, member in zip(parts, members, strict=True))
    except NotAccepted as error:
        raise NotAccepted(describe(kind), error.hint) from None


def _parts(value: object, *, sizes: bool) -> Sequence[object]:
    """The elements of a list, of `a,b` or, where a size is meant, of `512x1024`."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, str):
        separator = r"\s*[x,]\s*" if sizes else r"\s*,\s*"
        return re.split(separator, value.strip()) if value.strip() else []
    return [] if value is None else [value]


def _describe_pair(members: tuple[Any, ...]) -> str:
    count = {2: "two", 3: "three", 4: "four"}.get(len(members), str(len(members)))
    if set(members) == {int} and len(members) == 2:
        return "two whole numbers (512x1024; one number is a square)"
    if set(members) == {float}:
        return f"{count} numbers with a comma between"
    return "a list of " + ", ".join(describe(member) for member in members)
