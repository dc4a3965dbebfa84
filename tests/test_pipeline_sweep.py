"""The bookkeeping of the sweep: every target asked once, whatever happened in between."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Address

import numpy as np
import numpy.typing as npt
import pytest

from leadapron.discover.space import TargetSpace
from leadapron.model import RunStatus
from leadapron.net.target import Outcome, Target
from leadapron.pipeline_sweep import WRITE_INTERVAL, Sweep, Swept, chunk_size, missing, within
from leadapron.scope.decision import Denied
from leadapron.scope.gate import REASONS
from leadapron.scope.grant import Pace
from leadapron.store.chunk import SweepChunk

FIRST4, FIRST6 = int(IPv4Address("198.18.0.0")), 1 << 100
SPACE = TargetSpace([(FIRST4, FIRST4 + 99)], [(FIRST6, FIRST6 + 9)], [104, 11112], b"key")
SIZE = 16


class Gate:
    """Denies these addresses."""

    def __init__(self, denied: set[int] | None = None) -> None:
        self.denied = denied or set()

    def denials4(self, addresses: npt.NDArray[np.uint32], _ports: object) -> npt.NDArray[np.uint8]:
        excluded = REASONS.index(Denied.EXCLUDED)
        return np.array([excluded * (address in self.denied) for address in addresses.tolist()], dtype=np.uint8)

    def denied_at(self, address: object, _port: int) -> Denied | None:
        return Denied.WINDOW if int(address) in self.denied else None  # type: ignore[call-overload]


class Progress:
    def __init__(self) -> None:
        self.done, self.reached = 0, 0

    def begin(self, phase: str, total: int, done: int) -> None: ...
    def more(self, phase: str, amount: int) -> None: ...
    def end(self, phase: str) -> None: ...

    def advance(self, _phase: str, amount: int, **figures: int) -> None:
        self.done += amount
        self.reached += figures.get("reached", 0)


class Place:
    """What a store keeps of a sweep, and sweeps that go on from it."""

    def __init__(self) -> None:
        self.rows: dict[int, SweepChunk] = {}
        self.hits: set[tuple[int, int]] = set()
        self.now = 0.0
        self.permitted, self.denials = 0, Counter[Denied]()
        self.progress = Progress()

    def write(self, chunks: list[SweepChunk]) -> None:
        for chunk in chunks:
            self.rows[chunk.start] = chunk
            self.hits |= {(int(hit.address), hit.port) for hit in chunk.hits}

    def sweep(self, gate: Gate | None = None) -> Sweep:
        whole = [(row.start, row.stop) for row in self.rows.values() if not any(row.waiting)]
        in_part, left = within(range(len(SPACE)), whole, [row for row in self.rows.values() if any(row.waiting)])
        return Sweep(
            SPACE,
            gate or Gate(),  # type: ignore[arg-type]
            size=SIZE,
            in_part=in_part,
            missing=left,
            write=self.write,  # type: ignore[arg-type]
            decided=self.decided,
            progress=self.progress,
            clock=lambda: self.now,
        )

    def decided(self, start: int, stop: int, permitted: int, denied: Mapping[Denied, int]) -> None:
        assert 0 < stop - start <= SIZE
        self.permitted += permitted
        self.denials.update(denied)

    @property
    def outcomes(self) -> Counter[str]:
        return sum((Counter(row.outcomes) for row in self.rows.values()), Counter())


def where(target: Target) -> tuple[int, int]:
    return target.address, target.port


def test_every_target_is_swept_once() -> None:
    here = Place()
    sweep = here.sweep()
    asked = []
    for target in sweep.targets():
        asked.append(where(target))
        sweep.record(target, Outcome.REFUSED, b"")
    sweep.write()

    assert len(asked) == len(set(asked)) == len(SPACE) == 220
    assert (sweep.left, here.progress.done) == (0, 220)
    assert here.outcomes == {"refused": 220}
    assert {address for address, _ in asked} == {*range(FIRST4, FIRST4 + 100), *range(FIRST6, FIRST6 + 10)}


def test_what_was_written_before_a_kill_is_never_asked_again_and_nothing_is_left_out() -> None:
    """Out of order, with losses: at each kill, what came after the last write is forgotten."""
    chance = random.Random(3)
    here = Place()
    written: Counter[tuple[int, int]] = Counter()
    for _ in range(12):
        sweep = here.sweep()
        poll = sweep.polled(lambda: False)
        under_way: list[Target] = []
        recorded: list[Target] = []
        for step, target in enumerate(sweep.targets()):
            assert written[where(target)] == 0
            under_way.append(target)
            if len(under_way) > 20:
                recorded.append(under_way.pop(chance.randrange(20)))
                outcome = Outcome.CONNECTED if recorded[-1].address % 3 else Outcome.TIMEOUT
                sweep.record(recorded[-1], outcome, b"")
            here.now += WRITE_INTERVAL / 8
            before = dict(here.rows)
            poll()
            if here.rows != before:
                written.update(where(each) for each in recorded)
                recorded.clear()
            if step > 50:
                break
    sweep = here.sweep()
    for target in sweep.targets():
        assert written[where(target)] == 0
        written[where(target)] += 1
        sweep.record(target, Outcome.CONNECTED if target.address % 3 else Outcome.TIMEOUT, b"")
    sweep.write()

    assert len(written) == len(SPACE) == written.total()
    assert here.outcomes.total() == len(SPACE)
    assert here.hits == {place for place in written if place[0] % 3}
    assert len(here.hits) == here.outcomes["connected"]


def test_what_is_due_is_written_and_only_what_changed() -> None:
    here = Place()
    sweep = here.sweep()
    poll = sweep.polled(lambda: False)
    targets = list(sweep.targets())
    sweep.record(targets[0], Outcome.CONNECTED, b"")
    poll()
    assert here.rows == {}
    here.now += WRITE_INTERVAL
    poll()
    assert set(here.rows) == {0}
    assert here.hits == {where(targets[0])}
    here.rows.clear()
    here.now += WRITE_INTERVAL
    poll()
    assert here.rows == {}


@pytest.mark.parametrize("outcome", [Outcome.OUT_OF_SCOPE, Outcome.EXHAUSTED, Outcome.STOPPED])
def test_what_was_not_asked_waits_for_a_resume(outcome: Outcome) -> None:
    here = Place()
    sweep = here.sweep(Gate({FIRST4 + 1, FIRST6}))
    asked = list(sweep.targets())
    missed = set(map(where, asked[10:15]))
    for target in asked:
        sweep.record(target, outcome if where(target) in missed else Outcome.REFUSED, b"")
    sweep.write()

    assert (here.permitted, here.denials) == (216, {Denied.EXCLUDED: 2, Denied.WINDOW: 2})
    assert sweep.left == 9
    assert sweep.not_asked == Counter({Outcome.OUT_OF_SCOPE: 4}) + Counter(
        {} if outcome is Outcome.STOPPED else {outcome: 5}
    )
    denied = {(address, port) for address in (FIRST4 + 1, FIRST6) for port in (104, 11112)}
    assert set(map(where, here.sweep().targets())) == missed | denied
    assert (here.permitted, here.denials.total()) == (216 + 9, 4)


def test_a_chunk_is_a_second_of_what_the_pace_lets_through() -> None:
    def size(rate: float, per_network: float, last: int) -> int:
        pace = Pace(connections_per_second=rate, per_network=per_network)
        return chunk_size(pace, [(FIRST4, FIRST4 + last)], [])

    assert size(500, 100, 255) == 100
    assert size(500, 100, 256 * 4 - 1) == 400
    assert size(500, 100, 256 * 100 - 1) == 500
    assert size(1, 1, 255) == 64
    assert size(1e6, 1e6, 255) == 4096


def test_missing() -> None:
    assert list(missing([(20, 30), (0, 10), (5, 12)], 40)) == [(12, 20), (30, 40)]
    assert list(missing([], 3)) == [(0, 3)]
    assert list(missing([(0, 3)], 3)) == []


REFUSED, LOST = {Outcome.REFUSED: 4}, {Outcome.TIMEOUT: 3, Outcome.UNREACHABLE: 1}


@pytest.mark.parametrize(
    ("swept", "stopped", "is_left_out", "status", "reasons"),
    [
        (Swept(outcomes=REFUSED), "", False, RunStatus.COMPLETE, {}),
        (Swept(outcomes=REFUSED), "", True, RunStatus.INCOMPLETE, {}),
        (Swept(outcomes=REFUSED, left=3), "why", False, RunStatus.STOPPED, {"stopped": 3}),
        (Swept(outcomes=LOST), "", False, RunStatus.BLIND, {"timeout": 3, "unreachable": 1}),
        (Swept(outcomes={**REFUSED, Outcome.RESET: 2}), "", False, RunStatus.COMPLETE, {"reset": 2}),
        (
            Swept(outcomes=REFUSED, not_asked={Outcome.EXHAUSTED: 2}, left=2),
            "",
            False,
            RunStatus.INCOMPLETE,
            {"limit": 2},
        ),
        (
            Swept(outcomes=REFUSED, not_asked={Outcome.OUT_OF_SCOPE: 2}, left=2),
            "",
            False,
            RunStatus.INCOMPLETE,
            {"out_of_scope": 2},
        ),
        (
            Swept(outcomes={}, not_asked={Outcome.OUT_OF_SCOPE: 2}, left=2),
            "",
            False,
            RunStatus.INCOMPLETE,
            {"out_of_scope": 2},
        ),
    ],
)
def test_the_status_and_the_unknowns_of_what_was_not_seen(
    swept: Swept, stopped: str, is_left_out: bool, status: RunStatus, reasons: dict[str, int]
) -> None:
    assert swept.status(stopped=stopped, is_left_out=is_left_out)[0] is status
    unknowns = list(swept.unknowns("s"))
    assert {unknown.reason.value: unknown.count for unknown in unknowns} == reasons
    assert {(unknown.endpoint, unknown.stage.value) for unknown in unknowns} <= {("scope s", "connect")}
