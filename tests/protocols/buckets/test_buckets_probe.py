"""The plan at a bucket and its verdicts: least first, bucket by bucket, as deep as each one's own grant goes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversing import Server, converse
from leadapron.identify.match import IDENTIFY
from leadapron.model import Completed, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.protocols.base import BucketTerms, Case, Payload, Terms
from leadapron.protocols.buckets.probe import PROTOCOL
from leadapron.protocols.tls.handshake import Handshaking
from leadapron.protocols.tls.secured import Secured
from leadapron.scope.parse import bucket
from protocols.buckets.made_up_store import MadeUpStore, response

CANARY = "CANARYPATIENT"
HERE = Endpoint(address=ip_address("10.0.0.5"), port=9000)
OWNER = Owner(grant="b", party="Partner")
MAGIC = b"\0" * 128 + b"DICM\2\0\0\0UL\4\0" + bytes(200)
OBJECTS = {f"{CANARY}/{number}.dcm".encode(): MAGIC for number in range(5)} | {b"letter.txt": b"x"}


def named(
    text: str = "s3://scans@http://10.0.0.5:9000", depth: Depth = Depth.COUNT, owner: Owner = OWNER
) -> BucketTerms:
    return BucketTerms(bucket=bucket(text), depth=depth, owner=owner)


def terms(*buckets: BucketTerms, **more: Any) -> Terms:
    spot = Owner(grant="somebody else's")
    return Terms(depth=Depth.CENSUS, owner=spot, calling_aet="LEADAPRON", buckets=buckets or (named(),), **more)


@dataclass
class Audit:
    """All jobs at one endpoint, with a server that is a function; `done` are the names of the jobs."""

    terms: Terms
    attempts: dict[str, Payload] = field(default_factory=dict)

    @property
    def case(self) -> Case:
        return Case(endpoint=HERE, terms=self.terms, attempts=self.attempts)

    def run(self, server: Server) -> tuple[list[Observation], Failed | None]:
        for _ in range(50):
            job = PROTOCOL.next_job(self.case, IDENTIFY)
            if job is None:
                break
            attempt, _ = converse(job.converse(), server)
            self.attempts[job.name] = json.loads(json.dumps(PROTOCOL.encode_attempt(attempt)))
        else:
            pytest.fail("the plan does not end")
        found, why = PROTOCOL.conclude(self.case)
        return list(found), why


def verdicts(seen: Observation) -> tuple[Verdict, ...]:
    return seen.access.reach, seen.access.talk, seen.access.list, seen.access.read, seen.access.write


def test_an_open_bucket_is_listed_and_read() -> None:
    store = MadeUpStore(OBJECTS)
    audit = Audit(terms())
    (seen,), why = audit.run(store)
    assert why is None
    assert list(audit.attempts) == ["hello", "list:s3://scans", "tree:s3://scans", "health"]
    assert verdicts(seen) == (
        Verdict.PROVEN, Verdict.PROVEN, Verdict.PROVEN, Verdict.PROVEN, Verdict.NOT_ASKED)  # fmt: skip
    assert seen.counts.images is not None
    assert seen.counts.images.value == 5
    assert (seen.service.protocol, seen.service.resource) == ("buckets", "s3://scans")
    assert seen.owner == OWNER  # the bucket's own grant, not that of the endpoint
    assert seen.facts["clear"] is True
    assert seen.facts["buckets.status"] == 200
    assert seen.facts["files.files"] == 6


def test_what_is_asked_is_asked_least_first_and_about_the_bucket_alone() -> None:
    store = MadeUpStore(OBJECTS)
    Audit(terms()).run(store)
    assert store.asked[0] == (b"HEAD", b"/scans")
    assert store.asked[1] == (b"GET", b"/scans?list-type=2&max-keys=1&delimiter=%2F")
    assert all(target == b"/scans" or target.startswith((b"/scans?", b"/scans/")) for _, target in store.asked)
    assert {method for method, _ in store.asked} == {b"GET", b"HEAD"}
    assert store.hosts == {b"10.0.0.5:9000"}


def test_nothing_that_a_peer_named_is_in_a_result() -> None:
    audit = Audit(terms(named(depth=Depth.CENSUS)))
    found, _ = audit.run(MadeUpStore(OBJECTS))
    assert CANARY not in json.dumps(audit.attempts) + repr(found)


@pytest.mark.parametrize(
    ("depth", "jobs"),
    [
        (Depth.CONNECT, []),
        (Depth.TALK, ["hello"]),
        (Depth.COUNT, ["hello", "list:s3://scans", "tree:s3://scans", "health"]),
    ],
)
def test_each_depth_ends_where_it_should(depth: Depth, jobs: list[str]) -> None:
    audit = Audit(terms(named(depth=depth)))
    found, _ = audit.run(MadeUpStore(OBJECTS))
    assert list(audit.attempts) == jobs
    if depth is Depth.TALK:
        assert verdicts(found[0])[1:] == (Verdict.PROVEN, *[Verdict.NOT_ASKED] * 3)


def test_buckets_at_one_place_each_go_as_deep_as_their_own_grant() -> None:
    other = Owner(grant="other", party="Another partner")
    audit = Audit(
        terms(
            named("gs://shy@http://10.0.0.5:9000", Depth.TALK, other),
            named("gs://never@http://10.0.0.5:9000", Depth.CONNECT),
            named(),
        )
    )
    store = MadeUpStore(OBJECTS)
    found, _ = audit.run(store)
    assert list(audit.attempts) == ["hello", "list:s3://scans", "tree:s3://scans", "health"]
    assert [(seen.service.resource, seen.owner.grant) for seen in found] == [("gs://shy", "other"), ("s3://scans", "b")]
    assert [seen.access.list for seen in found] == [Verdict.NOT_ASKED, Verdict.PROVEN]
    assert not any(b"never" in target for _, target in store.asked)


def saying(status: int, body: bytes = b"", *fields: bytes) -> Callable[[bytes], tuple[bytes, bool]]:
    """The same to every question, without a body behind HEAD."""
    return lambda sent: (response(status, b"" if sent.startswith(b"HEAD") else body, *fields), True)


ERROR = b"<Error><Code>%s</Code><Message>" + CANARY.encode() + b"</Message></Error>"


@pytest.mark.parametrize(
    ("server", "listed", "reason", "facts"),
    [
        (saying(403, ERROR % b"AccessDenied"), Verdict.REFUSED, None, {}),
        (saying(401), Verdict.REFUSED, None, {}),
        (saying(404, ERROR % b"NoSuchBucket"), Verdict.UNKNOWN, Reason.EMPTY, {"buckets.absent": True}),
        (saying(301, ERROR % b"PermanentRedirect"), Verdict.UNKNOWN, Reason.OUT_OF_SCOPE, {"buckets.elsewhere": True}),
        (saying(503, ERROR % b"SlowDown"), Verdict.UNKNOWN, Reason.LIMIT, {}),
        (saying(400, ERROR % b"UnsupportedAlgorithm"), Verdict.UNKNOWN, Reason.PROTOCOL, {}),
        (saying(200, b"<html>Index of /</html>"), Verdict.UNKNOWN, Reason.PROTOCOL, {}),
        (saying(200, b"<ListBucketResult/>"), Verdict.UNKNOWN, Reason.EMPTY, {}),
        (saying(200, b"<ListBucketResult>" + b" " * (1 << 19)), Verdict.UNKNOWN, Reason.LIMIT, {}),
    ],
)
def test_what_is_not_open_says_why(
    server: Server, listed: Verdict, reason: Reason | None, facts: Mapping[str, bool]
) -> None:
    audit = Audit(terms())
    (seen,), why = audit.run(server)
    assert why is None
    assert seen.access.list is listed
    assert seen.access.read in (Verdict.NOT_ASKED, Verdict.UNKNOWN)
    assert ({each.reason for each in seen.unknowns} == {reason}) if reason else not seen.unknowns
    assert facts.items() <= seen.facts.items()
    assert seen.facts["buckets.absent"] is ("buckets.absent" in facts)
    assert CANARY not in json.dumps(audit.attempts)
    assert not seen.exposed


def test_a_redirect_is_not_followed() -> None:
    asked: list[bytes] = []

    def elsewhere(sent: bytes) -> tuple[bytes, bool]:
        asked.append(sent.split(b"\r\n")[0])
        return response(307, b"", b"Location: http://10.0.0.6:9000/scans?list-type=2"), True

    Audit(terms()).run(elsewhere)
    assert len(asked) == 3, "a HEAD, a listing, and a HEAD to see whether it still answers"
    assert all(b" /scans" in line for line in asked)


def test_no_answer_is_told_as_what_it_is() -> None:
    found, why = Audit(terms()).run(lambda _: (b"", False))
    assert found == []
    assert why == Failed(stage=Stage.HANDSHAKE, reason=Reason.RESET)


def test_a_list_that_is_open_and_then_breaks_is_open() -> None:
    store = MadeUpStore(OBJECTS)

    def breaking(sent: bytes) -> tuple[bytes, bool]:
        return (b"", False) if len(store.asked) >= 2 else store(sent)

    audit = Audit(terms())
    (seen,), _ = audit.run(breaking)
    assert seen.access.list is Verdict.PROVEN
    reset = [Failed(stage=stage, reason=Reason.RESET) for stage in (Stage.COUNT, Stage.TALK)]
    assert list(seen.unknowns) == reset, "the walk, and the store that does not answer afterwards"
    assert PROTOCOL.no_longer_answers(audit.case) == {"health.2"}


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("s3://scans", "Amazon S3"),
        ("s3://scans@https://scans.s3.eu-west-1.amazonaws.com", "Amazon S3"),
        ("az://scans1/open", "Azure Blob Storage"),
        ("gs://scans", "Google Cloud Storage"),
        ("s3://scans@https://storage.googleapis.com", "Google Cloud Storage"),
        ("s3://scans@https://notamazonaws.com", ""),
        ("s3://scans@https://amazonaws.com.example", ""),
    ],
)
def test_a_provider_is_known_by_the_host_that_the_scope_names(text: str, product: str) -> None:
    knocked = PROTOCOL.encode_attempt(Completed(result=PROTOCOL.results["knocked"](status=403)))
    case = Case(endpoint=HERE, terms=terms(named(text, Depth.TALK)), attempts={"hello": knocked})
    (seen,), _ = PROTOCOL.conclude(case)
    assert seen.product.name == product


# -- TLS ----------------------------------------------------------------------------------------------------------------


def test_where_the_scope_says_https_nothing_is_said_in_clear() -> None:
    inside = named("s3://scans")
    case = Case(endpoint=HERE, terms=terms(inside), attempts={})
    hello = PROTOCOL.next_job(case, IDENTIFY)
    assert isinstance(hello, Secured)
    assert hello.endpoint.name == "scans.s3.amazonaws.com"  # SNI, and Host
    assert not hello.in_clear
    knocked = PROTOCOL.encode_attempt(Completed(result=PROTOCOL.results["knocked"](status=403)))
    shaking = PROTOCOL.next_job(replace(case, attempts={"hello": knocked}), IDENTIFY)
    assert isinstance(shaking, Handshaking)
    failed = PROTOCOL.encode_attempt(Failed(stage=Stage.TLS, reason=Reason.TIMEOUT))
    page = PROTOCOL.next_job(replace(case, attempts={"hello": knocked, "tls:handshake": failed}), IDENTIFY)
    assert isinstance(page, Secured)
    assert page.name == "list:s3://scans"


def test_a_census_in_clear_needs_the_word_of_the_bucket_and_of_the_place() -> None:
    page = PROTOCOL.results["first_page"](said="open", status=200, entries=1)
    attempts = {
        "hello": PROTOCOL.encode_attempt(Completed(result=PROTOCOL.results["knocked"](status=200))),
        "list:s3://scans": PROTOCOL.encode_attempt(Completed(result=page)),
    }
    for bucket_says, place_says in ((True, True), (True, False), (False, True)):
        each = replace(named(depth=Depth.CENSUS), census=bucket_says)
        case = Case(endpoint=HERE, terms=terms(each, census=place_says), attempts=attempts)
        job = PROTOCOL.next_job(case, IDENTIFY)
        assert job is not None
        assert job.depth is (Depth.CENSUS if bucket_says and place_says else Depth.COUNT)


# -- whatever comes -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.binary(max_size=200) | st.builds(response, st.sampled_from([200, 206, 403]), st.binary()), max_size=6)
)
def test_whatever_a_peer_answers_the_plan_ends_with_a_result(answers: list[bytes]) -> None:
    waiting = iter(answers)
    found, why = Audit(terms()).run(lambda _: (next(waiting, b""), False))
    assert bool(found) != (why is not None)


def test_a_tree_that_the_budget_cut_is_asked_again() -> None:
    store = MadeUpStore({f"{number}".encode(): MAGIC for number in range(50)})
    audit = Audit(terms(requests=10))
    audit.run(store)
    assert PROTOCOL.cut_by_budget(audit.case) == frozenset(), "by the very budget that is"
    lifted = replace(audit.case, terms=replace(audit.case.terms, answers=5_000_000))
    assert PROTOCOL.cut_by_budget(lifted) == {"tree:s3://scans", "health"}
