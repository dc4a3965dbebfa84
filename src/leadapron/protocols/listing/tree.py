"""A tree of folders that a web server lists: one GET a folder, range requests for files."""

from __future__ import annotations

from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.files.tree import Listed, Path, Take
from leadapron.protocols.http.exchange import Answer, Client, NoAnswer
from leadapron.protocols.http.front import MAX_HOPS, REDIRECTS, where_it_leads
from leadapron.protocols.listing.formats import JSON
from leadapron.protocols.listing.page import Listing
from leadapron.protocols.listing.remote import MAX_TARGET, Reading, RemoteTree, of_no_answer, of_status

ACCEPT = ((b"Accept", b"application/json, text/html;q=0.9, */*;q=0.5"),)
"""Caddy then lists in JSON, which is shorter, and says the size of each file."""

_OK = 200


class ListingTree(RemoteTree):
    """The root may be redirected, as the front page was, within the same origin. A folder below it is not: its listing
    would be that of another one."""

    def __init__(self, client: Client, endpoint: Endpoint, root: bytes = b"/") -> None:
        super().__init__(client, endpoint, root)
        self._endpoint = endpoint
        self._is_json = False
        """an earlier folder was listed in JSON"""

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        for _ in range(MAX_HOPS):
            target = self._folder_target(folder)
            if len(target) > MAX_TARGET:
                return Listed(Reason.LIMIT)
            reading = PageReading(Listing(self._base(folder), self._hosts, may_be_empty_json=self._is_json), take)
            try:
                answer = yield from self._client.ask(b"GET", target, ACCEPT, take=reading.add)
            except NoAnswer as none:
                return Listed(of_no_answer(none.reason))
            if folder or answer.status not in REDIRECTS or not self._follow(answer):
                break
        listed = reading.ended(answer)
        self.odd += reading.listing.odd
        self._is_json = self._is_json or reading.listing.format in JSON
        return listed

    def _follow(self, answer: Answer) -> bool:
        """Whether the root lies elsewhere on this server. A file that it leads to stands for its folder."""
        _, target = where_it_leads(answer.head.field(b"location"), self._endpoint)
        if not target or b"?" in target or b"#" in target:
            return False
        root = target[: target.rindex(b"/") + 1]
        is_elsewhere, self._root = root != self._root, root
        return is_elsewhere


class PageReading(Reading):
    def __init__(self, listing: Listing, take: Take) -> None:
        super().__init__(listing, take)
        self.listing = listing

    def ended(self, answer: Answer) -> Listed:
        if answer.status != _OK:
            return Listed(of_status(answer.status))
        if self.why is not None:
            return Listed(self.why)
        entries, why = self.listing.finish()
        if not self.gives(entries):
            return Listed(Reason.STOPPED)
        if answer.why is None or self.listing.format is None:
            return Listed(why)
        return Listed(Reason.LIMIT if answer.why is Reason.LIMIT else Reason.TRUNCATED)
