"""Keys and certificates of a cluster, under an authority of its own: who has none of them is neither heard nor obeyed.

Dask compares no host names, so that the authority is the boundary: it signs for this cluster and for nothing else.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leadapron.errors import InputError
from leadapron.settings import make_private_directory

SCHEDULER, WORKER, CLIENT = "scheduler", "worker", "client"
AUTHORITY = "authority"
_SERVES_AND_DIALS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
USAGES = {SCHEDULER: _SERVES_AND_DIALS, WORKER: _SERVES_AND_DIALS, CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH,)}
BACKDATED = dt.timedelta(hours=1)
"""For clocks that are behind."""


def certificate_file(directory: Path, role: str) -> Path:
    return directory / f"{role}.pem"


def key_file(directory: Path, role: str) -> Path:
    return directory / f"{role}-key.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(
    directory: Path, *, hosts: Sequence[str] = (), days: int, force: bool = False, now: dt.datetime | None = None
) -> list[Path]:
    """An authority, and a key with its certificate for each role, valid for `days`; `hosts` are the names and addresses of
    scheduler and workers. Returns the files. Raises InputError where one is there already, unless told to `force`."""
    begins = (now or dt.datetime.now(dt.UTC)) - BACKDATED
    span = begins, begins + BACKDATED + dt.timedelta(days=days)
    authority = _authority(span)
    issued = {AUTHORITY: authority} | {role: _leaf(role, authority, span, hosts) for role in USAGES}
    files = {
        path: data
        for role, each in issued.items()
        for path, data in (
            (certificate_file(directory, role), each.certificate.public_bytes(serialization.Encoding.PEM)),
            (key_file(directory, role), _pem(each.key)),
        )
    }
    try:
        make_private_directory(directory)
        if not force and (there := [path for path in files if path.exists()]):
            raise InputError(f"{there[0]} is there already; --force makes all of them anew, and the old ones worthless")
        for path, data in files.items():
            _write(path, data)
    except OSError as error:
        raise InputError(f"{error.filename or directory}: {error.strerror}; choose another --out") from None
    return list(files)


def _authority(span: tuple[dt.datetime, dt.datetime]) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Lead Apron cluster authority")
    usage = x509.KeyUsage(**(_NO_USAGE | {"key_cert_sign": True, "crl_sign": True}))
    builder = _builder(name, name, key, key.public_key(), span)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return _Issued(certificate=builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key=key)


def _leaf(role: str, authority: _Issued, span: tuple[dt.datetime, dt.datetime], hosts: Sequence[str]) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(**(_NO_USAGE | {"digital_signature": True}))
    builder = _builder(
        _name(f"Lead Apron cluster {role}"), authority.certificate.subject, authority.key, key.public_key(), span
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(USAGES[role]), critical=False)
    if hosts and role != CLIENT:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    return _Issued(certificate=builder.sign(authority.key, hashes.SHA256()), key=key)


_NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def _builder(
    name: x509.Name,
    issuer: x509.Name,
    signing: ec.EllipticCurvePrivateKey,
    public: ec.EllipticCurvePublicKey,
    span: tuple[dt.datetime, dt.datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    """Raises InputError."""
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise InputError(f"--host {host!r} is neither a name in ASCII nor an address") from None


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)  # one that others may read does not become ours by being written to
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
