"""Azure Blob Storage: List Blobs and Get Blob without credentials (Azure Storage REST API, version 2021-08-06)."""

from __future__ import annotations

from leadapron.protocols.buckets.dialect import Dialect, Page, Said, by_status, path_of, query_of
from leadapron.protocols.buckets.xml import Shape, read_page
from leadapron.protocols.http.exchange import Answer
from leadapron.scope.buckets import Bucket

_BLOBS = "EnumerationResults/Blobs"
_LISTING = Shape(
    root="EnumerationResults",
    entry=f"{_BLOBS}/Blob",
    key=f"{_BLOBS}/Blob/Name",
    size=f"{_BLOBS}/Blob/Properties/Content-Length",
    folder=f"{_BLOBS}/BlobPrefix/Name",
    token="EnumerationResults/NextMarker",  # noqa: S106 - an element, no password
    cut="",
)
_CODES = {
    b"ContainerNotFound": Said.ABSENT,
    b"ContainerBeingDeleted": Said.ABSENT,
    b"AccountIsDisabled": Said.ABSENT,
    # To a stranger, a private container is one that is not there.
    b"ResourceNotFound": Said.HIDDEN,
    b"PublicAccessNotPermitted": Said.CLOSED,
    b"AuthenticationFailed": Said.CLOSED,
    b"NoAuthenticationInformation": Said.CLOSED,
    b"AuthorizationFailure": Said.CLOSED,
    b"AuthorizationPermissionMismatch": Said.CLOSED,
    b"ServerBusy": Said.BUSY,
}
"""Of the header x-ms-error-code."""


class Azure(Dialect):
    fields = ((b"x-ms-version", b"2021-08-06"),)

    def there(self, bucket: Bucket) -> bytes:
        return _root(bucket) + b"?restype=container"

    def page(self, bucket: Bucket, prefix: bytes, token: bytes, size: int) -> bytes:
        query: dict[str, str | bytes] = {"restype": "container", "comp": "list", "maxresults": str(size)}
        return _root(bucket) + b"?" + query_of(query | {"delimiter": "/", "prefix": prefix, "marker": token})

    def object(self, bucket: Bucket, key: bytes) -> bytes:
        return _root(bucket) + b"/" + path_of(key)

    def read(self, body: bytes) -> Page:
        return read_page(body, _LISTING)

    def said(self, answer: Answer) -> Said:
        if answer.status < 400:
            return by_status(answer.status)
        said = _CODES.get(answer.head.field(b"x-ms-error-code").strip())
        return said or (Said.HIDDEN if answer.status == 404 else by_status(answer.status))


def _root(bucket: Bucket) -> bytes:
    """The account is in the host, or, of emulators and gateways, the first part of the path."""
    container = bucket.name.replace("$", "%24")
    return (f"/{container}" if bucket.is_in_host else f"/{bucket.account}/{container}").encode()
