"""The connections of NFS: a hello, the list of exports, and one walk for each export.

MOUNT is spoken on a port of its own, which the portmapper names: second connections of the same job. Nothing logs in: the
user "nobody" of AUTH_SYS is what any client says of itself.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import CloseSide, Conversation, Limits, Lost, OpenSide, SideLost, Steps
from leadapron.protocols.base import Terms
from leadapron.protocols.files.names import shown_name
from leadapron.protocols.files.walk import Walk, depth_of
from leadapron.protocols.nfs.exchange import Channel, reason_of, why_of
from leadapron.protocols.nfs.result import ROOT, WHOLE, Export, Exports, Greeting, Refusal, Refused, Root, Spoken
from leadapron.protocols.nfs.tree import REASONS, NfsTree
from leadapron.protocols.nfs.wire import files, mount, nfs3, nfs4, portmap
from leadapron.protocols.nfs.wire.rpc import Call, Outcome, Reply

HELLO, EXPORTS, TREE = "hello", "exports", "tree:"
MAX_SHOWN = 256
"""Exports of one server that are looked at."""
_WALK_BYTES = 256 << 20

_UNLISTED = (mount.Export(b"/", ()),)
"""What is tried where a server has exports and no list of them."""
_EVERYONE = frozenset({b"*", b"(everyone)", b"0.0.0.0/0", b"0.0.0.0/0.0.0.0", b"::/0"})
"""Groups that everybody is in, as servers write them."""
_SPOKEN = {
    Outcome.SUCCESS: Spoken.YES,
    Outcome.NO_VERSION: Spoken.NO_VERSION,
    Outcome.NO_PROGRAM: Spoken.NO_PROGRAM,
    Outcome.AUTH: Spoken.AUTH,
}


class _Fail(Exception):  # noqa: N818 - control flow of this file
    def __init__(self, failed: Failed) -> None:
        self.failed = failed
        super().__init__(failed.detail)


class _Deny(Exception):  # noqa: N818 - control flow of this file
    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


def _fail(reason: Reason, detail: str = "") -> _Fail:
    return _Fail(Failed(stage=Stage.LIST, reason=reason, detail=detail))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The job: NULL to version 3, to version 4, and to MOUNT on the same port (RFC 1813 section 3.3.0)."""

    endpoint: Endpoint
    name: str = HELLO
    limits: Limits = field(default_factory=lambda: Limits(deadline=30.0, max_received=1 << 20))
    depth: Depth = Depth.TALK
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Greeting]:
        channel, greeting = Channel(), Greeting()
        try:
            for name, call in _NULLS.items():
                reply = yield from channel.ask(call)
                greeting = _heard(greeting, name, reply)
        except Lost as lost:
            return _greeted(greeting, lost.reason)
        except WireError as error:
            reason = why_of(error) if channel.has_heard else Reason.PROTOCOL  # other protocols begin like a long record
            return _greeted(greeting, reason, error.rule)
        return _greeted(greeting, Reason.PROTOCOL)


_NULLS: dict[str, Call] = {"version_3": nfs3.NULL, "version_4": nfs4.NULL, "mount": mount.NULL}


def _heard(greeting: Greeting, name: str, reply: Reply) -> Greeting:
    heard: dict[str, Any] = {name: _SPOKEN.get(reply.outcome, Spoken.ODD)}
    if name != "mount" and reply.outcome is Outcome.NO_VERSION:
        heard |= {"lowest": reply.low, "highest": reply.high}
    return replace(greeting, **heard)


def _greeted(greeting: Greeting, otherwise: Reason, detail: str = "") -> Attempt[Greeting]:
    """What came, if it is NFS at all."""
    heard = (greeting.version_3, greeting.version_4)
    if any(each in (Spoken.YES, Spoken.NO_VERSION, Spoken.AUTH) for each in heard):
        return Completed(result=greeting)
    if Spoken.NO_PROGRAM in heard:
        return Failed(stage=Stage.HANDSHAKE, reason=Reason.PROTOCOL, detail="it speaks ONC RPC, not NFS")
    return Failed(stage=Stage.HANDSHAKE, reason=otherwise, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListExports:
    """The job: MOUNT's EXPORT, and the root of version 4."""

    endpoint: Endpoint
    greeting: Greeting
    name: str = EXPORTS
    limits: Limits = field(default_factory=lambda: Limits(deadline=45.0, max_received=8 << 20, low_port=True))
    depth: Depth = Depth.COUNT
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Exports]:
        try:
            found = (yield from self._listed()) if self.greeting.version_3 is Spoken.YES else Exports()
        except Lost as lost:
            return Failed(stage=Stage.LIST, reason=lost.reason)
        if self.greeting.version_4 is Spoken.YES:
            with contextlib.suppress(Lost):  # what is listed stands
                yield CloseSide()
                found = replace(found, root=(yield from _look_at_root(Channel())))
        return Completed(result=found)

    def _listed(self) -> Steps[Exports]:
        """Raises Lost."""
        found = Exports()
        try:
            if self.greeting.mount is Spoken.YES:
                found = replace(found, mount_port=self.endpoint.port)
                channel = Channel()
            else:
                found = replace(found, portmapper=False)
                port = yield from _ask_portmapper()
                found = replace(found, portmapper=True, mount_port=port)
                channel = yield from _open_beside(port)
            exports = yield from _ask_exports(channel)
        except _Fail as failed:
            return replace(found, missing=failed.failed)
        if exports is _UNLISTED:
            return replace(found, exports=(Export(shown=ROOT),), unlisted=True)
        return _told(found, exports)


def _told(found: Exports, exports: Sequence[mount.Export]) -> Exports:
    """What may be kept of a list of exports."""
    named = by_shown_name(exports)
    told = [
        Export(shown=name, groups=len(export.groups), everyone=_is_everyones(export))
        for name, export in itertools.islice(named.items(), MAX_SHOWN)
    ]
    return replace(
        found,
        exports=tuple(told),
        everyone=sum(map(_is_everyones, exports)),
        total=len(exports),
        alike=len(exports) - len(named),
    )


def _is_everyones(export: mount.Export) -> bool:
    return not export.groups or not _EVERYONE.isdisjoint(export.groups)


def by_shown_name(exports: Sequence[mount.Export]) -> dict[str, mount.Export]:
    """Exports by the names that they have in results: the last part of the path where that may be said in clear and no
    export before it has it, else what stands for the whole path. Those that another one is shown as are left out."""
    named: dict[str, mount.Export] = {}
    for export in exports:
        last = export.path.rstrip(b"/").rpartition(b"/")[2]
        name = shown_name(last) if last else ROOT
        if last and (name.encode() != last or name in (*named, WHOLE)):
            name = shown_name(export.path)
        if name != WHOLE:
            named.setdefault(name, export)
    return named


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkExport:
    """The job: mount the export that is shown under a name, walk it, unmount it. Or, as `WHOLE`, all of version 4."""

    name: str
    endpoint: Endpoint
    shown: str
    mount_port: int
    terms: Terms
    limits: Limits
    depth: Depth
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Any]:
        way = _Way(self)
        try:
            tree = yield from way.open()
        except Lost as lost:
            return Failed(stage=Stage.LIST, reason=lost.reason)
        except _Fail as failed:
            return failed.failed
        except _Deny as deny:
            return Completed(result=Refused(refusal=deny.refusal))
        walk = Walk(tree, self.terms, in_clear=True)
        try:
            yield from walk.run()
            yield from way.close()
        except Lost as lost:
            return Completed(result=walk.found(lost.reason))
        return Completed(result=walk.found())


def walk_of(shown: str, endpoint: Endpoint, mount_port: int, terms: Terms) -> WalkExport:
    """Within the terms: the census goes over this connection in clear."""
    return WalkExport(
        name=f"{TREE}{shown}",
        endpoint=endpoint,
        shown=shown,
        mount_port=mount_port,
        terms=terms,
        limits=Limits(deadline=terms.seconds, max_received=_WALK_BYTES, low_port=True),
        depth=depth_of(terms, in_clear=True),
    )


class _Way:
    """To the tree of a walk, and back."""

    def __init__(self, job: WalkExport) -> None:
        self._job = job
        self._nfs = Channel()
        self._mounts: Channel | None = None
        self._path = b""

    def open(self) -> Steps[NfsTree]:
        """Raises Lost, _Fail, _Deny."""
        if self._job.shown == WHOLE:
            root = yield from _ask_root(self._nfs)
            return NfsTree(self._nfs, nfs4.VERSION_4, root, crosses=True)
        if self._job.mount_port == self._job.endpoint.port:
            self._mounts = self._nfs
        else:
            self._mounts = yield from _open_beside(self._job.mount_port)
        exports = yield from _ask_exports(self._mounts)
        export = by_shown_name(exports).get(self._job.shown)
        if export is None:
            raise _fail(Reason.EMPTY, "the export is not listed any more")
        root = yield from _ask_mount(self._mounts, export.path)
        self._path = export.path
        largest_read = yield from _ask_largest_read(self._nfs, root)
        return NfsTree(self._nfs, nfs3.VERSION_3, root, largest_read=largest_read)

    def close(self) -> Steps[None]:
        """Unmount, and do not mind how the server takes it."""
        if self._mounts is not None:
            with contextlib.suppress(Lost, _Fail):
                yield from _ask(self._mounts, mount.umnt(self._path))


# -- questions: each raises Lost and _Fail, nothing else ---------------------------------------------------------------


def _ask(channel: Channel, call: Call) -> Steps[Reply]:
    try:
        return (yield from channel.ask(call))
    except SideLost as lost:
        raise _fail(lost.reason, "the connection for MOUNT or the portmapper") from None
    except WireError as error:
        raise _fail(why_of(error), error.rule) from None


def _ask_success(channel: Channel, call: Call) -> Steps[bytes]:
    reply = yield from _ask(channel, call)
    if reply.outcome is not Outcome.SUCCESS:
        raise _fail(reason_of(reply.outcome))
    return reply.body


def _open_beside(port: int) -> Steps[Channel]:
    try:
        yield OpenSide.to(port)
    except SideLost as lost:
        raise _fail(lost.reason, "the port of MOUNT or the portmapper") from None
    return Channel(beside=True)


def _ask_portmapper() -> Steps[int]:
    """The port of MOUNT."""
    channel = yield from _open_beside(portmap.PORT)
    body = yield from _ask_success(channel, portmap.getport(mount.PROGRAM, mount.VERSION))
    with _no_wire_errors():
        port = portmap.read_port(body)
    if not port:
        raise _fail(Reason.EMPTY, "the portmapper knows no MOUNT version 3 over TCP")
    return port


def _ask_exports(channel: Channel) -> Steps[Sequence[mount.Export]]:
    """`_UNLISTED` where the server has no such procedure."""
    reply = yield from _ask(channel, mount.EXPORT)
    if reply.outcome in (Outcome.NO_PROCEDURE, Outcome.NO_VERSION):
        return _UNLISTED
    if reply.outcome is not Outcome.SUCCESS:
        raise _fail(reason_of(reply.outcome))
    with _no_wire_errors():
        return mount.read_exports(reply.body)


def _ask_mount(channel: Channel, path: bytes) -> Steps[bytes]:
    """The handle of the root. Raises _Deny too."""
    reply = yield from _ask(channel, mount.mnt(path))
    if reply.outcome is Outcome.AUTH:
        raise _Deny(Refusal.AUTH)
    if reply.outcome is not Outcome.SUCCESS:
        raise _fail(Reason.PROTOCOL)
    with _no_wire_errors():
        mounted = mount.read_mounted(reply.body)
    if mounted.status in (mount.Status.ACCES, mount.Status.PERM):
        raise _Deny(Refusal.DENIED)
    if mounted.status is not mount.Status.OK:
        raise _fail(Reason.EMPTY if mounted.status is mount.Status.NOENT else Reason.PROTOCOL, "it cannot be mounted")
    return mounted.handle


def _ask_largest_read(channel: Channel, root: bytes) -> Steps[int]:
    """0: the server does not say; the walk will see why."""
    reply = yield from _ask(channel, nfs3.fsinfo(root))
    if reply.outcome is not Outcome.SUCCESS:
        return 0
    with _no_wire_errors():
        return nfs3.read_largest_read(reply.body)


def _ask_root(channel: Channel) -> Steps[bytes]:
    """The handle of the root of version 4. Raises _Deny too."""
    reply = yield from _ask(channel, nfs4.ROOT)
    if reply.outcome is Outcome.AUTH:
        raise _Deny(Refusal.AUTH)
    if reply.outcome is not Outcome.SUCCESS:
        raise _fail(Reason.PROTOCOL)
    with _no_wire_errors():
        node = nfs4.read_root(reply.body)
    if node.status is files.Status.ACCESS:
        raise _Deny(Refusal.DENIED)
    if node.status is not files.Status.OK:
        raise _fail(REASONS[node.status], "the root of version 4")
    return node.handle


def _look_at_root(channel: Channel) -> Steps[Root]:
    """Raises Lost."""
    try:
        yield from _ask_root(channel)
    except _Deny:
        return Root.REFUSED
    except _Fail:
        return Root.ODD
    return Root.OPEN


@contextlib.contextmanager
def _no_wire_errors() -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise _fail(why_of(error), error.rule) from None
