"""Which orders the processes of a sweep are given, and what a run keeps of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

import pytest

import leadapron.net.syn
from audits import OPTIONS, Place
from leadapron import pipeline_discover
from leadapron.errors import StoreError
from leadapron.model import Endpoint, SweepFigures
from leadapron.pipeline_away import Books
from leadapron.pipeline_run import verify_finding
from leadapron.pipeline_wire import Done, Ended, Order, Reached
from leadapron.store.chunk import SweepChunk
from scope_file import write_scope


def sweep(method: str, more: str = "") -> str:
    return f'[sweep]\nmethod = "{method}"\n{more}\n'


def scope_file(folder: Path, *, extra: str = "") -> Path:
    return write_scope(folder / "scope.toml", networks=["127.91.0.0/24"], ports=[50_104], extra=extra)


@pytest.fixture
def can(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Whether this process may send raw packets."""
    return lambda may: monkeypatch.setattr(leadapron.net.syn, "can_sweep_raw", lambda: may)


def test_one_endpoint_is_verified_by_a_connection_whatever_the_method(
    tmp_path: Path, can: Callable[[bool], None]
) -> None:
    can(False)
    scope = scope_file(tmp_path, extra=sweep("syn"))
    with pytest.raises(StoreError, match="no store at"):  # it gets as far as to look there for the finding
        verify_finding(scope, "x", url=f"sqlite:///{tmp_path}/s.db", options=OPTIONS, progress=None)  # type: ignore[arg-type]


# -- orders ------------------------------------------------------------------------------------------------------------


class Away:
    """In place of processes: notes their orders, and tells what a test says."""

    def __init__(self, *told: object) -> None:
        self.orders: Sequence[Order] = ()
        self.told = told

    async def __call__(self, orders: Sequence[Order], books: Books, **_: object) -> None:
        self.orders = orders
        for message in self.told:
            books.hear(message)  # type: ignore[arg-type]
        books.write()


def discover(place: Place, away: Away, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Endpoint], SweepFigures | None]:
    """Whom a run heard of that goes on in this place, and the figures of its sweeps until then."""
    monkeypatch.setattr(pipeline_discover, "sweep_away", away)
    told: list[Endpoint] = []
    with place.audit() as audit:
        asyncio.run(audit.discovery.run(told.append))
        return told, audit.store.run(audit.run_.id).sweep


def at(number: int) -> Endpoint:
    return Endpoint(address=IPv4Address(f"127.91.0.{number}"), port=50_104)


def test_each_process_has_its_part_of_the_space_and_of_the_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = Away()
    discover(Place(tmp_path, scope_file(tmp_path, extra=sweep("connect", "processes = 3"))), away, monkeypatch)
    assert [order.missing for order in away.orders] == [[(0, 85)], [(85, 170)], [(170, 256)]]
    assert {order.syn for order in away.orders} == {None}
    assert sum(order.connections_per_second for order in away.orders) == pytest.approx(5000)
    assert sum(order.per_network for order in away.orders) == pytest.approx(5000)
    assert len({order.cookie_key for order in away.orders}) == 3


def test_packets_are_sent_by_one_process_at_their_own_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can: Callable[[bool], None]
) -> None:
    can(True)
    more = 'processes = 3\npackets_per_second = 9000\nbits_per_second = 2e6\nprobes = 2\nsource_ports = "62000-62100"'
    away = Away()
    discover(Place(tmp_path, scope_file(tmp_path, extra=sweep("syn", more))), away, monkeypatch)
    (order,) = away.orders
    assert order.syn is not None
    assert (order.syn.packets_per_second, order.syn.bits_per_second, order.syn.probes) == (9000, 2_000_000, 2)
    assert (order.syn.source_ports, order.per_network) == (range(62_000, 62_101), 5000)
    assert order.size == 5000, "a second of what its one network lets through"


def chunk(start: int, stop: int, waiting: Sequence[int] = (), **outcomes: int) -> SweepChunk:
    mask = bytes(place in waiting for place in range(stop - start)) if waiting else b""
    return SweepChunk(start=start, stop=stop, outcomes=outcomes, waiting=mask)


def test_what_goes_on_is_what_is_missing_and_who_has_nothing_left_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, scope_file(tmp_path, extra=sweep("connect", "processes = 2")))
    part = chunk(128, 192, waiting=(1, 2), refused=62)
    first = Away(Done([chunk(0, 128, refused=128), part], [], {}), Ended("", SweepFigures(method="connect", sent=190)))
    _, figures = discover(place, first, monkeypatch)
    assert figures == SweepFigures(method="connect", sent=190, untold=1), "one of two told its figures"

    second = Away(Ended("", SweepFigures(method="connect", sent=66)))
    _, figures = discover(place, second, monkeypatch)
    (order,) = second.orders
    assert (order.in_part, order.missing) == ([part], [(192, 256)])
    assert order.connections_per_second == 5000
    assert figures == SweepFigures(method="connect", sent=256, untold=1)

    last = Away(Done([chunk(128, 192, refused=64), chunk(192, 256, refused=64)], [], {}))
    discover(place, last, monkeypatch)
    done = Away()
    assert discover(place, done, monkeypatch) == ([], SweepFigures(method="connect", sent=256, untold=2))
    assert done.orders == ()


def test_a_run_that_is_killed_has_a_gap_in_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(tmp_path, scope_file(tmp_path, extra=sweep("connect", "processes = 2")))

    async def killed(*_: object, **__: object) -> None:
        raise SystemExit

    monkeypatch.setattr(pipeline_discover, "sweep_away", killed)
    monkeypatch.setattr(pipeline_discover.Discovery, "_end", lambda _: None)
    with place.audit() as audit:
        with pytest.raises(SystemExit):
            asyncio.run(audit.discovery.run())
        assert audit.store.run(audit.run_.id).sweep == SweepFigures(method="connect", untold=2)


def test_who_was_reached_in_a_piece_that_was_not_closed_is_not_greeted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can: Callable[[bool], None]
) -> None:
    can(True)
    place = Place(tmp_path, scope_file(tmp_path, extra=sweep("syn")))
    assert discover(place, Away(Reached([(int(at(7).address), 50_104)])), monkeypatch)[0] == [at(7)]

    both = [(int(at(number).address), 50_104) for number in (7, 8)]
    told, _ = discover(place, Away(Reached(both), Done([chunk(0, 256, connected=2, refused=254)], [], {})), monkeypatch)
    assert told == [at(8)]
    with place.audit() as audit:
        assert audit.store.hits(audit.run_.id) == [at(7), at(8)]
