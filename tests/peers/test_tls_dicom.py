"""DICOM inside TLS with real servers: a C-ECHO and a count through `through`, with and without a client certificate."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from real_servers import Namespace, as_file, free_ports, instance, load_orthanc, namespace, orthanc, require
from tls_servers import WEAKEST, Maker, Pair, ask_offers, converse, within

from leadapron.model import Attempt, Completed, Endpoint, Failed, Reason, Stage
from leadapron.net.conversation import Conversation
from leadapron.protocols.dicom.inquiry import Inquiry, InquiryResult, Model
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake, Handshaking
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import learn
from leadapron.protocols.tls.session import client_context
from leadapron.protocols.tls.suites import Class
from leadapron.protocols.tls.through import through

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def inside() -> Iterator[Namespace]:
    require("ip", "ss", "openssl")
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def client(maker: Maker) -> Pair:
    return maker.make("auditor")


def at(port: int) -> Endpoint:
    return Endpoint(address=ip_address("127.0.0.1"), port=port)


def inquiry(port: int, model: Model = Model.NONE) -> Conversation[InquiryResult]:
    job = Inquiry(
        name="inquiry",
        endpoint=at(port),
        called_aet="ORTHANC",
        calling_aet="LEADAPRON",
        model=model,
        ask_echo=True,
        ask_worklist=False,
        queries=20,
        answers=1000,
        today=dt.date(2026, 5, 17),
    )
    return job.converse()


def ask_inside(
    inside: Namespace, port: int, model: Model = Model.NONE, client: Pair | None = None
) -> Attempt[InquiryResult]:
    context = client_context(client.certificate, client.key) if client else client_context()
    return within(inside, lambda: converse(through(inquiry(port, model), context), at(port)))


def shake(inside: Namespace, port: int) -> Handshake:
    job = Handshaking(name="handshake", endpoint=at(port), now=dt.datetime.now(dt.UTC))
    attempt = within(inside, lambda: converse(job.converse(), at(port)))
    assert isinstance(attempt, Completed)
    return attempt.result


def tls(pair: Pair, client: Pair, *, required: bool) -> dict[str, object]:
    """Orthanc's settings."""
    return {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(pair.certificate),
        "DicomTlsPrivateKey": str(pair.key),
        "DicomTlsTrustedCertificates": str(client.certificate),
        "DicomTlsRemoteCertificateRequired": required,
        "DicomAlwaysAllowFind": True,
    }


def test_an_orthanc_behind_tls_is_counted_as_one_in_clear(
    inside: Namespace, pair: Pair, client: Pair, tmp_path: Path
) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port, **tls(pair, client, required=False)):
        load_orthanc(inside, http_port, [as_file(instance(study)) for study in range(7)])
        attempt = ask_inside(inside, port, Model.STUDY_ROOT)
        found = shake(inside, port)
    assert isinstance(attempt, Completed)
    assert (attempt.result.echo_status, attempt.result.ended) == (0, None)
    assert attempt.result.model is not None
    assert attempt.result.model.studies is not None
    assert attempt.result.model.studies.value == 7
    assert found.client_certificate is ClientCertificate.NOT_DEMANDED


def test_an_orthanc_that_demands_a_certificate_is_opened_by_one(
    inside: Namespace, pair: Pair, client: Pair, tmp_path: Path
) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port, **tls(pair, client, required=True)):
        closed = ask_inside(inside, port)
        opened = ask_inside(inside, port, client=client)
        found = shake(inside, port)
    assert isinstance(closed, Failed)
    assert (closed.stage, closed.reason) in ((Stage.TLS, Reason.TLS), (Stage.TLS, Reason.AUTH))
    assert isinstance(opened, Completed)
    assert opened.result.echo_status == 0
    assert found.client_certificate is ClientCertificate.DEMANDED
    assert found.certificate is not None
    assert found.certificate.self_signed


def test_an_orthanc_in_clear_is_no_tls(inside: Namespace, tmp_path: Path) -> None:
    require("Orthanc")
    port, http_port = free_ports(2)
    with orthanc(inside, tmp_path, port, http_port):
        attempt = ask_inside(inside, port)
    assert isinstance(attempt, Failed)
    assert attempt.stage is Stage.TLS


@contextlib.contextmanager
def storescp(inside: Namespace, folder: Path, pair: Pair, *options: str) -> Iterator[int]:
    require("storescp")
    if "+tls" not in inside.run("storescp", "--help").stdout:
        pytest.skip("this storescp is built without TLS")
    (port,) = free_ports(1)
    command = ("storescp", "+tls", pair.key, pair.certificate, *options, "--ignore", port)
    with inside.serving(port, *command, log=folder / "storescp.log", cwd=folder):
        yield port


def accepted(inside: Namespace, port: int) -> tuple[frozenset[Version], frozenset[Class]]:
    found = learn(within(inside, lambda: ask_offers(at(port))))
    assert not found.open_versions
    assert not found.open_classes
    return found.versions, found.classes


FLAGS = {
    Version.TLS_1_0: "-tls1",
    Version.TLS_1_1: "-tls1_1",
    Version.TLS_1_2: "-tls1_2",
    Version.TLS_1_3: "-tls1_3",
}
MODERN = frozenset({Version.TLS_1_2, Version.TLS_1_3})
OLDER = frozenset({Version.TLS_1_0, Version.TLS_1_1, Version.TLS_1_2})


def versions_at_openssl(inside: Namespace, port: int) -> frozenset[Version]:
    """Those in which OpenSSL's client completes a handshake."""

    def gets(flag: str) -> bool:
        arguments = ("-connect", f"127.0.0.1:{port}", flag, "-cipher", WEAKEST, "-brief")
        return "CONNECTION ESTABLISHED" in inside.run("openssl", "s_client", *arguments, input="").stderr

    return frozenset(version for version, flag in FLAGS.items() if gets(flag))


@pytest.mark.parametrize(
    ("profile", "versions", "classes"),
    [
        ("+py", MODERN, {Class.TLS13, Class.AEAD_ECDHE, Class.AEAD_DHE}),
        ("+pa", OLDER, {Class.RSA_KX}),
        ("+pn", OLDER, {Class.NULL}),
    ],
    ids=["non-downgrading BCP 195", "AES", "unencrypted"],
)
def test_profiles_of_dcmtk(
    profile: str,
    versions: frozenset[Version],
    classes: set[Class],
    inside: Namespace,
    pair: Pair,
    tmp_path: Path,
) -> None:
    with storescp(inside, tmp_path, pair, "-ic", profile) as port:
        found = accepted(inside, port)
        expected = versions_at_openssl(inside, port)
        attempt = ask_inside(inside, port)
    assert found == (versions, classes)
    assert versions == expected
    assert isinstance(attempt, Completed)
    assert attempt.result.echo_status == 0


@pytest.mark.parametrize(
    ("option", "expected"), [("-ic", ClientCertificate.NOT_DEMANDED), ("-rc", ClientCertificate.DEMANDED)]
)
def test_dcmtk_with_client_certificates(
    option: str, expected: ClientCertificate, inside: Namespace, pair: Pair, client: Pair, tmp_path: Path
) -> None:
    with storescp(inside, tmp_path, pair, option, "+cf", str(client.certificate)) as port:
        found = shake(inside, port)
        attempt = ask_inside(inside, port, client=client)
    assert found.client_certificate is expected
    assert isinstance(attempt, Completed)
    assert attempt.result.echo_status == 0
