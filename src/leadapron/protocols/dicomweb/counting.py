"""Counting the studies of one archive over HTTP: page by page, and by study date where it caps its answers.

What is asked for is the least: UIDs, dates, and the numbers of related objects (PS3.18 section 8.3.4). Servers send more,
names too, which end where they are parsed.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from leadapron.errors import WireError
from leadapron.model import Attempt, Completed, Count, CountSource, Failed, Reason, Stage
from leadapron.net.conversation import Conversation, Lost, Steps
from leadapron.protocols.attempts import ended_by_us
from leadapron.protocols.base import Terms
from leadapron.protocols.dicom.found import Reply, may_be_a_cap
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.dicom.splitting import Splitting
from leadapron.protocols.dicom.wire.dimse import Status
from leadapron.protocols.dicomweb.documents import Row, Totals, orthanc_studies, statistics, studies, total
from leadapron.protocols.digests import Digests
from leadapron.protocols.http.exchange import NoAnswer
from leadapron.protocols.http.web import BUSY, LOCKED, WebJob
from leadapron.protocols.payload import APART
from leadapron.protocols.shown import packed

PAGE = 500
"""Studies that are asked for at once."""
MAX_PAGE = 8 << 20
"""Bytes."""
JSON = ((b"Accept", b"application/dicom+json"),)
PLAIN_JSON = ((b"Accept", b"application/json"),)

IN_VAIN = 8
"""Pieces in a row that are refused, before no smaller one is tried."""

_OK, _NO_CONTENT = 200, 204
_A_CAP = 0xA700
"""As which a page that was cut is told to `Splitting`."""


class Api(enum.StrEnum):
    QIDO = "qido"
    ORTHANC = "orthanc"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebCount:
    """What was counted. `why`: it is not exact. `claimed`: what a route that counts said, in place of our own count."""

    studies: Count | None = None
    series: Count | None = None
    images: Count | None = None
    patients: Count | None = None
    status: int = -1
    """of the first page"""
    answers: int = 0
    is_capped: bool = False
    ignores_offset: bool = False
    bad_rows: int = 0
    """on the page that had most of them"""
    own_studies: int | None = None
    requests: int = 0
    budget: int = 0
    """the answers that it might have had"""
    why: Reason | None = None
    ended: Failed | None = None
    """we ended it"""
    shown: bytes = field(default=b"", repr=False, metadata={APART: True})

    def was_cut(self, terms: Terms) -> bool:
        return self.why in (Reason.BUDGET, Reason.TIMEOUT) and self.budget < terms.answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting(WebJob):
    """The job: of one archive, whose QIDO-RS routes, or Orthanc's, lie behind `base`. `answers` is its budget."""

    api: Api
    base: str
    route: str = "studies"
    answers: int
    today: dt.date
    key: bytes = field(default=b"", repr=False)
    own: Own = field(default_factory=Own)

    def converse(self) -> Conversation[WebCount]:
        counter = _Counter(self)
        try:
            yield from counter.run()
        except Lost as lost:
            return counter.result(lost.reason)
        except NoAnswer as none:
            return counter.result(none.reason)
        return counter.result(None)


class _Counter:
    def __init__(self, job: Counting) -> None:
        self._job, self._client = job, job.client()
        self._digests, self._seen = Digests(job.key), set[int]()
        self._images: list[int] = []
        self._series: list[int] = []
        self._own = 0
        self._status, self._bad, self._answers = -1, 0, 0
        self._is_whole = self._is_capped = self._ignores = False
        self._largest = 0
        """answers to one page"""
        self._totals: Totals | None = None
        self._total: int | None = None
        self._why: Reason | None = None

    def run(self) -> Steps[None]:
        """Raises NoAnswer, Lost."""
        if self._job.api is Api.ORTHANC:
            yield from self._ask_statistics()
        else:
            yield from self._ask_total()
        self._is_whole = yield from self._pages()
        if self._is_capped and self._job.api is Api.QIDO and not self._is_whole:
            yield from self._split()

    def _ask_statistics(self) -> Steps[None]:
        answer = yield from self._client.get(b"/statistics", PLAIN_JSON)
        if answer.status == _OK and answer.why is None:
            self._totals = statistics(answer.body)

    def _ask_total(self) -> Steps[None]:
        """dcm4chee-arc's own route; others do not have it, and say so."""
        answer = yield from self._client.get(f"{self._job.base}/studies/count".encode(), PLAIN_JSON, max_body=1 << 12)
        if answer.status == _OK and answer.why is None:
            self._total = total(answer.body)

    # -- pages ---------------------------------------------------------------------------------------------------------

    def _pages(self) -> Steps[bool]:
        """All pages, until one is empty: a page that is shorter than asked for may be one that the server capped. Whether
        they came to their end. Raises NoAnswer, Lost."""
        offset = 0
        while True:
            if self._answers >= self._job.answers:
                self._why = Reason.BUDGET
                return False
            rows = yield from self._page(offset, "")
            if rows is None:
                return False
            self._largest = max(self._largest, len(rows))
            offset += len(rows)
            if not rows:
                return True
            if not self._take(rows):  # the same again
                self._ignores = True
                self._is_capped = len(rows) == PAGE or may_be_a_cap(len(rows))
                self._why = Reason.LIMIT if self._is_capped else None
                return not self._is_capped

    def _page(self, offset: int, narrowing: str) -> Steps[list[Row] | None]:
        target, read = self._target(offset, narrowing)
        answer = yield from self._client.get(target.encode(), JSON, max_body=MAX_PAGE)
        if self._status < 0:
            self._status = answer.status
        if answer.status == _NO_CONTENT:
            return []
        if answer.status != _OK or answer.why is not None:
            self._why = answer.why or (Reason.LIMIT if answer.status in BUSY else Reason.PROTOCOL)
            self._why = Reason.AUTH if answer.status in LOCKED else self._why
            self._is_capped = self._is_capped or answer.status in BUSY
            return None
        try:
            rows, bad = read(answer.body)
            self._bad = max(self._bad, bad)
        except WireError:
            self._why = Reason.PROTOCOL
            return None
        self._answers += len(rows) + bad
        return rows

    def _target(self, offset: int, narrowing: str) -> tuple[str, Callable[[bytes], tuple[list[Row], int]]]:
        if self._job.api is Api.ORTHANC:
            asked = "requestedTags=NumberOfStudyRelatedInstances"
            return f"/studies?expand&since={offset}&limit={PAGE}&{asked}", orthanc_studies
        fields = "includefield=00201208&includefield=00201206"
        return f"{self._job.base}/{self._job.route}?limit={PAGE}&offset={offset}&{fields}{narrowing}", studies

    def _take(self, rows: list[Row]) -> int:
        """How many of them are new."""
        fresh = 0
        for row in rows:
            if (number := hash(row.uid)) in self._seen:
                continue
            self._seen.add(number)
            self._digests.add(row.uid)
            self._images.append(row.images)
            self._series.append(row.series)
            self._own += row.uid.startswith(self._job.own.roots)
            fresh += 1
        return fresh

    def _split(self) -> Steps[None]:
        """By study date, one page each. Studies without one stay unseen, so that the sum is a bound."""
        splitting = Splitting(self._job.today)
        in_vain = 0
        while (piece := splitting.next()) is not None and in_vain < IN_VAIN:
            if piece.hours < 24 or piece.accession:
                continue
            if self._answers >= self._job.answers:
                self._why = Reason.BUDGET
                return
            rows = yield from self._page(0, f"&StudyDate={piece.date_range().decode()}")
            is_cut = rows is None or 0 < self._largest <= len(rows)
            in_vain = 0 if rows and self._take(rows) else in_vain + (rows is None)
            splitting.take(piece, Reply(status=_A_CAP if is_cut else Status.SUCCESS, answers=len(rows or ())))
        self._why = Reason.LIMIT

    # -- result --------------------------------------------------------------------------------------------------------

    def result(self, lost: Reason | None) -> Attempt[WebCount]:
        if self._status < 0 and self._totals is None:
            return Failed(stage=Stage.LIST, reason=lost or self._why or Reason.PROTOCOL)
        why = lost or self._why
        is_whole = self._is_whole and why is None
        result = WebCount(
            **self._counts(is_whole=is_whole),
            status=self._status,
            answers=self._answers,
            is_capped=self._is_capped,
            ignores_offset=self._ignores,
            bad_rows=self._bad,
            own_studies=self._own if self._job.own.roots else None,
            requests=self._client.requests,
            budget=self._job.answers,
            why=why,
            ended=ended_by_us(Stage.COUNT, lost),
            shown=self._shown(),
        )
        return Completed(result=result)

    def _counts(self, *, is_whole: bool) -> dict[str, Count | None]:
        if self._totals is not None:
            claimed = [Count.exact(number, CountSource.CLAIMED) for number in self._totals]
            return dict(zip(("patients", "studies", "series", "images"), claimed, strict=True))
        if not self._seen and self._total is None:
            return {}
        counts = {"images": _claimed(self._images, is_whole), "series": _claimed(self._series, is_whole)}
        found = len(self._seen)
        if self._total is not None and self._total >= found and not is_whole:
            return {**counts, "studies": Count.exact(self._total, CountSource.CLAIMED)}
        return {**counts, "studies": Count.exact(found) if is_whole and not self._bad else Count.at_least(found)}

    def _shown(self) -> bytes:
        if not self._job.key or not self._seen:
            return b""
        return packed(self._digests.hashes(), np.array(self._images, dtype=np.int32))


def _claimed(claims: list[int], is_whole: bool) -> Count | None:
    """The sum of what a server claims of its studies; None where it claims nothing."""
    known = [claim for claim in claims if claim >= 0]
    if not known:
        return None
    is_exact = is_whole and len(known) == len(claims)
    return (Count.exact if is_exact else Count.at_least)(sum(known), CountSource.CLAIMED)
