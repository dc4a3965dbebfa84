"""One connection to a server: its dialect, a session without a name, and requests within the credits that it grants.

Every method is a part of a conversation. A peer that breaks the protocol, or grants no credit any more, ends it: `Over`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from itertools import islice
from typing import NamedTuple

from leadapron.errors import WireError
from leadapron.model import Reason
from leadapron.net.conversation import LastWords, Lost, Question, Steps
from leadapron.protocols.smb.statuses import reason_of
from leadapron.protocols.smb.wire import file, header, negotiate, setup, share
from leadapron.protocols.smb.wire.frame import Frames, framed
from leadapron.protocols.smb.wire.header import Command, Request, Response, Status

WANTED_CREDITS = 128
"""How many we ask to hold: requests that may be on their way at once."""
MAX_INTERIM = 8
"""Times that a server may say of one request that its answer is still to come."""
MAX_UNANSWERED = 64
"""Requests on their way, whatever it grants."""


class Over(Exception):  # noqa: N818 - an event of a conversation
    """The server ended it, or made it senseless: `reason` is protocol, limit, auth or another of its status codes."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Step(NamedTuple):
    """A request of a chain whose first opens a file: the others are built from its identifier."""

    command: Command
    body: Callable[[bytes], bytes]


class Login(NamedTuple):
    granted: setup.Granted
    system: setup.SystemVersion


class Refused(NamedTuple):
    """What a server denied, and why."""

    reason: Reason
    system: setup.SystemVersion = setup.SystemVersion()


class Session:
    """`host`: how we name the server to itself, in paths of shares. Our own text."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.broken: Reason | None = None
        """why no more can be asked here"""
        self.negotiated: negotiate.Negotiated | None = None
        self._frames = Frames()
        self._credits = 1
        self._next_id = 0
        self._session_id = 0
        self._interims: dict[int, int] = {}
        """requests on their way: how often each was put off"""
        self._asked: dict[int, Command] = {}

    # -- what is asked -------------------------------------------------------------------------------------------------

    def negotiate(self) -> Steps[negotiate.Negotiated]:
        """Raises Over, Lost."""
        with self._breaking():
            answer = yield from self._one(0, Command.NEGOTIATE, negotiate.request())
            if answer.status != Status.SUCCESS:
                raise Over(reason_of(answer.status))
            self.negotiated = negotiate.read(answer)
        return self.negotiated

    def log_in(self) -> Steps[Login | Refused]:
        """A session for a user without a name, once. Raises Over, Lost."""
        with self._breaking():
            answer = yield from self._one(0, Command.SESSION_SETUP, setup.request(setup.first_token()))
            if answer.status not in (Status.MORE_PROCESSING_REQUIRED, Status.SUCCESS):
                return Refused(reason_of(answer.status))
            self._session_id = answer.session_id
            if answer.status == Status.SUCCESS:
                return Login(setup.read(answer), setup.SystemVersion())
            system = setup.read_challenge(setup.token_of(answer))
            answer = yield from self._one(0, Command.SESSION_SETUP, setup.request(setup.anonymous_token()))
            if answer.status != Status.SUCCESS:
                return Refused(reason_of(answer.status), system)
            return Login(setup.read(answer), system)

    def connect(self, name: bytes) -> Steps[share.Connected | Refused]:
        """To a share; its name in UTF-16LE. Raises Over, Lost."""
        with self._breaking():
            answer = yield from self._one(0, Command.TREE_CONNECT, share.request(self.host, name))
            if answer.status != Status.SUCCESS:
                return Refused(reason_of(answer.status))
            return share.read(answer)

    def disconnect(self, tree_id: int) -> Steps[None]:
        """What it says to that does not matter. Raises Over, Lost."""
        with self._breaking():
            yield from self._one(tree_id, Command.TREE_DISCONNECT, share.LEAVE)

    def ask(self, tree_id: int, command: Command, body: bytes) -> Steps[Response]:
        """Raises Over, Lost."""
        with self._breaking():
            return (yield from self._one(tree_id, command, body))

    def chains(self, tree_id: int, wanted: Sequence[Sequence[Step]]) -> Steps[list[list[Response]]]:
        """Several chains, each begun by an open, as many at once as the credits allow; the answers in their order.

        An answer that is missing at the end of a chain was not asked for, since its file could not be opened.
        Raises Over, Lost.
        """
        with self._breaking():
            return (yield from self._chains(tree_id, wanted))

    def leave(self) -> Steps[None]:
        """LOGOFF, and do not mind how the server takes it."""
        if self.broken is not None or not self._credits:
            return
        with contextlib.suppress(Lost):
            yield LastWords(framed(header.encode([self._request(0, Command.LOGOFF, share.LEAVE)])))

    # -- how ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _breaking(self) -> Generator[None, None, None]:
        """What ends the connection ends it for good; a message that breaks the standard ends it too."""
        if self.broken is not None:
            raise Over(self.broken)
        try:
            yield
        except WireError:
            self.broken = Reason.PROTOCOL
            raise Over(Reason.PROTOCOL) from None
        except Over as over:
            self.broken = over.reason
            raise
        except Lost as lost:
            self.broken = lost.reason
            raise

    def _one(self, tree_id: int, command: Command, body: bytes) -> Steps[Response]:
        request = self._request(tree_id, command, body)
        (answer,) = yield from self._exchange([[request]])
        return answer

    def _chains(self, tree_id: int, wanted: Sequence[Sequence[Step]]) -> Steps[list[list[Response]]]:
        found: list[list[Response]] = []
        while len(found) < len(wanted):
            sending: list[list[Request]] = []
            room = min(self._credits, MAX_UNANSWERED)
            for chain in wanted[len(found) :]:
                if (room := room - len(chain)) < 0:
                    break
                sending.append(self._chain(tree_id, chain))
            if not sending:
                found.append((yield from self._one_by_one(tree_id, wanted[len(found)])))
                continue
            answers = yield from self._exchange(sending)
            rest = iter(answers)
            found += [list(islice(rest, len(sent))) for sent in sending]
        return found

    def _chain(self, tree_id: int, chain: Sequence[Step]) -> list[Request]:
        """Compounded and related: the server puts the file that it opened into the rest ([MS-SMB2] 3.2.4.1.4)."""
        return [
            self._request(tree_id, step.command, step.body(file.RELATED), related=number > 0)
            for number, step in enumerate(chain)
        ]

    def _one_by_one(self, tree_id: int, chain: Sequence[Step]) -> Steps[list[Response]]:
        """For who grants fewer credits than a chain needs."""
        answers: list[Response] = []
        file_id = file.RELATED
        for step in chain:
            answers.append((yield from self._one(tree_id, step.command, step.body(file_id))))
            if step.command is Command.CREATE:
                if answers[-1].status != Status.SUCCESS:
                    break
                file_id, _ = file.created(answers[-1])
        return answers

    def _request(self, tree_id: int, command: Command, body: bytes, *, related: bool = False) -> Request:
        if not self._credits:
            raise Over(Reason.LIMIT)
        self._credits -= 1
        self._next_id += 1
        return Request(
            command=command,
            message_id=self._next_id - 1,
            session_id=self._session_id,
            tree_id=tree_id,
            body=body,
            charge=1 if self.negotiated is not None and self.negotiated.large else 0,
            credits=max(1, min(WANTED_CREDITS - self._credits, WANTED_CREDITS)),
            related=related,
        )

    def _exchange(self, chains: Sequence[Sequence[Request]]) -> Steps[list[Response]]:
        """Send them at once; the final answer to each request, in their order."""
        requests = [request for chain in chains for request in chain]
        self._asked = {request.message_id: request.command for request in requests}
        self._interims = dict.fromkeys(self._asked, 0)
        found: dict[int, Response] = {}
        out: bytes = Question(b"".join(framed(header.encode(chain)) for chain in chains))
        while len(found) < len(requests):
            self._frames.feed((yield out))
            out = b""
            while (message := self._frames.take()) is not None:
                for response in header.decode(message):
                    if self._is_final(response):
                        found[response.message_id] = response
                        del self._asked[response.message_id]
        if not self._frames.is_empty:
            raise WireError("an answer before its question")
        return [found[request.message_id] for request in requests]

    def _is_final(self, response: Response) -> bool:
        """Count its credits. Raises WireError for what answers nothing, Over for what puts us off for ever."""
        command = self._asked.get(response.message_id)
        if command is None or response.command != command:
            raise WireError("a response that answers none of our requests")
        self._credits = min(self._credits + response.credits, 1 << 13)
        if not response.is_interim:
            return True
        self._interims[response.message_id] += 1
        if self._interims[response.message_id] > MAX_INTERIM:
            raise Over(Reason.LIMIT)
        return False
