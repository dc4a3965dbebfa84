"""Servers at a granted place that lead elsewhere, each in the way of its protocol: a program, and its roles.

    leading_away.py CERTIFICATE KEY ROLE=PORT...

Elsewhere something listens at each of these ports. Each time a role says where to go, its name goes to stdout.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import sys
from collections.abc import Awaitable, Callable

from leadapron.protocols.nfs.wire.rpc import Records
from leadapron.protocols.nfs.wire.xdr import Reader, opaque, uint
from leadapron.protocols.smb.wire.header import Command
from protocols.iscsi.test_iscsi_login import response as login_response
from protocols.nfs.nfs_peer import MOUNT, PORTMAP, File, Folder, Peer
from protocols.smb import smb_server

GRANTED, ELSEWHERE = "198.18.0.1", "198.18.0.9"
PORTMAP_PORT = 111

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def led(role: str) -> None:
    sys.stdout.write(f"{role}\n")
    sys.stdout.flush()


# --- HTTP -------------------------------------------------------------------------------------------------------------

Fields = dict[str, str]
Answer = tuple[int, Fields, bytes] | None
"""Status, fields, body; None: there is no such thing."""
Site = Callable[[str, str, int], Answer]
"""From a method, a target and the port."""

MARKED = bytes(128) + b"DICM"
"""The beginning of a DICOM file."""
LOCATIONS = {
    "redirect": "http://{there}/dicom-web/",
    "redirect, relative to the scheme": "//{there}/",
    "redirect, granted user": "http://{here}@{there}/",
    "redirect, granted path": "http://{there}\\@{here}/",
    "redirect, backslashes": "/\\{there}/",
    "redirect, mapped": "http://[::ffff:{elsewhere}]:{port}/",
    "redirect, as a number": "http://3323068425:{port}/",
    "redirect, in hexadecimal": "http://0xC6120009:{port}/",
    "redirect, to TLS": "https://{there}/",
    "redirect, twice": "http://{here}/\r\nLocation: http://{there}/",
}


def page(title: str, body: str, more: str = "") -> bytes:
    return f"<html><head><title>{title}</title>{more}</head><body>{body}</body></html>".encode()


def redirect(location: str) -> Site:
    def site(_method: str, _target: str, port: int) -> Answer:
        where = {"here": f"{GRANTED}:{port}", "there": f"{ELSEWHERE}:{port}", "elsewhere": ELSEWHERE, "port": port}
        return 302, {"Location": location.format(**where)}, b""

    return site


def refreshing(_method: str, target: str, port: int) -> Answer:
    """All that sends a browser elsewhere, or lets it fetch something there."""
    there = f"http://{ELSEWHERE}:{port}"
    fields = {
        "Refresh": f"0; url={there}/",
        "Alt-Svc": f'h2="{ELSEWHERE}:{port}", http/1.1="{ELSEWHERE}:{port}"; ma=86400; persist=1',
        "Link": f"<{there}/a.css>; rel=preload, <{there}>; rel=preconnect",
        "Content-Location": f"{there}/dicom-web/",
        "Content-Security-Policy": f"default-src 'none'; report-uri {there}/report",
        "Service-Worker-Allowed": there,
    }
    head = (
        f'<meta http-equiv="refresh" content="0; url={there}/"><base href="{there}/"><link rel="icon" href="{there}/i">'
        f'<script src="{there}/a.js"></script><link rel="stylesheet" href="{there}/a.css">'
    )
    body = f'<iframe src="{there}/"></iframe><img src="{there}/a.png"><form action="{there}/j_security_check">'
    return (200, fields, page("Orthanc Explorer", body, head)) if target == "/" else None


def listing(_method: str, target: str, port: int) -> Answer:
    """Files and folders elsewhere between those that are here."""
    there = f"{ELSEWHERE}:{port}"
    links = (f"http://{there}/b.dcm", f"//{there}/c/", f"http://{there}/d/", f"http://{GRANTED}@{there}/e.dcm", "a.dcm")
    rows = "\n".join(f'<a href="{link}">{link}</a> 2026-01-01 00:00 132' for link in links)
    if target == "/":
        body = f"<h1>Index of /</h1><pre>{rows}</pre>"
        return 200, {"Content-Type": "text/html"}, page("Index of /", body, f'<base href="http://{there}/">')
    return (302, {"Location": f"http://{there}{target}"}, b"") if target == "/a.dcm" else None


MULTISTATUS = """<?xml version="1.0"?>{type}<D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>"""
RESPONSE = """<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype>{kind}</D:resourcetype>
<D:getcontentlength>132</D:getcontentlength></D:prop></D:propstat>{more}</D:response>"""


def webdav(document_type: str = "") -> Site:
    """Hrefs elsewhere, a redirect reference (RFC 4437), and perhaps a document type from elsewhere."""

    def site(method: str, target: str, port: int) -> Answer:
        there = f"{ELSEWHERE}:{port}"
        if method == "OPTIONS":
            return 200, {"DAV": "1, 2, redirectrefs", "Allow": "OPTIONS, PROPFIND"}, b""
        if method != "PROPFIND":
            return 302, {"Location": f"http://{there}{target}"}, b""
        location = f"<D:location><D:href>http://{there}/f</D:href></D:location>"
        hrefs = {"/": "<D:collection/>", f"http://{there}/b.dcm": "", f"//{there}/c/": "<D:collection/>", "/a.dcm": ""}
        rows = [RESPONSE.format(href=href, kind=kind, more=location) for href, kind in hrefs.items()]
        content = MULTISTATUS.format(type=document_type.format(there=there), responses="".join(rows))
        return 207, {"Content-Type": "application/xml", "Redirect-Ref": f"http://{there}/"}, content.encode()

    return site


def qido(_method: str, target: str, port: int) -> Answer:
    """Studies whose RetrieveURL (PS3.18 Table 10.6.3-3) leads elsewhere."""
    if not target.startswith("/dicom-web/studies"):
        return None
    there = f"http://{ELSEWHERE}:{port}/dicom-web/studies/2.25.7"
    study = {
        "0020000D": {"vr": "UI", "Value": ["2.25.7"]},
        "00080054": {"vr": "AE", "Value": ["ELSEWHERE"]},
        "00081190": {"vr": "UR", "Value": [there]},
        "00081188": {"vr": "UR", "Value": [there]},
    }
    fields = {"Content-Type": "application/dicom+json", "Link": f'<{there}>; rel="next"', "Content-Location": there}
    is_beyond = "offset=" in target and "offset=0" not in target
    return 200, fields, json.dumps([] if is_beyond else [study]).encode()


def fhir(_method: str, target: str, port: int) -> Answer:
    """Pages, resources and endpoints elsewhere."""
    there = f"http://{ELSEWHERE}:{port}/fhir"
    resource: dict[str, object]
    if target.startswith("/fhir/metadata"):
        resource = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "implementation": {"url": there}}
    elif target.startswith("/fhir/"):
        links = [{"relation": relation, "url": f"{there}?page=2"} for relation in ("self", "next", "last")]
        study = {"resourceType": "ImagingStudy", "endpoint": [{"reference": f"{there}/Endpoint/1"}]}
        entry = {"fullUrl": f"{there}/ImagingStudy/1", "resource": study, "search": {"mode": "match"}}
        resource = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": [entry]}
    else:
        return None
    return 200, {"Content-Type": "application/fhir+json"}, json.dumps(resource).encode()


def viewer(_method: str, target: str, port: int) -> Answer:
    root = f"http://{ELSEWHERE}:{port}/dicom-web"
    if target == "/ohif/":
        return (
            200,
            {},
            page("OHIF Viewer", '<div id="root"></div>', '<meta name="application-name" content="OHIF Viewer">'),
        )
    config = f"window.config = {{ dataSources: [{{ configuration: {{ qidoRoot: '{root}', wadoRoot: '{root}' }} }}] }};"
    return (200, {}, config.encode()) if target.startswith("/ohif/") and target.endswith(".js") else None


def portal(method: str, target: str, port: int) -> Answer:
    """Oviyam's login, whose answer leads elsewhere."""
    if method == "POST":
        return 302, {"Location": f"http://{ELSEWHERE}:{port}/oviyam2/", "Set-Cookie": "JSESSIONID=1; Path=/"}, b""
    form = '<form action="j_security_check" method="POST"><input name="j_username"><input name="j_password"></form>'
    more = f'<form action="http://{ELSEWHERE}:{port}/j_security_check"></form>'
    is_there = target == "/oviyam2/"
    return (200, {"Set-Cookie": "JSESSIONID=1; Path=/"}, page("Oviyam login", form + more)) if is_there else None


def store(status: int, code: str) -> Site:
    """S3: the bucket lies elsewhere (S3 API Reference, error responses)."""

    def site(_method: str, target: str, port: int) -> Answer:
        there = f"{ELSEWHERE}:{port}"
        error = f"<Error><Code>{code}</Code><Endpoint>{there}</Endpoint><Bucket>scans</Bucket></Error>"
        return status, {"Location": f"http://{there}{target}", "x-amz-bucket-region": there}, error.encode()

    return site


def objects(_method: str, target: str, port: int) -> Answer:
    """S3: keys are here, their content is elsewhere; the next page has a URL for a token."""
    there = f"http://{ELSEWHERE}:{port}"
    if "continuation-token" in target:
        return 200, {}, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    if "list-type" in target:
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>132</Size></Contents>" for key in ("a.dcm", f"{there}/b.dcm")
        )
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{there}</NextContinuationToken>"
        return 200, {}, f"<ListBucketResult>{more}{entries}</ListBucketResult>".encode()
    return 307, {"Location": f"{there}{target}"}, b""


def azure(_method: str, target: str, port: int) -> Answer:
    there = f"http://{ELSEWHERE}:{port}/madeup/scans"
    if "marker=http" in target:
        return 200, {}, b"<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>"
    if "comp=list" in target:
        size = "<Properties><Content-Length>132</Content-Length></Properties>"
        blob = f"<Blob><Name>a.dcm</Name><Url>{there}/a.dcm</Url>{size}</Blob>"
        marker = f"<NextMarker>{there}</NextMarker><NextLink>{there}</NextLink>"
        head = f'<EnumerationResults ServiceEndpoint="{there}" ContainerName="scans">'
        return 200, {}, f"{head}<Blobs>{blob}</Blobs>{marker}</EnumerationResults>".encode()
    return 302, {"Location": f"http://{ELSEWHERE}:{port}{target}"}, b""


def google(_method: str, target: str, port: int) -> Answer:
    there = f"http://{ELSEWHERE}:{port}{target}"
    if target.startswith("/storage/v1/b/scans/o?"):
        item = {"name": "a.dcm", "size": "132", "mediaLink": there, "selfLink": there}
        more = {} if "pageToken=http" in target else {"nextPageToken": there, "nextLink": there}
        return (
            200,
            {"Content-Type": "application/json"},
            json.dumps({"items": [item], "selfLink": there, **more}).encode(),
        )
    return 302, {"Location": there}, b""


SITES: dict[str, Site] = {
    **{role: redirect(location) for role, location in LOCATIONS.items()},
    "refresh": refreshing,
    "listing": listing,
    "webdav": webdav(),
    "webdav, document type": webdav('<!DOCTYPE D:multistatus SYSTEM "http://{there}/dav.dtd">'),
    "webdav, entity": webdav(
        '<!DOCTYPE x [<!ENTITY e SYSTEM "http://{there}/e"><!ENTITY % p SYSTEM "http://{there}/p">%p;]>'
    ),
    "qido": qido,
    "fhir": fhir,
    "viewer": viewer,
    "portal": portal,
    "https": lambda _method, target, _port: (200, {}, page("Orthanc Explorer", "")) if target == "/" else None,
}
"""Doors over HTTP. Of `https` it is the certificate that says where to ask for its revocation."""
NAMED: dict[str, Site] = {
    "s3, moved": store(301, "PermanentRedirect"),
    "s3, for now": store(307, "TemporaryRedirect"),
    "s3": objects,
    "az": azure,
    "gs": google,
    "web folder": redirect(LOCATIONS["redirect"]),
}
"""Buckets, and a folder, that the scope names."""


def over_http(role: str, site: Site) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        while first := await reader.readline():
            length = 0
            while (line := (await reader.readline()).strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            await reader.readexactly(length)
            method, target, _ = first.decode("latin-1").split(" ", 2)
            answer = site(method, target, port)
            writer.write(response(answer or (404, {}, b""), has_body=method != "HEAD"))
            await writer.drain()
            if answer is not None:
                led(role)

    return serve


def response(answer: tuple[int, Fields, bytes], *, has_body: bool) -> bytes:
    status, fields, body = answer
    lines = [f"HTTP/1.1 {status} made up", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + (body if has_body else b"")


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
