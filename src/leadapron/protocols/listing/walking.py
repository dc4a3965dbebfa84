"""The job of every tree over HTTP: the file census of one resource."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from leadapron.model import Completed
from leadapron.net.conversation import Conversation, Limits, Lost
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.tree import Tree
from leadapron.protocols.files.walk import Walk, depth_of
from leadapron.protocols.http.exchange import Client
from leadapron.protocols.http.front import MAX_HOPS
from leadapron.protocols.http.web import WebJob

MAX_RECEIVED = 256 << 20
"""Bytes of one walk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walking(WebJob):
    """`root`: the resource, a path of our own with a slash at both ends."""

    root: str
    terms: Terms

    @abstractmethod
    def tree(self, client: Client) -> Tree: ...

    def converse(self) -> Conversation[Found]:
        walk = Walk(self.tree(self.client()), self.terms, in_clear=True)
        try:
            yield from walk.run()
        except Lost as lost:
            return Completed(result=walk.found(lost.reason))
        return Completed(result=walk.found())


def walking(kind: type[Walking], name: str, case: Case, root: str) -> Walking:
    """The job. Each piece of a file is a request, and each folder: the walk counts them, the redirects of the root it
    does not."""
    terms = case.terms
    return kind(
        name=name,
        endpoint=case.endpoint,
        depth=depth_of(terms, in_clear=True),
        contact=terms.contact,
        requests=terms.requests + MAX_HOPS,
        limits=Limits(deadline=terms.seconds, idle_timeout=20.0, max_received=MAX_RECEIVED),
        root=root,
        terms=terms,
    )
