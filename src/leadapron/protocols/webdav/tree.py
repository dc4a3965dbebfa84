"""A tree of folders over WebDAV: one PROPFIND a folder, range requests for files."""

from __future__ import annotations

from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Entry, Listed, Path, Take
from leadapron.protocols.http.exchange import Answer, NoAnswer
from leadapron.protocols.listing.remote import MAX_TARGET, Reading, RemoteTree, of_no_answer, of_status
from leadapron.protocols.webdav.multistatus import PROPFIND, Multistatus

MULTI_STATUS = 207
FIELDS = ((b"Depth", b"1"), (b"Content-Type", b'application/xml; charset="utf-8"'))

BY_UIDS = b"by-uids"
OTHER_VIEWS = frozenset({b"by-dates", b"by-patients", b"by-studies"})
"""Orthanc shows its archive four times, in four orders (OrthancServer/Sources/main.cpp, WebDAV buckets). The others are
left out where the first is there: each file counts once."""
_ROOT_HELD = 16
"""Entries of a root that are held to tell."""


class DavTree(RemoteTree):
    """No redirect is followed."""

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        target = self._folder_target(folder)
        if len(target) > MAX_TARGET:
            return Listed(Reason.LIMIT)
        views = None if folder else Views(take)
        reading = DavReading(Multistatus(self._base(folder), self._hosts), take if views is None else views.take)
        try:
            answer = yield from self._client.ask(b"PROPFIND", target, FIELDS, body=PROPFIND, take=reading.add)
        except NoAnswer as none:
            return Listed(of_no_answer(none.reason))
        listed = reading.ended(answer)
        self.odd += reading.multistatus.odd
        if views is not None and listed.why is not Reason.STOPPED and not views.end():
            return Listed(Reason.STOPPED)
        return listed


class Views:
    """The entries of a root, without what shows the same files again."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._held: list[Entry] | None = []

    def take(self, entry: Entry) -> bool:
        if self._held is None:
            return self._take(entry)
        self._held.append(entry)
        return len(self._held) <= _ROOT_HELD or self.end()

    def end(self) -> bool:
        """Gives what is held; whether more is wanted."""
        held, self._held = self._held or [], None
        names = {entry.name for entry in held}
        is_orthanc = BY_UIDS in names and names >= OTHER_VIEWS
        return all(self._take(entry) for entry in held if not (is_orthanc and entry.name in OTHER_VIEWS))


class DavReading(Reading):
    def __init__(self, multistatus: Multistatus, take: Take) -> None:
        super().__init__(multistatus, take)
        self.multistatus = multistatus

    def ended(self, answer: Answer) -> Listed:
        if answer.status != MULTI_STATUS:
            return Listed(of_status(answer.status))
        if self.why is not None:
            return Listed(self.why)
        if answer.why is not None and self.multistatus.is_begun:
            return Listed(Reason.LIMIT if answer.why is Reason.LIMIT else Reason.TRUNCATED)
        entries, why = self.multistatus.finish()
        return Listed(why if self.gives(entries) else Reason.STOPPED)
