import errno
from collections.abc import Callable
from concurrent.futures import Executor, Future
from ipaddress import IPv4Address
from typing import Any

import numpy as np
import numpy.typing as npt

from leadapron.net.syn.answers import ACCEPTED
from leadapron.net.syn.asking import DENIED, Asker
from leadapron.net.syn.cookie import CookieJar
from leadapron.net.syn.flight import ABSENT, ASKED, HELD, Flight
from leadapron.net.syn.packets import SynBatch
from leadapron.net.syn.piece import Addresses, Piece, Ports
from leadapron.net.syn.sender import Sent
from leadapron.net.syn.source import Sources


class Kernel:
    """Stands where a `Sender` does: says what it was told to."""

    def __init__(self, says: Callable[[int], Sent]) -> None:
        self.batch, self._says = SynBatch(64), says
        self.sent: list[list[tuple[int, int]]] = []

    def send(self, count: int, _should_stop: Callable[[], bool]) -> Sent:
        targets = self.batch.packets[:count].view(">u4")[:, 4], self.batch.packets[:count].view(">u2")[:, 11]
        self.sent.append(list(zip(targets[0].tolist(), targets[1].tolist(), strict=True)))
        return self._says(count)


class Pool(Executor):
    """Does nothing until it is told which."""

    def __init__(self) -> None:
        self.given: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.given.append((future, lambda: fn(*args, **kwargs)))
        return future

    def do(self, number: int) -> None:
        future, work = self.given[number]
        future.set_result(work())


def all_of(count: int) -> Sent:
    return Sent(count, 0, {}, 0.5)


def even(addresses: Addresses, _ports: Ports) -> npt.NDArray[np.bool_]:
    return np.asarray(addresses % 2 == 0)


def everybody(addresses: Addresses, _ports: Ports) -> npt.NDArray[np.bool_]:
    return np.ones(len(addresses), dtype=bool)


def asker(*kernels: Kernel, pool: Executor | None = None, permits: Any = everybody) -> Asker:
    jar = CookieJar(bytes(16), range(61000, 61100))
    return Asker(kernels, pool, jar, Sources(IPv4Address("192.0.2.1")), permits, lambda: False)  # type: ignore[arg-type]


def flight(start: int, count: int) -> Flight:
    places = np.arange(count, dtype=np.uint32)
    ports = np.full(count, 104, dtype=np.uint16)
    return Flight(Piece(start=start, stop=start + count, addresses=places + start, ports=ports, places=places))


def test_parts_of_several_flights_share_a_batch_and_keep_their_own_notes() -> None:
    kernel = Kernel(lambda _count: Sent(5, errno.ENOBUFS, {0: errno.EPERM, 3: errno.EPERM}, 0.5))
    ours, first, second = asker(kernel, permits=even), flight(10, 6), flight(101, 8)
    assert ours.ask([first.take(6), second.take(8)], [first, second]) == 7
    assert ours.settle() == [first, second]
    assert kernel.sent == [[(address, 104) for address in (10, 12, 14, 102, 104, 106, 108)]]
    assert first.states.tolist() == [HELD, HELD, ASKED, HELD, ASKED, HELD]
    assert second.states.tolist() == [HELD, HELD, HELD, ASKED, HELD, HELD, HELD, HELD]
    assert ours.not_sent == {DENIED: 7, "EPERM": 2, "ENOBUFS": 2}
    assert (ours.sent, ours.sending) == (3, 0.5)


def test_a_question_that_could_not_be_put_again_takes_no_answer_back() -> None:
    pool, kernel = Pool(), Kernel(lambda _count: Sent(2, 0, {0: errno.EPERM, 1: errno.EPERM}, 0.0))
    ours, one = asker(kernel, pool=pool), flight(0, 2)
    ours.ask([one.take(2)], [one])
    one.mark(np.array([0]), ACCEPTED)  # to an earlier question
    pool.do(0)
    assert ours.settle() == [one]
    assert one.states.tolist() == [ACCEPTED, HELD]


def test_a_round_is_over_when_all_before_it_have_left_whoever_is_first() -> None:
    pool, kernels = Pool(), (Kernel(all_of), Kernel(all_of))
    ours, one = asker(*kernels, pool=pool), flight(0, 10)
    ours.ask([one.take(5)], [])
    ours.ask([one.take(5)], [one])
    assert ours.is_full
    pool.do(1)
    assert ours.settle() == []
    pool.do(0)
    assert ours.settle() == [one]
    assert ours.is_idle
    assert [len(kernel.sent[0]) for kernel in kernels] == [5, 5]
    assert ours.sent == 10


def test_places_that_are_not_of_a_piece_are_never_touched() -> None:
    kernel = Kernel(all_of)
    ours = asker(kernel)
    places = np.array([1, 4], dtype=np.uint32)
    some = Flight(Piece(start=0, stop=6, addresses=places, ports=np.full(2, 104, dtype=np.uint16), places=places))
    ours.ask([some.take(10)], [some])
    assert some.states.tolist() == [ABSENT, ASKED, ABSENT, ABSENT, ASKED, ABSENT]
