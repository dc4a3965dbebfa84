"""A bucket as a tree: keys are paths by their slashes, and each folder is a listing below its prefix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from leadapron.errors import WireError
from leadapron.model import Endpoint, Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.buckets.azure import Azure
from leadapron.protocols.buckets.dialect import MAX_PAGE, PAGE, Dialect, Key, Page, Said
from leadapron.protocols.buckets.gcs import Google
from leadapron.protocols.buckets.s3 import S3
from leadapron.protocols.buckets.web import FolderTree, Web
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path, Piece, Take, Tree, Wanted, is_a_name
from leadapron.protocols.http.exchange import Client, NoAnswer, Range
from leadapron.protocols.listing.remote import piece_of
from leadapron.scope.buckets import Bucket, Store

DIALECTS: Mapping[Store, Dialect] = {Store.S3: S3(), Store.AZURE: Azure(), Store.GOOGLE: Google(), Store.WEB: Web()}

MAX_BARREN = 8
"""Pages in a row that bring nothing and promise more: stores do send some."""

WHY_NOT: Mapping[Said, Reason] = {
    Said.CLOSED: Reason.AUTH,
    Said.HIDDEN: Reason.EMPTY,
    Said.ABSENT: Reason.EMPTY,
    Said.ELSEWHERE: Reason.OUT_OF_SCOPE,
    Said.BUSY: Reason.LIMIT,
    Said.OTHER: Reason.PROTOCOL,
}
_CAPS = frozenset({Reason.BUDGET, Reason.LIMIT})


def tree_of(client: Client, endpoint: Endpoint, bucket: Bucket) -> Tree:
    if bucket.store is Store.WEB:
        return FolderTree(client, endpoint, bucket.name.encode())
    return BucketTree(client, bucket)


class BucketTree(Tree):
    """Of one bucket."""

    def __init__(self, client: Client, bucket: Bucket) -> None:
        self._client, self._bucket = client, bucket
        self._dialect = DIALECTS[bucket.store]

    def list(self, folder: Path, take: Take) -> Steps[Listed]:
        prefix = b"".join(part + b"/" for part in folder)
        token, barren = b"", 0
        while True:
            page = yield from self._page(prefix, token)
            if isinstance(page, Listed):
                return page
            for entry in self._entries(page, prefix):
                if not take(entry):
                    return Listed(Reason.STOPPED)
            barren = 0 if page.keys else barren + 1
            if page.is_cut or barren > MAX_BARREN or (token and page.token == token):
                return Listed(Reason.LIMIT)
            if not page.token:
                return Listed()
            token = page.token

    def _page(self, prefix: bytes, token: bytes) -> Steps[Page | Listed]:
        target = self._dialect.page(self._bucket, prefix, token, PAGE)
        try:
            answer = yield from self._client.get(target, self._dialect.fields, max_body=MAX_PAGE)
        except NoAnswer as none:
            return Listed(_listed_as(none.reason))
        said = self._dialect.said(answer)
        if said is not Said.OPEN:
            return Listed(WHY_NOT[said])
        if answer.why is not None:
            return Listed(_listed_as(answer.why))
        try:
            return self._dialect.read(answer.body)
        except WireError as error:
            return Listed(Reason.LIMIT if error.limit else Reason.PROTOCOL)

    def _entries(self, page: Page, prefix: bytes) -> Iterator[Entry]:
        """Those whose names are some. The mark that a folder leaves in the bucket, a key that is the prefix, is none."""
        for key in page.keys:
            if key.key == prefix and not key.is_folder:
                continue
            entry = _entry(key, prefix)
            if entry is None:
                self.odd += 1
            else:
                yield entry

    def read(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        ranges = [
            Range(target=self._dialect.object(self._bucket, b"/".join(each.path)), start=each.start, length=each.length)
            for each in wanted
        ]
        pieces = yield from self._client.ranges(ranges)
        return [piece_of(piece) for piece in pieces]


def _entry(key: Key, prefix: bytes) -> Entry | None:
    """None: the name is no part of a path, or the key is not below the prefix that was asked for."""
    if not key.key.startswith(prefix) or (key.is_folder and not key.key.endswith(b"/")):
        return None
    name = key.key[len(prefix) : -1 if key.is_folder else None]
    if not is_a_name(name):
        return None
    return Entry(name, Kind.FOLDER if key.is_folder else Kind.FILE, key.size)


def _listed_as(reason: Reason) -> Reason:
    """A budget of ours is a bound of ours."""
    return Reason.LIMIT if reason in _CAPS else reason
