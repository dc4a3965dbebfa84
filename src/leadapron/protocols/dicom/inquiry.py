"""One association's worth of questions: C-ECHO, then C-FIND as often as the count needs and the budget allows.

Pure conversation (see `leadapron.net.conversation`): no socket, no clock. What comes back is `InquiryResult`: numbers
and enum members. The rules are those of the verdict table in `docs/dicom.md`.

    inquiry     the questions in their order, and what is known when they end early
    exchange    one association: requests, events, the budget of a query
    counting    the studies, series and images of an information model; worklist: its entries
    splitting   the pieces of a query that a server caps
    sampling    series and images below studies that claim no numbers
    census      which attributes are populated, in a sample of the studies
    found       what an answer means
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import ClassVar

from leadapron import settings
from leadapron.errors import WireError
from leadapron.model import Completed, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Limits, Lost, Steps
from leadapron.protocols.base import Terms
from leadapron.protocols.dicom.back_ends import implementation
from leadapron.protocols.dicom.census import QUERIES as CENSUS_QUERIES
from leadapron.protocols.dicom.census import SAMPLE, Censused, Taking
from leadapron.protocols.dicom.counting import SOP_CLASS, Counting, Model
from leadapron.protocols.dicom.exchange import Exchange, Over
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.dicom.wire import association as wire
from leadapron.protocols.dicom.wire import uids
from leadapron.protocols.dicom.wire.items import ProposedContext, UserInformation
from leadapron.protocols.dicom.wire.pdu import AssociateRJ, AssociateRQ
from leadapron.protocols.dicom.worklist import Worklist
from leadapron.protocols.digests import Digests
from leadapron.protocols.payload import APART

__all__ = ["Answer", "Found", "Inquiry", "InquiryResult", "Model", "our_user_information"]

_ECHO, _MODEL, _WORKLIST = 1, 3, 5
"""Presentation context identifiers of this job."""

_STILL_CONNECTED = frozenset({Reason.TIMEOUT, Reason.LIMIT})
"""Why we leave a peer that may still be at work for us: it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryResult:
    """`ended` says where and why the association ended before its questions did; None when it was released."""

    implementation: str = ""
    """who answered: see `leadapron.protocols.dicom.back_ends`"""
    echo_status: int = -1
    model: Found | None = None
    worklist: Found | None = None
    census: Censused | None = None
    queries: int = 0
    answers: int = 0
    """pending ones, to all queries"""
    rj_result: int = 0
    rj_source: int = 0
    rj_reason: int = 0
    """where the association was rejected (PS3.8 Table 9-21)"""
    ended: Failed | None = None
    shown: bytes = field(default=b"", repr=False, metadata={APART: True})
    """the studies that were listed (`leadapron.protocols.shown`)"""

    def was_cut(self, terms: Terms) -> bool:
        """Where its queries are used up, a budget of answers or seconds that is lifted lets nothing more through."""
        if self.queries >= terms.queries:
            return False
        return any(
            part.answer is Answer.PROVEN
            and part.why in (Reason.BUDGET, Reason.TIMEOUT)
            and part.most_answers < terms.answers
            for part in (self.model, self.worklist)
            if part is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """The job. `queries` and `answers` are what is left of the service's budget; `today` bounds date ranges."""

    name: str
    endpoint: Endpoint
    called_aet: str
    calling_aet: str
    model: Model
    ask_echo: bool
    ask_worklist: bool
    take_census: bool = False
    """behind a count of studies, of a sample of them"""
    narrow: bool = True
    """False: one query only, to reproduce an abort"""
    skip: frozenset[str] = frozenset()
    """implementations that have answered: they are left in peace"""
    queries: int
    answers: int
    today: dt.date
    key: bytes = field(default=b"", repr=False)
    """of the run: with one, studies are hashed under it to be compared with those of other servers"""
    own: Own = field(default_factory=Own)
    limits: Limits = field(default_factory=Limits)
    depth: Depth = Depth.COUNT
    delay: float = 0.0
    in_clear: ClassVar[bool] = True

    def converse(self) -> Conversation[InquiryResult]:
        return (yield from _Asker(self).run())

    def request(self) -> AssociateRQ:
        """The A-ASSOCIATE-RQ: the contexts that the questions need, and no others."""
        proposed = [(_ECHO, uids.VERIFICATION)] if self.ask_echo else []
        if self.model is not Model.NONE:
            proposed.append((_MODEL, SOP_CLASS[self.model]))
        if self.ask_worklist:
            proposed.append((_WORKLIST, uids.MODALITY_WORKLIST_FIND))
        contexts = tuple(
            ProposedContext(id=id_, abstract_syntax=uid, transfer_syntaxes=(uids.IMPLICIT_VR_LITTLE_ENDIAN,))
            for id_, uid in proposed
        )
        return AssociateRQ(
            called_aet=self.called_aet, calling_aet=self.calling_aet, contexts=contexts, user=our_user_information()
        )


class _Asker:
    def __init__(self, job: Inquiry) -> None:
        self.job = job
        self.takes_census = job.take_census and job.queries > CENSUS_QUERIES and job.answers > 2 * SAMPLE
        kept_back = (CENSUS_QUERIES, 2 * SAMPLE) if self.takes_census else (0, 0)
        self.exchange = Exchange(queries=job.queries - kept_back[0], answers=job.answers - kept_back[1])
        self.stage = Stage.HANDSHAKE
        self.implementation = ""
        self.echo_status = -1
        digests = Digests(job.key) if job.key and job.model is Model.STUDY_ROOT else None
        self.counting = Counting(
            self.exchange,
            job.model,
            _MODEL,
            today=job.today,
            narrow=job.narrow,
            digests=digests,
            own_roots=job.own.roots,
        )
        self.listing = Worklist(self.exchange, _WORKLIST)
        self.taking = Taking(
            self.exchange,
            _MODEL,
            SOP_CLASS.get(job.model, ""),
            job.model is Model.STUDY_ROOT,
            job.today,
            job.own.issuers,
        )
        self.census: Censused | None = None
        self.model: Found | None = None
        self.worklist: Found | None = None
        self.asking = 0
        """the context whose questions are under way"""

    def run(self) -> Conversation[InquiryResult]:
        """The questions in order. Whatever ends them early, what was learned before is the result."""
        ended: Failed | None = None
        try:
            answer = yield from self.exchange.associate(self.job.request())
            if isinstance(answer, AssociateRJ):
                return _rejected(answer)
            self.implementation = implementation(answer.user)
            if self.implementation not in self.job.skip:
                yield from self._questions()
            self.stage = Stage.LIST
            yield from self.exchange.release()
        except Over as over:
            ended = Failed(stage=self._stage(), reason=over.reason)
        except Lost as lost:
            ended = Failed(stage=self._stage(), reason=lost.reason)
            if lost.reason in _STILL_CONNECTED:
                yield from self.exchange.abort()
        except WireError as error:
            reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
            ended = Failed(stage=self._stage(), reason=reason, detail=error.rule)
            yield from self.exchange.abort()
        if ended is not None and ended.stage is Stage.HANDSHAKE:
            return ended
        return Completed(result=self._result(ended))

    def _stage(self) -> Stage:
        return self.counting.stage if self.asking == _MODEL else self.stage

    def _result(self, ended: Failed | None) -> InquiryResult:
        if ended is not None and self.asking == _MODEL and self.model is None:
            self.model = self.counting.interrupted(ended.reason)
        elif ended is not None and self.asking == _WORKLIST and self.worklist is None:
            self.worklist = self.listing.interrupted(ended.reason)
        elif ended is not None and self.stage is Stage.CENSUS and self.census is None:
            self.census = self.taking.interrupted(ended.reason)
        return InquiryResult(
            implementation=self.implementation,
            echo_status=self.echo_status,
            model=self.model,
            worklist=self.worklist,
            census=self.census,
            queries=self.exchange.queries,
            answers=self.exchange.answers,
            ended=ended,
            shown=self.counting.shown(),
        )

    def _questions(self) -> Steps[None]:
        if self.exchange.has(_ECHO):
            self.stage = Stage.TALK
            self.echo_status = yield from self.exchange.echo(_ECHO, uids.VERIFICATION)
        self.stage = Stage.LIST
        if self.exchange.has(_MODEL):
            self.asking = _MODEL
            self.model = yield from self.counting.run()
            yield from self._census(self.model)
        elif self.job.model is not Model.NONE:
            self.model = Found(answer=Answer.REFUSED)
        if self.exchange.has(_WORKLIST):
            self.asking = _WORKLIST
            self.worklist = yield from self.listing.run()
        elif self.job.ask_worklist:
            self.worklist = Found(answer=Answer.REFUSED)

    def _census(self, model: Found) -> Steps[None]:
        """Of an archive that showed studies. What was kept back of the budget for it is free now, also for the rest."""
        self.exchange.max_queries, self.exchange.max_answers = self.job.queries, self.job.answers
        if self.takes_census and model.answer is Answer.PROVEN:
            self.asking, self.stage = 0, Stage.CENSUS
            self.census = yield from self.taking.run(self.counting.kept)
            self.stage = Stage.LIST


def _rejected(answer: AssociateRJ) -> Completed[InquiryResult]:
    ended = Failed(stage=Stage.HANDSHAKE, reason=Reason.REFUSED, detail="association rejected")
    result = InquiryResult(rj_result=answer.result, rj_source=answer.source, rj_reason=answer.reason, ended=ended)
    return Completed(result=result)


def our_user_information() -> UserInformation:
    """Who we say we are, on every association."""
    return UserInformation(
        maximum_length=wire.MAX_LENGTH,
        implementation_class_uid=settings.IMPLEMENTATION_CLASS_UID,
        implementation_version_name=settings.IMPLEMENTATION_VERSION_NAME.encode(),
    )
