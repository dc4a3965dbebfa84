"""An audit of servers of our own inside TLS: who gets in, what is counted there, and what only all of them together say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from audits import Network, place
from leadapron.assess.judge import judge
from leadapron.lab import tls
from leadapron.lab.archive import Archive, Persona, made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import Endpoint, Observation, VantageKind, Verdict
from listening import Serve, listening

pytestmark = pytest.mark.usefixtures("disarmed_afterwards")

HOSPITAL = made_up(5, 7, persona=Persona.PATIENTS)
PACS = tls.made_up("pacs.example")
AUDITOR = tls.made_up("auditor.example")


def archive(held: Archive = HOSPITAL) -> Server:
    return Server(Behaviour(archives={"": held}))


def controls(seen: Observation) -> set[str]:
    return {finding.control for finding in judge(seen, VantageKind.INTERNET)}


@contextlib.contextmanager
def secured(serve: Serve, count: int = 1, *, pair: tls.Pair = PACS, trusts: bytes = b"") -> Iterator[list[Endpoint]]:
    with listening(tls.inside(serve, tls.server_context(pair, trusts=trusts)), count) as endpoints:
        yield endpoints


@contextlib.contextmanager
def in_a_row(serve: Serve, count: int) -> Iterator[list[Endpoint]]:
    """On neighbouring addresses, all on one port."""
    with listening(serve, places=[("127.88.3.1", 0)]) as (first,):
        others = [(f"127.88.3.{number}", first.port) for number in range(2, count + 1)]
        with listening(serve, places=others) as rest:
            yield [first, *rest]


def test_an_archive_inside_tls_is_counted_and_its_census_needs_no_leave_for_clear(tmp_path: Path) -> None:
    server = archive()
    with secured(server.serve) as endpoints:
        run, (seen,), unknowns = place(tmp_path, endpoints, depth="census").run()

    assert (run.status.value, unknowns) == ("complete", set())
    assert seen.exposed
    assert (seen.counts.studies and seen.counts.studies.value) == 7
    assert seen.census is not None
    assert seen.census.present["PatientName"] == 7
    assert {name: seen.facts[name] for name in ("clear", "tls.bcp195", "tls.client_certificate_demanded")} == {
        "clear": False,
        "tls.bcp195": True,
        "tls.client_certificate_demanded": False,
    }
    assert {"LA-11", "LA-21", "LA-22"} <= controls(seen)
    assert controls(seen).isdisjoint({"LA-19", "LA-20"})
    assert "census_withheld" not in seen.facts


def test_a_server_in_clear_is_sent_no_client_hello(tmp_path: Path) -> None:
    server = archive()
    with listening(server.serve) as endpoints, place(tmp_path, endpoints).audit() as audit:
        audit.discover()
        audit.identify()
        asyncio.run(audit.assess())
        ((_, jobs),) = audit.store.attempts(audit.run_.id).items()
        (seen,), _ = audit.evidence.gather({(endpoints[0], "dicom"): jobs}, endpoints)

    assert not [name for name in jobs if name.startswith(("tls", "mtls"))]
    assert server.asked["connections"] == len(jobs) + 1  # the sweep
    assert "LA-19" in controls(seen)


def test_who_demands_a_certificate_is_closed_to_strangers(tmp_path: Path) -> None:
    server = archive()
    with secured(server.serve, trusts=AUDITOR.certificate) as endpoints:
        run, (seen,), unknowns = place(tmp_path, endpoints).run()

    assert (run.status.value, unknowns) == ("complete", set())
    assert {seen.access.talk, seen.access.list, seen.access.read, seen.access.write} == {Verdict.REFUSED}
    assert server.asked["associations"] == 0
    assert controls(seen) == {"LA-22"}


def test_what_the_certificate_of_the_scope_opens_is_told_apart_from_what_a_stranger_sees(tmp_path: Path) -> None:
    (tmp_path / "auditor.pem").write_bytes(AUDITOR.certificate + AUDITOR.key)
    server = archive()
    with secured(server.serve, trusts=AUDITOR.certificate) as endpoints:
        here = place(tmp_path, endpoints)
        text = here.scope.read_text()
        here.scope.write_text(text.replace('id = "g"\n', 'id = "g"\nclient_certificate = "auditor.pem"\n'))
        _, seen, unknowns = here.run()

    assert unknowns == set()
    stranger, certified = seen
    assert (stranger.access.list, stranger.service.resource, stranger.certified) == (Verdict.REFUSED, "", False)
    assert certified.certified
    assert certified.service.resource == "ANY-SCP+certificate"
    assert certified.access.list is Verdict.PROVEN
    assert (certified.counts.studies and certified.counts.studies.value) == 7
    assert not certified.exposed
    assert controls(certified) == {"LA-07", "LA-08", "LA-36"}


def test_who_hangs_up_without_a_word_on_who_has_no_certificate_is_locked_where_ours_opens(tmp_path: Path) -> None:
    (tmp_path / "auditor.pem").write_bytes(AUDITOR.certificate + AUDITOR.key)
    context = tls.server_context(PACS, trusts=AUDITOR.certificate)
    with listening(tls.inside(archive().serve, context, says_why=False)) as endpoints:
        here = place(tmp_path, endpoints)
        text = here.scope.read_text()
        assert here.run()[1:] == ([], {(str(endpoints[0]), "handshake", "reset")})
        (tmp_path / "s.db").unlink()
        here.scope.write_text(text.replace('id = "g"\n', 'id = "g"\nclient_certificate = "auditor.pem"\n'))
        _, (stranger, certified), _ = here.run()

    assert (stranger.access.list, certified.access.list) == (Verdict.REFUSED, Verdict.PROVEN)
    assert stranger.facts["tls.client_certificate_demanded"] is True


def test_a_certificate_that_is_not_believed_is_an_unknown_of_its_own(tmp_path: Path) -> None:
    other = tls.made_up("somebody.example")
    (tmp_path / "other.pem").write_bytes(other.certificate + other.key)
    with secured(archive().serve, trusts=AUDITOR.certificate) as endpoints:
        here = place(tmp_path, endpoints)
        text = here.scope.read_text()
        here.scope.write_text(text.replace('id = "g"\n', 'id = "g"\nclient_certificate = "other.pem"\n'))
        _, (stranger, certified), unknowns = here.run()

    assert stranger.access.list is Verdict.REFUSED
    assert certified.access.list is Verdict.UNKNOWN
    (why,) = {(stage, reason) for _, stage, reason in unknowns}
    assert why in {("tls", "auth"), ("handshake", "reset")}  # a reset may overtake the alert


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


def test_tls_without_dicom_in_it_is_no_service_and_is_asked_little(tmp_path: Path) -> None:
    with secured(web) as endpoints:
        here = place(tmp_path, endpoints)
        run, seen, unknowns = here.run()
        with here.audit() as audit:
            ((_, jobs),) = audit.store.attempts(run.id).items()

    assert (seen, unknowns) == ([], {(str(endpoints[0]), "handshake", "protocol")})
    assert sorted(name.partition(":tls_1_3")[0] for name in jobs) == [
        "hello",
        "tls/hello",
        "tls:handshake",
        "tls:offer:1",
    ]


@pytest.mark.parametrize("serve", [archive().serve, web], ids=["DICOM", "web"])
def test_a_row_of_servers_that_speak_tls_is_no_middlebox(serve: Serve, tmp_path: Path) -> None:
    with in_a_row(tls.inside(serve, tls.server_context(PACS)), 20) as endpoints:
        _, seen, unknowns = place(tmp_path, endpoints).run()

    if serve is web:
        assert unknowns == {(str(endpoint), "handshake", "protocol") for endpoint in endpoints}
    else:
        assert ({each.service.endpoint for each in seen}, unknowns) == (set(endpoints), set())
        assert {each.facts["tls.key_hosts"] for each in seen} == {20}


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)


def test_a_row_of_addresses_that_hang_up_on_everything_is_one_and_only_its_witnesses_are_asked(tmp_path: Path) -> None:
    with in_a_row(hangs_up, 20) as endpoints:
        here = place(tmp_path, endpoints)
        run, seen, unknowns = here.run()
        with here.audit() as audit:
            asked = {endpoint for (endpoint, _), jobs in audit.store.attempts(run.id).items() if len(jobs) > 1}

    row = f"{endpoints[0].address}-{endpoints[-1].address} port {endpoints[0].port}"
    assert (seen, unknowns) == ([], {(row, "handshake", "middlebox")})
    assert asked == {endpoints[0], endpoints[9], endpoints[19]}


def test_what_stands_on_several_hosts_or_beside_is_said(tmp_path: Path) -> None:
    own = tls.made_up("own.example", issuer=("ca.example", tls.new_key()))
    with secured(archive().serve, 2) as shared, listening(archive().serve, places=[("127.88.0.9", 0)]) as clear:
        at = [("127.88.0.9", 0)]
        with listening(tls.inside(archive().serve, tls.server_context(own)), places=at) as beside:
            endpoints = [*shared, *clear, *beside]
            _, seen, _ = place(tmp_path, endpoints).run()

    by_endpoint = {each.service.endpoint: each for each in seen}
    assert [by_endpoint[each].facts["tls.key_hosts"] for each in (*shared, *beside)] == [2, 2, 1]
    assert by_endpoint[beside[0]].facts["tls.clear_twin"] is True
    assert by_endpoint[clear[0]].facts["tls.beside"] is True
    assert "tls.clear_twin" not in by_endpoint[shared[0]].facts
    assert "LA-22" not in controls(by_endpoint[beside[0]])


def test_a_shared_key_is_not_mended_by_a_twin_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    authority = ("ca.example", tls.new_key())
    pairs = [tls.made_up(f"{name}.example", issuer=authority) for name in ("shared", "own", "new")]
    shared, own, renewed = (tls.inside(archive().serve, tls.server_context(pair)) for pair in pairs)
    with contextlib.ExitStack() as stack:
        (first,) = stack.enter_context(listening(shared, places=[("127.88.3.1", 0)]))
        network = Network(tmp_path, first.port)
        stack.enter_context(listening(own, places=[network.at(3)]))
        scope = network.scope(1, 2, 3)

        def status() -> str:
            _, findings = network.audit(scope)
            return findings["127.88.3.1", "LA-22"].status.value

        with listening(shared, places=[network.at(2)]):
            assert status() == "new"
        assert status() == "not_observed"
        with listening(renewed, places=[network.at(2)]):
            assert status() == "closed"


def test_a_shared_key_is_not_mended_by_silence_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that has a further fault keeps its finding while the other one is silent, without the number of hosts."""
    monkeypatch.setenv("LEADAPRON_DATA", str(tmp_path / "data"))
    authority = ("ca.example", tls.new_key())
    key = tls.new_key()
    sound = tls.made_up("shared.example", issuer=authority, key=key)
    faulty = tls.made_up("shared.example", issuer=authority, key=key, days=(-1, 5))
    own = tls.made_up("own.example", issuer=authority)
    first, second, third = (tls.inside(archive().serve, tls.server_context(pair)) for pair in (sound, faulty, own))
    with contextlib.ExitStack() as stack:
        (beside,) = stack.enter_context(listening(third, places=[("127.88.3.3", 0)]))
        network = Network(tmp_path, beside.port)
        scope = network.scope(1, 2, 3)

        def status() -> str:
            _, findings = network.audit(scope)
            return findings["127.88.3.1", "LA-22"].status.value

        with listening(first, places=[network.at(1)]), listening(second, places=[network.at(2)]):
            assert status() == "new"
        with listening(second, places=[network.at(2)]):
            assert status() == "not_observed"
        with listening(first, places=[network.at(1)]):
            assert status() == "not_observed"


def test_an_obsolete_version_is_found_and_entered_all_the_same(tmp_path: Path) -> None:
    context = tls.server_context(PACS, obsolete=True)
    with listening(tls.inside(archive().serve, context)) as endpoints:
        _, (seen,), _ = place(tmp_path, endpoints).run()

    assert seen.exposed
    assert (seen.facts["tls.obsolete_version"], seen.facts["tls.version.tls_1_3"]) == (True, False)
    assert {"LA-11", "LA-20"} <= controls(seen)
