"""What the answers to one kind of query mean: the part of the verdict table that a server's answer decides.

Numbers and enum members only. The table is in `docs/dicom.md`; what needs a second association is `probe`'s part.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from leadapron.model import Count, Reason
from leadapron.protocols.dicom.wire.dimse import Status


class Answer(enum.StrEnum):
    """What a server's answer to a query means for the verdict on `list`."""

    PROVEN = "proven"
    REFUSED = "refused"
    ABORTED = "aborted"
    """aborted after C-FIND: refused once reproduced where C-ECHO works. A close without a word says nothing"""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The answer to one kind of query. `why` is set whenever the verdict is unknown or a count is not exact."""

    answer: Answer
    why: Reason | None = None
    status: int = -1
    """the last final status, -1 where none came"""
    most_answers: int = 0
    """pending answers to the most generous single query"""
    capped: bool = False
    bad_claims: int = 0
    looping: bool = False
    studies: Count | None = None
    series: Count | None = None
    images: Count | None = None
    worklist: Count | None = None
    own_studies: int | None = None
    """of those that were listed, how many are below the UID roots of who audits; None where those are not known"""

    @property
    def is_turned_down(self) -> bool:
        """Not even asked: its presentation context was rejected."""
        return self.answer is Answer.REFUSED and self.status < 0


SMALLEST_CAP = 10
"""Nobody caps below this."""
NEARLY = 50
"""From here on one answer more or less than a likely cap is suspect too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How one query ended, with a final status."""

    status: int
    answers: int
    """pending ones"""
    cut: Reason | None = None
    """why we cancelled it: whatever status came then, it says nothing about the server"""

    @property
    def is_whole(self) -> bool:
        return self.status == Status.SUCCESS and self.cut is None

    @property
    def is_capped(self) -> bool:
        return self.cut is None and is_cap(self.status, self.answers)

    @property
    def why_not_exact(self) -> Reason | None:
        """Why this query alone does not make an exact count; None where it does."""
        if self.cut is not None:
            return self.cut
        if self.is_capped or (self.is_whole and may_be_a_cap(self.answers)):
            return Reason.LIMIT
        return None if self.is_whole else Reason.PROTOCOL


def is_cap(status: int, seen: int) -> bool:
    """A7xx, Cxxx, or an FE00 that we did not ask for behind answers."""
    return status >> 8 == 0xA7 or status >> 12 == 0xC or (status == Status.CANCEL and seen > 0)


def may_be_a_cap(answers: int) -> bool:
    """Whether so many answers are a number at which products stop without a word: 25, 64, 100, 256, 999, 2500 …"""
    return _is_likely(answers) or any(
        _is_likely(near) and near >= NEARLY and (not near % NEARLY or not near & (near - 1))
        for near in (answers - 1, answers + 1)
    )


def _is_likely(number: int) -> bool:
    """A power of two, two digits and zeros, or a small multiple of 25."""
    if number < SMALLEST_CAP:
        return False
    digits = len(str(number))
    return not number & (number - 1) or not number % 10 ** max(1, digits - 2) or (digits < 4 and not number % 25)


def without_answers(status: int) -> Found:
    """What a final status without answers says."""
    if status in (Status.SOP_CLASS_NOT_SUPPORTED, Status.NOT_AUTHORIZED):
        return Found(answer=Answer.REFUSED, status=status)
    if status == Status.SUCCESS:
        return Found(answer=Answer.UNKNOWN, why=Reason.EMPTY, status=status)
    if is_cap(status, 0):
        return Found(answer=Answer.UNKNOWN, why=Reason.LIMIT, status=status)
    return Found(answer=Answer.UNKNOWN, why=Reason.PROTOCOL, status=status)


def without_end(seen: int, reason: Reason, worklist: Count | None = None) -> Found:
    """What a query says that got no final status."""
    if seen:
        return Found(answer=Answer.PROVEN, why=reason, most_answers=seen, worklist=worklist)
    return Found(answer=Answer.ABORTED if reason is Reason.ABORTED else Answer.UNKNOWN, why=reason)
