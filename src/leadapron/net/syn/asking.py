"""From targets to packets on their way: the gate, the source, the cookie, the kernel; and what each of them kept back."""

from __future__ import annotations

import errno
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadapron.model import DENIED
from leadapron.net.syn.cookie import CookieJar
from leadapron.net.syn.flight import ASKED, HELD, Flight, Part
from leadapron.net.syn.piece import Addresses, Permits, Ports
from leadapron.net.syn.sender import Sender, Sent
from leadapron.net.syn.source import Sources

_NO_ROUTE = errno.errorcode[errno.ENETUNREACH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Targets that are asked together, of one or more flights."""

    flights: Sequence[Flight]
    owners: npt.NDArray[np.intp]
    """of each target its flight, by number"""
    addresses: Addresses
    ports: Ports
    places: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.places)

    def only(self, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Batch:
        return Batch(
            flights=self.flights,
            owners=self.owners[which],
            addresses=self.addresses[which],
            ports=self.ports[which],
            places=self.places[which],
        )

    def mark(self, state: int) -> None:
        """Of those that have not answered."""
        for number, flight in enumerate(self.flights):
            places = self.places if len(self.flights) == 1 else self.places[self.owners == number]
            flight.states[places[flight.states[places] <= ASKED]] = state


def joined(parts: Sequence[Part]) -> Batch:
    """One part at least."""
    if len(parts) == 1:
        (part,) = parts
        owners = np.zeros(len(part), dtype=np.intp)
        return Batch(
            flights=(part.flight,), owners=owners, addresses=part.addresses, ports=part.ports, places=part.places
        )
    return Batch(
        flights=[part.flight for part in parts],
        owners=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        addresses=np.concatenate([part.addresses for part in parts]),
        ports=np.concatenate([part.ports for part in parts]),
        places=np.concatenate([part.places for part in parts]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A batch on its way to the kernel."""

    batch: Batch
    sent: Future[Sent]
    ended: Sequence[Flight]
    """whose round is over with this batch"""


class Asker:
    """Sends batches, each by one of `senders` in turn: in threads of `pool`, or at once without one.

    `not_sent` counts what was kept back, by the name of the `errno` or DENIED; its places are held.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        pool: Executor | None,
        jar: CookieJar,
        sources: Sources,
        permits: Permits,
        should_stop: Callable[[], bool],
    ) -> None:
        self._senders, self._pool, self._jar, self._sources, self._permits = senders, pool, jar, sources, permits
        self._should_stop = should_stop
        """asked by the threads, where there are any"""
        self._turn = 0
        self._pending: deque[_Pending] = deque()
        self.not_sent: Counter[str] = Counter()
        self.sent = 0
        self.building = self.sending = 0.0
        """seconds of processor time"""

    @property
    def is_idle(self) -> bool:
        return not self._pending

    @property
    def is_full(self) -> bool:
        return len(self._pending) == len(self._senders)

    def ask(self, parts: Sequence[Part], ended: Sequence[Flight]) -> int:
        """Ask the gate, build the packets of what it permits, and send them. Not while it is full. `ended`: flights whose
        round is over with these parts. Returns how many packets are on their way."""
        begun = time.thread_time()
        batch, sender = joined(parts), self._senders[self._turn % len(self._senders)]
        batch = self._keep(batch, self._permits(batch.addresses, batch.ports), DENIED)
        sources = self._sources.of(batch.addresses, batch.ports)
        if not sources.all():
            has_way = np.broadcast_to(sources != 0, len(batch))
            sources = np.broadcast_to(sources, len(batch))[has_way]
            batch = self._keep(batch, has_way, _NO_ROUTE)
        sender.batch.fill(sources, batch.addresses, batch.ports, self._jar.of(batch.addresses, batch.ports))
        batch.mark(ASKED)
        self._turn += 1
        self.building += time.thread_time() - begun
        if self._pool is not None:
            sent = self._pool.submit(sender.send, len(batch), self._should_stop)
        else:
            sent = Future()
            sent.set_result(sender.send(len(batch), self._should_stop))
        self._pending.append(_Pending(batch=batch, sent=sent, ended=ended))
        return len(batch)

    def settle(self, patience: float = 0.0) -> list[Flight]:
        """Note what became of batches, in their order, waiting so long for the first. Returns flights whose round is over
        since all its packets left. Raises what a sender raised."""
        ended: list[Flight] = []
        if self._pending:
            wait((self._pending[0].sent,), timeout=patience)
        while self._pending and self._pending[0].sent.done():
            pending = self._pending.popleft()
            self._note(pending.batch, pending.sent.result())
            ended += pending.ended
        return ended

    def _note(self, batch: Batch, sent: Sent) -> None:
        self.sent += sent.reached - len(sent.failed)
        self.sending += sent.seconds
        if sent.failed:
            self.not_sent.update(errno.errorcode.get(number, str(number)) for number in sent.failed.values())
            batch.only(np.array(list(sent.failed), dtype=np.intp)).mark(HELD)
        if (left := len(batch) - sent.reached) > 0:
            if sent.full:
                self.not_sent[errno.errorcode[sent.full]] += left
            batch.only(np.arange(sent.reached, len(batch))).mark(HELD)

    def _keep(self, batch: Batch, which: npt.NDArray[np.bool_], why: str) -> Batch:
        """Those that may go on; the others are held."""
        if which.all():
            return batch
        rest = batch.only(~which)
        rest.mark(HELD)
        self.not_sent[why] += len(rest)
        return batch.only(which)
