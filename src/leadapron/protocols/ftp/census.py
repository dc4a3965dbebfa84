"""What lies behind the anonymous login: one job, whose connection stays for the whole walk."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import ClassVar

from leadapron.model import Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost, Steps
from leadapron.protocols.base import Terms
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.walk import Walk, depth_of
from leadapron.protocols.ftp.control import Control
from leadapron.protocols.ftp.session import LoggedIn, enter, log_in
from leadapron.protocols.ftp.tree import FtpTree

TREE = "tree:root"

MAX_RECEIVED = 256 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """The walk, logged in as `known` says that it works."""

    endpoint: Endpoint
    terms: Terms
    known: LoggedIn
    name: ClassVar[str] = TREE
    delay: ClassVar[float] = 0.0

    @property
    def depth(self) -> Depth:
        return depth_of(self.terms, in_clear=self.in_clear)

    @property
    def limits(self) -> Limits:
        return Limits(deadline=self.terms.seconds, max_received=MAX_RECEIVED)

    @property
    def in_clear(self) -> bool:
        return not self.known.private

    def converse(self) -> Conversation[Found]:
        try:
            control = yield from self._inside()
        except Lost as lost:
            return Failed(stage=Stage.LIST, reason=lost.reason, detail="before the first listing")
        if control is None:
            return Failed(stage=Stage.LIST, reason=Reason.AUTH, detail="the login that worked does not work again")
        walk = Walk(FtpTree(control, mlsd=self.known.mlsd), self.terms, in_clear=not control.private)
        try:
            yield from walk.run()
        except Lost as lost:
            return Completed(result=walk.found(lost.reason))
        with contextlib.suppress(Lost):
            yield LastWords(control.quit())
        return Completed(result=walk.found())

    def _inside(self) -> Steps[Control | None]:
        """Logged in, in the very way that worked; None where it does not now. Raises Lost."""
        control, greeting = yield from enter(self.endpoint)
        if not greeting.is_positive:
            raise Lost(Reason.LIMIT)
        if self.known.inside_tls and not control.is_secured and not (yield from control.auth_tls()):
            raise Lost(Reason.TLS)
        known = yield from log_in(control)
        if not known.accepted:
            return None
        if self.known.private and not known.private:
            # This job said that nobody can listen.
            raise Lost(Reason.TLS)
        return control
