"""From targets to packets on their way: the gate, the source, the cookie, the kernel; and what each of them kept back."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leadapron.net.syn.cookie import CookieJar
from leadapron.net.syn.flight import ASKED, HELD, Flight, Part
from leadapron.net.syn.piece import Addresses, Permits, Ports
from leadapron.net.syn.sender import Sender
from leadapron.net.syn.source import Sources

DENIED = "denied"
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
        if len(self.flights) == 1:
            self.flights[0].states[self.places] = state
            return
        for number, flight in enumerate(self.flights):
            flight.states[self.places[self.owners == number]] = state


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


class Asker:
    """Sends batches. `not_sent` counts what was kept back, by the name of the `errno` or DENIED; its places are held."""

    def __init__(self, sender: Sender, jar: CookieJar, sources: Sources, permits: Permits) -> None:
        self._sender, self._jar, self._sources, self._permits = sender, jar, sources, permits
        self.not_sent: Counter[str] = Counter()

    def prepare(self, parts: Sequence[Part]) -> Batch:
        """Ask the gate, and build the packets of what it permits."""
        batch = joined(parts)
        batch = self._keep(batch, self._permits(batch.addresses, batch.ports), DENIED)
        if not len(batch):
            return batch
        sources = self._sources.of(batch.addresses, batch.ports)
        if not sources.all():
            has_way = np.broadcast_to(sources != 0, len(batch))
            batch = self._keep(batch, has_way, _NO_ROUTE)
            sources = np.broadcast_to(sources, has_way.shape)[has_way]
        self._sender.batch.fill(sources, batch.addresses, batch.ports, self._jar.of(batch.addresses, batch.ports))
        return batch

    def send(self, batch: Batch, should_stop: Callable[[], bool]) -> int:
        """Send what `prepare` returned last. Returns how many packets left."""
        batch.mark(ASKED)
        sent = self._sender.send(len(batch), should_stop)
        if sent.failed:
            self.not_sent.update(errno.errorcode.get(number, str(number)) for number in sent.failed.values())
            batch.only(np.array(list(sent.failed), dtype=np.intp)).mark(HELD)
        if (left := len(batch) - sent.reached) > 0:
            if sent.full:
                self.not_sent[errno.errorcode[sent.full]] += left
            batch.only(np.arange(sent.reached, len(batch))).mark(HELD)
        return sent.reached - len(sent.failed)

    def _keep(self, batch: Batch, which: npt.NDArray[np.bool_], why: str) -> Batch:
        """Those that may go on; the others are held."""
        if which.all():
            return batch
        rest = batch.only(~which)
        rest.mark(HELD)
        self.not_sent[why] += len(rest)
        return batch.only(which)
