"""The model as JSON and back, exactly."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import json
import types
import typing
from collections.abc import Hashable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from leadapron.errors import StoreError

T = TypeVar("T")

DAMAGED = "restore the store from a backup, or choose another with --store"

_SCALARS: dict[Any, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (float, int), str: (str,)}
"""What JSON gives back for each."""


def dump(value: object) -> Any:
    """A model value as JSON values. Raises TypeError for anything that the model does not have."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: dump(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, dt.date):  # a datetime is one
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): dump(content) for key, content in sorted(value.items())}
    if isinstance(value, tuple):
        return [dump(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} is not part of the model")


def load(kind: type[T], value: Any) -> T:
    """The inverse of `dump`. Raises StoreError for what `dump` did not make; no value is part of it."""
    try:
        result: T = _load(kind, value)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise StoreError(f"a row of the store is not the {kind.__name__} that was written; {DAMAGED}") from None
    return result


def parse(text: str | bytes) -> Any:
    """JSON of a row. Raises StoreError."""
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        raise StoreError(f"a row of the store is not JSON; {DAMAGED}") from None


def _load(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return _expect(type(None) in arguments, value)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in arguments if option is not type(None)]
        if set(options) == {IPv4Address, IPv6Address}:
            return ip_address(value)
        return _load(options[0], value) if len(options) == 1 else value
    if origin is tuple:
        return tuple(_load(arguments[0], item) for item in value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{name: _load(hints[name], content) for name, content in value.items() if name in hints})
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    if hint is dt.datetime:
        return dt.datetime.fromisoformat(value)
    if hint is dt.date:
        return dt.date.fromisoformat(value)
    return _expect(hint not in _SCALARS or isinstance(value, _SCALARS[hint]), value)


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """Of a class of the model. Python compiles them each time that it is asked for them."""
    return typing.get_type_hints(kind)


def _expect(holds: bool, value: Any) -> Any:
    if not holds:
        raise TypeError("not of the type that was written")
    return value
