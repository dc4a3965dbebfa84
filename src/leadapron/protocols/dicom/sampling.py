"""Series and images where studies claim no numbers (dcmqrscp): counted below all studies, or below a sample of them.

First the series of each study, then the images of all these series where the budget reaches so far; else of one series of
each study, drawn by its keyed hash, which stands for the others. So a study costs the same whatever its size, and large
ones do not fall out of the sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from leadapron.model import Count, Reason
from leadapron.net.conversation import Steps
from leadapron.protocols.dicom import answers, identifiers, tally
from leadapron.protocols.dicom.answers import Answers, Level, Tally
from leadapron.protocols.dicom.exchange import Exchange
from leadapron.protocols.dicom.found import Reply, may_be_a_cap


@dataclass(frozen=True, slots=True, kw_only=True)
class _Below:
    """What is below a study: so many series, and their unique keys where they claim no images."""

    study: bytes
    series: int
    images: int
    kept: Mapping[int, bytes]


class Sampling:
    """The sample. `why` is set where a study of it could not be counted whole: then it is a bound, no estimate."""

    def __init__(self, exchange: Exchange, context_id: int, sop_class: str) -> None:
        self.why: Reason | None = None
        self.is_cut = False
        """the budget does not reach all studies, or all of their series"""
        self._exchange, self._context_id, self._sop_class = exchange, context_id, sop_class
        self._series: list[int] = []
        self._images: list[int] = []
        """of each study, by what was drawn of it"""
        self._counted = 0
        """images, really"""
        self._planned = 0
        self._most = 0
        self._seen: set[int] = set()
        """series and images that were below a study already"""

    def run(self, studies: Mapping[int, bytes], population: int, generous: int) -> Steps[None]:
        """Count below studies, in the order of their keyed hashes.

        `generous`: answers that the server once gave to one query. A likely cap below it is none.
        """
        below: list[_Below] = []
        self._planned = min(population, self._left() // 2)
        for key in sorted(studies):
            if len(below) >= self._planned or not (yield from self._count_series(studies[key], below)):
                break
            if below[0].kept == {}:  # series claim their images: one query a study
                self._planned = min(population, len(below) + self._left())
        if self.why is None:
            yield from self._count_images(below, is_all=len(below) >= population)
        self.is_cut = self.why is None and (len(below) < population or self._counted < sum(self._images))
        if self.why is None and self._most >= generous and may_be_a_cap(self._most):
            self.why = Reason.LIMIT

    def __len__(self) -> int:
        return len(self._images)

    def series(self, population: int, *, whole: bool) -> Count | None:
        """The series of `population` studies; `whole` False where those are a bound."""
        return self._extrapolate(self._series, sum(self._series), population, whole=whole)

    def images(self, population: int, *, whole: bool) -> Count | None:
        return self._extrapolate(self._images, self._counted, population, whole=whole)

    def _extrapolate(self, values: list[int], counted: int, population: int, *, whole: bool) -> Count | None:
        is_whole = whole and self.why is None
        return tally.extrapolate(values, population, planned=self._planned, counted=counted, whole=is_whole)

    def _left(self) -> int:
        return self._exchange.max_queries - self._exchange.queries

    def _count_series(self, study: bytes, below: list[_Below]) -> Steps[bool]:
        """The series of one study; False where the sample ends here: `why`, or the budget."""
        found = Tally()
        if not self._exchange.may_ask() or not (
            yield from self._find(identifiers.series(study), answers.SERIES, found)
        ):
            return False
        counted = tally.distinct(found)
        kept = found.kept if counted.images_missing else {}
        if counted.images_missing and len(kept) < counted.records:  # unique keys that are no UIDs: nothing to ask with
            self.why = Reason.PROTOCOL
            return False
        self._series.append(counted.records)
        below.append(_Below(study=study, series=counted.records, images=counted.images, kept=kept))
        return True

    def _count_images(self, below: list[_Below], *, is_all: bool) -> Steps[None]:
        """The images below: of every series where all can be asked, else of one of each study."""
        is_every = is_all and sum(len(study.kept) for study in below) <= self._left()
        for study in below:
            drawn = sorted(study.kept)[: None if is_every else 1]
            images = 0 if drawn else study.images
            self._counted += images
            for key in drawn:
                if not self._exchange.may_ask():
                    return
                found = Tally()
                asked = identifiers.images(study.study, study.kept[key])
                if not (yield from self._find(asked, answers.IMAGE, found)):
                    return
                counted = tally.distinct(found).records
                self._counted += counted
                images += counted
            self._images.append(images * len(study.kept) // len(drawn) if drawn else images)

    def _find(self, identifier: bytes, level: Level, into: Tally) -> Steps[bool]:
        reply: Reply = yield from self._exchange.find(
            self._context_id,
            self._sop_class,
            identifier,
            partial(Answers, level=level, tally=into, keep=level is answers.SERIES),
        )
        if reply.cut is Reason.BUDGET:
            return False
        if not reply.is_whole:
            self.why = reply.why_not_exact
        elif not reply.answers or into.without_unique or not self._seen.isdisjoint(into.hashes):
            self.why = Reason.PROTOCOL  # nothing below a study that exists, or what is below another one
        self._seen.update(into.hashes)
        self._most = max(self._most, reply.answers)
        return self.why is None
