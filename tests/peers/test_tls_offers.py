"""Versions and classes of real servers, equal to what `openssl s_client` gets from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tls_servers import WEAKEST, Maker, Pair, ask_offers, openssl, s_server

from leadapron.model import Completed, Endpoint
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import Negotiated, learn
from leadapron.protocols.tls.suites import Class, numbers_of, suites

pytestmark = pytest.mark.peer

FLAGS = {
    Version.TLS_1_0: "-tls1",
    Version.TLS_1_1: "-tls1_1",
    Version.TLS_1_2: "-tls1_2",
    Version.TLS_1_3: "-tls1_3",
}
SERVERS: dict[str, tuple[str, ...]] = {
    "its defaults": (),
    "TLS 1.3 only": ("-tls1_3",),
    "TLS 1.2 only": ("-tls1_2",),
    "TLS 1.0 only": ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
    "TLS 1.1 only": ("-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"),
    "TLS 1.0 to 1.3": ("-min_protocol", "TLSv1", "-cipher", "DEFAULT:@SECLEVEL=0"),
    "all that it has": ("-min_protocol", "TLSv1", "-cipher", WEAKEST),
    "a good one": ("-cipher", "ECDHE+AESGCM:ECDHE+CHACHA20"),
    "DHE": ("-tls1_2", "-cipher", "DHE+AESGCM"),
    "CBC": ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"),
    "RSA key transport": ("-no_tls1_3", "-cipher", "AES128-SHA:AES128-GCM-SHA256"),
    "no certificate": ("-no_tls1_3", "-cipher", "aNULL:@SECLEVEL=0"),
    "no encryption": ("-no_tls1_3", "-cipher", "eNULL:@SECLEVEL=0"),
    "a gap": ("-min_protocol", "TLSv1", "-no_tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"),
}


@pytest.fixture(scope="module")
def rsa(maker: Maker) -> Pair:
    return maker.make("pacs")


def gets(here: Endpoint, *arguments: str) -> bool:
    """Whether OpenSSL's client completes a handshake."""
    client = openssl("s_client", "-connect", here, "-servername", here.name, *arguments, "-brief")
    return "CONNECTION ESTABLISHED" in client.stderr


def names_at_openssl() -> dict[int, str]:
    def lines() -> Iterator[list[str]]:
        for line in openssl("ciphers", "-V", WEAKEST).stdout.splitlines():
            yield line.split()

    return {int(number.replace("0x", "").replace(",", ""), 16): name for number, _, name, *_ in lines()}


def oracle(here: Endpoint) -> tuple[set[Version], set[Class]]:
    versions = {version for version, flag in FLAGS.items() if gets(here, flag, "-cipher", WEAKEST)}
    names, classes = names_at_openssl(), set()
    if Version.TLS_1_3 in versions:
        classes.add(Class.TLS13)
    highest = max(versions - {Version.TLS_1_3}, default=None)
    for of in Class if highest else ():
        known = [names[number] for number in numbers_of([of]) if number in names]
        if of is not Class.TLS13 and known:
            assert highest is not None
            if gets(here, FLAGS[highest], "-cipher", ":".join([*known, "@SECLEVEL=0"])):
                classes.add(of)
    return versions, classes


@pytest.mark.parametrize("name", SERVERS)
def test_versions_and_classes_are_those_that_openssl_gets(name: str, rsa: Pair, tmp_path: Path) -> None:
    with s_server(*rsa.arguments, *SERVERS[name], log=tmp_path / "log") as here:
        found = learn(ask_offers(here))
        assert (set(found.versions), set(found.classes)) == oracle(here)
    assert found.versions
    assert not found.open_versions
    assert not found.open_classes


def test_a_key_on_a_curve_is_offered_what_it_can_sign(maker: Maker, tmp_path: Path) -> None:
    pair = maker.make("curve", ("ec", "ec_paramgen_curve:P-256"))
    with s_server(*pair.arguments, log=tmp_path / "log") as here:
        known = ask_offers(here)
        found = learn(known)
        assert (set(found.versions), set(found.classes)) == oracle(here)
    chosen = [each.attempt.result for each in known if isinstance(each.attempt, Completed)]
    assert any("ECDSA" in suites()[each.suite].name for each in chosen if isinstance(each, Negotiated))


@pytest.mark.parametrize("bits", [1024, 2048])
def test_the_group_of_dhe_is_that_which_openssl_sees(bits: int, maker: Maker, tmp_path: Path) -> None:
    """OpenSSL's server takes a group as long as its key."""
    pair = maker.make(f"group{bits}", (f"rsa:{bits}",))
    with s_server(*pair.arguments, "-tls1_2", "-cipher", "DHE:@SECLEVEL=0", log=tmp_path / "log") as here:
        found = learn(ask_offers(here))
        client = openssl("s_client", "-connect", here, "-cipher", WEAKEST)
    assert found.prime_bits == bits
    assert f"Server Temp Key: DH, {bits} bits" in client.stdout
