"""The census against scripted peers: numbers of populated attributes, of a bounded sample, and not one value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import dictionary_keyword, dictionary_VM, dictionary_VR
from scripted_peer import Peer, Query, Script, always, answering, answers_from, archive, in_turn, inquire, spread, study

from leadapron.lab.archive import PATIENT_ID, PATIENT_NAME, STUDY_UID, Archive
from leadapron.model import Count, Failed, Reason, Stage
from leadapron.protocols import payload
from leadapron.protocols.dicom import attributes
from leadapron.protocols.dicom.census import MAX_UIDS_LENGTH, SAMPLE, Censused
from leadapron.protocols.dicom.inquiry import InquiryResult, Model
from leadapron.protocols.dicom.wire.pdu import Abort

ADDRESS, BIRTH, COMMENTS = 0x00101040, 0x00100030, 0x00104000
CANARY = b"CANARY^SYNTHETIC"


def shelf(count: int) -> Archive:
    """Studies that all have a name, every second an address, every third a blank birth date, none a comment."""

    def filled(number: int) -> dict[int, bytes]:
        values = {PATIENT_NAME: CANARY, COMMENTS: b"", BIRTH: b"  " if number % 3 else b"19000101"}
        return values | ({ADDRESS: CANARY} if number % 2 else {})

    return archive(
        *(replace(each, values={**each.values, **filled(number)}) for number, each in enumerate(spread(count).studies))
    )


def census_of(peer: Peer, **changes: object) -> Censused:
    census = inquire(peer, take_census=True, **changes).census
    assert census is not None
    return census


def asked_for(peer: Peer) -> list[int]:
    """How many study UIDs each query of the census named."""
    return [
        len(query.keys[STUDY_UID].strip(b"\0 ").split(b"\\")) if query.keys[STUDY_UID].strip(b"\0 ") else 0
        for query in peer.queries
        if PATIENT_NAME in query.keys
    ]


def test_every_attribute_is_counted_in_the_records_that_have_it() -> None:
    peer = Peer(answers_from(shelf(18)))
    census = census_of(peer)
    assert (census.sampled, census.why) == (18, None)
    truth = {"PatientName": 18, "PatientAddress": 9, "PatientBirthDate": 6, "StudyDate": 18}
    assert {name: count for name, count in census.present.items() if name in truth} == truth
    assert "PatientComments" not in census.present
    assert asked_for(peer) == [18]


def test_a_large_archive_is_sampled_by_one_list_of_uids() -> None:
    peer = Peer(answers_from(shelf(333)))
    census = census_of(peer)
    assert census.sampled == SAMPLE
    assert 0 < census.present["PatientAddress"] < SAMPLE
    assert asked_for(peer) == [SAMPLE]
    assert all(len(query.keys[STUDY_UID]) <= MAX_UIDS_LENGTH for query in peer.queries)


@pytest.mark.parametrize("matches", ["nothing", "everything"])
def test_a_server_that_does_not_match_lists_is_asked_for_all_and_left_behind_the_sample(matches: str) -> None:
    whole = shelf(333)

    def script(query: Query) -> Iterator[bytes]:
        is_list = b"\\" in query.keys.get(STUDY_UID, b"")
        keys = {**query.keys, STUDY_UID: b""}
        for values in whole.find(keys) if matches == "everything" or not is_list else ():
            yield query.answer(values)
        yield query.final()

    peer = Peer(script)
    census = census_of(peer)
    assert census.sampled == census.present["PatientName"] == SAMPLE
    assert len(peer.cancelled) == 1


def test_uids_that_would_be_too_long_together_are_fewer() -> None:
    long = archive(*(replace(each, values={**each.values, STUDY_UID: f"2.25.{number:059}".encode()})
                     for number, each in enumerate(shelf(123).studies, start=1)))  # fmt: skip
    peer = Peer(answers_from(long))
    assert all(number * 65 <= MAX_UIDS_LENGTH + 65 for number in asked_for(peer))
    census = census_of(Peer(answers_from(long)))
    assert census.sampled == len([0] * SAMPLE)


def test_of_a_patient_root_patients_are_sampled() -> None:
    records = [{PATIENT_ID: f"SYNTHETIC-{n}".encode(), PATIENT_NAME: CANARY} for n in range(7)]
    peer = Peer(answering(*records))
    census = census_of(peer, model=Model.PATIENT_ROOT)
    assert (census.sampled, census.present) == (7, {"PatientName": 7, "PatientID": 7})
    assert len(peer.queries) == 2


def test_without_a_list_there_is_no_census() -> None:
    assert inquire(Peer(always(0x0124)), take_census=True).census is None
    assert inquire(Peer(answers_from(shelf(7)))).census is None


@pytest.mark.parametrize("queries", [3, 5, 40])
def test_what_a_census_takes_is_kept_back_of_the_budget(queries: int) -> None:
    peer = Peer(answers_from(spread(90, step=25, claims=False), cap=20))
    census = census_of(peer, queries=queries)
    assert len(peer.queries) <= queries
    assert census.sampled


@pytest.mark.parametrize("budget", [{"queries": 2}, {"queries": 1}, {"answers": 50}])
def test_a_budget_too_small_for_both_goes_to_the_count(budget: dict[str, int]) -> None:
    result = inquire(Peer(answers_from(shelf(7))), take_census=True, **budget)
    assert result.census is None
    assert result.model is not None
    assert result.model.studies == Count.exact(7)


@pytest.mark.parametrize(("end", "reason"), [(Abort().encode(), Reason.ABORTED), (Reason.TIMEOUT, Reason.TIMEOUT)])
def test_an_association_that_ends_in_the_census_keeps_the_count(end: bytes | Reason, reason: Reason) -> None:
    whole = shelf(7)

    def ends(query: Query) -> Iterator[bytes | Reason]:
        yield from (query.answer(values) for values in list(whole.find(query.keys))[:3])
        yield end

    result = inquire(Peer(in_turn(answers_from(whole), ends)), take_census=True)
    assert result.model is not None
    assert result.model.studies == Count.exact(7)
    assert result.ended == Failed(stage=Stage.CENSUS, reason=reason)
    assert result.census is not None
    assert (result.census.sampled, result.census.why) == (3, reason)


def test_a_failure_is_no_census_and_says_so() -> None:
    refusing: Script = in_turn(answers_from(shelf(7)), always(0xA900))
    assert census_of(Peer(refusing)) == Censused(why=Reason.PROTOCOL)
    assert census_of(Peer(in_turn(answers_from(shelf(7)), always(0)))) == Censused(why=Reason.EMPTY)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(attributes.attributes())), st.binary(max_size=40), max_size=9)))
def test_whatever_values_come_only_numbers_leave(records: list[dict[int, bytes]]) -> None:
    said = answering(*({**record, PATIENT_NAME: CANARY} for record in records))
    result = inquire(Peer(in_turn(answers_from(archive(study(1))), said)), take_census=True)
    stored = payload.dump(result)
    assert "CANARY" not in repr(stored)
    assert payload.load(InquiryResult, stored) == result
    assert result.census is not None
    assert result.census.sampled == min(len(records), SAMPLE)
    assert all(type(count) is int and 0 < count <= SAMPLE for count in result.census.present.values())
    blank = [all(not value.strip(b" \0") for value in record.values()) for record in records]
    assert result.census.present.get("PatientName", 0) == min(len(blank), SAMPLE)


def test_the_attributes_are_those_of_the_dictionary() -> None:
    table = attributes.attributes()
    assert len(table) > 60
    for tag, attribute in table.items():
        assert dictionary_keyword(tag) == attribute.keyword
        assert attribute.group in attributes.GROUPS
        assert dictionary_VR(tag) != "SQ"
        assert dictionary_VM(tag)
    assert {attribute.group for attribute in table.values()} == set(attributes.GROUPS)
