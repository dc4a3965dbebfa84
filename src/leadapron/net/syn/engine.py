"""The stateless SYN sweep: asks without a connection, hears without a socket a target, and remembers a byte for each.

A packet is sent and forgotten; an answer says itself what it answers (`cookie`), its place is computed (`index_of`), and its
piece notes it. Why it is fast, and what becomes of answers that this machine drops, is in `docs/adr/0012-syn-sweep.md`.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import count

from leadapron.net.syn.answers import ACCEPTED, REFUSED, UNREACHABLE
from leadapron.net.syn.asking import Asker
from leadapron.net.syn.bucket import TokenBucket
from leadapron.net.syn.cookie import CookieJar
from leadapron.net.syn.flight import Flight, InFlight, Part
from leadapron.net.syn.hearing import Hearer
from leadapron.net.syn.packets import SIZE, SynBatch
from leadapron.net.syn.piece import LATER, IndexOf, NextPiece, Permits, Sink, SynSettings, SynStats
from leadapron.net.syn.ring import Ring
from leadapron.net.syn.sender import MOST, Sender
from leadapron.net.syn.source import Sources, check_ports

MOST_TARGETS = 1 << 24
"""In flight at once, at 12 bytes each; a rate and a cool-down that need more get a lower rate."""
PROBE_GAP = 1.0
"""Seconds between two questions to a silent target, if the cool-down is no shorter: the first retransmission timeout of
TCP (RFC 6298 2.1)."""
REPEATS = 2
"""Rounds on top, at half the rate, for targets whose answers may have been lost in this machine."""
STOP_WAIT = 2.0
"""Seconds at most that answers are still heard after a stop."""
QUANTUM = 0.002
"""Seconds of pace that make a batch, where the pace is low."""
TICK = 0.1
"""Seconds; the longest sleep, so that a stop is noticed."""
SHORT_TICK = 0.02
"""Seconds between two looks whether there is another piece, or sending may go on."""
HEAR_GAP = 0.01
"""Seconds of sending between two looks at the answers: two thousand of them cost little more than one."""
THREADED_RATE = 100_000
"""Packets a second from which threads send, a batch each."""
SENDERS = 2
"""On as many processors, or none: one thread that sends for one that thinks is slower than one that does both."""
RING_SECONDS = 0.25
"""How long the ring takes answers that nobody reads, if every packet has one."""
LEAST_FRAMES, MOST_FRAMES = 1 << 12, 1 << 15
"""A larger ring does not stay in the processor's cache, and costs 2 % of the rate where every port refuses."""


class SynEngine:
    """Asks pieces of targets. IPv4 on Linux, with CAP_NET_RAW (`can_sweep_raw`).

    `key`: 16 random bytes, new for each run. Raises InputError where the source ports are not free for it, ValueError for a
    key of another size.
    """

    def __init__(
        self,
        settings: SynSettings,
        *,
        key: bytes,
        index_of: IndexOf,
        permits: Permits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_ports(settings.source_ports)
        self.settings, self.jar = settings, CookieJar(key, settings.source_ports)
        self.index_of, self.permits, self.clock = index_of, permits, clock

    @property
    def rate(self) -> float:
        """Packets a second: all packets have one size, so both rates are one."""
        settings = self.settings
        if settings.bits_per_second is None:
            return settings.packets_per_second
        return min(settings.packets_per_second, settings.bits_per_second / (8 * SIZE))

    def run(
        self,
        next_piece: NextPiece,
        sink: Sink,
        *,
        should_stop: Callable[[], bool] = lambda: False,
        may_send: Callable[[], bool] = lambda: True,
    ) -> SynStats:
        """Ask every piece. Blocks until all are closed.

        `next_piece` is asked when the pieces before have been sent. While `may_send` is False, nothing is sent and answers
        are heard. After `should_stop`, which is asked before each batch, nothing is sent any more, and answers are heard
        for the cool-down, `STOP_WAIT` at most. What any of the callables raises ends the run, and pieces that were not
        closed are not reported. Raises OSError where there are no raw sockets.
        """
        is_threaded = self.rate >= THREADED_RATE and len(os.sched_getaffinity(0)) >= SENDERS
        threads = SENDERS if is_threaded else 0
        with contextlib.ExitStack() as stack:
            ring = Ring(self.settings.source_ports, _frames(self.rate))
            stack.callback(ring.close)
            senders = [Sender(SynBatch(MOST)) for _ in range(threads + 1)]
            for sender in senders:
                stack.callback(sender.close)
            pool = stack.enter_context(ThreadPoolExecutor(threads)) if threads else None
            sweep = _Sweep(self, ring, senders, pool, next_piece, sink, should_stop)
            stack.callback(sweep.halt)  # before the pool is waited for
            sweep.run(may_send)
            return sweep.stats()


def _frames(rate: float) -> int:
    wanted = 1 << int(rate * RING_SECONDS).bit_length()
    return min(max(wanted, LEAST_FRAMES), MOST_FRAMES)


class _Sweep:
    """One run of the engine."""

    def __init__(
        self,
        engine: SynEngine,
        ring: Ring,
        senders: Sequence[Sender],
        pool: Executor | None,
        next_piece: NextPiece,
        sink: Sink,
        should_stop: Callable[[], bool],
    ) -> None:
        self._settings, self._clock = engine.settings, engine.clock
        self._ring, self._sink, self._next_piece, self._should_stop = ring, sink, next_piece, should_stop
        sources = Sources(engine.settings.source)
        self._halted = False
        self._flights = InFlight()
        is_stopped = self._is_stopped if pool is None else self._is_halted  # what the user gave is asked in this thread
        self._asker = Asker(senders, pool, engine.jar, sources, engine.permits, is_stopped)
        self._hearer = Hearer(self._flights, engine.jar, sources, engine.index_of, sink)
        self._rate, self._bucket = engine.rate, TokenBucket(engine.rate, engine.clock)
        self._asking: deque[Flight] = deque()
        """whose round is not over"""
        self._waiting: list[tuple[float, int, Flight]] = []
        """a heap: when due, and a number that keeps flights from being compared"""
        self._numbers = count()
        self._is_dry = False
        self._look_at = self._hear_at = 0.0
        """when to ask for a piece, and when to hear, again"""
        self._repeating = 0
        self._begun = self._clock()
        self._first_sent = self._last_sent = 0.0
        self._answered = self._dropped = self._lost = 0
        self._receiving = 0.0

    def run(self, may_send: Callable[[], bool]) -> None:
        while not self._is_stopped():
            if self._clock() >= self._hear_at:
                self._look()
            is_free = may_send()
            if is_free and self._bucket.available() >= self._quantum:
                self._settle(HEAR_GAP if self._asker.is_full else 0.0)
                if self._asker.is_full or self._ask():
                    continue
            self._settle(0.0)
            if self._is_dry and not self._flights:
                return
            self._rest(is_free)
            self._hear_at = 0.0
        self._stop()

    @property
    def _quantum(self) -> int:
        """Packets that make a batch."""
        return min(max(1, int(self._bucket.rate * QUANTUM)), MOST)

    def halt(self) -> None:
        """No packet more."""
        self._halted = True

    def _is_halted(self) -> bool:
        return self._halted

    def _is_stopped(self) -> bool:
        self._halted = self._halted or self._should_stop()
        return self._halted

    def _look(self) -> None:
        """Hear, and go on with what is due."""
        polled = self._clock()
        self._hear()
        while self._waiting and self._waiting[0][0] <= polled:
            self._next_round(heapq.heappop(self._waiting)[2])
        self._hear_at = polled + HEAR_GAP

    def _stop(self) -> None:
        self._settle_all()
        until = self._clock() + min(self._settings.cooldown, STOP_WAIT)
        while any(flight.has_begun for flight in self._flights) and (left := until - self._clock()) > 0:
            self._ring.wait(min(left, TICK))
            self._hear()
        for flight in list(self._flights):
            self._close(flight, is_final=False)

    def _rest(self, is_free: bool) -> None:
        """Sleep until there is something to do."""
        now, delay = self._clock(), TICK if is_free else SHORT_TICK
        if is_free and self._asking:
            delay = min(delay, self._bucket.delay(self._quantum))
        elif is_free and self._has_room():
            delay = min(delay, max(self._bucket.delay(self._quantum), self._look_at - now))
        if self._waiting:
            delay = min(delay, self._waiting[0][0] - now)
        if not self._asker.is_idle:
            delay = min(delay, 0.001)
        if delay >= 0.001:
            self._ring.wait(delay)
        elif delay > 0:
            time.sleep(delay)

    # -- asking --------------------------------------------------------------------------------------------------------

    def _ask(self) -> bool:
        """Send one batch. Returns whether there was any target to ask."""
        if self._asking or self._fetch():
            self._bucket.change(self._rate_of(self._asking[0]))
        parts, ended = list(self._parts(min(self._bucket.available(), MOST))), []
        while self._asking and self._asking[0].is_asked:
            ended.append(self._asking.popleft())
        if parts:
            self._first_sent = self._first_sent or self._clock()
            self._bucket.spend(self._asker.ask(parts, ended))
        elif ended:  # all answered while they waited for their turn
            self._settle_all()
            self._asked(ended)
        return bool(parts)

    def _settle(self, patience: float) -> None:
        if not self._asker.is_idle:
            self._asked(self._asker.settle(patience))

    def _settle_all(self) -> None:
        while not self._asker.is_idle:
            self._settle(TICK)

    def _parts(self, most: int) -> Iterator[Part]:
        number = 0
        while most > 0:
            if number == len(self._asking) and not self._fetch():
                return
            flight = self._asking[number]
            if number and self._rate_of(flight) != self._bucket.rate:
                return
            if len(part := flight.take(most)):
                most -= len(part)
                yield part
            number += flight.is_asked

    def _rate_of(self, flight: Flight) -> float:
        """Half of it, as long as there are flights whose answers were lost."""
        rate = min(self._rate, flight.piece.rate or self._rate)
        return rate / 2 if self._repeating else rate

    def _has_room(self) -> bool:
        """Whether there may be another piece, and room for it."""
        return not self._is_dry and self._flights.targets < MOST_TARGETS

    def _fetch(self) -> bool:
        if not self._has_room() or self._look_at > self._clock():
            return False
        piece = self._next_piece()
        if piece is None:
            self._is_dry = True
        elif piece is LATER:
            self._look_at = self._clock() + SHORT_TICK
        else:
            flight = Flight(piece)
            self._flights.add(flight)
            self._asking.append(flight)
            return True
        return False

    # -- rounds --------------------------------------------------------------------------------------------------------

    def _asked(self, flights: Sequence[Flight]) -> None:
        """All questions of a round of theirs have left."""
        self._last_sent = self._clock()
        for flight in flights:
            pause = self._settings.cooldown
            if flight.probes + 1 < self._settings.probes:
                pause = min(pause, PROBE_GAP)
            heapq.heappush(self._waiting, (self._last_sent + pause, next(self._numbers), flight))

    def _next_round(self, flight: Flight) -> None:
        """All answers that were there when the flight became due have been heard."""
        if flight.probes + 1 < self._settings.probes:
            flight.probes += 1
        elif flight.is_suspect and flight.repeats < REPEATS:
            self._repeating += not flight.repeats
            flight.repeats += 1
        else:
            self._close(flight, is_final=not flight.is_suspect)
            return
        if flight.ask_again():
            self._asking.appendleft(flight)
        else:
            self._close(flight, is_final=True)

    def _close(self, flight: Flight, *, is_final: bool) -> None:
        closed = flight.closed(is_final=is_final)
        self._flights.remove(flight)
        if flight.repeats:
            self._repeating -= 1
        self._answered += flight.answered
        if flight.is_suspect and not self._halted:
            self._lost += len(flight.silent())
        self._sink.closed(closed)

    # -- hearing -------------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        begun = time.thread_time()
        for frames, lengths in self._ring.runs():
            self._hearer.hear(frames, lengths)
        if dropped := self._ring.dropped():
            self._dropped += dropped
            for flight in self._flights:
                flight.is_suspect |= flight.has_begun
        self._receiving += time.thread_time() - begun

    def stats(self) -> SynStats:
        hearer, kinds = self._hearer, self._hearer.kinds
        return SynStats(
            sent=self._asker.sent,
            sent_bytes=self._asker.sent * SIZE,
            accepted=kinds[ACCEPTED],
            refused=kinds[REFUSED],
            unreachable=kinds[UNREACHABLE],
            duplicates=kinds.total() - self._answered,
            late=hearer.late,
            invalid=hearer.invalid,
            dropped=self._dropped,
            lost=self._lost,
            not_sent=dict(self._asker.not_sent),
            elapsed=self._clock() - self._begun,
            asking=self._last_sent - self._first_sent,
            building=self._asker.building,
            sending=self._asker.sending,
            receiving=self._receiving,
        )
