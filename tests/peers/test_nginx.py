"""Real servers in clear behind nginx that ends TLS for them: judged and counted as they are in clear."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from proxies import nginx_balancer, nginx_tls
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require
from test_real_peers import audit, dcmqrscp, store
from tls_servers import Maker, Pair, converse, within

from leadapron.model import Completed, Endpoint, Observation
from leadapron.protocols.dicom.inquiry import Inquiry, Model
from leadapron.store.store import Store

pytestmark = pytest.mark.peer

MODERN = ("ssl_protocols TLSv1.2 TLSv1.3", "ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20")
OLD = ("ssl_protocols TLSv1 TLSv1.1 TLSv1.2", "ssl_ciphers ECDHE+AESGCM:AES128-SHA:@SECLEVEL=0")
SEEN = ("access", "counts", "census", "genuineness", "product", "toolkit", "resource")
"""What a report says of a server, wherever it is reached."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "openssl", "nginx")
    with namespace() as made:
        yield made


def at(port: int, address: str = "127.0.0.1") -> Endpoint:
    return Endpoint(address=ip_address(address), port=port)


def audited(inside: Namespace, folder: Path, name: str, *ports: int, **more: Any) -> dict[str, Any]:
    """An audit with a store of its own."""
    place = folder / name
    place.mkdir()
    return audit(inside, place, *ports, **more)


def said(service: dict[str, Any]) -> dict[str, Any]:
    return {name: service[name] for name in SEEN}


def broken(report: dict[str, Any], port: int) -> set[str]:
    return {each["control"] for each in report["findings"] if each["service"]["port"] == port}


def of_tls(service: dict[str, Any], *names: str) -> list[Any]:
    """Facts of TLS; None where there is none."""
    return [service["tls"].get(name) for name in names]


VERSIONS = ("version.tls_1_0", "version.tls_1_1", "version.tls_1_2", "version.tls_1_3")
FACTS = (*VERSIONS, "obsolete_version", "no_forward_secrecy", "bcp195")


@pytest.mark.parametrize(
    ("directives", "facts", "breaks"),
    [
        (MODERN, [False, False, True, True, False, False, True], {"LA-21", "LA-22"}),
        (OLD, [True, True, True, False, True, True, False], {"LA-20", "LA-21", "LA-22"}),
    ],
    ids=["as BCP 195 wants it", "old"],
)
def test_an_orthanc_behind_nginx_is_judged_and_counted_as_in_clear(
    directives: tuple[str, ...], facts: list[bool], breaks: set[str], inside: Namespace, pair: Pair, tmp_path: Path
) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    with (
        orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True),
        nginx_tls(inside, tmp_path, at(port), pair, *directives) as front,
    ):
        load_orthanc(inside, http_port, [as_file(instance(study, 0, each)) for study in range(23) for each in range(2)])
        in_clear = audited(inside, tmp_path, "clear", port, depth="census", cleartext_census=True)
        in_tls = audited(inside, tmp_path, "tls", front.port, depth="census")

    (clear,), (behind,) = in_clear["services"], in_tls["services"]
    assert said(behind) == said(clear)
    assert (behind["counts"]["studies"]["value"], behind["counts"]["images"]["value"]) == (23, 46)
    assert behind["census"]["sampled"] == 23
    assert clear["tls"] is None
    assert of_tls(behind, *FACTS) == facts
    assert of_tls(behind, "client_certificate_demanded", "self_signed", "days_left") == [False, True, 99]
    judged = {"LA-19", "LA-20", "LA-21", "LA-22"}
    assert broken(in_clear, port) - judged == broken(in_tls, front.port) - judged
    assert broken(in_clear, port) & judged == {"LA-19"}
    assert broken(in_tls, front.port) & judged == breaks


def observed(folder: Path) -> dict[int, Observation]:
    """What the store holds of the last run, by port."""
    with Store.open(f"sqlite:///{folder / 's.db'}") as kept:
        return {each.service.endpoint.port: each for each in kept.observations(kept.runs()[-1].id)}


def test_what_nginx_protects_and_leaves_open_beside_it_is_said_on_both(
    inside: Namespace, pair: Pair, tmp_path: Path
) -> None:
    """The backend can be reached as well: each port tells of the other, and every study is there once."""
    require("Orthanc")
    port, http_port = free_ports(2)
    with (
        orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True),
        nginx_tls(inside, tmp_path, at(port), pair, *MODERN) as front,
    ):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(23)])
        report = audited(inside, tmp_path, "both", port, front.port)
        alone = audited(inside, tmp_path, "alone", front.port)

    seen = observed(tmp_path / "both")
    assert {number: each.facts["clear"] for number, each in seen.items()} == {port: True, front.port: False}
    assert (seen[port].facts.get("tls.beside"), seen[port].facts.get("tls.clear_twin")) == (True, None)
    assert (seen[front.port].facts.get("tls.beside"), seen[front.port].facts.get("tls.clear_twin")) == (None, True)
    (finding,) = [each for each in report["findings"] if each["control"] == "LA-19"]
    assert (finding["service"]["port"], finding["evidence"]["tls.beside"]) == (port, True)
    assert {"LA-21", "LA-22"} <= broken(report, front.port)
    assert report["totals"]["unique_studies"]["value"] == 23
    assert "tls.clear_twin" not in observed(tmp_path / "alone")[front.port].facts
    assert alone["totals"]["unique_studies"]["value"] == 23


def test_titles_of_a_dcmqrscp_behind_nginx_are_those_that_it_has_in_clear(
    inside: Namespace, pair: Pair, tmp_path: Path
) -> None:
    require("dcmqrscp", "storescu")
    (port,) = free_ports(1)
    titles = ("OPENA", "OPENB", "CLOSED")

    with (
        dcmqrscp(inside, tmp_path, port),
        nginx_tls(inside, tmp_path, at(port), pair, *MODERN) as front,
    ):
        images = store(inside, tmp_path, port, "OPENA", range(6))
        store(inside, tmp_path, port, "OPENB", range(10, 13))
        in_clear = audited(inside, tmp_path, "clear", port, titles=titles)["services"]
        in_tls = audited(inside, tmp_path, "tls", front.port, titles=titles)["services"]

    assert {each["resource"] for each in in_tls} == {"OPENA", "OPENB"}
    assert [said(each) for each in in_tls] == [said(each) for each in in_clear]
    assert images in {each["counts"]["images"]["value"] for each in in_tls}


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_an_nginx_that_wants_a_certificate_is_opened_by_ours_and_shut_to_strangers(
    version: str, inside: Namespace, maker: Maker, pair: Pair, tmp_path: Path
) -> None:
    """It completes a stranger's handshake and hangs up without a word: a refusal only once ours is seen to open it."""
    require("Orthanc")
    client = maker.make("auditor")
    port, http_port = free_ports(2)
    wants = ("ssl_verify_client on", f"ssl_client_certificate {client.certificate}", f"ssl_protocols {version}")
    ours = tmp_path / "ours.pem"
    ours.write_bytes(client.certificate.read_bytes() + client.key.read_bytes())
    with (
        orthanc(inside, tmp_path, port, http_port, DicomAlwaysAllowFind=True),
        nginx_tls(inside, tmp_path, at(port), pair, *wants) as front,
    ):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(5)])
        stranger = audited(inside, tmp_path, "stranger", front.port)
        certified = audited(inside, tmp_path, "ours", front.port, granted=f'client_certificate = "{ours}"')

    assert stranger["totals"]["exposed_services"] == certified["totals"]["exposed_services"] == 0
    assert stranger["services"] == []
    assert [(each["endpoint"], each["reason"]) for each in stranger["unknowns"]] == [(str(front), "reset")]
    by_certificate = {each["certified"]: each for each in certified["services"]}
    assert by_certificate[False]["access"]["list"] == "refused"
    assert by_certificate[True]["access"]["list"] == "proven"
    assert by_certificate[True]["counts"]["studies"]["value"] == 5


def test_an_nginx_whose_backend_is_gone_is_unknown_and_never_clean(
    inside: Namespace, pair: Pair, tmp_path: Path
) -> None:
    """TLS is spoken, and nobody is behind it."""
    (nobody,) = free_ports(1)
    with nginx_tls(inside, tmp_path, at(nobody), pair, *MODERN) as front:
        report = audited(inside, tmp_path, "gone", front.port)

    assert report["services"] == []
    (unknown,) = report["unknowns"]
    assert unknown["endpoint"] == str(front)
    assert unknown["stage"] == "handshake"


def studies(inside: Namespace, here: Endpoint) -> int:
    """How many one association finds."""
    job = Inquiry(
        name="inquiry",
        endpoint=here,
        called_aet="ORTHANC",
        calling_aet="LEADAPRON",
        model=Model.STUDY_ROOT,
        ask_echo=False,
        ask_worklist=False,
        queries=20,
        answers=1000,
        today=dt.date(2026, 5, 17),
    )
    attempt = within(inside, lambda: converse(job.converse(), here))
    assert isinstance(attempt, Completed)
    assert attempt.result.model is not None
    assert attempt.result.model.studies is not None
    return attempt.result.model.studies.value


def test_a_balancer_deals_connections_out_in_turn(inside: Namespace, tmp_path: Path) -> None:
    """Two archives that differ, in strict alternation from the first connection on."""
    require("Orthanc")
    first, second, *http_ports = free_ports(4)
    with (
        orthanc(inside, tmp_path, first, http_ports[0], DicomAlwaysAllowFind=True),
        orthanc(inside, tmp_path, second, http_ports[1], DicomAlwaysAllowFind=True),
        nginx_balancer(inside, tmp_path, [at(first), at(second)]) as here,
    ):
        load_orthanc(inside, http_ports[0], [as_file(instance(study)) for study in range(3)])
        load_orthanc(inside, http_ports[1], [as_file(instance(study)) for study in range(5)])
        found = [studies(inside, here) for _ in range(6)]

    assert found == [3, 5, 3, 5, 3, 5]


def test_two_products_that_take_turns_are_both_asked(inside: Namespace, tmp_path: Path) -> None:
    """Their archives differ: what they show together is a bound."""
    require("Orthanc", "storescu")
    first, second, http_port = free_ports(3)
    (tmp_path / "instances").mkdir()
    other = [sys.executable, "-m", "pynetdicom", "qrscp", "--port", second, "--database-location", tmp_path / "q.db"]
    with (
        orthanc(inside, tmp_path, first, http_port, DicomAlwaysAllowFind=True),
        inside.serving(second, *other, "--instance-location", tmp_path / "instances", log=tmp_path / "qrscp.log"),
        nginx_balancer(inside, tmp_path, [at(first), at(second)]) as here,
    ):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(5)])
        store(inside, tmp_path, second, "QRSCP", range(20, 23))
        report = audited(inside, tmp_path, "turns", here.port)

    (service,) = report["services"]
    assert service["access"]["list"] == "proven"
    assert service["facts"]["implementations"] == 2
    assert service["facts"]["associations"] <= 12
    studies = service["counts"]["studies"]
    assert (studies["low"], studies["high"], studies["kind"]) == (5, 8, "bound")
    assert report["totals"]["unique_studies"]["low"] == 8, "the lists of both are joined"
    assert ("count", "limit") in {(each["stage"], each["reason"]) for each in report["unknowns"]}


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_an_orthanc_that_refuses_hides_none_beside_it_that_does_not(
    turns: int, inside: Namespace, tmp_path: Path
) -> None:
    """Two of one implementation, one with its defaults: an abort is asked about again, and the other one answers."""
    require("Orthanc")
    shut, wide, *http_ports = free_ports(4)
    with (
        orthanc(inside, tmp_path, shut, http_ports[0]),
        orthanc(inside, tmp_path, wide, http_ports[1], DicomAlwaysAllowFind=True),
        nginx_balancer(inside, tmp_path, [*[at(shut)] * turns, at(wide)]) as here,
    ):
        load_orthanc(inside, http_ports[1], [as_file(instance(study)) for study in range(5)])
        report = audited(inside, tmp_path, "turns", here.port)

    (service,) = report["services"]
    assert service["access"]["list"] == "proven"
    assert service["counts"]["studies"]["value"] == 5
