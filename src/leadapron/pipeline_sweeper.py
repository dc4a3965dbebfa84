"""A sweep in a process of its own (`leadapron.cli.sweeper`), begun by `leadapron.pipeline_away`.

It is given an `Order` over a pipe, and tells what it did in the messages of `leadapron.pipeline_wire`. It reads the scope
itself, and has its own gate and its own eye on the file: nothing leaves but by that gate. A piece is decided, told, and
asked only once the other side has logged it and says `go`: which is also how a slow stage holds up the sweep. When the
other side is gone, nothing more is sent.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leadapron.child import begin_as_child
from leadapron.errors import LeadApronError, RunStopped
from leadapron.model import SweepFigures
from leadapron.net.feed import Feed
from leadapron.net.target import Outcome, Target
from leadapron.pipeline_control import Control, Unseen
from leadapron.pipeline_sweep import NOT_ASKED, WRITE_INTERVAL, Sweep, pieces
from leadapron.pipeline_wire import Asked, Decided, Done, Ended, Order, Reached, Wire, Withheld
from leadapron.scope.audit_log import Fact
from leadapron.scope.decision import Denied
from leadapron.scope.exclusions import as_begun
from leadapron.scope.gate import REASONS, Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import arm
from leadapron.scope.watch import ScopeWatch
from leadapron.store.chunk import SweepChunk

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from leadapron.discover.space import TargetSpace
    from leadapron.net.syn import Closed, Later, Piece

AHEAD = 2
"""Pieces that are decided before the one that is asked is over."""
LOOK_INTERVAL = 0.05
"""Seconds between two looks whether to stop."""


class _Looks:
    """`Control.should_stop`, or nobody is there any more: asked before each batch, looked at now and then."""

    def __init__(self, control: Control, wire: Wire) -> None:
        self._control, self._wire, self._next, self.is_over = control, wire, 0.0, False

    def __call__(self) -> bool:
        now = time.monotonic()
        if now >= self._next and not self.is_over:
            self._next = now + LOOK_INTERVAL
            self.is_over = self._wire.is_over.is_set() or self._control.should_stop()
        return self.is_over


class RawSweep:
    """The pieces of a SYN sweep: its source and its sink."""

    def __init__(self, order: Order, gate: Gate, space: TargetSpace, wire: Wire) -> None:
        self._order, self._gate, self._space, self._wire = order, gate, space, wire
        self._source = pieces(order.in_part, order.missing, order.size, lambda start: space.stretch(start)[0])
        self._known: dict[int, SweepChunk] = {}
        """pieces that are under way"""
        self._decided: deque[Piece] = deque()
        self._left_out: dict[int, npt.NDArray[np.uint32]] = {}
        """of pieces under way, the places that wait and may not be asked right now"""
        self._is_dry = False
        self._asked, self._withheld, self._tell_at = 0, Counter[Denied](), 0.0

    def next_piece(self) -> Piece | Literal[Later.LATER] | None:
        from leadapron.net.syn import LATER

        while not self._is_dry and len(self._decided) < AHEAD:
            self._decide()
        if not self._decided:
            return None
        return self._decided.popleft() if self._wire.may_ask(self._decided[0].start) else LATER

    def _decide(self) -> None:
        import numpy as np

        from leadapron.net.syn import Piece

        if (known := next(self._source, None)) is None:
            self._is_dry = True
            return
        start, stop = known.start, known.stop
        batch = self._space.batch(start, stop - start)
        numbers = self._gate.denials4(batch.addresses4, batch.ports4)
        waits = np.frombuffer(known.waiting, dtype=np.uint8) > 0 if known.waiting else np.ones(stop - start, dtype=bool)
        places = np.flatnonzero(waits & (numbers == 0)).astype(np.uint32)
        counts = np.bincount(numbers[waits], minlength=len(REASONS)).tolist()
        denied = {reason: count for reason, count in zip(REASONS, counts, strict=True) if reason and count}
        self._wire.tell(Decided(start, stop, len(places), denied))
        self._known[start] = known
        self._left_out[start] = np.flatnonzero(waits & (numbers > 0)).astype(np.uint32)
        networks = self._space.stretch(start)[1]
        self._decided.append(
            Piece(
                start=start,
                stop=stop,
                addresses=batch.addresses4[places],
                ports=batch.ports4[places],
                places=places,
                rate=self._order.per_network * networks,
            )
        )

    def permits(self, addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
        """Asked for each batch right before it is sent. Where a zone has gained a gap, which this sweep cannot keep,
        nothing is."""
        import numpy as np

        if self._gate.has_gaps():
            self._withheld[Denied.NARROWED] += len(addresses)
            return np.zeros(len(addresses), dtype=np.bool_)
        permitted = self._gate.permits4(addresses, ports)
        self._asked += int(np.count_nonzero(permitted))
        if not permitted.all():
            self._withheld.update(self._reasons(addresses[~permitted], ports[~permitted]))
        if time.monotonic() >= self._tell_at:
            self._tell_asked()
        return permitted

    def _reasons(self, addresses: npt.NDArray[np.uint32], ports: npt.NDArray[np.uint16]) -> Iterator[Denied]:
        """Of what is not permitted. A window that opens in between leaves no reason."""
        for number in self._gate.denials4(addresses, ports).tolist():
            yield REASONS[number] or Denied.NARROWED

    def _tell_asked(self) -> None:
        _tell_withheld(self._wire, self._withheld)
        if self._asked:
            self._wire.tell(Asked(self._asked))
        self._asked, self._tell_at = 0, time.monotonic() + WRITE_INTERVAL

    def answered(self, _start: int, hits: Sequence[tuple[int, int, int]]) -> None:
        self._wire.tell(Reached([(address, port) for _, address, port in hits]))

    def closed(self, closed: Closed) -> None:
        import numpy as np

        self._tell_asked()
        known, left_out = self._known.pop(closed.start), self._left_out.pop(closed.start)
        outcomes = Counter(known.outcomes)
        outcomes.update({outcome.value: count for outcome, count in closed.outcomes.items()})
        waiting = np.zeros(closed.stop - closed.start, dtype=np.uint8)
        waiting[left_out] = waiting[closed.waiting] = 1
        chunk = SweepChunk(start=closed.start, stop=closed.stop, outcomes=outcomes, waiting=waiting.tobytes())
        not_asked = {Outcome.OUT_OF_SCOPE.value: len(left_out)} if len(left_out) else {}
        self._wire.tell(Done([chunk], self._refused(closed), not_asked))

    def _refused(self, closed: Closed) -> list[tuple[int, int]]:
        if not (self._order.wanted and len(closed.refused)):
            return []
        batch = self._space.batch(closed.start, closed.stop - closed.start)
        addresses, ports = batch.addresses4[closed.refused].tolist(), batch.ports4[closed.refused].tolist()
        return [place for place in zip(addresses, ports, strict=True) if place in self._order.wanted]


class _Gone(Feed):
    """Targets of chunks that may be asked, of those that are decided."""

    def __init__(self, chunks: Iterator[tuple[int, list[Target]]], wire: Wire) -> None:
        self._chunks, self._wire = chunks, wire
        self._decided: deque[tuple[int, list[Target]]] = deque()
        self._targets: Iterator[Target] = iter(())

    def __next__(self) -> Target:
        while (target := next(self._targets, None)) is None:
            self._decided += islice(self._chunks, AHEAD - len(self._decided))
            if not self._decided:
                self.is_open = False
                raise StopIteration
            if not self._wire.may_ask(self._decided[0][0]):
                raise StopIteration
            self._targets = iter(self._decided.popleft()[1])
        return target


def _tell_withheld(wire: Wire, reasons: Counter[Denied]) -> None:
    """And forget them."""
    if reasons:
        wire.tell(Withheld(dict(reasons)))
        reasons.clear()


def _by_packets(
    order: Order, gate: Gate, space: TargetSpace, wire: Wire, should_stop: Callable[[], bool]
) -> SweepFigures:
    """Under the hook, which raw sockets are not opened by."""
    from leadapron.net.syn import SynEngine

    assert order.syn is not None
    sweep = RawSweep(order, gate, space, wire)
    engine = SynEngine(order.syn, key=order.cookie_key, index_of=space.indices4, permits=sweep.permits)
    stats = engine.run(sweep.next_piece, sweep, should_stop=should_stop)
    return SweepFigures(
        method=order.method,
        sent=stats.sent,
        sent_bytes=stats.sent_bytes,
        duplicates=stats.duplicates,
        late=stats.late,
        invalid=stats.invalid,
        dropped=stats.dropped,
        lost=stats.lost,
        not_sent=dict(stats.not_sent),
        seconds=stats.elapsed,
        asking=stats.asking,
        building=stats.building,
        sending=stats.sending,
        receiving=stats.receiving,
    )


def _by_connections(
    order: Order, gate: Gate, space: TargetSpace, wire: Wire, should_stop: Callable[[], bool]
) -> SweepFigures:
    from leadapron.net.pace import Pace
    from leadapron.net.wide import WideEngine

    refused: list[tuple[int, int]] = []
    begun, sent, withheld = time.monotonic(), 0, Counter[Denied]()
    arm(gate, on_denied=lambda _host, _port, reason: withheld.update((reason,)))

    def write(chunks: Sequence[SweepChunk]) -> None:
        _tell_withheld(wire, withheld)
        not_asked = Counter({outcome.value: count for outcome, count in sweep.not_asked.items()})
        wire.tell(Done(chunks, tuple(refused), not_asked))
        refused.clear()
        sweep.not_asked.clear()

    sweep = Sweep(
        space,
        gate,
        size=order.size,
        in_part=order.in_part,
        missing=order.missing,
        write=write,
        decided=lambda *what: wire.tell(Decided(*what)),
        progress=Unseen(),
    )

    def record(target: Target, outcome: Outcome, answer: bytes) -> None:
        nonlocal sent
        sent += outcome not in NOT_ASKED
        if outcome is Outcome.REFUSED and (target.address, target.port) in order.wanted:
            refused.append((target.address, target.port))
        sweep.record(target, outcome, answer)

    pace = Pace(order.connections_per_second, order.per_network)
    engine = WideEngine(concurrency=order.concurrency, timeout=order.timeout, ready_at=pace.ready_at)
    engine.run(_Gone(sweep.chunks(), wire), record, should_stop=sweep.polled(should_stop))
    sweep.write()
    if sweep.not_asked:
        write(())
    return SweepFigures(method=order.method, sent=sent, seconds=time.monotonic() - begun)


class _NoLog:
    """The other side watches the scope too, and logs what changes."""

    def write(self, event: str, **facts: Fact) -> None: ...


def carry_out(order: Order, wire: Wire) -> Ended:
    """Carry out an order. Raises LeadApronError, OSError."""
    from leadapron.discover.space import TargetSpace

    scope = load_scope(order.scope)
    if scope.sha256 != order.digests[0]:
        raise RunStopped("the scope changed while the sweep began")
    as_begun(scope, order.exclusions, order.digests[1])
    gate = Gate(scope, pins=order.pins)
    arm(gate)
    control = Control(ScopeWatch(order.scope, gate), order.stop_file, _NoLog())
    space = TargetSpace(order.intervals, [], order.ports, order.key, pairs4=order.pairs)
    made = _by_packets if order.syn is not None else _by_connections
    figures = made(order, gate, space, wire, _Looks(control, wire))
    return Ended("" if wire.is_over.is_set() else control.why, figures)


def main(fd: int) -> None:
    """`fd`: this side of the pipe."""
    connection = begin_as_child(fd)
    order: Order = connection.recv()
    logging.getLogger().setLevel(order.level)
    wire, figures = Wire(connection), SweepFigures(method="", untold=1)
    try:
        why, figures = carry_out(order, wire)
    except LeadApronError as error:
        why = str(error)
    except OSError as error:
        why = f"the sweep could not go on: {error.strerror}"
    used = resource.getrusage(resource.RUSAGE_SELF)
    wire.tell(Ended(why, figures.with_cpu(used.ru_utime + used.ru_stime, most_memory())))
    wire.close()


def most_memory() -> int:
    """Bytes that this process held at most. `ru_maxrss` would also know those of the process that began it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
