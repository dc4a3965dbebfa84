"""The numbers of TLS and what they are called."""

from __future__ import annotations

import enum


class Version(enum.IntEnum):
    """ProtocolVersion (RFC 6101 section 5.2.1, RFC 8446 section 4.2.1)."""

    SSL_3_0 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304


class ContentType(enum.IntEnum):
    """Of a record (RFC 8446 section 5.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


class HandshakeType(enum.IntEnum):
    """RFC 5246 section 7.4, RFC 8446 section 4. Those that a client can meet in clear."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_STATUS = 22


class Extension(enum.IntEnum):
    """ExtensionType (RFC 8446 section 4.2); ec_point_formats is RFC 8422 section 5.1.2."""

    SERVER_NAME = 0
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    SUPPORTED_VERSIONS = 43
    KEY_SHARE = 51


X25519 = 0x001D
GROUPS = (X25519, 0x0017, 0x0018, 0x0019, 0x001E, 0x0100, 0x0101)
"""x25519, secp256r1, secp384r1, secp521r1, x448, ffdhe2048, ffdhe3072 (RFC 8446 section 4.2.7)."""
SIGNATURES = (
    *(0x0403, 0x0503, 0x0603, 0x0807, 0x0808),  # ECDSA with SHA-256, SHA-384, SHA-512; Ed25519, Ed448
    *(0x0804, 0x0805, 0x0806, 0x0809, 0x080A, 0x080B),  # RSASSA-PSS
    *(0x0401, 0x0501, 0x0601),  # RSASSA-PKCS1-v1_5
    *(0x0402, 0x0301, 0x0303, 0x0201, 0x0203, 0x0202, 0x0101),  # what old servers sign with: DSA, SHA-224, SHA-1, MD5
)
"""SignatureScheme (RFC 8446 section 4.2.3, RFC 5246 section 7.4.1.4.1)."""
RENEGOTIATION_SCSV = 0x00FF
"""TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746 section 3.3): among the suites of a ClientHello, never chosen."""
HELLO_RETRY_RANDOM = bytes.fromhex("CF21AD74E59A6111BE1D8C021E65B891C2A211167ABB8C5E079E09E2C8A8339C")
"""A ServerHello with this random is a HelloRetryRequest (RFC 8446 section 4.1.3)."""

WARNING, FATAL = 1, 2
"""AlertLevel (RFC 5246 section 7.2)."""
CLOSE_NOTIFY, PROTOCOL_VERSION, USER_CANCELED = 0, 70, 90
ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
}
"""AlertDescription (RFC 6101 section 5.4, RFC 5246 section 7.2, RFC 8446 section 6)."""

DEMANDS = frozenset(
    {
        *("certificate_required", "handshake_failure", "bad_certificate", "no_certificate", "certificate_unknown"),
        *("unsupported_certificate", "unknown_ca", "access_denied"),
    }
)
"""Alerts that answer a client certificate which was asked for and did not come, or is not believed."""
