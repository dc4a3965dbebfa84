"""Certificates and client authentication of real servers, equal to what OpenSSL says of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import subprocess
from pathlib import Path

import pytest
from tls_servers import Maker, Pair, converse, openssl, require_openssl, s_server

from leadapron.model import Completed, Endpoint
from leadapron.protocols.tls.certificate import CertificateFacts
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake, Handshaking
from leadapron.protocols.tls.names import Version

pytestmark = pytest.mark.peer

CURVE = ("ec", "ec_paramgen_curve:P-256")
VERSIONS = {Version.TLS_1_0: "-tls1", Version.TLS_1_2: "-tls1_2", Version.TLS_1_3: "-tls1_3"}
WEAK = ("-cipher", "ALL:@SECLEVEL=0")


@pytest.fixture(scope="module")
def pairs(maker: Maker) -> dict[str, Pair]:
    authority = maker.make("authority", CURVE)
    return {
        "self-signed": maker.make("pacs"),
        "RSA 1024": maker.make("short", ("rsa:1024",)),
        "P-256": maker.make("curve", CURVE),
        "P-384": maker.make("longcurve", ("ec", "ec_paramgen_curve:P-384")),
        "Ed25519": maker.make("edwards", ("ed25519",), issuer=authority),
        "expired": maker.make("old", CURVE, days=(-400, -35)),
        "not yet": maker.make("young", CURVE, days=(5, 400)),
        "three days": maker.make("late", CURVE, days=(-400, 3)),
        "chain": maker.make("leaf", issuer=authority),
        "SHA-1": maker.make("sha1", issuer=authority, digest="sha1"),
        "MD5": maker.make("md5", digest="md5"),
    }


KINDS = (
    "self-signed",
    "RSA 1024",
    "P-256",
    "P-384",
    "Ed25519",
    "expired",
    "not yet",
    "three days",
    "chain",
    "SHA-1",
    "MD5",
)


def shake(here: Endpoint) -> Handshake:
    job = Handshaking(name="handshake", endpoint=here, now=dt.datetime.now(dt.UTC))
    attempt = converse(job.converse(), here)
    assert isinstance(attempt, Completed)
    return attempt.result


def said_by_openssl(certificate: Path) -> dict[str, object]:
    """What `openssl x509` reads in the file, in the words of our facts."""
    text = openssl("x509", "-in", certificate, "-noout", "-text", "-subject", "-issuer", "-enddate").stdout
    key = openssl("x509", "-in", certificate, "-noout", "-pubkey").stdout
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=key.encode(), capture_output=True
    ).stdout
    end = dt.datetime.strptime(re.findall(r"notAfter=(.*) GMT", text)[0], "%b %d %H:%M:%S %Y").replace(tzinfo=dt.UTC)
    bits = re.search(r"Public-Key: \((\d+) bit\)", text)
    return {
        "bits": int(bits[1]) if bits else 256,
        "days_left": (end - dt.datetime.now(dt.UTC)).days,
        "self_signed": re.findall("subject=(.*)", text) == re.findall("issuer=(.*)", text),
        "weak_signature": bool(re.search(r"Signature Algorithm: .*(md5|sha1)", text, re.IGNORECASE)),
        "spki_sha256": hashlib.sha256(der).hexdigest(),
        "not_yet_valid": not_yet(text),
    }


def not_yet(text: str) -> bool:
    begin = re.findall(r"Not Before: (.*) GMT", text)[0]
    return dt.datetime.strptime(begin, "%b %d %H:%M:%S %Y").replace(tzinfo=dt.UTC) > dt.datetime.now(dt.UTC)


def ours(facts: CertificateFacts, names: dict[str, object]) -> dict[str, object]:
    return {name: getattr(facts, name) for name in names}


@pytest.mark.parametrize("version", [Version.TLS_1_2, Version.TLS_1_3])
@pytest.mark.parametrize("kind", KINDS)
def test_certificates_say_what_openssl_says(
    kind: str, version: Version, pairs: dict[str, Pair], tmp_path: Path
) -> None:
    pair = pairs[kind]
    with s_server(*pair.arguments, VERSIONS[version], *WEAK, log=tmp_path / "log") as here:
        found = shake(here)
    assert found.version is version
    assert found.certificate is not None
    expected = said_by_openssl(pair.certificate)
    assert ours(found.certificate, expected) == expected
    assert found.certificate.name_matches is (kind == "self-signed")


@pytest.mark.parametrize("version", list(VERSIONS))
@pytest.mark.parametrize(
    ("wants", "expected"),
    [
        ((), ClientCertificate.NOT_DEMANDED),
        (("-verify", "1"), ClientCertificate.NOT_DEMANDED),
        (("-Verify", "1"), ClientCertificate.DEMANDED),
    ],
    ids=["not asked", "asked", "demanded"],
)
def test_whether_a_client_certificate_is_demanded(
    version: Version, wants: tuple[str, ...], expected: ClientCertificate, pairs: dict[str, Pair], tmp_path: Path
) -> None:
    arguments = (*pairs["self-signed"].arguments, VERSIONS[version], *WEAK, *wants)
    with s_server(*arguments, log=tmp_path / "log") as here:
        found = shake(here)
    assert (found.version, found.client_certificate) == (version, expected)
    assert found.certificate is not None


def test_a_server_without_a_certificate(tmp_path: Path) -> None:
    require_openssl()
    with s_server("-nocert", "-tls1_2", "-cipher", "aNULL:@SECLEVEL=0", log=tmp_path / "log") as here:
        found = shake(here)
    assert found.certificate is None
