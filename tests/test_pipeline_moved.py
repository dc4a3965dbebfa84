"""Servers that change their place between two audits of one scope."""

from __future__ import annotations

import contextlib
import dataclasses
from ipaddress import ip_address
from pathlib import Path

import pytest

from audits import OPTIONS, Network, Silent
from leadapron import pipeline_run
from leadapron.errors import InputError
from leadapron.lab import tls
from leadapron.lab.archive import made_up
from leadapron.lab.odd import silent
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint, FindingStatus
from leadapron.pipeline_run import verify_finding
from leadapron.store.store import Store
from listening import listening

pytestmark = pytest.mark.usefixtures("disarmed_afterwards")

ARCHIVE = Behaviour(archives={"": made_up(5, 40)})
OPEN, MOVED, NEW = FindingStatus.OPEN, FindingStatus.MOVED, FindingStatus.NEW


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    with contextlib.ExitStack() as stack:
        (free,) = stack.enter_context(listening(Server(ARCHIVE).serve, places=[("127.88.3.250", 0)]))
    return Network(tmp_path, free.port)


def test_a_server_that_moved_takes_its_findings_along(network: Network) -> None:
    scope, server = network.scope(1, 2, 3), Server(ARCHIVE)
    with listening(server.serve, places=[network.at(1)]):
        first, before = network.audit(scope)
    with listening(server.serve, places=[network.at(2)]):
        second, after = network.audit(scope)

        there, gone = after["127.88.3.2", "LA-11"], after["127.88.3.1", "LA-11"]
        earlier = before["127.88.3.1", "LA-11"]
        assert {each.status for (address, _), each in after.items() if address == "127.88.3.1"} == {MOVED}
        assert {each.status for (address, _), each in after.items() if address == "127.88.3.2"} == {OPEN}
        assert (there.first_seen, there.last_seen) == (first.started_at, second.started_at)
        assert (gone.first_seen, gone.last_seen, gone.key) == (first.started_at, first.started_at, earlier.key)
        assert there.moved_from is not None
        assert gone.moved_to is not None
        assert (there.moved_from.key, there.moved_from.endpoint) == (earlier.key, earlier.service.endpoint)
        assert (gone.moved_to.key, gone.moved_to.endpoint) == (there.key, there.service.endpoint)
        assert there.moved_from.because == gone.moved_to.because == ("content",)

        with pytest.raises(
            InputError, match=rf"moved with its service to 127.88.3.2:\d+; name the one there: {there.key}"
        ):
            verify_finding(scope, earlier.key, url=network.url, options=OPTIONS, progress=Silent())

        _, later = network.audit(scope)
        still = later["127.88.3.2", "LA-11"]
        assert (still.status, still.first_seen, still.moved_from) == (OPEN, first.started_at, there.moved_from)
        assert later["127.88.3.1", "LA-11"] == gone

        with listening(server.serve, places=[network.at(1)]):  # back, beside the other
            _, last = network.audit(scope)
        assert last["127.88.3.1", "LA-11"].status is FindingStatus.REOPENED
        assert last["127.88.3.1", "LA-11"].moved_to is None
        assert last["127.88.3.2", "LA-11"].status is OPEN


def test_a_copy_is_no_move(network: Network) -> None:
    """The earlier place still answers, or was not looked at."""
    scope, server = network.scope(1, 2), Server(ARCHIVE)
    with listening(server.serve, places=[network.at(1)]):
        network.audit(scope)
    with listening(server.serve, places=[network.at(1), network.at(2)]):
        _, after = network.audit(scope)
    assert after["127.88.3.1", "LA-11"].status is OPEN
    assert after["127.88.3.2", "LA-11"].status is NEW
    assert after["127.88.3.2", "LA-11"].moved_from is None

    with listening(server.serve, places=[network.at(3)]):
        _, elsewhere = network.audit(network.scope(3))
    assert elsewhere["127.88.3.3", "LA-11"].status is NEW
    assert elsewhere["127.88.3.1", "LA-11"].status is OPEN


def test_a_port_that_accepts_and_says_nothing_is_not_gone(network: Network) -> None:
    scope, server = network.scope(1, 2), Server(ARCHIVE)
    with listening(server.serve, places=[network.at(1)]):
        network.audit(scope)
    with listening(silent, places=[network.at(1)]), listening(server.serve, places=[network.at(2)]):
        _, after = network.audit(scope)

    assert after["127.88.3.1", "LA-11"].status is FindingStatus.NOT_OBSERVED
    assert after["127.88.3.2", "LA-11"].status is NEW


def test_a_place_that_was_known_before_is_no_new_one(network: Network) -> None:
    scope, server = network.scope(1, 2), Server(ARCHIVE)
    locked = Server(dataclasses.replace(ARCHIVE, calling=frozenset({"FRIEND"})))
    with listening(server.serve, places=[network.at(1)]), listening(locked.serve, places=[network.at(2)]):
        network.audit(scope)
    with listening(server.serve, places=[network.at(2)]):
        _, after = network.audit(scope)

    assert after["127.88.3.1", "LA-11"].status is FindingStatus.NOT_OBSERVED
    assert after["127.88.3.2", "LA-11"].status is NEW


def test_a_server_that_was_mended_on_its_way_closes_nothing_at_its_earlier_place(network: Network) -> None:
    """Its product and contexts are no longer told: that it is the same server is not known."""
    scope = network.scope(1, 2)
    with listening(Server(ARCHIVE).serve, places=[network.at(1)]):
        network.audit(scope)
    locked = Server(dataclasses.replace(ARCHIVE, calling=frozenset({"FRIEND"})))
    with listening(locked.serve, places=[network.at(2)]):
        _, after = network.audit(scope)

    assert after["127.88.3.1", "LA-11"].status is FindingStatus.NOT_OBSERVED
    assert after["127.88.3.1", "LA-01"].status is FindingStatus.CLOSED


def test_a_server_inside_tls_is_told_again_by_its_key(network: Network) -> None:
    """It has two studies by now, where it had forty."""
    scope = network.scope(1, 2)
    pair = tls.made_up("pacs.example")
    for number, archive in ((1, ARCHIVE), (2, Behaviour(archives={"": made_up(6, 2)}))):
        serve = tls.inside(Server(archive).serve, tls.server_context(pair))
        with listening(serve, places=[network.at(number)]):
            _, findings = network.audit(scope)

    there = findings["127.88.3.2", "LA-21"]
    assert there.status is OPEN
    assert there.moved_from is not None
    assert there.moved_from.because == ("key",)


def test_a_name_that_leads_elsewhere_takes_its_findings_along(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier address is no part of the scope any more: the name alone authorises."""
    scope = network.scope(networks=[], granted='names = ["pacs.hospital.example"]')
    for number, archive in ((1, ARCHIVE), (2, Behaviour(archives={"": made_up(6, 50)}))):
        address = ip_address(f"127.88.3.{number}")
        monkeypatch.setattr(
            pipeline_run, "resolve", lambda names, address=address: (dict.fromkeys(names, (address,)), [])
        )
        with listening(Server(archive).serve, places=[network.at(number)]):
            _, findings = network.audit(scope)

    there = findings["127.88.3.2", "LA-11"]
    assert there.status is OPEN
    assert there.moved_from is not None
    assert there.moved_from.because == ("name",)
    assert findings["127.88.3.1", "LA-11"].status is MOVED


def test_what_was_seen_last_is_of_earlier_runs_only(network: Network) -> None:
    scope, server = network.scope(1, 2), Server(ARCHIVE)
    with listening(server.serve, places=[network.at(1)]):
        network.audit(scope)
    with listening(server.serve, places=[network.at(2)]):
        run, _ = network.audit(scope)
    with Store.open(network.url) as store:
        places = store.last_seen(run)
        assert {(str(address), port) for address, port, _ in places} == {network.at(1)}
        (seen,) = store.observed_at(places.items()).values()
        assert [each.service.endpoint for each in seen] == [
            Endpoint(address=ip_address("127.88.3.1"), port=network.port)
        ]
