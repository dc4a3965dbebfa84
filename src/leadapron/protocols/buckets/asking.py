"""The jobs at a bucket, least first: is there somebody who answers for it; may a stranger list it; what is in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from leadapron.errors import WireError
from leadapron.model import Completed, Depth, Endpoint, Failed, Product, Reason, Stage
from leadapron.net.conversation import Conversation, Limits, Lost
from leadapron.protocols.base import Identify, Page, Terms
from leadapron.protocols.buckets.dialect import Said
from leadapron.protocols.buckets.tree import DIALECTS, tree_of
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.walk import Walk
from leadapron.protocols.http.exchange import Client, NoAnswer
from leadapron.scope.buckets import Bucket

MAX_FIRST_PAGE = 1 << 18
"""Bytes of a page of one entry, or of an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knocked:
    """Somebody speaks HTTP there. `status`: of the answer about the bucket."""

    status: int
    product: Product = field(default_factory=Product)


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPage:
    """What a stranger gets who asks for a listing of one entry."""

    said: Said
    status: int
    entries: int = 0
    """that came, files and folders"""
    why: Reason | None = None
    """why what came is no listing, where the store says that it is open"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketJob:
    """What the jobs have. The name of the endpoint is the host of the bucket: it goes into the request, and as SNI."""

    name: str
    endpoint: Endpoint
    bucket: Bucket
    depth: Depth = Depth.COUNT
    limits: Limits = field(default_factory=lambda: Limits(idle_timeout=20.0, deadline=40.0, max_received=8 << 20))
    contact: str = ""
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def client(self, requests: int) -> Client:
        return Client(self.endpoint, contact=self.contact, requests=requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock(BucketJob):
    """One HEAD for the bucket: nothing of what it holds comes back."""

    identify: Identify

    def converse(self) -> Conversation[Knocked]:
        dialect = DIALECTS[self.bucket.store]
        try:
            answer = yield from self.client(1).ask(b"HEAD", dialect.there(self.bucket), dialect.fields)
        except Lost as lost:
            return Failed(stage=Stage.HANDSHAKE, reason=lost.reason)
        except NoAnswer as none:
            return Failed(stage=Stage.HANDSHAKE, reason=none.reason)
        product = self.identify.page(Page(status=answer.status, fields=answer.head.fields))
        return Completed(result=Knocked(status=answer.status, product=product))


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForPage(BucketJob):
    """A listing of one entry."""

    def converse(self) -> Conversation[FirstPage]:
        dialect = DIALECTS[self.bucket.store]
        target = dialect.page(self.bucket, b"", b"", 1)
        try:
            answer = yield from self.client(1).get(target, dialect.fields, max_body=MAX_FIRST_PAGE)
        except Lost as lost:
            return Failed(stage=Stage.LIST, reason=lost.reason)
        except NoAnswer as none:
            return Failed(stage=Stage.LIST, reason=none.reason)
        said = dialect.said(answer)
        first = FirstPage(said=said, status=answer.status)
        if said is not Said.OPEN:
            return Completed(result=first)
        try:
            if answer.why is not None and not (answer.why is Reason.LIMIT and dialect.is_told_by_its_start):
                return Completed(result=FirstPage(said=said, status=answer.status, why=answer.why))
            return Completed(
                result=FirstPage(said=said, status=answer.status, entries=len(dialect.read(answer.body).keys))
            )
        except WireError as error:
            reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
            return Completed(result=FirstPage(said=said, status=answer.status, why=reason))


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkThrough(BucketJob):
    """All that is in it, as far as the terms go."""

    terms: Terms

    def converse(self) -> Conversation[Found]:
        # The walk keeps to the budget; twice as much ends what it does not count, pages of one folder.
        tree = tree_of(self.client(2 * self.terms.requests), self.endpoint, self.bucket)
        walk = Walk(tree, self.terms, in_clear=True)
        try:
            yield from walk.run()
        except Lost as lost:
            return Completed(result=walk.found(lost.reason))
        return Completed(result=walk.found())
