"""Series and images where studies claim no numbers (dcmqrscp): counted below one study of a sample after the other."""

from __future__ import annotations

from collections.abc import Mapping

from leadapron.model import Count, Reason
from leadapron.protocols.dicom import answers, identifiers, tally
from leadapron.protocols.dicom.answers import Level, Tally
from leadapron.protocols.dicom.exchange import Exchange, Steps
from leadapron.protocols.dicom.found import ROUND, Reply


class Sampling:
    """The sample. `why` is set where a study of it could not be counted whole: then it is a bound, no estimate."""

    def __init__(self, exchange: Exchange, context_id: int, sop_class: str) -> None:
        self.why: Reason | None = None
        self._exchange, self._context_id, self._sop_class = exchange, context_id, sop_class
        self._series: list[int] = []
        self._images: list[int] = []
        self._most = 0

    def run(self, studies: Mapping[int, bytes], generous: int) -> Steps[None]:
        """Count studies in the order of their keyed hashes, as far as the budget goes.

        `generous`: answers that the server once gave to one query. A round number of images below it is no silent cap.
        """
        for key in sorted(studies):
            if not self._exchange.may_ask() or not (yield from self._count(studies[key])):
                break
        if self.why is None and self._most >= generous and self._most and not self._most % ROUND:
            self.why = Reason.LIMIT

    def __len__(self) -> int:
        return len(self._images)

    def series(self, population: int, *, whole: bool) -> Count | None:
        """The series of `population` studies; `whole` False where those are a bound."""
        return tally.extrapolate(self._series, population, whole=whole and self.why is None)

    def images(self, population: int, *, whole: bool) -> Count | None:
        return tally.extrapolate(self._images, population, whole=whole and self.why is None)

    def _count(self, study: bytes) -> Steps[bool]:
        """Count one study; False where the sample ends here: `why`, or the budget in the middle of the study."""
        below = Tally()
        if not (yield from self._find(identifiers.series(study), answers.SERIES, below)):
            return False
        counted = tally.distinct(below)
        images = counted.images
        if counted.images_missing:
            images = 0
            if len(below.kept) < counted.records:  # unique keys that are no UIDs: nothing to ask with
                self.why = Reason.PROTOCOL
                return False
            for series in below.kept.values():
                if not self._exchange.may_ask():
                    return False
                instances = Tally()
                if not (yield from self._find(identifiers.images(study, series), answers.IMAGE, instances)):
                    return False
                images += tally.distinct(instances).records
        self._series.append(counted.records)
        self._images.append(images)
        return True

    def _find(self, identifier: bytes, level: Level, into: Tally) -> Steps[bool]:
        reply: Reply = yield from self._exchange.find(
            self._context_id, self._sop_class, identifier, level, into, keep=level is answers.SERIES
        )
        if reply.cut is Reason.BUDGET:
            return False
        if not reply.is_whole:
            self.why = reply.why_not_exact
        elif not reply.answers or into.without_unique:
            self.why = Reason.PROTOCOL
        self._most = max(self._most, reply.answers)
        return self.why is None
