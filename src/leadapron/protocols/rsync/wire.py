"""The lines with which a conversation with an rsync daemon begins (rsync's csprotocol.txt and clientserver.c), and the
request for a list of files behind them. Sans-IO.

We speak protocol 29, the last one without options to negotiate, and whatever is lower down to 27, that of openrsync: every
server that is newer speaks it too.
"""

from __future__ import annotations

import enum
import re
import struct
from dataclasses import dataclass

from leadapron.errors import WireError

OUR_PROTOCOL, LOWEST_PROTOCOL = 29, 27

MAX_LINE = 4096
"""Bytes."""
MAX_LINES = 4096
"""Of a greeting of the day and a list of modules."""

_GREETING = re.compile(rb"@RSYNCD: (\d{1,3})(?:\.(\d{1,3}))?( [0-9A-Za-z ]{1,256})?")
_EXIT = b"@RSYNCD: EXIT"
_OK = b"@RSYNCD: OK"
_LOGIN = b"@RSYNCD: AUTHREQD"
_ERROR = b"@ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeting:
    protocol: int
    has_digests: bool
    """it lists digests for logins, which rsync does since 3.2.7"""


class Lines:
    """Bytes go in, lines come out; what is behind the last line that was asked for is `rest`."""

    def __init__(self) -> None:
        self._unread = bytearray()

    def receive(self, data: bytes) -> None:
        self._unread += data

    def next(self) -> bytes | None:
        """The next line without its end, None where more bytes are needed. Raises WireError."""
        end = self._unread.find(b"\n", 0, MAX_LINE + 1)
        if end < 0:
            if len(self._unread) > MAX_LINE:
                raise WireError("a line is too long", limit=True)
            return None
        line = bytes(self._unread[:end]).removesuffix(b"\r")
        del self._unread[: end + 1]
        return line

    def rest(self) -> bytes:
        unread, self._unread = bytes(self._unread), bytearray()
        return unread


def read_greeting(line: bytes) -> Greeting:
    """Raises WireError."""
    found = _GREETING.fullmatch(line)
    if found is None:
        raise WireError("no greeting of an rsync daemon")
    return Greeting(protocol=int(found[1]), has_digests=found[3] is not None)


def our_greeting() -> bytes:
    return b"@RSYNCD: %d\n" % OUR_PROTOCOL


class Answer(enum.StrEnum):
    """What a server says to the name of a module."""

    OPEN = "open"
    LOGIN = "login"
    """it wants a user and a password"""
    DENIED = "denied"
    """not to our address, or not to anyone"""
    NO_MODULE = "no_module"
    BUSY = "busy"
    BROKEN = "broken"
    """the server cannot serve it: its folder is not there"""


_ERRORS = (
    (re.compile(rb"access denied", re.IGNORECASE), Answer.DENIED),
    (re.compile(rb"auth(?:entication)? failed", re.IGNORECASE), Answer.DENIED),
    (re.compile(rb"unknown module", re.IGNORECASE), Answer.NO_MODULE),
    (re.compile(rb"max connections", re.IGNORECASE), Answer.BUSY),
)
"""Of clientserver.c."""


def read_answer(line: bytes) -> Answer | None:
    """None: a line of the greeting of the day. Raises WireError."""
    if line == _OK:
        return Answer.OPEN
    if line.startswith(_LOGIN):
        return Answer.LOGIN
    if line.startswith(_ERROR):
        return next((answer for pattern, answer in _ERRORS if pattern.search(line)), Answer.BROKEN)
    if line == _EXIT:
        raise WireError("an end without an answer")
    return None


def read_module(line: bytes) -> bytes | None:
    """The name of a module in a line of their list; None for any other line. Behind a tab comes its comment. A line of the
    greeting of the day that has a tab is taken for a module, which the server then does not know."""
    name, tab, _comment = line.partition(b"\t")
    name = name.rstrip(b" ")
    return name if tab and name and not line.startswith(b"@") and b"/" not in name else None


def is_end_of_list(line: bytes) -> bool:
    return line == _EXIT


def is_error(line: bytes) -> bool:
    return line.startswith(_ERROR)


_END = struct.pack("<i", -1)


def list_request(module: bytes) -> bytes:
    """Behind OK: the arguments of the server, an empty list of filters. All folders below the module, nothing of them but
    name, size, time and mode: without `-l`, `-o`, `-g`, `-D` no targets of links, owners, or devices are sent."""
    arguments = (b"--server", b"--sender", b"-r", b".", module + b"/", b"")
    return b"".join(argument + b"\n" for argument in arguments) + struct.pack("<i", 0)


FAREWELL = _END * 4
"""Nothing is wanted, in any of the phases (NDX_DONE; rsync's sender.c and main.c)."""
