"""A module as a tree: one list of everything below it, which comes in one connection, and no contents.

The server walks the whole module for us, folder after folder, each to its end before those in it. What came is kept for as
long as the job lasts, up to the budget of answers; there the connection ends, and with it the server's work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import Lost, Steps
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted
from leadapron.protocols.rsync.flist import Channel, FileList
from leadapron.protocols.rsync.session import Session
from leadapron.protocols.rsync.wire import LOWEST_PROTOCOL, OUR_PROTOCOL, list_request

MAX_NAMES = 32 << 20
"""Bytes of all names that are kept."""
MAX_ENTRIES = 500_000
"""However high the budget is."""


class RsyncTree(Tree):
    """Behind an OK to `module`. `answers`: how many entries are taken."""

    def __init__(self, session: Session, module: bytes, answers: int) -> None:
        self._session, self._module, self._answers = session, module, answers
        self._folders: defaultdict[Path, list[Entry]] = defaultdict(list)
        self._last: Path = ()
        self._entries = self._bytes = 0
        self._why: Reason | None = None
        """why the list did not come to its end"""
        self._why_empty: Reason | None = None
        """why a folder without entries may not be empty"""
        self._is_read = False
        self.odd = 0

    @property
    def is_whole(self) -> bool:
        return self._is_read and self._why is None

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        """The first one reads the list; what is lost then is told of the folders that are not whole. Raises nothing."""
        if not self._is_read:
            self._is_read = True
            try:
                self._why = yield from self._read_list()
            except Lost as lost:
                self._why = lost.reason
        entries = self._folders.get(folder, [])
        if not all(take(entry) for entry in entries):
            return Listed(why=Reason.STOPPED)
        if self._why is not None and (not entries or folder == self._last):
            return Listed(why=self._why)
        return Listed(why=None if entries else self._why_empty)

    def _read_list(self) -> Steps[Reason | None]:
        """Why it did not come to its end. Raises Lost."""
        protocol = self._session.protocol
        if protocol < LOWEST_PROTOCOL:
            return Reason.PROTOCOL
        channel, files = Channel(), FileList(min(protocol, OUR_PROTOCOL))
        data = yield from self._session.begin(list_request(self._module))
        try:
            while files.error is None:
                for folder, entry in files.receive(channel.receive(data)):
                    if not self._keep(folder, entry):
                        return Reason.BUDGET if self._entries >= self._answers else Reason.LIMIT
                if files.error is None:
                    data = yield b""
        except WireError as error:
            return Reason.LIMIT if error.limit else Reason.PROTOCOL
        finally:
            self.odd = files.odd
            if channel.is_denied:
                self._why_empty = Reason.AUTH
        if files.error and self._why_empty is None:
            self._why_empty = Reason.TRUNCATED
        return None

    def _keep(self, folder: Path, entry: Entry) -> bool:
        """False: there is no room for more."""
        self._folders[folder].append(entry)
        self._last = folder
        self._entries += 1
        self._bytes += len(entry.name) + (sum(map(len, folder)) if entry.kind is Kind.FOLDER else 0)
        return self._entries < min(self._answers, MAX_ENTRIES) and self._bytes < MAX_NAMES

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        """Nothing: rsync transfers whole files only."""
        yield from ()
        return [Reason.LIMIT for _ in wanted]
