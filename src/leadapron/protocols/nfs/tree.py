"""An export as a tree of files, in version 3 or 4.0 of NFS. Nothing in it is changed, opened or locked by us.

Handles that listings gave are kept, so that a folder is listed and a file read without a look-up; others are looked up,
name by name, from the nearest folder above whose handle is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted, is_a_name
from leadapron.protocols.nfs.exchange import Channel, reason_of, why_of
from leadapron.protocols.nfs.wire.files import Attributes, Data, Dialect, Item, Node, Page, Status, Type
from leadapron.protocols.nfs.wire.rpc import Outcome, Reply

PAGE = 64 << 10
"""Bytes of a page of a listing that we ask for."""
SMALLEST_READ, LARGEST_READ = 4 << 10, 64 << 10
"""Bounds of what one READ asks for, whatever the server says it takes."""
_MAX_PAGES = 16_384
"""Of one folder."""
_MAX_HANDLES = 200_000
"""That are kept."""
_MAX_DEPTH = 256
_MAX_PARTS = 1024
"""READs of one piece."""
_OTHERS_MAY_WRITE = 0o002

REASONS = {
    Status.ACCESS: Reason.AUTH,
    Status.MISSING: Reason.EMPTY,
    Status.BUSY: Reason.LIMIT,
    Status.TOO_SMALL: Reason.LIMIT,
    Status.BAD_COOKIE: Reason.TRUNCATED,
    Status.NOT_SUPPORTED: Reason.PROTOCOL,
    Status.OTHER: Reason.PROTOCOL,
}
_KINDS = {Type.REGULAR: Kind.FILE, Type.DIRECTORY: Kind.FOLDER, Type.OTHER: Kind.OTHER}


class _Fail(Exception):  # noqa: N818 - control flow of this file
    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass
class _Piece:
    """A piece that is being read. It is done once `why` says so, or `is_done`."""

    handle: bytes
    start: int
    length: int
    parts: list[bytes] = field(default_factory=list)
    got: int = 0
    is_done: bool = False
    why: Reason | None = None

    def take(self, data: Data) -> None:
        if data.status is not Status.OK:
            self.why, self.is_done = REASONS[data.status], True
            return
        self.parts.append(data.data)
        self.got += len(data.data)
        if data.is_end or not data.data or self.got >= self.length:
            self.is_done = True
        elif len(self.parts) == _MAX_PARTS:
            self.why, self.is_done = Reason.LIMIT, True

    @property
    def piece(self) -> Piece:
        """What was read before a READ failed is less than the piece: not given as if the file ended there."""
        return self.why or b"".join(self.parts)


class NfsTree(Tree):
    """Below `root`, whose handle MOUNT or PUTROOTFH gave."""

    def __init__(
        self,
        channel: Channel,
        dialect: Dialect,
        root: bytes,
        *,
        largest_read: int = LARGEST_READ,
        crosses: bool = False,
    ) -> None:
        """`crosses`: folders on other file systems of the server belong to the tree (the exports below the root of version
        4); else they are somebody else's mount points."""
        self._channel, self._dialect, self._crosses = channel, dialect, crosses
        self._largest_read = min(max(largest_read, SMALLEST_READ), LARGEST_READ)
        self._handles: dict[Path, bytes] = {(): root}
        self._file_system: bytes | None = None
        self._is_plain = False
        self._is_vague = False
        """of an entry of the folder that is being listed, not even its kind could be learned"""
        self._is_writable: bool | None = None
        """whether the export lets us put something into a folder whose mode lets anybody; None: not asked yet"""

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        try:
            handle = yield from self._handle_of(folder)
            yield from self._learn_file_system()
            return (yield from self._list(folder, handle, take))
        except _Fail as failed:
            return Listed(failed.reason)
        except WireError as error:
            return Listed(why_of(error))

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        pieces: list[_Piece | Reason] = []
        for each in wanted:
            try:
                handle = yield from self._handle_of(each.path)
                pieces.append(_Piece(handle=handle, start=each.start, length=max(0, each.length)))
            except _Fail as failed:
                pieces.append(failed.reason)
            except WireError as error:
                pieces.append(why_of(error))
        running = [piece for piece in pieces if isinstance(piece, _Piece) and piece.length]
        try:
            yield from self._read(running)
        except WireError as error:
            for piece in running:
                piece.why = piece.why or (None if piece.is_done else why_of(error))
        return [piece.piece if isinstance(piece, _Piece) else piece for piece in pieces]

    # -- listing -------------------------------------------------------------------------------------------------------

    def _list(self, folder: Path, handle: bytes, take: Take) -> Steps[Listed]:
        cookie, verifier, seen = 0, bytes(8), {0}
        self._is_vague = False
        for _ in range(_MAX_PAGES):
            page = yield from self._page(handle, cookie, verifier)
            if page.status is not Status.OK:
                failed = REASONS[page.status]
                return Listed(failed if cookie == 0 else Reason.TRUNCATED)
            if (yield from self._take(folder, handle, page.items, take)):
                return Listed(Reason.STOPPED)
            if page.is_end:
                return Listed(Reason.TRUNCATED if self._is_vague else None)
            if not page.items or page.items[-1].cookie in seen:
                return Listed(Reason.LIMIT)
            cookie, verifier = page.items[-1].cookie, page.verifier
            seen.add(cookie)
        return Listed(Reason.LIMIT)

    def _page(self, handle: bytes, cookie: int, verifier: bytes) -> Steps[Page]:
        plain = self._is_plain
        reply = yield from self._channel.ask(self._dialect.list(handle, cookie, verifier, PAGE, plain=plain))
        has_other_way = not plain and cookie == 0 and self._dialect.has_plain_listing
        if has_other_way and reply.outcome is Outcome.NO_PROCEDURE:
            page = Page(Status.NOT_SUPPORTED)
        else:
            page = self._dialect.read_page(_success(reply), plain=plain)
        if has_other_way and page.status is Status.NOT_SUPPORTED:
            self._is_plain = True
            return (yield from self._page(handle, cookie, verifier))
        return page

    def _take(self, folder: Path, handle: bytes, items: Sequence[Item], take: Take) -> Steps[bool]:
        """Give entries away; whether it is enough."""
        items = [item for item in items if item.name not in (b".", b"..")]
        named = [item for item in items if is_a_name(item.name)]
        self.odd += len(items) - len(named)
        for item in (yield from self._complete(handle, named)):
            world_writable = yield from self._is_world_writable(item)
            entry = self._entry(item, world_writable=world_writable)
            if entry.kind is not Kind.OTHER and item.handle and len(self._handles) < _MAX_HANDLES:
                self._handles[(*folder, item.name)] = item.handle
            if not take(entry):
                return True
        return False

    def _complete(self, folder: bytes, items: Sequence[Item]) -> Steps[Sequence[Item]]:
        """Look up what a listing did not say."""
        bare = [place for place, item in enumerate(items) if item.attributes is None]
        if not bare:
            return items
        replies = yield from self._channel.ask_all([self._dialect.look_up(folder, items[at].name) for at in bare])
        whole = list(items)
        for place, reply in zip(bare, replies, strict=True):
            node = self._dialect.read_node(reply.body) if reply.outcome is Outcome.SUCCESS else Node(Status.OTHER)
            if node.status is Status.OK:
                whole[place] = items[place]._replace(handle=node.handle, attributes=node.attributes)
        return whole

    def _entry(self, item: Item, *, world_writable: bool) -> Entry:
        attributes = item.attributes
        if attributes is None:
            self._is_vague = True
            return Entry(item.name, Kind.OTHER)
        kind = _KINDS[attributes.type]
        if not self._crosses and self._is_elsewhere(attributes):
            kind = Kind.OTHER
        return Entry(item.name, kind, attributes.size if kind is Kind.FILE else None, world_writable)

    def _is_elsewhere(self, attributes: Attributes) -> bool:
        return None not in (self._file_system, attributes.file_system) and attributes.file_system != self._file_system

    def _is_world_writable(self, item: Item) -> Steps[bool]:
        """By the mode of a folder, and unless the server says that it is read-only all the same: asked once, for the first
        such folder, since it is the export that is read-only."""
        attributes = item.attributes
        if (
            attributes is None
            or attributes.type is not Type.DIRECTORY
            or not (attributes.mode or 0) & _OTHERS_MAY_WRITE
        ):
            return False
        if self._is_writable is None and item.handle:
            reply = yield from self._channel.ask(self._dialect.may_change(item.handle))
            is_said = reply.outcome is Outcome.SUCCESS
            self._is_writable = is_said and self._dialect.read_may_change(reply.body)
        return bool(self._is_writable)

    def _learn_file_system(self) -> Steps[None]:
        if self._file_system is None and not self._crosses:
            reply = yield from self._channel.ask(self._dialect.attributes(self._handles[()]))
            attributes = self._dialect.read_attributes(_success(reply)).attributes
            self._file_system = attributes.file_system if attributes else None

    # -- handles -------------------------------------------------------------------------------------------------------

    def _handle_of(self, path: Path) -> Steps[bytes]:
        """Raises _Fail, WireError."""
        if len(path) > _MAX_DEPTH or not all(map(is_a_name, path)):
            raise _Fail(Reason.LIMIT)
        known = next(length for length in range(len(path), -1, -1) if path[:length] in self._handles)
        handle = self._handles[path[:known]]
        for length in range(known + 1, len(path) + 1):
            reply = yield from self._channel.ask(self._dialect.look_up(handle, path[length - 1]))
            node = self._dialect.read_node(_success(reply))
            if node.status is not Status.OK:
                raise _Fail(REASONS[node.status])
            if node.attributes is not None and node.attributes.type is Type.OTHER:
                raise _Fail(Reason.EMPTY)
            handle = node.handle
            if len(self._handles) < _MAX_HANDLES:
                self._handles[path[:length]] = handle
        return handle

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, running: Sequence[_Piece]) -> Steps[None]:
        """All pieces, side by side, a READ of each at a time."""
        while running := [piece for piece in running if not piece.is_done]:
            sizes = [min(piece.length - piece.got, self._largest_read) for piece in running]
            calls = [
                self._dialect.read(piece.handle, piece.start + piece.got, size)
                for piece, size in zip(running, sizes, strict=True)
            ]
            replies = yield from self._channel.ask_all(calls)
            for piece, size, reply in zip(running, sizes, replies, strict=True):
                if reply.outcome is Outcome.SUCCESS:
                    piece.take(self._dialect.read_data(reply.body, size))
                else:
                    piece.why, piece.is_done = reason_of(reply.outcome), True


def _success(reply: Reply) -> bytes:
    """The results of a procedure. Raises _Fail."""
    if reply.outcome is not Outcome.SUCCESS:
        raise _Fail(reason_of(reply.outcome))
    return reply.body
