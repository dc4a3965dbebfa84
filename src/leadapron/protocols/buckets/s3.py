"""Amazon S3 and what speaks like it: ListObjectsV2 and GetObject without a signature (S3 API Reference, 2006-03-01)."""

from __future__ import annotations

from leadapron.protocols.buckets.dialect import Dialect, Page, Said, by_status, path_of, query_of
from leadapron.protocols.buckets.xml import Shape, read_code, read_page
from leadapron.protocols.http.exchange import Answer
from leadapron.scope.buckets import Bucket

_LISTING = Shape(
    root="ListBucketResult",
    entry="ListBucketResult/Contents",
    key="ListBucketResult/Contents/Key",
    size="ListBucketResult/Contents/Size",
    folder="ListBucketResult/CommonPrefixes/Prefix",
    token="ListBucketResult/NextContinuationToken",  # noqa: S106 - an element, no password
    cut="ListBucketResult/IsTruncated",
)
_CODES = {
    "NoSuchBucket": Said.ABSENT,
    "PermanentRedirect": Said.ELSEWHERE,
    "TemporaryRedirect": Said.ELSEWHERE,
    "AuthorizationHeaderMalformed": Said.ELSEWHERE,
    "SlowDown": Said.BUSY,
    "ServiceUnavailable": Said.BUSY,
}
"""Error codes that say more than the status, or something else (S3 API Reference, Error Responses)."""


class S3(Dialect):
    def there(self, bucket: Bucket) -> bytes:
        return _root(bucket)

    def page(self, bucket: Bucket, prefix: bytes, token: bytes, size: int) -> bytes:
        query: dict[str, str | bytes] = {"list-type": "2", "max-keys": str(size), "delimiter": "/"}
        return _root(bucket) + b"?" + query_of(query | {"prefix": prefix, "continuation-token": token})

    def object(self, bucket: Bucket, key: bytes) -> bytes:
        root = _root(bucket)
        return root + (b"" if root == b"/" else b"/") + path_of(key)

    def read(self, body: bytes) -> Page:
        return read_page(body, _LISTING)

    def said(self, answer: Answer) -> Said:
        if answer.status == 200:
            return Said.OPEN
        if answer.status < 400:
            return by_status(answer.status)
        return _CODES.get(read_code(answer.body), by_status(answer.status))


def _root(bucket: Bucket) -> bytes:
    """Virtual-hosted style, or path style."""
    return b"/" if bucket.is_in_host else f"/{bucket.name}".encode()
