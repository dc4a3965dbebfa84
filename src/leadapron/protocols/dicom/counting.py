"""The count behind one information model: studies enumerated, capped queries split, what is not claimed counted below.

A count is exact only where nothing speaks against it (`docs/dicom.md`, Counting).
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from leadapron.model import Count, CountKind, Reason, Stage
from leadapron.net.conversation import Steps
from leadapron.protocols import shown
from leadapron.protocols.dicom import answers, identifiers, splitting, tally
from leadapron.protocols.dicom.answers import Answers, Tally
from leadapron.protocols.dicom.exchange import Exchange
from leadapron.protocols.dicom.found import Answer, Found, Reply, may_be_a_cap, without_answers, without_end
from leadapron.protocols.dicom.identifiers import Narrowing
from leadapron.protocols.dicom.sampling import Sampling
from leadapron.protocols.dicom.splitting import Splitting
from leadapron.protocols.dicom.wire import uids
from leadapron.protocols.digests import Digests


class Model(enum.StrEnum):
    """Which information model answers for studies."""

    STUDY_ROOT = "study_root"
    PATIENT_ROOT = "patient_root"
    NONE = "none"


SOP_CLASS = {Model.STUDY_ROOT: uids.STUDY_ROOT_FIND, Model.PATIENT_ROOT: uids.PATIENT_ROOT_FIND}


class Counting:
    """One count. `stage` is where it is; `today` bounds date ranges; `narrow` False: one query only."""

    def __init__(
        self,
        exchange: Exchange,
        model: Model,
        context_id: int,
        *,
        today: dt.date,
        narrow: bool,
        digests: Digests | None = None,
        own_roots: tuple[bytes, ...] = (),
    ) -> None:
        self.stage = Stage.LIST
        self._exchange, self._model, self._context_id = exchange, model, context_id
        self._today, self._narrows = today, narrow
        self._sop_class = SOP_CLASS.get(model, "")
        self._by_study = model is Model.STUDY_ROOT
        self._tally = Tally(digests=digests, own_roots=own_roots if self._by_study else ())
        self._most = 0
        self._status = -1
        self._sampling = Sampling(exchange, context_id, self._sop_class)
        self._found: Found | None = None
        """what is known of the studies while series and images are counted"""

    def run(self) -> Steps[Found]:
        """The count. Raises what ends the association early."""
        if not self._exchange.may_ask():
            return Found(answer=Answer.UNKNOWN, why=Reason.BUDGET)
        first = yield from self._find(identifiers.studies() if self._by_study else identifiers.patients())
        if not self._narrows or first.cut is not None:
            return self._judge(first)
        if first.is_capped:
            return (yield from self._capped(first))
        if not first.is_whole:
            return self._judge(first)
        if not first.answers:
            return (yield from self._second_look(first))
        return (yield from self._whole(first))

    @property
    def kept(self) -> Mapping[int, bytes]:
        """Raw UIDs of a uniform sample of the studies, by keyed hash. They die with the job."""
        return self._tally.kept

    def shown(self) -> bytes:
        """The studies that were listed, as `leadapron.protocols.shown` packs them; empty without a key to hash them."""
        if self._tally.digests is None:
            return b""
        images = np.frombuffer(self._tally.images, dtype=np.int32)
        return shown.packed(self._tally.digests.hashes(), images)

    def interrupted(self, reason: Reason) -> Found:
        """What was learned when the association ended in the middle."""
        if self._found is not None:
            return self._with_sample(self._found, whole=False, why=self._found.why or reason)
        if self._tally.answers:
            return self._sum_up(why=reason)
        if self._status >= 0:  # a server that answered a query before does not abort the next because of who asks
            return Found(answer=Answer.UNKNOWN, why=reason, status=self._status)
        return without_end(0, reason)

    def _find(self, identifier: bytes) -> Steps[Reply]:
        level = answers.STUDY if self._by_study else answers.PATIENT
        reply: Reply = yield from self._exchange.find(
            self._context_id,
            self._sop_class,
            identifier,
            partial(Answers, level=level, tally=self._tally, keep=self._by_study),
        )
        self._most = max(self._most, reply.answers)
        self._status = reply.status
        return reply

    def _judge(self, reply: Reply) -> Found:
        """What one query says alone."""
        if not reply.answers:
            return without_answers(reply.status)
        return self._sum_up(why=reply.why_not_exact, status=reply.status, capped=reply.is_capped)

    def _whole(self, first: Reply) -> Steps[Found]:
        """A success with answers: exact, unless the number is a likely cap and narrower queries do not find the same
        studies again, all of them and no more. Studies without a date are in none: they leave such a number a bound."""
        if not may_be_a_cap(first.answers) or not self._by_study:
            return (yield from self._descend(first, why=first.why_not_exact))
        before, records = len(self._tally.hashes), tally.distinct(self._tally).records
        pieces = Splitting(self._today, cap=first.answers)
        left = self._exchange.max_queries - self._exchange.queries
        yield from self._split(pieces, left // 2)
        if tally.distinct(self._tally).records > records:
            yield from self._split(pieces, left)
            return (yield from self._descend(first, why=Reason.LIMIT, capped=True))
        is_all = pieces.has_seen_all and tally.is_confirmed(self._tally, before)
        why = None if is_all else Reason.LIMIT if pieces.is_done else Reason.BUDGET
        return (yield from self._descend(first, why=why))

    def _second_look(self, first: Reply) -> Steps[Found]:
        """A success without answers: once more with another key. A filter is not an empty archive."""
        if self._exchange.may_ask():
            dated = identifiers.studies(splitting.everything(self._today))
            second = yield from self._find(dated if self._by_study else identifiers.patients(b"*"))
            if second.is_capped:
                return (yield from self._capped(second))
            if second.answers:
                return (yield from self._descend(second, why=Reason.EMPTY))
        return without_answers(first.status)

    def _capped(self, reply: Reply) -> Steps[Found]:
        """A cap: narrow until the pieces are whole. Without an uncapped parent the sum is a bound."""
        if self._by_study and (reply.answers or (yield from self._gives_less())):
            yield from self._split(Splitting(self._today), self._exchange.max_queries)
        if not self._tally.answers:
            return Found(answer=Answer.UNKNOWN, why=Reason.LIMIT, status=reply.status, capped=True)
        return (yield from self._descend(reply, why=Reason.LIMIT, capped=True))

    def _gives_less(self) -> Steps[bool]:
        """Whether a server that gave nothing but a cap takes a narrower query: one day, one accession prefix of it."""
        day = Narrowing(first=self._today, last=self._today)
        for piece in (day, replace(day, accession="1")):
            if not self._exchange.may_ask():
                return False
            reply = yield from self._find(identifiers.studies(piece))
            if reply.answers or reply.is_whole:
                return True
        return False

    def _split(self, pieces: Splitting, queries: int) -> Steps[None]:
        """Ask piece by piece, with at most so many queries."""
        last = self._exchange.queries + queries
        while self._exchange.queries < last and self._exchange.may_ask() and not self._tally.looping:
            if (piece := pieces.next()) is None:
                return
            pieces.take(piece, (yield from self._find(identifiers.studies(piece))))

    def _descend(self, reply: Reply, *, why: Reason | None, capped: bool = False) -> Steps[Found]:
        """The studies; and where they claim no numbers, what a sample of them holds."""
        found = self._sum_up(why=why, status=reply.status, capped=capped)
        if not self._by_study or (found.images is not None and found.series is not None):
            return found
        self.stage, self._found = Stage.COUNT, found
        yield from self._sampling.run(self._tally.kept, tally.distinct(self._tally).records, self._most)
        return self._with_sample(found, whole=why is None and not self._tally.without_unique, why=found.why)

    def _with_sample(self, found: Found, *, whole: bool, why: Reason | None) -> Found:
        population = tally.distinct(self._tally).records
        if len(self._sampling) < population:
            why = why or self._sampling.why or (Reason.BUDGET if self._sampling.is_cut else Reason.LIMIT)
        return replace(
            found,
            why=why or self._sampling.why,
            series=found.series or self._sampling.series(population, whole=whole),
            images=found.images or self._sampling.images(population, whole=whole),
        )

    def _sum_up(self, *, why: Reason | None, status: int = -1, capped: bool = False) -> Found:
        """The counts so far: exact where `why` is None and nothing was left out."""
        seen, counted = self._tally, tally.distinct(self._tally)
        whole = why is None and not seen.looping and not seen.without_unique
        whole = whole and (self._by_study or not counted.repeated)  # one patient ID of two issuers is two patients
        if seen.looping or seen.bad_claims:
            why = why or Reason.LIMIT

        def claimed(total: int, missing: int) -> Count | None:
            return tally.claimed(total, missing, whole=whole and not counted.contradicts) if counted.records else None

        studies: Count | None = tally.enumerated(counted.records, whole=whole)
        if not self._by_study:
            studies = claimed(counted.studies, counted.studies_missing)
        series = claimed(counted.series, counted.series_missing)
        images = claimed(counted.images, counted.images_missing)
        if any(count is not None and count.kind is not CountKind.EXACT for count in (studies, series, images)):
            why = why or Reason.PROTOCOL  # some records claim no number, or two
        return Found(
            answer=Answer.PROVEN,
            why=why,
            status=status,
            most_answers=self._most or seen.answers,
            capped=capped,
            bad_claims=seen.bad_claims,
            looping=seen.looping,
            studies=studies,
            series=series,
            images=images,
            own_studies=tally.own(seen) if seen.own_roots else None,
        )
