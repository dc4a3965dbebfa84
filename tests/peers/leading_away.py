"""Servers at a granted place that lead elsewhere, each in the way of its protocol: a program, and its roles.

    leading_away.py CERTIFICATE KEY ROLE=PORT...

Elsewhere something listens at each of these ports. Each time a role says where to go, its name goes to stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from collections.abc import Callable

from leading_away_web import ELSEWHERE, GRANTED, NAMED, SITES, Serve, led, over_http

from leadapron.protocols.nfs.wire.rpc import Records
from leadapron.protocols.nfs.wire.xdr import Reader, opaque, uint
from leadapron.protocols.smb.wire.header import Command
from protocols.iscsi.test_iscsi_login import response as login_response
from protocols.nfs.nfs_peer import MOUNT, PORTMAP, File, Folder, Peer
from protocols.smb import smb_server

PORTMAP_PORT = 111


# --- FTP --------------------------------------------------------------------------------------------------------------


def ftp(role: str, certificate: ssl.SSLContext | None) -> Serve:
    """A data connection elsewhere, by PASV, or by EPSV with an address in it (RFC 2428 has none)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        place = f"{ELSEWHERE.replace('.', ',')},{port >> 8},{port & 255}"
        answers = {
            "USER": "331 go on",
            "PASS": "230 in",
            "TYPE": "200 yes",
            "CWD": "250 there",
            "PBSZ": "200 yes",
            "PROT": "200 yes",
        }
        passive = {"PASV": f"227 here ({place})"}
        answers |= {"EPSV": f"229 here (|1|{ELSEWHERE}|{port}|)"} if role == "ftp, extended" else passive
        if certificate is not None:
            answers["AUTH"] = "234 go on"
        writer.write(b"220 (vsFTPd 3.0.3)\r\n")
        while line := await reader.readline():
            verb = line[:4].decode("latin-1").upper().strip()
            writer.write(f"{answers.get(verb, '502 no')}\r\n".encode())
            await writer.drain()
            if verb == "AUTH" and certificate is not None:
                await writer.start_tls(certificate)
            if verb in ("EPSV", "PASV") and verb in answers:
                led(role)

    return serve


# --- SMB, NFS, iSCSI --------------------------------------------------------------------------------------------------

PATH_NOT_COVERED, STOPPED_ON_SYMLINK = 0xC0000257, 0x8000002D
CAP_DFS, SHARE_IS_DFS = 0x1, 0x1 | 0x2
"""[MS-SMB2] 2.2.4 SMB2_GLOBAL_CAP_DFS; 2.2.10 SMB2_SHAREFLAG_DFS and SMB2_SHAREFLAG_DFS_ROOT."""


def symlink(target: str) -> bytes:
    """[MS-SMB2] 2.2.2.2.1: the error data of STATUS_STOPPED_ON_SYMLINK."""
    name = smb_server.utf16(target)
    head = uint(len(name) + 24)[::-1] + b"SYML" + (0xA000000C).to_bytes(4, "little")
    lengths = [len(name) + 12, 0, 0, len(name), 0, len(name)]
    data = head + b"".join(each.to_bytes(2, "little") for each in lengths) + bytes(4) + name
    return b"\x09\0\0\0" + len(data).to_bytes(4, "little") + data


def smb(role: str) -> Serve:
    """A share that lies elsewhere (DFS), as a whole or below its root, or behind a symbolic link."""
    linked = smb_server.Said(STOPPED_ON_SYMLINK, symlink(f"\\??\\UNC\\{ELSEWHERE}\\pacs"))
    not_covered = smb_server.Said(PATH_NOT_COVERED)
    is_pipe = b"s\0r\0v\0s\0v\0c\0"

    def create(asked: smb_server.Asked) -> smb_server.Said:
        if is_pipe in asked.body.lower():
            return smb_server.created()
        led(role)
        return linked if role == "smb, link" else not_covered

    def connect(asked: smb_server.Asked) -> smb_server.Said:
        if b"I\0P\0C\0" in asked.body or role != "smb, share":
            return smb_server.connected(flags=SHARE_IS_DFS)
        led(role)
        return not_covered

    over = {
        Command.NEGOTIATE: lambda _: smb_server.negotiated(capabilities=0x44 | CAP_DFS),
        Command.TREE_CONNECT: connect,
        Command.CREATE: create,
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = smb_server.Server(over=over)
        while data := await reader.read(1 << 16):
            writer.write(server.answer(data))
            await writer.drain()

    return serve


MOVED = 10019
"""NFS4ERR_MOVED (RFC 7530 section 13.1): the file system lies elsewhere, where `fs_locations` says."""


class Moved(Peer):
    """Version 4 alone: below the root all has moved."""

    def _operation(self, operation: int, at: object, reader: Reader) -> tuple[object, int, bytes]:
        found = super()._operation(operation, at, reader)
        if (operation in (10, 15, 26) and at is not self.root) or (operation == 15):
            led("nfs, moved")
            return at, MOVED, b""
        return found

    def _attributes_4(self, node: object, wanted: tuple[int, ...]) -> bytes:
        """Also of each entry of the root: `rdattr_error`, and `fs_locations` that nobody asked for are left out."""
        if node is self.root:
            return super()._attributes_4(node, wanted)
        led("nfs, moved")
        return uint(2) + uint(1 << 11) + uint(0) + opaque(uint(MOVED))


class Mapped(Peer):
    """MOUNT is not here; the portmapper says where with a universal address (RFC 5665), as RPCBPROC_GETADDR would."""

    def _dispatch(self, program: int, version: int, procedure: int, reader: Reader) -> bytes:
        accepted = uint(1) + bytes(12)
        if program == PORTMAP:
            led("nfs, portmapper")
            return accepted + uint(0) + opaque(f"{ELSEWHERE}.78.80".encode())
        if program == MOUNT:
            return accepted + uint(1)
        return super()._dispatch(program, version, procedure, reader)


MARKED = bytes(128) + b"DICM"
"""The beginning of a DICOM file."""
EXPORTS = {b"198.18.0.9:/pacs": ((), Folder({b"a.dcm": File(MARKED), b"link": File(b"", type=5)}))}
"""A path that looks like one elsewhere."""
NFS: dict[str, Callable[[], Peer]] = {
    "nfs, moved": lambda: Moved(exports={b"/pacs": ((), Folder({b"a": Folder({})}))}, versions=(4,)),
    "nfs, portmapper": lambda: Mapped(versions=(3,)),
    "nfs, path": lambda: Peer(exports=EXPORTS, versions=(3,), mounts_here=True),
}


def nfs(role: str) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, records = NFS[role](), Records()
        while data := await reader.read(1 << 16):
            records.receive_data(data)
            while (record := records.next_record()) is not None:
                writer.write(peer.answer(record))
                if role == "nfs, path":
                    led(role)
            await writer.drain()

    return serve


async def iscsi(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Target moved temporarily (RFC 7143 section 11.13.5), and its address in the same answer."""
    await reader.read(1 << 16)
    port = writer.get_extra_info("sockname")[1]
    writer.write(
        login_response((1, 1), f"TargetAddress={ELSEWHERE}:{port},1\0TargetName=iqn.2026-11.invalid:a\0".encode())
    )
    await writer.drain()
    led("iscsi")


# --- all of them ------------------------------------------------------------------------------------------------------

DOORS: dict[str, tuple[str, ...]] = {
    "http": tuple(SITES),
    "ftp": ("ftp", "ftp, extended", "ftp, inside TLS"),
    "smb": ("smb, share", "smb, below", "smb, link"),
    "nfs": tuple(NFS),
    "iscsi": ("iscsi",),
}
ROLES = (*(role for roles in DOORS.values() for role in roles), *NAMED)


def serving(role: str, certificate: ssl.SSLContext) -> Serve:
    if role in SITES or role in NAMED:
        return over_http(role, {**SITES, **NAMED}[role])
    if role in DOORS["ftp"]:
        return ftp(role, certificate if role == "ftp, inside TLS" else None)
    if role in DOORS["smb"]:
        return smb(role)
    return nfs(role) if role in NFS else iscsi


async def elsewhere(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Whoever comes is let in, and nothing is said."""
    await reader.read()


def closing(serve: Serve) -> Serve:
    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            await serve(reader, writer)
        writer.close()

    return served


async def main(certificate: ssl.SSLContext, ports: dict[str, int]) -> None:
    for role, port in ports.items():
        tls = certificate if role == "https" else None
        await asyncio.start_server(closing(serving(role, certificate)), GRANTED, port, ssl=tls)
        await asyncio.start_server(closing(elsewhere), ELSEWHERE, port)
    await asyncio.start_server(closing(nfs("nfs, portmapper")), GRANTED, PORTMAP_PORT)
    await asyncio.Event().wait()


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    asyncio.run(main(context, {role: int(port) for role, _, port in (each.rpartition("=") for each in sys.argv[3:])}))
