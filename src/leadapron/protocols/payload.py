"""Attempts as JSON and back: dataclasses of numbers, enum members and tokens, nothing else.

A field with `APART` in its metadata is no part of the JSON: it has a way of its own into the store.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, TypeVar

from leadapron.model import Attempt, Completed, Failed

T = TypeVar("T")

APART = "apart"


Results = Mapping[str, type[Any]]
"""Result dataclasses, by the names under which they are stored."""

FAILED = "failed"


def encode(attempt: Attempt[Any], results: Results) -> dict[str, Any]:
    """An attempt under the name of what it is: `{"failed": …}`, `{"negotiated": …}`. Raises KeyError for what is not among
    `results`."""
    if isinstance(attempt, Failed):
        return {FAILED: dump(attempt)}
    names = {kind: name for name, kind in results.items()}
    return {names[type(attempt.result)]: dump(attempt.result)}


def decode(raw: Mapping[str, Any], results: Results) -> Attempt[Any]:
    """The inverse of `encode`."""
    if FAILED in raw:
        return load(Failed, raw[FAILED])
    name = next(name for name in results if name in raw)
    return Completed(result=load(results[name], raw[name]))


def dump(value: object) -> Any:
    """A result dataclass as JSON values. Fields that have their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: dump(content)
            for field in dataclasses.fields(value)
            if APART not in field.metadata and (content := getattr(value, field.name)) != field.default
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple):
        return [dump(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): dump(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} is no part of a result")


def load(kind: type[T], value: Any) -> T:
    """The inverse of `dump` for a result dataclass."""
    hints = _hints(kind)  # type: ignore[arg-type]  # a class has a hash
    fields = {name: _load_field(hints[name], content) for name, content in value.items()}
    return kind(**fields)


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """Of a result dataclass. Python compiles them each time that it is asked for them."""
    return typing.get_type_hints(kind)


def _load_field(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = (option for option in typing.get_args(hint) if option is not type(None))
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_load_field(inner, item) for item in value)
    if typing.get_origin(hint) is Mapping:
        return dict(value)
    if dataclasses.is_dataclass(hint):
        return load(hint, value)  # type: ignore[arg-type]  # is_dataclass narrows to an instance
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    return value
