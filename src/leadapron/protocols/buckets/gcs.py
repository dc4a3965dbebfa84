"""Google Cloud Storage: the JSON API, objects.list and objects.get, without credentials (Cloud Storage JSON API v1)."""

from __future__ import annotations

import json
from typing import Any

from leadapron.errors import WireError
from leadapron.protocols.buckets.dialect import MAX_TOKEN, Dialect, Key, Page, Said, by_status, path_of, query_of
from leadapron.protocols.http.exchange import Answer
from leadapron.scope.buckets import Bucket

MAX_KEYS = 10_000
_FIELDS = "items(name,size),prefixes,nextPageToken"


class Google(Dialect):
    def there(self, bucket: Bucket) -> bytes:
        return f"/storage/v1/b/{bucket.name}".encode()

    def page(self, bucket: Bucket, prefix: bytes, token: bytes, size: int) -> bytes:
        query: dict[str, str | bytes] = {"maxResults": str(size), "delimiter": "/", "fields": _FIELDS}
        return _objects(bucket) + b"?" + query_of(query | {"prefix": prefix, "pageToken": token})

    def object(self, bucket: Bucket, key: bytes) -> bytes:
        return _objects(bucket) + b"/" + path_of(key, slashes=False) + b"?alt=media"

    def read(self, body: bytes) -> Page:
        raw = _document(body)
        keys = [
            *(Key(_text(item, "name"), is_folder=False, size=_size(item)) for item in _rows(raw, "items")),
            *(Key(_encoded(prefix), is_folder=True) for prefix in _rows(raw, "prefixes")),
        ]
        token = _text(raw, "nextPageToken") if "nextPageToken" in raw else b""
        if len(token) > MAX_TOKEN or len(keys) > MAX_KEYS:
            raise WireError("a page that is longer than it may be", limit=True)
        return Page(keys=keys, token=token)

    def said(self, answer: Answer) -> Said:
        return Said.ABSENT if answer.status == 404 else by_status(answer.status)


def _objects(bucket: Bucket) -> bytes:
    return f"/storage/v1/b/{bucket.name}/o".encode()


def _document(body: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raise WireError("no JSON") from None
    # An empty bucket has neither items nor a kind, where only some fields are asked for.
    if not isinstance(raw, dict) or "error" in raw:
        raise WireError("JSON that is no listing")
    return raw


def _rows(raw: dict[str, Any], name: str) -> list[Any]:
    rows = raw.get(name, [])
    if not isinstance(rows, list):
        raise WireError("JSON that is no listing")
    return rows


def _text(raw: Any, name: str) -> bytes:
    return _encoded(raw.get(name) if isinstance(raw, dict) else None)


def _encoded(text: Any) -> bytes:
    """Half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark."""
    if not isinstance(text, str):
        raise WireError("JSON that is no listing")
    return text.encode("utf-8", "replace")


def _size(item: Any) -> int | None:
    """A number written as text."""
    size = item.get("size") if isinstance(item, dict) else None
    return int(size) if isinstance(size, str) and size.isascii() and size.isdigit() and len(size) <= 18 else None
