"""What is asked next at one endpoint. A pure function of the attempts that were made.

hello ──accepted──► ask ─► ask.2 … (a query that was aborted, once more; what an abort kept from its turn)
  │ │                ├─by another implementation──► look, look.2, look.3 (several back ends: what the other one grants)
  │ │                └─ended in silence──► health ─► health.2
  │ └─rejected, called title (7)──► title:X for each title that the owner told us ──accepted──► ask:X
  └─rejected for now──► hello.2, hello.3; likewise titles and asks

and then, only where the grant says so: identity:TITLE (a blank login), caller:CALLER:TITLE (a title of a peer)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from leadapron.model import Completed, Depth, Failed, Reason, Stage
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import HELLO, Attempts, attempts_of, last_hello, name_of
from leadapron.protocols.base import Case, Identify, Terms
from leadapron.protocols.dicom.callers import Pretence, pretences
from leadapron.protocols.dicom.counting import Model
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import Inquiry
from leadapron.protocols.dicom.known import (
    ASK,
    IDENTITY,
    LOOK,
    TITLE,
    Known,
    Title,
    are_titles_tried,
    is_transient,
    model_of,
    titles_that_work,
)
from leadapron.protocols.dicom.negotiation import ANY_TITLE, BLANK, Negotiated, Negotiation
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.health import CHECKS, DELAY, HEALTH, is_there

RETRIES = 2
"""After a rejection for now, the first after `DELAY` seconds, the second after twice as many."""
LOOKS = 3
"""Associations that only negotiate, to find out what back ends grant that only answered questions."""
MAX_ASKS = 6
"""Associations with questions for one title, whatever their budget."""
_CHECK = Limits(deadline=8.0)
"""Of a look for a service that went silent."""
_LEAST_SECONDS = 1.0
_BYTES_AN_ANSWER, _BYTES_BESIDE = 2048, 16 << 20
"""What may be received: so much for each answer of the budget, and so much more."""


def next_job(case: Case, attempts: Attempts, identify: Identify) -> Job[Any] | None:
    """The next job, or None when there is nothing left to ask."""
    terms = case.terms
    is_spent = len(attempts) >= terms.associations
    if terms.depth < Depth.TALK:
        return None
    hello = last_hello(attempts)
    if not isinstance(hello, Completed):
        return None
    known = list(titles_that_work(attempts, hello.result, terms.called_aets))
    if any(each.is_silent for each in known):
        return None
    negotiate = partial(Negotiation, endpoint=case.endpoint, calling_aet=terms.calling_aet, identify=identify)
    for kind, title, number in () if is_spent else _to_negotiate(attempts, hello.result, terms.called_aets):
        name, called_aet = name_of(kind, number, title), title or ANY_TITLE
        return negotiate(name=name, called_aet=called_aet, delay=DELAY * (number - 1))
    for each in known:
        if not is_spent and each.not_negotiated and len(each.looks) < LOOKS:
            return negotiate(name=name_of(LOOK, len(each.looks) + 1, each.title), called_aet=each.title)
        if not is_spent and (question := _next_question(each, case)) is not None:
            return question
        if each.was_lost and len(each.health) < CHECKS and not any(map(is_there, each.health)):
            number = len(each.health) + 1
            name = name_of(HEALTH, number, each.title)
            return negotiate(name=name, called_aet=each.title, delay=DELAY * (number - 1), limits=_CHECK)
    return None if is_spent else _beside(known, hello.result, case, attempts, identify)


def _beside(
    known: list[Known], hello: Negotiated, case: Case, attempts: Attempts, identify: Identify
) -> Job[Any] | None:
    """What is tried only where the grant says so, of a service that did not fall silent."""
    terms = case.terms
    if any(each.was_lost for each in known):
        return None
    for title in [each.title for each in known] if terms.blank_login else []:
        if (name := name_of(IDENTITY, 1, title)) not in attempts:
            return Negotiation(
                name=name,
                endpoint=case.endpoint,
                called_aet=title,
                calling_aet=terms.calling_aet,
                identify=identify,
                identity=BLANK,
            )
    for pretence in pretences(attempts, hello, terms.called_aets, known, terms.calling_aets):
        if pretence.name not in attempts and (terms.depth >= Depth.COUNT or not pretence.asks):
            return _pretending(pretence, case, identify)
    return None


def _pretending(pretence: Pretence, case: Case, identify: Identify) -> Job[Any]:
    """Under the title of somebody else: an association, and one query that is left after its first answer."""
    name, endpoint, called, caller = pretence.name, case.endpoint, pretence.called, pretence.caller
    if not pretence.asks:
        return Negotiation(name=name, endpoint=endpoint, called_aet=called, calling_aet=caller, identify=identify)
    return Inquiry(
        name=name,
        endpoint=endpoint,
        called_aet=called,
        calling_aet=caller,
        model=pretence.model,
        ask_echo=False,
        ask_worklist=pretence.worklist,
        narrow=False,
        queries=2,
        answers=1,
        today=case.terms.today,
        limits=_CHECK,
    )


def _to_negotiate(attempts: Attempts, hello: Negotiated, titles: tuple[Title, ...]) -> Iterator[tuple[str, Title, int]]:
    """Associations that only negotiate: (kind, title, number) of those that were not made, or were rejected for now."""
    hellos = attempts_of(attempts, HELLO)
    if is_transient(hello) and len(hellos) <= RETRIES:
        yield HELLO, "", len(hellos) + 1
    if not are_titles_tried(hello):
        return
    for title in titles:
        tried = attempts_of(attempts, TITLE, title)
        last = tried[-1] if tried else None
        if last is None or (isinstance(last, Completed) and is_transient(last.result) and len(tried) <= RETRIES):
            yield TITLE, title, len(tried) + 1


def _next_question(known: Known, case: Case) -> Inquiry | None:
    terms = case.terms
    if known.failed is not None or len(known.asks) >= MAX_ASKS:
        return None
    rejected = 0
    if known.last is not None and known.last.rj_result:
        # Also for good: the first association was accepted, and the next back end may be another one.
        rejected = sum(bool(ask.rj_result) for ask in known.asks)
        if rejected > RETRIES:
            return None
    wanted = {each.implementation: _wanted(each, terms) for each in known.back_ends}
    model = next((model for model, _ in wanted.values() if model is not Model.NONE), Model.NONE)
    worklist = any(worklist for _, worklist in wanted.values())
    echo = "verification" in known.accepted and not _echo_ended_it(known)
    seconds = terms.seconds - seconds_spent(case.attempts, known.title)
    queries = terms.queries - sum(ask.queries for ask in known.asks)
    answers = terms.answers - sum(ask.answers for ask in known.asks)
    has_questions = model is not Model.NONE or worklist or (echo and not known.asks)
    if not has_questions or min(queries, answers) <= 0 or seconds < _LEAST_SECONDS:
        return None
    is_counted = all(each.found("model") for each in known.back_ends) or any(ask.census for ask in known.asks)
    takes_census = terms.census and terms.depth >= Depth.CENSUS and not is_counted
    return Inquiry(
        name=name_of(ASK, len(known.asks) + 1, known.title),
        endpoint=case.endpoint,
        called_aet=known.title,
        calling_aet=terms.calling_aet,
        model=model,
        ask_echo=echo,
        ask_worklist=worklist,
        narrow=not all(each.found("model") for each in known.back_ends),
        skip=frozenset(name for name, parts in wanted.items() if not _is_for(parts, model)) - {""},
        take_census=takes_census,
        queries=queries,
        answers=answers,
        today=terms.today,
        key=terms.key,
        own=Own.of(terms.own_roots, terms.own_issuers),
        limits=Limits(
            deadline=seconds,
            idle_timeout=min(15.0, seconds),
            max_received=_BYTES_BESIDE + _BYTES_AN_ANSWER * answers,
        ),
        depth=Depth.CENSUS if takes_census else Depth.COUNT if terms.depth >= Depth.COUNT else Depth.TALK,
        delay=DELAY * rejected,
    )


def _wanted(known: Known, terms: Terms) -> tuple[Model, bool]:
    """The queries that are to be asked: of an information model, of a worklist."""
    may_list = terms.depth >= Depth.COUNT
    model = model_of(known.hello) if may_list and _is_needed(known, "model") else Model.NONE
    return model, may_list and "worklist_find" in known.hello.accepted and _is_needed(known, "worklist")


def _is_for(wanted: tuple[Model, bool], model: Model) -> bool:
    """Whether a back end with these wishes is to answer the queries of this model: who has another one comes later."""
    return wanted != (Model.NONE, False) and wanted[0] in (Model.NONE, model)


def seconds_spent(attempts: Mapping[str, Mapping[str, object]], title: Title) -> float:
    """Seconds in which the questions to a title had a connection."""
    spent, number = 0.0, 1
    while (stored := attempts.get(name_of(ASK, number, title))) is not None:
        seconds = stored.get("seconds", 0.0)
        spent += seconds if isinstance(seconds, int | float) else 0.0
        number += 1
    return spent


def _is_needed(known: Known, part: str) -> bool:
    """Whether one kind of query is to be asked: not yet, or once aborted, or turned down against what the first association
    was granted; not where the server went silent before it."""
    answers: list[Found] = known.found(part)
    if answers:
        return len(answers) == 1 and (answers[0].answer is Answer.ABORTED or answers[0].is_turned_down)
    end = known.last.ended if known.last is not None else None
    return end is None or end.stage is not Stage.TALK or _echo_ended_it(known)


def _echo_ended_it(known: Known) -> bool:
    """Whether C-ECHO ended an association: some servers serve queries only, and the next question goes without it."""
    return any(_is_end_by_echo(ask.ended) for ask in known.asks)


def _is_end_by_echo(end: Failed | None) -> bool:
    return end is not None and end.stage is Stage.TALK and end.reason in (Reason.ABORTED, Reason.RESET)
