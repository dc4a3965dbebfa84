"""Whether a calling title alone opens a server: titles of its peers, which the owner told us, tried from our address.

Only where a stranger is refused: his association because of his title, or his query. One association for each title that
the owner told us, with one query at most that is left after its first answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leadapron.model import Completed
from leadapron.protocols.attempts import Attempts, attempts_of
from leadapron.protocols.dicom.counting import Model
from leadapron.protocols.dicom.found import Answer
from leadapron.protocols.dicom.inquiry import InquiryResult
from leadapron.protocols.dicom.known import TITLE, Known, Title, is_refusal, knows_not_caller, model_of
from leadapron.protocols.dicom.negotiation import ANY_TITLE, Negotiated, Outcome

CALLER = "caller"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretence:
    """One association under the title of somebody else. `model` NONE: it only negotiates."""

    caller: Title
    called: Title
    model: Model = Model.NONE
    worklist: bool = False

    @property
    def asks(self) -> bool:
        """Whether it goes on to a query."""
        return self.worklist or self.model is not Model.NONE

    @property
    def name(self) -> str:
        return f"{CALLER}:{self.caller}:{self.called}"


def pretences(
    attempts: Attempts, hello: Negotiated, titles: tuple[Title, ...], known: list[Known], callers: tuple[Title, ...]
) -> Iterator[Pretence]:
    """All that may be tried, tried or not."""
    for caller in callers:
        for called in _shut(attempts, hello, titles):
            yield Pretence(caller=caller, called=called)
        for each in known:
            model = model_of(each.hello) if each.refuses("model") else Model.NONE
            worklist = each.refuses("worklist")
            if model is not Model.NONE or worklist:
                yield Pretence(caller=caller, called=each.title, model=model, worklist=worklist)


def _shut(attempts: Attempts, hello: Negotiated, titles: tuple[Title, ...]) -> Iterator[Title]:
    """The called titles under which an association was rejected because of who calls."""
    if knows_not_caller(hello):
        yield ANY_TITLE
    for title in titles:
        tried = attempts_of(attempts, TITLE, title)
        if tried and isinstance(last := tried[-1], Completed) and knows_not_caller(last.result):
            yield title


def bound(attempts: Attempts, tried: list[Pretence]) -> bool | None:
    """Whether titles are bound to their owners: True where each pretence was refused, False where one got in, None where
    nothing was tried or an answer says neither."""
    answers = [_got_in(attempts, each) for each in tried]
    if True in answers:
        return False
    return True if answers and None not in answers else None


def _got_in(attempts: Attempts, pretence: Pretence) -> bool | None:
    attempt = attempts.get(pretence.name)
    if not isinstance(attempt, Completed):
        return None
    if isinstance(attempt.result, InquiryResult):
        return _was_answered(attempt.result)
    answer: Negotiated = attempt.result
    if answer.outcome is Outcome.ACCEPTED:
        return True
    return False if is_refusal(answer) else None


def _was_answered(result: InquiryResult) -> bool | None:
    if result.rj_result:
        return False if is_refusal(result) else None
    answers = [found.answer for found in (result.model, result.worklist) if found is not None]
    if Answer.PROVEN in answers:
        return True
    return False if set(answers) == {Answer.REFUSED} else None  # an abort says so only once it is reproduced
