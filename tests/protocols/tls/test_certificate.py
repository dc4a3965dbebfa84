"""Facts of certificates; what cannot be read is the one error, without a word of the certificate in it."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tls_peer import NOW, certificate

from leadapron.errors import WireError
from leadapron.protocols import payload
from leadapron.protocols.tls.certificate import CertificateFacts, KeyType, read_certificate

CURVE = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
CANARY = "SECRET-HOST.example"


def facts(der: bytes, **options: object) -> CertificateFacts:
    return read_certificate(der, now=NOW, **options)  # type: ignore[arg-type]


def der(*arguments: object, **options: object) -> bytes:
    return certificate(*arguments, **options).public_bytes(Encoding.DER)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "kind", "bits"),
    [
        (rsa.generate_private_key(65537, 1024), KeyType.RSA, 1024),
        (rsa.generate_private_key(65537, 2048), KeyType.RSA, 2048),
        (CURVE, KeyType.EC, 256),
        (ec.generate_private_key(ec.SECP384R1()), KeyType.EC, 384),
        (dsa.generate_private_key(1024), KeyType.DSA, 1024),
    ],
)
def test_keys(key: CertificateIssuerPrivateKeyTypes, kind: KeyType, bits: int) -> None:
    found = facts(der(key))
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (found.key, found.bits) == (kind, bits)
    assert found.spki_sha256 == hashlib.sha256(spki).hexdigest()


@pytest.mark.parametrize(
    ("key", "kind", "bits"),
    [
        (ed25519.Ed25519PrivateKey.generate(), KeyType.ED25519, 256),
        (ed448.Ed448PrivateKey.generate(), KeyType.ED448, 456),
    ],
)
def test_keys_of_edwards_curves(key: ed25519.Ed25519PrivateKey, kind: KeyType, bits: int) -> None:
    found = facts(der(key, issuer=("made-up CA", CURVE)))
    assert (found.key, found.bits, found.self_signed) == (kind, bits, False)


def test_a_key_is_told_again_by_the_hash_that_other_tools_have() -> None:
    one, same, other = (facts(der(key)).spki_sha256 for key in (CURVE, CURVE, OTHER))
    assert one == same != other
    spki = CURVE.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert one == hashlib.sha256(spki).hexdigest()


@pytest.mark.parametrize(
    ("days", "left", "not_yet"),
    [((-1, 100), 100, False), ((-9, -3), -3, False), ((-9, -0.5), -1, False), ((2, 9), 9, True), ((-1, 0.5), 0, False)],
)
def test_days(days: tuple[float, float], left: int, not_yet: bool) -> None:
    found = facts(der(CURVE, days=days))
    assert (found.days_left, found.not_yet_valid) == (left, not_yet)


def test_who_signed() -> None:
    assert facts(der(CURVE)).self_signed
    assert not facts(der(CURVE, issuer=("made-up CA", OTHER))).self_signed
    assert not facts(der(CURVE, issuer=("pacs.example", OTHER))).self_signed  # its own name, not its own key


@pytest.mark.parametrize(
    ("names", "name", "matches"),
    [
        (("pacs.example",), "pacs.example", True),
        (("a.example", "PACS.Example"), "pacs.example.", True),
        (("*.hospital.example",), "pacs.hospital.example", True),
        (("*.hospital.example",), "a.pacs.hospital.example", False),
        (("*.example",), "example", False),
        (("*.example",), "pacs.example", False),
        (("other.example",), "pacs.example", False),
        ((), "pacs.example", False),
        (("pacs.example",), "", None),
    ],
)
def test_names_become_yes_or_no(names: tuple[str, ...], name: str, matches: bool | None) -> None:
    assert facts(der(CURVE, names=names), name=name).name_matches is matches


def test_no_name_and_no_serial_leaves() -> None:
    found = facts(der(CURVE, names=(CANARY,), issuer=("SECRET-CA", OTHER)), name="pacs.example")
    assert "SECRET" not in repr(found)
    assert {type(value) for value in payload.dump(found).values()} <= {bool, int, str}
    assert payload.load(CertificateFacts, payload.dump(found)) == found
    assert {field.name for field in dataclasses.fields(found)} == {
        *("self_signed", "days_left", "not_yet_valid", "key", "bits", "weak_signature", "spki_sha256", "name_matches")
    }


@given(st.binary(max_size=300))
def test_any_bytes_are_facts_or_the_one_error(raw: bytes) -> None:
    with pytest.raises(WireError):
        facts(raw)


GOOD = der(CURVE, names=(CANARY,))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_facts_or_the_one_error(place: int, value: int) -> None:
    raw = bytearray(GOOD)
    raw[place] = value
    try:
        found = facts(bytes(raw), name="pacs.example")
    except WireError as error:
        assert "SECRET" not in str(error)
        assert error.__cause__ is None and error.__suppress_context__
    else:
        assert "SECRET" not in repr(found)
