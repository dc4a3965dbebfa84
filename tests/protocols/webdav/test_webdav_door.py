"""What is asked over WebDAV, in which order, and what the answers mean; none of it holds a name, nothing is written."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from itertools import repeat
from typing import Any

import pytest

from leadapron.identify.match import IDENTIFY
from leadapron.model import Count, Depth, Endpoint, Failed, Observation, Owner, Reason, Stage, Verdict
from leadapron.protocols import payload
from leadapron.protocols.base import Case, Page, Terms
from leadapron.protocols.files.tree import Entry, Kind, Listed, Path
from leadapron.protocols.http.exchange import Client
from leadapron.protocols.http.web import Front
from leadapron.protocols.webdav.door import DOOR, LOOK, TREE
from leadapron.protocols.webdav.places import parse_places, places
from leadapron.protocols.webdav.tree import DavTree
from protocols.listing.streaming import Serve, endless, response, streamed

HERE = Endpoint(address=ip_address("198.18.0.1"), port=8080)
TERMS = Terms(depth=Depth.COUNT, owner=Owner(grant="g"), calling_aet="LEADAPRON", key=b"k" * 32)
FRONT = Front(status=200)
CANARY = "CANARY%5ESYNTHETIC"
HEAD = bytes(128) + b"DICM"
DAV = response(b"", 200, b"DAV: 1, 2", b"Allow: OPTIONS, GET, PROPFIND")
DAV_WRITES = response(b"", 200, b"DAV: 1", b"Allow: OPTIONS, GET", b"Allow: PROPFIND, DELETE")


def multistatus(folder: str, *names: str, status: int = 207) -> bytes:
    """Names with a slash behind are folders."""
    responses = "".join(
        f"<D:response><D:href>{folder}{name}</D:href><D:propstat><D:prop>"
        + ("<D:resourcetype><D:collection/></D:resourcetype>" if name.endswith("/") or not name else "")
        + "<D:getcontentlength>644</D:getcontentlength></D:prop></D:propstat></D:response>"
        for name in ("", *names)
    )
    return response(f'<D:multistatus xmlns:D="DAV:">{responses}</D:multistatus>'.encode(), status)


def archive(options: bytes, at: str = "/") -> Serve:
    """Two folders with canaries for names, three images and a text, below `at`; nothing elsewhere."""

    def serve(method: bytes, target: bytes) -> list[bytes]:
        assert method in (b"OPTIONS", b"PROPFIND", b"GET"), "nothing is ever written"
        if not target.startswith(at.encode()):
            return [response(b"", 404)]
        if method == b"OPTIONS":
            return [options]
        if method == b"PROPFIND":
            inner = f"{at}{CANARY}/"
            is_inner = target == inner.encode()
            names = (f"{CANARY}-1.dcm", f"{CANARY}-2.dcm") if is_inner else (f"{CANARY}/", "a.dcm", "notes.txt")
            return [multistatus(inner if is_inner else at, *names)]
        return [response(HEAD if target.endswith(b".dcm") else b"SYNTHETIC", 206)]

    return serve


def case(terms: Terms = TERMS) -> Case:
    return Case(endpoint=HERE, terms=terms, attempts={})


def drive(terms: Terms, serve: Serve, front: Front = FRONT) -> tuple[dict[str, Any], list[Observation], list[bytes]]:
    """All jobs, one after the other, each attempt stored and loaded again as a run does."""
    attempts: dict[str, Any] = {}
    targets: list[bytes] = []
    while (job := DOOR.next_job(case(terms), attempts, front, IDENTIFY)) is not None:
        assert job.name not in attempts
        attempt, asked = streamed(pickle.loads(pickle.dumps(job)).converse(), serve)
        attempts[job.name] = payload.decode(payload.encode(attempt, DOOR.results), DOOR.results)
        targets += asked
    return attempts, list(DOOR.conclude(case(terms), attempts, front)), targets


def test_an_open_root_is_walked_and_nothing_else_is_looked_for() -> None:
    attempts, (seen,), targets = drive(TERMS, archive(DAV))
    assert list(attempts) == [LOOK, f"{TREE}:/"]
    assert attempts[LOOK].result.requests == 1
    assert (seen.service.protocol, seen.service.resource) == ("webdav", "/")
    assert (seen.access.list, seen.access.read, seen.access.write) == (
        Verdict.PROVEN,
        Verdict.PROVEN,
        Verdict.NOT_ASKED,
    )
    assert seen.counts.images == Count.exact(3)
    assert (seen.facts["webdav.writes"], seen.facts["webdav.status"]) == (False, 200)
    assert targets[:2] == [b"/", b"/"]


def test_no_name_leaves_the_job() -> None:
    attempts, observed, _ = drive(TERMS, archive(DAV))
    kept = repr(attempts) + repr(observed)
    assert not [name for name in ("CANARY", "a.dcm", "notes.txt") if name in kept]


def test_who_lists_to_anyone_and_allows_to_write_offers_it() -> None:
    _, (seen,), _ = drive(TERMS, archive(DAV_WRITES, "/webdav/"))
    assert seen.service.resource == "/webdav/"
    assert (seen.access.list, seen.access.write) == (Verdict.PROVEN, Verdict.OFFERED)


def test_what_is_locked_is_refused_and_not_walked() -> None:
    locked = response(b"", 401, b"DAV: 1", b"WWW-Authenticate: Basic", b"Allow: PUT")
    attempts, observed, targets = drive(TERMS, lambda _method, target: [locked])
    (seen,) = observed
    assert list(attempts) == [LOOK]
    assert (seen.access.talk, seen.access.list, seen.access.read) == (Verdict.PROVEN, *[Verdict.REFUSED] * 2)
    assert (seen.access.write, targets) == (Verdict.NOT_ASKED, [b"/"])


def test_whose_options_are_open_and_whose_folders_are_not_refuses() -> None:
    def serve(method: bytes, _target: bytes) -> list[bytes]:
        return [DAV_WRITES if method == b"OPTIONS" else response(b"", 401)]

    _, (seen,), _ = drive(TERMS, serve)
    assert (seen.access.list, seen.access.write) == (Verdict.REFUSED, Verdict.NOT_ASKED)


@pytest.mark.parametrize(
    "answer",
    [
        response(b"", 401),
        response(b"", 404, b"DAV: 1"),
        response(b"", 405),
        response(b"<html>anything</html>"),
        response(b"", 302, b"DAV: 1", b"Location: http://other.example/"),
        response(b"", 500, b"DAV: 1"),
        b"\0\0\0",
    ],
)
def test_who_does_not_say_dav_does_not_speak_it(answer: bytes) -> None:
    attempts, observed, _ = drive(TERMS, lambda _method, _target: [answer])
    assert (list(attempts), observed) == ([LOOK], [])


def test_an_answer_to_propfind_that_is_none_is_unknown() -> None:
    def serve(method: bytes, _target: bytes) -> list[bytes]:
        return [DAV_WRITES if method == b"OPTIONS" else response(b"<html>SYNTHETIC</html>")]

    _, (seen,), _ = drive(TERMS, serve)
    assert (seen.access.list, seen.access.write) == (Verdict.UNKNOWN, Verdict.NOT_ASKED)
    assert Reason.PROTOCOL in {unknown.reason for unknown in seen.unknowns}


def test_the_folders_of_users_are_not_walked() -> None:
    path = next(place.path for place in places() if not place.walk)
    front = Front(status=200, seen=DOOR.look(Page(status=200, body=b"<title>Login - Nextcloud</title>")))
    attempts, (seen,), _ = drive(TERMS, archive(DAV, path), front)
    assert list(attempts) == [LOOK]
    assert drive(TERMS, archive(DAV, path))[1] == [], "it is asked only where the front page says so"
    assert (seen.access.talk, seen.access.list) == (Verdict.PROVEN, Verdict.NOT_ASKED)


def test_a_walk_that_was_not_made_is_unknown() -> None:
    attempts, _, _ = drive(TERMS, archive(DAV))
    (seen,) = DOOR.conclude(case(), {LOOK: attempts[LOOK]}, FRONT)
    assert seen.access.list is Verdict.UNKNOWN
    assert seen.unknowns == (Failed(stage=Stage.LIST, reason=Reason.BUDGET),)
    assert DOOR.conclude(case(), {}, FRONT) == []


def test_fewer_places_are_asked_where_fewer_are_allowed() -> None:
    attempts, _, targets = drive(replace(TERMS, queries=2), lambda _method, _target: [response(b"", 404)])
    assert len(targets) == 2
    assert attempts[LOOK].result.why == Failed(stage=Stage.LIST, reason=Reason.BUDGET)


def test_places_have_reasons() -> None:
    assert 0 < len(places()) <= 6
    for broken in (
        '[[place]]\npath = "/a/"',
        '[[place]]\npath = "a"\nwhy = "x"',
        '[[place]]\npath = "/a/"\nwhy = "x"\nwalk = 1',
        '[[place]]\npath = "/a/"\nwhy = "x"\n' * 2,
        "".join(f'[[place]]\npath = "/{number}/"\nwhy = "x"\n' for number in range(7)),
    ):
        with pytest.raises(ValueError):
            parse_places(broken)


# -- the tree ----------------------------------------------------------------------------------------------------------


def listed(serve: Serve, folder: Path = (), *, most: int = 1 << 30) -> tuple[Listed, list[Entry], list[bytes]]:
    entries: list[Entry] = []

    def take(entry: Entry) -> bool:
        entries.append(entry)
        return len(entries) < most

    found, asked = streamed(DavTree(Client(HERE), HERE, b"/webdav/").list(folder, take), serve)
    return found, entries, asked


def test_a_folder_is_asked_for_one_level_deep() -> None:
    sent: list[bytes] = []
    steps = DavTree(Client(HERE), HERE).list((b"SYNTHETIC^1",), lambda _entry: True)
    sent.append(next(steps))
    assert sent[0].startswith(b"PROPFIND /SYNTHETIC%5E1/ HTTP/1.1\r\n")
    assert b"\r\nDepth: 1\r\n" in sent[0]
    assert sent[0].endswith(b"</D:propfind>")


VIEWS = ("by-dates", "by-patients", "by-studies", "by-uids", "uploads")


def test_what_an_orthanc_shows_four_times_is_walked_once() -> None:
    whole = multistatus("/webdav/", *(f"{name}/" for name in VIEWS))
    _, entries, _ = listed(lambda _method, _target: [whole])
    assert entries == [Entry(b"by-uids", Kind.FOLDER), Entry(b"uploads", Kind.FOLDER)]


@pytest.mark.parametrize("names", [("by-patients/",), ("by-uids/", "by-dates/", "x.dcm"), VIEWS[:3], ()])
def test_of_other_folders_nothing_is_left_out(names: tuple[str, ...]) -> None:
    found, entries, _ = listed(lambda _method, _target: [multistatus("/webdav/", *names)])
    assert (found, len(entries)) == (Listed(), len(names))


@pytest.mark.parametrize("most", [1, 2, 16, 17, 18, 40])
def test_who_has_enough_stops_a_root_of_any_size(most: int) -> None:
    names = [f"IM{number}" for number in range(60)]
    found, entries, _ = listed(lambda _method, _target: [multistatus("/webdav/", *names)], most=most)
    assert (found, len(entries)) == (Listed(Reason.STOPPED), most)


def bomb(_method: bytes, _target: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 207 x\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield from repeat(b"10000\r\n" + b" " * 65536 + b"\r\n", 1 << 20)


ENTITIES = b'<!DOCTYPE x [<!ENTITY a "SYNTHETIC">]><D:multistatus xmlns:D="DAV:"><D:response/></D:multistatus>'


@pytest.mark.parametrize(
    ("serve", "why"),
    [
        (lambda _m, _t: [response(b"", 401)], Reason.AUTH),
        (lambda _m, _t: [response(b"", 404)], Reason.EMPTY),
        (lambda _m, _t: [response(b"", 507)], Reason.PROTOCOL),
        (lambda _m, _t: [multistatus("/webdav/", "a", status=200)], Reason.PROTOCOL),
        (lambda _m, _t: [response(b"", 301, b"Location: /elsewhere/")], Reason.PROTOCOL),
        (lambda _m, _t: [response(ENTITIES, 207)], Reason.PROTOCOL),
        (lambda _m, _t: [response(gzip.compress(ENTITIES), 207, b"Content-Encoding: gzip")], Reason.PROTOCOL),
        (lambda _m, _t: [response(b"", 207)], Reason.PROTOCOL),
        (lambda _m, _t: [multistatus("/webdav/", "a")[:-20]], Reason.TRUNCATED),
        (lambda _m, _t: [endless().replace(b"200", b"207") + b'<D:multistatus xmlns:D="DAV:">'], Reason.TRUNCATED),
        (bomb, Reason.LIMIT),
    ],
    ids=range(11),
)
def test_what_is_no_listing_says_why(serve: Callable[[bytes, bytes], Any], why: Reason) -> None:
    found, _, _ = listed(serve)
    assert found == Listed(why)


def test_an_endless_folder_ends_when_there_is_enough() -> None:
    def serve(_method: bytes, _target: bytes) -> Iterator[bytes]:
        yield b'HTTP/1.1 207 x\r\n\r\n<D:multistatus xmlns:D="DAV:">'
        for number in range(10**9):
            yield b"<D:response><D:href>/webdav/IM%d</D:href></D:response>" % number

    found, entries, _ = listed(serve, most=3000)
    assert (found, len(entries)) == (Listed(Reason.STOPPED), 3000)
