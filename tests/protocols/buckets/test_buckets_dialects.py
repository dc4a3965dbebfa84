"""What each store is asked, what its pages mean, and what may not happen whatever they hold."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadapron.errors import WireError
from leadapron.protocols.buckets.dialect import Dialect, Key, Said
from leadapron.protocols.buckets.tree import DIALECTS
from leadapron.protocols.buckets.xml import MAX_KEY, MAX_KEYS, read_code
from leadapron.protocols.http.exchange import Answer
from leadapron.protocols.http.wire import Head
from leadapron.scope.buckets import Bucket, Store
from leadapron.scope.parse import bucket
from seeds import seeds

DATA = Path(__file__).parents[1] / "listing" / "data"
S3, AZURE, GOOGLE = (DIALECTS[store] for store in (Store.S3, Store.AZURE, Store.GOOGLE))
AWKWARD = "SYNTHETIC^1 a&b <c> 100% #ü'.dcm".encode()
HERE = ["s3://scans@http://10.0.0.5", "az://scans1/open@http://10.0.0.5", "gs://scans@http://10.0.0.5"]
THEIRS = ["s3://scans", "az://scans1/open", "gs://scans"]


def answer(status: int, body: bytes = b"", **fields: bytes) -> Answer:
    named = tuple((name.replace("_", "-").encode(), value) for name, value in fields.items())
    return Answer(head=Head(minor=1, status=status, fields=named), body=body)


def dialect_of(text: str) -> tuple[Dialect, Bucket]:
    named = bucket(text)
    return DIALECTS[named.store], named


# -- what is asked ------------------------------------------------------------------------------------------------------


def test_a_page_is_asked_for_in_the_words_of_each_store() -> None:
    asked = [
        dialect.page(named, "a/ü&/".encode(), b"t=1", 7)
        for dialect, named in map(dialect_of, [*HERE, *THEIRS[:2], "az://scans1/$web"])
    ]
    in_s3 = b"?list-type=2&max-keys=7&delimiter=%2F&prefix=a%2F%C3%BC%26%2F&continuation-token=t%3D1"
    in_azure = b"?restype=container&comp=list&maxresults=7&delimiter=%2F&prefix=a%2F%C3%BC%26%2F&marker=t%3D1"
    fields = b"&fields=items%28name%2Csize%29%2Cprefixes%2CnextPageToken"
    in_google = b"?maxResults=7&delimiter=%2F" + fields + b"&prefix=a%2F%C3%BC%26%2F&pageToken=t%3D1"
    assert asked == [
        b"/scans" + in_s3,
        b"/scans1/open" + in_azure,
        b"/storage/v1/b/scans/o" + in_google,
        b"/" + in_s3,
        b"/open" + in_azure,
        b"/%24web" + in_azure,
    ]


def test_an_object_is_asked_for_in_the_words_of_each_store() -> None:
    asked = [dialect.object(named, b"a b/\xff?#%.dcm") for dialect, named in map(dialect_of, [*HERE, *THEIRS[:2]])]
    path = b"/a%20b/%FF%3F%23%25.dcm"
    assert asked == [
        b"/scans" + path,
        b"/scans1/open" + path,
        b"/storage/v1/b/scans/o/a%20b%2F%FF%3F%23%25.dcm?alt=media",
        path,
        b"/open" + path,
    ]


ROOTS = {
    "s3://scans@http://10.0.0.5": b"/scans",
    "az://scans1/open@http://10.0.0.5": b"/scans1/open",
    "gs://scans@http://10.0.0.5": b"/storage/v1/b/scans",
    "gs://scans": b"/storage/v1/b/scans",
}


@pytest.mark.parametrize("text", ROOTS)
@given(key=st.binary(min_size=1), token=st.binary())
def test_law_1_nothing_but_the_bucket_can_be_asked_of_a_host_that_has_others(
    text: str, key: bytes, token: bytes
) -> None:
    """Whatever a peer's key or token holds: the target lies below the bucket, and is one line of a request."""
    dialect, named = dialect_of(text)
    targets = [dialect.there(named), dialect.page(named, key, token, 1000)]
    if {b".", b".."}.isdisjoint(key.split(b"/")):
        targets.append(dialect.object(named, key))
    for target in targets:
        path = target.partition(b"?")[0]
        assert path == ROOTS[text] or path.startswith(ROOTS[text] + b"/")
        assert all(0x21 <= byte < 0x7F for byte in target)


@pytest.mark.parametrize("text", HERE)
@pytest.mark.parametrize("key", [b"..", b"../other/x.dcm", b"a/../../other/x.dcm", b"a/.", b"./a"])
def test_law_1_no_step_leads_out_of_a_bucket(text: str, key: bytes) -> None:
    dialect, named = dialect_of(text)
    with pytest.raises(ValueError, match="steps out"):
        dialect.object(named, key)


# -- pages of real stores -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "dialect", "keys", "token"),
    [
        ("seaweedfs-page.xml", S3, [Key(AWKWARD, False, 11), Key(b"a/", True)], b"a/"),
        ("rclone-s3-page.xml", S3, [Key(b"a/", True), Key(AWKWARD, False, 11)], b"YS8="),
        ("azurite-page.xml", AZURE, [Key(b"a/", True), Key(AWKWARD, False, 11)], b"a/b/IM000001.dcm"),
        ("gcs-page.json", GOOGLE, [Key(AWKWARD, False, 11), Key(b"two.dcm", False, 11), Key(b"a/", True)], b""),
    ],
)
def test_a_page_of_a_real_store(file: str, dialect: Dialect, keys: list[Key], token: bytes) -> None:
    page = dialect.read((DATA / file).read_bytes())
    assert page.keys == keys
    assert page.token == token
    assert not page.is_cut


@pytest.mark.parametrize(
    ("file", "dialect"), [("seaweedfs.xml", S3), ("rclone-s3.xml", S3), ("azurite.xml", AZURE), ("gcs.json", GOOGLE)]
)
def test_a_whole_listing_of_a_real_store(file: str, dialect: Dialect) -> None:
    page = dialect.read((DATA / file).read_bytes())
    assert {key.key for key in page.keys} == {b"a/b/IM000001.dcm", AWKWARD, b"two.dcm"}
    assert page.token == b""


# -- pages that mean harm -----------------------------------------------------------------------------------------------


def s3_page(inner: str, head: str = "") -> bytes:
    return f'<?xml version="1.0"?>{head}<ListBucketResult>{inner}</ListBucketResult>'.encode()


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("body", "is_limit"),
    [
        (s3_page("<Contents><Key>&b;</Key></Contents>", BOMB), False),
        (s3_page("", '<!DOCTYPE x SYSTEM "http://127.0.0.1/x.dtd">'), False),
        (s3_page("", BOMB).decode().encode("utf-16"), False),
        (s3_page("<Contents><Key>x</Key></Contents>" * (MAX_KEYS + 1)), True),
        (s3_page(f"<Contents><Key>{'x' * (MAX_KEY + 1)}</Key></Contents>"), True),
        (s3_page("<a>" * 10_000 + "</a>" * 10_000), True),
        (s3_page(f"<NextContinuationToken>{'é' * 8000}</NextContinuationToken>"), True),
        (b"<html><body>Index of /</body></html>", False),
        (b"", False),
        (b"{}", False),
        (s3_page("")[:-3], False),
        (s3_page("\x01"), False),
    ],
)
def test_a_page_that_means_harm_is_an_error_of_one_kind(body: bytes, *, is_limit: bool) -> None:
    with pytest.raises(WireError) as caught:
        S3.read(body)
    assert caught.value.limit is is_limit


def test_a_list_that_is_cut_without_a_way_on_says_so() -> None:
    page = S3.read(s3_page("<IsTruncated>true</IsTruncated><Contents><Key>x</Key><Size>many</Size></Contents>"))
    assert page.is_cut
    assert page.keys == [Key(b"x", False, None)]


def test_a_token_behind_the_end_is_not_followed() -> None:
    page = S3.read(s3_page("<IsTruncated>false</IsTruncated><NextContinuationToken>more</NextContinuationToken>"))
    assert (page.token, page.is_cut) == (b"", False)


def test_names_that_xml_cannot_hold_are_decoded() -> None:
    body = (
        b"<EnumerationResults><Blobs><Blob><Name Encoded='true'>a%EF%BF%BE%20b</Name></Blob>"
        b"<Blob><Name>50%25</Name></Blob></Blobs><NextMarker/></EnumerationResults>"
    )
    assert [key.key for key in AZURE.read(body).keys] == [b"a\xef\xbf\xbe b", b"50%25"]


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b"[" * 100_000, b'{"items": {}}', b'{"items": [1]}', b'{"items": [{"name": 7}]}', b'{"prefixes": [[]]}',
     b'{"nextPageToken": 1}', b'{"error": {"code": 401}}', b"\xff", b'{"nextPageToken": "' + b"x" * 9000 + b'"}'],
)  # fmt: skip
def test_json_that_is_no_listing_is_an_error_of_one_kind(body: bytes) -> None:
    with pytest.raises(WireError):
        GOOGLE.read(body)


def test_half_a_character_in_json_is_kept_as_a_name() -> None:
    page = GOOGLE.read(rb'{"items": [{"name": "a\ud800", "size": "-1"}, {"name": "b", "size": "9"}]}')
    assert page.keys == [Key(b"a?", False, None), Key(b"b", False, 9)]


FILES = sorted(DATA.glob("*-page.*ml")) + sorted(DATA.glob("gcs*.json"))


@given(st.sampled_from(list(Store)), st.binary(max_size=300))
@seeds((store, file.read_bytes()) for store in Store for file in FILES)
def test_any_bytes_are_a_page_or_the_one_error(store: Store, body: bytes) -> None:
    with contextlib.suppress(WireError):
        DIALECTS[store].read(body)
    assert isinstance(read_code(body), str)


@given(st.data())
def test_a_real_page_with_some_bytes_changed_is_a_page_or_the_one_error(data: st.DataObject) -> None:
    file = data.draw(st.sampled_from([file for file in FILES if file.name.startswith(("sea", "azu", "rcl", "gcs"))]))
    body = file.read_bytes()
    place, piece = data.draw(st.integers(0, len(body))), data.draw(st.binary(max_size=4))
    changed = body[:place] + piece + body[place + data.draw(st.integers(0, 4)) :]
    for dialect in DIALECTS.values():
        for broken in (changed, body[:place]):
            with contextlib.suppress(WireError):
                dialect.read(broken)


# -- what a store says --------------------------------------------------------------------------------------------------


def s3_error(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>CANARY</Message></Error>'.encode()


@pytest.mark.parametrize(
    ("dialect", "seen", "said"),
    [
        (S3, answer(200), Said.OPEN),
        (S3, answer(403, s3_error("AccessDenied")), Said.CLOSED),
        (S3, answer(403), Said.CLOSED),
        (S3, answer(404, s3_error("NoSuchBucket")), Said.ABSENT),
        (S3, answer(404, b"<html>not here</html>"), Said.OTHER),
        (S3, answer(301, s3_error("PermanentRedirect")), Said.ELSEWHERE),
        (S3, answer(307, location=b"http://scans.s3-elsewhere.example/"), Said.ELSEWHERE),
        (S3, answer(400, s3_error("UnsupportedAlgorithm")), Said.OTHER),
        (S3, answer(400, s3_error("AuthorizationHeaderMalformed")), Said.ELSEWHERE),
        (S3, answer(503, s3_error("SlowDown")), Said.BUSY),
        (S3, answer(204), Said.OTHER),
        (AZURE, answer(200), Said.OPEN),
        (AZURE, answer(404, x_ms_error_code=b"ContainerNotFound"), Said.ABSENT),
        (AZURE, answer(404, x_ms_error_code=b"ResourceNotFound"), Said.HIDDEN),
        (AZURE, answer(404), Said.HIDDEN),
        (AZURE, answer(409, x_ms_error_code=b"PublicAccessNotPermitted"), Said.CLOSED),
        (AZURE, answer(403, x_ms_error_code=b"AuthorizationFailure"), Said.CLOSED),
        (AZURE, answer(503, x_ms_error_code=b"ServerBusy"), Said.BUSY),
        (AZURE, answer(500), Said.OTHER),
        (GOOGLE, answer(200), Said.OPEN),
        (GOOGLE, answer(401, json.dumps({"error": {"code": 401}}).encode()), Said.CLOSED),
        (GOOGLE, answer(403), Said.CLOSED),
        (GOOGLE, answer(404), Said.ABSENT),
        (GOOGLE, answer(429), Said.BUSY),
    ],
)
def test_refusals_are_told_apart(dialect: Dialect, seen: Answer, said: Said) -> None:
    assert dialect.said(seen) is said


def test_a_code_is_one_word_or_none() -> None:
    assert read_code(s3_error("NoSuchBucket")) == "NoSuchBucket"
    for code in ("No Such", "x" * 65, "<a/>", ""):
        assert read_code(s3_error(code)) == ""
    assert read_code(BOMB.encode() + s3_error("NoSuchBucket")) == ""
    assert read_code(b"<a><Error><Code>NoSuchBucket</Code></Error></a>") == ""
