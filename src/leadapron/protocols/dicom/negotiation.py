"""The first association: what is accepted from a stranger, and by what. Verification to storage in one request.

Nothing is ever moved, retrieved or stored: those contexts are proposed, never used.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Depth, Endpoint, Failed, Product, Reason, Stage
from leadapron.net.conversation import Conversation, LastWords, Limits, Lost
from leadapron.protocols.base import Identify
from leadapron.protocols.dicom.back_ends import implementation
from leadapron.protocols.dicom.inquiry import our_user_information
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import uids
from leadapron.protocols.dicom.wire.items import ProposedContext, UserIdentity
from leadapron.protocols.dicom.wire.pdu import Abort, AssociateAC, AssociateRJ, AssociateRQ, pdu_length

ANY_TITLE = "ANY-SCP"
"""The called title of the first association: nobody's (DCMTK's tools use it for a peer that does not care)."""

CONTEXTS: dict[str, str] = {
    "verification": uids.VERIFICATION,
    "study_find": uids.STUDY_ROOT_FIND,
    "patient_find": uids.PATIENT_ROOT_FIND,
    "study_move": uids.STUDY_ROOT_MOVE,
    "patient_move": uids.PATIENT_ROOT_MOVE,
    "study_get": uids.STUDY_ROOT_GET,
    "patient_get": uids.PATIENT_ROOT_GET,
    "worklist_find": uids.MODALITY_WORKLIST_FIND,
    "ct_storage": uids.CT_IMAGE_STORAGE,
    "mr_storage": uids.MR_IMAGE_STORAGE,
    "cr_storage": uids.CR_IMAGE_STORAGE,
    "sc_storage": uids.SECONDARY_CAPTURE_STORAGE,
    "made_up": uids.MADE_UP,
}
"""What is proposed, by the names that facts and reports use."""

_IDS = {name: 2 * place + 1 for place, name in enumerate(CONTEXTS)}
_NAMES = {id_: name for name, id_ in _IDS.items()}


class Outcome(enum.StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """The answer to an association request.

    `accepted` names contexts of `CONTEXTS`. Result, source and reason of a rejection are those of PS3.8 Table 9-21.
    `digest` (16 hex digits) is equal for answers that are equal but for titles: everything alike is a middlebox.
    """

    outcome: Outcome
    accepted: tuple[str, ...] = ()
    maximum_length: int = 0
    product: Product = field(default_factory=Product)
    rj_result: int = 0
    rj_source: int = 0
    rj_reason: int = 0
    digest: str = ""
    implementation: str = ""
    """see `leadapron.protocols.dicom.back_ends`; "" where it was not accepted"""
    identity_response: bool = False
    """it answers the user identity that was shown (PS3.7 section D.3.3.7)"""


BLANK = UserIdentity(kind=2, response_requested=True, primary=b"")
"""The one credential test there is: an empty name and an empty passcode (PS3.7 Table D.3-14)."""


def request(called_aet: str, calling_aet: str, identity: UserIdentity | None = None) -> AssociateRQ:
    """The association request, with every context that we ever propose."""
    contexts = tuple(
        ProposedContext(id=_IDS[name], abstract_syntax=uid, transfer_syntaxes=_transfer_syntaxes(name))
        for name, uid in CONTEXTS.items()
    )
    user = replace(our_user_information(), identity=identity)
    return AssociateRQ(called_aet=called_aet, calling_aet=calling_aet, contexts=contexts, user=user)


def _transfer_syntaxes(name: str) -> tuple[str, ...]:
    if name.endswith("storage"):
        return uids.EXPLICIT_VR_LITTLE_ENDIAN, uids.IMPLICIT_VR_LITTLE_ENDIAN
    return (uids.IMPLICIT_VR_LITTLE_ENDIAN,)


def is_whole(answer: bytes) -> int:
    """Whether an answer can be read: one whole PDU, or bytes that are none."""
    try:
        length = pdu_length(answer, 0)
    except WireError:
        return 1
    return int(0 < length <= len(answer))


def read_answer(
    answer: bytes, endpoint: Endpoint, identify: Identify, called_aet: str
) -> Completed[Negotiated] | Failed:
    """The meaning of the first PDU of an answer. Never raises for what a peer sent."""
    side = wire.Association()
    side.sent_request(frozenset(_NAMES))
    side.receive_data(answer)
    try:
        event = side.next_event()
    except WireError as error:
        reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
        return Failed(stage=Stage.HANDSHAKE, reason=reason, detail=error.rule)
    if event is wire.NEED_DATA:
        reason = Reason.TRUNCATED if answer else Reason.RESET
        return Failed(stage=Stage.HANDSHAKE, reason=reason, detail="the answer is not whole")
    return _read_event(event, answer, endpoint, identify, called_aet)


def _read_event(
    event: wire.Event | wire.NeedData, answer: bytes, endpoint: Endpoint, identify: Identify, called_aet: str
) -> Completed[Negotiated] | Failed:
    if isinstance(event, AssociateAC):
        user = event.user
        product = identify(
            user.implementation_class_uid or None,
            user.implementation_version_name or None,
            called_titles=() if called_aet == ANY_TITLE else (called_aet,),
            port=endpoint.port,
        )
        accepted = tuple(_NAMES[context.id] for context in event.contexts if context.accepted)
        return Completed(
            result=Negotiated(
                outcome=Outcome.ACCEPTED,
                accepted=tuple(sorted(set(accepted), key=list(CONTEXTS).index)),
                maximum_length=user.maximum_length,
                product=product,
                digest=hashlib.blake2s(answer[74:], digest_size=8).hexdigest(),
                implementation=implementation(user),
                identity_response=user.identity_response is not None,
            )
        )
    if isinstance(event, AssociateRJ):
        return Completed(
            result=Negotiated(
                outcome=Outcome.REJECTED,
                rj_result=event.result,
                rj_source=event.source,
                rj_reason=event.reason,
                digest=hashlib.blake2s(answer[:10], digest_size=8).hexdigest(),
            )
        )
    assert isinstance(event, Abort)
    return Completed(result=Negotiated(outcome=Outcome.ABORTED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """The job: one association request with a called title, then A-ABORT or nothing."""

    name: str
    endpoint: Endpoint
    called_aet: str
    calling_aet: str
    identify: Identify
    identity: UserIdentity | None = None
    limits: Limits = field(default_factory=lambda: Limits(deadline=20.0))
    depth: Depth = Depth.TALK
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[Negotiated]:
        answer = b""
        sending = request(self.called_aet, self.calling_aet, self.identity).encode()
        while not is_whole(answer):
            try:
                answer += yield sending
            except Lost as lost:
                return self._lost(lost.reason, answer)
            sending = b""
        attempt = read_answer(answer, self.endpoint, self.identify, self.called_aet)
        yield from _leave(attempt)
        return attempt

    def _lost(self, reason: Reason, answer: bytes) -> Attempt[Negotiated]:
        if answer and reason is Reason.RESET:
            return read_answer(answer, self.endpoint, self.identify, self.called_aet)
        return Failed(stage=Stage.HANDSHAKE, reason=reason)


def _leave(attempt: Attempt[Negotiated]) -> Conversation[Any]:
    """Abort an accepted association, so that the peer's log shows an end and not a broken connection."""
    if isinstance(attempt, Completed) and attempt.result.outcome is Outcome.ACCEPTED:
        try:
            yield LastWords(Abort().encode())
        except Lost:
            return attempt
    return attempt
