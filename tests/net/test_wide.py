import contextlib
import errno
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from leadapron.net import wide
from leadapron.net.line import Socket, open_socket
from leadapron.net.pace import Pace
from leadapron.net.wide import Outcome, Target, WideEngine, WideStats
from leadapron.scope.decision import Denied
from leadapron.scope.hook import armed

HELLO, ANSWER, FAREWELL = b"hello?", b"answer 12345678", b"bye"
LOOPBACK = 0x7F000001

Talk = Callable[[socket.socket], None]


class Peer:
    """Serves each connection to its port, on all of 127.0.0.0/8, in a thread of its own."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._server = socket.create_server(("", 0), backlog=512)
        self.port: int = self._server.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, contextlib.suppress(OSError):
            self._talk(connection)

    def close(self) -> None:
        """End when the connections that are open have been served. May be called twice."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in (self._accepting, *self._threads):
            thread.join(10)


@pytest.fixture
def peer() -> Iterator[Callable[[Talk], Peer]]:
    peers: list[Peer] = []

    def start(talk: Talk) -> Peer:
        peers.append(Peer(talk))
        return peers[-1]

    yield start
    for each in peers:
        each.close()


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as bound:
        bound.bind(("", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """Its queue of connections is full: the kernel drops every further SYN."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("", 0))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", server.getsockname()[1]))
        yield server.getsockname()[1]


def whole(answer: bytes) -> int:
    return int(len(answer) >= len(ANSWER))


def polite(connection: socket.socket) -> None:
    connection.recv(len(HELLO), socket.MSG_WAITALL)
    connection.sendall(ANSWER)
    connection.recv(100)


def targets(*ports: int, first: int = LOOPBACK) -> list[Target]:
    return [Target(first + number, 4, port, number) for number, port in enumerate(ports)]


Results = list[tuple[Outcome, bytes]]


def visit(visited: Any, *, engine: WideEngine | None = None, **options: Any) -> Results:
    """The results in the order of the tags 0, 1, 2 …; each target is told of exactly once."""
    found: dict[int, tuple[Outcome, bytes]] = {}

    def sink(target: Target, outcome: Outcome, answer: bytes) -> None:
        assert target.tag not in found
        found[target.tag] = outcome, answer

    (engine or WideEngine(concurrency=64, timeout=2.0)).run(visited, sink, **options)
    return [found[tag] for tag in sorted(found)]


def shake(*ports: int, engine: WideEngine | None = None, **options: Any) -> Results:
    settings = {"hello": HELLO, "whole": whole, "farewell": FAREWELL} | options
    return visit(targets(*ports), engine=engine, **settings)


# -- sweep -------------------------------------------------------------------------------------------------------------


def test_a_sweep_tells_open_closed_and_silent_ports_apart(
    peer: Callable[[Talk], Peer], closed_port: int, full_port: int
) -> None:
    open_port = peer(polite).port
    results = visit(targets(open_port, closed_port, full_port), engine=WideEngine(timeout=0.5))
    assert results == [(Outcome.CONNECTED, b""), (Outcome.REFUSED, b""), (Outcome.TIMEOUT, b"")]


def test_a_sweep_over_ipv6() -> None:
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 here")
    with server, socket.socket(socket.AF_INET6) as bound:
        bound.bind(("::1", 0))
        ports = server.getsockname()[1], bound.getsockname()[1]
        mixed = [Target(1, 6, ports[0], 0), Target(1, 6, ports[1], 1), Target(LOOPBACK, 4, ports[1], 2)]
        results = [outcome for outcome, _ in visit(mixed, engine=WideEngine(concurrency=1, timeout=2.0))]
    assert results == [Outcome.CONNECTED, Outcome.REFUSED, Outcome.REFUSED]


def test_addresses_that_cannot_be_reached_are_not_refused() -> None:
    broadcast = Target(0xFFFFFFFF, 4, 104, 0)
    assert visit([broadcast]) == [(Outcome.UNREACHABLE, b"")]


def test_the_socket_of_a_refused_connection_serves_the_next_target(
    peer: Callable[[Talk], Peer], closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def counting(version: int) -> Socket:
        opened.append(version)
        return open_socket(version)

    monkeypatch.setattr(wide, "open_socket", counting)
    ports = [closed_port] * 500 + [peer(polite).port] + [closed_port] * 500
    results = [outcome for outcome, _ in visit(targets(*ports), engine=WideEngine(concurrency=8, timeout=2.0))]
    assert results == [Outcome.REFUSED] * 500 + [Outcome.CONNECTED] + [Outcome.REFUSED] * 500
    assert len(opened) <= 8 + 1


@pytest.mark.parametrize("options", [{}, {"hello": HELLO, "whole": lambda answer: answer == HELLO}])
def test_a_socket_that_met_itself_is_no_open_port(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def bound(version: int) -> Socket:
        opened = open_socket(version)
        opened.bind(("127.0.0.1", port))
        return opened

    monkeypatch.setattr(wide, "open_socket", bound)
    assert visit(targets(port), **options) == [(Outcome.REFUSED, b"")]


# -- handshake ---------------------------------------------------------------------------------------------------------


def test_a_handshake_sends_hello_then_farewell(peer: Callable[[Talk], Peer]) -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(100))
        connection.sendall(ANSWER)
        while data := connection.recv(100):
            heard.append(data)
        heard.append(b"<end>")

    server = peer(talk)
    assert shake(server.port) == [(Outcome.ANSWERED, ANSWER)]
    server.close()
    assert heard == [HELLO, FAREWELL, b"<end>"]


def byte_by_byte(connection: socket.socket) -> None:
    connection.recv(100)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in ANSWER:
        connection.sendall(bytes([byte]))
        time.sleep(0.002)
    connection.recv(100)


def before_it_was_asked(connection: socket.socket) -> None:
    connection.sendall(ANSWER)
    connection.recv(100)
    connection.recv(100)


def half(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(ANSWER[:5])


def half_and_reset(connection: socket.socket) -> None:
    half(connection)
    time.sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def nothing(connection: socket.socket) -> None:
    connection.recv(100)


def silence(connection: socket.socket) -> None:
    while connection.recv(100):
        pass


def half_then_silence(connection: socket.socket) -> None:
    half(connection)
    silence(connection)


def flood(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 10_000)


def drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x")
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("talk", "outcome", "answer"),
    [
        (byte_by_byte, Outcome.ANSWERED, ANSWER),
        (before_it_was_asked, Outcome.ANSWERED, ANSWER),
        (half, Outcome.HUNG_UP, ANSWER[:5]),
        (half_and_reset, Outcome.HUNG_UP, ANSWER[:5]),
        (nothing, Outcome.HUNG_UP, b""),
        (silence, Outcome.SILENT, b""),
        (half_then_silence, Outcome.SILENT, ANSWER[:5]),
    ],
)
def test_what_a_peer_does_and_what_it_is_called(
    peer: Callable[[Talk], Peer], talk: Talk, outcome: Outcome, answer: bytes
) -> None:
    assert shake(peer(talk).port, engine=WideEngine(timeout=0.6)) == [(outcome, answer)]


def test_an_answer_is_cut_at_its_bound(peer: Callable[[Talk], Peer]) -> None:
    ((outcome, answer),) = shake(peer(flood).port, whole=lambda _: 0, max_answer=50_000)
    assert (outcome, len(answer)) == (Outcome.OVERLONG, 50_000)


def test_the_deadline_is_total_however_the_peer_drips(peer: Callable[[Talk], Peer]) -> None:
    begin = time.monotonic()
    ((outcome, _),) = shake(peer(drip).port, whole=lambda _: 0, engine=WideEngine(timeout=0.5))
    assert outcome is Outcome.SILENT
    assert 0.5 <= time.monotonic() - begin < 3.0


def test_a_hello_that_does_not_fit_into_the_buffers_is_sent_whole(peer: Callable[[Talk], Peer]) -> None:
    hello = bytes(range(256)) * 60_000
    received = bytearray()

    def slow_reader(connection: socket.socket) -> None:
        time.sleep(0.2)
        while len(received) < len(hello):
            received.extend(connection.recv(1 << 20))
        connection.sendall(ANSWER)

    results = shake(peer(slow_reader).port, hello=hello, engine=WideEngine(timeout=10.0))
    assert results == [(Outcome.ANSWERED, ANSWER)]
    assert received == hello


def test_a_handshake_with_a_closed_and_a_silent_port(closed_port: int, full_port: int) -> None:
    results = shake(closed_port, full_port, engine=WideEngine(timeout=0.4))
    assert results == [(Outcome.REFUSED, b""), (Outcome.TIMEOUT, b"")]


# -- order -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exclusive", [False, True])
def test_exclusive_means_one_connection_to_an_address_at_a_time(
    peer: Callable[[Talk], Peer], *, exclusive: bool
) -> None:
    lock, now, most = threading.Lock(), Counter[str](), Counter[str]()

    def talk(connection: socket.socket) -> None:
        host = connection.getsockname()[0]
        with lock:
            now[host] += 1
            most[host] = max(most[host], now[host])
        connection.recv(100)
        time.sleep(0.02)
        with lock:
            now[host] -= 1
        connection.sendall(ANSWER)

    port = peer(talk).port
    visited = [Target(LOOPBACK + number % 3, 4, port, number) for number in range(24)]
    results = visit(visited, hello=HELLO, whole=whole, exclusive=exclusive)
    assert results == [(Outcome.ANSWERED, ANSWER)] * 24
    assert (max(most.values()) == 1) is exclusive


class Watch:
    """Stands where the gate stands, and notes when each address was connected to."""

    def __init__(self, *forbidden: str) -> None:
        self.forbidden, self.seen = set(forbidden), dict[str, float]()

    def dial_allowed(self, host: str, port: int) -> Denied | None:
        self.seen.setdefault(host, time.monotonic())
        return Denied.NO_GRANT if host in self.forbidden else None


def test_nobody_is_connected_to_before_the_pace_allows(closed_port: int) -> None:
    pace, promised = Pace(500, 100_000), dict[str, float]()

    def ready_at(address: int, version: int) -> float:
        moment = pace.ready_at(address, version)
        promised[socket.inet_ntoa(address.to_bytes(4, "big"))] = moment
        return moment

    with armed(watch := Watch()):
        results = visit(targets(*[closed_port] * 150), engine=WideEngine(ready_at=ready_at))
    assert results == [(Outcome.REFUSED, b"")] * 150
    assert len(promised) == 150
    assert all(watch.seen[host] >= moment for host, moment in promised.items())


def test_the_source_is_read_as_slots_become_free(closed_port: int) -> None:
    taken: list[int] = []

    def source() -> Iterator[Target]:
        for target in targets(*[closed_port] * 50):
            taken.append(target.tag)
            yield target

    def sink(target: Target, outcome: Outcome, answer: bytes) -> None:
        assert len(taken) <= target.tag + 4

    WideEngine(concurrency=4).run(source(), sink)
    assert len(taken) == 50


# -- stop --------------------------------------------------------------------------------------------------------------


def test_a_stop_reports_what_was_taken_and_takes_no_more(peer: Callable[[Talk], Peer]) -> None:
    port, taken = peer(silence).port, list[int]()

    def source() -> Iterator[Target]:
        for number in range(10_000):
            taken.append(number)
            yield Target(LOOPBACK + number % 10, 4, port, number)

    def ready_at(address: int, version: int) -> float:
        return time.monotonic() + (60.0 if address % 2 else 0.0)

    enough = time.monotonic() + 0.3
    engine = WideEngine(concurrency=8, timeout=30.0, ready_at=ready_at)
    results = visit(source(), engine=engine, hello=HELLO, exclusive=True, should_stop=lambda: time.monotonic() > enough)
    assert results == [(Outcome.STOPPED, b"")] * len(taken)
    assert len(taken) < 10_000


def test_an_error_of_the_caller_ends_the_run_and_closes_every_socket(peer: Callable[[Talk], Peer]) -> None:
    def sink(target: Target, outcome: Outcome, answer: bytes) -> None:
        raise RuntimeError("of the caller")

    with pytest.raises(RuntimeError, match="of the caller"):
        WideEngine(timeout=2.0).run(targets(*[peer(polite).port] * 10), sink)


# -- gate --------------------------------------------------------------------------------------------------------------


def test_out_of_scope_is_an_outcome_and_no_packet(peer: Callable[[Talk], Peer]) -> None:
    reached: list[str] = []
    port = peer(lambda connection: reached.append(connection.getsockname()[0])).port
    with armed(Watch("127.0.0.2")):
        results = visit(targets(port, port, port), engine=WideEngine(concurrency=1, timeout=2.0))
    assert [outcome for outcome, _ in results] == [Outcome.CONNECTED, Outcome.OUT_OF_SCOPE, Outcome.CONNECTED]
    assert "127.0.0.2" not in reached


def test_a_scope_that_narrows_while_a_connection_is_refused(closed_port: int) -> None:
    """The error is fetched by a second connect, which the gate may deny by then: the result stays what it is."""

    class Narrowing(Watch):
        def dial_allowed(self, host: str, port: int) -> Denied | None:
            seen_before = host in self.seen
            super().dial_allowed(host, port)
            return Denied.NARROWED if seen_before else None

    with armed(Narrowing()):
        assert visit(targets(closed_port, closed_port)) == [(Outcome.REFUSED, b"")] * 2


# -- what this machine has ---------------------------------------------------------------------------------------------


class Starved:
    """A socket that finds no local port for its first connects."""

    def __init__(self, version: int, failures: list[int]) -> None:
        self._socket, self._failures = open_socket(version), failures

    def connect_ex(self, place: tuple[str, int]) -> int:
        return self._failures.pop() if self._failures else self._socket.connect_ex(place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def starve(monkeypatch: pytest.MonkeyPatch, failures: list[int]) -> None:
    monkeypatch.setattr(wide, "open_socket", lambda version: Starved(version, failures))


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAGAIN, errno.ENOBUFS])
def test_without_a_local_port_it_waits_and_tries_again(
    number: int, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide, "RETRY_DELAYS", (0.001,) * 12)
    starve(monkeypatch, [number] * 20)
    assert visit(targets(*[closed_port] * 10)) == [(Outcome.REFUSED, b"")] * 10


def test_without_any_local_port_for_long_it_says_so(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "RETRY_DELAYS", (0.001,) * 12)
    starve(monkeypatch, [errno.EADDRNOTAVAIL] * 13)
    assert visit(targets(closed_port)) == [(Outcome.EXHAUSTED, b"")]


def test_without_a_source_address_a_target_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide, "has_source", lambda _version, _place: False)
    starve(monkeypatch, [errno.EADDRNOTAVAIL])
    assert visit(targets(104)) == [(Outcome.UNREACHABLE, b"")]


def test_without_files_it_gets_along_with_fewer_sockets() -> None:
    program = """
import resource, socket
from collections import Counter
from leadapron.net import wide
resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
wide.permitted_sockets = lambda wanted: wanted
server = socket.create_server(("", 0), backlog=1000)
port = server.getsockname()[1]
outcomes = Counter()
targets = (wide.Target(0x7F000001 + n, 4, port, n) for n in range(300))
engine = wide.WideEngine(concurrency=1000, timeout=5.0)
stats = engine.run(targets, lambda target, outcome, _: outcomes.update([outcome.value]))
print(dict(outcomes) == {"connected": 300}, 1 <= stats.concurrency <= 60, stats.postponed > 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["True", "True", "True"]


def test_stats_say_how_many_sockets_there_were(closed_port: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("files are not limited here")
    stats = WideEngine(concurrency=hard + 1).run(targets(closed_port), lambda *_: None)
    assert isinstance(stats, WideStats)
    assert stats.asked == hard + 1
    assert 0 < stats.concurrency < hard
    assert stats.targets == 1


# -- no false timeouts -------------------------------------------------------------------------------------------------


def test_the_time_that_the_caller_takes_is_not_the_peers(peer: Callable[[Talk], Peer], closed_port: int) -> None:
    """The sink (a slow disk, say) keeps the engine busy for longer than the timeout, while a live host waits."""

    def takes_its_time(connection: socket.socket) -> None:
        connection.recv(len(HELLO), socket.MSG_WAITALL)
        time.sleep(0.4)
        connection.sendall(ANSWER)
        connection.recv(100)

    found: list[Outcome] = []

    def slow_sink(target: Target, outcome: Outcome, answer: bytes) -> None:
        found.append(outcome)
        if outcome is Outcome.REFUSED:
            time.sleep(1.5)

    live = peer(takes_its_time).port
    stats = WideEngine(timeout=1.0).run(targets(closed_port, live), slow_sink, hello=HELLO, whole=whole)
    assert sorted(found) == [Outcome.ANSWERED, Outcome.REFUSED]
    assert stats.stalled > 1.0


MASSES = r"""
import select, socket, sys
listening = [socket.create_server(("", 0), backlog=4096) for _ in range(2)]
print(*(each.getsockname()[1] for each in listening), flush=True)
live = listening[0]
live.setblocking(False)
epoll = select.epoll()
epoll.register(live.fileno(), select.EPOLLIN)
epoll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
connections = {}
while True:
    for fd, _ in epoll.poll():
        if fd == sys.stdin.fileno():
            sys.exit()
        if fd != live.fileno():
            data = connections[fd].recv(100)
            if data == b"hello?":
                connections[fd].send(b"answer 12345678")
            else:
                connections.pop(fd).close()
            continue
        for _ in range(256):
            try:
                connection, _ = live.accept()
            except BlockingIOError:
                break
            connections[connection.fileno()] = connection
            epoll.register(connection.fileno(), select.EPOLLIN)
"""


def test_no_live_host_is_called_silent_at_15_000_sockets() -> None:
    """Two silent hosts for each live one, twice as many targets as sockets, and one second for each."""
    targets_at_once, total = 15_000, 45_000
    with subprocess.Popen([sys.executable, "-c", MASSES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        live, silent = map(int, server.stdout.readline().split())
        visited = (
            Target(LOOPBACK + number, 4, live if number % 3 == 0 else silent, number % 3 == 0)
            for number in range(total)
        )
        outcomes: Counter[tuple[bool, Outcome]] = Counter()
        stats = WideEngine(concurrency=targets_at_once, timeout=1.0).run(
            visited,
            lambda target, outcome, _: outcomes.update([(target.tag, outcome)]),
            hello=HELLO,
            whole=whole,
            farewell=FAREWELL,
        )
        server.stdin.close()
        server.wait(10)
    of_live = {outcome: count for (is_live, outcome), count in outcomes.items() if is_live}
    of_silent = {outcome for is_live, outcome in outcomes if not is_live}
    assert of_live == {Outcome.ANSWERED: total // 3}
    assert of_silent <= {Outcome.SILENT, Outcome.TIMEOUT}
    assert stats.targets == total
