"""What is asked of an rsync daemon: its greeting, its modules, and each of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from leadapron.model import Completed, Depth, Endpoint, Failed, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost, Redial, Steps
from leadapron.protocols.base import Terms
from leadapron.protocols.files.names import shown_name
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.walk import Walk
from leadapron.protocols.rsync import wire
from leadapron.protocols.rsync.session import Session
from leadapron.protocols.rsync.tree import RsyncTree
from leadapron.protocols.rsync.wire import Answer

HELLO, MODULES, TREE = "hello", "modules", "tree:"

MAX_SHOWN = 256
"""Modules that are told apart."""

_LIMITS = Limits(deadline=30.0, max_received=1 << 20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """`protocol`: the highest that it speaks."""

    protocol: int
    has_digests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """`shown`: what they may be called, each once; `count`: how many there are, those too that share a name."""

    count: int
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shut:
    """A module that was not opened."""

    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    endpoint: Endpoint
    name: ClassVar[str] = HELLO
    depth: ClassVar[Depth] = Depth.TALK
    limits: ClassVar[Limits] = _LIMITS
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Greeted]:
        try:
            greeting = yield from Session().enter()
        except Lost as lost:
            return Failed(stage=Stage.HANDSHAKE, reason=lost.reason)
        return Completed(result=Greeted(protocol=greeting.protocol, has_digests=greeting.has_digests))


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The list of modules, which names those that are not hidden."""

    endpoint: Endpoint
    name: ClassVar[str] = MODULES
    depth: ClassVar[Depth] = Depth.COUNT
    limits: ClassVar[Limits] = _LIMITS
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Modules]:
        session = Session()
        try:
            yield from session.enter()
            names = [shown_name(raw) for raw in (yield from session.modules())]
        except Lost as lost:
            return Failed(stage=Stage.LIST, reason=lost.reason, detail="list of modules")
        return Completed(result=Modules(count=len(names), shown=tuple(dict.fromkeys(names))[:MAX_SHOWN]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Two connections: the list of modules, for the name, which is kept nowhere, and the module."""

    endpoint: Endpoint
    shown: str
    terms: Terms
    depth: ClassVar[Depth] = Depth.COUNT
    """names only: there is no census to take"""
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return TREE + self.shown

    @property
    def limits(self) -> Limits:
        return Limits(deadline=self.terms.seconds, max_received=256 << 20)

    def converse(self) -> Conversation[Found | Shut]:
        session = Session()
        try:
            raw = yield from self._raw_name()
            if raw is None:
                return Completed(result=Shut(answer=Answer.NO_MODULE))
            yield from session.enter(Redial())
            answer = yield from session.choose(raw)
        except Lost as lost:
            return Failed(stage=Stage.LIST, reason=lost.reason, detail="before the list of files")
        if answer is not Answer.OPEN:
            return Completed(result=Shut(answer=answer))
        tree = RsyncTree(session, raw, self.terms.answers)
        walk = Walk(tree, self.terms, in_clear=True)
        try:
            yield from walk.run()
        except Lost as lost:
            return Completed(result=walk.found(lost.reason))
        if tree.is_whole:
            with contextlib.suppress(Lost):
                yield LastWords(wire.FAREWELL)
        return Completed(result=walk.found())

    def _raw_name(self) -> Steps[bytes | None]:
        session = Session()
        yield from session.enter()
        return next((raw for raw in (yield from session.modules()) if shown_name(raw) == self.shown), None)
