"""One association's worth of questions: C-ECHO, then C-FIND as often as the count needs and the budget allows.

Pure conversation (see `leadapron.net.conversation`): no socket, no clock. What comes back is `InquiryResult`: numbers
and enum members. The rules are those of the verdict table in `docs/dicom.md`.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Generator
from dataclasses import dataclass, field, replace

from leadapron.errors import WireError
from leadapron.model import Completed, Count, Depth, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Limits, Lost
from leadapron.protocols.dicom import answers, identifiers, tally
from leadapron.protocols.dicom.answers import Answers, Level, Tally
from leadapron.protocols.dicom.exchange import Exchange, Over
from leadapron.protocols.dicom.identifiers import Narrowing
from leadapron.protocols.dicom.verdict import Answer, Found, is_cap, meaning, without_end
from leadapron.protocols.dicom.wire import uids
from leadapron.protocols.dicom.wire.dimse import Status

ROUND = 50
"""A count that is a multiple of this is checked for a silent cap: products cap at 50, 100, 200, 500, 1000 …"""
_FIRST_RANGES = ((2020, None), (2010, 2019), (2000, 2009), (1900, 1999))

_ECHO, _MODEL, _WORKLIST = 1, 3, 5
"""Presentation context identifiers of this job."""

Steps = Generator[bytes, bytes, Found]


class Model(enum.StrEnum):
    """Which information model answers for studies."""

    STUDY_ROOT = "study_root"
    PATIENT_ROOT = "patient_root"
    NONE = "none"


_SOP_CLASS = {Model.STUDY_ROOT: uids.STUDY_ROOT_FIND, Model.PATIENT_ROOT: uids.PATIENT_ROOT_FIND}


@dataclass(frozen=True, slots=True, kw_only=True)
class InquiryResult:
    """`ended` says where and why the association ended before its questions did; None when it was released."""

    echo_status: int = -1
    model: Found | None = None
    worklist: Found | None = None
    queries: int = 0
    ended: Failed | None = None


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
    narrow: bool = True
    """False: one query only, to reproduce an abort"""
    queries: int
    answers: int
    today: dt.date
    limits: Limits = field(default_factory=Limits)
    depth: Depth = Depth.COUNT
    delay: float = 0.0

    def converse(self) -> Conversation[InquiryResult]:
        return (yield from _Asker(self).run())


class _Asker:
    def __init__(self, job: Inquiry) -> None:
        self.job = job
        self.exchange = Exchange(_contexts(job))
        self.stage = Stage.HANDSHAKE
        self.echo_status = -1
        self.model: Found | None = None
        self.worklist: Found | None = None
        self.tally = Tally()
        self.asking = 0
        """the context whose questions are under way"""

    def run(self) -> Conversation[InquiryResult]:
        """The questions in order. Whatever ends them early, what was learned before is the result."""
        ended: Failed | None = None
        try:
            refused = yield from self.exchange.associate(self.job.called_aet, self.job.calling_aet)
            if refused is not None:
                return refused
            yield from self._questions()
            yield from self.exchange.release()
        except Lost as lost:
            ended = Failed(stage=self.stage, reason=lost.reason)
        except Over as over:
            ended = Failed(stage=self.stage, reason=over.reason)
        except WireError as error:
            reason = Reason.LIMIT if error.limit else Reason.PROTOCOL
            ended = Failed(stage=self.stage, reason=reason, detail=error.rule)
        if ended is not None and self.stage is Stage.HANDSHAKE:
            return ended
        return Completed(result=self._result(ended))

    def _result(self, ended: Failed | None) -> InquiryResult:
        if ended is not None:
            self._interrupted(ended.reason)
        return InquiryResult(
            echo_status=self.echo_status,
            model=self.model,
            worklist=self.worklist,
            queries=self.exchange.queries,
            ended=ended,
        )

    def _interrupted(self, reason: Reason) -> None:
        """Turn the query under way, if one is, into what it has shown so far."""
        if self.asking == _MODEL and self.model is None:
            self.model = self._cut_short(reason)
        elif self.asking == _MODEL and self.model is not None:
            self.model = replace(self.model, why=self.model.why or reason)
        elif self.asking == _WORKLIST and self.worklist is None:
            running = self.exchange.running
            seen = running.answers if running is not None else 0
            self.worklist = without_end(seen, reason, worklist=Count.at_least(seen) if seen else None)

    def _cut_short(self, reason: Reason) -> Found:
        if not self.tally.answers:
            return without_end(0, reason)
        return self._sum_up(answer=Answer.PROVEN, whole=False, why=reason)

    def _questions(self) -> Generator[bytes, bytes, None]:
        accepted = self.exchange.association.contexts
        if _ECHO in accepted:
            self.stage = Stage.TALK
            self.echo_status = yield from self.exchange.echo(_ECHO)
        if _MODEL in accepted:
            self.stage, self.asking = Stage.LIST, _MODEL
            self.model = yield from self._count_model()
        elif self.job.model is not Model.NONE:
            self.model = Found(answer=Answer.REFUSED)
        if _WORKLIST in accepted:
            self.stage, self.asking, self.exchange.running = Stage.LIST, _WORKLIST, None
            self.worklist = yield from self._count_worklist()
        elif self.job.ask_worklist:
            self.worklist = Found(answer=Answer.REFUSED)

    def _find(
        self, identifier: bytes, level: Level, into: Tally, *, keep: bool = False
    ) -> Generator[bytes, bytes, Answers]:
        return self.exchange.find(_MODEL, identifier, level, into, most=self.job.answers, keep=keep)

    def _may_ask(self) -> bool:
        return self.exchange.queries < self.job.queries and self.tally.answers < self.job.answers

    def _count_model(self) -> Steps:
        level, identifier = (
            (answers.STUDY, identifiers.studies())
            if self.job.model is Model.STUDY_ROOT
            else (answers.PATIENT, identifiers.patients())
        )
        first = yield from self._find(identifier, level, self.tally, keep=self.job.model is Model.STUDY_ROOT)
        if not self.job.narrow:
            return self._judge_single(first)
        if self.tally.looping:
            return self._sum_up(answer=Answer.PROVEN, whole=False, why=Reason.LIMIT, status=first.status)
        if self.tally.answers >= self.job.answers:
            return self._sum_up(answer=Answer.PROVEN, whole=False, why=Reason.BUDGET, status=first.status)
        if first.status == Status.SUCCESS and first.answers:
            return (yield from self._whole(first))
        if first.status == Status.SUCCESS:
            return (yield from self._second_look(first))
        if is_cap(first.status, first.answers):
            return (yield from self._capped(first))
        return self._judge_single(first)

    def _judge_single(self, found: Answers) -> Found:
        if found.answers:
            whole = found.status == Status.SUCCESS
            return self._sum_up(
                answer=Answer.PROVEN, whole=whole, why=None if whole else Reason.PROTOCOL, status=found.status
            )
        answer, why = meaning(found.status)
        return Found(answer=answer, why=why, status=found.status)

    def _whole(self, first: Answers) -> Steps:
        """A success with answers: exact, unless the number looks like a silent cap and narrower queries find more."""
        capped = False
        if self.job.model is Model.STUDY_ROOT and not first.answers % ROUND:
            yield from self._narrow(_ranges(self.job.today), into_halves=False)
            capped = tally.distinct(self.tally).records > first.answers
            if capped:
                yield from self._narrow(_ranges(self.job.today), into_halves=True, cap=first.answers)
        why = Reason.LIMIT if capped else None
        return (yield from self._descend(first, whole=not capped, why=why))

    def _second_look(self, first: Answers) -> Steps:
        """A success without answers: once more with another key. A filter is not an empty archive."""
        if self.job.model is Model.STUDY_ROOT and self._may_ask():
            everything = Narrowing(first=dt.date(1900, 1, 1), last=self.job.today + dt.timedelta(days=1))
            second = yield from self._find(identifiers.studies(everything), answers.STUDY, self.tally, keep=True)
            if second.answers:
                return (yield from self._descend(second, whole=False, why=Reason.EMPTY))
        return Found(answer=Answer.UNKNOWN, why=Reason.EMPTY, status=first.status)

    def _capped(self, first: Answers) -> Steps:
        """A cap: narrow until the pieces are whole. Without an uncapped parent the sum is a bound."""
        if self.job.model is Model.STUDY_ROOT:
            yield from self._narrow(_ranges(self.job.today), into_halves=True)
        if not self.tally.answers:
            return Found(answer=Answer.UNKNOWN, why=Reason.LIMIT, status=first.status, capped=True)
        return (yield from self._descend(first, whole=False, why=Reason.LIMIT))

    def _narrow(self, pieces: list[Narrowing], *, into_halves: bool, cap: int = 0) -> Generator[bytes, bytes, None]:
        """Ask piece by piece, the latest first; halve, with `into_halves`, the pieces that are capped themselves.

        `cap` > 0: a piece with exactly so many answers is capped too, silently.
        """
        waiting = list(reversed(pieces))
        while waiting and self._may_ask():
            piece = waiting.pop()
            found = yield from self._find(identifiers.studies(piece), answers.STUDY, self.tally, keep=True)
            silent = bool(cap) and found.status == Status.SUCCESS and found.answers >= cap
            if not into_halves or not (silent or is_cap(found.status, found.answers)):
                continue
            if piece.days > 1:
                waiting.extend(piece.halves())
            elif not piece.accession:
                waiting.extend(
                    Narrowing(first=piece.first, last=piece.last, accession=prefix)
                    for prefix in reversed("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
                )

    def _descend(self, first: Answers, *, whole: bool, why: Reason | None) -> Steps:
        """Where studies claim no numbers (dcmqrscp), count series and images one study after the other."""
        if self.tally.bad_claims and why is None:
            why = Reason.LIMIT
        found = self._sum_up(answer=Answer.PROVEN, whole=whole, why=why, status=first.status, first=first)
        if self.job.model is not Model.STUDY_ROOT or (found.images is not None and found.series is not None):
            return found
        self.stage, self.model = Stage.COUNT, found
        population = tally.distinct(self.tally).records
        series_sample: list[int] = []
        image_sample: list[int] = []
        for key in sorted(self.tally.kept):
            if not self._may_ask():
                break
            below = yield from self._count_study(self.tally.kept[key])
            if below is None:
                break
            series_sample.append(below[0])
            image_sample.append(below[1])
        if why is None and len(image_sample) < population:
            why = Reason.BUDGET
        return replace(
            found,
            why=why,
            series=found.series or tally.extrapolate(series_sample, population, whole=whole),
            images=found.images or tally.extrapolate(image_sample, population, whole=whole),
        )

    def _count_study(self, study: bytes) -> Generator[bytes, bytes, tuple[int, int] | None]:
        """(series, images) of one study; None when the budget ends in the middle or the server refuses the level."""
        below = Tally()
        found = yield from self._find(identifiers.series(study), answers.SERIES, below, keep=True)
        counted = tally.distinct(below)
        if found.status != Status.SUCCESS or not counted.records:
            return None
        if not counted.images_missing:
            return counted.records, counted.images
        total = 0
        for series_uid in below.kept.values():
            if self.exchange.queries >= self.job.queries:
                return None
            instances = Tally()
            identifier = identifiers.images(study, series_uid)
            found = yield from self._find(identifier, answers.IMAGE, instances)
            if found.status != Status.SUCCESS:
                return None
            total += tally.distinct(instances).records
        return counted.records, total

    def _sum_up(
        self,
        *,
        answer: Answer,
        whole: bool,
        why: Reason | None,
        status: int = -1,
        first: Answers | None = None,
    ) -> Found:
        counted = tally.distinct(self.tally)
        patient_root = self.job.model is Model.PATIENT_ROOT
        lacking = self.tally.without_unique > 0 or self.tally.bad_claims > 0
        return Found(
            answer=answer,
            why=why or (Reason.PROTOCOL if lacking else None),
            status=status,
            most_answers=first.answers if first is not None else self.tally.answers,
            capped=why is Reason.LIMIT and not self.tally.looping,
            bad_claims=self.tally.bad_claims,
            looping=self.tally.looping,
            studies=(
                tally.claimed(counted.studies, counted.studies_missing, whole=whole)
                if patient_root
                else tally.enumerated(counted.records, whole=whole and not self.tally.without_unique)
            ),
            series=tally.claimed(counted.series, counted.series_missing, whole=whole),
            images=tally.claimed(counted.images, counted.images_missing, whole=whole),
        )

    def _count_worklist(self) -> Steps:
        if self.exchange.queries >= self.job.queries:
            return Found(answer=Answer.UNKNOWN, why=Reason.BUDGET)
        own = Tally()
        found = yield from self.exchange.find(
            _WORKLIST, identifiers.worklist(), answers.WORKLIST, own, most=self.job.answers
        )
        if found.answers:
            whole = found.status == Status.SUCCESS
            return Found(
                answer=Answer.PROVEN,
                why=None if whole else Reason.LIMIT,
                status=found.status,
                most_answers=found.answers,
                capped=not whole,
                worklist=tally.enumerated(found.answers, whole=whole),
            )
        answer, why = meaning(found.status)
        return Found(answer=answer, why=why, status=found.status)


def _ranges(today: dt.date) -> list[Narrowing]:
    """The date ranges to begin with, latest first. Studies without a date fall out of every one of them."""
    return [
        Narrowing(first=dt.date(first, 1, 1), last=dt.date(last, 12, 31) if last else today + dt.timedelta(days=1))
        for first, last in _FIRST_RANGES
    ]


def _contexts(job: Inquiry) -> dict[int, str]:
    """What is proposed: identifier and abstract syntax."""
    contexts = {_ECHO: uids.VERIFICATION} if job.ask_echo else {}
    if job.model is not Model.NONE:
        contexts[_MODEL] = _SOP_CLASS[job.model]
    if job.ask_worklist:
        contexts[_WORKLIST] = uids.MODALITY_WORKLIST_FIND
    return contexts
