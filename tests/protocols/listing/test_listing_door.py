"""What is asked of listings, in which order, and what the answers mean; none of it holds a name."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from leadapron.identify.match import IDENTIFY
from leadapron.model import Completed, Count, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.net.conversation import Conversation, Lost
from leadapron.protocols import payload
from leadapron.protocols.base import Case, Page, Terms
from leadapron.protocols.http.web import Front
from leadapron.protocols.listing.door import DOOR, FORMAT, LOOK, TREE
from leadapron.protocols.listing.folders import folders, parse_folders
from leadapron.protocols.listing.formats import Format
from protocols.listing.streaming import Serve, response, streamed
from protocols.listing.test_listing_tree import page

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080)
OWNER = Owner(grant="g")
TERMS = Terms(
    depth=Depth.COUNT, owner=OWNER, calling_aet="LEADAPRON", contact="security@hospital.example", key=b"k" * 32
)
CANARY = "CANARY^SYNTHETIC"
DICOM = bytes(128) + b"DICM" + bytes(600)
LISTED = Front(status=200, seen={FORMAT: int(Format.NGINX)})
PLAIN = Front(status=200)


def case(terms: Terms = TERMS) -> Case:
    return Case(endpoint=HERE, terms=terms, attempts={})


def archive(_method: bytes, target: bytes) -> list[bytes]:
    """Two folders with canaries for names, three images and a text."""
    pages = {
        b"/": page(f"{CANARY}/", "notes.txt", "a.dcm"),
        f"/{CANARY.replace('^', '%5E')}/".encode(): page(f"{CANARY}-1.dcm", f"{CANARY}-2.dcm"),
    }
    if target in pages:
        return [response(pages[target])]
    return [response(DICOM[:132] if target.endswith(b".dcm") else b"SYNTHETIC text", 206)]


def drive(terms: Terms, front: Front, serve: Serve) -> tuple[dict[str, Any], list[Observation], list[bytes]]:
    """All jobs, one after the other, each attempt stored and loaded again as a run does."""
    attempts: dict[str, Any] = {}
    targets: list[bytes] = []
    while (job := DOOR.next_job(case(terms), attempts, front, IDENTIFY)) is not None:
        assert job.name not in attempts
        attempt, asked = streamed(pickle.loads(pickle.dumps(job)).converse(), serve)
        attempts[job.name] = payload.decode(payload.encode(attempt, DOOR.results), DOOR.results)
        targets += asked
    return attempts, list(DOOR.conclude(case(terms), attempts, front)), targets


def test_a_front_page_that_is_a_listing_is_walked_at_once() -> None:
    attempts, (seen,), targets = drive(TERMS, LISTED, archive)
    assert list(attempts) == [f"{TREE}:/"]
    assert (seen.service.protocol, seen.service.resource) == ("listing", "/")
    assert (seen.access.list, seen.access.read, seen.access.write) == (
        Verdict.PROVEN,
        Verdict.PROVEN,
        Verdict.NOT_ASKED,
    )
    assert seen.counts.images == Count.exact(3)
    assert seen.facts[FORMAT] == Format.NGINX
    assert targets[0] == b"/"


def test_no_name_leaves_the_job() -> None:
    attempts, observed, _ = drive(TERMS, LISTED, archive)
    kept = repr(attempts) + repr(observed)
    assert "CANARY" not in kept
    assert "notes.txt" not in kept
    assert "a.dcm" not in kept


def test_below_another_front_page_a_few_folders_are_looked_for() -> None:
    def serve(method: bytes, target: bytes) -> list[bytes]:
        if target.startswith(b"/backup/"):
            return archive(method, target.removeprefix(b"/backup"))
        return [response(b"<html><title>SYNTHETIC practice</title></html>", 200 if target == b"/data/" else 404)]

    attempts, (seen,), targets = drive(TERMS, PLAIN, serve)
    assert list(attempts) == [LOOK, f"{TREE}:/backup/"]
    assert targets[: len(folders())] == [path.encode() for path in folders()]
    assert seen.service.resource == "/backup/"
    assert seen.counts.images == Count.exact(3)


def test_a_page_for_everything_is_no_listing() -> None:
    def serve(_method: bytes, _target: bytes) -> list[bytes]:
        return [response(b"<html><title>App</title><div id=app></div><a href='next/'>next</a></html>")]

    attempts, observed, targets = drive(TERMS, replace(PLAIN, answers_anything=True), serve)
    assert (list(attempts), observed, len(targets)) == ([LOOK], [], len(folders()))


def test_a_listing_for_everything_is_no_endless_tree() -> None:
    """Whatever is asked for, the same page comes."""
    _, (seen,), targets = drive(TERMS, LISTED, lambda _method, _target: [response(page("a/", "b/", "c.txt"))])
    assert len(targets) < 40
    assert seen.facts["files.loops"] == 2
    assert seen.facts["files.files"] == 1


def test_a_listing_that_is_new_in_every_folder_ends_with_the_budget() -> None:
    numbers = iter(range(10**9))

    def serve(_method: bytes, _target: bytes) -> list[bytes]:
        return [response(page(f"{next(numbers)}/", f"{next(numbers)}/", f"{next(numbers)}.txt"))]

    _, (seen,), targets = drive(replace(TERMS, answers=300, requests=200), LISTED, serve)
    assert len(targets) <= 200
    assert Failed(stage=Stage.COUNT, reason=Reason.BUDGET) in seen.unknowns


def test_fewer_questions_are_asked_where_fewer_are_allowed() -> None:
    attempts, _, targets = drive(replace(TERMS, queries=3), PLAIN, lambda _method, _target: [response(b"", 404)])
    assert len(targets) == 3
    assert attempts[LOOK].result.why == Failed(stage=Stage.LIST, reason=Reason.BUDGET)


@pytest.mark.parametrize(("status", "looks"), [(200, True), (404, True), (403, True), (401, False), (407, False)])
def test_behind_a_lock_nothing_is_looked_for(status: int, looks: bool) -> None:
    job = DOOR.next_job(case(), {}, Front(status=status), IDENTIFY)
    assert (job is not None) == looks


def test_a_root_that_is_locked_meanwhile_is_refused() -> None:
    _, (seen,), _ = drive(TERMS, LISTED, lambda _method, _target: [response(b"", 401)])
    assert seen.access.list is Verdict.REFUSED


def test_a_walk_that_was_not_made_is_unknown() -> None:
    (seen,) = DOOR.conclude(case(), {}, LISTED)
    assert (seen.access.list, seen.access.read) == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert seen.unknowns == (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
    (talked,) = DOOR.conclude(case(replace(TERMS, depth=Depth.TALK)), {}, LISTED)
    assert (talked.access.talk, talked.access.list) == (Verdict.PROVEN, Verdict.NOT_ASKED)


def test_what_was_counted_before_the_connection_ended_is_kept() -> None:
    job = DOOR.next_job(case(), {}, LISTED, IDENTIFY)
    assert job is not None
    steps: Conversation[Any] = job.converse()
    next(steps)
    steps.send(response(page("a/", "b.txt")))
    with pytest.raises(StopIteration) as stopped:
        steps.throw(Lost(Reason.TIMEOUT))
    attempt = stopped.value.value
    assert isinstance(attempt, Completed)
    (seen,) = DOOR.conclude(case(), {job.name: attempt}, LISTED)
    assert seen.access.list is Verdict.PROVEN
    assert seen.facts["files.files"] == 1
    assert Reason.TIMEOUT in {unknown.reason for unknown in seen.unknowns}


@pytest.mark.parametrize(
    ("depth", "census", "needs"),
    [
        (Depth.COUNT, False, Depth.COUNT),
        (Depth.CENSUS, False, Depth.COUNT),
        (Depth.CENSUS, True, Depth.CENSUS),
        (Depth.COUNT, True, Depth.COUNT),
    ],
)
def test_a_job_is_as_deep_as_what_it_does(depth: Depth, census: bool, needs: Depth) -> None:
    job = DOOR.next_job(case(replace(TERMS, depth=depth, census=census)), {}, LISTED, IDENTIFY)
    assert job is not None
    assert job.depth is needs


def test_the_front_page_says_what_it_is() -> None:
    assert DOOR.look(Page(status=200, body=page("a"))) == {FORMAT: int(Format.NGINX)}
    assert DOOR.look(Page(status=403, body=page("a"))) == {}
    assert DOOR.look(Page(status=200, body=b"\xff" * 99)) == {}


def test_folders_have_reasons() -> None:
    assert 0 < len(folders()) <= 12
    for broken in (
        '[[folder]]\npath = "/a/"',
        '[[folder]]\npath = "a"\nwhy = "x"',
        '[[folder]]\npath = "/../"\nwhy = "x"' * 2,
        '[[folder]]\npath = "/a/"\nwhy = "x"\n' * 2,
        "".join(f'[[folder]]\npath = "/{number}/"\nwhy = "x"\n' for number in range(12)),
    ):
        with pytest.raises(ValueError):
            parse_folders(broken)


def endless_rows(_method: bytes, target: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 x\r\n\r\n" + page().split(b"</pre>")[0]
    for number in range(10**9):
        yield b'<a href="IM%d.dcm">x</a>        13-Sep-2020 12:26       644\n' % number


def test_an_endless_listing_ends_with_the_budget() -> None:
    def serve(method: bytes, target: bytes) -> Any:
        return endless_rows(method, target) if target == b"/" else [response(DICOM[:132], 206)]

    _, (seen,), targets = drive(replace(TERMS, answers=2000, requests=100), LISTED, serve)
    assert seen.facts["files.files"] <= 2001
    assert seen.access.list is Verdict.PROVEN
    assert seen.counts.images is not None
    assert seen.counts.images.kind != "exact"
    assert len(targets) <= 103


def test_results_are_named_once() -> None:
    results: Mapping[str, type[Any]] = DOOR.results
    assert len(set(results.values())) == len(results)
