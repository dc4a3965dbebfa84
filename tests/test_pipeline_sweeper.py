"""The sweep's own process: what it decides, asks and tells, with a hand in place of the wire, and of the packets."""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadapron import pipeline_sweeper
from leadapron.net.syn import LATER, Closed, Piece
from leadapron.net.target import Outcome
from leadapron.pipeline_sweep import WRITE_INTERVAL
from leadapron.pipeline_sweeper import AHEAD, RawSweep, carry_out
from leadapron.pipeline_wire import Asked, Decided, Done, Ended, Message, Order, Reached, Withheld
from leadapron.scope.decision import Denied
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.store.chunk import SweepChunk
from sweep_orders import FIRST, NET, NEXT, PORT, by_packets, order, space_of

NETWORK = f"{NET}.0/23"


class Hand:
    """In place of a `Wire`: what was told, and what may be asked."""

    def __init__(self) -> None:
        self.told: list[Message] = []
        self.gone: set[int] = set()

    def tell(self, message: Message) -> None:
        self.told.append(message)

    def may_ask(self, start: int) -> bool:
        if start not in self.gone:
            return False
        self.gone.remove(start)
        return True

    def of(self, kind: type[Message]) -> list[Message]:
        return [message for message in self.told if isinstance(message, kind)]


class Clock:
    def __init__(self) -> None:
        self.shift = 0.0

    def __call__(self) -> float:
        return time.time() + self.shift


class Desk:
    """A raw sweep of an order, and who answers its pieces."""

    def __init__(self, of: Order) -> None:
        self.order, self.hand, self.clock = of, Hand(), Clock()
        self.space = space_of(of.intervals)
        self.gate = Gate(load_scope(of.scope), clock=self.clock)
        self.sweep = RawSweep(of, self.gate, self.space, self.hand)  # type: ignore[arg-type]

    def pieces(self) -> Iterator[Piece]:
        """All of them, each gone for as soon as it was decided."""
        while (piece := self.sweep.next_piece()) is not None:
            if piece is LATER:
                self.hand.gone |= {each.start for each in self.hand.of(Decided)} - self.begun  # type: ignore[union-attr]
                continue
            self.begun.add(piece.start)
            yield piece

    @property
    def begun(self) -> set[int]:
        return self.__dict__.setdefault("_begun", set())

    def narrow(self, exclude: Sequence[str]) -> None:
        text = self.order.scope.read_text()
        self.order.scope.write_text(text.replace("exclude = []", f"exclude = {list(exclude)}".replace("'", '"')))
        self.gate.narrow(load_scope(self.order.scope))


def closed(
    piece: Piece, outcomes: dict[Outcome, int], waiting: Sequence[int] = (), refused: Sequence[int] = ()
) -> Closed:
    return Closed(
        start=piece.start,
        stop=piece.stop,
        outcomes=outcomes,
        refused=np.array(refused, dtype=np.uint32),
        waiting=np.array(waiting, dtype=np.uint32),
    )


def places(chunk: SweepChunk) -> list[int]:
    """That are still to be asked."""
    return [place for place, waits in enumerate(chunk.waiting) if waits]


# -- pieces of packets -------------------------------------------------------------------------------------------------


def test_a_piece_is_decided_told_and_asked_only_once_it_may_be(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK], size=100))

    assert desk.sweep.next_piece() is LATER
    assert desk.hand.told == [Decided(0, 100, 100, {}), Decided(100, 200, 100, {})]
    assert desk.sweep.next_piece() is LATER
    assert len(desk.hand.told) == AHEAD

    desk.hand.gone = {100}
    assert desk.sweep.next_piece() is LATER, "pieces are asked in their order"
    desk.hand.gone |= {0}
    first = desk.sweep.next_piece()
    assert isinstance(first, Piece)
    assert (first.start, first.stop, len(first.places)) == (0, 100, 100)
    batch = desk.space.batch(0, 100)
    assert (first.addresses.tolist(), first.ports.tolist()) == (batch.addresses4.tolist(), batch.ports4.tolist())
    assert desk.sweep.next_piece().start == 100  # type: ignore[union-attr]


def test_pieces_cover_the_space_once_and_end(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK], size=100))
    spans = [(piece.start, piece.stop) for piece in desk.pieces()]
    assert spans == [(0, 100), (100, 200), (200, 300), (300, 400), (400, 500), (500, 512)]
    assert desk.sweep.next_piece() is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    networks=st.lists(st.sampled_from([f"127.91.{number}.0/{24 + number % 7}" for number in range(40)]), min_size=1),
    size=st.integers(1, 700),
)
def test_no_piece_reaches_beyond_a_stretch_and_each_has_the_rate_of_its_networks(
    tmp_path: Path, networks: list[str], size: int
) -> None:
    desk = Desk(by_packets(tmp_path, sorted(set(networks)), size=size, per_network=10.0))
    position = 0
    for piece in desk.pieces():
        end, visited = desk.space.stretch(piece.start)
        assert piece.start == position < piece.stop <= min(end, piece.start + size)
        assert piece.rate == 10.0 * visited
        assert len(set((piece.addresses >> 8).tolist())) <= visited
        position = piece.stop
    assert position == len(desk.space)


def test_of_what_is_known_in_part_only_those_that_wait_are_asked(tmp_path: Path) -> None:
    mask = bytes(place in (3, 4, 99) for place in range(100))
    begun = SweepChunk(start=100, stop=200, outcomes={"refused": 90, "connected": 7}, waiting=mask)
    desk = Desk(by_packets(tmp_path, [NETWORK], size=100, in_part=[begun], missing=[(400, 450)]))

    first, second = desk.pieces()

    assert (first.start, first.stop, first.places.tolist()) == (100, 200, [3, 4, 99])
    batch = desk.space.batch(100, 100)
    assert first.addresses.tolist() == batch.addresses4[[3, 4, 99]].tolist()
    assert (second.start, second.stop, len(second.places)) == (400, 450, 50)

    desk.sweep.closed(closed(first, {Outcome.CONNECTED: 1, Outcome.TIMEOUT: 1}, waiting=[99]))
    (done,) = desk.hand.of(Done)
    (chunk,) = done.chunks  # type: ignore[union-attr]
    assert (chunk.start, chunk.stop, places(chunk)) == (100, 200, [99])
    assert chunk.outcomes == {"refused": 90, "connected": 8, "timeout": 1}


def test_what_the_gate_denies_waits_and_is_told_with_its_reason(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK], size=512))
    desk.narrow([f"{NET}.0/24"])

    (piece,) = desk.pieces()

    assert desk.hand.told == [Decided(0, 512, 256, {Denied.NARROWED: 256})]
    assert set((piece.addresses >> 8).tolist()) == {(FIRST >> 8) + 1}
    asked = piece.places.tolist()
    desk.sweep.closed(closed(piece, {Outcome.REFUSED: 255}, waiting=asked[:1], refused=asked[1:]))
    (done,) = desk.hand.of(Done)
    assert places(done.chunks[0]) == sorted({*range(512)} - set(asked[1:]))  # type: ignore[union-attr]
    assert done.not_asked == {"out_of_scope": 256}  # type: ignore[union-attr]


def test_a_piece_of_which_nothing_may_be_asked_is_closed_like_any_other(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK], size=512))
    desk.narrow([NETWORK])
    (piece,) = desk.pieces()
    assert len(piece.places) == 0
    desk.sweep.closed(closed(piece, {}))
    (done,) = desk.hand.of(Done)
    assert places(done.chunks[0]) == [*range(512)]  # type: ignore[union-attr]
    assert done.chunks[0].outcomes == {}  # type: ignore[union-attr]


ALL: npt.NDArray[np.uint32] = np.arange(FIRST, FIRST + 512, dtype=np.uint32)


def permitted(desk: Desk) -> int:
    return int(desk.sweep.permits(ALL, np.full(512, PORT, dtype=np.uint16)).sum())


def test_the_gate_is_asked_again_for_each_batch_and_why_it_denies_is_told(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK], size=512))
    (piece,) = desk.pieces()
    assert permitted(desk) == 512
    desk.narrow([f"{NEXT}.0/24"])
    assert permitted(desk) == 256
    desk.clock.shift = 72 * 3600  # the grant has expired by then
    assert permitted(desk) == 0
    desk.sweep.closed(closed(piece, {}))
    told = [Counter(withheld.reasons) for withheld in desk.hand.of(Withheld)]  # type: ignore[union-attr]
    assert sum(told, Counter()) == {Denied.NARROWED: 256, Denied.EXPIRED: 512}


def test_how_many_packets_leave_is_told_now_and_then_and_before_a_piece_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(pipeline_sweeper.time, "monotonic", lambda: now[0])
    desk = Desk(by_packets(tmp_path, [NETWORK], size=512))
    (piece,) = desk.pieces()
    for _ in range(3):
        now[0] += WRITE_INTERVAL / 2
        permitted(desk)
    assert desk.hand.of(Asked) == [Asked(512), Asked(1024)]
    permitted(desk)
    desk.narrow([NETWORK])
    permitted(desk)
    desk.sweep.closed(closed(piece, {Outcome.TIMEOUT: 512}))
    assert desk.hand.told[-2:] == [Asked(512), *desk.hand.of(Done)]


def test_where_a_zone_gains_a_gap_nothing_more_is_sent(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK], size=512))
    path = desk.order.scope
    path.write_text(path.read_text() + f'[[zone]]\nname = "z"\nnetworks = ["{NEXT}.0/24"]\ngap_seconds = 2\n')
    desk.gate.narrow(load_scope(path))
    (piece,) = desk.pieces()
    assert permitted(desk) == 0
    desk.sweep.closed(closed(piece, {}))
    assert desk.hand.of(Withheld) == [Withheld({Denied.NARROWED: 512})]


def test_hits_are_told_as_they_come(tmp_path: Path) -> None:
    desk = Desk(by_packets(tmp_path, [NETWORK]))
    desk.sweep.answered(0, [(3, FIRST + 8, PORT), (4, FIRST + 9, PORT)])
    assert desk.hand.told == [Reached([(FIRST + 8, PORT), (FIRST + 9, PORT)])]


def test_of_those_who_refuse_the_wanted_are_told(tmp_path: Path) -> None:
    wanted = frozenset({(FIRST + 5, PORT), (FIRST + 6, PORT), (FIRST + 7, 11112)})
    desk = Desk(by_packets(tmp_path, [NETWORK], size=512, wanted=wanted))
    (piece,) = desk.pieces()
    where = {int(address): int(place) for address, place in zip(piece.addresses, piece.places, strict=True)}
    refused = [where[FIRST + 5], where[FIRST + 7], where[FIRST + 8]]
    desk.sweep.closed(closed(piece, {Outcome.REFUSED: 3}, refused=refused))
    (done,) = desk.hand.of(Done)
    assert done.refused == [(FIRST + 5, PORT)]  # type: ignore[union-attr]


# -- by connections ----------------------------------------------------------------------------------------------------


class Giver(Hand):
    """Lets each piece be asked as soon as it is decided, but for those of `never`. `stop_at`: over once it is decided."""

    class _Over:
        def __init__(self) -> None:
            self.set = False

        def is_set(self) -> bool:
            return self.set

    def __init__(self, never: Sequence[int] = (), over_after: float = 0.0) -> None:
        super().__init__()
        self.never, self.is_over = never, self._Over()
        self.over_after, self.over_at = over_after, 0.0

    def tell(self, message: Message) -> None:
        super().tell(message)
        if isinstance(message, Decided) and message.start not in self.never:
            self.gone.add(message.start)

    def may_ask(self, start: int) -> bool:
        if start in self.never:
            self.over_at = self.over_at or time.monotonic() + self.over_after
            self.is_over.set = time.monotonic() > self.over_at
        return super().may_ask(start)


def carried_out(of: Order, giver: Giver) -> tuple[Ended, Counter[str], list[SweepChunk]]:
    ended = carry_out(of, giver)  # type: ignore[arg-type]
    chunks = [chunk for done in giver.of(Done) for chunk in done.chunks]  # type: ignore[union-attr]
    last = {chunk.start: chunk for chunk in chunks}
    outcomes = sum((Counter(chunk.outcomes) for chunk in last.values()), Counter[str]())
    return ended, outcomes, list(last.values())


def test_connections_are_made_in_pieces_that_may_be_asked(tmp_path: Path) -> None:
    with socket.create_server((f"{NET}.9", PORT)):
        ended, outcomes, chunks = carried_out(order(tmp_path, [f"{NET}.0/24"]), giver := Giver())
    assert (ended.why, ended.figures.method, ended.figures.sent) == ("", "connect", 256)
    assert outcomes == {"connected": 1, "refused": 255}
    assert [decided.start for decided in giver.of(Decided)] == [0, 64, 128, 192]  # type: ignore[union-attr]
    assert not any(any(chunk.waiting) for chunk in chunks)


def test_while_a_piece_may_not_be_asked_the_others_come_to_their_end_and_are_told(tmp_path: Path) -> None:
    ended, outcomes, chunks = carried_out(order(tmp_path, [f"{NET}.0/24"]), giver := Giver([64], over_after=1.0))
    assert (ended.why, outcomes) == ("", {"refused": 64})
    assert [(chunk.start, any(chunk.waiting)) for chunk in chunks] == [(0, False)]
    assert len(giver.of(Decided)) == 1 + AHEAD
    assert ended.figures.sent == 64


def test_while_it_waits_it_keeps_an_eye_on_the_scope(tmp_path: Path) -> None:
    of = order(tmp_path, [f"{NET}.0/24"])
    giver = Giver([64], over_after=20.0)
    tell = giver.tell

    def told(message: Message) -> None:
        tell(message)
        if isinstance(message, Done):
            of.stop_file.touch()

    giver.tell = told  # type: ignore[method-assign]
    begun = time.monotonic()
    ended, _, _ = carried_out(of, giver)
    assert time.monotonic() - begun < 5
    assert ended.why == "stopped by `leadapron stop`"
    assert ended.figures.sent == 64


def test_what_is_excluded_once_it_was_decided_is_withheld_and_told(tmp_path: Path) -> None:
    of = order(tmp_path, [f"{NET}.0/24"], connections_per_second=200.0, per_network=200.0)
    giver = Giver()
    tell = giver.tell

    def told(message: Message) -> None:
        tell(message)
        if isinstance(message, Done) and "exclude = []" in (text := of.scope.read_text()):
            of.scope.write_text(text.replace("exclude = []", f'exclude = ["{NET}.0/24"]'))

    giver.tell = told  # type: ignore[method-assign]
    ended, outcomes, _ = carried_out(of, giver)

    assert 0 < ended.figures.sent == outcomes["refused"] < 256
    reasons = sum((Counter(each.reasons) for each in giver.of(Withheld)), Counter[Denied]())  # type: ignore[union-attr]
    assert set(reasons) == {Denied.NARROWED}
    not_asked = sum((Counter(done.not_asked) for done in giver.of(Done)), Counter[str]())  # type: ignore[union-attr]
    assert not_asked == {"out_of_scope": 256 - ended.figures.sent}
    decided = sum(sum(each.denied.values()) for each in giver.of(Decided))  # type: ignore[union-attr]
    assert reasons.total() + decided == 256 - ended.figures.sent


def test_what_refuses_and_is_wanted_is_told_with_its_chunk(tmp_path: Path) -> None:
    of = order(tmp_path, [f"{NET}.0/24"], wanted=frozenset({(FIRST + 5, PORT), (FIRST + 9, PORT)}))
    with socket.create_server((f"{NET}.9", PORT)):
        _, outcomes, _ = carried_out(of, giver := Giver())
    assert outcomes["refused"] == 255
    assert [place for done in giver.of(Done) for place in done.refused] == [(FIRST + 5, PORT)]  # type: ignore[union-attr]


def test_chunks_of_which_nothing_may_be_asked_hold_up_nothing(tmp_path: Path) -> None:
    of = order(tmp_path, [f"{NET}.0/24"])
    text = of.scope.read_text().replace("exclude = []", f'exclude = ["{NET}.0/25", "{NET}.128/26"]')
    of.scope.write_text(text)
    of = replace(of, digests=load_scope(of.scope).digests, size=1)
    ended, outcomes, _ = carried_out(of, giver := Giver())
    assert (ended.why, outcomes, ended.figures.sent) == ("", {"refused": 64}, 64)
    not_asked = sum((Counter(done.not_asked) for done in giver.of(Done)), Counter[str]())  # type: ignore[union-attr]
    assert not_asked == {"out_of_scope": 192}
