"""Anonymous FTP as a tree of files: a data connection for each listing and for each piece."""

from __future__ import annotations

from collections.abc import Sequence

from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Listed, Path, Piece, Take, Tree, Wanted
from leadapron.protocols.ftp.control import Control, Transfer
from leadapron.protocols.ftp.listing import Listing, read_list_line, read_mlsd_line
from leadapron.protocols.ftp.wire import Reply, command

_WHY = {
    425: Reason.TRUNCATED,
    426: Reason.TRUNCATED,
    450: Reason.LIMIT,
    451: Reason.LIMIT,
    452: Reason.LIMIT,
    521: Reason.TLS,
    522: Reason.TLS,
    530: Reason.AUTH,
    532: Reason.AUTH,
    534: Reason.TLS,
    550: Reason.AUTH,
    553: Reason.AUTH,
}
"""Why there is nothing, by the code of a reply (RFC 959 section 4.2.2, RFC 4217 section 6). 550 is "not there" as well as
"not for you": what is asked for was in a listing, so it is there."""

_UNKNOWN_COMMAND = frozenset({500, 501, 502, 504})

_CLOSED_FOLDER = b"failed to open directory"
"""vsftpd (postlogin.c) lists a folder that it may not read as an empty one, with 226, and says so behind it."""


class FtpTree(Tree):
    """Over a control connection that is logged in. `mlsd`: whether the server has listings for programs."""

    def __init__(self, control: Control, *, mlsd: bool) -> None:
        self._control, self._mlsd = control, mlsd
        self._is_binary = False
        self.odd = 0

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        """In the folder itself: with a name behind it, some servers take LIST for a pattern, and find nothing."""
        reply = yield from self._control.reply(command(b"CWD", _place(folder)))
        if not reply.is_positive:
            return Listed(why=_why(reply))
        if self._mlsd:
            listed = yield from self._listing(b"MLSD", take)
            if listed is not None:
                return listed
            self._mlsd = False
        return (yield from self._listing(b"LIST", take)) or Listed(why=Reason.PROTOCOL)

    def _listing(self, verb: bytes, take: Take) -> Steps[Listed | None]:
        """None: the server has no such command."""
        listing = Listing(read_mlsd_line if verb == b"MLSD" else read_list_line)

        def take_data(data: bytes) -> bool:
            return all(take(entry) for entry in listing.receive(data)) and listing.unreadable <= MAX_UNREADABLE

        transfer = yield from self._control.transfer(command(verb), take_data)
        if not transfer.begun and transfer.reply.code in _UNKNOWN_COMMAND:
            return None
        is_enough = transfer.stopped or not all(take(entry) for entry in listing.end())
        self.odd += listing.odd
        return Listed(why=_ending(transfer, listing, is_enough=is_enough))

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        """One transfer a piece, cut where there is enough. Raises Lost."""
        pieces: dict[int, Piece] = {}
        for place, each in enumerate(wanted):
            pieces[place] = yield from self._read(each)
        return [*pieces.values()]

    def _read(self, wanted: Wanted) -> Steps[Piece]:
        if wanted.length <= 0:
            return b""
        if not self._is_binary:
            reply = yield from self._control.reply(command(b"TYPE", b"I"))
            if not reply.is_positive:
                return _why(reply)
            self._is_binary = True
        asking = command(b"RETR", _place(wanted.path))
        read = bytearray()

        def take_data(data: bytes) -> bool:
            read.extend(data[: wanted.length - len(read)])
            return len(read) < wanted.length

        transfer = yield from self._control.transfer(asking, take_data, wanted.start)
        if transfer.is_whole or transfer.stopped:
            return bytes(read)
        return transfer.lost or _why(transfer.reply)


MAX_UNREADABLE = 1000
"""Lines of one listing that cannot be read, before it is left."""


def _place(path: Path) -> bytes:
    return b"/" + b"/".join(path)


def _why(reply: Reply) -> Reason:
    return _WHY.get(reply.code, Reason.PROTOCOL)


def _ending(transfer: Transfer, listing: Listing, *, is_enough: bool) -> Reason | None:
    if listing.unreadable > MAX_UNREADABLE:
        return Reason.PROTOCOL
    if is_enough:
        return Reason.STOPPED
    if transfer.lost is not None:
        return Reason.TLS if transfer.lost is Reason.TLS else Reason.TRUNCATED
    if not transfer.reply.is_positive:
        return _why(transfer.reply)
    if listing.entries:
        # What could not be read may be files that are not counted: the folder is not known to its end.
        return Reason.TRUNCATED if listing.unreadable else None
    if _CLOSED_FOLDER in transfer.reply.text:
        return Reason.AUTH
    return Reason.PROTOCOL if listing.unreadable else None
