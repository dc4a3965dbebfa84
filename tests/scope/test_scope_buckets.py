"""Buckets in the scope: what they may be called, where they lead, and how little of that place they open."""

from __future__ import annotations

import datetime as dt
from ipaddress import IPv4Address
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scope_samples import FILE, MINIMAL, TODAY, Clock, grant, scope, zone

from leadapron.errors import ScopeErrors
from leadapron.model import Address, Depth
from leadapron.scope.buckets import MAX_RESOURCE, Bucket, Origin, spot_of
from leadapron.scope.decision import Denial, Denied, Permit
from leadapron.scope.explain import account, overview
from leadapron.scope.export import nft_rules
from leadapron.scope.gate import REASONS, Gate
from leadapron.scope.grant import Grant, Scope
from leadapron.scope.parse import Mistake, bucket, url
from leadapron.scope.policy import nowhere
from leadapron.scope.read import parse_scope
from leadapron.scope.window import Window

PROVIDER = IPv4Address("52.219.0.9")
PINS: dict[str, tuple[Address, ...]] = {
    "scans.s3.amazonaws.com": (PROVIDER, IPv4Address("52.219.0.10")),
    "storage.googleapis.com": (IPv4Address("142.250.0.1"),),
}
SCANS = bucket("s3://scans")


def with_bucket(*networks: str, id: str = "b", **more: object) -> Grant:
    return grant(*networks, id=id, **{"buckets": (SCANS,), **more})


def reason(gate: Gate, address: Address = PROVIDER, port: int = 443, depth: Depth = Depth.COUNT) -> Denied | None:
    answer = gate.decide(address, port, depth)
    return answer.reason if isinstance(answer, Denial) else None


def gate_of(*grants: Grant, **more: object) -> Gate:
    return Gate(scope(*grants, **more), pins=PINS, clock=Clock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown", "origin", "is_in_host"),
    [
        ("s3://scans", "s3://scans", Origin(True, "scans.s3.amazonaws.com", 443), True),
        ("s3://scans.of.us", "s3://scans.of.us", Origin(True, "s3.amazonaws.com", 443), False),
        ("s3://Scans_1", "s3://Scans_1", Origin(True, "s3.amazonaws.com", 443), False),
        ("s3://scans@https://MinIO.example:9000", "s3://scans", Origin(True, "minio.example", 9000), False),
        ("s3://scans@http://10.0.0.5", "s3://scans", Origin(False, "10.0.0.5", 80), False),
        ("s3://scans@http://[2001:DB8::1]:9000/", "s3://scans", Origin(False, "2001:db8::1", 9000), False),
        ("s3://scans@https://scans.s3.eu-central-1.amazonaws.com", "s3://scans",
         Origin(True, "scans.s3.eu-central-1.amazonaws.com", 443), True),
        ("az://scans1/open", "az://scans1/open", Origin(True, "scans1.blob.core.windows.net", 443), True),
        ("az://scans1/$web@http://127.0.0.1:10000", "az://scans1/$web", Origin(False, "127.0.0.1", 10000), False),
        ("gs://scans.hospital.example", "gs://scans.hospital.example", Origin(True, "storage.googleapis.com", 443), False),
    ],
)  # fmt: skip
def test_a_bucket_is_read(text: str, shown: str, origin: Origin, *, is_in_host: bool) -> None:
    read = bucket(text)
    assert (str(read), read.origin, read.is_in_host) == (shown, origin, is_in_host)


@pytest.mark.parametrize(
    "text",
    ["", "scans", "s3:/scans", "ftp://scans", "s3://", "s3://ab", "s3://a/b", "s3://a..b", "s3://sc ans", "az://scans",
     "az://Scans/open", "az://scans1/op--en", "az://scans1/a/b", "gs://Scans", "s3://scans@", "s3://scans@minio:9000",
     "s3://scans@ftp://minio", "s3://scans@https://minio/path", "s3://scans@https://minio?x", "s3://scans@https://u@minio",
     "s3://scans@https://minio:0", "s3://scans@https://minio:65536", "s3://scans@https://", "s3://scans@https://*.minio",
     "s3://scans@https://[::1", "s3://scans@https://minio#", "s3://scäns", "az://scans1/\n", "s3://" + "a" * 64],
)  # fmt: skip
def test_what_is_no_bucket_is_one_clear_line(text: str) -> None:
    with pytest.raises(Mistake) as caught:
        bucket(text)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "shown", "origin"),
    [
        ("https://WWW.example/images", "https://www.example/images/", Origin(True, "www.example", 443)),
        ("http://www.example:8080/a%20b/c/", "http://www.example:8080/a%20b/c/", Origin(False, "www.example", 8080)),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]/", Origin(False, "2001:db8::1", 80)),
    ],
)
def test_a_url_is_a_folder(text: str, shown: str, origin: Origin) -> None:
    read = url(text)
    assert (str(read), read.origin) == (shown, origin)


@pytest.mark.parametrize(
    "text",
    ["", "www.example/", "https://www.example", "ftp://www.example/", "https://www.example/a/../b/", "https:///a/",
     "https://www.example/a?b", "https://www.example/a#b", "https://u:p@www.example/", "https://www.example/a b/",
     "https://www.example//a/", "https://www.example/%2e%2e/", "https://www.example/ä/", "https://www.example/%/",
     "https://www.example:0/", "https://*.example/", "https://www.example/" + "a" * 512],
)  # fmt: skip
def test_what_is_no_url_of_a_folder_is_one_clear_line(text: str) -> None:
    with pytest.raises(Mistake) as caught:
        url(text)
    assert "\n" not in str(caught.value)


@given(st.text() | st.text().map(lambda text: f"https://{text}") | st.integers())
def test_anything_is_a_url_or_a_mistake(value: object) -> None:
    try:
        assert url(value).name.endswith("/")
    except Mistake as mistake:
        assert mistake.remedy


@given(st.text() | st.text().map(lambda text: f"s3://scans@https://{text}") | st.integers())
def test_anything_is_a_bucket_or_a_mistake(value: object) -> None:
    try:
        assert isinstance(bucket(value), Bucket)
    except Mistake as mistake:
        assert mistake.remedy


def test_a_scope_file_may_name_buckets_alone() -> None:
    text = MINIMAL.replace(
        'networks = ["198.18.0.0/24"]', 'buckets = ["s3://scans", "gs://scans", "s3://x-y@http://10.0.0.5"]'
    )
    read = parse_scope(text.encode(), Path("scope.toml"), today=TODAY)
    assert [str(each) for each in read.buckets] == ["s3://scans", "gs://scans", "s3://x-y"]
    assert read.names == ("scans.s3.amazonaws.com", "storage.googleapis.com")


def test_a_scope_file_may_name_urls_alone() -> None:
    text = MINIMAL.replace('networks = ["198.18.0.0/24"]', 'urls = ["https://www.example/images/"]')
    read = parse_scope(text.encode(), Path("scope.toml"), today=TODAY)
    assert [each.resource for each in read.buckets] == ["https://www.example/images/"]
    assert read.names == ("www.example",)


def test_a_mistake_in_a_bucket_has_its_line() -> None:
    text = FILE.replace("names = []", 'buckets = ["s3://scans", "s3://no/bucket"]')
    with pytest.raises(ScopeErrors) as caught:
        parse_scope(text.encode(), Path("scope.toml"), today=TODAY)
    (error,) = caught.value.errors
    assert (error.key, error.line) == ("grant[0].buckets[1]", 1 + text[: text.index("buckets")].count("\n"))


def test_a_long_name_is_short_as_a_resource_and_stays_itself() -> None:
    one, two = (bucket(f"gs://{'scans-' * 10}{end}") for end in ("one", "two"))
    assert len(one.resource) == len(two.resource) == MAX_RESOURCE
    assert one.resource != two.resource
    assert SCANS.resource == "s3://scans"


# -- law 1: a bucket opens its own place, and no more of it -------------------------------------------------------------


def test_a_bucket_opens_one_port_of_one_address() -> None:
    gate = gate_of(with_bucket())
    permit = gate.decide(PROVIDER, 443, Depth.CENSUS)
    assert isinstance(permit, Permit)
    assert (permit.grant, permit.port) == ("b", 443)
    assert reason(gate, port=80) is Denied.NO_GRANT
    assert reason(gate, port=104) is Denied.NO_GRANT  # a port of the scope
    assert reason(gate, IPv4Address("52.219.0.10")) is Denied.NO_GRANT  # the same host, another address
    assert gate.intervals(4) == []
    assert gate.depth_now(PROVIDER) == 0


def test_a_port_of_the_scope_opens_no_more_of_the_address() -> None:
    here = bucket("s3://scans@http://10.0.0.5:104")
    gate = Gate(scope(grant(id="b", buckets=(here,))), clock=Clock())
    assert reason(gate, IPv4Address("10.0.0.5"), 104) is None
    assert reason(gate, IPv4Address("10.0.0.5"), 11112) is Denied.NO_GRANT
    assert gate.dial_allowed("10.0.0.5", 104) is None
    assert gate.dial_allowed("10.0.0.5", 11112) is Denied.NO_GRANT


def test_nothing_is_opened_beside_a_bucket() -> None:
    gate = gate_of(with_bucket())
    assert isinstance(gate.decide(PROVIDER, 20000, beside=443), Denial)
    with gate.beside(PROVIDER, 20000):
        assert gate.dial_allowed(str(PROVIDER), 20000) is Denied.NO_GRANT


def test_a_host_that_is_not_pinned_opens_nothing() -> None:
    gate = Gate(scope(with_bucket()), clock=Clock())
    assert spot_of(SCANS, {}) is None
    assert reason(gate) is Denied.NO_GRANT


def test_any_exclusion_wins() -> None:
    assert reason(gate_of(with_bucket(exclude=["52.219.0.0/24"]))) is Denied.EXCLUDED
    assert reason(gate_of(with_bucket(), grant("10.0.0.0/8", exclude=["52.219.0.9"]))) is Denied.EXCLUDED
    ours = gate_of(with_bucket(), infrastructure=((str(PROVIDER), 443),))
    assert reason(ours) is Denied.EXCLUDED
    assert ours.dial_allowed(str(PROVIDER), 443) is None  # as our own
    assert nowhere(scope(with_bucket(), infrastructure=(("db.example", 443),)), {}) == ("db.example",)


def test_days_zones_and_depth_hold() -> None:
    assert reason(gate_of(with_bucket(valid_from=TODAY + dt.timedelta(days=1)))) is Denied.NOT_YET
    assert reason(gate_of(with_bucket(depth=Depth.TALK))) is Denied.DEPTH
    shut = zone("52.219.0.0/24", name="shut", window=Window.parse("22:00-05:00 UTC"))
    assert reason(gate_of(with_bucket(), zones=(shut,))) is Denied.WINDOW
    slow = zone("52.219.0.0/24", name="slow", gap_seconds=2.0, max_depth=Depth.CONNECT)
    gate = gate_of(with_bucket(), zones=(slow,))
    assert reason(gate) is Denied.DEPTH
    assert gate.gap_at(4, int(PROVIDER)) == ("slow", 2.0)
    assert gate.zones_at(PROVIDER) == {"slow"}


def test_where_a_network_opens_the_port_it_decides() -> None:
    here = bucket("s3://scans@http://10.0.0.5:104")
    gate = Gate(scope(grant(id="b", buckets=(here,)), grant("10.0.0.0/24", id="n", depth=Depth.TALK)), clock=Clock())
    permit = gate.decide(IPv4Address("10.0.0.5"), 104)
    assert isinstance(permit, Permit)
    assert (permit.grant, permit.depth) == ("n", Depth.TALK)


def test_a_special_address_is_named_by_a_bucket() -> None:
    here = bucket("s3://scans@http://10.0.0.5:9000")
    gate = Gate(scope(grant("0.0.0.0/0", id="all", wide=True), grant(id="b", buckets=(here,))), clock=Clock())
    assert reason(gate, IPv4Address("10.0.0.5"), 9000) is None
    assert reason(gate, IPv4Address("10.0.0.5"), 104) is Denied.SPECIAL


def test_of_two_grants_at_one_provider_the_deepest_opens_it() -> None:
    """How deep each bucket may be gone into is said where it is known which one is asked: `ScopeTerms`."""
    one = grant(id="one", depth=Depth.TALK, buckets=(bucket("gs://one"),))
    two = grant(id="two", depth=Depth.COUNT, buckets=(bucket("gs://two"),))
    assert reason(gate_of(one, two), IPv4Address("142.250.0.1")) is None


def test_a_scope_that_is_read_again_narrows() -> None:
    gate = gate_of(with_bucket())
    gate.narrow(scope(grant("10.0.0.0/24"), sha256="1" * 64))
    assert reason(gate) is Denied.NARROWED
    assert gate.dial_allowed(str(PROVIDER), 443) is Denied.NARROWED


addresses = st.sampled_from([PROVIDER, IPv4Address("52.219.0.8"), IPv4Address("10.0.0.5"), IPv4Address("142.250.0.1")])
subjects = st.lists(
    st.sampled_from(
        [
            with_bucket(id="a"),
            with_bucket(id="x", exclude=["52.219.0.9"]),
            grant("52.219.0.0/24", id="n", depth=Depth.TALK),
            grant(id="h", buckets=(bucket("s3://scans@http://10.0.0.5:104"), bucket("gs://scans"))),
            grant("0.0.0.0/0", id="all", wide=True),
            grant(id="later", buckets=(bucket("gs://later"),), valid_from=TODAY + dt.timedelta(days=1)),
        ]
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each.id,
)


@given(subjects, addresses, st.sampled_from([80, 104, 443, 11112]))
def test_every_way_of_asking_gives_the_same_answer(grants: list[Grant], address: IPv4Address, port: int) -> None:
    gate = gate_of(*grants)
    decided = gate.decide(address, port)
    why = decided.reason if isinstance(decided, Denial) else None
    assert gate.dial_allowed(str(address), port) is why
    assert gate.denied_at(address, port) is why
    (number,) = gate.denials4(np.array([int(address)], dtype=np.uint32), np.array([port], dtype=np.uint16)).tolist()
    assert REASONS[number] is why


# -- what people and firewalls are told ---------------------------------------------------------------------------------


def told() -> Scope:
    return scope(with_bucket(), grant("198.18.0.0/24"))


def test_the_rules_of_the_firewall_let_it_through_at_its_port() -> None:
    rules = nft_rules(told(), PINS)
    assert "set buckets4 {\n\t\ttype ipv4_addr . inet_service;\n\t\telements = { 52.219.0.9 . 443 }" in rules
    assert "ip daddr . tcp dport @buckets4 counter accept" in rules
    assert "buckets6" not in rules
    assert "52.219" not in nft_rules(scope(with_bucket(exclude=["52.219.0.9"])), PINS)


def test_the_overview_and_the_account_name_the_bucket() -> None:
    gate = Gate(told(), pins=PINS, clock=Clock())
    view = overview(gate, dt.datetime(2026, 11, 20, tzinfo=dt.UTC))
    assert any(
        note.startswith("bucket s3://scans: nothing but it is asked at scans.s3.amazonaws.com") for note in view.notes
    )
    assert view.connections == 256 * 2 + 1
    assert account(gate, PROVIDER, 443).decided_by == "bucket s3://scans of grant 'b'"
    assert not account(gate, PROVIDER, 104).permitted
