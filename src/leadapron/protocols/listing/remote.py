"""What every tree over HTTP has: paths as targets, pieces of files by range requests, statuses as reasons."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol as Interface
from urllib.parse import quote, unquote_to_bytes

from leadapron.errors import WireError
from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Entry, Listed, Path, Piece, Take, Tree, Wanted
from leadapron.protocols.http.exchange import Client, Range
from leadapron.protocols.http.web import BUSY, LOCKED

MAX_TARGET = 8000
"""Bytes (RFC 9110 section 4.1 asks for no more)."""

_STATUSES: Mapping[int, Reason] = {
    **dict.fromkeys(LOCKED, Reason.AUTH),
    **dict.fromkeys((404, 410), Reason.EMPTY),
    **dict.fromkeys((414, *BUSY), Reason.LIMIT),
}
_OURS: Mapping[Reason, Reason] = {Reason.BUDGET: Reason.LIMIT, Reason.LIMIT: Reason.LIMIT}


def of_status(status: int) -> Reason:
    """Why an answer with this status is not what was asked for."""
    return _STATUSES.get(status, Reason.PROTOCOL)


def of_no_answer(reason: Reason) -> Reason:
    """Why there is none: a bound of ours, or PROTOCOL."""
    return _OURS.get(reason, Reason.PROTOCOL)


def hosts_of(endpoint: Endpoint) -> frozenset[bytes]:
    """What a URL may name and be on the same server: its name or its address, with the port or without."""
    address = f"[{endpoint.address}]" if endpoint.address.version == 6 else str(endpoint.address)
    names = {address, endpoint.name} - {""}
    return frozenset(f"{name}{port}".lower().encode() for name in names for port in ("", f":{endpoint.port}"))


class RemoteTree(Tree):
    """Below `root`: a target with a slash at both ends, percent-encoded."""

    def __init__(self, client: Client, endpoint: Endpoint, root: bytes = b"/") -> None:
        self.odd = 0
        self._client, self._root = client, root
        self._hosts: Collection[bytes] = hosts_of(endpoint)

    @abstractmethod
    def list(self, folder: Path, take: Take) -> Steps[Listed]: ...

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        targets = [self._target(each.path) for each in wanted]
        asked = [
            Range(target=target, start=each.start, length=each.length)
            for target, each in zip(targets, wanted, strict=True)
            if len(target) <= MAX_TARGET and each.length > 0
        ]
        came = iter((yield from self._client.ranges(asked)))
        return [
            Reason.LIMIT if len(target) > MAX_TARGET else b"" if each.length <= 0 else piece_of(next(came))
            for target, each in zip(targets, wanted, strict=True)
        ]

    def _target(self, path: Path) -> bytes:
        """Of a file; with a slash behind it, of a folder."""
        return self._root + b"/".join(quote(part, safe="").encode() for part in path)

    def _folder_target(self, path: Path) -> bytes:
        return self._target(path) + (b"/" if path else b"")

    def _base(self, path: Path) -> bytes:
        """The same, decoded, as links in it are compared with it."""
        return unquote_to_bytes(self._root) + b"".join(part + b"/" for part in path)


class Parser(Interface):
    """Of the body that lists a folder."""

    def feed(self, data: bytes) -> Iterable[Entry]:
        """The entries that `data` completes. Raises WireError."""
        ...


class Reading:
    """From the body of one answer to the entries of one folder."""

    def __init__(self, parser: Parser, take: Take) -> None:
        self._parser, self._take = parser, take
        self.why: Reason | None = None
        """why no more is read"""

    def add(self, data: bytes) -> bool:
        """Whether more is wanted."""
        try:
            entries = self._parser.feed(data)
        except WireError as error:
            self.why = Reason.LIMIT if error.limit else Reason.PROTOCOL
            return False
        if not self.gives(entries):
            self.why = Reason.STOPPED
        return self.why is None

    def gives(self, entries: Iterable[Entry]) -> bool:
        """Each to who takes them; whether more is wanted."""
        return all(self._take(entry) for entry in entries)


def piece_of(came: bytes | int | Reason) -> Piece:
    """What a tree makes of what came for a range, whatever the door."""
    if isinstance(came, Reason):
        return of_no_answer(came)
    return of_status(came) if isinstance(came, int) else came
