"""HTTP/1.1 as a client, sans-IO: a request as bytes, and one response out of bytes (RFC 9112, RFC 9110).

Stricter than browsers where that tells two readings of one response apart (framing), and not stricter than servers are where
it does not. Nothing is decompressed, whatever a server encodes: a body is the bytes that came, without their chunks.

A value of a header is a peer's text. It stays in `Head.fields` until who asked has looked at it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from leadapron.errors import WireError

MAX_HEAD = 64 << 10
"""Bytes of a status line with all header fields; of all trailer fields, too."""
MAX_LINE = 16 << 10
"""Bytes of one line of them, and of one that announces a chunk."""
MAX_INTERIM = 8
"""Responses of 1xx before the one that counts."""

SWITCHING, FIRST_FINAL = 101, 200
NO_CONTENT, NOT_MODIFIED = 204, 304

_BEGINNING = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\n]*|\r*)(?:\n|\Z)")
_FIELD = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:([^\n]*)", re.MULTILINE)
_FOLD = re.compile(rb"[ \t\r]*\n[ \t][ \t\r]*")
_DIGITS = re.compile(rb"[0-9]{1,18}")
_HEX = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_TARGET = re.compile(rb"[!-~]+")
_BLANK = b" \t\r"

Fields = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Of a final response. Names of fields are in small letters."""

    minor: int
    """0 or 1, of HTTP/1.x"""
    status: int
    fields: Fields

    def field(self, name: bytes) -> bytes:
        """The value of the first field of a name, b"" where there is none."""
        return next((value for each, value in self.fields if each == name), b"")

    def tokens(self, name: bytes) -> list[bytes]:
        """The members of all fields of a name, in small letters (RFC 9110 section 5.6.1)."""
        values = (value for each, value in self.fields if each == name)
        return [member for value in values for each in value.split(b",") if (member := each.strip(_BLANK).lower())]

    @property
    def is_kept_alive(self) -> bool:
        """Whether the connection stands behind the response, as far as its head says (RFC 9112 section 9.3)."""
        options = self.tokens(b"connection")
        return b"close" not in options and (self.minor == 1 or b"keep-alive" in options)


def request(method: bytes, target: bytes, fields: Fields, body: bytes = b"") -> bytes:
    """One request. Raises ValueError where the target or a field would break its line: they are ours."""
    if not _TARGET.fullmatch(target) or any(b"\r" in value or b"\n" in value for _, value in fields):
        raise ValueError("a target or a field that is no part of a request")
    lines = [b"%s %s HTTP/1.1" % (method, target), *(b"%s: %s" % field for field in fields)]
    return b"\r\n".join([*lines, b"", body])


class _Body(enum.Enum):
    """How the end of a body is told (RFC 9112 section 6.3)."""

    NONE = enum.auto()
    LENGTH = enum.auto()
    CHUNKED = enum.auto()
    UNTIL_CLOSE = enum.auto()


class _State(enum.Enum):
    HEAD = enum.auto()
    BODY = enum.auto()
    CHUNK_LINE = enum.auto()
    CHUNK_END = enum.auto()
    TRAILERS = enum.auto()
    DONE = enum.auto()


class Response:
    """One response. Bytes go in by `receive`, which gives those of the body that came with them."""

    def __init__(self, method: bytes = b"GET") -> None:
        self.head: Head | None = None
        self.rest = b""
        """behind the end: of the next response, where several were asked for"""
        self._method = method
        self._buffer = bytearray()
        self._state = _State.HEAD
        self._framing = _Body.NONE
        self._left = 0
        """bytes of the body, or of the chunk, that are still to come"""
        self._seen = 0
        """bytes of the trailers"""
        self._interim = 0

    @property
    def is_done(self) -> bool:
        return self._state is _State.DONE

    @property
    def leaves_open(self) -> bool:
        """Whether another request may follow on this connection. Known once it is done."""
        return self.head is not None and self.head.is_kept_alive and self._framing is not _Body.UNTIL_CLOSE

    def receive(self, data: bytes) -> bytes:
        """The part of the body that `data` brings. Raises WireError."""
        self._buffer += data
        pieces: list[bytes] = []
        while self._STEPS[self._state](self, pieces):
            pass
        return b"".join(pieces)

    def closed(self) -> None:
        """The peer ended the connection, in order. Raises WireError where the response is not whole."""
        if self._state is _State.BODY and self._framing is _Body.UNTIL_CLOSE:
            self._state = _State.DONE
        if not self.is_done:
            raise WireError("the connection ended within a response")

    # -- steps: whether to go on ---------------------------------------------------------------------------------------

    def _read_head(self, _pieces: list[bytes]) -> bool:
        block = _block(self._buffer)
        if block is None:
            if len(self._buffer) > MAX_HEAD:
                raise WireError("a head that does not end")
            # Told at once: whoever speaks something else may wait for us to go on.
            if not _BEGINNING.startswith(self._buffer.lstrip(b"\r\n")[: len(_BEGINNING)]):
                raise WireError("no status line of HTTP/1")
            return False
        head = _head(block)
        if head.status < FIRST_FINAL:
            self._interim += 1
            if head.status == SWITCHING or self._interim > MAX_INTERIM:
                raise WireError("interim responses that nobody asked for")
            return True
        self.head = head
        self._frame(head)
        return True

    def _frame(self, head: Head) -> None:
        """RFC 9112 section 6.3. Where there is both a coding and a length the coding counts, and nothing may follow."""
        codings, lengths = head.tokens(b"transfer-encoding"), set(head.tokens(b"content-length"))
        self._state = _State.BODY
        if self._method == b"HEAD" or head.status in (NO_CONTENT, NOT_MODIFIED):
            self._framing, self._state = _Body.NONE, _State.DONE
            self._finish()
        elif codings:
            if codings.count(b"chunked") > 1 or (b"chunked" in codings and codings[-1] != b"chunked"):
                raise WireError("chunks within another coding")
            is_chunked = codings[-1] == b"chunked"
            self._framing = _Body.CHUNKED if is_chunked else _Body.UNTIL_CLOSE
            self._state = _State.CHUNK_LINE if is_chunked else _State.BODY
        elif lengths:
            length = lengths.pop()
            if lengths or not _DIGITS.fullmatch(length):
                raise WireError("a length that is none, or several")
            self._framing, self._left = _Body.LENGTH, int(length)
        else:
            self._framing = _Body.UNTIL_CLOSE

    def _read_body(self, pieces: list[bytes]) -> bool:
        if self._framing is _Body.UNTIL_CLOSE:
            pieces.append(bytes(self._buffer))
            self._buffer.clear()
            return False
        taken = min(self._left, len(self._buffer))
        if taken:
            pieces.append(bytes(self._buffer[:taken]))
            del self._buffer[:taken]
            self._left -= taken
        if self._left:
            return False
        if self._framing is _Body.CHUNKED:
            self._state = _State.CHUNK_END
            return True
        self._finish()
        return False

    def _read_chunk_line(self, _pieces: list[bytes]) -> bool:
        line = _line(self._buffer)
        if line is None:
            return False
        found = _HEX.fullmatch(line)
        if found is None:
            raise WireError("a chunk without a length")
        self._left = int(found[1], 16)
        self._state = _State.BODY if self._left else _State.TRAILERS
        return True

    def _read_chunk_end(self, _pieces: list[bytes]) -> bool:
        line = _line(self._buffer)
        if line is None:
            return False
        if line:
            raise WireError("a chunk that is longer than it says")
        self._state = _State.CHUNK_LINE
        return True

    def _read_trailers(self, _pieces: list[bytes]) -> bool:
        line = _line(self._buffer)
        if line is None:
            return False
        self._seen += len(line) + 1
        if self._seen > MAX_HEAD:
            raise WireError("trailers that do not end")
        if not line:
            self._finish()
        return bool(line)

    def _finish(self) -> None:
        self._state = _State.DONE
        self.rest = bytes(self._buffer)
        self._buffer.clear()

    def _wait(self, _pieces: list[bytes]) -> bool:
        self.rest += bytes(self._buffer)
        self._buffer.clear()
        return False

    _STEPS: ClassVar[Mapping[_State, Callable[[Response, list[bytes]], bool]]] = {
        _State.HEAD: _read_head,
        _State.BODY: _read_body,
        _State.CHUNK_LINE: _read_chunk_line,
        _State.CHUNK_END: _read_chunk_end,
        _State.TRAILERS: _read_trailers,
        _State.DONE: _wait,
    }


def _block(buffer: bytearray) -> bytes | None:
    """Takes a head out of the buffer, up to its empty line; None where it is not whole. Empty lines before it are
    skipped (RFC 9112 section 2.2)."""
    start = 0
    while start < min(len(buffer), MAX_LINE) and buffer[start] in b"\r\n":
        start += 1
    place, length = -1, 0
    for mark in (b"\r\n\r\n", b"\n\n", b"\n\r\n"):
        found = buffer.find(mark, start, len(buffer) if place < 0 else place + len(mark) - 1)
        if found >= 0:
            place, length = found, len(mark)
    if place < 0:
        return None
    if place - start > MAX_HEAD:
        raise WireError("a head that is too long")
    block = bytes(buffer[start:place])
    del buffer[: place + length]
    return block


def _line(buffer: bytearray) -> bytes | None:
    """Takes a line out of the buffer, without its end; None where it is not whole. Raises WireError."""
    place = buffer.find(b"\n", 0, MAX_LINE)
    if place < 0:
        if len(buffer) >= MAX_LINE:
            raise WireError("a line that does not end")
        return None
    line = bytes(buffer[:place])
    del buffer[: place + 1]
    return line.rstrip(b"\r")


def _head(block: bytes) -> Head:
    """Raises WireError. A field on several lines is one (RFC 9112 section 5.2); a line that is no field is left out."""
    if len(block) > MAX_LINE and max(map(len, block.split(b"\n"))) > MAX_LINE:
        raise WireError("a field that is too long")
    status = _STATUS.match(block)
    if status is None:
        raise WireError("no status line of HTTP/1")
    if b"\n " in block or b"\n\t" in block:
        block = _FOLD.sub(b" ", block)
    fields = [(name.lower(), value.strip(_BLANK)) for name, value in _FIELD.findall(block, status.end())]
    return Head(minor=int(status[1]), status=int(status[2]), fields=fields)
