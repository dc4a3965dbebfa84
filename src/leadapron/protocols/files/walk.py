"""One walk over a tree of files, whichever door it lies behind: list, draw, read a little of what was drawn.

1. Folders are listed breadth-first. Entries are counted as they come; of the files that may be DICOM a sample is drawn in
   strata: what the name says, and the folder of the root.
2. As soon as there is a candidate, a few are read: whether files can be read at all is known even where the connection ends
   early. They are no part of the sample.
3. The sample is read: 132 bytes of each, or its header where a census may be taken; then DICOMDIRs.

`found` says at any time what is known.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from leadapron.model import Count, CountKind, CountSource, Depth, Failed, Reason, Stage
from leadapron.net.backoff import AtOnce
from leadapron.net.conversation import Steps
from leadapron.protocols.base import Terms
from leadapron.protocols.dicom.signs import Own
from leadapron.protocols.files import dicomdir, header, preamble
from leadapron.protocols.files.estimate import Stratum, total
from leadapron.protocols.files.listing import Candidate, Folder, Listing, Reservoir
from leadapron.protocols.files.reading import Head, Reading
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.tree import Path, Piece, Tree, Wanted

BATCH = 128
"""Files of which one step reads; how many are asked for at once is the tree's affair."""
FIRST = 4
"""Files that are read as soon as there are any."""
LISTING_SHARE = 0.5
"""Of requests and seconds, where there is something to read."""
LEAST = 10
"""Files of each stratum that are read before the rest is shared out."""
WEIGHTS = {"dicom": 4, "dicom_typical": 3}
"""How much more is read of files whose names say that they are DICOM: most images are there."""
MOST_DRAWN = 200_000
"""Files of a stratum in a sample, whatever the budget."""
MOST_BYTES = 192 << 20
"""Read of one tree."""
DIRECTORY_PIECE = 256 << 10

LENGTHS = (16 << 10, header.MOST)
"""Bytes that are known of a header when it was read on once, and twice."""

Key = tuple[str, int]
"""Of a stratum: what names say, and the folder of the root."""
Stratified = tuple[Key, Candidate]


class _Cut(NamedTuple):
    """A file whose header may go on behind what is known of it."""

    key: Key
    path: Path
    data: bytes
    head: Head


def depth_of(terms: Terms, *, in_clear: bool) -> Depth:
    """As deep as a job goes that walks a tree: to the census only where its answers may cross the network so. Else the walk
    stays at counting, and says so."""
    may_census = terms.depth >= Depth.CENSUS and (terms.census or not in_clear)
    return Depth.CENSUS if may_census else Depth.COUNT


class Walk:
    """Breadth-first over a tree, within the terms' budget; counts, samples, reads magic or headers as the depth allows."""

    def __init__(
        self,
        tree: Tree,
        terms: Terms,
        *,
        in_clear: bool,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tree, self._terms, self._clock, self._most_bytes = tree, terms, clock, most_bytes
        self._may_census = depth_of(terms, in_clear=in_clear) is Depth.CENSUS
        self._is_withheld = terms.depth >= Depth.CENSUS and not self._may_census
        self._chance = random.Random(terms.key or None)  # noqa: S311 - a sample; a key makes it the same again
        self._listing = Listing(
            self._chance, capacity=max(1, min(terms.requests, MOST_DRAWN)), most=max(1, terms.answers)
        )
        issuers = Own.of(terms.own_roots, terms.own_issuers).issuers
        self._reading, self._early = (Reading(terms.key, terms.today, issuers) for _ in range(2))
        self._taken: dict[Key, list[int]] = {}
        """of each stratum: files that said what they are, and those that are DICOM"""
        self._requests = self._bytes = 0
        self._at_once = AtOnce(BATCH)
        self._sampled = 0
        """files of the sample that were asked for"""
        self._started = math.inf
        self._stage = Stage.LIST
        self._is_done = False
        self._in_folder = False

    # -- the walk ------------------------------------------------------------------------------------------------------

    def run(self) -> Steps[None]:
        """Raises Lost only."""
        if self._terms.depth < Depth.COUNT:
            self._listing.queue.clear()
            self._is_done = True
            return
        self._started = self._clock()
        yield from self._list()
        self._stage = Stage.CENSUS if self._may_census else Stage.COUNT
        yield from self._read(self._drawn())
        if self._may_census:
            for path in self._listing.directories:
                yield from self._read_directory(path)
        self._is_done = True

    def _list(self) -> Steps[None]:
        listing, is_early_due = self._listing, True
        while listing.queue and self._may_list():
            folder: Folder = listing.queue.popleft()
            listing.begin(folder)
            self._requests += 1
            self._in_folder = True
            listed = yield from self._tree.list(folder.path, listing.take)
            self._in_folder = False
            listing.end(listed)
            if is_early_due and listing.strata:
                is_early_due = False
                yield from self._read_early()

    def _may_list(self) -> bool:
        listing, terms = self._listing, self._terms
        share = LISTING_SHARE if listing.strata else 1.0
        is_in_time = self._clock() - self._started < terms.seconds * share
        return not listing.is_spent and self._requests < max(1.0, terms.requests * share) and is_in_time

    def _read_early(self) -> Steps[None]:
        first = [stratum.drawn[0] for stratum in self._listing.strata.values()][:FIRST]
        pieces = yield from self._ask([Wanted(candidate.path, 0, preamble.LENGTH) for candidate in first])
        for piece in pieces:
            if isinstance(piece, Reason):
                self._early.failed(piece)
            elif piece:
                self._early.magic(piece)

    def _ask(self, wanted: Sequence[Wanted]) -> Steps[Sequence[Piece]]:
        self._requests += len(wanted)
        pieces = yield from self._tree.read(wanted)
        self._bytes += sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        return [piece[: one.length] if isinstance(piece, bytes) else piece for one, piece in zip(wanted, pieces)]  # noqa: B905

    # -- the sample ----------------------------------------------------------------------------------------------------

    def _drawn(self) -> list[Stratified]:
        """In the order in which they are read: the least of each stratum, then the rest, at random."""
        first: list[Stratified] = []
        rest: list[Stratified] = []
        for key, stratum in self._listing.strata.items():
            drawn = [(key, candidate) for candidate in stratum.drawn]
            self._chance.shuffle(drawn)
            first += drawn[:LEAST]
            rest += drawn[LEAST : self._share(key, stratum)]
        self._chance.shuffle(rest)
        return first + rest

    def _share(self, of: Key, stratum: Reservoir) -> int:
        """Of what the budget leaves, in proportion to the stratum and its weight; all of it where the budget reaches."""
        left = max(0, self._terms.requests - self._requests)
        if self._listing.tally.candidates <= left:
            return len(stratum.drawn)
        weights = {key: each.population * WEIGHTS.get(key[0], 1) for key, each in self._listing.strata.items()}
        return max(LEAST, left * weights[of] // sum(weights.values()))

    def _read(self, drawn: list[Stratified]) -> Steps[None]:
        length = header.FIRST if self._may_census else preamble.LENGTH
        while drawn:
            size = min(self._at_once.size, self._terms.requests - self._requests)
            if size <= 0 or self._bytes >= self._most_bytes or self._clock() - self._started >= self._terms.seconds:
                return
            batch, drawn = drawn[:size], drawn[size:]
            self._sampled += len(batch)
            begun = self._clock()
            pieces = yield from self._ask([Wanted(one.path, 0, length) for _, one in batch])
            self._at_once.answered(len(batch), self._clock() - begun)
            if self._may_census:
                yield from self._read_heads(batch, pieces)
            else:
                for (key, _), piece in zip(batch, pieces, strict=False):
                    self._take(key, piece)

    def _take(self, key: Key, piece: Piece | Head) -> None:
        taken = self._taken.setdefault(key, [0, 0])
        if isinstance(piece, Reason):
            self._reading.failed(piece)
            taken[0] += piece is Reason.AUTH  # it cannot be read, and is none of those that can
            return
        taken[0] += 1
        taken[1] += self._reading.take(piece) if isinstance(piece, Head) else self._reading.magic(piece)

    def _read_heads(self, batch: list[Stratified], pieces: Sequence[Piece]) -> Steps[None]:
        """Headers that are longer than the first piece are read on, once more or twice."""
        reading, known = self._reading, header.FIRST
        cut: list[_Cut] = []
        for (key, one), piece in zip(batch, pieces, strict=False):
            if isinstance(piece, bytes):
                cut.append(_Cut(key, one.path, piece, reading.head(piece, whole=len(piece) < known)))
            else:
                self._take(key, piece)
        for upto in LENGTHS:
            cut = self._left(cut)
            if not cut:
                return
            tails = yield from self._ask([Wanted(each.path, len(each.data), upto - len(each.data)) for each in cut])
            asked, cut = cut, []
            for each, tail in zip(asked, tails, strict=False):
                if isinstance(tail, bytes):
                    cut.append(self._read_on(each, tail, upto))
                else:
                    self._take(each.key, each.head)
        for each in cut:
            self._take(each.key, each.head)

    def _read_on(self, cut: _Cut, tail: bytes, upto: int) -> _Cut:
        data = cut.data + tail
        head = self._reading.head(data, whole=len(data) < upto, before=cut.head)
        return cut._replace(data=data, head=head)

    def _left(self, heads: list[_Cut]) -> list[_Cut]:
        """Those that have to be read on, and may be. The others are counted."""
        left: list[_Cut] = []
        for each in heads:
            if 0 < each.head.needs <= header.MOST and self._requests < self._terms.requests:
                left.append(each)
            else:
                self._take(each.key, each.head)
        return left

    def _read_directory(self, path: Path) -> Steps[None]:
        data, whole = bytearray(), False
        while len(data) < dicomdir.MOST and self._requests < self._terms.requests and not whole:
            (piece,) = yield from self._ask([Wanted(path, len(data), DIRECTORY_PIECE)])
            if isinstance(piece, Reason):
                self._reading.directory_is_whole = False
                return
            data += piece
            whole = len(piece) < DIRECTORY_PIECE
        self._reading.directory(bytes(data), whole=whole)

    # -- what is known -------------------------------------------------------------------------------------------------

    def found(self, lost: Reason | None = None) -> Found:
        """What is known, at any time; `lost` where the connection ended first."""
        listing, reading, early = self._listing, self._reading, self._early
        if self._in_folder:
            listing.cut(lost or Reason.STOPPED)
            self._in_folder = False
        left, tally = len(listing.queue), listing.tally
        is_whole = self._is_whole
        images = self._images(is_whole)
        names = [*tally.__slots__]
        numbers = {name: getattr(tally, name) for name in names} | {"unlisted": tally.unlisted + left}
        read = {name: getattr(reading.tally, name) for name in reading.tally.__slots__}
        for name in ("read", "proven", "barred"):
            read[name] = max(read[name], getattr(early.tally, name))
        return Found(
            **(numbers | read),
            listed=bool(tally.entries or self._tree.odd),
            refused=listing.root is Reason.AUTH,
            odd=self._tree.odd,
            instances=reading.instances,
            directory_studies=reading.directory_studies,
            directory_images=reading.directory_images,
            images=images,
            studies=self._studies(is_whole, images),
            sampled=reading.sampled,
            present=reading.census(),
            signs=reading.signs(),
            withheld=self._is_withheld,
            why_read=self._why_not_read(lost),
            unknowns=tuple(self._unknowns(lost, images)),
            ended=None if lost is None else Failed(stage=self._stage, reason=lost),
            budget=self._terms.answers,
            is_cut=self._is_cut(lost),
            shown=reading.shown(whole=self._is_exact(images)),
        )

    def _is_cut(self, lost: Reason | None) -> bool:
        """Whether a larger budget would show more."""
        if lost is not None:
            return lost is Reason.TIMEOUT
        listing = self._listing
        is_listed = not listing.queue and not listing.is_spent and listing.why is not Reason.BUDGET
        can_be_read = self._bytes < self._most_bytes and (self._reading.tally.read or self._early.tally.read)
        return not is_listed or bool(can_be_read and self._sampled < listing.tally.candidates)

    @property
    def _is_whole(self) -> bool:
        """Every folder was listed to its end."""
        listing = self._listing
        return not listing.queue and listing.why is None and listing.root is None and not listing.tally.unlisted

    def _images(self, is_whole: bool) -> Count | None:
        reading = self._reading
        strata = [
            Stratum(stratum.population, *self._taken.get(key, (0, 0))) for key, stratum in self._listing.strata.items()
        ]
        if not reading.tally.read:
            seen = self._early.tally.proven
            if not strata and is_whole and self._listing.tally.entries:
                return Count.exact(0)
            return Count.at_least(seen, CountSource.SAMPLED) if seen else None
        count = total(strata, whole=is_whole)
        if count is None or not reading.copies:
            return count
        different = reading.instances + reading.unnamed
        if count.kind is CountKind.EXACT:
            return Count.exact(different)
        # copies: of the whole nobody knows how many there are
        return Count(value=different, low=different, high=count.high, kind=CountKind.BOUND, source=CountSource.SAMPLED)

    @property
    def _took_all(self) -> bool:
        """Every candidate that was listed said what it is, or is closed to us."""
        return all(self._taken.get(key, (0,))[0] >= each.population for key, each in self._listing.strata.items())

    def _is_exact(self, images: Count | None) -> bool:
        return images is not None and images.kind is CountKind.EXACT

    def _studies(self, is_whole: bool, images: Count | None) -> Count | None:
        reading = self._reading
        own, all_ = reading.studies()
        if not all_:
            return None
        if (
            own
            and is_whole
            and self._is_exact(images)
            and own == all_
            and reading.tally.headers == reading.tally.proven
        ):
            return Count.exact(own)
        if own == all_:
            return Count.at_least(own, CountSource.SAMPLED)
        if not own and reading.directory_is_whole and is_whole:
            return Count.exact(all_, CountSource.CLAIMED)
        return Count.at_least(all_, CountSource.CLAIMED)

    def _why_not_read(self, lost: Reason | None) -> Reason | None:
        if self._reading.tally.read or self._early.tally.read or not self._listing.strata:
            return None
        return self._reading.why or self._early.why or lost or Reason.BUDGET

    def _unknowns(self, lost: Reason | None, images: Count | None) -> list[Failed]:
        listing, reading = self._listing, self._reading
        found: list[Failed] = []
        if listing.why is not None:
            found.append(Failed(stage=Stage.COUNT, reason=listing.why))
        if listing.queue or not self._is_done:
            found.append(Failed(stage=Stage.COUNT, reason=lost or Reason.BUDGET))
        elif listing.strata and (images is None or not (self._is_exact(images) or self._took_all)):
            failed = reading.why if reading.tally.unread or not reading.tally.read else None
            found.append(Failed(stage=Stage.COUNT, reason=failed or Reason.BUDGET))
        if self._may_census and listing.strata and not reading.sampled:
            found.append(Failed(stage=Stage.CENSUS, reason=lost or reading.why or Reason.EMPTY))
        return list(dict.fromkeys(found))
