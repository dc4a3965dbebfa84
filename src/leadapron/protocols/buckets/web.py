"""A folder of a web server that the scope names by its URL: as a bucket whose pages are directory listings.

What the formats of listings are, and how their links are read, is the affair of the door of listings.
"""

from __future__ import annotations

from leadapron.errors import WireError
from leadapron.protocols.buckets.dialect import Dialect, Page, Said, by_status, path_of
from leadapron.protocols.http.exchange import Answer
from leadapron.protocols.listing.formats import format_of
from leadapron.protocols.listing.tree import ACCEPT, ListingTree
from leadapron.scope.buckets import Bucket


class Web(Dialect):
    fields = ACCEPT
    is_told_by_its_start = True

    def there(self, bucket: Bucket) -> bytes:
        return bucket.name.encode()

    def page(self, bucket: Bucket, prefix: bytes, token: bytes, size: int) -> bytes:  # noqa: ARG002 - there are no pages
        return bucket.name.encode() + path_of(prefix)

    def object(self, bucket: Bucket, key: bytes) -> bytes:
        return bucket.name.encode() + path_of(key)

    def read(self, body: bytes) -> Page:
        """Whether it is a listing: its entries are those of `FolderTree`."""
        if format_of(body) is None:
            raise WireError("a page that is no listing")
        return Page(keys=[], token=b"")

    def said(self, answer: Answer) -> Said:
        return Said.ABSENT if answer.status == 404 else by_status(answer.status)


class FolderTree(ListingTree):
    """Below the URL, and nowhere else: a redirect of the folder itself is not followed either."""

    def _follow(self, answer: Answer) -> bool:  # noqa: ARG002
        return False
