"""The shares of a server, over the pipe `srvsvc` of IPC$."""

from __future__ import annotations

from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.smb.session import Over, Refused, Session
from leadapron.protocols.smb.statuses import reason_of
from leadapron.protocols.smb.wire import file, rpc, srvsvc
from leadapron.protocols.smb.wire.header import Command, Status

_IPC = "IPC$".encode("utf-16-le")
_HAS_DATA = (Status.SUCCESS, Status.BUFFER_OVERFLOW)


class Listed(NamedTuple):
    """`why`: why it is not whole. Names are raw."""

    shares: tuple[srvsvc.Named, ...] = ()
    why: Reason | None = None


def list_shares(session: Session) -> Steps[Listed]:
    """Raises Over, Lost."""
    ipc = yield from session.connect(_IPC)
    if isinstance(ipc, Refused):
        return Listed(why=ipc.reason)
    opened = yield from session.ask(ipc.tree_id, Command.CREATE, file.open_pipe(srvsvc.PIPE))
    if opened.status != Status.SUCCESS:
        return Listed(why=reason_of(opened.status))
    pipe = _Pipe(session, ipc.tree_id)
    try:
        pipe.file_id, _ = file.created(opened)
        found = yield from pipe.shares()
    except WireError:
        session.broken = Reason.PROTOCOL
        raise Over(Reason.PROTOCOL) from None
    yield from session.ask(ipc.tree_id, Command.CLOSE, file.close(pipe.file_id))
    yield from session.disconnect(ipc.tree_id)
    return found


class _Pipe:
    def __init__(self, session: Session, tree_id: int) -> None:
        self._session, self._tree_id = session, tree_id
        self.file_id = b""

    def shares(self) -> Steps[Listed]:
        """Raises WireError, Over, Lost."""
        bound = yield from self._call(rpc.bind(srvsvc.INTERFACE, srvsvc.VERSION), rpc.Answer.to_bind())
        if isinstance(bound, Reason):
            return Listed(why=bound)
        if not rpc.is_bound(bound):
            return Listed(why=Reason.AUTH)
        request = rpc.request(srvsvc.SHARE_ENUM, srvsvc.request(self._session.host))
        stub = yield from self._call(request, rpc.Answer.to_request())
        if isinstance(stub, Reason):
            return Listed(why=stub)
        return _read(srvsvc.read(stub))

    def _call(self, message: bytes, answer: rpc.Answer) -> Steps[bytes | Reason]:
        """The stub of the answer, or why there is none. Raises WireError, Over, Lost."""
        response = yield from self._session.ask(self._tree_id, Command.IOCTL, file.call(self.file_id, message))
        if response.status not in _HAS_DATA:
            return reason_of(response.status)
        answer.feed(file.called(response))
        for _ in range(rpc.MAX_FRAGMENTS):
            if answer.is_whole:
                return bytes(answer.stub)
            reading = file.read(self.file_id, 0, file.CHUNK)
            response = yield from self._session.ask(self._tree_id, Command.READ, reading)
            if response.status not in _HAS_DATA:
                return reason_of(response.status)
            answer.feed(file.have_read(response, file.CHUNK))
        return Reason.LIMIT


def _read(answer: srvsvc.Shares) -> Listed:
    if answer.is_denied:
        return Listed(why=Reason.AUTH)
    if answer.is_cut:
        return Listed(answer.shares, Reason.LIMIT)
    return Listed(answer.shares) if answer.status == 0 else Listed(why=Reason.PROTOCOL)
