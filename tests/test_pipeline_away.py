"""The sweep in processes of its own, from the side that gives the orders: what is kept, and what becomes of who dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from leadapron import pipeline_away
from leadapron.errors import RunStopped
from leadapron.model import Address, Endpoint, SweepFigures
from leadapron.net.syn import SynSettings
from leadapron.net.target import Outcome
from leadapron.pipeline_away import Books, sweep_away
from leadapron.pipeline_control import Control
from leadapron.pipeline_wire import Asked, Decided, Done, Ended, Order, Reached, Withheld
from leadapron.scope.decision import Denied
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.watch import ScopeWatch
from leadapron.store.chunk import SweepChunk
from listening import listening
from sweep_orders import FIRST, NET, PORT, by_packets, order, space_of

HITS = (f"{NET}.7", f"{NET}.200")
NETWORK = f"{NET}.0/24"


def at(place: int) -> Endpoint:
    return Endpoint(address=IPv4Address(FIRST + place), port=PORT)


class Ledger:
    """Everything that books do, in its order; what a store and a progress would have by then."""

    def __init__(self) -> None:
        self.did: list[tuple[str, object]] = []
        self.rows: dict[int, SweepChunk] = {}
        self.done, self.figures = 0, Counter[str]()
        self.fails: set[str] = set()

    def books(self, orders: Sequence[Order], **options: object) -> Books:
        return Books(
            orders,
            write=self.write,
            keep=lambda hits: self._note("keep", list(hits)),
            refused=lambda places: self._note("refused", list(places)),
            decided=self.decided,
            withheld=lambda reasons: self._note("withheld", dict(reasons)),
            told=lambda hit: self._note("told", hit),
            names=options.pop("names", {}),  # type: ignore[arg-type]
            progress=self,
            **options,  # type: ignore[arg-type]
        )

    def _note(self, what: str, about: object) -> None:
        if what in self.fails:
            raise OSError(what)
        self.did.append((what, about))

    def decided(self, start: int, stop: int, permitted: int, denied: Mapping[Denied, int]) -> None:
        self._note("decided", (start, stop, permitted, dict(denied)))

    def write(self, chunks: Sequence[SweepChunk]) -> None:
        self._note("write", [chunk.start for chunk in chunks])
        self.rows |= {chunk.start: chunk for chunk in chunks}

    def of(self, what: str) -> list[object]:
        return [about for kind, about in self.did if kind == what]

    def begin(self, phase: str, total: int, done: int) -> None: ...
    def more(self, phase: str, amount: int) -> None: ...
    def end(self, phase: str) -> None: ...

    def advance(self, phase: str, amount: int, **figures: int) -> None:
        assert phase == "discover"
        self.done += amount
        self.figures.update(figures)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def chunk(start: int, stop: int, waiting: Sequence[int] = (), **outcomes: int) -> SweepChunk:
    mask = bytes(place in waiting for place in range(stop - start)) if waiting else b""
    return SweepChunk(start=start, stop=stop, outcomes=outcomes, waiting=mask)


# -- books -------------------------------------------------------------------------------------------------------------


def test_what_is_decided_is_logged_at_once(ledger: Ledger, tmp_path: Path) -> None:
    books = ledger.books([order(tmp_path, [NETWORK])])
    books.hear(Decided(0, 64, 60, {Denied.EXCLUDED: 4}))
    assert ledger.did == [("decided", (0, 64, 60, {Denied.EXCLUDED: 4}))]


def test_what_is_withheld_after_that_is_logged_with_its_reasons(ledger: Ledger, tmp_path: Path) -> None:
    books = ledger.books([order(tmp_path, [NETWORK])])
    books.hear(Withheld({Denied.NARROWED: 4, Denied.EXPIRED: 1}))
    assert ledger.did == [("withheld", {Denied.NARROWED: 4, Denied.EXPIRED: 1})]


def test_hits_are_kept_before_their_chunk_is_done_and_told_after_both(ledger: Ledger, tmp_path: Path) -> None:
    books = ledger.books([order(tmp_path, [NETWORK])])
    books.hear(Reached([(FIRST + 1, PORT)]))
    books.hear(Done([chunk(0, 64, connected=2, refused=62)], [(FIRST + 9, PORT)], {}))
    books.hear(Reached([(FIRST + 2, PORT)]))
    assert ledger.did == []

    books.write()

    assert ledger.did == [
        ("keep", [at(1), at(2)]),
        ("refused", [at(9)]),
        ("write", [0]),
        ("told", at(1)),
        ("told", at(2)),
    ]
    books.write()
    assert len(ledger.did) == 5
    assert ledger.figures["reached"] == 2


@pytest.mark.parametrize("fails", ["keep", "refused", "write"])
def test_what_could_not_be_written_is_written_the_next_time(ledger: Ledger, tmp_path: Path, fails: str) -> None:
    """A chunk is never done while its hits are not kept."""
    books = ledger.books([order(tmp_path, [NETWORK])])
    books.hear(Reached([(FIRST + 1, PORT)]))
    books.hear(Done([chunk(0, 64, connected=1, refused=63)], [(FIRST + 9, PORT)], {}))
    ledger.fails = {fails}
    with pytest.raises(OSError, match=fails):
        books.write()
    assert (ledger.rows, ledger.of("told")) == ({}, [])

    ledger.fails = set()
    books.write()

    assert ledger.did[-4:] == [("keep", [at(1)]), ("refused", [at(9)]), ("write", [0]), ("told", at(1))]


def test_who_was_reached_before_is_kept_and_not_told_again(ledger: Ledger, tmp_path: Path) -> None:
    books = ledger.books([order(tmp_path, [NETWORK])], known={at(1)})
    books.hear(Reached([(FIRST + 1, PORT), (FIRST + 2, PORT)]))
    books.write()
    assert (ledger.of("keep"), ledger.of("told")) == ([[at(1), at(2)]], [at(2)])


def test_an_endpoint_has_the_name_that_led_to_it(ledger: Ledger, tmp_path: Path) -> None:
    names: dict[Address, str] = {IPv4Address(FIRST + 1): "pacs.hospital.example"}
    books = ledger.books([order(tmp_path, [NETWORK])], names=names)
    found = SweepChunk(start=0, stop=64, outcomes={"connected": 1, "refused": 63}, hits=[at(1)])
    books.hear(Done([found], [], {}))
    books.write()
    assert ledger.of("told") == [replace(at(1), name="pacs.hospital.example")]
    assert (ledger.done, ledger.figures["reached"]) == (64, 1)


def test_what_is_left_goes_down_by_what_is_known_whoever_began_the_chunk(ledger: Ledger, tmp_path: Path) -> None:
    begun = chunk(0, 64, waiting=range(10), refused=54)
    books = ledger.books([order(tmp_path, [NETWORK], in_part=[begun], missing=[(64, 256)])])
    assert books.left == 10 + 192

    books.hear(Done([chunk(0, 64, waiting=range(4), refused=60)], [], {}))
    assert (books.left, ledger.done) == (4 + 192, 6)
    books.hear(Done([chunk(64, 128, waiting=(1, 2), refused=62), chunk(0, 64, refused=64)], [], {}))
    assert (books.left, ledger.done) == (2 + 128, 72)
    books.hear(Done([chunk(64, 128, waiting=(2,), refused=63)], [], {}))
    books.hear(Done([chunk(128, 256, refused=128)], [], {}))
    assert (books.left, ledger.done) == (1, 201)


def test_packets_that_left_are_shown_as_the_targets_that_they_make(ledger: Ledger, tmp_path: Path) -> None:
    asking = SynSettings(packets_per_second=1000, probes=3)
    books = ledger.books([by_packets(tmp_path, [NETWORK], syn=asking)])
    for packets in (100, 100, 100, 1, 1, 1):
        books.hear(Asked(packets))
    assert (ledger.figures["asked"], ledger.done, books.left) == (101, 0, 256)


def test_why_others_were_not_asked_is_summed_over_pieces_and_processes(ledger: Ledger, tmp_path: Path) -> None:
    books = ledger.books([order(tmp_path, [NETWORK]), order(tmp_path, [NETWORK])])
    books.hear(Done([], [], {"out_of_scope": 3, "exhausted": 1}))
    books.hear(Done([], [], {"out_of_scope": 2}))
    books.hear(Ended("", SweepFigures(method="syn", lost=5, not_sent={"denied": 7, "ENOBUFS": 2})))
    assert books.not_asked == {Outcome.OUT_OF_SCOPE: 12, Outcome.EXHAUSTED: 8}
    assert ledger.figures["lost"] == 5


def test_who_does_not_come_to_an_end_leaves_a_gap_in_the_figures(ledger: Ledger, tmp_path: Path) -> None:
    books = ledger.books([order(tmp_path, [NETWORK]) for _ in range(3)])
    assert books.figures == SweepFigures(method="connect", untold=3)
    for sent in (100, 20):
        books.hear(Ended("", SweepFigures(method="connect", sent=sent, cpu=0.5, memory=sent)))
    assert books.figures == SweepFigures(method="connect", sent=120, cpu=1.0, memory=100, untold=1)
    assert ledger.books([by_packets(tmp_path, [NETWORK])]).figures == SweepFigures(method="syn", untold=1)
    assert ledger.books([]).figures == SweepFigures(method="")


# -- processes ---------------------------------------------------------------------------------------------------------


class Log:
    def write(self, event: str, **facts: object) -> None: ...


class Desk:
    """Gives orders to processes that sweep loopback. `then` is called once, when `after` targets are done."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder, self.ledger = folder, ledger
        self.then: Callable[[], object] | None = None
        self.is_held: Callable[[], bool] = lambda: False

    def sweep(self, *orders: Order, after: int = 1) -> Control:
        scope = load_scope(orders[0].scope)
        control = Control(ScopeWatch(scope.path, Gate(scope)), self.folder / "stop", Log())
        self.books = self.ledger.books(orders)

        async def work() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(sweep_away(orders, self.books, control=control, is_held=self.is_held))
                if self.then is not None:
                    group.create_task(self._act(after))

        asyncio.run(work())
        return control

    async def _act(self, after: int) -> None:
        assert self.then is not None
        for _ in range(200):
            if self.ledger.done >= after:
                self.then()
                return
            await asyncio.sleep(0.02)
        raise AssertionError("it never came so far")


@pytest.fixture
def desk(tmp_path: Path, ledger: Ledger) -> Desk:
    return Desk(tmp_path, ledger)


def sweepers() -> list[int]:
    """Our children that sweep."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in own if b"leadapron.cli.sweeper" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


SLOW: Mapping[str, object] = {"connections_per_second": 100.0, "per_network": 100.0}
needs_children = pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")


def test_two_processes_sweep_their_parts(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    whole = order(tmp_path, [NETWORK], wanted=frozenset({(FIRST + 3, PORT), (FIRST + 7, PORT)}))
    halves = [replace(whole, missing=[(0, 128)]), replace(whole, missing=[(128, 256)])]

    with listening(say_nothing, places=[(address, PORT) for address in HITS]):
        control = desk.sweep(*halves)

    assert control.why == ""
    assert (desk.books.left, desk.books.not_asked, ledger.done) == (0, Counter(), 256)
    assert {str(hit.address) for hit in ledger.of("told")} == set(HITS)  # type: ignore[attr-defined]
    assert ledger.of("refused") == [[at(3)]]
    outcomes = sum((Counter(row.outcomes) for row in ledger.rows.values()), Counter[str]())
    assert outcomes == {"connected": 2, "refused": 254}
    assert sorted(ledger.rows) == [0, 64, 128, 192]
    figures = desk.books.figures
    assert (figures.method, figures.sent, figures.untold) == ("connect", 256, 0)
    assert figures.cpu > 0 < figures.memory


def test_no_piece_is_asked_before_it_was_logged(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    ledger.fails = {"decided"}

    with pytest.raises(ExceptionGroup) as raised:
        desk.sweep(order(tmp_path, [NETWORK]))

    assert raised.group_contains(OSError, match="decided")
    assert (ledger.done, ledger.rows, desk.books.left) == (0, {}, 256)


def test_an_audit_log_that_takes_no_more_ends_the_sweep(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    turns = iter((False, False, True))

    def full(*_: object) -> None:
        if next(turns):
            raise RunStopped("the audit log cannot be written: No space left on device")

    ledger.decided = full  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as raised:
        desk.sweep(order(tmp_path, [NETWORK], **SLOW))

    assert raised.group_contains(RunStopped)
    assert ledger.done <= 128


def test_while_it_is_held_no_further_piece_is_begun(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    begun = time.monotonic()
    desk.is_held = lambda: time.monotonic() < begun + 2 or (64 <= ledger.done < 256 and time.monotonic() < begun + 3)

    desk.sweep(order(tmp_path, [NETWORK]))

    assert time.monotonic() > begun + 2
    assert (desk.books.left, ledger.done) == (0, 256)


@needs_children
def test_a_process_that_is_killed_asks_for_a_stop_of_all(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    whole = order(tmp_path, [NETWORK], **SLOW)
    desk.then = lambda: os.kill(sweepers()[0], signal.SIGKILL)

    begun = time.monotonic()
    control = desk.sweep(replace(whole, missing=[(0, 128)]), replace(whole, missing=[(128, 256)]))

    assert time.monotonic() - begun < 5
    assert control.why == "a process of the sweep ended before its time: was it killed, or out of memory?"
    assert 0 < desk.books.left < 256
    assert desk.books.left == 256 - sum(sum(row.outcomes.values()) for row in ledger.rows.values())
    assert desk.books.figures.untold == 1
    assert sweepers() == []


def test_a_stop_is_heard_and_what_was_done_is_kept(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    desk.then = (tmp_path / "stop").touch

    begun = time.monotonic()
    control = desk.sweep(order(tmp_path, [NETWORK], **SLOW))

    assert time.monotonic() - begun < 4
    assert control.why == "stopped by `leadapron stop`"
    assert desk.books.left == 256 - sum(sum(row.outcomes.values()) for row in ledger.rows.values())
    assert (desk.books.figures.untold, desk.books.not_asked) == (0, Counter())
    assert 0 < desk.books.figures.sent < 256


@needs_children
def test_a_process_that_does_not_stop_is_killed(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_away, "GRACE", 0.5)

    def suspend() -> None:
        os.kill(sweepers()[0], signal.SIGSTOP)
        (tmp_path / "stop").touch()

    desk.then = suspend
    control = desk.sweep(order(tmp_path, [NETWORK], **SLOW))

    assert control.why == "stopped by `leadapron stop`"
    assert desk.books.figures.untold == 1
    assert sweepers() == []


def test_a_scope_that_is_another_by_now_is_not_swept(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    control = desk.sweep(order(tmp_path, [NETWORK], digests=("0" * 64, "")))

    assert control.why == "the scope changed while the sweep began"
    assert (ledger.done, ledger.of("decided")) == (0, [])


def test_what_is_known_in_part_is_asked_for_the_rest_only(desk: Desk, ledger: Ledger, tmp_path: Path) -> None:
    begun = chunk(0, 64, waiting=(1, 5, 60), refused=61)

    desk.sweep(order(tmp_path, [NETWORK], in_part=[begun], missing=[]))

    assert (desk.books.figures.sent, desk.books.left) == (3, 0)
    assert ledger.rows[0].outcomes == {"refused": 64}
    assert ledger.of("decided") == [(0, 64, 3, {})]
    assert len(space_of(order(tmp_path, [NETWORK]).intervals)) == 256
