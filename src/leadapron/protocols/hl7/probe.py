"""HL7 over MLLP as a protocol: one connection, an empty block, and whatever comes to it.

An interface engine believes what it is sent: a message, even one without a patient, may be filed, be forwarded or print a
label. So none is sent, and the silence of most servers is an unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Conversation, Job, Limits, Lost
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.hl7 import wire

HELLO = "hello"
_CONNECTED = (Reason.TIMEOUT, Reason.RESET)
"""How a conversation is lost by a peer that was reached: the sweep had a connection before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`heard` None: nothing, or the connection was closed, for the reason `why`."""

    heard: wire.Heard | None = None
    why: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The job."""

    endpoint: Endpoint
    name: str = HELLO
    limits: Limits = field(
        default_factory=lambda: Limits(idle_timeout=5.0, deadline=15.0, max_received=wire.MAX_BLOCK + (512 << 10))
    )
    depth: Depth = Depth.TALK
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Answer]:
        data, sending = b"", wire.EMPTY
        while (heard := wire.read_block(data)) is wire.NEED_DATA:
            try:
                data += yield sending
            except Lost as lost:
                return _lost(lost.reason, data)
            sending = b""
        if heard is None:
            return Failed(stage=Stage.HANDSHAKE, reason=Reason.PROTOCOL, detail="what came is not MLLP")
        return Completed(result=Answer(heard=heard))


def _lost(reason: Reason, data: bytes) -> Attempt[Answer]:
    if data:
        return Failed(stage=Stage.HANDSHAKE, reason=Reason.TRUNCATED, detail="a block without its end")
    if reason in _CONNECTED:
        return Completed(result=Answer(why=reason))
    return Failed(stage=Stage.HANDSHAKE, reason=reason)


class Hl7(Protocol):
    """HL7 version 2 over MLLP, in clear."""

    name = "hl7"
    results = {"answer": Answer}  # noqa: RUF012

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        return None if HELLO in case.attempts else Hello(endpoint=case.endpoint)

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        hello = self.decoded(case.attempts).get(HELLO, Failed(stage=Stage.CONNECT, reason=Reason.STOPPED))
        if isinstance(hello, Failed):
            return (), hello
        answer: Answer = hello.result
        seen = Observation(
            service=Service(endpoint=case.endpoint, protocol=self.name),
            access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN if answer.heard else Verdict.UNKNOWN),
            owner=case.terms.owner,
            facts={"message": answer.heard is wire.Heard.MESSAGE} if answer.heard else {},
            unknowns=(Failed(stage=Stage.TALK, reason=answer.why),) if answer.why else (),
        )
        return [seen], None


PROTOCOL = Hl7()
