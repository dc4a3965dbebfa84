"""Splitting of capped queries: pieces lose no study that has their keys, and there is an end of them."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_peer import TODAY, archive, study

from leadapron.lab.archive import read_identifier
from leadapron.model import Reason
from leadapron.protocols.dicom import identifiers, splitting
from leadapron.protocols.dicom.found import Reply
from leadapron.protocols.dicom.identifiers import Narrowing
from leadapron.protocols.dicom.splitting import Splitting

PER_DAY = 1 + 2 * 24 + 24 * 36
"""Pieces of one day at the most: itself, its hours and what they are halves of, the prefixes of each hour."""

DAY = Narrowing(first=TODAY, last=TODAY)
days = st.sampled_from([dt.date(1950, 3, 1), dt.date(2011, 7, 8), dt.date(2024, 2, 29), TODAY])
times = st.builds("{:02}{:02}{:02}".format, st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
accessions = st.from_regex(r"[0-9A-Z]{1,3}", fullmatch=True)


@given(st.lists(st.tuples(days, times, accessions), min_size=1, max_size=40, unique_by=lambda row: row[2][0]))
def test_every_study_with_date_time_and_accession_is_in_a_piece_that_is_whole(
    rows: list[tuple[dt.date, str, str]],
) -> None:
    shelf = archive(
        *(
            study(n, day=f"{day:%Y%m%d}", time=time, accession=accession)
            for n, (day, time, accession) in enumerate(rows)
        )
    )
    pieces = Splitting(TODAY)
    seen: set[bytes] = set()
    asked = 0
    while (piece := pieces.next()) is not None:
        found = list(shelf.find(read_identifier(identifiers.studies(piece), explicit=False)))
        seen.update(values[0x0020000D] for values in found[:1])
        pieces.take(piece, Reply(status=0xA700 if len(found) > 1 else 0, answers=min(1, len(found))))
        asked += 1
    assert len(seen) == len(rows)
    assert asked < 4 * (1 + 2 * 17 + PER_DAY)


def test_first_pieces_are_all_days_once() -> None:
    pieces = sorted(splitting.first_pieces(TODAY), key=lambda piece: piece.first)
    assert sum(piece.days for piece in pieces) == splitting.everything(TODAY).days
    assert all(after.first - piece.last == dt.timedelta(days=1) for piece, after in itertools.pairwise(pieces))


@pytest.mark.parametrize(
    ("replies", "seen_all"),
    [
        ([Reply(status=0, answers=9)] * 4, True),
        ([Reply(status=0, answers=0)] * 4, False),
        ([Reply(status=0, answers=9)] * 3 + [Reply(status=0xA900, answers=0)], False),
        ([Reply(status=0, answers=9)] * 3 + [Reply(status=0, answers=9, cut=Reason.BUDGET)], False),
        ([Reply(status=0, answers=9)] * 3 + [Reply(status=0, answers=50)], False),
        ([Reply(status=0, answers=9)] * 3, False),
    ],
    ids=["whole", "empty", "failed", "cancelled", "silently capped", "unfinished"],
)
def test_all_is_seen_where_every_piece_came_whole(replies: list[Reply], seen_all: bool) -> None:
    pieces = Splitting(TODAY, cap=50)
    for reply in replies:
        piece = pieces.next()
        assert piece is not None
        pieces.take(piece, reply)
    assert pieces.has_seen_all is seen_all


def test_a_day_is_split_by_time_then_an_hour_by_accession_then_no_more() -> None:
    assert [(piece.from_hour, piece.to_hour) for piece in splitting.split(DAY)] == [(12, 24), (0, 12)]
    hour = Narrowing(first=TODAY, last=TODAY, from_hour=7, to_hour=8)
    by_accession = splitting.split(hour)
    assert [piece.accession for piece in by_accession] == list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert splitting.split(by_accession[0]) == []


@pytest.mark.parametrize(("answers", "expected"), [(0, "0"), (1, "")])
def test_a_day_whose_halves_are_empty_is_split_by_accession(answers: int, expected: str) -> None:
    pieces = Splitting(TODAY)
    while (piece := pieces.next()) is not None and piece.days > 1:
        pieces.take(piece, Reply(status=0xA700, answers=0))
    for status, seen in ((0xA700, 0), (0, 0), (0, answers)):
        assert piece is not None
        pieces.take(piece, Reply(status=status, answers=seen))
        piece = pieces.next()
    assert piece is not None
    assert piece.accession == expected
