"""iSCSI as a protocol: one Login Request for a discovery session, and the first answer to it. The login is never completed,
targets are not asked for (SendTargets), a redirection is not followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from leadapron.errors import WireError
from leadapron.model import Access, Completed, Depth, Endpoint, Failed, Observation, Reason, Service, Stage, Verdict
from leadapron.net.conversation import Conversation, Job, Limits, Lost
from leadapron.protocols.base import Case, Identify, Protocol
from leadapron.protocols.iscsi import wire

HELLO = "hello"

_SUCCESS, _REDIRECTION, _INITIATOR_ERROR = 0, 1, 2
_AUTHENTICATION_FAILURE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Of the first Login Response (RFC 7143 section 11.13.5); the status is None where the PDU was rejected."""

    status_class: int | None = None
    status_detail: int = 0
    method: wire.Method | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The job."""

    endpoint: Endpoint
    name: str = HELLO
    limits: Limits = field(default_factory=lambda: Limits(deadline=20.0, max_received=1 << 20))
    depth: Depth = Depth.TALK
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Answer]:
        data, sending = b"", wire.login_request()
        try:
            while not (length := wire.response_length(data)) or len(data) < length:
                data += yield sending
                sending = b""
            response = wire.read_response(data[:length])
        except Lost as lost:
            is_cut = bool(data) and lost.reason is Reason.RESET
            return Failed(stage=Stage.HANDSHAKE, reason=Reason.TRUNCATED if is_cut else lost.reason)
        except WireError as error:
            reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
            return Failed(stage=Stage.HANDSHAKE, reason=reason, detail=error.rule)
        return Completed(result=Answer() if response is None else Answer(**response._asdict()))


class Iscsi(Protocol):
    """iSCSI."""

    name = "iscsi"
    results = {"answer": Answer}  # noqa: RUF012

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:  # noqa: ARG002
        return None if HELLO in case.attempts else Hello(endpoint=case.endpoint)

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        hello = self.decoded(case.attempts).get(HELLO, Failed(stage=Stage.CONNECT, reason=Reason.STOPPED))
        if isinstance(hello, Failed):
            return (), hello
        seen = Observation(
            service=Service(endpoint=case.endpoint, protocol=self.name),
            access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN),
            owner=case.terms.owner,
            facts=_facts(hello.result),
        )
        return [seen], None


def _facts(answer: Answer) -> dict[str, int | bool]:
    if answer.status_class is None:
        return {"rejected": True}
    facts: dict[str, int | bool] = {"status_class": answer.status_class, "status_detail": answer.status_detail}
    if answer.status_class == _REDIRECTION:
        facts["redirected"] = True
    if (demanded := _is_login_demanded(answer)) is not None:
        facts["login_demanded"] = demanded
    return facts


def _is_login_demanded(answer: Answer) -> bool | None:
    """For the discovery of targets; None: the target did not say."""
    if answer.status_class == _SUCCESS:
        return {wire.Method.NONE: False, wire.Method.CHAP: True}.get(answer.method) if answer.method else None
    if (answer.status_class, answer.status_detail) == (_INITIATOR_ERROR, _AUTHENTICATION_FAILURE):
        return True
    return None


PROTOCOL = Iscsi()
