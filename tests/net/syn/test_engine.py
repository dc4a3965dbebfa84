"""The engine over a cable between two namespaces: answers are those of Linux and of nftables."""

import gc
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from net_pairs import Pair, must, pair
from sweeps import KEY, PORT, Addresses, Book, Ports, Space, counted, everybody, listening, rules, sweep

from leadapron.errors import InputError
from leadapron.net.syn import LATER, Later, Piece, SynEngine, SynSettings, can_sweep_raw, engine, sender, source
from leadapron.net.syn.answers import Frames, Lengths
from leadapron.net.target import Outcome
from leadapron.scope.gate import Gate
from leadapron.scope.grant import load_scope
from leadapron.scope.hook import armed
from scope_file import write_scope

pytestmark = [pytest.mark.peer, pytest.mark.xdist_group("syn")]

QUICK = SynSettings(packets_per_second=50_000, cooldown=0.3)
SYN = f"tcp dport {PORT} tcp flags & (syn|ack|rst) == syn"


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    with pair() as ours, listening(ours.answerer):
        yield ours


def files() -> int:
    """Open ones of this process."""
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(autouse=True)
def _rules_are_gone(both: Pair, tmp_path: Path) -> Iterator[None]:
    yield
    for each in (both.sweeper, both.answerer):
        both.load(tmp_path, "", on=each)


def test_each_target_is_told_as_what_it_is(both: Pair, tmp_path: Path) -> None:
    rules(
        both,
        tmp_path,
        f"{SYN} ip daddr & 0.0.0.7 == 0.0.0.1 reject with tcp reset",
        f"{SYN} ip daddr & 0.0.0.7 == 0.0.0.2 drop",
        f"{SYN} ip daddr & 0.0.0.7 == 0.0.0.3 reject with icmp type host-unreachable",
        f"{SYN} ip daddr & 0.0.0.7 == 0.0.0.4 reject with icmp type port-unreachable",
        f"{SYN} ip daddr & 0.0.0.7 == 0.0.0.5 reject with icmp type admin-prohibited",
    )
    must(both.answerer, "sysctl", "-qw", "net.ipv4.icmp_ratemask=0")  # no limit on how many are told
    book, stats = sweep(both, Space(8000), QUICK)
    assert sorted(book.hits) == [index for index in range(8000) if index % 8 in (0, 6, 7)]
    assert book.outcomes == {
        Outcome.CONNECTED: 3000,
        Outcome.REFUSED: 2000,
        Outcome.UNREACHABLE: 2000,
        Outcome.TIMEOUT: 1000,
    }
    assert (stats.accepted, stats.refused, stats.unreachable) == (3000, 2000, 2000)
    assert (stats.sent, stats.sent_bytes) == (8000, 480_000)
    assert (stats.duplicates, stats.late, stats.invalid, stats.dropped, stats.lost) == (0, 0, 0, 0, 0)
    assert (book.waiting, stats.not_sent) == ([], {})


def test_what_the_gate_denies_at_the_last_moment_never_leaves(both: Pair, tmp_path: Path) -> None:
    rules(
        both, tmp_path, f"{SYN} ip daddr & 0.0.0.3 == 0.0.0.1 counter", f"{SYN} counter", on=both.sweeper, hook="output"
    )

    def permits(addresses: Addresses, _ports: Ports) -> npt.NDArray[np.bool_]:
        return np.asarray(addresses % 4 != 1)

    book, stats = sweep(both, Space(4000), QUICK, permits=permits)
    assert counted(both.sweeper) == [0, 3000]
    assert sorted(book.waiting) == list(range(1, 4000, 4))
    assert len(book.hits) == 3000
    assert (stats.sent, dict(stats.not_sent)) == (3000, {"denied": 1000})


def test_a_gate_that_shuts_midway_lets_nothing_more_out(both: Pair, tmp_path: Path) -> None:
    rules(both, tmp_path, f"{SYN} counter", on=both.sweeper, hook="output")
    asked = 0

    def permits(addresses: Addresses, _ports: Ports) -> npt.NDArray[np.bool_]:
        nonlocal asked
        asked += len(addresses)
        return np.full(len(addresses), asked <= 2000)

    book, stats = sweep(both, Space(4000), QUICK, permits=permits)
    assert counted(both.sweeper) == [stats.sent]
    assert 1000 < stats.sent <= 2000
    assert len(book.hits) == stats.sent
    assert sorted(book.waiting) == list(range(stats.sent, 4000))


def test_it_sweeps_under_an_armed_gate(both: Pair, tmp_path: Path) -> None:
    file = write_scope(tmp_path / "scope.toml", networks=["198.18.0.0/22"], ports=[PORT], exclude=("198.18.1.0/24",))
    held = Gate(load_scope(file))

    def permits(addresses: Addresses, ports: Ports) -> npt.NDArray[np.bool_]:
        return np.asarray(held.denials4(addresses, ports) == 0)

    denials: list[object] = []
    with armed(held, lambda *denial: denials.append(denial)):
        book, stats = sweep(both, Space(2048), QUICK, permits=permits)
    assert sorted(book.hits) == [*range(256), *range(512, 1024)]
    assert sorted(book.waiting) == [*range(256, 512), *range(1024, 2048)]
    assert dict(stats.not_sent) == {"denied": 1280}
    assert denials == []


def test_what_this_machine_does_not_let_out_is_counted_by_its_error_and_stays_waiting(
    both: Pair, tmp_path: Path
) -> None:
    rules(both, tmp_path, f"{SYN} ip daddr & 0.0.0.3 == 0.0.0.1 drop", on=both.sweeper, hook="output")
    must(both.sweeper, "ip", "route", "add", "unreachable", "198.18.4.0/22")
    try:
        book, stats = sweep(both, Space(2048), QUICK)
    finally:
        must(both.sweeper, "ip", "route", "del", "unreachable", "198.18.4.0/22")
    assert dict(stats.not_sent) == {"EPERM": 256, "ENETUNREACH": 1024}
    assert sorted(book.waiting) == [*range(1, 1024, 4), *range(1024, 2048)]
    assert (len(book.hits), stats.sent) == (768, 768)


@pytest.mark.parametrize("probes", [1, 2, 3])
def test_every_target_is_asked_so_often_and_no_more(both: Pair, tmp_path: Path, probes: int) -> None:
    text = f"""
table ip answers {{
  set seen {{ type ipv4_addr; size 65536; flags dynamic; }}
  chain input {{
    type filter hook input priority 0
    {SYN} counter
    {SYN} ip daddr & 0.0.0.3 == 0.0.0.2 drop
    {SYN} ip daddr & 0.0.0.3 == 0.0.0.1 ip daddr != @seen add @seen {{ ip daddr }} drop
  }}
}}
"""
    both.load(tmp_path, text, on=both.answerer)
    settings = SynSettings(packets_per_second=50_000, cooldown=0.25, probes=probes)
    book, stats = sweep(both, Space(4000), settings)
    second, third = (probes > 1), (probes > 2)
    assert stats.sent == counted(both.answerer)[0] == 4000 + 2000 * second + 1000 * third
    assert book.outcomes[Outcome.CONNECTED] == (3000 if second else 2000)
    assert book.outcomes[Outcome.TIMEOUT] == (1000 if second else 2000)


def test_after_a_stop_no_packet_leaves_and_what_is_silent_waits(both: Pair, tmp_path: Path) -> None:
    rules(both, tmp_path, f"{SYN} ip daddr & 0.0.0.1 == 0.0.0.1 drop")
    rules(both, tmp_path, f"{SYN} counter", on=both.sweeper, hook="output")
    at_stop: list[int] = []
    begun = time.monotonic()

    def should_stop() -> bool:
        if time.monotonic() - begun > 0.3 and not at_stop:
            at_stop.extend(counted(both.sweeper))
        return bool(at_stop)

    settings = SynSettings(packets_per_second=20_000, cooldown=0.5)  # longer than it is until the stop
    book, stats = sweep(both, Space(60_000), settings, should_stop=should_stop)
    assert counted(both.sweeper) == at_stop == [stats.sent]
    assert 2000 < stats.sent < 10_000
    assert sorted(book.hits) == list(range(0, stats.sent, 2))
    assert Outcome.TIMEOUT not in book.outcomes
    begun_pieces = -(-stats.sent // 4096) * 4096
    assert sorted(book.waiting) == sorted({*range(begun_pieces)} - book.hits)
    assert 0.5 <= stats.elapsed - stats.asking < 1.5


def test_threads_that_send_stop_at_once_too(both: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STOP_WAIT", 0.3)
    rules(both, tmp_path, f"{SYN} ip daddr & 0.0.0.1 == 0.0.0.1 drop")
    rules(both, tmp_path, f"{SYN} counter", on=both.sweeper, hook="output")
    said: list[int] = []

    def should_stop() -> bool:
        if not said and space.next > 40_000:
            said.extend(counted(both.sweeper))
        return bool(said)

    space = Space(131_072)
    settings = SynSettings(packets_per_second=engine.THREADED_RATE * 10, cooldown=5.0)
    book, stats = sweep(both, space, settings, should_stop=should_stop)
    assert counted(both.sweeper) == [stats.sent]
    assert said[0] <= stats.sent <= said[0] + (engine.SENDERS + 1) * engine.MOST
    assert len(book.hits) == stats.sent // 2  # a batch that was cut has a later one behind it, in another thread
    assert not book.hits & set(book.waiting)
    assert len(book.hits) + len(book.waiting) == space.next < 131_072
    assert Outcome.TIMEOUT not in book.outcomes


@pytest.mark.parametrize("probes", [1, 2])
def test_threads_ask_each_target_as_often_as_one_does(both: Pair, tmp_path: Path, probes: int) -> None:
    rules(both, tmp_path, f"{SYN} counter", f"{SYN} ip daddr & 0.0.0.7 == 0.0.0.1 drop")
    settings = SynSettings(packets_per_second=engine.THREADED_RATE, cooldown=0.3, probes=probes)
    book, stats = sweep(both, Space(65_536, size=10_000), settings)
    assert stats.sent == counted(both.answerer)[0] == 65_536 + 8192 * (probes - 1)
    assert book.outcomes == {Outcome.CONNECTED: 57_344, Outcome.TIMEOUT: 8192}
    assert (stats.dropped, stats.invalid, stats.late, book.waiting) == (0, 0, 0, [])


def test_a_queue_that_is_full_is_waited_for_and_nothing_is_lost(both: Pair) -> None:
    must(
        both.sweeper,
        "tc",
        "qdisc",
        "add",
        "dev",
        "cable",
        "root",
        "tbf",
        "rate",
        "2mbit",
        "burst",
        "2kb",
        "limit",
        "3000",
    )
    try:
        book, stats = sweep(both, Space(500), SynSettings(packets_per_second=50_000, cooldown=0.3))
    finally:
        must(both.sweeper, "tc", "qdisc", "del", "dev", "cable", "root")
    assert (len(book.hits), stats.sent, stats.not_sent) == (500, 500, {})
    assert stats.asking > 0.08  # 592 bits each with their frame


def test_what_a_queue_never_takes_stays_waiting(both: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "PATIENCE", 5)
    must(
        both.sweeper,
        "tc",
        "qdisc",
        "add",
        "dev",
        "cable",
        "root",
        "tbf",
        "rate",
        "8kbit",
        "burst",
        "2kb",
        "limit",
        "3000",
    )
    try:
        book, stats = sweep(both, Space(500), SynSettings(packets_per_second=50_000, cooldown=0.1))
    finally:
        must(both.sweeper, "tc", "qdisc", "del", "dev", "cable", "root")
    assert set(stats.not_sent) <= {"ENOBUFS", "EAGAIN"}
    assert sum(stats.not_sent.values()) == 500 - stats.sent > 300
    assert len(book.waiting) == 500 - stats.sent


def test_answers_that_found_the_ring_full_are_asked_for_again(
    both: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LEAST_FRAMES", 256)
    monkeypatch.setattr(engine, "MOST_FRAMES", 256)
    monkeypatch.setattr(engine, "SENDERS", 0)
    # A batch of a thousand packets is answered while it is sent, before anybody reads.
    book, stats = sweep(both, Space(2000), SynSettings(packets_per_second=1_000_000, cooldown=0.2))
    assert stats.dropped > 500
    assert stats.sent > 2500
    assert Outcome.TIMEOUT not in book.outcomes
    assert len(book.hits) == 2000 - stats.lost
    assert len(book.waiting) == stats.lost


def test_what_stays_lost_is_said_and_never_called_silent(
    both: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaking(engine.Ring):
        def dropped(self) -> int:
            super().dropped()
            return 1

    monkeypatch.setattr(engine, "Ring", Leaking)
    rules(both, tmp_path, f"{SYN} counter", f"{SYN} ip daddr & 0.0.0.1 == 0.0.0.1 drop")
    book, stats = sweep(both, Space(1000), SynSettings(packets_per_second=20_000, cooldown=0.1))
    assert counted(both.answerer) == [stats.sent] == [1000 + engine.REPEATS * 500]
    assert (len(book.hits), len(book.waiting), stats.lost) == (500, 500, 500)
    assert Outcome.TIMEOUT not in book.outcomes


def test_lost_answers_halve_the_rate_until_they_are_found(both: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []

    class Watched(engine.TokenBucket):
        def change(self, rate: float) -> None:
            if rate not in rates[-1:]:
                rates.append(rate)
            super().change(rate)

    class Leaking(engine.Ring):
        """Loses the first answers that it has."""

        lost = told = 0

        def runs(self) -> Iterator[tuple[Frames, Lengths]]:
            for frames, lengths in super().runs():
                if not self.lost:
                    Leaking.lost = len(frames)
                else:
                    yield frames, lengths

        def dropped(self) -> int:
            new, self.told = self.lost - self.told, self.lost
            return new

    monkeypatch.setattr(engine, "TokenBucket", Watched)
    monkeypatch.setattr(engine, "Ring", Leaking)
    book, stats = sweep(both, Space(1000), SynSettings(packets_per_second=20_000, cooldown=0.1))
    assert sorted(book.hits) == list(range(1000))
    assert stats.sent == 1000 + Leaking.lost
    assert (stats.dropped, stats.lost) == (Leaking.lost, 0)
    assert rates == [20_000, 10_000]


def test_small_pieces_at_a_low_rate_cost_next_to_nothing(both: Pair) -> None:
    moments: list[float] = []

    def should_stop() -> bool:
        moments.append(time.thread_time())
        return False

    settings = SynSettings(packets_per_second=100, cooldown=0.2)
    book, stats = sweep(both, Space(140, size=64), settings, should_stop=should_stop)
    assert sorted(book.hits) == list(range(140))
    assert book.closed_pieces == [(0, 64), (64, 128), (128, 140)]
    assert 1.37 < stats.asking < 2.0
    assert moments[-1] - moments[0] < 0.3


def test_pieces_that_come_later_and_a_sink_that_is_busy_are_waited_for(both: Pair, tmp_path: Path) -> None:
    rules(both, tmp_path, f"{SYN} counter", on=both.sweeper, hook="output")
    space, begun = Space(2000, size=500), time.monotonic()
    seen: list[int] = []

    def elapsed() -> float:
        return time.monotonic() - begun

    def may_send() -> bool:
        if elapsed() < 0.3:
            seen[:] = counted(both.sweeper)
            return False
        return True

    class Slow(Space):
        def piece(self) -> Piece | Later | None:  # type: ignore[override]
            return LATER if elapsed() < 0.5 and self.next == 500 else super().piece()

    space = Slow(2000, size=500)
    book, stats = sweep(both, space, QUICK, may_send=may_send)
    assert seen == [0]
    assert len(book.hits) == stats.sent == 2000
    assert stats.asking > 0.1


def test_the_rate_is_kept_as_nftables_counts_it(both: Pair, tmp_path: Path) -> None:
    rules(both, tmp_path, f"{SYN} counter", on=both.sweeper, hook="output")
    samples: list[tuple[float, int, float]] = []
    """before and after the counter was read"""

    def watch() -> None:
        for _ in range(2):
            time.sleep(0.4 if not samples else 1.0)
            before = time.monotonic()
            samples.append((before, counted(both.sweeper)[0], time.monotonic()))

    # 480 bits a packet: the lower of the two rates is 20,000 packets a second.
    settings = SynSettings(packets_per_second=90_000, bits_per_second=9_600_000, cooldown=0.1)
    with ThreadPoolExecutor(max_workers=1) as watcher:
        watched = watcher.submit(watch)
        _, stats = sweep(both, Space(40_000), settings)
        watched.result()
    first, second = samples
    packets = second[1] - first[1]
    assert packets <= 20_000 * 1.01 * (second[2] - first[0])
    assert packets >= 20_000 * 0.95 * (second[0] - first[2])
    assert counted(both.sweeper) == [stats.sent] == [40_000]


def test_more_targets_than_memory_is_meant_for_wait(both: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_TARGETS", 1000)
    most = 0

    class Counting(engine.InFlight):
        def add(self, flight: engine.Flight) -> None:
            nonlocal most
            super().add(flight)
            most = max(most, self.targets)

    monkeypatch.setattr(engine, "InFlight", Counting)
    book, _ = sweep(both, Space(3000, size=500), SynSettings(packets_per_second=50_000, cooldown=0.05))
    assert len(book.hits) == 3000
    assert most == 1000


def test_each_target_is_asked_from_its_own_source(both: Pair) -> None:
    must(both.sweeper, "ip", "address", "add", "192.0.2.77/32", "dev", "cable")
    must(both.sweeper, "ip", "route", "add", "198.18.4.0/22", "via", "192.0.2.2", "src", "192.0.2.77")
    must(both.answerer, "ip", "route", "add", "192.0.2.77/32", "via", "192.0.2.1")
    try:
        book, stats = sweep(both, Space(2048), QUICK)
    finally:
        must(both.sweeper, "ip", "route", "del", "198.18.4.0/22")
        must(both.answerer, "ip", "route", "del", "192.0.2.77/32")
    assert len(book.hits) == 2048
    assert stats.invalid == 0


def test_what_a_callable_raises_ends_the_run_and_no_socket_stays_open(both: Pair) -> None:
    def permits(_addresses: Addresses, _ports: Ports) -> npt.NDArray[np.bool_]:
        raise RuntimeError("of the gate")

    before = files()
    for rate in (50_000, engine.THREADED_RATE):
        with pytest.raises(RuntimeError, match="of the gate"):
            sweep(both, Space(5000), SynSettings(packets_per_second=rate), permits=permits)
    assert files() <= before


def test_what_a_sink_raises_while_frames_are_read_comes_through(both: Pair) -> None:
    class Full(Book):
        def answered(self, start: int, hits: Sequence[tuple[int, int, int]]) -> None:
            raise RuntimeError("of the sink")

    before = files()
    with pytest.raises(RuntimeError, match="of the sink"):
        sweep(both, Space(5000), QUICK, book=Full())
    assert files() <= before


def test_no_pieces_at_all_end_at_once(both: Pair) -> None:
    book, stats = sweep(both, Space(0), QUICK)
    assert (book.closed_pieces, stats.sent) == ([], 0)
    assert stats.elapsed < 0.2


def test_source_ports_of_others_are_refused_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ip_local_port_range").write_text("1024 65535\n")
    (tmp_path / "ip_local_reserved_ports").write_text("\n")
    monkeypatch.setattr(source, "_SYSCTL", tmp_path)
    with pytest.raises(InputError, match="overlap"):
        SynEngine(QUICK, key=KEY, index_of=Space(1).index_of, permits=everybody)


def test_root_can_sweep_raw(both: Pair) -> None:
    assert both.sweeping(can_sweep_raw)


def test_a_piece_may_have_a_rate_of_its_own(both: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    class Paced(Space):
        wanted = iter([None, 1000.0, 50_000.0, 2000.0])

        def piece(self) -> Piece | None:
            piece = super().piece()
            return piece and replace(piece, rate=next(self.wanted))

    rates: list[float] = []

    class Watched(engine.TokenBucket):
        def spend(self, packets: int) -> None:
            rates.extend([self.rate] * packets)
            super().spend(packets)

    monkeypatch.setattr(engine, "TokenBucket", Watched)
    book, _ = sweep(both, Paced(1000, size=250), SynSettings(packets_per_second=20_000, cooldown=0.1))
    assert sorted(book.hits) == list(range(1000))
    assert rates == [20_000.0] * 250 + [1000.0] * 250 + [20_000.0] * 250 + [2000.0] * 250
