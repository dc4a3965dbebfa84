"""Our side of HTTP at one endpoint: requests go out, answers come in, each held to its budget.

Every method that waits is a generator which yields the bytes to send and is resumed with the bytes that came. Where the
server closes the connection behind an answer, the next request dials again. No redirect is followed here, nothing is
decompressed, no cookie is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leadapron import __version__
from leadapron.errors import WireError
from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import MayEnd, More, Redial, Request, Steps
from leadapron.protocols.http.wire import Fields, Head, Response, request

Take = Callable[[bytes], bool]
"""Given the bytes of a body as they come; False: enough, the rest is not read."""

MAX_BODY = 1 << 20
"""Bytes of a body that are held, unless told otherwise."""
MAX_AT_ONCE = 32
"""Requests on their way at the same time."""

_PLAIN_PORTS = (80, 443)
PARTIAL, NOT_SATISFIABLE = 206, 416


class NoAnswer(Exception):  # noqa: N818 - control flow: no answer to one request, the next may get one
    """`reason`: BUDGET where it was not asked, PROTOCOL, LIMIT, RESET where the connection ended without a byte, or
    TRUNCATED where it ended within a head."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`body` is empty where it was given away as it came. `why`: it is not whole, LIMIT by us, TRUNCATED by the peer."""

    head: Head
    body: bytes = b""
    why: Reason | None = None

    @property
    def status(self) -> int:
        return self.head.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A piece of what lies behind a target."""

    target: bytes
    start: int
    length: int


Piece = bytes | int | Reason
"""What came of a range: its bytes; or the status that refused it; or why there is no answer."""


class Client:
    """Of one conversation."""

    def __init__(self, endpoint: Endpoint, *, contact: str = "", requests: int = 1 << 30) -> None:
        """`contact` goes into the User-Agent; `requests` is the budget."""
        self._fields = (
            (b"Host", _host(endpoint)),
            (b"User-Agent", _agent(contact)),
            (b"Accept-Encoding", b"identity"),
        )
        self._budget = requests
        self.requests = 0
        """that were sent"""
        self._is_open = True
        """whether the connection takes another request"""
        self._is_used = False

    def get(self, target: bytes, fields: Fields = (), *, max_body: int = MAX_BODY) -> Steps[Answer]:
        """Raises NoAnswer, Lost."""
        return (yield from self.ask(b"GET", target, fields, max_body=max_body))

    def ask(
        self,
        method: bytes,
        target: bytes,
        fields: Fields = (),
        *,
        body: bytes = b"",
        max_body: int = MAX_BODY,
        take: Take | None = None,
    ) -> Steps[Answer]:
        """One request, and its answer. With `take`, the body of a 2xx goes there piece by piece. Raises NoAnswer, Lost."""
        self._pay(1)
        length = ((b"Content-Length", str(len(body)).encode()),) if body else ()
        sending = request(method, target, (*self._fields, *fields, *length), body)
        response = Response(method)
        held = _Held(max_body, take)
        data = yield from self._send(sending)
        has_come = bool(data)
        try:
            while True:
                held.add(response, response.receive(data)) if data else response.closed()
                if response.is_done or held.is_full:
                    break
                data = yield MayEnd()
        except WireError as error:
            if not has_come:
                self._is_open = False
                raise NoAnswer(Reason.RESET) from None
            return self._broken(response, held, error, is_closed=not data)
        self._is_open = response.is_done and response.leaves_open and not response.rest and bool(data)
        assert response.head is not None
        return Answer(head=response.head, body=held.body, why=Reason.LIMIT if held.is_full else None)

    def _pay(self, count: int) -> None:
        if self.requests + count > self._budget:
            raise NoAnswer(Reason.BUDGET)
        self.requests += count

    def _send(self, sending: bytes) -> Steps[bytes]:
        """The first bytes of the answer. A connection that was used before may have ended meanwhile: then once more."""
        was_used, self._is_used = self._is_used and self._is_open, True
        data = yield (Request if self._is_open else Redial)(sending)
        if not data and was_used:
            data = yield Redial(sending)
        self._is_open = True
        return data

    def _broken(self, response: Response, held: _Held, error: WireError, *, is_closed: bool) -> Answer:
        """What is left of an answer that is not whole, or against the rules."""
        self._is_open = False
        reason = Reason.TRUNCATED if is_closed else Reason.LIMIT if error.limit else Reason.PROTOCOL
        if response.head is None:
            raise NoAnswer(reason)
        return Answer(head=response.head, body=held.body, why=reason)

    # -- ranges --------------------------------------------------------------------------------------------------------

    def ranges(self, wanted: Sequence[Range], *, at_once: int = MAX_AT_ONCE) -> Steps[list[Piece]]:
        """The pieces in their order, several asked for at once where the server keeps its connection. Raises Lost."""
        pieces: list[Piece] = []
        while len(pieces) < len(wanted):
            size = at_once if self._is_open and self._is_used else 1
            came = yield from self._stream(wanted[len(pieces) :], size)
            if not came:
                pieces += [Reason.BUDGET] * (len(wanted) - len(pieces))
            pieces += came
        return pieces

    def _stream(self, wanted: Sequence[Range], at_once: int) -> Steps[list[Piece]]:
        """The first of them; none where the budget is spent. Where the connection ends between two, the others have to be
        asked again. While answers come, more is asked for: half of `at_once` at least is always on its way."""
        came: list[Piece] = []
        asked = self._afford(min(at_once, len(wanted)))
        if not asked:
            return came
        data = yield from self._send(self._asking(wanted[:asked]))

        def more() -> MayEnd:
            nonlocal asked
            on_their_way = asked - len(came)
            further = (
                self._afford(min(at_once - on_their_way, len(wanted) - asked)) if on_their_way <= at_once // 2 else 0
            )
            asked += further
            return More(self._asking(wanted[asked - further : asked])) if further else MayEnd()

        while len(came) < asked:
            piece, data = yield from self._piece(wanted[len(came)], data, more)
            if came and piece is Reason.TRUNCATED:
                break
            came.append(piece)
            if not self._is_open:
                break
        self.requests -= asked - len(came)
        return came

    def _afford(self, count: int) -> int:
        """So many of these requests are paid for."""
        count = max(0, min(count, self._budget - self.requests))
        self.requests += count
        return count

    def _asking(self, wanted: Sequence[Range]) -> bytes:
        return b"".join(request(b"GET", each.target, (*self._fields, _range_field(each))) for each in wanted)

    def _piece(self, wanted: Range, data: bytes, more: Callable[[], MayEnd]) -> Steps[tuple[Piece, bytes]]:
        """One piece out of `data` and what follows it; and what came behind it."""
        response, held = Response(), _Held(wanted.length, None)
        held.skips = wanted.start
        try:
            if data:
                held.add(response, response.receive(data))
            while not (response.is_done or held.is_full):
                data = yield more()
                held.add(response, response.receive(data)) if data else response.closed()
        except WireError:
            self._is_open = False
            return (Reason.PROTOCOL if data else Reason.TRUNCATED), b""
        self._is_open = response.is_done and response.leaves_open
        assert response.head is not None
        return _read(response.head, held, wanted), response.rest


class _Held:
    """What is held of a body: up to `most` bytes, or what `take` wants. `skips` bytes of a whole file come before."""

    def __init__(self, most: int, take: Take | None) -> None:
        self._most, self._take = most, take
        self._pieces: list[bytes] = []
        self._size = 0
        self.skips = 0
        self.is_full = False
        """there is more, and it is not wanted"""

    def add(self, response: Response, data: bytes) -> None:
        if not data:
            return
        status = 0 if response.head is None else response.head.status
        if self._take is not None and 200 <= status < 300:
            self.is_full = not self._take(data)
            return
        most = self._most + (0 if response.head is not None and is_part(response.head, self.skips) else self.skips)
        kept = data[: most - self._size]
        self._pieces.append(kept)
        self._size += len(kept)
        self.is_full = len(kept) < len(data) or (self._size == most and not response.is_done)

    @property
    def body(self) -> bytes:
        return b"".join(self._pieces)


def _read(head: Head, held: _Held, wanted: Range) -> Piece:
    """What an answer to a range request brings: a part, the whole file, nothing behind its end, or a refusal. Of what comes
    encoded, though nobody asked for it, no byte is one of the file."""
    if head.status in (200, PARTIAL) and head.field(b"content-encoding").lower() not in (b"", b"identity"):
        return Reason.PROTOCOL
    if is_part(head, wanted.start):
        return held.body
    if head.status == 200:
        return held.body[wanted.start : wanted.start + wanted.length]
    return b"" if head.status == NOT_SATISFIABLE else head.status


def is_part(head: Head, start: int) -> bool:
    """Whether a body is the part that was asked for. rclone says so in Content-Range, with status 200."""
    is_told = head.field(b"content-range").startswith(b"bytes %d-" % start)
    return head.status == PARTIAL or (head.status == 200 and is_told)


def _range_field(wanted: Range) -> tuple[bytes, bytes]:
    """RFC 9110 section 14.1.2."""
    return b"Range", b"bytes=%d-%d" % (wanted.start, wanted.start + wanted.length - 1)


def _host(endpoint: Endpoint) -> bytes:
    """RFC 9110 section 7.2: the name that led there, else the address."""
    address = f"[{endpoint.address}]" if endpoint.address.version == 6 else str(endpoint.address)
    host = endpoint.name or address
    return (host if endpoint.port in _PLAIN_PORTS else f"{host}:{endpoint.port}").encode("ascii", "replace")


def _agent(contact: str) -> bytes:
    """Who asks, and where to ask back."""
    where = "".join(letter for letter in contact if letter.isascii() and letter.isprintable() and letter not in "()")
    return f"leadapron/{__version__}{f' ({where})' if where else ''}".encode()
