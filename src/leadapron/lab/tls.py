"""TLS around a server of the lab, with made-up certificates."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import ssl
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from leadapron.lab.odd import Serve

READ_SIZE = 65_536


class Pair(NamedTuple):
    """A certificate and its private key, in PEM."""

    certificate: bytes
    key: bytes


def new_key() -> ec.EllipticCurvePrivateKey:
    """On P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def made_up(
    name: str,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    days: tuple[int, int] = (-1, 365),
    issuer: tuple[str, ec.EllipticCurvePrivateKey] | None = None,
) -> Pair:
    """A certificate for `name`, valid between so many days from now, signed by `issuer` (its name and key) or by itself."""
    key = key or new_key()
    signer_name, signer = issuer or (name, key)
    begin, end = (dt.datetime.now(dt.UTC) + dt.timedelta(days=each) for each in days)
    builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named(signer_name))
    builder = builder.not_valid_before(begin).not_valid_after(end)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM), pem)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def server_context(pair: Pair, *, trusts: bytes = b"", obsolete: bool = False) -> ssl.SSLContext:
    """`trusts`: certificates in PEM, of which a client has to show one, or one that they signed. `obsolete`: TLS 1.0 to
    1.2 and every suite that there is, as BCP 195 does not allow it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pair.pem"
        file.touch(mode=0o600)
        file.write_bytes(pair.key + pair.certificate)
        context.load_cert_chain(file)
    if trusts:
        context.load_verify_locations(cadata=trusts.decode("ascii"))
        context.verify_mode = ssl.CERT_REQUIRED
    if obsolete:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that nobody should do this
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def inside(serve: Serve, context: ssl.SSLContext, *, says_why: bool = True) -> Serve:
    """`serve` behind the handshake, for who comes so far; others are told by an alert, or (not `says_why`) hung up on."""

    @functools.wraps(serve)
    async def serve_inside(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = _Session(reader, writer, context)
        if not await session.handshake(says_why=says_why):
            return
        pump = asyncio.ensure_future(session.pump())
        try:
            await serve(session.plaintext, session)  # type: ignore[arg-type]  # all of a writer that servers here use
        finally:
            pump.cancel()

    return serve_inside


class _Session:
    """A server's side of TLS, and the writer of what is said inside it. What is heard goes to `plaintext`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.plaintext = asyncio.StreamReader()
        self.transport = writer.transport
        self.get_extra_info = writer.get_extra_info

    async def handshake(self, *, says_why: bool) -> bool:
        """Whether it was done. asyncio's own TLS cannot say why it was not: it sends no alerts."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                await self.drain()
                if not await self._receive():
                    return False
            except ssl.SSLError:
                if says_why:
                    await self.drain()
                return False
            else:
                await self.drain()
                return True

    async def pump(self) -> None:
        """What comes, until it ends."""
        with contextlib.suppress(OSError):  # ssl.SSLError is one
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    while data := self._object.read(READ_SIZE):
                        self.plaintext.feed_data(data)
                    break  # their close_notify
                if not await self._receive():
                    break
        self.plaintext.feed_eof()

    async def _receive(self) -> bytes:
        data = await self._reader.read(READ_SIZE)
        self._incoming.write(data)
        return data

    def write(self, data: bytes) -> None:
        if data:
            self._object.write(data)
        self._writer.write(self._outgoing.read())

    async def drain(self) -> None:
        self._writer.write(self._outgoing.read())
        await self._writer.drain()

    def close(self) -> None:
        """With our close_notify."""
        if not self._writer.is_closing():
            with contextlib.suppress(ssl.SSLError):
                self._object.unwrap()
            self._writer.write(self._outgoing.read())
            self._writer.close()
