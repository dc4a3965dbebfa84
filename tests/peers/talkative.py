"""Servers that put a word wherever a protocol lets them, which real ones cannot be made to do: a program, and its places.

talkative.py LISTING LOCKED REST HL7 PLACE=WORD...
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable

FAKED = ("listing", "locked", "rest", "hl7")
"""In the order in which they begin to listen."""
PLACES = (
    *("reason phrase", "Server", "X-Powered-By", "cookie", "ETag", "comment", "title", "body", "script"),
    *("name of a file", "text of a link", "meta refresh", "realm", "body of a refusal"),
    *("displayname", "owner", "lock owner", "dead property", "etag of a property", "error of a property"),
    *("version", "name of an archive", "patient in JSON", "key in JSON", "warning", "error in JSON", "software"),
    *("vendor", "sender of a message", "text of an acknowledgement", "trailer"),
)
WORDS: dict[str, str] = dict.fromkeys(PLACES, "")

Answer = tuple[int, list[tuple[str, str]], str]
"""Status, fields, body."""


def fields() -> list[tuple[str, str]]:
    return [
        ("Server", f"Apache/2.4.57 ({WORDS['Server']}) {WORDS['Server']}/1.0"),
        ("X-Powered-By", WORDS["X-Powered-By"]),
        ("Set-Cookie", f"JSESSIONID={WORDS['cookie']}; Path=/{WORDS['cookie']}"),
        ("ETag", f'"{WORDS["ETag"]}"'),
        ("Warning", f'299 {WORDS["warning"]} "{WORDS["warning"]}"'),
    ]


def page(title: str, body: str) -> str:
    return (
        f"<html><head><title>{title}</title><meta http-equiv=refresh content='0; url=/{WORDS['meta refresh']}'>"
        f"<script>var patient = '{WORDS['script']}';</script></head><!-- {WORDS['comment']} --><body>{body}</body></html>"
    )


def listing(method: str, path: str) -> Answer:
    """Apache's form of a listing with one image, and WebDAV."""
    name = f"{WORDS['name of a file']}.dcm"
    if method == "OPTIONS":
        return 200, [("DAV", f"1, 2, {WORDS['dead property']}"), ("Allow", "OPTIONS, GET, PROPFIND")], ""
    if method == "PROPFIND":
        return 207, [("Content-Type", "application/xml")], multistatus(path, name)
    if path == "/":
        rows = f'<h1>Index of /</h1><pre><a href="{name}">{WORDS["text of a link"]}</a></pre>{WORDS["body"]}'
        return 200, [("Content-Type", "text/html")], page("Index of /", rows)
    if path == f"/{name}":
        return 200, [], "\0" * 128 + "DICM" + WORDS["body"]
    return 404, [], page(WORDS["title"], path)


def multistatus(path: str, name: str) -> str:
    properties = (
        f"<D:displayname>{WORDS['displayname']}</D:displayname><D:owner><D:href>/{WORDS['owner']}</D:href></D:owner>"
        f"<D:getetag>{WORDS['etag of a property']}</D:getetag><D:lockdiscovery><D:activelock><D:owner>"
        f"{WORDS['lock owner']}</D:owner></D:activelock></D:lockdiscovery><Z:who xmlns:Z='{WORDS['dead property']}'>"
        f"{WORDS['dead property']}</Z:who><D:responsedescription>{WORDS['error of a property']}</D:responsedescription>"
    )

    def of(href: str, more: str) -> str:
        found = f"<D:propstat><D:prop>{more}{properties}</D:prop></D:propstat>"
        return f"<D:response><D:href>{href}</D:href>{found}</D:response>"

    folder = of(path, "<D:resourcetype><D:collection/></D:resourcetype>")
    file = of(f"/{name}", "<D:resourcetype/><D:getcontentlength>200</D:getcontentlength>")
    return f"<D:multistatus xmlns:D='DAV:'>{folder}{file if path == '/' else ''}</D:multistatus>"


def locked(_method: str, path: str) -> Answer:
    challenge = ("WWW-Authenticate", f'Basic realm="{WORDS["realm"]}"')
    return 401, [challenge], page(WORDS["title"], f"{WORDS['body of a refusal']} {path}")


def rest(method: str, path: str) -> Answer:
    """Orthanc's own routes, and FHIR's, of one patient."""
    names = {"PatientName": WORDS["patient in JSON"], WORDS["key in JSON"]: WORDS["patient in JSON"]}
    study = {"ID": WORDS["patient in JSON"], "MainDicomTags": {"StudyInstanceUID": "2.25.11.1", **names}}
    documents: dict[str, object] = {
        "/system": {
            "ApiVersion": 20,
            "DicomAet": "X",
            "Name": WORDS["name of an archive"],
            "Version": WORDS["version"],
        },
        "/statistics": {"CountPatients": 1, "CountStudies": 1, "CountSeries": 1, "CountInstances": 1, **names},
        "/studies": [{**study, "PatientMainDicomTags": names, "Series": [WORDS["patient in JSON"]]}],
        "/fhir/metadata": {
            "resourceType": "CapabilityStatement",
            "fhirVersion": "4.0.1",
            "publisher": WORDS["vendor"],
            "software": {"name": "HAPI FHIR Server", "version": WORDS["software"].lower()},
        },
    }
    bare = path.partition("?")[0]
    if path.startswith("/studies?since=1") or (bare == "/studies" and "since=" in path and "since=0" not in path):
        return 200, [("Content-Type", "application/json")], "[]"
    if bare in documents:
        return 200, [("Content-Type", "application/json")], json.dumps(documents[bare])
    if bare == "/":
        return 200, [("Content-Type", "text/html")], page(WORDS["title"], WORDS["body"])
    error = {"HttpStatus": 404, "Message": WORDS["error in JSON"], "Uri": path, method: WORDS["error in JSON"]}
    return 404, [("Content-Type", "application/json")], json.dumps(error)


SITES: dict[str, Callable[[str, str], Answer]] = {"listing": listing, "locked": locked, "rest": rest}


def site(answer: Callable[[str, str], Answer]) -> Callable[..., object]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while first := await reader.readline():
            length = 0
            while (line := (await reader.readline()).strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            await reader.readexactly(length)
            method, path, _ = first.decode("latin-1").split(" ", 2)
            writer.write(response(*answer(method, path)))
            await writer.drain()
        writer.close()

    return serve


def response(status: int, more: list[tuple[str, str]], body: str) -> bytes:
    """In chunks, whose extension and trailer have words too."""
    lines = [f"HTTP/1.1 {status} {WORDS['reason phrase']}", "Transfer-Encoding: chunked"]
    lines += [f"{name}: {value}" for name, value in (*more, *fields())]
    chunk = f"{len(body.encode()):x};{WORDS['trailer']}\r\n{body}\r\n" if body else ""
    return ("\r\n".join(lines) + f"\r\n\r\n{chunk}0\r\nX-Trailer: {WORDS['trailer']}\r\n\r\n").encode()


async def hl7(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\x1c\r")
    sender, said = WORDS["sender of a message"], WORDS["text of an acknowledgement"]
    writer.write(f"\x0bMSH|^~\\&|{sender}|{sender}|||20260101||ACK|{sender}|P|2.5\rMSA|AR|1|{said}\r\x1c\r".encode())
    await writer.drain()
    writer.close()


async def main(ports: list[int]) -> None:
    for name, port in zip(FAKED, ports, strict=True):
        serve = hl7 if name == "hl7" else site(SITES[name])
        await asyncio.start_server(serve, "127.0.0.1", port)  # type: ignore[arg-type]
    await asyncio.Event().wait()


if __name__ == "__main__":
    WORDS.update(argument.split("=", 1) for argument in sys.argv[1 + len(FAKED) :])  # type: ignore[misc]
    asyncio.run(main([int(port) for port in sys.argv[1 : 1 + len(FAKED)]]))
