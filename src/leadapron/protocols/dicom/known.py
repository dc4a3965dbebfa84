"""What the attempts at one endpoint say so far, by called title (see `leadapron.protocols.attempts`): `hello`,
`title:ARCHIVE`, `ask:ANY-SCP`, `look:ANY-SCP`, `health:ANY-SCP`. Pure functions of what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from leadapron.model import Attempt, Census, Completed, Failed, Reason, Stage
from leadapron.protocols.attempts import Attempts, attempts_of, last_hello
from leadapron.protocols.dicom.back_ends import at_least, together
from leadapron.protocols.dicom.census import Censused
from leadapron.protocols.dicom.counting import Model
from leadapron.protocols.dicom.found import Answer, Found
from leadapron.protocols.dicom.inquiry import InquiryResult
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Outcome
from leadapron.protocols.health import CHECKS, HEALTH, SILENCE, is_there

Title = str

TITLE, ASK, LOOK, IDENTITY = "title", "ask", "look", "identity"

_USER, _ACSE, _PRESENTATION = 1, 2, 3
"""Sources of a rejection (PS3.8 Table 9-21)."""
_PERMANENT, _TRANSIENT = 1, 2
_NO_REASON, _CALLING, _CALLED = 1, 3, 7
"""Reasons of the service user; the first also of the ACSE provider."""


# -- rejections (PS3.8 Table 9-21) -------------------------------------------------------------------------------------

Rejection = Negotiated | InquiryResult


def is_transient(answer: Rejection) -> bool:
    """Rejected for now: transient, or by a presentation provider that is congested or at its limit."""
    return answer.rj_result == _TRANSIENT or (answer.rj_result == _PERMANENT and answer.rj_source == _PRESENTATION)


def is_refusal(answer: Rejection) -> bool:
    """Rejected for good, because of who asks or is asked, or without a reason. Another protocol version is none."""
    reasons = {_USER: (_NO_REASON, _CALLING, _CALLED), _ACSE: (_NO_REASON,)}
    return answer.rj_result == _PERMANENT and answer.rj_reason in reasons.get(answer.rj_source, ())


def _knows_not(answer: Negotiated, title: int) -> bool:
    return (answer.rj_result, answer.rj_source, answer.rj_reason) == (_PERMANENT, _USER, title)


def knows_not_caller(answer: Negotiated) -> bool:
    """Rejected because of the calling title."""
    return _knows_not(answer, _CALLING)


def enforcement(attempts: Attempts, titles: tuple[Title, ...]) -> dict[str, bool]:
    """Whether titles are checked: by the answers to a called and a calling title that mean nothing to the server."""
    hello = last_hello(attempts)
    if not isinstance(hello, Completed):
        return {}
    if hello.result.outcome is Outcome.ACCEPTED:
        return {"called_title_enforced": False, "calling_title_enforced": False}
    facts: dict[str, bool] = {}
    if _knows_not(hello.result, _CALLED):
        facts["called_title_enforced"] = True
    tried = [each for title in titles for each in attempts_of(attempts, TITLE, title)]
    answers = [attempt.result for attempt in (hello, *tried) if isinstance(attempt, Completed)]
    if any(answer.outcome is Outcome.ACCEPTED for answer in answers):
        facts["calling_title_enforced"] = False
    elif any(_knows_not(answer, _CALLING) for answer in answers):
        facts["calling_title_enforced"] = True
    return facts


# -- titles ------------------------------------------------------------------------------------------------------------


def are_titles_tried(hello: Negotiated) -> bool:
    """Only where the title of nobody is rejected for good, and not because of who calls."""
    return is_refusal(hello) and not _knows_not(hello, _CALLING)


def unsettled_titles(
    attempts: Attempts, hello: Negotiated, titles: tuple[Title, ...], *, is_spent: bool
) -> Iterator[Failed]:
    """Why we do not know of a title that the owner told us whether it is let in. `is_spent`: no association was left."""
    if not are_titles_tried(hello):
        return
    for title in titles:
        tried = attempts_of(attempts, TITLE, title)
        if not tried:
            yield Failed(stage=Stage.HANDSHAKE, reason=Reason.BUDGET if is_spent else Reason.STOPPED)
        elif isinstance(last := tried[-1], Failed):
            yield last
        elif last.result.outcome is Outcome.ABORTED:
            yield Failed(stage=Stage.HANDSHAKE, reason=Reason.ABORTED)
        elif last.result.outcome is Outcome.REJECTED and not is_refusal(last.result):
            yield Failed(stage=Stage.HANDSHAKE, reason=Reason.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known about one called title."""

    title: Title
    hello: Negotiated
    asks: tuple[InquiryResult, ...] = ()
    failed: Failed | None = None
    """the last question, where it did not even make an association"""
    health: tuple[Attempt[Negotiated], ...] = ()
    looks: tuple[Attempt[Negotiated], ...] = ()
    """associations that only negotiate, for what a back end is that only answered questions"""
    implementation: str = ""
    """of one of several back ends: its own"""

    @property
    def back_ends(self) -> tuple[Known, ...]:
        """Where several implementations answer in turn, what is known of each; else itself alone."""
        names = self.implementations
        if self.implementation or len(names) < 2:
            return (self,)
        hellos = self._hellos
        return tuple(
            replace(
                self,
                hello=hellos.get(name, self.hello),
                asks=tuple(ask for ask in self.asks if ask.implementation in ("", name)),
                implementation=name,
            )
            for name in sorted(names)
        )

    @property
    def implementations(self) -> frozenset[str]:
        """Those that answered under this title."""
        return frozenset((*self._hellos, *(ask.implementation for ask in self.asks))) - {""}

    @property
    def not_negotiated(self) -> frozenset[str]:
        """The implementations of which it is not known which contexts they accept."""
        return self.implementations - self._hellos.keys()

    @property
    def _hellos(self) -> dict[str, Negotiated]:
        """By implementation: the first answer of each to the request with every context."""
        completed = (each.result for each in (*self.health, *self.looks) if isinstance(each, Completed))
        hellos = (self.hello, *completed)
        return {each.implementation: each for each in reversed(hellos) if each.outcome is Outcome.ACCEPTED}

    @property
    def accepted(self) -> frozenset[str]:
        """The contexts that a stranger is granted, by whichever back end."""
        return frozenset(name for each in self.back_ends for name in each.hello.accepted)

    @property
    def contradicts_itself(self) -> bool:
        """Whether an association like one that was accepted was rejected for good, or a query answered in another way."""
        if any(ask.rj_result and not is_transient(ask) for ask in self.asks):
            return True
        return any(_differ(each, part) for each in self.back_ends for part in ("model", "worklist"))

    @property
    def last(self) -> InquiryResult | None:
        return self.asks[-1] if self.asks else None

    def found(self, part: str) -> list[Found]:
        """The answers to one kind of query, `model` or `worklist`, in their order."""
        return [found for ask in self.asks if (found := getattr(ask, part)) is not None]

    def settled(self, part: str) -> Found | None:
        """The answer that counts: what was proven, by whichever back end; an abort only where it was all that ever came."""
        answers = self.found(part)
        if proven := [found for found in answers if found.answer is Answer.PROVEN]:
            joined = together(proven)
            return at_least(joined) if self._may_show_more(part) else joined
        others = [found for found in answers if found.answer is not Answer.ABORTED]
        return others[-1] if others else answers[0] if answers else None

    def _may_show_more(self, part: str) -> bool:
        """Whether one of several back ends neither answered this kind of query nor refused it."""
        if len(self.back_ends) < 2:
            return False
        return bool(self.not_negotiated) or any(
            part in parts_of(each.hello) and not _has_proven(each, part) and not _is_refused(each, part)
            for each in self.back_ends
        )

    def refuses(self, part: str) -> bool:
        """Whether a kind of query is refused, by each back end that is known."""
        return all(_is_refused(each, part) for each in self.back_ends)

    @property
    def census(self) -> Census | None:
        """The largest that was taken."""
        best = self._largest
        return None if best is None else Census(sampled=best.sampled, present=best.present)

    @property
    def signs(self) -> Mapping[str, int]:
        """Of the census that counts."""
        return self._largest.signs if self._largest is not None else {}

    @property
    def _largest(self) -> Censused | None:
        taken = [ask.census for ask in self.asks if ask.census is not None and ask.census.sampled]
        return max(taken, key=lambda census: census.sampled, default=None)

    @property
    def why_no_census(self) -> Reason | None:
        """Why one that was begun is none, or smaller than it might be."""
        return next((ask.census.why for ask in self.asks if ask.census is not None and ask.census.why), None)

    @property
    def was_lost(self) -> bool:
        """Whether a question ended in a silence behind which the service may be down."""
        ends = [ask.ended for ask in self.asks if not ask.rj_result]
        return any(end is not None and end.reason in SILENCE for end in (*ends, self.failed))

    @property
    def is_silent(self) -> bool:
        """Whether it stopped answering: looked for `CHECKS` times, and not there."""
        return len(self.health) >= CHECKS and not any(map(is_there, self.health))


def _has_proven(known: Known, part: str) -> bool:
    return any(found.answer is Answer.PROVEN for found in known.found(part))


def _differ(known: Known, part: str) -> bool:
    """Whether one implementation answered the same query in different ways."""
    found = known.found(part)
    answers = {each.answer for each in found} - {Answer.UNKNOWN}
    return len(answers) > 1 or (part in parts_of(known.hello) and any(each.is_turned_down for each in found))


def _is_refused(known: Known, part: str) -> bool:
    """By a status, at once; by a context that the first association was granted, once that is reproduced; by an abort, once
    it is reproduced where C-ECHO works."""
    answers, settled = known.found(part), known.settled(part)
    if settled is not None and settled.answer is Answer.REFUSED:
        return not settled.is_turned_down or sum(found.is_turned_down for found in answers) > 1
    aborts = [found for found in answers if found.answer is Answer.ABORTED]
    return 1 < len(aborts) == len(answers) and any(ask.echo_status == 0 for ask in known.asks)


def titles_that_work(attempts: Attempts, hello: Negotiated, titles: tuple[Title, ...]) -> Iterator[Known]:
    """Those that are let in: nobody's, else of those that the owner told us."""
    candidates: list[tuple[Title, list[Attempt[Negotiated]]]] = [(ANY_TITLE, [Completed(result=hello)])]
    candidates += [(title, attempts_of(attempts, TITLE, title)) for title in titles]
    for title, tried in candidates:
        if not tried or not isinstance(last := tried[-1], Completed) or last.result.outcome is not Outcome.ACCEPTED:
            continue
        asks = attempts_of(attempts, ASK, title)
        yield Known(
            title=title,
            hello=last.result,
            asks=tuple(ask.result for ask in asks if isinstance(ask, Completed)),
            failed=asks[-1] if asks and isinstance(asks[-1], Failed) else None,
            health=tuple(attempts_of(attempts, HEALTH, title)),
            looks=tuple(attempts_of(attempts, LOOK, title)),
        )


def model_of(hello: Negotiated) -> Model:
    """The information model that is accepted; the study root where both are."""
    if "study_find" in hello.accepted:
        return Model.STUDY_ROOT
    return Model.PATIENT_ROOT if "patient_find" in hello.accepted else Model.NONE


def parts_of(hello: Negotiated) -> Iterator[str]:
    """The kinds of queries that the negotiation allows."""
    if model_of(hello) is not Model.NONE:
        yield "model"
    if "worklist_find" in hello.accepted:
        yield "worklist"
