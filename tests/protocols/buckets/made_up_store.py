"""A store that answers as S3 does, out of a table of keys, with pages as short as a test wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

REQUEST = re.compile(rb"(GET|HEAD) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)


def response(status: int, body: bytes = b"", *fields: bytes, length: int | None = None) -> bytes:
    head = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % (len(body) if length is None else length), *fields]
    return b"\r\n".join([*head, b"", body])


@dataclass
class MadeUpStore:
    """`objects` of one bucket, `scans`, in path style. `asked`: the targets of all requests."""

    objects: Mapping[bytes, bytes]
    page: int = 1000
    closed: frozenset[bytes] = frozenset()
    asked: list[tuple[bytes, bytes]] = field(default_factory=list)
    hosts: set[bytes] = field(default_factory=set)

    def __call__(self, sent: bytes) -> tuple[bytes, bool]:
        answers = b""
        for method, target, fields in REQUEST.findall(sent):
            self.asked.append((method, target))
            self.hosts.update(re.findall(rb"(?m)^Host: (\S+)", fields))
            answers += self._answer(method, target, fields)
        return answers, True

    def _answer(self, method: bytes, target: bytes, fields: bytes) -> bytes:
        url = urlsplit(target.decode())
        if not f"{url.path}/".startswith("/scans/"):
            return response(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if method == b"HEAD":
            return response(200)
        if "list-type" in url.query:
            return response(200, self.listing({name: values[0] for name, values in parse_qs(url.query).items()}))
        key = unquote_to_bytes(url.path.removeprefix("/scans/"))
        if key in self.closed:
            return response(403, b"<Error><Code>AccessDenied</Code></Error>")
        if key not in self.objects:
            return response(404, b"<Error><Code>NoSuchKey</Code></Error>")
        start, end = (int(number) for number in re.findall(rb"Range: bytes=(\d+)-(\d+)", fields)[0])
        piece = self.objects[key][start : end + 1]
        return response(206, piece) if piece else response(416)

    def listing(self, query: Mapping[str, str]) -> bytes:
        prefix, after = query.get("prefix", "").encode(), query.get("continuation-token", "").encode()
        below = sorted({self._below(key, prefix) for key in self.objects if key.startswith(prefix)})
        waiting = [key for key in below if key > after]
        here = waiting[: min(self.page, int(query["max-keys"]))]
        parts = ["<ListBucketResult>", *map(self._element, here)]
        if len(here) < len(waiting):
            token = escape(here[-1].decode())
            parts.append(f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
        return "".join([*parts, "</ListBucketResult>"]).encode()

    def _below(self, key: bytes, prefix: bytes) -> bytes:
        name, slash, _ = key[len(prefix) :].partition(b"/")
        return prefix + name + slash

    def _element(self, key: bytes) -> str:
        text = escape(key.decode())
        if key.endswith(b"/") and key not in self.objects:
            return f"<CommonPrefixes><Prefix>{text}</Prefix></CommonPrefixes>"
        return f"<Contents><Key>{text}</Key><Size>{len(self.objects[key])}</Size></Contents>"
