"""From the attempts at one endpoint to its observations: the verdict table of `docs/dicom.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from leadapron.model import (
    Access,
    Completed,
    Counts,
    Depth,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.protocols.attempts import Attempts, last_hello, name_of
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.callers import CALLER, Pretence, bound, pretences
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.known import (
    IDENTITY,
    Known,
    enforcement,
    is_refusal,
    parts_of,
    titles_that_work,
    unsettled_titles,
)
from leadapron.protocols.dicom.negotiation import CONTEXTS, Negotiated, Outcome
from leadapron.protocols.health import AFTERWARDS, is_there

PROTOCOL = "dicom"

_RETRIEVE = ("study_move", "patient_move", "study_get", "patient_get")
_STORE = ("ct_storage", "mr_storage", "cr_storage", "sc_storage")
_CLASSES = {
    "query": ("study_find", "patient_find"),
    "retrieve": _RETRIEVE,
    "store": _STORE,
    "worklist": ("worklist_find",),
}


def conclude(case: Case, attempts: Attempts) -> tuple[Sequence[Observation], Failed | None]:
    """The services that were seen, or why none could be."""
    hello = last_hello(attempts)
    if isinstance(hello, Failed):
        return (), hello
    titles = case.terms.called_aets
    is_spent = len(attempts) >= case.terms.associations
    unsettled = list(unsettled_titles(attempts, hello.result, titles, is_spent=is_spent))
    enforced = enforcement(attempts, titles)
    working = list(titles_that_work(attempts, hello.result, titles))
    tried = list(pretences(attempts, hello.result, titles, working, case.terms.calling_aets))
    enforced |= _bound(attempts, tried)
    if working:
        observations = [
            _observe(known, case, enforced | _identity(attempts, known.title), [], len(attempts)) for known in working
        ]
        left = [*unsettled, *_failed_beside(attempts)]
    else:
        observations = [_observe(Known(title="", hello=hello.result), case, enforced, unsettled, len(attempts))]
        left = _failed_beside(attempts)
    first = observations[0]
    return [replace(first, unknowns=tuple(dict.fromkeys((*first.unknowns, *left)))), *observations[1:]], None


def _failed_beside(attempts: Attempts) -> list[Failed]:
    """Why a blank login, or a title of a peer, came to nothing."""
    kinds = (f"{IDENTITY}:", f"{CALLER}:")
    return [attempt for name, attempt in attempts.items() if name.startswith(kinds) and isinstance(attempt, Failed)]


def _bound(attempts: Attempts, tried: list[Pretence]) -> dict[str, bool]:
    """Whether a title of a peer needs more than to be known."""
    is_bound = bound(attempts, tried)
    return {} if is_bound is None else {"caller_bound": is_bound}


def _identity(attempts: Attempts, title: str) -> dict[str, bool]:
    """What became of a blank user identity (PS3.7 section D.3.3.7): a system may ignore it, refuse it, or answer."""
    attempt = attempts.get(name_of(IDENTITY, 1, title))
    if not isinstance(attempt, Completed) or attempt.result.outcome is Outcome.ABORTED:
        return {}
    answer: Negotiated = attempt.result
    accepted = answer.outcome is Outcome.ACCEPTED
    if not accepted and not is_refusal(answer):
        return {}
    return {
        "identity_ignored": accepted and not answer.identity_response,
        "identity_blank_accepted": accepted and answer.identity_response,
    }


def _observe(
    known: Known, case: Case, enforced: Mapping[str, bool], unsettled: list[Failed], associations: int
) -> Observation:
    """`unsettled`: titles that may be let in, where none that we know of is."""
    hello = known.hello
    model, worklist = known.settled("model"), known.settled("worklist")
    is_refused = is_refusal(hello) and not unsettled
    listed, unknowns = _listed(known, case, unsettled, associations)
    if known.is_silent:
        unknowns += [replace(check, stage=Stage.TALK) for check in known.health[-1:] if isinstance(check, Failed)]
    return Observation(
        service=Service(endpoint=case.endpoint, protocol=PROTOCOL, resource=known.title),
        access=Access(
            reach=Verdict.PROVEN,
            talk=_talk(hello, is_refused=is_refused),
            list=listed,
            read=_offered(known, _RETRIEVE, is_refused=is_refused),
            write=_offered(known, _STORE, is_refused=is_refused),
        ),
        counts=Counts(
            studies=model.studies if model else None,
            series=model.series if model else None,
            images=model.images if model else None,
            worklist=worklist.worklist if worklist else None,
        ),
        census=known.census,
        product=hello.product if hello.outcome is Outcome.ACCEPTED else Product(),
        owner=case.terms.owner,
        facts=_facts(known, case.terms, enforced, associations),
        unknowns=tuple(dict.fromkeys(unknowns)),
    )


def _talk(hello: Negotiated, *, is_refused: bool) -> Verdict:
    if hello.outcome is Outcome.ACCEPTED:
        return Verdict.PROVEN
    return Verdict.REFUSED if is_refused else Verdict.UNKNOWN


def _offered(known: Known, contexts: tuple[str, ...], *, is_refused: bool) -> Verdict:
    if known.hello.outcome is Outcome.ACCEPTED:
        if not known.accepted.isdisjoint(contexts):
            return Verdict.OFFERED
        return Verdict.UNKNOWN if known.not_negotiated else Verdict.REFUSED
    return Verdict.REFUSED if is_refused else Verdict.UNKNOWN


def _listed(known: Known, case: Case, unsettled: list[Failed], associations: int) -> tuple[Verdict, list[Failed]]:
    """The verdict on `list`, and a reason for everything that stays unknown or inexact."""
    hello = known.hello
    if hello.outcome is not Outcome.ACCEPTED:
        if is_refusal(hello):
            return (Verdict.UNKNOWN if unsettled else Verdict.REFUSED), unsettled
        reason = Reason.ABORTED if hello.outcome is Outcome.ABORTED else Reason.REFUSED
        return Verdict.UNKNOWN, [Failed(stage=Stage.HANDSHAKE, reason=reason), *unsettled]
    if case.terms.depth < Depth.COUNT:
        return Verdict.NOT_ASKED, []
    verdicts: set[Verdict] = set()
    unknowns: list[Failed] = []
    is_spent = associations >= case.terms.associations
    for each in known.back_ends:
        for part in parts_of(each.hello):
            verdict, why = _part(each, part, is_spent=is_spent)
            verdicts.add(verdict)
            unknowns += [why] if why is not None else []
    if len(known.back_ends) > 1:
        unknowns += _apart(known)
    if known.not_negotiated:  # a back end that never came up again
        verdicts.add(Verdict.UNKNOWN)
        unknowns.append(Failed(stage=Stage.LIST, reason=Reason.BUDGET if is_spent else Reason.LIMIT))
    if (uncounted := _why_no_census(known, case.terms)) is not None:
        unknowns.append(Failed(stage=Stage.CENSUS, reason=uncounted))
    if Verdict.PROVEN in verdicts:
        return Verdict.PROVEN, unknowns
    return (Verdict.UNKNOWN if Verdict.UNKNOWN in verdicts else Verdict.REFUSED), unknowns


def _apart(known: Known) -> Iterator[Failed]:
    """Why a count is not exact where several back ends have one each."""
    for part in ("model", "worklist"):
        found = known.settled(part)
        if found is not None and found.answer is Answer.PROVEN and found.why is not None:
            yield Failed(stage=Stage.COUNT, reason=found.why)


def _part(known: Known, part: str, *, is_spent: bool) -> tuple[Verdict, Failed | None]:
    """What one kind of query says, and why it does not say more. `is_spent`: no association was left to ask in."""
    found = known.settled(part)
    if found is None:
        return Verdict.UNKNOWN, _why_nothing(known, is_spent=is_spent)
    if found.answer is Answer.PROVEN:
        return Verdict.PROVEN, Failed(stage=Stage.COUNT, reason=found.why) if found.why is not None else None
    if known.refuses(part):
        return Verdict.REFUSED, None
    if found.answer is Answer.REFUSED:  # by one of several back ends, or by a contradiction that was not reproduced
        return Verdict.UNKNOWN, _why_nothing(known, is_spent=is_spent)
    return Verdict.UNKNOWN, Failed(stage=Stage.LIST, reason=found.why or Reason.PROTOCOL)


def _why_no_census(known: Known, terms: Terms) -> Reason | None:
    """Why a census that was to be taken is none, or smaller than it might be."""
    model = known.settled("model")
    is_due = terms.census and terms.depth >= Depth.CENSUS and model is not None and model.answer is Answer.PROVEN
    if not is_due or known.why_no_census is not None or known.census is not None:
        return known.why_no_census if is_due else None
    end = known.last.ended if known.last is not None else None
    return end.reason if end is not None else Reason.BUDGET


def _why_nothing(known: Known, *, is_spent: bool) -> Failed:
    """Why a query was not even asked. Where nothing was, and nothing forbade it, the run ended before."""
    if known.failed is not None:
        return known.failed
    if known.last is not None and known.last.ended is not None:
        return known.last.ended
    return Failed(stage=Stage.LIST, reason=Reason.BUDGET if known.asks or is_spent else Reason.STOPPED)


def _facts(known: Known, terms: Terms, enforced: Mapping[str, bool], associations: int) -> dict[str, int | bool]:
    hello = known.hello
    facts: dict[str, int | bool] = {
        "associated": hello.outcome is Outcome.ACCEPTED,
        "rejected": hello.outcome is Outcome.REJECTED,
        "associations": associations,
        "queries": sum(ask.queries for ask in known.asks),
        **enforced,
    }
    if hello.outcome is Outcome.ACCEPTED:
        known_of = known.accepted if known.not_negotiated else CONTEXTS
        facts |= {f"context.{name}": name in known.accepted for name in CONTEXTS if name in known_of}
        classes = sum(not known.accepted.isdisjoint(names) for names in _CLASSES.values())
        if classes > 1 or not known.not_negotiated:
            facts["service_classes"] = classes
    if terms.depth >= Depth.CENSUS and not terms.census and known.census is None:
        facts["census_withheld"] = True
    if len(known.implementations) > 1:
        facts["implementations"] = len(known.implementations)
    if known.contradicts_itself:
        facts["answers_differ"] = True
    if known.health:
        facts[AFTERWARDS] = any(map(is_there, known.health))
    facts |= {f"sign.{name}": count for name, count in known.signs.items()}
    return facts | _facts_of_answers(known.settled("model"), known.settled("worklist"))


def _facts_of_answers(model: Found | None, worklist: Found | None) -> dict[str, int | bool]:
    facts: dict[str, int | bool] = {}
    if model is not None and model.answer is Answer.PROVEN:
        facts |= {"find_answers": model.most_answers, "bad_claims": model.bad_claims}
        if model.own_studies is not None:
            facts["own_studies"] = model.own_studies
        if model.status >= 0:  # without a final status nobody knows whether it caps
            facts["find_capped"] = model.capped
    if worklist is not None and worklist.answer is Answer.PROVEN:
        facts["worklist_answers"] = worklist.most_answers
    return facts
