"""What is said of TLS held against sslyze, a program of its own in an environment of its own (`make test` installs it)."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_tls_offers import SERVERS
from tls_servers import Maker, Pair, ask_offers, converse, require_openssl, s_server

from leadapron.model import Completed, Endpoint
from leadapron.protocols.tls.certificate import KeyType
from leadapron.protocols.tls.handshake import ClientCertificate, Handshaking
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import learn
from leadapron.protocols.tls.suites import Class, suites

pytestmark = pytest.mark.peer

SSLYZE = Path(__file__).parents[2] / ".oracle" / "bin" / "sslyze"
VERSIONS = {
    "ssl_3_0_cipher_suites": Version.SSL_3_0,
    "tls_1_0_cipher_suites": Version.TLS_1_0,
    "tls_1_1_cipher_suites": Version.TLS_1_1,
    "tls_1_2_cipher_suites": Version.TLS_1_2,
    "tls_1_3_cipher_suites": Version.TLS_1_3,
}
OPTIONS = ("--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--certinfo")


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    require_openssl()
    if not SSLYZE.exists():
        pytest.skip("sslyze is not installed (make test installs it)")
    return Maker(folder=tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def rsa(maker: Maker) -> Pair:
    return maker.make("pacs")


def sslyze(here: Endpoint, folder: Path) -> Any:
    """What it says of one server."""
    out = folder / "sslyze.json"
    subprocess.run([SSLYZE, f"--json_out={out}", *OPTIONS, str(here)], capture_output=True, timeout=60, check=False)
    (result,) = json.loads(out.read_text())["server_scan_results"]
    assert result["scan_status"] == "COMPLETED", result
    return result


def accepted(result: Any) -> Iterator[tuple[Version, str]]:
    """Versions and IANA names of the suites that it got."""
    for key, version in VERSIONS.items():
        part = result["scan_result"][key]
        assert part["status"] == "COMPLETED", part
        for each in part["result"]["accepted_cipher_suites"]:
            yield version, each["cipher_suite"]["name"]


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def by_name() -> dict[str, Class]:
    return {suite.name: suite.of for suite in suites().values()}


@pytest.mark.parametrize("name", SERVERS)
def test_versions_and_classes_are_those_that_sslyze_gets(name: str, rsa: Pair, tmp_path: Path) -> None:
    with s_server(*rsa.arguments, *SERVERS[name], log=tmp_path / "log") as here:
        found = learn(ask_offers(here))
        got = list(accepted(sslyze(here, tmp_path)))
    assert set(found.versions) == {version for version, _ in got}
    assert set(found.classes) == {by_name()[suite] for _, suite in got}


@pytest.mark.parametrize("option", [(), ("-verify", "1"), ("-Verify", "1")], ids=["none", "asked", "demanded"])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_who_demands_a_client_certificate_is_who_sslyze_says(
    option: tuple[str, ...], version: str, rsa: Pair, tmp_path: Path
) -> None:
    with s_server(*rsa.arguments, *option, version, log=tmp_path / "log") as here:
        job = Handshaking(name="handshake", endpoint=here, now=_now())
        attempt = converse(job.converse(), here)
        said = sslyze(here, tmp_path)["connectivity_result"]["client_auth_requirement"]
    assert isinstance(attempt, Completed)
    demanded = attempt.result.client_certificate is ClientCertificate.DEMANDED
    assert demanded == (said == "REQUIRED")


@pytest.mark.parametrize(
    ("key", "days", "digest"),
    [
        (("rsa:1024",), (-1, 100), "sha256"),
        (("rsa:3072",), (-400, -30), "sha1"),
        (("ec", "ec_paramgen_curve:P-384"), (-1, 20), "sha384"),
    ],
)
def test_a_certificate_is_what_sslyze_reads(
    key: tuple[str, ...], days: tuple[int, int], digest: str, maker: Maker, tmp_path: Path
) -> None:
    pair = maker.make(f"cert-{key[-1].replace(':', '-')}", key, days=days, digest=digest)
    with s_server(*pair.arguments, "-cipher", "DEFAULT:@SECLEVEL=0", log=tmp_path / "log") as here:
        attempt = converse(Handshaking(name="handshake", endpoint=here, now=_now()).converse(), here)
        info = sslyze(here, tmp_path)["scan_result"]["certificate_info"]
    assert isinstance(attempt, Completed)
    facts = attempt.result.certificate
    assert facts is not None
    leaf = info["result"]["certificate_deployments"][0]["received_certificate_chain"][0]
    assert facts.bits == leaf["public_key"]["key_size"]
    assert (facts.key is KeyType.EC) == leaf["public_key"]["algorithm"].startswith("EC")
    assert facts.days_left == (_time(leaf["not_valid_after"]) - _now()).days
    assert facts.self_signed == (leaf["issuer"]["rfc4514_string"] == leaf["subject"]["rfc4514_string"])
    assert facts.weak_signature == (leaf["signature_hash_algorithm"]["name"] in ("md5", "sha1"))
