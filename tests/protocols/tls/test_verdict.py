"""Facts from answers: what is open stays absent, one breach is enough, and the page explains each fact."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.protocols.tls.certificate import CertificateFacts, KeyType
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import ALL_CLASSES, ALL_VERSIONS, WEAK, Accepted
from leadapron.protocols.tls.suites import Class
from leadapron.protocols.tls.verdict import OBSOLETE, verdict

PAGE = (Path(__file__).parents[3] / "docs" / "tls.md").read_text()
MODERN = frozenset({Version.TLS_1_2, Version.TLS_1_3})
STRONG = frozenset({Class.TLS13, Class.AEAD_ECDHE})


def accepted(versions: frozenset[Version] = MODERN, classes: frozenset[Class] = STRONG) -> Accepted:
    """These, and nothing else; nothing is open."""
    return Accepted(
        versions=versions,
        refused_versions=ALL_VERSIONS - versions,
        classes=classes,
        refused_classes=ALL_CLASSES - classes,
    )


def handshake(
    demanded: ClientCertificate = ClientCertificate.DEMANDED,
    *,
    days_left: int = 90,
    key: KeyType = KeyType.RSA,
    bits: int = 2048,
    name_matches: bool | None = None,
) -> Handshake:
    certificate = CertificateFacts(
        self_signed=False,
        days_left=days_left,
        not_yet_valid=False,
        key=key,
        bits=bits,
        weak_signature=False,
        spki_sha256="00",
        name_matches=name_matches,
    )
    return Handshake(version=Version.TLS_1_2, certificate=certificate, client_certificate=demanded)


def test_a_good_server() -> None:
    found = verdict(accepted(), handshake())
    assert found["tls.offered"] is found["tls.bcp195"] is found["tls.aead_only"] is True
    assert found["tls.versions"] == 2
    assert found["tls.client_certificate_demanded"] is True
    bad = ("obsolete_version", "weak_class", "no_forward_secrecy", "expired", "expires_soon", "weak_key")
    assert not any(found[f"tls.{name}"] for name in bad)


@pytest.mark.parametrize("version", sorted(OBSOLETE))
def test_an_obsolete_version_breaks_bcp_195(version: Version) -> None:
    found = verdict(accepted(MODERN | {version}))
    assert found["tls.obsolete_version"] is True
    assert found["tls.bcp195"] is False


@pytest.mark.parametrize(
    ("of", "bcp195", "aead_only"),
    [
        *((weak, False, False) for weak in sorted(WEAK)),
        (Class.RSA_KX, False, False),
        (Class.CBC, True, False),
        (Class.CBC_DHE, None, False),
        (Class.AEAD_DHE, None, True),
    ],
)
def test_classes(of: Class, bcp195: bool | None, aead_only: bool) -> None:
    """With DHE nothing is said before a group was seen."""
    found = verdict(accepted(classes=STRONG | {of}))
    assert (found.get("tls.bcp195"), found["tls.aead_only"]) == (bcp195, aead_only)
    assert found["tls.weak_class"] is (of in WEAK)
    assert found[f"tls.class.{of.name.lower()}"] is True


@pytest.mark.parametrize(("bits", "weak", "bcp195"), [(1024, True, False), (2048, False, True), (0, None, None)])
def test_groups(bits: int, weak: bool | None, bcp195: bool | None) -> None:
    found = verdict(dataclasses.replace(accepted(classes=STRONG | {Class.AEAD_DHE}), prime_bits=bits))
    assert (found.get("tls.weak_group"), found.get("tls.bcp195")) == (weak, bcp195)
    assert found.get("tls.prime_bits", 0) == bits


@given(st.frozensets(st.sampled_from(Version)), st.frozensets(st.sampled_from(Class)))
def test_what_is_open_never_makes_a_verdict_good(versions: frozenset[Version], classes: frozenset[Class]) -> None:
    """Facts that some answers gave are never taken back by further answers."""
    whole = accepted(versions, classes)
    part = Accepted(
        versions=frozenset(sorted(versions)[:1]),
        refused_versions=frozenset(sorted(whole.refused_versions)[:2]),
        classes=frozenset(sorted(classes)[:1]),
        refused_classes=frozenset(sorted(whole.refused_classes)[:3]),
    )
    assert verdict(part).items() <= verdict(whole).items()


def test_nothing_known_gives_no_fact() -> None:
    assert verdict(Accepted()) == {}


def test_a_server_that_refuses_all_offers_none() -> None:
    found = verdict(accepted(frozenset(), frozenset()))
    assert found["tls.offered"] is False
    assert "tls.bcp195" not in found
    assert "tls.aead_only" not in found


@pytest.mark.parametrize(
    ("days", "expired", "soon"), [(-1, True, False), (0, False, True), (30, False, True), (31, False, False)]
)
def test_days(days: int, expired: bool, soon: bool) -> None:
    found = verdict(accepted(), handshake(days_left=days))
    assert (found["tls.days_left"], found["tls.expired"], found["tls.expires_soon"]) == (days, expired, soon)


@pytest.mark.parametrize(
    ("key", "bits", "weak"),
    [
        (KeyType.RSA, 1024, True),
        (KeyType.RSA, 2048, False),
        (KeyType.EC, 224, True),
        (KeyType.EC, 256, False),
        (KeyType.ED25519, 256, False),
        (KeyType.DSA, 1024, True),
        (KeyType.OTHER, 0, None),
    ],
)
def test_keys(key: KeyType, bits: int, weak: bool | None) -> None:
    assert verdict(accepted(), handshake(key=key, bits=bits)).get("tls.weak_key") is weak


def test_a_client_certificate_that_nobody_knows_of_is_no_fact() -> None:
    assert "tls.client_certificate_demanded" not in verdict(accepted(), handshake(ClientCertificate.UNKNOWN))


def test_without_a_certificate_there_is_one_fact_about_it() -> None:
    bare = Handshake(version=Version.TLS_1_2, certificate=None, client_certificate=ClientCertificate.NOT_DEMANDED)
    found = verdict(Accepted(), bare)
    assert found == {
        "tls.offered": True,
        "tls.client_certificate_demanded": False,
        "tls.has_certificate": False,
    }


def test_the_page_explains_each_fact_and_no_other() -> None:
    every = verdict(dataclasses.replace(accepted(), prime_bits=2048), handshake(name_matches=True))
    names = {re.sub(r"^tls\.(version|class)\..*", r"tls.\1.…", name) for name in every}
    names |= {"tls.clear_twin", "tls.beside", "tls.key_hosts"}  # of several services together: `assess.compare`
    assert names == set(re.findall(r"^\| `(tls\.[^`]+)` \|", PAGE, re.MULTILINE))
