"""A web server for one listener: a listing of a folder, a DICOMweb archive, a bucket, or a login that nobody passes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from leadapron.lab.archive import LEVEL, STUDY_IMAGES, STUDY_SERIES, STUDY_UID, VRS, Archive
from leadapron.lab.folder import Folder

MAX_HEAD = 16 << 10
MAX_REQUESTS = 100_000
"""Of one connection."""
_PAGE = 1000

_REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    method: str
    path: str
    """decoded"""
    query: dict[str, list[str]] = field(default_factory=dict)
    byte_range: tuple[int, int] | None = None
    """first and last"""

    def value(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    status: int
    body: bytes = b""
    fields: tuple[str, ...] = ()

    def encoded(self, *, without_body: bool) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {_REASONS[self.status]}", f"Content-Length: {len(self.body)}", *self.fields]
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if without_body else self.body)


Site = Callable[[Asked], Reply]
NOT_FOUND = Reply(status=404)
NO_SUCH_BUCKET = Reply(status=404, body=b"<Error><Code>NoSuchBucket</Code></Error>")
NO_SUCH_KEY = Reply(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")


class Web:
    """Serves connections for a site."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            for _ in range(MAX_REQUESTS):
                head = await reader.readuntil(b"\r\n\r\n")
                if len(head) > MAX_HEAD or (asked := _asked(head)) is None:
                    break
                writer.write(self._site(asked).encoded(without_body=asked.method == "HEAD"))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        finally:
            writer.close()


def _asked(head: bytes) -> Asked | None:
    """None for what is no request without a body."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if len(parts) != 3 or not parts[1].startswith("/") or fields.get("content-length", "0") != "0":
        return None
    url = urlsplit(parts[1])
    return Asked(
        method=parts[0],
        path=unquote(url.path),
        query=parse_qs(url.query, keep_blank_values=True),
        byte_range=_range(fields.get("range", "")),
    )


def _range(text: str) -> tuple[int, int] | None:
    first, _, last = text.removeprefix("bytes=").partition("-")
    return (int(first), int(last)) if first.isdecimal() and last.isdecimal() else None


# -- sites -------------------------------------------------------------------------------------------------------------


def locked(realm: str) -> Site:
    """Whatever is asked for, a login is demanded."""
    return lambda _: Reply(status=401, fields=(f'WWW-Authenticate: Basic realm="{realm}"',))


def listing(folder: Folder) -> Site:
    """As nginx lists a folder, with ranges of its files."""

    def site(asked: Asked) -> Reply:
        found = folder.at(asked.path)
        if isinstance(found, bytes):
            return _piece(found, asked)
        if found is None or not asked.path.endswith("/"):
            return NOT_FOUND
        names = [f"{name}/" for name in sorted(found.folders)] + sorted(found.files)
        links = "".join(f'<a href="{quote(name)}">{escape(name)}</a>      01-Jan-2026 00:00      -\n' for name in names)
        title = f"Index of {escape(asked.path)}"
        page = f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1><hr><pre>"
        page += f'<a href="../">../</a>\n{links}</pre><hr></body>\n</html>\n'
        return Reply(status=200, body=page.encode(), fields=("Content-Type: text/html", "Server: nginx"))

    return site


def _piece(file: bytes, asked: Asked) -> Reply:
    if asked.byte_range is None:
        return Reply(status=200, body=file)
    first, last = asked.byte_range
    piece = file[first : last + 1]
    fields = (f"Content-Range: bytes {first}-{first + len(piece) - 1}/{len(file)}",)
    return Reply(status=206, body=piece, fields=fields)


def dicomweb(archive: Archive, base: str = "/dicom-web") -> Site:
    """QIDO-RS of studies (PS3.18 section 10.6), with `limit`, `offset` and ranges of study dates."""

    def site(asked: Asked) -> Reply:
        if asked.path == "/":
            return Reply(status=200, body=b"<html><title>A made-up archive</title></html>")
        if asked.path.rstrip("/") != f"{base}/studies":
            return NOT_FOUND
        keys = dict.fromkeys((*VRS, STUDY_SERIES, STUDY_IMAGES), b"") | {LEVEL: b"STUDY", STUDY_UID: b""}
        keys[0x00080020] = asked.value("StudyDate").encode()
        offset, limit = int(asked.value("offset", "0")), int(asked.value("limit", "100"))
        rows = [_data_set(values) for values in archive.find(keys)][offset : offset + limit]
        if not rows:
            return Reply(status=204)
        return Reply(status=200, body=json.dumps(rows).encode(), fields=("Content-Type: application/dicom+json",))

    return site


def _data_set(values: dict[int, bytes]) -> dict[str, object]:
    """DICOM JSON (PS3.18 section F.2)."""
    found: dict[str, object] = {}
    for tag, value in values.items():
        if tag == LEVEL or not value:
            continue
        vr, text = VRS[tag].decode(), value.decode()
        parts: list[Any] = [{"Alphabetic": text}] if vr == "PN" else text.split("\\")
        found[f"{tag:08X}"] = {"vr": vr, "Value": [int(part) for part in parts] if vr == "IS" else parts}
    return found


def bucket(name: str, folder: Folder) -> Site:
    """ListObjectsV2 and GetObject of one bucket, in path style, for anyone."""
    keys = dict(sorted(_keys(folder, "")))

    def site(asked: Asked) -> Reply:
        named, _, key = asked.path.lstrip("/").partition("/")
        if named != name:
            return NO_SUCH_BUCKET
        if key:
            return (
                _piece(keys[key], asked)
                if key in keys
                else Reply(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")
            )
        return Reply(status=200, body=_list_bucket(name, keys, asked), fields=("Content-Type: application/xml",))

    return site


def _keys(folder: Folder, prefix: str) -> list[tuple[str, bytes]]:
    below = [pair for name, inner in folder.folders.items() for pair in _keys(inner, f"{prefix}{name}/")]
    return [*((prefix + name, file) for name, file in folder.files.items()), *below]


def _list_bucket(name: str, keys: dict[str, bytes], asked: Asked) -> bytes:
    prefix, delimiter = asked.value("prefix"), asked.value("delimiter")
    after = asked.value("continuation-token") or asked.value("start-after")
    contents: dict[str, str] = {}
    for key, file in keys.items():
        rest = key.removeprefix(prefix)
        if not key.startswith(prefix):
            continue
        head, cut, _ = rest.partition(delimiter) if delimiter else (rest, "", "")
        shown = prefix + head + cut
        if shown <= after or shown in contents:
            continue
        size = f"<Contents><Key>{escape(key)}</Key><Size>{len(file)}</Size></Contents>"
        contents[shown] = f"<CommonPrefixes><Prefix>{escape(shown)}</Prefix></CommonPrefixes>" if cut else size
    most = min(int(asked.value("max-keys", str(_PAGE))), _PAGE)
    page = list(contents.items())[:most]
    is_cut = len(page) < len(contents)
    token = f"<NextContinuationToken>{escape(page[-1][0])}</NextContinuationToken>" if is_cut and page else ""
    head = (
        f"<Name>{escape(name)}</Name><KeyCount>{len(page)}</KeyCount><IsTruncated>{str(is_cut).lower()}</IsTruncated>"
    )
    inner = head + token + "".join(text for _, text in page)
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</ListBucketResult>'.encode()
