"""Every protocol, by name: each folder with a `door.toml` and a `probe.py`, whose `PROTOCOL` it is. A new one is one new
folder; nothing is written here."""

from __future__ import annotations

import importlib

from leadapron.protocols.base import Protocol
from leadapron.scope.doors import doors_of_their_own


def _protocol(name: str) -> Protocol:
    protocol = importlib.import_module(f"leadapron.protocols.{name}.probe").PROTOCOL
    if not isinstance(protocol, Protocol) or protocol.name != name:
        raise TypeError(f"protocols/{name}/probe.py: PROTOCOL is no Protocol of that name")
    return protocol


PROTOCOLS: dict[str, Protocol] = {name: _protocol(name) for name in doors_of_their_own()}
"""Doors that open over another one are asked by that one."""
