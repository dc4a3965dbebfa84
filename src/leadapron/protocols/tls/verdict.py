"""What follows from the answers: facts for the controls of TLS, by PS3.15 section B.12 (BCP 195: RFC 8996 and RFC 9325).

A fact that is not known is absent: an open question never makes a good verdict, a broken rule is enough for a bad one.
"""

from __future__ import annotations

from collections.abc import Iterable

from leadapron.protocols.tls.certificate import CertificateFacts, KeyType
from leadapron.protocols.tls.handshake import ClientCertificate, Handshake
from leadapron.protocols.tls.names import Version
from leadapron.protocols.tls.offers import ALL_CLASSES, ALL_VERSIONS, WEAK, Accepted
from leadapron.protocols.tls.suites import Class

Facts = dict[str, int | bool]

OBSOLETE = frozenset({Version.SSL_3_0, Version.TLS_1_0, Version.TLS_1_1})
"""RFC 7568, RFC 8996: must not be negotiated."""
NO_AEAD = ALL_CLASSES - {Class.TLS13, Class.AEAD_ECDHE, Class.AEAD_DHE}
WITH_DHE = frozenset({Class.AEAD_DHE, Class.CBC_DHE})
"""Classes that have suites of DHE."""
SOON = 30
"""Days that a certificate should still have."""
LEAST_PRIME = 2048
"""Bits of a group for DHE (PS3.15 section B.13)."""
LEAST_BITS = {KeyType.RSA: 2048, KeyType.DSA: 2048, KeyType.EC: 256, KeyType.ED25519: 256, KeyType.ED448: 448}
"""Bits of a public key: RFC 9325 asks for 2048, PS3.15 section B.13 for 256 on curves."""


def verdict(accepted: Accepted, handshake: Handshake | None = None) -> Facts:
    """All facts, named `tls.…` (docs/tls.md). `handshake` None: there was none, or it failed."""
    known: dict[str, int | bool | None] = {
        "tls.offered": _offered(accepted, handshake),
        **_of_offers(accepted),
        **(_of_handshake(handshake) if handshake is not None else {}),
    }
    return {name: value for name, value in known.items() if value is not None}


def _offered(accepted: Accepted, handshake: Handshake | None) -> bool | None:
    if accepted.versions or handshake is not None:
        return True
    return None if accepted.open_versions else False


def _of_offers(accepted: Accepted) -> dict[str, int | bool | None]:
    obsolete = _any(OBSOLETE, accepted.versions, accepted.refused_versions)
    weak = _any(WEAK, accepted.classes, accepted.refused_classes)
    no_secrecy = _any({Class.RSA_KX}, accepted.classes, accepted.refused_classes)
    no_aead = _any(NO_AEAD, accepted.classes, accepted.refused_classes)
    weak_group = accepted.prime_bits < LEAST_PRIME if accepted.prime_bits else None
    if weak_group is None and accepted.refused_classes >= WITH_DHE:
        weak_group = False
    facts: dict[str, int | bool | None] = {
        "tls.versions": None if accepted.open_versions else len(accepted.versions),
        "tls.obsolete_version": obsolete,
        "tls.weak_class": weak,
        "tls.no_forward_secrecy": no_secrecy,
        "tls.aead_only": None if no_aead is None or not accepted.versions else not no_aead,
        "tls.prime_bits": accepted.prime_bits or None,
        "tls.weak_group": weak_group,
        "tls.bcp195": _meets(accepted, [obsolete, weak, no_secrecy, weak_group]),
    }
    facts |= {f"tls.version.{each.name.lower()}": _is_in(each, accepted) for each in sorted(ALL_VERSIONS)}
    facts |= {
        f"tls.class.{each.name.lower()}": _any({each}, accepted.classes, accepted.refused_classes) for each in Class
    }
    return facts


def _is_in(version: Version, accepted: Accepted) -> bool | None:
    return _any({version}, accepted.versions, accepted.refused_versions)


def _any(of: Iterable[object], accepted: frozenset[object], refused: frozenset[object]) -> bool | None:
    """Whether one of them is accepted: yes, no where all are refused, else nobody knows."""
    wanted = frozenset(of)
    if wanted & accepted:
        return True
    return False if wanted <= refused else None


def _meets(accepted: Accepted, breaches: list[bool | None]) -> bool | None:
    """BCP 195: neither an obsolete version, nor a class that must not or should not be negotiated, nor a short group.

    A server of TLS 1.3 alone meets it here, although B.12 has servers support TLS 1.2 too: that is no weakness.
    """
    if True in breaches:
        return False
    return None if None in breaches or not accepted.versions else True


def _of_handshake(handshake: Handshake) -> dict[str, int | bool | None]:
    demanded = handshake.client_certificate
    facts: dict[str, int | bool | None] = {
        "tls.client_certificate_demanded": None
        if demanded in (ClientCertificate.UNKNOWN, ClientCertificate.ASKED)
        else demanded is ClientCertificate.DEMANDED,
        "tls.has_certificate": handshake.certificate is not None,
    }
    return facts | (_of_certificate(handshake.certificate) if handshake.certificate is not None else {})


def _of_certificate(certificate: CertificateFacts) -> dict[str, int | bool | None]:
    least = LEAST_BITS.get(certificate.key)
    return {
        "tls.self_signed": certificate.self_signed,
        "tls.days_left": certificate.days_left,
        "tls.expired": certificate.days_left < 0,
        "tls.expires_soon": 0 <= certificate.days_left <= SOON,
        "tls.not_yet_valid": certificate.not_yet_valid,
        "tls.key_bits": certificate.bits or None,
        "tls.weak_key": None if least is None or not certificate.bits else certificate.bits < least,
        "tls.weak_signature": certificate.weak_signature,
        "tls.name_matches": certificate.name_matches,
    }
