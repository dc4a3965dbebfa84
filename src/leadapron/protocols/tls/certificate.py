"""What a certificate says about its server, as numbers and yes or no. Names, serial numbers and the like stay here.

`cryptography` reads the DER. Its exceptions may quote a certificate: none leaves this module.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leadapron.errors import WireError

MAX_NAMES = 1000
"""Alternative names that are looked at."""

_WEAK_HASHES = frozenset({"md5", "sha1"})
_WEAK_OIDS = frozenset({"1.2.840.113549.1.1.2", "1.2.840.113549.1.1.3"})
"""RSA with MD2 and MD4 (RFC 8017 appendix C), which no library reads any more."""


class KeyType(enum.StrEnum):
    RSA = "rsa"
    EC = "ec"
    ED25519 = "ed25519"
    ED448 = "ed448"
    DSA = "dsa"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """`days_left` are whole days, negative once it has expired. `bits` is 0 where the key cannot be read."""

    self_signed: bool
    days_left: int
    not_yet_valid: bool
    key: KeyType
    bits: int
    weak_signature: bool
    """signed over MD2, MD4, MD5 or SHA-1"""
    spki_sha256: str
    """of the SubjectPublicKeyInfo, hexadecimal: equal on hosts that share a key; "" where it cannot be read"""
    name_matches: bool | None = None
    """whether it is made out to the granted name; None where no name was granted"""


def read_certificate(der: bytes, *, now: dt.datetime, name: str = "") -> CertificateFacts:
    """The facts. Raises WireError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the library does not like in a certificate
            return _facts(x509.load_der_x509_certificate(der), now, name)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise WireError("a certificate that cannot be read") from None


def _facts(certificate: x509.Certificate, now: dt.datetime, name: str) -> CertificateFacts:
    kind, bits, spki = _public_key(certificate)
    return CertificateFacts(
        self_signed=_is_self_signed(certificate),
        days_left=(certificate.not_valid_after_utc - now).days,
        not_yet_valid=certificate.not_valid_before_utc > now,
        key=kind,
        bits=bits,
        weak_signature=_is_weak(certificate),
        spki_sha256=hashlib.sha256(spki).hexdigest() if spki else "",
        name_matches=_is_for(certificate, name) if name else None,
    )


def _public_key(certificate: x509.Certificate) -> tuple[KeyType, int, bytes]:
    """Kind, bits, and the SubjectPublicKeyInfo (RFC 5280 section 4.1)."""
    try:
        public = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return KeyType.OTHER, 0, b""
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if isinstance(public, rsa.RSAPublicKey):
        return KeyType.RSA, public.key_size, spki
    if isinstance(public, ec.EllipticCurvePublicKey):
        return KeyType.EC, public.key_size, spki
    if isinstance(public, dsa.DSAPublicKey):
        return KeyType.DSA, public.key_size, spki
    if isinstance(public, ed25519.Ed25519PublicKey):
        return KeyType.ED25519, 256, spki
    if isinstance(public, ed448.Ed448PublicKey):
        return KeyType.ED448, 456, spki
    return KeyType.OTHER, 0, spki


def _is_weak(certificate: x509.Certificate) -> bool:
    if certificate.signature_algorithm_oid.dotted_string in _WEAK_OIDS:
        return True
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return algorithm is not None and algorithm.name in _WEAK_HASHES


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Issuer and subject are one, and its own key signed it, as far as that can be checked."""
    if certificate.issuer != certificate.subject:
        return False
    try:
        certificate.verify_directly_issued_by(certificate)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return True
    return True


def _is_for(certificate: x509.Certificate, name: str) -> bool:
    """By its alternative names alone (RFC 9525 section 6); a common name says nothing."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return False
    names = extension.value.get_values_for_type(x509.DNSName)[:MAX_NAMES]
    return any(_matches(each.lower().rstrip("."), name.lower().rstrip(".")) for each in names)


def _matches(pattern: str, name: str) -> bool:
    """A star stands for one whole label, the leftmost (RFC 9525 section 6.3)."""
    if not pattern.startswith("*."):
        return pattern == name
    _, _, rest = name.partition(".")
    return rest.count(".") > 0 and pattern[2:] == rest
