"""The gate's second stand: under Python's own sockets, so that a library that dials by itself is held too.

An audit hook (PEP 578) sees `connect`, `sendto`, `sendmsg` and name look-ups before they happen. It does not see `send`,
so sockets that send without one of these, raw and packet ones, are not opened at all. It does not see native code that
opens sockets itself (libpq, ctypes, uvloop); such libraries are used for our infrastructure only, and the SYN sweep, whose
raw sockets are opened past the hook (`net/syn/raw.py`), asks the gate for each batch. A name given to
`connect` instead of an address is looked up by the C library before the hook hears of it, and then denied.

A hook cannot be taken out of a process, only told to pass. It is not inherited by a process that is spawned: every
worker arms its own.
"""

from __future__ import annotations

import _socket
import contextlib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from leadapron.errors import OutOfScope
from leadapron.scope.decision import Denied


class Guard(Protocol):
    """The part of the gate that the hook asks."""

    def dial_allowed(self, host: str, port: int) -> Denied | None: ...


OnDenied = Callable[[str, int, Denied], None]
"""Told of each denial: host, port (0 where a name is looked up), reason. What it raises goes to the caller of the
socket, who is denied either way."""

_INET = (int(socket.AF_INET), int(socket.AF_INET6))
_UNIX = int(socket.AF_UNIX)
_PACKET = int(socket.AF_PACKET)
_RAW = frozenset({int(socket.SOCK_RAW), 10})
"""10: SOCK_PACKET, which makes a packet socket of any family"""
_TYPE_MASK = 0xF
"""Of the type; above it are flags."""
_family_of: Callable[[object], int] = _socket.socket.family.__get__


class _Post:
    """Where the hook stands; one a process."""

    def __init__(self) -> None:
        self.installed = False
        self.guard: Guard | None = None
        self.on_denied: OnDenied | None = None
        self.lock = threading.Lock()
        self.reporting = threading.local()


_post = _Post()


def arm(gate: Guard, on_denied: OnDenied | None = None) -> None:
    """Hold every Python socket of this process to the gate, from now on; a second call replaces the gate."""
    with _post.lock:
        _post.guard, _post.on_denied = gate, on_denied
        if not _post.installed:
            _post.installed = True
            sys.addaudithook(_hook)


@contextlib.contextmanager
def armed(gate: Guard, on_denied: OnDenied | None = None) -> Iterator[None]:
    """`arm` for the time of a `with` block. For tests: a run stays armed until its process ends."""
    before = _post.guard, _post.on_denied
    arm(gate, on_denied)
    try:
        yield
    finally:
        with _post.lock:
            _post.guard, _post.on_denied = before


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if (check := _CHECKS.get(event)) is not None and (guard := _post.guard) is not None:
        check(guard, args)


def _check_opened(guard: Guard, args: tuple[Any, ...]) -> None:  # noqa: ARG001 - all checks are called alike
    _, family, kind, _ = args
    if family == _PACKET or kind & _TYPE_MASK in _RAW:
        _deny(f"raw socket of address family {family}", 0, Denied.FAMILY)


def _check_address(guard: Guard, args: tuple[Any, ...]) -> None:
    sock, address = args
    if address is None:
        return  # sendmsg on a connected socket: its connect was checked
    if _family_of(sock) not in _INET:
        if _family_of(sock) == _UNIX:
            return
        _deny(f"address family {_family_of(sock)}", 0, Denied.FAMILY)
    host, port = address[0], address[1]
    if type(host) is not str or type(port) is not int:
        host, port = _text(host), int(port)
    if (denied := guard.dial_allowed(host, port)) is not None:
        _deny(host, port, denied)


def _check_name(guard: Guard, args: tuple[Any, ...]) -> None:  # noqa: ARG001 - all checks are called alike
    """A literal is only parsed, which sends nothing; None means this machine. Every other name is denied."""
    if args[0] is not None and not _is_literal(_text(args[0])):
        _deny(_text(args[0]), 0, Denied.NAME)


def _check_reverse(guard: Guard, args: tuple[Any, ...]) -> None:  # noqa: ARG001 - all checks are called alike
    host = args[0][0] if isinstance(args[0], tuple) else args[0]
    _deny(_text(host), 0, Denied.NAME)


def _is_literal(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def _text(host: object) -> str:
    return bytes(host).decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)


def _deny(host: str, port: int, denied: Denied) -> None:
    """Raises OutOfScope, always. A denial met while another is reported is not reported itself."""
    if _post.on_denied is not None and not getattr(_post.reporting, "busy", False):
        _post.reporting.busy = True
        try:
            _post.on_denied(host, port, denied)
        finally:
            _post.reporting.busy = False
    raise OutOfScope(host, denied.value)


_CHECKS: dict[str, Callable[[Guard, tuple[Any, ...]], None]] = {
    "socket.__new__": _check_opened,
    "socket.connect": _check_address,
    "socket.sendto": _check_address,
    "socket.sendmsg": _check_address,
    "socket.getaddrinfo": _check_name,
    "socket.gethostbyname": _check_name,
    "socket.gethostbyaddr": _check_reverse,
    "socket.getnameinfo": _check_reverse,
}
