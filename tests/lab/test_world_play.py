"""Each kind of server and box of the world, asked by our own audit: what the product has to say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest
from lab_client import serving
from small_worlds import PORT, box, holding, server, world_of

from audits import OPTIONS, Place, place
from leadapron.lab.world.model import BoxKind, Kind, Server, World
from leadapron.lab.world.play import Players
from leadapron.lab.world.studies import Whose
from leadapron.model import Count, CountKind, Endpoint, Observation, Run, RunStatus

BOXES = {BoxKind.SILENT: "127.88.8.0/26", BoxKind.HANGS_UP: "127.88.9.0/26", BoxKind.ALIKE: "127.88.10.0/26"}
BAIT = holding(64, 640, origin=40, whose=Whose.HONEYPOT)
OPEN = holding(331, 4_003, origin=1)
SERVERS = [
    server("127.88.7.1", OPEN),
    server("127.88.7.2", holding(331, 4_003, origin=1, shown=187), kind=Kind.MIRROR),
    server("127.88.7.3", holding(12, 90, origin=3), kind=Kind.BARE),
    server("127.88.7.4", holding(230, 2_000, origin=4), kind=Kind.CAPS_AT_100),
    server("127.88.7.5", holding(230, 2_000, origin=5), kind=Kind.CAPS_AT_100),
    server("127.88.7.6", holding(733, 8_000, origin=6), kind=Kind.CAPS_AT_500),
    server("127.88.7.7", holding(1_419, 14_000, origin=7), kind=Kind.CAPS_AT_1000),
    server("127.88.7.8", holding(53, 601, origin=8), kind=Kind.SLOW, pause=0.3, per_second=200),
    server("127.88.7.9", holding(601, 7_000, origin=9), kind=Kind.DIES),
    server("127.88.7.10", holding(601, 7_000, origin=10), kind=Kind.FALTERS),
    server("127.88.7.11", holding(31, 300, origin=11), kind=Kind.RESETS),
    server("127.88.7.12", holding(31, 300, origin=12), kind=Kind.REJECTS),
    server("127.88.7.13", holding(31, 300, origin=13), kind=Kind.REJECTS),
    server("127.88.7.14", holding(31, 300, origin=14), kind=Kind.KNOWS_ITS_TITLE),
    server("127.88.7.15", holding(31, 300, origin=15), kind=Kind.KNOWS_ITS_CALLERS),
    server("127.88.7.16", holding(31, 300, origin=16), kind=Kind.REFUSES),
    server("127.88.7.17", holding(31, 300, origin=17), kind=Kind.ABORTS),
    server("127.88.7.18", holding(43, 300, origin=18, whose=Whose.TEST)),
    server("127.88.7.19", holding(43, 300, origin=19, whose=Whose.DEIDENTIFIED)),
    server("127.88.7.20", holding(43, 300, origin=20, whose=Whose.PUBLIC)),
    *(server(f"127.88.7.{number}", BAIT) for number in (21, 22, 23)),
]
WORLD: World = world_of(SERVERS, *(box(network, kind) for kind, network in BOXES.items()))


@dataclasses.dataclass(frozen=True)
class Audited:
    run: Run
    observations: list[Observation]
    unknowns: set[tuple[str, str, str]]
    port: int

    def at(self, number: int) -> Observation:
        (only,) = [
            seen for seen in self.observations if seen.service.endpoint.address == ip_address(f"127.88.7.{number}")
        ]
        return only

    def why(self, number: int) -> set[tuple[str, str]]:
        return {(stage, reason) for at, stage, reason in self.unknowns if at == f"127.88.7.{number}:{self.port}"}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """One audit of all of them, on loopback."""
    players = Players(WORLD)
    addresses = [str(each.address) for each in SERVERS]
    addresses += [str(address) for network in BOXES.values() for address in IPv4Network(network)]
    serves = {address: serve for address in addresses if (serve := players.at(address, PORT))}
    assert len(serves) == len(addresses)
    folder = tmp_path_factory.mktemp("audit")
    with serving(serves) as port:
        endpoints = [Endpoint(address=IPv4Address(address), port=port) for address in addresses]
        audit: Place = place(folder, endpoints, depth="census", cleartext_census=True)
        run, observations, unknowns = audit.run(OPTIONS)
        yield Audited(run, observations, unknowns, port)


def of(number: int) -> Server:
    return SERVERS[number - 1]


def expect(count: Count | None, truth: int, *, exact: bool = True) -> None:
    assert count is not None
    if exact:
        assert (count.kind, count.value) == (CountKind.EXACT, truth)
    else:
        assert count.kind is CountKind.BOUND
        assert count.low <= truth


def test_the_run_is_complete_and_finds_whom_a_stranger_can_list_and_no_others(audited: Audited) -> None:
    assert audited.run.status is RunStatus.COMPLETE, audited.run.why
    exposed = {str(seen.service.endpoint.address) for seen in audited.observations if seen.exposed}
    assert exposed == {str(each.address) for each in WORLD.exposed}


@pytest.mark.parametrize("number", [1, 2, 8, 18, 19])
def test_open_servers_are_counted_exactly(audited: Audited, number: int) -> None:
    expect(audited.at(number).counts.studies, of(number).holdings.studies)
    expect(audited.at(number).counts.images, of(number).holdings.images)
    assert audited.why(number) == set()


def test_without_study_level_numbers_images_are_an_estimate_around_the_truth(audited: Audited) -> None:
    counts, held = audited.at(3).counts, of(3).holdings
    expect(counts.studies, held.studies)
    assert counts.images is not None
    assert counts.images.kind is CountKind.ESTIMATE
    assert counts.images.high is not None
    assert counts.images.low <= held.images <= counts.images.high


@pytest.mark.parametrize("number", [4, 5, 6, 7])
def test_caps_are_seen_through_said_or_not(audited: Audited, number: int) -> None:
    """A bound, since studies without a date fall out of ranges of dates; what is missed are those alone."""
    seen, held = audited.at(number), of(number).holdings
    expect(seen.counts.studies, held.studies, exact=False)
    expect(seen.counts.images, held.images, exact=False)
    assert seen.counts.studies is not None
    assert seen.counts.studies.low > 0.9 * held.studies
    assert seen.facts["find_capped"] is True
    assert ("count", "limit") in audited.why(number)


@pytest.mark.parametrize("number", [9, 10])
def test_of_those_that_die_what_came_is_a_bound(audited: Audited, number: int) -> None:
    seen, held = audited.at(number), of(number).holdings
    expect(seen.counts.studies, held.studies, exact=False)
    assert seen.counts.studies is not None
    assert seen.counts.studies.low == held.studies // 2
    assert ("count", "reset") in audited.why(number)


def test_one_that_died_for_good_is_said_to_have_died_and_one_that_came_back_is_not(audited: Audited) -> None:
    assert audited.at(9).facts["answers_afterwards"] is False
    assert audited.at(10).facts["answers_afterwards"] is True


def test_a_reset_says_nothing_and_a_rejection_for_now_neither(audited: Audited) -> None:
    """A reset right behind the handshake may end the sweep's connection, and is then known by its sum alone."""
    resets = {"connect", "handshake"} & {stage for _, stage, reason in audited.unknowns if reason == "reset"}
    assert resets
    rejecting = {int(of(number).address) % 2: number for number in (12, 13)}
    assert audited.at(rejecting[0]).access.list.value == "unknown"
    assert audited.why(rejecting[0]) == {("handshake", "refused")}
    assert audited.at(rejecting[1]).access.list.value == "refused"


@pytest.mark.parametrize(
    ("number", "talk", "facts"),
    [
        (14, "refused", {"called_title_enforced": True}),
        (15, "refused", {"calling_title_enforced": True}),
        (16, "proven", {"called_title_enforced": False}),
        (17, "proven", {"called_title_enforced": False}),
    ],
)
def test_refusals_are_refusals(audited: Audited, number: int, talk: str, facts: dict[str, bool]) -> None:
    seen = audited.at(number)
    assert (seen.access.talk.value, seen.access.list.value) == (talk, "refused")
    assert facts.items() <= seen.facts.items()
    assert seen.counts.images is None


@pytest.mark.parametrize("number", [number for number, each in enumerate(SERVERS, 1) if each.kind.lists])
def test_whose_records_they_are_is_told(audited: Audited, number: int) -> None:
    genuineness = audited.at(number).genuineness
    assert genuineness is not None
    dead = of(number).kind in (Kind.DIES, Kind.FALTERS)
    assert genuineness.verdict == ("unknown" if dead else of(number).whose.value)


def test_copies_are_known(audited: Audited) -> None:
    assert (audited.at(1).facts["studies_elsewhere"], audited.at(2).facts["studies_elsewhere"]) == (187, 187)
    assert audited.at(21).facts["studies_elsewhere"] == 64


@pytest.mark.parametrize("kind", BoxKind)
def test_boxes_are_middleboxes_and_no_servers(audited: Audited, kind: BoxKind) -> None:
    network = IPv4Network(BOXES[kind])
    place = f"{network[0]}-{network[-1]} port {audited.port}"
    assert (place, "handshake", "middlebox") in audited.unknowns
    assert not any(seen.service.endpoint.address in network for seen in audited.observations)


def test_where_nothing_stands_nobody_plays() -> None:
    players = Players(WORLD)
    assert players.at("127.88.7.1", PORT + 1) is None
    assert players.at("127.88.7.99", PORT) is None
    assert players.at("127.88.8.64", PORT) is None
    assert players.at("1.1.1.1", PORT) is None
    assert players.at("127.88.8.63", 104) is not None
    assert players.at("127.88.7.1", PORT) is players.at("127.88.7.1", PORT)
