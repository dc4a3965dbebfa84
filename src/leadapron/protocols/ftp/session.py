"""The two things that are asked before a folder: what the server is, and whether it lets anyone in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from leadapron.errors import WireError
from leadapron.model import Completed, Depth, Endpoint, Failed, Product, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost, Redial, Steps
from leadapron.protocols.base import Identify, Page
from leadapron.protocols.ftp import wire
from leadapron.protocols.ftp.control import Control
from leadapron.protocols.ftp.wire import Reply, command

IMPLICIT_PORT = 990
"""Where TLS is spoken from the first byte (IANA: ftps)."""

HELLO, BLANK = "hello", "blank"

_LIMITS = Limits(deadline=45.0, max_received=1 << 20)

_NAME, _PASSWORD = b"anonymous", b"anonymous@"
"""RFC 1635: the one user that stands for anyone. The password of the custom is an address; ours is no one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """What is said before any login."""

    product: Product = field(default_factory=Product)
    tls_offered: bool | None = None
    """AUTH TLS is accepted, or TLS is spoken from the first byte; None: not known, the connection ended before"""
    features: Mapping[str, bool] | None = None
    """by the names of `wire.FEATURES`; None: they are not told before the login"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """How the anonymous login came out. `code` is that of the reply that decided it."""

    accepted: bool
    code: int
    name_refused: bool = False
    """no password was asked for"""
    inside_tls: bool = False
    tls_required: bool = False
    """the name alone was refused in clear, and was not inside TLS"""
    private: bool = False
    """data connections are inside TLS, too"""
    mlsd: bool = False
    """there are listings for programs (RFC 3659 section 7)"""
    pasv_elsewhere: bool | None = None
    """an answer to PASV named another address than that of the server; None: it has no PASV"""


def enter(endpoint: Endpoint) -> Steps[tuple[Control, Reply]]:
    """The control connection, and the greeting on it. Raises Lost."""
    control = Control(endpoint)
    if endpoint.port == IMPLICIT_PORT:
        yield from control.secure()
    return control, (yield from control.reply())


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The greeting, FEAT, and whether TLS is offered. Nothing that logs in."""

    endpoint: Endpoint
    identify: Identify
    name: ClassVar[str] = HELLO
    depth: ClassVar[Depth] = Depth.TALK
    limits: ClassVar[Limits] = _LIMITS
    delay: ClassVar[float] = 0.0

    @property
    def in_clear(self) -> bool:
        return self.endpoint.port != IMPLICIT_PORT

    def converse(self) -> Conversation[Greeted]:
        try:
            control, greeting = yield from enter(self.endpoint)
            if not greeting.is_positive:
                return Failed(stage=Stage.HANDSHAKE, reason=_why(greeting), detail=f"greeted with {greeting.code}")
        except Lost as lost:
            return Failed(stage=Stage.HANDSHAKE, reason=lost.reason)
        told = yield from self._told(control)
        page = Page(status=greeting.code, fields=((b"ftp", greeting.text),))
        return Completed(result=Greeted(product=self.identify.page(page), features=told[0], tls_offered=told[1]))

    def _told(self, control: Control) -> Steps[tuple[Mapping[str, bool] | None, bool | None]]:
        """Features, and whether TLS is offered. What is lost on the way is not told."""
        features: Mapping[str, bool] | None = None
        is_offered: bool | None = control.is_secured or None
        try:
            reply = yield from control.reply(command(b"FEAT"))
            if reply.is_positive:
                named = wire.features(reply)
                features = {name: name in named for name in wire.FEATURES}
            if not is_offered:
                is_offered = (yield from control.reply(command(b"AUTH", b"TLS"))).code == 234
                if is_offered:
                    # A handshake is expected now; what TLS is worth here is not asked, so this is the end.
                    return features, True
            yield LastWords(control.quit())
        except Lost:
            pass
        return features, is_offered


def _why(reply: Reply) -> Reason:
    if reply.code in (530, 532, 534):
        return Reason.AUTH
    return Reason.LIMIT if 400 <= reply.code < 500 else Reason.PROTOCOL


_REFUSALS = frozenset({530, 532, 534, 550})
"""What says no to a login (RFC 959 section 5.4, RFC 4217 section 12; 550: ProFTPD and pyftpdlib, where TLS is missing).
Every other 5xx is a server in trouble, which says nothing about strangers."""


_FULL = re.compile(rb"\btoo many\b|\bmax(?:imum)?\b", re.IGNORECASE)
"""ProFTPD (MaxClients) and others say so with 530: that is no answer to the login."""


def log_in(control: Control) -> Steps[LoggedIn]:
    """As anyone. Raises Lost."""
    reply, is_of_the_name = yield from _anonymous(control)
    if not reply.is_positive and reply.code not in _REFUSALS and not is_of_the_name:
        raise Lost(Reason.PROTOCOL)
    is_private = False
    if reply.is_positive and control.is_secured:
        is_private = yield from control.protect()
    return LoggedIn(
        accepted=reply.is_positive,
        code=reply.code,
        name_refused=is_of_the_name and not reply.is_positive,
        inside_tls=control.is_secured,
        private=is_private,
    )


def log_in_somehow(control: Control, *, is_offered: bool) -> Steps[tuple[Control, LoggedIn]]:
    """In clear; where the very name is refused so, and TLS is offered, anew and inside TLS: some servers close the
    connection with that refusal. Raises Lost."""
    known = yield from log_in(control)
    if known.name_refused and is_offered and not control.is_secured:
        control = Control(control.endpoint)
        greeting = yield from control.reply(Redial())
        if not greeting.is_positive or not (yield from control.auth_tls()):
            raise Lost(Reason.TLS)
        known = yield from log_in(control)
        known = replace(known, tls_required=known.accepted)
    if not known.accepted and known.code not in _REFUSALS:
        raise Lost(Reason.PROTOCOL)
    return control, known


def _anonymous(control: Control) -> Steps[tuple[Reply, bool]]:
    """The reply that decides, and whether it came to the name alone. 4xx decides nothing: raises Lost(limit)."""
    reply = yield from control.reply(command(b"USER", _NAME))
    is_of_the_name = reply.code not in (331, 332)
    if reply.code == 331:
        reply = yield from control.reply(command(b"PASS", _PASSWORD))
    if 400 <= reply.code < 500 or (reply.code in _REFUSALS and _FULL.search(reply.text)):
        raise Lost(Reason.LIMIT)
    return reply, is_of_the_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """The one credential test there is, once: is anyone let in?"""

    endpoint: Endpoint
    is_offered: bool
    """TLS is"""
    name: ClassVar[str] = BLANK
    depth: ClassVar[Depth] = Depth.COUNT
    limits: ClassVar[Limits] = _LIMITS
    delay: ClassVar[float] = 0.0

    @property
    def in_clear(self) -> bool:
        return self.endpoint.port != IMPLICIT_PORT

    def converse(self) -> Conversation[LoggedIn]:
        try:
            control, greeting = yield from enter(self.endpoint)
            if not greeting.is_positive:
                return Failed(stage=Stage.TALK, reason=_why(greeting), detail=f"greeted with {greeting.code}")
            control, known = yield from log_in_somehow(control, is_offered=self.is_offered)
        except Lost as lost:
            return Failed(stage=Stage.TALK, reason=lost.reason, detail="anonymous login")
        mlsd, elsewhere = False, None
        try:
            if known.accepted:
                features = yield from control.reply(command(b"FEAT"))
                mlsd = "mlsd" in wire.features(features)
                elsewhere = yield from self._elsewhere(control)
            yield LastWords(control.quit())
        except Lost:
            pass
        return Completed(result=replace(known, mlsd=mlsd, pasv_elsewhere=elsewhere))

    def _elsewhere(self, control: Control) -> Steps[bool | None]:
        """What PASV names is compared, and not dialled."""
        if self.endpoint.address.version == 6:
            return None
        reply = yield from control.reply(command(b"PASV"))
        try:
            address, _ = wire.passive(reply)
        except WireError:
            return None
        return any(address) and address != self.endpoint.address.packed
