"""The demo estate: reproducible, made up, and its truth is what another client counts."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from lab_client import WORKLIST, associated, find, keys, serving
from pydicom.dataset import Dataset
from pynetdicom.association import Association

from leadapron.lab import estate
from leadapron.lab.estate import Host
from leadapron.scope.read import parse_scope

SEED = 7
HOSTS = list(estate.hosts(SEED))
PORTS = {"dicom": 11112, "http": 8080, "ftp": 21, "buckets": 9000}
TODAY = dt.date(2026, 11, 24)


def host(number: int) -> Host:
    return next(host for host in HOSTS if host.number == number)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving({str(estate.address(host)): host.serve for host in HOSTS}) as port:
        yield port


def test_a_seed_gives_the_same_estate_and_another_seed_other_numbers() -> None:
    assert estate.truth(list(estate.hosts(SEED)), PORTS) == estate.truth(HOSTS, PORTS)
    assert estate.truth(list(estate.hosts(SEED + 1)), PORTS) != estate.truth(HOSTS, PORTS)


@pytest.mark.parametrize("seed", [-1, estate.MAX_SEED + 1])
def test_a_seed_out_of_bounds_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=f"from 0 to {estate.MAX_SEED}"):
        next(estate.hosts(seed))


@pytest.mark.parametrize("seed", [0, estate.MAX_SEED])
def test_the_first_and_the_last_seed_make_an_estate(seed: int) -> None:
    assert len(list(estate.hosts(seed))) == len(HOSTS)


def test_every_server_has_an_address_of_its_own_on_loopback() -> None:
    addresses = [estate.address(host) for host in HOSTS]
    assert len(set(addresses)) == len(addresses) == 45
    assert all(address in estate.NETWORK and address.is_loopback for address in addresses)


def test_the_scope_is_one_and_covers_the_estate() -> None:
    ports = {"dicom": [11112, 11113], "http": [8080], "ftp": [21], "buckets": [9000]}
    text = estate.scope(ports, TODAY.isoformat(), TODAY.isoformat())

    scope = parse_scope(text.encode(), Path("scope.toml"), today=TODAY)

    grant, *others = scope.grants
    assert {grant.country, *(other.country for other in others)} == {"DE", "AT", "CH"}
    assert scope.mine.uid_roots == ("2.25.1",)
    assert [IPv4Network(str(network)) for network in grant.networks] == [estate.NETWORK]
    assert grant.called_aets == (estate.TITLE,)
    assert scope.ports.by_door == {"dicom": (11112, 11113), "http": (8080,), "ftp": (21,)}
    assert [other.id for other in scope.grants if other.blank_login] == ["demo-share"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_another_client_counts_the_truth_of_an_archive_that_claims_its_numbers(port: int, number: int) -> None:
    counted = host(number)
    with associated(port, address=str(estate.address(counted)), called=counted.truth.resource or "") as association:
        studies, status = find(association, keys("STUDY"))

    assert status == 0
    assert counted.truth.counts == {
        "studies": (len({study.StudyInstanceUID for study in studies}), "exact"),
        "series": (sum(study.NumberOfStudyRelatedSeries for study in studies), "exact"),
        "images": (sum(study.NumberOfStudyRelatedInstances for study in studies), "exact"),
    }


def test_another_client_counts_the_truth_of_an_archive_without_study_level_numbers(port: int) -> None:
    counted = host(4)
    with associated(port, address=str(estate.address(counted))) as association:
        studies, _ = find(association, keys("STUDY"))
        uids = [str(study.StudyInstanceUID) for study in studies]
        series = [find(association, keys("SERIES", StudyInstanceUID=uid, SeriesInstanceUID=""))[0] for uid in uids]
        images = [find(association, keys("IMAGE", StudyInstanceUID=uid, SOPInstanceUID=""))[0] for uid in uids]

    assert not any(study.NumberOfStudyRelatedInstances for study in studies)
    counts = {"studies": len(uids), "series": sum(map(len, series)), "images": sum(map(len, images))}
    assert counted.truth.counts == {name: (count, "exact") for name, count in counts.items()}


def test_the_bound_of_the_archive_that_caps_is_more_than_it_shows_and_no_more_than_it_has(port: int) -> None:
    counted = host(3)
    with associated(port, address=str(estate.address(counted))) as association:
        shown, status = find(association, keys("STUDY"))
        halves = [find(association, keys("STUDY", AccessionNumber=f"*{digit}"))[0] for digit in range(10)]

    low, kind = counted.truth.counts["studies"]
    assert (kind, status, len(shown)) == ("bound", 0xFE00, 100)
    assert 100 < low <= sum(map(len, halves))


def test_another_client_counts_the_worklist(port: int) -> None:
    counted = host(9)
    wanted = Dataset()
    wanted.PatientName = ""
    with associated(port, address=str(estate.address(counted))) as association:
        entries, _ = find(association, wanted, WORKLIST)
    assert counted.truth.counts == {"worklist": (len(entries), "exact")}


def was_rejected(association: Association) -> bool:
    """The client reads the rejection in a thread of its own, and may say so a moment later."""
    until = time.monotonic() + 10
    while not association.is_rejected and time.monotonic() < until:
        time.sleep(0.01)
    return bool(association.is_rejected)


def test_who_refuses_refuses_another_client_too(port: int) -> None:
    with associated(port, address=str(estate.address(host(5)))) as association:
        assert was_rejected(association)
    with associated(port, address=str(estate.address(host(6)))) as association:
        assert was_rejected(association)
    with associated(port, address=str(estate.address(host(7)))) as association:
        assert find(association, keys("STUDY")) == ([], 0x0124)
    for number in (8, 11):
        with associated(port, address=str(estate.address(host(number)))) as association:
            answers = list(association.send_c_find(keys("STUDY"), "1.2.840.10008.5.1.4.1.2.2.1"))
            assert "Status" not in answers[-1][0], "aborted or reset"


def test_what_a_server_was_asked_is_counted_also_by_the_one_that_dies(port: int) -> None:
    before = host(11).asked["connections"]
    with associated(port, address=str(estate.address(host(11)))) as association:
        association.send_c_echo()
    assert host(11).asked["connections"] == before + 1
    assert host(11).asked["echo"] >= 1


def test_the_documentation_has_every_server_and_the_bounds() -> None:
    page = (Path(__file__).parents[2] / "docs" / "lab.md").read_text("utf-8")
    assert f"0 to {estate.MAX_SEED:,}" in page
    assert f"`{estate.NETWORK}`" in page
    for each in HOSTS:
        number = each.number if each.number not in estate.MIDDLEBOX else estate.MIDDLEBOX.start
        assert f"`.{number}`" in page
    for number in (1, 2):
        assert f"{host(number).truth.counts['studies'][0]:,}" in page
