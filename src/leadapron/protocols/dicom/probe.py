"""DICOM as a protocol: the hello, the stored form of attempts. `layers` says whether it is spoken in clear or inside TLS,
`plan` what is asked next, `verdicts` what it means.

The verdict table is in `docs/dicom.md`; `tests/protocols/dicom/` holds it row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leadapron.model import Completed, Endpoint, Failed, Observation, Reason, Stage
from leadapron.net.conversation import Job
from leadapron.protocols.attempts import Attempts, last_hello, name_of
from leadapron.protocols.base import Case, Hello, Identify, Payload, Protocol
from leadapron.protocols.dicom import plan, verdicts
from leadapron.protocols.dicom.inquiry import InquiryResult
from leadapron.protocols.dicom.known import ASK, titles_that_work
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Negotiation, is_whole, read_answer, request
from leadapron.protocols.dicom.wire.pdu import HEADER_LENGTH, MAX_ASSOCIATE_LENGTH, Abort
from leadapron.protocols.health import HEALTH
from leadapron.protocols.tls import offers
from leadapron.protocols.tls import plan as tls
from leadapron.protocols.tls.handshake import Handshake
from leadapron.protocols.tls.layers import Layer, Layers, Plan, layers, plain_name, resource_suffix

_ITEMS = 74
"""Where the items of an A-ASSOCIATE PDU begin, behind the titles (PS3.8 Table 9-11)."""

_RESULTS: dict[str, type[Any]] = {
    "negotiated": Negotiated,
    "inquiry": InquiryResult,
    "tls_chosen": offers.Negotiated,
    "tls_refused": offers.Refused,
    "tls_handshake": Handshake,
}


class _Plan(Plan):
    protocol = verdicts.PROTOCOL

    def hello(self, case: Case, name: str, identify: Identify) -> Negotiation:
        """Inside TLS; in clear the wide stage makes it."""
        return Negotiation(
            name=name,
            endpoint=case.endpoint,
            called_aet=ANY_TITLE,
            calling_aet=case.terms.calling_aet,
            identify=identify,
        )

    def next_job(self, case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
        return plan.next_job(case, attempts, identify)

    def conclude(self, case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
        return verdicts.conclude(case, attempts)


_LAYERS = Layers(_Plan())


class Dicom(Protocol):
    """DICOM over TCP, in clear or inside TLS."""

    name = verdicts.PROTOCOL
    results = _RESULTS

    def hello(self, calling: str) -> Hello:
        return Hello(
            request=request(ANY_TITLE, calling).encode(),
            whole=is_whole,
            farewell=Abort().encode(),
            max_answer=HEADER_LENGTH + MAX_ASSOCIATE_LENGTH,
        )

    def read_hello(self, answer: bytes, endpoint: Endpoint, identify: Identify) -> Payload:
        if answer[_ITEMS:] == request(ANY_TITLE, "").encode()[_ITEMS:]:
            return self.encode_attempt(
                Failed(stage=Stage.HANDSHAKE, reason=Reason.MIDDLEBOX, detail="our own bytes came back")
            )
        return self.encode_attempt(read_answer(answer, endpoint, identify, ANY_TITLE))

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:
        return _LAYERS.next_job(case, self.decoded(case.attempts), identify)

    def speaks_otherwise(self, case: Case) -> bool:
        return tls.is_spoken(self.decoded(case.attempts))

    def cut_by_budget(self, case: Case) -> frozenset[str]:
        """Of the questions: what is asked under the title of somebody else is cut on purpose."""
        return frozenset(name for name in super().cut_by_budget(case) if plain_name(name).startswith(ASK))

    def no_longer_answers(self, case: Case) -> frozenset[str]:
        return frozenset[str]().union(
            *(each.names(_no_longer_answers(each)) for each in layers(case, self.decoded(case.attempts)))
        )

    def service_of(self, job: str) -> tuple[str, str]:
        return self.name, job.partition(":")[2] + resource_suffix(job)

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        return _LAYERS.conclude(case, self.decoded(case.attempts))


PROTOCOL = Dicom()


def _no_longer_answers(of: Layer) -> frozenset[str]:
    hello = last_hello(of.attempts)
    if not isinstance(hello, Completed):
        return frozenset()
    known = titles_that_work(of.attempts, hello.result, of.case.terms.called_aets)
    return frozenset(
        name_of(HEALTH, number, each.title)
        for each in known
        if each.is_silent
        for number in range(1, len(each.health) + 1)
    )
