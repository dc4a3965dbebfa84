"""DICOM as a protocol: from what is known to the next job, and from the attempts to observations.

    hello ──accepted──► ask ──abort after C-FIND──► ask.again
      │ └─rejected, called title (7)──► title:X for each title that the owner told us ──accepted──► ask
      └─rejected, transient──► hello.again1, hello.again2

The verdict table is in `docs/dicom.md`; `tests/protocols/dicom/test_verdicts.py` holds it row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Counts,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job, Limits
from leadapron.protocols import payload
from leadapron.protocols.base import Case, Hello, Identify, Payload, Protocol, Terms
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import Inquiry, InquiryResult, Model
from leadapron.protocols.dicom.negotiation import (
    ANY_TITLE,
    CONTEXTS,
    Negotiated,
    Negotiation,
    Outcome,
    is_whole,
    read_answer,
    request,
)
from leadapron.protocols.dicom.wire.pdu import HEADER_LENGTH, MAX_ASSOCIATE_LENGTH, Abort

TRANSIENT_RETRIES = 2
TRANSIENT_DELAY = 5.0
"""Seconds before the first retry after a transient rejection; the second waits twice as long."""
_ITEMS = 74
"""Where the items of an A-ASSOCIATE PDU begin, behind the titles (PS3.8 Table 9-11)."""

CALLING_NOT_RECOGNISED, CALLED_NOT_RECOGNISED = 3, 7
"""Reasons of a permanent rejection by the service user (PS3.8 Table 9-21)."""

_RESULTS = {"negotiated": Negotiated, "inquiry": InquiryResult}

Title = str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is known about one called title."""

    title: Title
    hello: Negotiated
    asked: InquiryResult | None = None
    again: InquiryResult | None = None
    failed: Failed | None = None


class Dicom(Protocol):
    """DICOM over TCP, in clear."""

    name = "dicom"

    def hello(self, calling: str) -> Hello:
        return Hello(
            request=request(ANY_TITLE, calling).encode(),
            whole=is_whole,
            farewell=Abort().encode(),
            max_answer=HEADER_LENGTH + MAX_ASSOCIATE_LENGTH,
        )

    def read_hello(self, answer: bytes, endpoint: Endpoint, identify: Identify) -> Payload:
        if answer[_ITEMS:] == request(ANY_TITLE, "").encode()[_ITEMS:]:
            return encode(Failed(stage=Stage.HANDSHAKE, reason=Reason.MIDDLEBOX, detail="our own bytes came back"))
        return encode(read_answer(answer, endpoint, identify, ANY_TITLE))

    def encode_attempt(self, attempt: Attempt[Any]) -> Payload:
        return encode(attempt)

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:
        attempts = _decode_all(case.attempts)
        if len(attempts) >= case.terms.associations or case.terms.depth < Depth.TALK:
            return None
        hello_name, hello = _last_hello(attempts)
        negotiate = partial(Negotiation, endpoint=case.endpoint, calling_aet=case.terms.calling_aet, identify=identify)
        if not isinstance(hello, Completed):
            return None
        retries = hello_name.count("again") and int(hello_name[-1])
        if _is_transient(hello.result) and retries < TRANSIENT_RETRIES:
            name = f"hello.again{retries + 1}"
            return negotiate(name=name, called_aet=ANY_TITLE, delay=TRANSIENT_DELAY * (retries + 1))
        for title in _titles_to_try(hello.result, case.terms, attempts):
            return negotiate(name=f"title:{title}", called_aet=title)
        for known in _titles_that_work(attempts, hello.result):
            if (job := _next_question(known, case)) is not None:
                return job
        return None

    def cut_by_budget(self, case: Case) -> frozenset[str]:
        attempts = {name: attempt for name, attempt in _decode_all(case.attempts).items() if name.startswith("ask:")}
        return frozenset(name for name, attempt in attempts.items() if _was_cut(attempt, case.terms))

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = _decode_all(case.attempts)
        _, hello = _last_hello(attempts)
        if isinstance(hello, Failed):
            return (), hello
        working = list(_titles_that_work(attempts, hello.result))
        if not working:
            working = [_Asked(title="", hello=hello.result)]
        enforced = _enforcement(hello.result)
        return [_observe(known, case, enforced, len(attempts)) for known in working], None


# -- payloads ------------------------------------------------------------------------------------------------------


def encode(attempt: Attempt[Any]) -> Payload:
    """An attempt as JSON: `{"failed": …}`, `{"negotiated": …}` or `{"inquiry": …}`."""
    if isinstance(attempt, Failed):
        return {"failed": payload.dump(attempt)}
    kind = "negotiated" if isinstance(attempt.result, Negotiated) else "inquiry"
    return {kind: payload.dump(attempt.result)}


def decode(raw: Payload) -> Attempt[Any]:
    """The inverse of `encode`."""
    ((kind, value),) = raw.items()
    if kind == "failed":
        return payload.load(Failed, value)
    return Completed(result=payload.load(_RESULTS[kind], value))


def _decode_all(attempts: Mapping[str, Payload]) -> dict[str, Attempt[Any]]:
    return {name: decode(raw) for name, raw in attempts.items()}


# -- the plan ------------------------------------------------------------------------------------------------------


def _last_hello(attempts: Mapping[str, Attempt[Any]]) -> tuple[str, Attempt[Negotiated]]:
    for retry in range(TRANSIENT_RETRIES, 0, -1):
        if (name := f"hello.again{retry}") in attempts:
            return name, attempts[name]
    return "hello", attempts.get("hello", Failed(stage=Stage.HANDSHAKE, reason=Reason.STOPPED))


def _is_transient(hello: Negotiated) -> bool:
    return hello.outcome is Outcome.REJECTED and hello.rj_result == 2


def _enforcement(hello: Negotiated) -> dict[str, bool]:
    """Whether titles are checked, by the answer to a called and a calling title that mean nothing to the server."""
    if hello.outcome is Outcome.ACCEPTED:
        return {"called_title_enforced": False, "calling_title_enforced": False}
    if hello.outcome is Outcome.REJECTED and hello.rj_result == 1 and hello.rj_source == 1:
        if hello.rj_reason == CALLED_NOT_RECOGNISED:
            return {"called_title_enforced": True}
        if hello.rj_reason == CALLING_NOT_RECOGNISED:
            return {"calling_title_enforced": True}
    return {}


def _titles_to_try(hello: Negotiated, terms: Terms, attempts: Mapping[str, object]) -> Iterator[Title]:
    """Titles not tried yet: only where the title of nobody was rejected, and not because of who calls."""
    rejected = hello.outcome is Outcome.REJECTED and hello.rj_result == 1
    if not rejected or _enforcement(hello).get("calling_title_enforced"):
        return
    yield from (title for title in terms.called_aets if f"title:{title}" not in attempts)


def _titles_that_work(attempts: Mapping[str, Attempt[Any]], hello: Negotiated) -> Iterator[_Asked]:
    candidates: list[tuple[Title, Attempt[Negotiated]]] = [(ANY_TITLE, Completed(result=hello))]
    candidates += [
        (name.removeprefix("title:"), attempt) for name, attempt in attempts.items() if name.startswith("title:")
    ]
    for title, attempt in candidates:
        if isinstance(attempt, Completed) and attempt.result.outcome is Outcome.ACCEPTED:
            first, second = attempts.get(f"ask:{title}"), attempts.get(f"ask:{title}.again")
            yield _Asked(
                title=title,
                hello=attempt.result,
                asked=first.result if isinstance(first, Completed) else None,
                again=second.result if isinstance(second, Completed) else None,
                failed=first if isinstance(first, Failed) else None,
            )


def _next_question(known: _Asked, case: Case) -> Inquiry | None:
    terms = case.terms
    if known.failed is not None:
        return None
    may_list = terms.depth >= Depth.COUNT
    model = _model(known.hello) if may_list else Model.NONE
    worklist = may_list and "worklist_find" in known.hello.accepted
    inquire = partial(
        Inquiry,
        endpoint=case.endpoint,
        called_aet=known.title,
        calling_aet=terms.calling_aet,
        today=terms.today,
        answers=terms.answers,
        limits=Limits(deadline=terms.seconds, idle_timeout=min(15.0, terms.seconds), max_received=8 << 30),
        ask_echo="verification" in known.hello.accepted,
        depth=Depth.COUNT if may_list else Depth.TALK,
    )
    if known.asked is None:
        if model is Model.NONE and not worklist and "verification" not in known.hello.accepted:
            return None
        return inquire(name=f"ask:{known.title}", model=model, ask_worklist=worklist, queries=terms.queries)
    left = terms.queries - known.asked.queries
    if known.again is None and _needs_again(known.asked, worklist) and left > 0:
        model = model if _was_aborted(known.asked.model) else Model.NONE
        return inquire(name=f"ask:{known.title}.again", model=model, ask_worklist=worklist, queries=left, narrow=False)
    return None


def _model(hello: Negotiated) -> Model:
    if "study_find" in hello.accepted:
        return Model.STUDY_ROOT
    return Model.PATIENT_ROOT if "patient_find" in hello.accepted else Model.NONE


def _was_aborted(found: Found | None) -> bool:
    return found is not None and found.answer is Answer.ABORTED


def _was_cut(attempt: Attempt[InquiryResult], terms: Terms) -> bool:
    """Whether a count was cut by the budget of answers, or of seconds, that is higher now."""
    if isinstance(attempt, Failed) or attempt.result.queries >= terms.queries:
        return False
    found = (part for part in (attempt.result.model, attempt.result.worklist) if part is not None)
    return any(
        part.answer is Answer.PROVEN
        and part.why in (Reason.BUDGET, Reason.TIMEOUT)
        and part.most_answers < terms.answers
        for part in found
    )


def _needs_again(asked: InquiryResult, worklist: bool) -> bool:
    """An abort after C-FIND means refused only once it is reproduced; and a worklist behind it was not asked yet."""
    unasked = worklist and asked.worklist is None and asked.ended is not None
    return _was_aborted(asked.model) or _was_aborted(asked.worklist) or unasked


# -- the verdicts --------------------------------------------------------------------------------------------------


def _observe(known: _Asked, case: Case, enforced: Mapping[str, bool], associations: int) -> Observation:
    hello = known.hello
    model = _settled(known, "model")
    worklist = _settled(known, "worklist")
    listed, unknowns = _list_verdict(known, model, worklist, case.terms.depth)
    return Observation(
        service=Service(endpoint=case.endpoint, protocol=Dicom.name, resource=known.title),
        access=Access(
            reach=Verdict.PROVEN,
            talk=_talk_verdict(known),
            list=listed,
            read=_offered(hello, ("study_get", "patient_get", "study_move", "patient_move")),
            write=_offered(hello, ("ct_storage", "mr_storage", "cr_storage", "sc_storage")),
        ),
        counts=Counts(
            studies=model.studies if model else None,
            series=model.series if model else None,
            images=model.images if model else None,
            worklist=worklist.worklist if worklist else None,
        ),
        product=hello.product if hello.outcome is Outcome.ACCEPTED else Product(),
        owner=case.terms.owner,
        facts=_facts(known, enforced, model, worklist, associations),
        unknowns=tuple(unknowns),
    )


def _talk_verdict(known: _Asked) -> Verdict:
    if known.hello.outcome is Outcome.REJECTED:
        return Verdict.REFUSED if known.hello.rj_result == 1 else Verdict.UNKNOWN
    return Verdict.PROVEN if known.hello.outcome is Outcome.ACCEPTED else Verdict.UNKNOWN


def _offered(hello: Negotiated, contexts: Sequence[str]) -> Verdict:
    if hello.outcome is not Outcome.ACCEPTED:
        return Verdict.REFUSED if hello.outcome is Outcome.REJECTED and hello.rj_result == 1 else Verdict.UNKNOWN
    return Verdict.OFFERED if any(context in hello.accepted for context in contexts) else Verdict.REFUSED


def _settled(known: _Asked, part: str) -> Found | None:
    """The answer to one kind of question after it was reproduced where it had to be."""
    first: Found | None = getattr(known.asked, part, None)
    second: Found | None = getattr(known.again, part, None)
    if first is None or (_was_aborted(first) and second is not None and second.answer is not Answer.ABORTED):
        return second or first
    return first


def _echoed(known: _Asked) -> bool:
    return any(result is not None and result.echo_status == 0 for result in (known.asked, known.again))


def _reproduced(known: _Asked) -> bool:
    return any(
        _was_aborted(getattr(known.asked, part, None)) and _was_aborted(getattr(known.again, part, None))
        for part in ("model", "worklist")
    )


def _list_verdict(
    known: _Asked, model: Found | None, worklist: Found | None, depth: Depth
) -> tuple[Verdict, list[Failed]]:
    """The verdict on `list`, and a reason for everything that stays unknown or inexact."""
    hello = known.hello
    if hello.outcome is not Outcome.ACCEPTED:
        if hello.outcome is Outcome.REJECTED and hello.rj_result == 1:
            return Verdict.REFUSED, []
        reason = Reason.ABORTED if hello.outcome is Outcome.ABORTED else Reason.REFUSED
        return Verdict.UNKNOWN, [Failed(stage=Stage.HANDSHAKE, reason=reason)]
    if depth < Depth.COUNT:
        return Verdict.NOT_ASKED, []
    if _model(hello) is Model.NONE and "worklist_find" not in hello.accepted:
        return Verdict.REFUSED, []
    found = [part for part in (model, worklist) if part is not None]
    unknowns = [
        Failed(stage=Stage.LIST if part.answer is not Answer.PROVEN else Stage.COUNT, reason=part.why)
        for part in found
        if part.why is not None
    ]
    verdicts = {part.answer for part in found}
    if Answer.PROVEN in verdicts:
        return Verdict.PROVEN, unknowns
    if Answer.ABORTED in verdicts and _reproduced(known) and _echoed(known):
        verdicts = (verdicts - {Answer.ABORTED}) | {Answer.REFUSED}
        unknowns = [failed for failed in unknowns if failed.reason not in (Reason.ABORTED, Reason.RESET)]
    if verdicts == {Answer.REFUSED}:
        return Verdict.REFUSED, unknowns
    return Verdict.UNKNOWN, unknowns or [_why_nothing(known)]


def _why_nothing(known: _Asked) -> Failed:
    if known.failed is not None:
        return known.failed
    if known.asked is not None and known.asked.ended is not None:
        return known.asked.ended
    return Failed(stage=Stage.LIST, reason=Reason.BUDGET)


_CLASSES = {
    "query": ("study_find", "patient_find"),
    "retrieve": ("study_move", "patient_move", "study_get", "patient_get"),
    "store": ("ct_storage", "mr_storage", "cr_storage", "sc_storage"),
    "worklist": ("worklist_find",),
}


def _facts(
    known: _Asked, enforced: Mapping[str, bool], model: Found | None, worklist: Found | None, associations: int
) -> dict[str, int | bool]:
    hello = known.hello
    accepted = hello.outcome is Outcome.ACCEPTED
    facts: dict[str, int | bool] = {
        "associated": accepted,
        "rejected": hello.outcome is Outcome.REJECTED,
        "associations": associations,
        "queries": sum(result.queries for result in (known.asked, known.again) if result is not None),
        **enforced,
    }
    if known.title and known.title != ANY_TITLE:
        facts["calling_title_enforced"] = False
    if accepted:
        facts |= {f"context.{name}": name in hello.accepted for name in CONTEXTS}
        facts["service_classes"] = sum(any(name in hello.accepted for name in names) for names in _CLASSES.values())
    if model is not None and model.answer is Answer.PROVEN:
        facts |= {"find_answers": model.most_answers, "find_capped": model.capped, "bad_claims": model.bad_claims}
    if worklist is not None and worklist.answer is Answer.PROVEN:
        facts["worklist_answers"] = worklist.most_answers
    return facts
