"""Inside TLS: what looks like a refusal, and is none; and what looks settled, and is not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from audits import place
from leadapron.assess.compare import compared
from leadapron.assess.judge import judge, refuted
from leadapron.identify.match import match
from leadapron.lab import tls
from leadapron.lab.archive import made_up
from leadapron.lab.server import Behaviour, Server
from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Owner,
    Reason,
    Service,
    Stage,
    VantageKind,
    Verdict,
)
from leadapron.protocols.base import Case, Terms
from leadapron.protocols.dicom.negotiation import Negotiated, Outcome
from leadapron.protocols.dicom.probe import PROTOCOL, Dicom
from leadapron.store.history import is_refuted
from listening import Serve, listening

PACS, AUDITOR = tls.made_up("pacs.example"), tls.made_up("auditor.example")
HERE = Endpoint(address=ip_address("127.0.0.1"), port=2762)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON")
BUSY = Negotiated(outcome=Outcome.REJECTED, rj_result=2, rj_source=3, rj_reason=2)
NOTHING = Access(
    reach=Verdict.PROVEN, talk=Verdict.REFUSED, list=Verdict.REFUSED, read=Verdict.REFUSED, write=Verdict.REFUSED
)


def archive() -> Serve:
    return Server(Behaviour(archives={"": made_up(5, 7)})).serve


def but_once(serve: Serve, number: int, instead: Serve) -> Serve:
    """`serve`, and `instead` for one connection."""
    count = 0

    async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await (instead if count == number else serve)(reader, writer)

    return both


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(10)


def with_certificate(folder: Path, endpoints: list[Endpoint]) -> list[Observation]:
    (folder / "a.pem").write_bytes(AUDITOR.certificate + AUDITOR.key)
    here = place(folder, endpoints)
    here.scope.write_text(here.scope.read_text().replace('id = "g"\n', 'id = "g"\nclient_certificate = "a.pem"\n'))
    return here.run()[1]


@pytest.mark.parametrize("number", [1, 2])
def test_one_dropped_connection_of_an_open_server_refuses_nobody(number: int, tmp_path: Path) -> None:
    """Which of those that complete a handshake: the one for the certificate, or the first association."""
    serve = tls.inside(but_once(archive(), number, hangs_up), tls.server_context(PACS))
    with listening(serve) as endpoints:
        seen = with_certificate(tmp_path, endpoints)
    assert Verdict.REFUSED not in {each.access.list for each in seen}
    assert not [each for each in seen if each.certified]


def behind_its_flight(context: ssl.SSLContext) -> Serve:
    """Hangs up where a client certificate would come."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(await reader.read(65_536))
        with contextlib.suppress(ssl.SSLError):
            side.do_handshake()
        writer.write(outgoing.read())
        await writer.drain()
        await reader.read(10)

    return serve


@pytest.mark.parametrize(("always", "listed"), [(False, Verdict.PROVEN), (True, Verdict.REFUSED)])
def test_who_asks_for_a_certificate_and_hangs_up_demands_it_where_he_does_so_again(
    always: bool, listed: Verdict, tmp_path: Path
) -> None:
    context = tls.server_context(PACS, trusts=AUDITOR.certificate)
    context.verify_mode, context.maximum_version = ssl.CERT_OPTIONAL, ssl.TLSVersion.TLSv1_2
    hanging = behind_its_flight(context)
    # sweep, hello, offer, handshake: the fourth connection
    serve = hanging if always else but_once(tls.inside(archive(), context), 4, hanging)
    with listening(serve) as endpoints:
        _, (seen,), _ = place(tmp_path, endpoints).run()
    assert seen.access.list is listed


@pytest.mark.parametrize("reason", [Reason.RESET, Reason.TIMEOUT])
def test_who_answered_dicom_once_is_not_asked_for_tls(reason: Reason) -> None:
    attempts: dict[str, Attempt[object]] = {
        "hello": Completed(result=BUSY),
        "hello.2": Failed(stage=Stage.HANDSHAKE, reason=reason),
    }
    raw = {name: PROTOCOL.encode_attempt(attempt) for name, attempt in attempts.items()}
    job = Dicom().next_job(Case(endpoint=HERE, terms=TERMS, attempts=raw), match)
    assert job is None or not job.name.startswith("tls")


def service(**parts: object) -> Observation:
    seen = Observation(service=Service(endpoint=HERE, protocol="dicom"), access=NOTHING, owner=Owner(grant="g"))
    return replace(seen, **parts)  # type: ignore[arg-type]


def test_what_a_certificate_showed_is_not_closed_by_what_a_stranger_is_refused() -> None:
    showed = service(
        service=Service(endpoint=HERE, protocol="dicom", resource="ANY-SCP+certificate"),
        access=replace(NOTHING, list=Verdict.PROVEN),
        certified=True,
        facts={"find_answers": 900, "find_capped": False},
    )
    (finding,) = [each for each in judge(showed, VantageKind.INTERNET) if each.control == "LA-15"]
    stranger = service()
    gone = service(access=Access(reach=Verdict.REFUSED))
    assert not is_refuted(finding, {stranger.service: stranger}, refuted)
    assert is_refuted(finding, {gone.service: gone}, refuted) == refuted("LA-15", gone)


def in_order(number: int, key: str) -> Observation:
    """A service whose certificate is as it should be."""
    names = ("expired", "expires_soon", "not_yet_valid", "self_signed", "weak_key", "weak_signature")
    return service(
        service=Service(endpoint=Endpoint(address=ip_address(f"10.0.0.{number}"), port=2762), protocol="dicom"),
        tls={"spki_sha256": key},
        facts={f"tls.{name}": False for name in names} | {"tls.has_certificate": True},
    )


@pytest.mark.parametrize(
    ("others", "is_closed"),
    [([], False), ([in_order(2, "bb")], True), ([in_order(2, "aa")], False)],
    ids=["alone", "with its own key", "with a shared key"],
)
def test_one_host_alone_cannot_show_that_its_key_is_its_own(others: list[Observation], is_closed: bool) -> None:
    first, *_ = compared([in_order(1, "aa"), *others])
    assert refuted("LA-22", first) is is_closed
