"""What is asked of a server, one connection a job.

hello        which dialect it chooses, and whether it signs
smb1         whether it takes SMB 1
blank        a session without a name; which shares it shows, and which of them let it in
tree:<name>  one share, folder by folder
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Limits, Lost, Steps
from leadapron.protocols.base import Terms
from leadapron.protocols.files.names import shown_name
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.walk import Walk, depth_of
from leadapron.protocols.smb import listing
from leadapron.protocols.smb.results import MAX_SHARES, LoggedIn, Share, Smb1, Spoken
from leadapron.protocols.smb.session import Login, Over, Refused, Session
from leadapron.protocols.smb.statuses import reason_of
from leadapron.protocols.smb.tree import SmbTree, name_of
from leadapron.protocols.smb.wire import file, negotiate, share, srvsvc
from leadapron.protocols.smb.wire.frame import Frames, framed
from leadapron.protocols.smb.wire.header import Command, Status

HELLO, SMB1, BLANK, TREE = "hello", "smb1", "blank", "tree:"

_SHORT = Limits(deadline=30.0, max_received=4 << 20)
_MAX_TREE_RECEIVED = 256 << 20
_BEFORE_THE_FIRST_BYTE = frozenset({Reason.REFUSED, Reason.UNREACHABLE, Reason.OUT_OF_SCOPE})


def host_of(endpoint: Endpoint) -> str:
    """How the server is named in paths of shares: by its address, in the form that UNC paths have for IPv6 (no colons)."""
    address = endpoint.address
    return str(address) if address.version == 4 else f"{str(address).replace(':', '-')}.ipv6-literal.net"


def _lost(stage: Stage, lost: Lost | Over) -> Failed:
    is_connect = stage is Stage.HANDSHAKE and lost.reason in _BEFORE_THE_FIRST_BYTE
    return Failed(stage=Stage.CONNECT if is_connect else stage, reason=lost.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    endpoint: Endpoint
    limits: Limits = _SHORT
    name: ClassVar[str] = HELLO
    depth: ClassVar[Depth] = Depth.TALK
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Spoken]:
        try:
            found = yield from Session(host_of(self.endpoint)).negotiate()
        except (Lost, Over) as lost:
            return _lost(Stage.HANDSHAKE, lost)
        return Completed(
            result=Spoken(
                version=found.version,
                signing_enabled=found.signing_enabled,
                signing_required=found.signing_required,
                encryption=found.encryption,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GreetSmb1:
    """A server without SMB 1 may hang up instead of an answer ([MS-SMB2] 3.3.5.3.1): that is an answer too, from one that
    is known to speak SMB 2 (`speaks_smb2`)."""

    endpoint: Endpoint
    speaks_smb2: bool
    limits: Limits = _SHORT
    name: ClassVar[str] = SMB1
    depth: ClassVar[Depth] = Depth.TALK
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Smb1]:
        frames, out = Frames(), framed(negotiate.smb1_request())
        try:
            while (message := frames.take()) is None:
                frames.feed((yield out))
                out = b""
            return Completed(result=Smb1(answered=negotiate.smb1_chosen(message)))
        except WireError:
            return Failed(stage=Stage.HANDSHAKE, reason=Reason.PROTOCOL)
        except Lost as lost:
            if lost.reason is Reason.RESET and self.speaks_smb2:
                return Completed(result=Smb1(answered=False))
            return _lost(Stage.HANDSHAKE, lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    """An empty name and no password, once; then which shares there are, and what the server lets us do in each."""

    endpoint: Endpoint
    limits: Limits = _SHORT
    name: ClassVar[str] = BLANK
    depth: ClassVar[Depth] = Depth.COUNT
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[LoggedIn]:
        return (yield from _LoggingIn(self.endpoint).run())


class _LoggingIn:
    def __init__(self, endpoint: Endpoint) -> None:
        self.session = Session(host_of(endpoint))
        self.stage = Stage.HANDSHAKE
        self.login: Login | Refused | None = None
        self.listed = listing.Listed(why=Reason.PROTOCOL)
        self.is_listed = False
        self.named: dict[str, srvsvc.Named] = {}
        """disk shares by what they are called in results"""
        self.shares: dict[str, Share] = {}
        self.left_out = 0

    def run(self) -> Conversation[LoggedIn]:
        try:
            ended = yield from self._ask()
        except (Lost, Over) as lost:
            ended = _lost(self.stage, lost)
            missed = self.named.keys() - self.shares.keys()
            self.shares |= {shown: Share(shown=shown, refused=lost.reason) for shown in sorted(missed)}
        if self.login is None:
            return ended or Failed(stage=self.stage, reason=Reason.PROTOCOL)
        with contextlib.suppress(Lost):
            yield from self.session.leave()
        return Completed(result=self._result(self.login, ended))

    def _ask(self) -> Steps[Failed | None]:
        """Why not all is known. Raises Lost, Over."""
        yield from self.session.negotiate()
        self.login = yield from self.session.log_in()
        if isinstance(self.login, Refused):
            return Failed(stage=Stage.HANDSHAKE, reason=self.login.reason)
        self.stage = Stage.LIST
        self.listed = yield from listing.list_shares(self.session)
        self.is_listed = self.listed.why is None or bool(self.listed.shares)
        self._name()
        for shown, named in self.named.items():
            self.shares[shown] = yield from self._look_at(shown, named)
        return None if self.listed.why is None else Failed(stage=Stage.LIST, reason=self.listed.why)

    def _name(self) -> None:
        for named in self.listed.shares:
            if not named.is_disk or named.is_special:
                continue
            shown = shown_name(name_of(named.name))
            if shown in self.named or len(self.named) == MAX_SHARES:
                self.left_out += 1
            else:
                self.named[shown] = named

    def _look_at(self, shown: str, named: srvsvc.Named) -> Steps[Share]:
        """What the server lets us do in a share. Raises Lost, Over."""
        found = yield from self.session.connect(named.name)
        if isinstance(found, Refused):
            return Share(shown=shown, refused=found.reason)
        access = found.access & (yield from self._access_to_root(found.tree_id))
        yield from self.session.disconnect(found.tree_id)
        return Share(
            shown=shown,
            may_list=bool(access & share.MAY_LIST),
            may_write=bool(access & share.MAY_WRITE),
            encrypts=found.encrypts,
        )

    def _access_to_root(self, tree_id: int) -> Steps[int]:
        """The share itself may grant more than its root does: the rights on the folder. All bits where it is not said."""
        opened = yield from self.session.ask(tree_id, Command.CREATE, file.open_root())
        if opened.status != Status.SUCCESS:
            return 0 if reason_of(opened.status) is Reason.AUTH else share.ALL
        try:
            file_id, _ = file.created(opened)
            access = file.maximal_access(opened)
        except WireError:
            self.session.broken = Reason.PROTOCOL
            raise Over(Reason.PROTOCOL) from None
        yield from self.session.ask(tree_id, Command.CLOSE, file.close(file_id))
        return share.ALL if access is None else access

    def _result(self, login: Login | Refused, ended: Failed | None) -> LoggedIn:
        granted = login.granted if isinstance(login, Login) else None
        disks = [each for each in self.listed.shares if each.is_disk]
        return LoggedIn(
            accepted=granted is not None,
            is_guest=granted is not None and granted.is_guest,
            is_null=granted is not None and granted.is_null,
            encrypts=granted is not None and granted.encrypts,
            major=login.system.major,
            minor=login.system.minor,
            build=login.system.build,
            shares=tuple(self.shares.values()),
            is_listed=self.is_listed,
            hidden=sum(1 for each in disks if each.is_special),
            others=len(self.listed.shares) - len(disks),
            left_out=self.left_out,
            ended=ended,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkShare:
    """`shown`: of the share. Its own name is not stored anywhere, so that the shares are listed once more."""

    endpoint: Endpoint
    shown: str
    terms: Terms = field(repr=False)
    delay: ClassVar[float] = 0.0
    in_clear: ClassVar[bool] = True

    @property
    def depth(self) -> Depth:
        return depth_of(self.terms, in_clear=self.in_clear)

    @property
    def name(self) -> str:
        return TREE + self.shown

    @property
    def limits(self) -> Limits:
        return Limits(deadline=self.terms.seconds, max_received=_MAX_TREE_RECEIVED)

    def converse(self) -> Conversation[Any]:
        session = Session(host_of(self.endpoint))
        stage = Stage.HANDSHAKE
        try:
            yield from session.negotiate()
            login = yield from session.log_in()
            if isinstance(login, Refused):
                return Failed(stage=stage, reason=login.reason)
            stage = Stage.LIST
            tree = yield from _tree(session, self.shown)
        except (Lost, Over) as lost:
            return _lost(stage, lost)
        if isinstance(tree, Reason):
            return Failed(stage=stage, reason=tree)
        return (yield from _walked(session, Walk(tree, self.terms, in_clear=self.in_clear)))


def _tree(session: Session, shown: str) -> Steps[SmbTree | Reason]:
    """The share that is called so; EMPTY: there is none any more. Raises Lost, Over."""
    listed = yield from listing.list_shares(session)
    for named in listed.shares:
        if named.is_disk and not named.is_special and shown_name(name_of(named.name)) == shown:
            found = yield from session.connect(named.name)
            return found.reason if isinstance(found, Refused) else SmbTree(session, found.tree_id)
    return listed.why or Reason.EMPTY


def _walked(session: Session, walk: Walk) -> Conversation[Found]:
    try:
        yield from walk.run()
    except Lost as lost:
        return Completed(result=walk.found(lost.reason))
    result: Attempt[Found] = Completed(result=walk.found())
    yield from session.leave()
    return result
