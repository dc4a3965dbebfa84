"""What the answer to a query means: the verdict table of `docs/dicom.md`."""

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
    """by an A-ABORT after C-FIND: refused once reproduced where C-ECHO works"""
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


def without_end(seen: int, reason: Reason, worklist: Count | None = None) -> Found:
    """A query that got no final status."""
    if seen:
        return Found(answer=Answer.PROVEN, why=reason, most_answers=seen, worklist=worklist)
    return Found(answer=Answer.ABORTED if reason is Reason.ABORTED else Answer.UNKNOWN, why=reason)


def is_cap(status: int, seen: int) -> bool:
    """A7xx, Cxxx, or an FE00 that we did not ask for behind answers."""
    return status >> 8 == 0xA7 or status >> 12 == 0xC or (status == Status.CANCEL and seen > 0)


def meaning(status: int) -> tuple[Answer, Reason | None]:
    """What a final status without answers says."""
    if status in (Status.SOP_CLASS_NOT_SUPPORTED, Status.NOT_AUTHORIZED):
        return Answer.REFUSED, None
    if status == Status.SUCCESS:
        return Answer.UNKNOWN, Reason.EMPTY
    if is_cap(status, 0):
        return Answer.UNKNOWN, Reason.LIMIT
    return Answer.UNKNOWN, Reason.PROTOCOL
