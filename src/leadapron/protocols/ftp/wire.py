"""What a server says on the control connection (RFC 959 section 4.2), and where it listens for data. Sans-IO.

The text of a reply stays here: callers get its code, and yes or no to questions that they ask of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from leadapron.errors import WireError

MAX_LINE = 4096
"""Bytes of one line of a reply."""
MAX_REPLY = 64 << 10
"""Bytes of all lines of one reply: a long banner, or a long list of features."""

_FIRST = re.compile(rb"([1-6][0-9]{2})([ -]|$)")
_PASSIVE = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
_EXTENDED = re.compile(rb"\(([\x21-\x7e])\1\1(\d{1,5})\1\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply. `text` is the peer's own, its lines joined, without the code: it goes no further than the job."""

    code: int
    text: bytes

    @property
    def is_preliminary(self) -> bool:
        return 100 <= self.code < 200

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300


class Replies:
    """Bytes go in, replies come out. Lines end with LF, with or without a CR before it."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._code = b""
        """of the reply that has begun and not ended; b"" outside one"""
        self._lines: list[bytes] = []
        self._length = 0

    def receive(self, data: bytes) -> None:
        self._unread += data

    def next(self) -> Reply | None:
        """The next whole reply, None where more bytes are needed. Raises WireError."""
        while (end := self._unread.find(b"\n", 0, MAX_LINE + 1)) >= 0:
            line = bytes(self._unread[:end]).rstrip(b"\r")
            del self._unread[: end + 1]
            if (reply := self._line(line)) is not None:
                return reply
        if len(self._unread) > MAX_LINE:
            raise WireError("a line of a reply is too long", limit=True)
        return None

    @property
    def has_more(self) -> bool:
        """Whether bytes came that were not read: behind a reply to AUTH they would be injected into the session."""
        return bool(self._unread)

    def _line(self, line: bytes) -> Reply | None:
        self._length += len(line) + 1
        if self._length > MAX_REPLY:
            raise WireError("a reply is too long", limit=True)
        if self._code:
            return self._further(line)
        first = _FIRST.match(line)
        if first is None:
            raise WireError("a reply begins without a code")
        if first[2] != b"-":
            return self._whole(first[1], [line[4:]])
        self._code, self._lines = first[1], [line[4:]]
        return None

    def _further(self, line: bytes) -> Reply | None:
        """The last line begins with the code of the first, and a space; what is in between is free."""
        if line[:3] == self._code and line[3:4] in (b" ", b""):
            return self._whole(self._code, [*self._lines, line[4:]])
        self._lines.append(line)
        return None

    def _whole(self, code: bytes, lines: list[bytes]) -> Reply:
        self._code, self._lines, self._length = b"", [], 0
        return Reply(code=int(code), text=b"\n".join(lines))


def passive(reply: Reply) -> tuple[bytes, int]:
    """The four bytes of the address and the port in the answer to PASV (227). Raises WireError."""
    found = _PASSIVE.search(reply.text)
    numbers = [int(each) for each in found.groups()] if found else []
    if reply.code != 227 or not numbers or max(numbers) > 255:
        raise WireError("no answer to PASV")
    return bytes(numbers[:4]), _port(numbers[4] << 8 | numbers[5])


def extended_passive(reply: Reply) -> int:
    """The port in the answer to EPSV (229; RFC 2428 section 3). Raises WireError."""
    found = _EXTENDED.search(reply.text)
    if reply.code != 229 or found is None:
        raise WireError("no answer to EPSV")
    return _port(int(found[2]))


def _port(port: int) -> int:
    if not 0 < port < 65536:
        raise WireError("a data port that is none")
    return port


FEATURES = {
    "auth_tls": re.compile(rb"AUTH(?: .*\bTLS\b.*| SSL\b.*)?"),
    "epsv": re.compile(rb"EPSV\b.*"),
    "mlsd": re.compile(rb"(?:MLST|MLSD)\b.*"),
    "rest_stream": re.compile(rb"REST STREAM\b.*"),
    "prot": re.compile(rb"PROT\b.*"),
    "pasv": re.compile(rb"PASV\b.*"),
    "utf8": re.compile(rb"UTF8\b.*"),
}
"""By the names of facts (RFC 2389 section 3.2, RFC 4217 section 6): lines of the answer to FEAT."""


def features(reply: Reply) -> frozenset[str]:
    """Names of `FEATURES` that an answer to FEAT holds."""
    lines = [line.strip().upper() for line in _some_lines(reply.text)]
    return frozenset(name for name, pattern in FEATURES.items() if any(pattern.fullmatch(line) for line in lines))


def _some_lines(text: bytes) -> Iterator[bytes]:
    yield from text.split(b"\n", 256)[:256]


def command(verb: bytes, argument: bytes = b"") -> bytes:
    """One command line. `argument` holds no CR and no LF; 0xFF is doubled, as the Telnet protocol below wants it (RFC 959
    section 5.3, RFC 854)."""
    if b"\r" in argument or b"\n" in argument:
        raise ValueError("an argument of two lines")
    return (verb + b" " + argument if argument else verb).replace(b"\xff", b"\xff\xff") + b"\r\n"
