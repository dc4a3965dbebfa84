"""A DICOM server for one listener: it does what its `Behaviour` says, and counts what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from leadapron.errors import WireError
from leadapron.lab.archive import LEVELS, Archive, Keys, level_of, read_identifier, write_identifier
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import dimse, uids
from leadapron.protocols.dicom.wire.dimse import Command, CommandField, Status
from leadapron.protocols.dicom.wire.items import (
    ABSTRACT_SYNTAX_NOT_SUPPORTED,
    ACCEPTANCE,
    TRANSFER_SYNTAXES_NOT_SUPPORTED,
    ContextResult,
    ProposedContext,
    UserInformation,
)
from leadapron.protocols.dicom.wire.pdu import Abort, AssociateAC, AssociateRJ, AssociateRQ, ReleaseRQ

READ_SIZE = 65_536
BATCH = 256
"""Answers that are written together; between two batches a C-CANCEL is heard."""
SLOW_BATCH = 16
"""The same of a server that gives only so many a second."""
MAX_WAITING = 16
"""Requests that may come in while a C-FIND is being answered."""

TRANSFER_SYNTAXES = (uids.IMPLICIT_VR_LITTLE_ENDIAN, uids.EXPLICIT_VR_LITTLE_ENDIAN)

QUERY = frozenset((uids.STUDY_ROOT_FIND,))
RETRIEVE = frozenset((uids.STUDY_ROOT_MOVE, uids.STUDY_ROOT_GET))
STORE = frozenset((uids.CT_IMAGE_STORAGE, uids.MR_IMAGE_STORAGE, uids.CR_IMAGE_STORAGE, uids.SECONDARY_CAPTURE_STORAGE))
WORKLIST = frozenset((uids.MODALITY_WORKLIST_FIND,))


class OnFind(enum.Enum):
    """What a server does with a C-FIND."""

    ANSWER = enum.auto()
    NOT_AUTHORIZED = enum.auto()
    ABORT = enum.auto()
    CAP = enum.auto()
    """`limit` answers, then FE00"""
    CAP_SILENTLY = enum.auto()
    """`limit` answers, then success"""
    DIE = enum.auto()
    """`limit` answers, then the connection is reset"""


class Findable(Protocol):
    """What can be queried."""

    def identifiers(self, keys: Keys, *, explicit: bool) -> Iterator[bytes]:
        """The answers to an identifier (see `Archive.find`), each as a data set."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """`called`, `calling`: the titles that are let in, None for any. `archives` by called title, "" for others."""

    archives: Mapping[str, Findable] = field(default_factory=dict)
    accepts: frozenset[str] = QUERY | RETRIEVE | STORE
    called: frozenset[str] | None = None
    calling: frozenset[str] | None = None
    rejects: AssociateRJ | None = None
    """every association, with this"""
    takes_anything: bool = False
    """accepts every abstract syntax, known or not"""
    on_find: OnFind = OnFind.ANSWER
    limit: int = 0
    pause: float = 0.0
    """seconds before each answer to an association or a request"""
    per_second: float = 0.0
    """pending answers a second, 0 for as many as it can"""
    worklist: int = 0
    """entries of the modality worklist"""
    implementation_class_uid: str = "1.2.276.0.7230010.3.0.3.6.7"
    implementation_version_name: bytes = b"OFFIS_DCMTK_367"


class Server:
    """Serves connections for `behaviour`. `asked` counts connections, associations, C-ECHO and C-FIND requests, `died` the
    queries of which it died."""

    def __init__(self, behaviour: Behaviour, *, asked: Counter[str] | None = None) -> None:
        """`asked`: a counter that several servers share."""
        self.behaviour = behaviour
        self.asked: Counter[str] = Counter() if asked is None else asked
        self.died = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        self.asked["connections"] += 1
        session = _Session(self, reader, writer)
        try:
            while session.association.state is not wire.State.CLOSED and (data := await reader.read(READ_SIZE)):
                session.association.receive_data(data)
                await session.answer_events()
        except (WireError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()


class _Session:
    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.behaviour, self.asked = server, server.behaviour, server.asked
        self.reader, self.writer = reader, writer
        self.waiting: deque[wire.Event] = deque()
        """what came in while a C-FIND was being answered"""
        self.association = wire.Association(acceptor=True)
        self.abstract: dict[int, str] = {}
        self.archive: Findable = Archive()

    async def answer_events(self) -> None:
        while (
            event := self.waiting.popleft() if self.waiting else self.association.next_event()
        ) is not wire.NEED_DATA:
            if self.behaviour.pause and not isinstance(event, ReleaseRQ | Abort):
                await asyncio.sleep(self.behaviour.pause)
            if isinstance(event, AssociateRQ):
                self.writer.write(self.decide(event))
            elif isinstance(event, wire.Message):
                await self.answer(event)
            elif isinstance(event, ReleaseRQ):
                self.writer.write(self.association.release_reply())
            await self.writer.drain()

    def decide(self, request: AssociateRQ) -> bytes:
        """Accept or reject an association; a rejection says which title it does not know (PS3.8 Table 9-21)."""
        self.asked["associations"] += 1
        behaviour = self.behaviour
        if behaviour.rejects is not None:
            return self.association.reject(behaviour.rejects)
        for known, title, reason in (
            (behaviour.called, request.called_aet, 7),
            (behaviour.calling, request.calling_aet, 3),
        ):
            if known is not None and title not in known:
                return self.association.reject(AssociateRJ(result=1, source=1, reason=reason))
        archives = behaviour.archives
        self.archive = archives.get(request.called_aet, archives.get("", Archive()))
        self.abstract = {context.id: context.abstract_syntax for context in request.contexts}
        answer = AssociateAC(
            contexts=tuple(self.settle(context) for context in request.contexts),
            user=UserInformation(
                maximum_length=16_384,
                implementation_class_uid=behaviour.implementation_class_uid,
                implementation_version_name=behaviour.implementation_version_name,
            ),
            echo=(request.called_aet, request.calling_aet),
        )
        return self.association.accept(answer)

    def settle(self, context: ProposedContext) -> ContextResult:
        known = self.behaviour.accepts | {uids.VERIFICATION}
        if context.abstract_syntax not in known and not self.behaviour.takes_anything:
            return ContextResult(id=context.id, result=ABSTRACT_SYNTAX_NOT_SUPPORTED)
        spoken = [syntax for syntax in context.transfer_syntaxes if syntax in TRANSFER_SYNTAXES]
        if not spoken:
            return ContextResult(id=context.id, result=TRANSFER_SYNTAXES_NOT_SUPPORTED)
        return ContextResult(id=context.id, result=ACCEPTANCE, transfer_syntax=spoken[0])

    async def answer(self, message: wire.Message) -> None:
        command = message.command
        if command.field == CommandField.C_ECHO_RQ:
            self.asked["echo"] += 1
            self.send(message, Status.SUCCESS)
        elif command.field == CommandField.C_FIND_RQ:
            self.asked["find"] += 1
            await self.find(message)
        elif command.field != CommandField.C_CANCEL_RQ and not command.is_response:
            self.send(message, Status.SOP_CLASS_NOT_SUPPORTED)

    def send(self, message: wire.Message, status: int, identifier: bytes = b"") -> None:
        self.writer.write(self.encode(message, status, identifier))

    def encode(self, message: wire.Message, status: int, identifier: bytes = b"") -> bytes:
        response: Command = dimse.response(message.command, status, has_data_set=bool(identifier))
        return self.association.send_message(message.context_id, response, identifier)

    async def find(self, message: wire.Message) -> None:
        behaviour = self.behaviour
        if self.abstract[message.context_id] not in QUERY | WORKLIST:
            self.send(message, Status.SOP_CLASS_NOT_SUPPORTED)
        elif behaviour.on_find is OnFind.NOT_AUTHORIZED:
            self.send(message, Status.NOT_AUTHORIZED)
        elif behaviour.on_find is OnFind.ABORT:
            self.writer.write(self.association.abort())
        else:
            keys = read_identifier(message.identifier, explicit=self.association.is_explicit(message.context_id))
            if self.abstract[message.context_id] in QUERY and level_of(keys) not in LEVELS:
                self.send(message, Status.IDENTIFIER_DOES_NOT_MATCH)
            else:
                await self.stream(message, self.matches(message.context_id, keys))

    async def stream(self, message: wire.Message, found: Iterator[bytes]) -> None:
        """Pending answers in batches, then the final status; a C-CANCEL between two batches ends them."""
        behaviour = self.behaviour
        limited = behaviour.on_find is not OnFind.ANSWER
        shown = itertools.islice(found, behaviour.limit) if limited else found
        size = SLOW_BATCH if behaviour.per_second else BATCH
        pending = dimse.response(message.command, Status.PENDING, has_data_set=True)
        while batch := list(itertools.islice(shown, size)):
            self.writer.write(self.association.send_messages(message.context_id, pending, batch))
            await self.writer.drain()
            if behaviour.per_second:
                await asyncio.sleep(len(batch) / behaviour.per_second)
            if await self.is_cancelled(message.command.message_id):
                self.send(message, Status.CANCEL)
                return
        if behaviour.on_find is OnFind.DIE:
            self.server.died += 1
            self.writer.transport.abort()
            raise ConnectionAbortedError
        is_cut = limited and next(found, None) is not None and behaviour.on_find is OnFind.CAP
        self.send(message, Status.CANCEL if is_cut else Status.SUCCESS)

    async def is_cancelled(self, message_id: int) -> bool:
        """Read what has come in by now, without waiting for more; whether it cancels the request."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                data = await self.reader.read(READ_SIZE)
                if not data:
                    raise ConnectionResetError
                self.association.receive_data(data)
        while (event := self.association.next_event()) is not wire.NEED_DATA:
            if isinstance(event, Abort):
                raise ConnectionAbortedError
            if isinstance(event, wire.Message) and _cancels(event.command, message_id):
                return True
            if len(self.waiting) >= MAX_WAITING:
                raise WireError("too many requests at a time", limit=True)
            self.waiting.append(event)
        return False

    def matches(self, context_id: int, keys: Keys) -> Iterator[bytes]:
        explicit = self.association.is_explicit(context_id)
        if self.abstract[context_id] in WORKLIST:
            worklist = ({0x00100010: f"SYNTHETIC^Scheduled{n}".encode()} for n in range(self.behaviour.worklist))
            return (write_identifier(entry, explicit=explicit) for entry in worklist)
        return self.archive.identifiers(keys, explicit=explicit)


def _cancels(command: Command, message_id: int) -> bool:
    return command.field == CommandField.C_CANCEL_RQ and command.message_id == message_id
