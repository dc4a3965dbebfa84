"""Object stores as a protocol: what the scope names is asked, bucket by bucket, and nothing else of whoever hosts it.

The verdict table is in `docs/buckets.md`. TLS is one handshake here, as every client makes it: a provider's choice of
versions and suites is no question about a bucket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from leadapron.model import (
    Access,
    Attempt,
    Completed,
    Depth,
    Endpoint,
    Failed,
    Observation,
    Product,
    Reason,
    Service,
    Stage,
    Verdict,
)
from leadapron.net.conversation import Job, Limits
from leadapron.protocols.attempts import HELLO, Attempts
from leadapron.protocols.base import BucketTerms, Case, Identify, Protocol, Terms
from leadapron.protocols.buckets.asking import AskForPage, FirstPage, Knock, Knocked, WalkThrough
from leadapron.protocols.buckets.dialect import Said
from leadapron.protocols.buckets.tree import WHY_NOT
from leadapron.protocols.files.result import Found
from leadapron.protocols.files.verdicts import observe
from leadapron.protocols.files.walk import depth_of
from leadapron.protocols.health import Answered, looked_after, told
from leadapron.protocols.tls import plan as tls
from leadapron.protocols.tls.handshake import Handshake, Handshaking
from leadapron.protocols.tls.secured import Secured
from leadapron.scope.buckets import AMAZON, AZURE_SUFFIX, GOOGLE
from leadapron.scope.grant import is_literal

NAME = "buckets"
PRODUCTS = {AMAZON: "Amazon S3", AZURE_SUFFIX: "Azure Blob Storage", GOOGLE: "Google Cloud Storage"}
"""By whose host is asked: nothing that a peer says is needed for it."""
MAX_RECEIVED = 256 << 20
"""Bytes of all answers about one bucket."""

Facts = dict[str, int | bool]


class Buckets(Protocol):
    """S3, Azure Blob Storage and Google Cloud Storage, in clear or inside TLS as the scope says."""

    name = NAME
    results: ClassVar[Mapping[str, type[Any]]] = {
        "knocked": Knocked,
        "first_page": FirstPage,
        "bucket_found": Found,
        "tls_handshake": Handshake,
        "answered": Answered,
    }

    def next_job(self, case: Case, identify: Identify) -> Job[Any] | None:
        named = list(_named(case))
        if not named:
            return None
        attempts = self.decoded(case.attempts)
        if HELLO not in attempts:
            return _inside(named[0], _knock(case, named[0], identify))
        if not isinstance(attempts[HELLO], Completed):
            return None
        if _is_tls(named) and tls.HANDSHAKE not in attempts:
            return Handshaking(name=tls.HANDSHAKE, endpoint=_at(case, named[0]), now=case.terms.now)
        jobs = (_inside(each, job) for each in named if (job := _next_about(case, each, attempts)) is not None)
        about = {name: attempt for name, attempt in attempts.items() if name != tls.HANDSHAKE}
        return looked_after(next(jobs, None), about, _inside(named[0], _knock(case, named[0], identify)))

    def conclude(self, case: Case) -> tuple[Sequence[Observation], Failed | None]:
        attempts = self.decoded(case.attempts)
        hello = attempts.get(HELLO, Failed(stage=Stage.HANDSHAKE, reason=Reason.STOPPED))
        if isinstance(hello, Failed):
            return (), hello
        named = list(_named(case))
        facts, shown = _of_tls(named, attempts)
        found = [_observe(case, each, attempts, _product(each, hello.result), facts, shown) for each in named]
        return told((found, None), attempts)


# -- what is asked -----------------------------------------------------------------------------------------------------


def _named(case: Case) -> Iterator[BucketTerms]:
    """The buckets that may be talked about, each once by what it is called, in the order of the scope."""
    seen: set[str] = set()
    for each in case.terms.buckets:
        if each.depth >= Depth.TALK and each.bucket.resource not in seen:
            seen.add(each.bucket.resource)
            yield each


def _is_tls(named: Sequence[BucketTerms]) -> bool:
    return any(each.bucket.origin.is_tls for each in named)


def _at(case: Case, each: BucketTerms) -> Endpoint:
    """The endpoint under the host of this bucket: one address may stand for several hosts."""
    host = each.bucket.origin.host
    return replace(case.endpoint, name="" if is_literal(host) else host)


def _inside(each: BucketTerms, job: Job[Any]) -> Job[Any]:
    """The scope says whether TLS is spoken there: nothing goes in clear where it is."""
    return Secured(prefix="", job=job) if each.bucket.origin.is_tls else job


def _knock(case: Case, each: BucketTerms, identify: Identify) -> Knock:
    return Knock(
        name=HELLO,
        endpoint=_at(case, each),
        bucket=each.bucket,
        depth=Depth.TALK,
        contact=case.terms.contact,
        identify=identify,
    )


def _list(each: BucketTerms) -> str:
    return f"list:{each.bucket.resource}"


def _tree(each: BucketTerms) -> str:
    return f"tree:{each.bucket.resource}"


def _next_about(case: Case, each: BucketTerms, attempts: Attempts) -> Job[Any] | None:
    if each.depth < Depth.COUNT:
        return None
    at, contact = _at(case, each), case.terms.contact
    page = attempts.get(_list(each))
    if page is None:
        return AskForPage(name=_list(each), endpoint=at, bucket=each.bucket, contact=contact)
    if not _is_open(page) or _tree(each) in attempts:
        return None
    terms = _terms(case, each)
    return WalkThrough(
        name=_tree(each),
        endpoint=at,
        bucket=each.bucket,
        depth=depth_of(terms, in_clear=True),
        contact=contact,
        limits=Limits(idle_timeout=30.0, deadline=terms.seconds, max_received=MAX_RECEIVED),
        terms=terms,
    )


def _is_open(page: Attempt[FirstPage]) -> bool:
    return isinstance(page, Completed) and page.result.said is Said.OPEN and page.result.why is None


def _terms(case: Case, each: BucketTerms) -> Terms:
    """Those of the endpoint, as far as the bucket's own grant goes."""
    is_private = each.bucket.origin.is_tls or (each.census and case.terms.census)
    return replace(case.terms, depth=each.depth, owner=each.owner, census=is_private)


# -- what it means -----------------------------------------------------------------------------------------------------


def _of_tls(named: Sequence[BucketTerms], attempts: Attempts) -> tuple[Facts, Mapping[str, int | bool | str] | None]:
    if not _is_tls(named):
        return {"clear": True}, None
    facts = tls.facts(attempts) if isinstance(attempts.get(tls.HANDSHAKE), Completed) else {}
    shown: dict[str, int | bool | str] = {name.removeprefix("tls."): value for name, value in facts.items()}
    if spki := tls.spki_sha256(attempts):
        shown["spki_sha256"] = spki
    return {"clear": False, **facts}, shown


def _product(each: BucketTerms, knocked: Knocked) -> Product:
    name = PRODUCTS.get(each.bucket.provider)
    return knocked.product if name is None else Product(name=name, confidence="source")


def _observe(
    case: Case,
    each: BucketTerms,
    attempts: Attempts,
    product: Product,
    facts: Facts,
    shown: Mapping[str, int | bool | str] | None,
) -> Observation:
    service = Service(endpoint=_at(case, each), protocol=NAME, resource=each.bucket.resource)
    page, walked = attempts.get(_list(each)), attempts.get(_tree(each))
    told = {**facts, **_told(page)}
    if isinstance(walked, Completed):
        seen = observe(walked.result, service, _terms(case, each), facts=told, product=product, tls=shown)
        return _as_the_first_page_said(seen, page)
    listed, unknowns = _listed(each, page)
    read = Verdict.NOT_ASKED
    if page is not None and _is_open(page):
        why = walked if isinstance(walked, Failed) else Failed(stage=Stage.COUNT, reason=Reason.STOPPED)
        unknowns.append(why)
        read = Verdict.UNKNOWN
    return Observation(
        service=service,
        access=Access(reach=Verdict.PROVEN, talk=Verdict.PROVEN, list=listed, read=read),
        product=product,
        owner=each.owner,
        facts=told,
        unknowns=tuple(unknowns),
        tls=shown,
    )


def _as_the_first_page_said(seen: Observation, page: Attempt[FirstPage] | None) -> Observation:
    """An entry came before the walk, even where it then came no further."""
    came = isinstance(page, Completed) and page.result.entries
    if not came or seen.access.list is not Verdict.UNKNOWN:
        return seen
    unknowns = (replace(why, stage=Stage.COUNT) if why.stage is Stage.LIST else why for why in seen.unknowns)
    access = replace(seen.access, list=Verdict.PROVEN)
    return replace(seen, access=access, unknowns=tuple(dict.fromkeys(unknowns)))


def _told(page: Attempt[FirstPage] | None) -> Facts:
    """What the store says, where it answered: `buckets.…`."""
    if not isinstance(page, Completed):
        return {}
    said = page.result.said
    return {
        "buckets.status": page.result.status,
        "buckets.absent": said is Said.ABSENT,
        "buckets.elsewhere": said is Said.ELSEWHERE,
    }


def _listed(each: BucketTerms, page: Attempt[FirstPage] | None) -> tuple[Verdict, list[Failed]]:
    if each.depth < Depth.COUNT:
        return Verdict.NOT_ASKED, []
    if page is None:
        return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=Reason.STOPPED)]
    if isinstance(page, Failed):
        return Verdict.UNKNOWN, [page]
    first = page.result
    if first.said is Said.CLOSED:
        return Verdict.REFUSED, []
    if first.said is Said.OPEN and first.entries:
        return Verdict.PROVEN, []
    why = first.why or WHY_NOT.get(first.said, Reason.EMPTY)
    return Verdict.UNKNOWN, [Failed(stage=Stage.LIST, reason=why, detail=f"status {first.status}")]


PROTOCOL = Buckets()
