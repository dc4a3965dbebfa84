"""The census: in how many records of a sample each attribute is populated. Not one value leaves the parser.

The sample is asked for by a list of study UIDs (PS3.4 C.2.2.2.2), drawn by keyed hash of all that were counted. A server
that does not match lists is asked for all studies, and left after as many answers as the sample has. Either way it is one
query, at most two, whatever the archive holds.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from leadapron.model import Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.dicom import answers, identifiers, signs
from leadapron.protocols.dicom.answers import Answers, Tally
from leadapron.protocols.dicom.attributes import attributes
from leadapron.protocols.dicom.exchange import Exchange
from leadapron.protocols.dicom.found import Reply
from leadapron.protocols.dicom.signs import Signs
from leadapron.protocols.dicom.wire import elements

SAMPLE = 25
"""Records."""
QUERIES = 2
"""At most."""
MAX_UIDS_LENGTH = 2_000
"""Bytes of one list of UIDs: some servers hold a key in a buffer."""

_BLANK = b" \0"


@dataclass(slots=True, kw_only=True)
class Filled:
    """What a census counts."""

    records: int = 0
    present: dict[int, int] = field(default_factory=dict)
    """by tag"""
    signs: Signs


class CensusAnswers(Answers):
    """The answers to a census query: populated attributes are counted, up to `SAMPLE` records."""

    def __init__(self, *, filled: Filled, context_id: int, message_id: int, explicit: bool) -> None:
        super().__init__(
            context_id=context_id, message_id=message_id, level=answers.CENSUS, explicit=explicit, tally=Tally()
        )
        self._filled, self._is_explicit = filled, explicit

    def _read(self, buffer: bytes, start: int, stop: int) -> None:
        wanted, seen = attributes(), set()
        telling: dict[int, bytes] = {}
        for tag, first, last in elements.walk(buffer, explicit=self._is_explicit, start=start, end=stop):
            if tag in wanted and buffer[first:last].strip(_BLANK):
                seen.add(tag)
            if tag in signs.TAGS:
                telling[tag] = buffer[first:last]
        filled = self._filled
        if filled.records < SAMPLE:
            filled.records += 1
            filled.signs.take(telling)
            for tag in seen:
                filled.present[tag] = filled.present.get(tag, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Censused:
    """The result: in how many of `sampled` records each attribute (PS3.6 keyword) is populated; absent ones in none.

    `why`: the sample is smaller than it might be, or there is none.
    """

    sampled: int = 0
    present: Mapping[str, int] = field(default_factory=dict)
    signs: Mapping[str, int] = field(default_factory=dict)
    """see `leadapron.protocols.dicom.signs`"""
    why: Reason | None = None


class Taking:
    """One census, in the association in which studies were counted; of patients where there is only a patient root."""

    def __init__(
        self,
        exchange: Exchange,
        context_id: int,
        sop_class: str,
        by_study: bool,
        today: dt.date,
        issuers: frozenset[bytes] = frozenset(),
    ) -> None:
        self._exchange, self._context_id, self._sop_class = exchange, context_id, sop_class
        self._level = b"STUDY" if by_study else b"PATIENT"
        self._today, self._issuers = today, issuers
        self._tries: list[Filled] = []

    def run(self, kept: Mapping[int, bytes]) -> Steps[Censused]:
        """`kept` are raw UIDs of studies by keyed hash, empty where there are none. Raises what ends the association."""
        uids = _sample(kept)
        if uids and self._exchange.may_ask():
            yield from self._ask(uids)
        if not uids or self._best.records < len(uids):
            if not self._exchange.may_ask():
                return self.interrupted(Reason.BUDGET)
            reply = yield from self._ask([])
            if not self._best.records:
                return self.interrupted(Reason.EMPTY if reply.is_whole else Reason.PROTOCOL)
        return self._result(None)

    def interrupted(self, reason: Reason) -> Censused:
        """What was learned when the association ended in the middle."""
        return self._result(reason)

    @property
    def _best(self) -> Filled:
        return max(self._tries, key=lambda filled: filled.records, default=self._empty())

    def _empty(self) -> Filled:
        return Filled(signs=Signs(self._today, self._issuers))

    def _result(self, why: Reason | None) -> Censused:
        names, best = attributes(), self._best
        present = {names[tag].keyword: count for tag, count in sorted(best.present.items())}
        return Censused(
            sampled=best.records, present=present, signs=best.signs.numbers() if best.records else {}, why=why
        )

    def _ask(self, uids: list[bytes]) -> Steps[Reply]:
        self._tries.append(self._empty())
        reply: Reply = yield from self._exchange.find(
            self._context_id,
            self._sop_class,
            identifiers.census(self._level, b"\\".join(uids), {*attributes(), *signs.TAGS}),
            partial(CensusAnswers, filled=self._tries[-1]),
            enough=SAMPLE,
        )
        return reply


def _sample(kept: Mapping[int, bytes]) -> list[bytes]:
    """A uniform sample: keyed hashes are in no order that a server could know."""
    drawn: list[bytes] = []
    for key in sorted(kept)[:SAMPLE]:
        if sum(map(len, drawn)) + len(drawn) + len(kept[key]) > MAX_UIDS_LENGTH:
            break
        drawn.append(kept[key])
    return drawn
